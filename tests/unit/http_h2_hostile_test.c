/* http_h2_hostile_test.c - HTTP/2 connections and peers that break the protocol or its bounds. */
#include "support/http_bed.h"

#include "http/limits.h"

static void raw_answer(struct bed *b, struct fl_str bytes) {
    bed_open_h2(b, &bed_plain);
    b->raw_server = true;
    b->raw.greeting = bytes;
    bed_dial(b);
    bed_run(b, 1000);
}

static void test_garbage_from_a_server(void **state) {
    struct bed b;
    FL_UNUSED(state);
    raw_answer(&b, FL_STR("HTTP/1.1 400 Bad Request\r\n\r\nthis is not what you wanted, is it?"));
    assert_conn_closed(&b.client, FL_EPROTO);
    assert_int_equal(b.client.readies, 0);
    bed_deinit(&b);
}

static void test_garbage_from_a_client(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    b.server_options.version = FL_HTTP_2;
    bed_raw_dial(&b, FL_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nXXXXXXXXXXXXXXXXXXXXXXXX"));
    bed_run(&b, 1000);
    assert_conn_closed(&b.servers[0], FL_EPROTO);
    assert_null(b.raw.sock);
    bed_deinit(&b);
}

/* A peer's fault of the whole connection ends its streams with it. */
static void test_violation_ends_streams(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_bare_h2(&b);
    bed_raw_send(&b, BYTES("\0\0\1\0\0\0\0\0\0x")); /* DATA on stream 0 */
    bed_run(&b, 100);
    assert_closed(h, FL_EPROTO);
    assert_int_equal(b.client.why.code, FL_EPROTO);
    bed_deinit(&b);
}

static void test_header_bomb_refuses_the_stream(void **state) {
    struct bed b;
    char value[600];
    FL_UNUSED(state);
    memset(value, 'v', sizeof value);
    bed_open_h2(&b, &bed_plain);
    b.client_options.header_bytes_max = 2000;
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/"), *other = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    struct fl_http_header headers[50];
    for (size_t i = 0; i < FL_COUNT(headers); i++)
        headers[i] = (struct fl_http_header){FL_STR("x-bomb"), fl_str_n(value, sizeof value)};
    struct fl_http_response head = {200, {headers, FL_COUNT(headers)}};
    assert_int_equal(fl_http_stream_respond(bed_request(&b, 0)->stream, &head, true), 0);
    bed_respond(bed_request(&b, 1), 200, true);
    bed_run(&b, 100);
    assert_closed(h, FL_ETOO_LARGE);
    assert_complete(other, 200);
    assert_int_equal(b.client.closes, 0);
    bed_deinit(&b);
}

/* A request with too large a head is refused and its stream never shown. */
static void test_header_bomb_against_a_server(void **state) {
    struct bed b;
    char value[600];
    FL_UNUSED(state);
    memset(value, 'v', sizeof value);
    bed_open_h2(&b, &bed_plain);
    b.echo = true;
    b.server_options.header_bytes_max = 500;
    bed_connect(&b);
    struct fl_http_header header = {FL_STR("x-bomb"), fl_str_n(value, sizeof value)};
    struct heard *h = bed_ask_with(&b, (struct fl_http_headers){&header, 1});
    struct heard *other = bed_ask(&b, "GET", "/");
    bed_run(&b, 1000);
    assert_closed(h, FL_ESTREAM_RESET);
    assert_complete(other, 200);
    assert_int_equal(b.request_count, 1);
    bed_deinit(&b);
}

static int64_t limited(const struct bed *b, enum fl_http_limit limit) {
    return fl_metric_value(fl_http_limit_metric(b->io, limit));
}

static void test_streams_beyond_the_limit_are_refused(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    b.server_options.streams_max = 1;
    bed_raw_dial(&b, BYTES(PREFACE SETTINGS GET_HEADERS /* and another one, as stream 3 */
                           "\0\0\6\1\5\0\0\0\3\x82\x86\x84\x41\x01x"));
    bed_run(&b, 100);
    assert_int_equal(b.request_count, 1);
    assert_int_equal(b.servers[0].closes, 0);
    assert_int_equal(limited(&b, FL_HTTP_LIMIT_STREAMS), 1);
    bed_deinit(&b);
}

/* Every bound that is reached is counted once. */
static void test_bounds_are_counted(void **state) {
    struct bed b;
    char value[600];
    FL_UNUSED(state);
    memset(value, 'v', sizeof value);
    bed_open_h2(&b, &bed_plain);
    b.server_options.header_bytes_max = 500;
    b.server_options.streams_max = 2;
    bed_connect(&b);
    for (int limit = 0; limit < FL_HTTP_LIMIT_COUNT; limit++)
        assert_int_equal(limited(&b, (enum fl_http_limit)limit), 0);
    struct fl_http_header header = {FL_STR("x-bomb"), fl_str_n(value, sizeof value)};
    struct heard *h = bed_ask_with(&b, (struct fl_http_headers){&header, 1}),
                 *body = bed_ask_open(&b, "POST", "/"), *none;
    assert_int_equal(bed_try_ask(&b, "GET", "/", &none), FL_EFULL);
    bed_fill(body, FL_HTTP_QUEUE_MAX, false);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fl_http_stream_write(body->stream, FL_STR("x"), false), FL_EFULL);
    bed_run(&b, 1000);
    assert_closed(h, FL_ESTREAM_RESET);
    assert_int_equal(limited(&b, FL_HTTP_LIMIT_HEADER_LIST), 1);
    assert_int_equal(limited(&b, FL_HTTP_LIMIT_ROOM), 1);
    assert_int_equal(limited(&b, FL_HTTP_LIMIT_BODY_QUEUE), 1);
    assert_int_equal(limited(&b, FL_HTTP_LIMIT_STREAMS), 0);
    bed_deinit(&b);
}

/* Frames that want an answer, from a peer that reads none. */
static void test_ping_flood(void **state) {
    struct bed b;
    struct fl_buf flood;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    fl_buf_init(&flood, (size_t)1 << 20);
    for (int i = 0; i < 12000; i++)
        assert_int_equal(fl_buf_append(&flood, BYTES("\0\0\x8\6\0\0\0\0\0abcdefgh")), 0);
    bed_raw_dial(&b, BYTES(PREFACE SETTINGS GET_HEADERS));
    fl_sock_pause(b.io, b.raw.sock, true);
    for (int i = 0; i < 10; i++) {
        if (!b.raw.sock) break;
        bed_raw_send(&b, fl_buf_str(&flood));
        bed_run(&b, 1000);
    }
    assert_conn_closed(&b.servers[0], FL_EPROTO);
    fl_buf_deinit(&flood);
    bed_deinit(&b);
}

/* Requests that are refused for their size, from a peer that reads no refusal. */
static void test_refusal_flood(void **state) {
    struct bed b;
    struct fl_buf flood;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    b.server_options.header_bytes_max = 60;
    fl_buf_init(&flood, (size_t)4 << 20);
    for (uint32_t id = 3; id < 100000; id += 2) {
        char frame[] = "\0\0\x10\1\5\0\0\0\0\x82\x86\x84\0\1a\x9"
                       "123456789";
        frame[5] = (char)(id >> 24);
        frame[6] = (char)(id >> 16);
        frame[7] = (char)(id >> 8);
        frame[8] = (char)id;
        assert_int_equal(fl_buf_append(&flood, fl_str_n(frame, 25)), 0);
    }
    bed_raw_dial(&b, BYTES(PREFACE SETTINGS));
    fl_sock_pause(b.io, b.raw.sock, true);
    bed_raw_send(&b, fl_buf_str(&flood));
    bed_run(&b, 10000);
    assert_int_equal(b.request_count, 0);
    assert_conn_closed(&b.servers[0], FL_EPROTO);
    fl_buf_deinit(&flood);
    bed_deinit(&b);
}

/* A field that HTTP forbids makes the message malformed; it is not just left out. */
static void test_malformed_field(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_bare_h2(&b);
    bed_raw_send(&b, BYTES("\0\0\6\1\5\0\0\0\1\x88\0\1a\1\1"));
    bed_run(&b, 100);
    assert_closed(h, FL_EPROTO);
    assert_int_equal(h->heads, 0);
    assert_int_equal(b.client.closes, 0);
    bed_deinit(&b);
}

/* What stands behind the request that made its owner abort is not shown any more. */
static void test_abort_at_a_request(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    b.abort = true;
    bed_raw_dial(&b, BYTES(PREFACE SETTINGS GET_HEADERS "\0\0\6\1\5\0\0\0\3\x82\x86\x84\x41\x01x"));
    bed_run(&b, 100);
    assert_int_equal(b.request_count, 1);
    assert_closed(bed_request(&b, 0), FL_ECANCELLED);
    bed_deinit(&b);
}

static void test_head_too_large_to_send(void **state) {
    struct bed b;
    static char value[100000];
    FL_UNUSED(state);
    memset(value, 'v', sizeof value);
    bed_echo_h2(&b, &bed_plain);
    struct fl_http_header header = {FL_STR("x-a"), fl_str_n(value, sizeof value)};
    struct heard *h = bed_ask_with(&b, (struct fl_http_headers){&header, 1});
    struct heard *other = bed_ask(&b, "GET", "/");
    bed_run(&b, 1000);
    assert_closed(h, FL_ETOO_LARGE);
    assert_complete(other, 200);
    b.echo = false;
    struct heard *third = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    struct fl_http_response answer = {200, {&header, 1}};
    struct heard *r = bed_request(&b, 1);
    assert_int_equal(fl_http_stream_respond(r->stream, &answer, true), 0);
    bed_run(&b, 100);
    assert_closed(r, FL_ETOO_LARGE);
    assert_closed(third, FL_ESTREAM_RESET);
    assert_int_equal(b.client.closes, 0);
    bed_deinit(&b);
}

static void test_push_is_refused(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_bare_h2(&b);
    bed_raw_send(&b, BYTES("\0\0\0\4\1\0\0\0\0")); /* it knows our SETTINGS */
    bed_raw_send(&b, BYTES("\0\0\xa\5\4\0\0\0\1\0\0\0\2\x82\x86\x84\x41\x01x"));
    bed_run(&b, 100);
    assert_closed(h, FL_EPROTO);
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_garbage_from_a_server),
        cmocka_unit_test(test_garbage_from_a_client),
        cmocka_unit_test(test_violation_ends_streams),
        cmocka_unit_test(test_header_bomb_refuses_the_stream),
        cmocka_unit_test(test_header_bomb_against_a_server),
        cmocka_unit_test(test_streams_beyond_the_limit_are_refused),
        cmocka_unit_test(test_bounds_are_counted),
        cmocka_unit_test(test_ping_flood),
        cmocka_unit_test(test_refusal_flood),
        cmocka_unit_test(test_malformed_field),
        cmocka_unit_test(test_abort_at_a_request),
        cmocka_unit_test(test_head_too_large_to_send),
        cmocka_unit_test(test_push_is_refused),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
