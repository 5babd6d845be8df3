/* gRPC's negative HTTP/2 interoperability cases (grpc/doc/http2-interop-test-descriptions.md) and
 * its case of connection backoff, in virtual time. */
#include "support/alloc.h"

#include <string.h>

#include "base/log.h"
#include "support/bed.h"
#include "support/frame_peer.h"

struct fixture {
    struct fl_bed bed;
    struct fl_frame_peer peer;
};

static void start(struct fixture *f, uint32_t streams_max,
                  void (*on_frame)(struct fl_frame_conn *conn, const struct fl_frame *frame),
                  const struct fl_channel_options *options) {
    fl_bed_start(&f->bed, NULL);
    fl_frame_peer_start(&f->peer, f->bed.io, "10.0.0.1", FL_BED_PORT);
    f->peer.streams_max = streams_max;
    f->peer.on_frame = on_frame;
    fl_bed_open(&f->bed, options);
    fl_bed_publish(&f->bed, 1);
    fl_world_run_ms(f->bed.world, 100);
}

static void stop(struct fixture *f) {
    fl_frame_peer_stop(&f->peer);
    fl_bed_stop(&f->bed);
}

static bool is_whole_request(const struct fl_frame *frame) {
    return frame->type == FRAME_DATA && (frame->flags & FRAME_END_STREAM);
}

static void answer(struct fl_frame_conn *conn, uint32_t id) {
    fl_frame_head(conn, id);
    fl_frame_message(conn, id, FRAME_BYTES("\12\2hi"));
    fl_frame_status_ok(conn, id);
}

/* --- goaway: after the first response; the second call goes over a new connection --- */

static void goaway(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (!is_whole_request(frame)) return;
    answer(conn, frame->id);
    fl_frame_goaway(conn, frame->id, 0, "");
}

static void test_C8_goaway(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call call;
    start(&f, 0, goaway, NULL);
    for (unsigned i = 1; i < 5; i++) {
        fl_bed_call_now(&f.bed, &call, 3000);
        assert_int_equal(call.status, FL_STATUS_OK);
        fl_world_run_ms(f.bed.world, 2000);
        assert_int_equal(f.peer.accepted, i + 1);
    }
    stop(&f);
}

/* --- rst_*: the call fails and does not hang --- */

static void rst_after_header(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (!is_whole_request(frame)) return;
    fl_frame_head(conn, frame->id);
    fl_frame_reset(conn, frame->id, 0);
}

static void rst_during_data(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (!is_whole_request(frame)) return;
    fl_frame_head(conn, frame->id);
    fl_frame_send(conn, FRAME_DATA, 0, frame->id, FRAME_BYTES("\0\0\0\0\x9half"));
    fl_frame_reset(conn, frame->id, 0);
}

static void rst_after_data(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (!is_whole_request(frame)) return;
    fl_frame_head(conn, frame->id);
    fl_frame_message(conn, frame->id, FRAME_BYTES("\12\2hi"));
    fl_frame_reset(conn, frame->id, 0);
}

static void test_rst(void **state) {
    FL_UNUSED(state);
    void (*const cases[])(struct fl_frame_conn *, const struct fl_frame *) = {
        rst_after_header, rst_during_data, rst_after_data};
    for (size_t i = 0; i < FL_COUNT(cases); i++) {
        struct fixture f;
        struct fl_bed_call call;
        start(&f, 0, cases[i], NULL);
        fl_bed_call_now(&f.bed, &call, 100);
        assert_int_equal(call.status, FL_STATUS_INTERNAL);
        assert_int_equal(call.why, FL_ESTREAM_RESET);
        assert_int_equal(f.peer.accepted, 1);
        assert_int_equal(f.peer.got[FRAME_HEADERS], 1); /* what was answered is not tried again */
        stop(&f);
    }
}

/* --- ping: before and behind each part of the answer; each is answered --- */

static void send_ping(struct fl_frame_conn *conn) {
    fl_frame_send(conn, FRAME_PING, 0, 0, FRAME_BYTES("12345678"));
}

static void ping(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (!is_whole_request(frame)) return;
    send_ping(conn);
    fl_frame_head(conn, frame->id);
    send_ping(conn);
    fl_frame_message(conn, frame->id, FRAME_BYTES("\12\2hi"));
    send_ping(conn);
    fl_frame_status_ok(conn, frame->id);
    send_ping(conn);
}

static void test_ping(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call call;
    start(&f, 0, ping, NULL);
    unsigned before = f.peer.acks;
    fl_bed_call_now(&f.bed, &call, 100);
    assert_int_equal(call.status, FL_STATUS_OK);
    fl_world_run_ms(f.bed.world, 100);
    assert_int_equal(f.peer.acks - before, 4);
    stop(&f);
}

/* --- max_streams: one at a time, fifteen calls at once --- */

static unsigned open_now, open_most;

static void one_at_a_time(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (frame->type == FRAME_HEADERS && ++open_now > open_most) open_most = open_now;
    if (!is_whole_request(frame)) return;
    open_now--;
    answer(conn, frame->id);
}

static void test_C13_max_streams(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call calls[15];
    open_now = open_most = 0;
    start(&f, 1, one_at_a_time, &(struct fl_channel_options){.connections_max = 1});
    for (size_t i = 0; i < FL_COUNT(calls); i++) fl_bed_call(&f.bed, &calls[i], NULL);
    fl_world_run_ms(f.bed.world, 1000);
    for (size_t i = 0; i < FL_COUNT(calls); i++) assert_int_equal(calls[i].status, FL_STATUS_OK);
    assert_int_equal(open_most, 1);
    assert_int_equal(f.peer.accepted, 1);
    stop(&f);
}

/* --- data_frame_padding: a byte of body to 255 of padding, more than any window together --- */

static void padded(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (!is_whole_request(frame)) return;
    static const char message[] = "\0\0\0\0\4\12\2hi";
    uint8_t payload[257] = {255};
    fl_frame_head(conn, frame->id);
    for (size_t i = 0; i < sizeof(message) - 1; i++) {
        payload[1] = (uint8_t)message[i];
        fl_frame_send(conn, FRAME_DATA, FRAME_PADDED, frame->id,
                      fl_str_n(payload, sizeof(payload)));
    }
    fl_frame_status_ok(conn, frame->id);
}

static void test_data_frame_padding(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 0, padded, NULL);
    for (int i = 0; i < 5000; i++) { /* 11 MB of padding: it goes back to the window, too */
        struct fl_bed_call call;
        fl_bed_call_now(&f.bed, &call, 100);
        assert_int_equal(call.status, FL_STATUS_OK);
        assert_int_equal(call.response_len, 4);
    }
    assert_int_equal(f.peer.accepted, 1);
    stop(&f);
}

/* --- backoff: a server that closes each connection it accepted, for 540 s --- */

static void close_at_once(struct fl_frame_conn *conn) { fl_sock_abort(conn->peer->io, conn->sock); }

static uint64_t dialled_ms[64];

static void note_and_close(struct fl_frame_conn *conn) {
    assert_in_range(conn->number, 0, FL_COUNT(dialled_ms) - 1);
    dialled_ms[conn->number] = fl_io_now_ms(conn->peer->io);
    close_at_once(conn);
}

static void test_backoff(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct fixture f;
        fl_bed_start(&f.bed, &(struct fl_world_options){.seed = seed});
        fl_frame_peer_start(&f.peer, f.bed.io, "10.0.0.1", FL_BED_PORT);
        f.peer.on_open = note_and_close;
        fl_bed_open(&f.bed, NULL);
        fl_bed_publish(&f.bed, 1);
        fl_world_run_ms(f.bed.world, 540000);
        assert_in_range(f.peer.accepted, 10, 16);
        double delay = 1000;
        for (unsigned i = 1; i < f.peer.accepted; i++) {
            double was = (double)(dialled_ms[i] - dialled_ms[i - 1]);
            assert_true(was >= delay * 0.8 - 10 && was <= delay * 1.2 + 10);
            delay = delay * 1.6 < 120000 ? delay * 1.6 : 120000;
        }
        stop(&f);
    }
}

/* The failures of one endpoint, and of one channel, are its own. */
static void test_C15_backoff_is_the_endpoints_own(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call call;
    fl_bed_start(&f.bed, NULL);
    fl_frame_peer_start(&f.peer, f.bed.io, "10.0.0.1", FL_BED_PORT);
    f.peer.on_open = note_and_close;
    fl_bed_open(&f.bed, NULL);
    fl_bed_publish(&f.bed, 1);
    fl_world_run_ms(f.bed.world, 300000); /* far into its backoff */
    struct fl_echo *echo = fl_bed_echo(&f.bed, 2, 0);
    fl_bed_publish(&f.bed, 2);
    fl_world_run_ms(f.bed.world, 20); /* the new one is dialled at once */
    fl_bed_call_now(&f.bed, &call, 50);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_string_equal(call.peer, "10.0.0.2:50051");
    struct fl_channel *first = f.bed.channel;
    unsigned accepted = f.peer.accepted;
    f.bed.applied = 0;
    fl_bed_open(&f.bed, NULL); /* a second channel to the same endpoints */
    fl_world_run_ms(f.bed.world, 20);
    assert_int_equal(f.peer.accepted, accepted + 1); /* it does not wait for the first one's */
    fl_bed_close(&f.bed);
    f.bed.channel = first;
    fl_frame_peer_stop(&f.peer);
    fl_bed_kill(&f.bed, echo);
    fl_bed_stop(&f.bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C8_goaway),
        cmocka_unit_test(test_rst),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_C13_max_streams),
        cmocka_unit_test(test_data_frame_padding),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_C15_backoff_is_the_endpoints_own),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
