/* api_trickle.c - see api_trickle.h. Pieces are so large that a long body takes about a second, and
 * never smaller than PIECE_MIN. */
#include "sim/api_trickle.h"

#define PIECE_MIN   7
#define PIECES      400 /* of what waits at a time */
#define PAUSE_MS    2
#define WAITING_MAX ((size_t)1024 * 1024 * 1024)
#define H2_INTERNAL 2

static void set_timer(struct fl_api_trickle *t) {
    fl_io_timer_set(t->io, &t->timer, fl_io_now_ms(t->io) + PAUSE_MS);
}

static void run_timer(struct fl_timer *timer) {
    struct fl_api_trickle *t = FL_CONTAINER(timer, struct fl_api_trickle, timer);
    struct fl_str piece = fl_buf_str(&t->waiting);
    struct fl_error why;
    piece.n = FL_MIN(piece.n, FL_MAX(PIECE_MIN, piece.n / PIECES));
    int rc = fl_http_stream_write(t->stream, piece, t->end && piece.n == t->waiting.len);
    if (rc && rc != FL_EFULL && rc != FL_ESHUTDOWN) {
        fl_fail(&why, rc, "%s", "");
        fl_http_stream_reset(t->stream, H2_INTERNAL, &why);
        return;
    }
    if (!rc) fl_buf_consume(&t->waiting, piece.n);
    if (t->waiting.len && rc != FL_ESHUTDOWN) set_timer(t);
}

int fl_api_trickle_init(struct fl_api_trickle *t, struct fl_io *io, struct fl_http_stream *stream) {
    *t = (struct fl_api_trickle){.io = io, .stream = stream};
    fl_buf_init(&t->waiting, WAITING_MAX);
    return fl_io_timer_init(io, &t->timer, run_timer);
}

void fl_api_trickle_deinit(struct fl_api_trickle *t) {
    if (!t->io) return;
    fl_io_timer_deinit(t->io, &t->timer);
    fl_buf_deinit(&t->waiting);
}

int fl_api_trickle_write(struct fl_api_trickle *t, struct fl_str bytes, bool end) {
    int rc = fl_buf_append(&t->waiting, bytes);
    if (rc) return rc;
    t->end = end;
    if (!fl_timer_is_set(&t->timer)) set_timer(t);
    return 0;
}
