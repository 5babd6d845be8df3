/* A channel with two endpoints, one of which answers requests with what no good server sends: its
 * call ends with the right status and cause within its deadline, memory stays bounded, and the
 * other endpoint keeps its connection and serves its calls. */
#include "support/alloc.h"

#include <string.h>

#include "base/area.h"
#include "base/log.h"
#include "support/bed.h"
#include "support/frame_peer.h"

#define BAD         "10.0.0.1:50051"
#define GOOD        "10.0.0.2:50051"
#define DEADLINE_MS 2000
#define HELD_MAX    ((size_t)2 * 1024 * 1024)

struct manner {
    const char *name;
    enum fl_status status;
    int why;
    void (*answer)(struct fl_frame_conn *conn, uint32_t id);
};

static void repeat(struct fl_frame_conn *conn, struct fl_str frames, int times) {
    for (int i = 0; i < times; i++) fl_frame_raw(conn, frames);
}

/* --- manners --- */

static void garbage(struct fl_frame_conn *conn, uint32_t id) {
    FL_UNUSED(id);
    repeat(conn, FL_STR("HTTP/1.1 503 Service Unavailable\r\n\r\n"), 100);
}

static void settings_without_end(struct fl_frame_conn *conn, uint32_t id) {
    FL_UNUSED(id);
    repeat(conn, FRAME_BYTES("\0\0\0\4\0\0\0\0\0"), 20000);
}

static void pings_without_end(struct fl_frame_conn *conn, uint32_t id) {
    FL_UNUSED(id);
    repeat(conn, FRAME_BYTES("\0\0\x8\6\0\0\0\0\0abcdefgh"), 20000);
}

static void continuations_without_end(struct fl_frame_conn *conn, uint32_t id) {
    fl_frame_send(conn, FRAME_HEADERS, 0, id, FRAME_BYTES("\x88"));
    for (int i = 0; i < 1000; i++)
        fl_frame_send(conn, FRAME_CONTINUATION, 0, id, FRAME_BYTES("\0\1a\1b"));
}

/* A header of 30 KB: literals without indexing, each of 100 bytes. */
static void large_head(struct fl_frame_conn *conn, uint32_t id) {
    char block[16000] = "\x88";
    size_t n = 1;
    while (n + 100 < sizeof(block)) {
        memcpy(block + n, "\0\1a\x60", 4);
        memset(block + n + 4, 'v', 96);
        n += 100;
    }
    fl_frame_send(conn, FRAME_HEADERS, 0, id, fl_str_n(block, n));
    fl_frame_send(conn, FRAME_CONTINUATION, FRAME_END_HEADERS, id, fl_str_n(block + 1, n - 1));
}

/* One entry of the table, told 10000 times. */
static void hpack_bomb(struct fl_frame_conn *conn, uint32_t id) {
    char block[14000] = "\x88\x40\x01"
                        "a\x7f\xa1\x1e";
    memset(block + 7, 'v', 4000);
    memset(block + 4007, '\xbe', sizeof(block) - 4007);
    fl_frame_send(conn, FRAME_HEADERS, FRAME_END_HEADERS, id, fl_str_n(block, sizeof(block)));
}

static void reset_storm(struct fl_frame_conn *conn, uint32_t id) {
    for (int i = 0; i < 20000; i++) fl_frame_reset(conn, id, 2);
}

static void stream_window_overflow(struct fl_frame_conn *conn, uint32_t id) {
    fl_frame_send(conn, FRAME_WINDOW_UPDATE, 0, id, FRAME_BYTES("\x7f\xff\xff\xff"));
}

static void window_overflow(struct fl_frame_conn *conn, uint32_t id) {
    FL_UNUSED(id);
    fl_frame_send(conn, FRAME_WINDOW_UPDATE, 0, 0, FRAME_BYTES("\x7f\xff\xff\xff"));
}

static void message_beyond_the_bound(struct fl_frame_conn *conn, uint32_t id) {
    fl_frame_head(conn, id);
    fl_frame_send(conn, FRAME_DATA, 0, id, FRAME_BYTES("\0\xff\xff\xff\xff"));
}

static void messages_without_end(struct fl_frame_conn *conn, uint32_t id) {
    fl_frame_head(conn, id);
    for (int i = 0; i < 1000; i++) fl_frame_message(conn, id, FRAME_BYTES("again"));
}

static void head_and_silence(struct fl_frame_conn *conn, uint32_t id) { fl_frame_head(conn, id); }

static void half_a_message(struct fl_frame_conn *conn, uint32_t id) {
    fl_frame_head(conn, id);
    fl_frame_send(conn, FRAME_DATA, 0, id, FRAME_BYTES("\0\0\0\0\x9half"));
}

static void silence(struct fl_frame_conn *conn, uint32_t id) { FL_UNUSED(conn), FL_UNUSED(id); }

static const struct manner manners[] = {
    {"garbage", FL_STATUS_INTERNAL, FL_EPROTO, garbage},
    {"settings_without_end", FL_STATUS_INTERNAL, FL_EPROTO, settings_without_end},
    {"pings_without_end", FL_STATUS_INTERNAL, FL_EPROTO, pings_without_end},
    {"continuations_without_end", FL_STATUS_INTERNAL, FL_EPROTO, continuations_without_end},
    {"large_head", FL_STATUS_RESOURCE_EXHAUSTED, FL_ETOO_LARGE, large_head},
    {"hpack_bomb", FL_STATUS_RESOURCE_EXHAUSTED, FL_ETOO_LARGE, hpack_bomb},
    {"reset_storm", FL_STATUS_INTERNAL, FL_ESTREAM_RESET, reset_storm},
    {"stream_window_overflow", FL_STATUS_INTERNAL, FL_EPROTO, stream_window_overflow},
    {"window_overflow", FL_STATUS_INTERNAL, FL_EPROTO, window_overflow},
    {"message_beyond_the_bound", FL_STATUS_RESOURCE_EXHAUSTED, FL_ETOO_LARGE,
     message_beyond_the_bound},
    {"messages_without_end", FL_STATUS_INTERNAL, FL_EPROTO, messages_without_end},
    {"head_and_silence", FL_STATUS_DEADLINE_EXCEEDED, FL_EDEADLINE, head_and_silence},
    {"half_a_message", FL_STATUS_DEADLINE_EXCEEDED, FL_EDEADLINE, half_a_message},
    {"silence", FL_STATUS_DEADLINE_EXCEEDED, FL_EDEADLINE, silence},
};

/* --- the test --- */

static void on_frame(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    const struct manner *manner = conn->peer->arg;
    if (frame->type == FRAME_DATA && (frame->flags & FRAME_END_STREAM))
        manner->answer(conn, frame->id);
}

struct fixture {
    struct fl_bed bed;
    struct fl_frame_peer peer;
    struct fl_echo *echo;
};

static void start(struct fixture *f, const struct manner *manner) {
    fl_bed_start(&f->bed, NULL);
    fl_frame_peer_start(&f->peer, f->bed.io, "10.0.0.1", FL_BED_PORT);
    f->peer.on_frame = on_frame;
    f->peer.arg = (void *)(uintptr_t)manner;
    f->echo = fl_bed_echo(&f->bed, 2, 0);
    fl_bed_open(&f->bed, NULL);
    fl_bed_publish(&f->bed, 2);
    fl_world_run_ms(f->bed.world, 100);
}

static void stop(struct fixture *f) {
    fl_frame_peer_stop(&f->peer);
    fl_bed_kill(&f->bed, f->echo);
    fl_bed_stop(&f->bed);
}

static void check(const struct manner *manner) {
    struct fixture f;
    struct fl_bed_call calls[8];
    unsigned bad = 0, good = 0;
    start(&f, manner);
    const struct fl_call_options options = {.timeout_ms = DEADLINE_MS};
    for (size_t i = 0; i < FL_COUNT(calls); i++) {
        fl_bed_call(&f.bed, &calls[i], &options);
        fl_world_run_ms(f.bed.world, DEADLINE_MS + 10);
        assert_in_range(fl_area_bytes(FL_AREA_HTTP), 0, HELD_MAX);
        assert_int_equal(calls[i].ended, 1);
        if (strcmp(calls[i].peer, GOOD) == 0) {
            assert_int_equal(calls[i].status, FL_STATUS_OK);
            assert_in_range(calls[i].ended_ms - calls[i].started_ms, 0, 100);
            good++;
            continue;
        }
        assert_string_equal(calls[i].peer, BAD);
        if (calls[i].status != manner->status || calls[i].why != manner->why)
            print_error("%s: %s, %s: %s\n", manner->name, fl_status_name(calls[i].status),
                        fl_error_name(calls[i].why), calls[i].message);
        assert_int_equal(calls[i].status, manner->status);
        assert_int_equal(calls[i].why, manner->why);
        bad++;
    }
    assert_true(bad >= 2 && good >= 4);
    stop(&f);
}

static void test_every_manner(void **state) {
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(manners); i++) check(&manners[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_manner),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
