/* api_outlet.c - see api_outlet.h. */
#include "sim/api_outlet.h"

#include "base/alloc.h"

#define HUGE_BYTES    (FL_K8S_FRAME_MAX + (size_t)1024 * 1024)
#define HUGE_PIECE    ((size_t)64 * 1024)
#define HALF_RESET_MS 20 /* so that the half is sent before the reset overtakes it */
#define H2_INTERNAL   2
#define FRAME_MAX     ((size_t)1024 * 1024 * 1024)

static void reset(struct fl_api_outlet *o, int code) {
    struct fl_error why;
    fl_fail(&why, code, "%s", "");
    fl_http_stream_reset(o->stream, H2_INTERNAL, &why);
}

static void run_reset(struct fl_timer *timer) {
    reset(FL_CONTAINER(timer, struct fl_api_outlet, reset), FL_ESHUTDOWN);
}

int fl_api_outlet_init(struct fl_api_outlet *o, struct fl_io *io, struct fl_http_stream *stream,
                       struct fl_api_faults *faults, enum fl_k8s_format format, bool slow) {
    *o = (struct fl_api_outlet){
        .io = io, .stream = stream, .faults = faults, .format = format, .slow = slow};
    int rc = fl_io_timer_init(io, &o->reset, run_reset);
    return rc ? rc : fl_api_trickle_init(&o->trickle, io, stream);
}

void fl_api_outlet_deinit(struct fl_api_outlet *o) {
    if (!o->io) return;
    fl_io_timer_deinit(o->io, &o->reset);
    fl_api_trickle_deinit(&o->trickle);
}

static int write(struct fl_api_outlet *o, struct fl_str bytes) {
    return o->slow ? fl_api_trickle_write(&o->trickle, bytes, false)
                   : fl_http_stream_write(o->stream, bytes, false);
}

/* --- faults --- */

static int write_half(struct fl_api_outlet *o, struct fl_str frame) {
    int rc = write(o, fl_str_n(frame.p, frame.n / 2));
    o->stuck = true;
    fl_io_timer_set(o->io, &o->reset, fl_io_now_ms(o->io) + HALF_RESET_MS);
    return rc == FL_EFULL ? 0 : rc;
}

/* A frame of an object with one string that does not end for long. */
static int write_huge(struct fl_api_outlet *o) {
    static const char json[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"annotations\":"
                               "{\"x\":\"";
    const uint8_t length[] = {(uint8_t)(HUGE_BYTES >> 24), (uint8_t)(HUGE_BYTES >> 16),
                              (uint8_t)(HUGE_BYTES >> 8 & 0xff), (uint8_t)(HUGE_BYTES & 0xff)};
    int rc = o->format == FL_K8S_JSON ? write(o, FL_STR(json))
                                      : write(o, fl_str_n(length, sizeof length));
    if (rc) return rc;
    o->huge_left = HUGE_BYTES;
    fl_api_outlet_more(o);
    return 0;
}

void fl_api_outlet_more(struct fl_api_outlet *o) {
    static const char json_end[] = "\"}}}}\n";
    char piece[HUGE_PIECE + sizeof json_end];
    int rc = 0;
    memset(piece, 'a', HUGE_PIECE);
    while (o->huge_left && !rc) {
        size_t n = FL_MIN(HUGE_PIECE, o->huge_left), more = 0;
        if (n == o->huge_left && o->format == FL_K8S_JSON) more = sizeof json_end - 1;
        memcpy(piece + n, json_end, more);
        rc = write(o, fl_str_n(piece, n + more));
        if (!rc) o->huge_left -= n;
    }
    if (rc && rc != FL_EFULL && rc != FL_ESHUTDOWN) reset(o, rc);
}

/* --- events --- */

static int write_frame(struct fl_api_outlet *o, struct fl_str frame) {
    if (fl_api_faults_take(o->faults, FL_FAULT_HALF)) return write_half(o, frame);
    int rc = write(o, frame);
    if (!rc && fl_api_faults_take(o->faults, FL_FAULT_DUPLICATE)) {
        rc = write(o, frame);
        if (rc == FL_EFULL) rc = 0; /* once must do */
    }
    return rc;
}

int fl_api_outlet_event(struct fl_api_outlet *o, enum fl_k8s_event event, enum fl_k8s_kind kind,
                        struct fl_str bare) {
    struct fl_buf frame;
    if (!o->stuck && !o->huge_left && fl_api_faults_take(o->faults, FL_FAULT_STALL))
        o->stuck = true;
    if (o->stuck || o->huge_left) return FL_EFULL;
    if (event != FL_K8S_BOOKMARK && fl_api_faults_take(o->faults, FL_FAULT_HUGE)) {
        int rc = write_huge(o);
        if (rc || o->huge_left) return rc ? rc : FL_EFULL; /* the event itself comes after it */
    }
    fl_buf_init(&frame, FRAME_MAX);
    int rc = fl_k8s_encode_event(&frame, o->format, event, kind, bare);
    if (!rc)
        rc = event == FL_K8S_BOOKMARK ? write(o, fl_buf_str(&frame))
                                      : write_frame(o, fl_buf_str(&frame));
    fl_buf_deinit(&frame);
    return rc;
}

void fl_api_outlet_end(struct fl_api_outlet *o) {
    if (o->stuck) return;
    int rc = o->slow ? fl_api_trickle_write(&o->trickle, FL_STR_NONE, true)
                     : fl_http_stream_write(o->stream, FL_STR_NONE, true);
    if (rc) reset(o, FL_ESHUTDOWN);
}
