/* http_flood_test.c - peers that keep an HTTP/2 connection busy with nothing, both sides: each ends
 * it, or is held to its bound, and no memory grows. */
#include "support/http_bed.h"

#include "base/area.h"
#include "http/server.h"

#define FLOOD     1000 /* frames at a time */
#define HELD_MAX  ((size_t)1024 * 1024)
#define HEAD_ONLY "\0\0\1\1\4\0\0\0\1\x88" /* HEADERS for stream 1: status 200, no end */

/* Sends up to `times` times FLOOD frames, each batch read before the next; true: until it was
 * enough for this side. */
static bool flood(struct bed *b, struct fl_str frame, int times) {
    struct fl_buf batch;
    fl_buf_init(&batch, (size_t)64 * 1024 * 1024);
    for (int i = 0; i < FLOOD; i++) assert_int_equal(fl_buf_append(&batch, frame), 0);
    for (int i = 0; i < times && b->raw.sock; i++) {
        bed_raw_send(b, fl_buf_str(&batch));
        bed_run(b, 20);
        assert_in_range(fl_area_bytes(FL_AREA_HTTP), 0, HELD_MAX);
        fl_buf_truncate(&b->raw.got, 0);
    }
    fl_buf_deinit(&batch);
    bed_run(b, 100);
    return !b->raw.sock;
}

/* A server sends the frames to a client that has asked for something. */
static void flood_client(struct fl_str first, struct fl_str frame) {
    struct bed b;
    struct heard *h = bed_asked_bare_h2(&b);
    if (first.n) bed_raw_send(&b, first);
    assert_true(flood(&b, frame, 20));
    assert_closed(h, FL_EPROTO);
    assert_conn_closed(&b.client, FL_EPROTO);
    bed_deinit(&b);
}

/* A client sends them to a server. */
static void flood_server(struct fl_str first, struct fl_str frame) {
    struct bed b;
    bed_init(&b, &bed_plain);
    bed_raw_dial(&b, BYTES(PREFACE SETTINGS));
    if (first.n) bed_raw_send(&b, first);
    bed_run(&b, 100);
    assert_true(flood(&b, frame, 20));
    assert_conn_closed(&b.servers[0], FL_EPROTO);
    bed_deinit(&b);
}

static void test_control_frames(void **state) {
    static const struct fl_str frames[] = {
        {SETTINGS, 9},
        {"\0\0\0\4\1\0\0\0\0", 9},            /* SETTINGS that acknowledge nothing */
        {"\0\0\x8\6\0\0\0\0\0abcdefgh", 17},  /* PING */
        {"\0\0\x8\6\1\0\0\0\0abcdefgh", 17},  /* answers to none */
        {"\0\0\5\2\0\0\0\0\1\0\0\0\0\0", 14}, /* PRIORITY */
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(frames); i++) {
        flood_client(FL_STR_NONE, frames[i]);
        flood_server(FL_STR_NONE, frames[i]);
    }
}

static void test_window_updates(void **state) {
    FL_UNUSED(state);
    flood_client(FL_STR_NONE, BYTES("\0\0\4\x8\0\0\0\0\0\0\0\0\1"));
    flood_server(FL_STR_NONE, BYTES("\0\0\4\x8\0\0\0\0\0\0\0\0\1"));
}

static void test_empty_data(void **state) {
    FL_UNUSED(state);
    flood_client(BYTES(HEAD_ONLY), BYTES("\0\0\0\0\0\0\0\0\1"));
    /* A POST without an end. */
    flood_server(BYTES("\0\0\6\1\4\0\0\0\1\x83\x86\x84\x41\x01x"), BYTES("\0\0\0\0\0\0\0\0\1"));
}

static void test_interim_heads(void **state) {
    FL_UNUSED(state);
    flood_client(FL_STR_NONE, BYTES("\0\0\5\1\4\0\0\0\1\x08\x03"
                                    "100"));
}

/* For a stream that ended with the first of them. */
static void test_resets_of_what_is_gone(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_bare_h2(&b);
    assert_true(flood(&b, BYTES("\0\0\4\3\0\0\0\0\1\0\0\0\2"), 20));
    assert_closed(h, FL_ESTREAM_RESET);
    assert_conn_closed(&b.client, FL_EPROTO);
    bed_deinit(&b);
}

static void test_goaways(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_bare_h2(&b);
    assert_true(flood(&b, BYTES("\0\0\x8\7\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0"), 20));
    assert_closed(h, FL_EPROTO);
    bed_deinit(&b);
}

/* A head that never ends. */
static void test_continuations(void **state) {
    FL_UNUSED(state);
    flood_client(BYTES("\0\0\1\1\0\0\0\0\1\x88"), BYTES("\0\0\0\x9\0\0\0\0\1"));
    flood_server(BYTES("\0\0\6\1\0\0\0\0\1\x82\x86\x84\x41\x01x"), BYTES("\0\0\0\x9\0\0\0\0\1"));
}

/* --- CVE-2023-44487: each request is taken back at once --- */

static unsigned requests_seen;

static void busy_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                       uint32_t h2_code) {
    FL_UNUSED(arg), FL_UNUSED(stream), FL_UNUSED(why), FL_UNUSED(h2_code);
}

/* A server that is still thinking. */
static void busy_request(void *arg, struct fl_http_stream *stream,
                         const struct fl_http_request *head) {
    static const struct fl_http_stream_events events = {.on_close = busy_close};
    FL_UNUSED(arg), FL_UNUSED(head);
    requests_seen++;
    fl_http_stream_attach(stream, &events, NULL);
}

static void add_taken_back(struct fl_buf *batch, uint32_t id) {
    char frames[] = "\0\0\6\1\5\0\0\0\0\x82\x86\x84\x41\x01x"
                    "\0\0\4\3\0\0\0\0\0\0\0\0\x8";
    for (int i = 0; i < 4; i++) {
        frames[5 + i] = (char)(id >> (24 - 8 * i));
        frames[20 + i] = (char)(id >> (24 - 8 * i));
    }
    assert_int_equal(fl_buf_append(batch, fl_str_n(frames, sizeof frames - 1)), 0);
}

static void set_true(void *arg) { *(bool *)arg = true; }

static void test_rapid_reset(void **state) {
    struct bed b;
    struct fl_buf batch;
    struct fl_http_server *server;
    bool closed = false;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    fl_listener_close(b.io, b.listener);
    struct fl_http_server_options options = {.host = FL_STR("127.0.0.1"), .port = BED_PORT};
    assert_int_equal(fl_http_server_new(b.io, &options, busy_request, NULL, &server, NULL), 0);
    bed_raw_dial(&b, BYTES(PREFACE SETTINGS));
    bed_run(&b, 100);
    fl_buf_init(&batch, (size_t)1 << 20);
    requests_seen = 0;
    for (uint32_t id = 1; b.raw.sock && id < 100000; id += 2) {
        add_taken_back(&batch, id);
        if (id % 2000 != 1) continue;
        bed_raw_send(&b, fl_buf_str(&batch));
        fl_buf_truncate(&batch, 0);
        bed_run(&b, 20);
        assert_in_range(fl_area_bytes(FL_AREA_HTTP), 0, HELD_MAX);
    }
    assert_null(b.raw.sock);
    assert_in_range(requests_seen, 1, 5000);
    fl_buf_deinit(&batch);
    fl_http_server_close(server, set_true, &closed);
    bed_run(&b, 2000);
    assert_true(closed);
    b.listener = NULL;
    bed_deinit(&b);
}

/* --- what is allowed goes on --- */

static void test_frames_with_something_useful_between(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_bare_h2(&b);
    bed_raw_send(&b, BYTES(HEAD_ONLY));
    for (int i = 0; i < 30; i++) {
        assert_false(flood(&b, BYTES("\0\0\x8\6\0\0\0\0\0abcdefgh"), 9));
        bed_raw_send(&b, BYTES("\0\0\1\0\0\0\0\0\1x"));
        bed_run(&b, 20);
    }
    assert_int_equal(h->body.len, 30);
    assert_int_equal(h->closes, 0);
    bed_deinit(&b);
}

static void test_a_ping_a_second_for_a_day(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_bare_h2(&b);
    for (int i = 0; i < 86400; i++) {
        bed_raw_send(&b, BYTES("\0\0\x8\6\0\0\0\0\0abcdefgh"));
        bed_run(&b, 1000);
        if (i % 1000 == 0) fl_buf_truncate(&b.raw.got, 0);
    }
    assert_int_equal(h->closes, 0);
    bed_deinit(&b);
}

/* --- bounds --- */

static void expect_client_ends(struct fl_str frames, int stream_code, bool conn_too) {
    struct bed b;
    struct heard *h = bed_asked_bare_h2(&b);
    bed_raw_send(&b, frames);
    bed_run(&b, 1000);
    assert_closed(h, stream_code);
    assert_int_equal(b.client.closes, conn_too);
    bed_deinit(&b);
}

static void test_window_overflow(void **state) {
    FL_UNUSED(state);
    expect_client_ends(BYTES("\0\0\4\x8\0\0\0\0\1\x7f\xff\xff\xff"), FL_EPROTO, false);
    expect_client_ends(BYTES("\0\0\4\x8\0\0\0\0\0\x7f\xff\xff\xff"), FL_EPROTO, true);
    /* By a change of the initial window while one is larger already. */
    expect_client_ends(BYTES("\0\0\4\x8\0\0\0\0\1\0\1\0\0"
                             "\0\0\6\4\0\0\0\0\0\0\4\x7f\xff\xff\xff"),
                       FL_EPROTO, false);
    /* Increments of nothing. */
    expect_client_ends(BYTES("\0\0\4\x8\0\0\0\0\1\0\0\0\0"), FL_EPROTO, true);
}

/* More body than the window allows. */
static void test_body_beyond_the_window(void **state) {
    struct bed b;
    struct fl_buf frame;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.client_options.window_bytes = 65536;
    b.raw_server = true;
    b.raw.greeting = BYTES(SETTINGS);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    h->hoard = true;
    bed_run(&b, 100);
    bed_raw_send(&b, BYTES(SETTINGS HEAD_ONLY "\0\0\0\4\1\0\0\0\0"));
    fl_buf_init(&frame, 20000);
    assert_int_equal(fl_buf_append(&frame, BYTES("\0\x40\0\0\0\0\0\0\1")), 0);
    assert_non_null(fl_buf_reserve(&frame, 16384));
    memset(fl_buf_reserve(&frame, 16384), 'x', 16384);
    fl_buf_commit(&frame, 16384);
    for (int i = 0; i < 20 && b.raw.sock; i++) {
        bed_raw_send(&b, fl_buf_str(&frame));
        bed_run(&b, 20);
    }
    assert_closed(h, FL_EPROTO);
    assert_in_range(h->body.len, 65536, 65536 + 16384); /* and not one frame more */
    fl_buf_deinit(&frame);
    bed_deinit(&b);
}

/* A table entry of 4 KB, told again and again by one byte: 16 KB become 40 MB, of which none is
 * kept. The stream is refused, the connection goes on. */
static void test_hpack_bomb(void **state) {
    struct bed b;
    struct fl_buf block;
    FL_UNUSED(state);
    struct heard *h = bed_asked_bare_h2(&b);
    fl_buf_init(&block, 20000);
    /* A literal with indexing: name "a", value of 4000 bytes (7-bit prefix: 127 + 3873). */
    assert_int_equal(fl_buf_append(&block, BYTES("\x88\x40\x01"
                                                 "a\x7f\xa1\x1e")),
                     0);
    for (int i = 0; i < 4000; i++) assert_int_equal(fl_buf_byte(&block, 'v'), 0);
    while (block.len < 14000) assert_int_equal(fl_buf_byte(&block, (char)0xbe), 0);
    char head[9] = {0, (char)(block.len >> 8), (char)block.len, 1, 5, 0, 0, 0, 1};
    size_t before = fl_area_bytes(FL_AREA_HTTP);
    bed_raw_send(&b, fl_str_n(head, sizeof head));
    bed_raw_send(&b, fl_buf_str(&block));
    bed_run(&b, 1000);
    assert_closed(h, FL_ETOO_LARGE);
    assert_int_equal(b.client.closes, 0);
    assert_in_range(fl_area_bytes(FL_AREA_HTTP), 0, before + 100000);
    fl_buf_deinit(&block);
    bed_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_frames),
        cmocka_unit_test(test_window_updates),
        cmocka_unit_test(test_empty_data),
        cmocka_unit_test(test_interim_heads),
        cmocka_unit_test(test_resets_of_what_is_gone),
        cmocka_unit_test(test_goaways),
        cmocka_unit_test(test_continuations),
        cmocka_unit_test(test_rapid_reset),
        cmocka_unit_test(test_frames_with_something_useful_between),
        cmocka_unit_test(test_a_ping_a_second_for_a_day),
        cmocka_unit_test(test_window_overflow),
        cmocka_unit_test(test_body_beyond_the_window),
        cmocka_unit_test(test_hpack_bomb),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
