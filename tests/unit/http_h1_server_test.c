/* http_h1_server_test.c - HTTP/1.1 connections from bare clients: whatever they ask. */
#include "support/http_bed.h"

/* A bare client against our server. */
static void raw_request(struct bed *b, struct fl_str bytes) {
    bed_init(b, &bed_plain);
    b->echo = true;
    bed_raw_dial(b, bytes);
    bed_run(b, 1000);
}

static void test_one_port_for_both_versions(void **state) {
    struct bed b;
    FL_UNUSED(state);
    raw_request(&b, FL_STR(REQUEST));
    assert_true(bed_raw_got(&b, "HTTP/1.1 200 OK\r\nx-answer: 42\r\ncontent-length: 0\r\n\r\n"));
    assert_int_equal(b.servers[0].closes, 0);
    assert_false(fl_http_conn_is_h2(b.servers[0].conn));
    bed_version(&b, FL_HTTP_2);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    assert_true(fl_http_conn_is_h2(b.servers[1].conn));
    bed_deinit(&b);
}

/* Requests sent ahead are answered one after the other, in order. */
static void test_two_requests_in_one_write(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    bed_raw_dial(&b, FL_STR("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
                            "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
                            "GET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
                            "GET /4 HTTP/1.1\r\nHost: h\r\n\r\n"));
    bed_run(&b, 1000);
    assert_int_equal(b.request_count, 1);
    assert_body(bed_request(&b, 0), "one");
    bed_respond(bed_request(&b, 0), 201, true);
    bed_run(&b, 1000);
    assert_int_equal(b.request_count, 2);
    assert_string_equal(bed_request(&b, 1)->path, "/2");
    assert_true(bed_raw_got(&b, "HTTP/1.1 201 CREATED\r\n"));
    bed_respond(bed_request(&b, 1), 200, true);
    bed_run(&b, 1000);
    assert_string_equal(bed_request(&b, 2)->path, "/3");
    bed_respond(bed_request(&b, 2), 404, true);
    bed_run(&b, 1000);
    assert_true(bed_raw_got(&b, "HTTP/1.1 404 NOT FOUND\r\n"));
    assert_true(bed_raw_got(&b, "connection: close\r\n"));
    assert_int_equal(b.request_count, 3);
    assert_int_equal(b.servers[0].closes, 1);
    bed_deinit(&b);
}

/* A large body behind a request that is not answered yet stays with its sender. */
static void test_bytes_ahead_are_held_back(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    bed_raw_dial(&b, FL_STR("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
                            "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n"));
    static char body[3000000];
    bed_raw_send(&b, fl_str_n(body, sizeof body));
    bed_run(&b, 10000);
    assert_true(fl_sock_queued(b.io, b.raw.sock) > 2500000);
    bed_respond(bed_request(&b, 0), 200, true);
    bed_run(&b, 10000);
    assert_int_equal(bed_request(&b, 1)->body.len, sizeof body);
    bed_deinit(&b);
}

/* A client that closed its side behind two requests is answered both, then it is over. */
static void test_requests_then_eof(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    bed_raw_dial(&b,
                 FL_STR("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"));
    fl_sock_close(b.io, b.raw.sock);
    bed_run(&b, 100);
    bed_respond(bed_request(&b, 0), 200, true);
    fl_world_step(b.world);
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_BLACKHOLE); /* no reset comes back */
    bed_run(&b, 100);
    bed_respond(bed_request(&b, 1), 200, true);
    bed_run(&b, 2000);
    assert_closed(bed_request(&b, 1), FL_OK);
    assert_conn_closed(&b.servers[0], FL_ECLOSED);
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    bed_deinit(&b);
}

/* A response before the request is whole: what is left of the request is not read. */
static void test_response_before_the_request_is_whole(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    bed_raw_dial(&b, FL_STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf"));
    bed_run(&b, 100);
    bed_respond(bed_request(&b, 0), 413, true);
    bed_run(&b, 100);
    assert_true(bed_raw_got(&b, "HTTP/1.1 413 "));
    assert_closed(bed_request(&b, 0), FL_OK);
    assert_int_equal(b.servers[0].closes, 1);
    bed_deinit(&b);
}

static void test_upgrade_is_not_taken_up(void **state) {
    struct bed b;
    FL_UNUSED(state);
    raw_request(&b, FL_STR("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n"
                           "Connection: upgrade\r\n\r\n" REQUEST));
    assert_int_equal(b.request_count, 2);
    assert_true(bed_raw_got(&b, "HTTP/1.1 200 OK\r\n"));
    assert_int_equal(b.servers[0].closes, 0);
    bed_deinit(&b);
}

static void test_http_10_client(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    bed_raw_dial(&b, FL_STR("GET / HTTP/1.0\r\n\r\n"));
    bed_run(&b, 100);
    bed_respond(bed_request(&b, 0), 200, false);
    bed_write(bed_request(&b, 0), FL_STR("until the end"), true);
    bed_run(&b, 100);
    assert_true(bed_raw_got(&b, "connection: close\r\n\r\nuntil the end"));
    assert_int_equal(b.servers[0].closes, 1);
    bed_deinit(&b);
}

static void test_absolute_form_and_expect(void **state) {
    struct bed b;
    FL_UNUSED(state);
    raw_request(&b, FL_STR("POST http://other:80/p?q HTTP/1.1\r\nHost: h\r\n"
                           "Expect: 100-continue\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"
                           "Content-Length: 4\r\n\r\nbody"));
    struct heard *r = bed_request(&b, 0);
    assert_string_equal(r->authority, "other:80");
    assert_string_equal(r->path, "/p?q");
    assert_string_equal(r->text, "expect=100-continue;content-length=4;");
    assert_body(r, "body");
    assert_closed(r, FL_OK);
    assert_true(bed_raw_got(&b, "HTTP/1.1 200 OK\r\n"));
    assert_int_equal(b.servers[0].closes, 0);
    bed_deinit(&b);
}

static void test_client_that_waits_for_100(void **state) {
    struct bed b;
    FL_UNUSED(state);
    raw_request(&b, FL_STR("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n"
                           "Content-Length: 4\r\n\r\n"));
    assert_true(bed_raw_got(&b, "HTTP/1.1 100 Continue\r\n\r\n"));
    assert_false(bed_raw_got(&b, "HTTP/1.1 200"));
    bed_raw_send(&b, FL_STR("body"));
    bed_run(&b, 100);
    assert_closed(bed_request(&b, 0), FL_OK);
    assert_true(bed_raw_got(&b, "Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
    bed_deinit(&b);
}

static void test_http_10_client_gets_no_100(void **state) {
    struct bed b;
    FL_UNUSED(state);
    raw_request(&b, FL_STR("POST / HTTP/1.0\r\nExpect: 100-continue\r\n"
                           "Content-Length: 4\r\n\r\n"));
    assert_int_equal(b.raw.got.len, 0);
    bed_raw_send(&b, FL_STR("body"));
    bed_run(&b, 100);
    assert_closed(bed_request(&b, 0), FL_OK);
    bed_deinit(&b);
}

/* Row P13: what could be read in two ways is refused, and the connection with it. */
static void test_P13_ambiguous_requests_are_refused(void **state) {
    static const char *const bad[] = {
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: "
        "5\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 6\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n",
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n folded: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\rY: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n X: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\vchunked\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX y: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\001\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        "PRI / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\xfc\x03\x03", /* TLS where none is spoken */
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(bad); i++) {
        struct bed b;
        raw_request(&b, fl_str_of(bad[i]));
        if (!bed_raw_got(&b, "HTTP/1.1 400 BAD REQUEST\r\n")) fail_msg("taken: %s", bad[i]);
        assert_conn_closed(&b.servers[0], FL_EPROTO);
        bed_deinit(&b);
    }
}

/* However the bytes are cut, a folded line is seen as one, and a long value is not. */
static void test_P13_folding_in_any_pieces(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct bed b;
        bed_init(&b, &(struct fl_world_options){.seed = seed, .chop = true});
        b.echo = true;
        bed_raw_dial(&b, FL_STR("GET /long/target HTTP/1.1\r\nHost: host.example\r\n"
                                "X-Long: value with blanks  in it \r\n\r\n"));
        bed_run(&b, 1000);
        assert_int_equal(b.servers[0].closes, 0);
        assert_string_equal(bed_request(&b, 0)->text, "x-long=value with blanks  in it ;");
        bed_raw_send(&b, FL_STR("GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n folded\r\n\r\n"));
        bed_run(&b, 1000);
        assert_int_equal(b.request_count, 1);
        assert_int_equal(b.servers[0].why.code, FL_EPROTO);
        bed_deinit(&b);
    }
}

static void test_header_bomb_against_a_server(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    bed_raw_dial(&b, FL_STR("GET / HTTP/1.1\r\nHost: h\r\n"));
    for (int i = 0; i < 2000; i++) bed_raw_send(&b, FL_STR("X-Bomb: aaaaaaaaaaaaaaaaaaaaaa\r\n"));
    bed_run(&b, 1000);
    assert_int_equal(b.request_count, 0);
    assert_conn_closed(&b.servers[0], FL_ETOO_LARGE);
    assert_true(bed_raw_got(&b, "HTTP/1.1 431 "));
    bed_deinit(&b);
}

/* Row P14: a head that never ends, on a new connection and on a kept one. */
static void test_P14_half_a_head_ends_by_deadline(void **state) {
    static const char *const halves[] = {"GET /a", REQUEST "GET / HTTP/1.1\r\nHo"};
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(halves); i++) {
        struct bed b;
        bed_init(&b, &bed_plain);
        b.echo = true;
        b.server_options.ready_timeout_ms = 3000;
        bed_raw_dial(&b, fl_str_of(halves[i]));
        for (int k = 0; k < 4; k++) {
            bed_run(&b, 600);
            assert_int_equal(b.servers[0].closes, 0);
            bed_raw_send(&b, FL_STR("s")); /* dripping does not help */
        }
        bed_run(&b, 1000);
        assert_conn_closed(&b.servers[0], FL_ETIMEOUT);
        bed_deinit(&b);
    }
}

static void test_client_that_says_nothing(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    b.server_options.ready_timeout_ms = 3000;
    bed_raw_dial(&b, FL_STR_NONE);
    bed_run(&b, 3500);
    assert_conn_closed(&b.servers[0], FL_ETIMEOUT);
    bed_deinit(&b);
}

static void test_client_gone_in_the_middle(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    bed_raw_dial(&b, FL_STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf"));
    bed_run(&b, 100);
    fl_sock_close(b.io, b.raw.sock);
    bed_run(&b, 100);
    assert_closed(bed_request(&b, 0), FL_ECLOSED);
    assert_int_equal(b.servers[0].closes, 1);
    bed_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_port_for_both_versions),
        cmocka_unit_test(test_two_requests_in_one_write),
        cmocka_unit_test(test_bytes_ahead_are_held_back),
        cmocka_unit_test(test_requests_then_eof),
        cmocka_unit_test(test_response_before_the_request_is_whole),
        cmocka_unit_test(test_upgrade_is_not_taken_up),
        cmocka_unit_test(test_http_10_client),
        cmocka_unit_test(test_absolute_form_and_expect),
        cmocka_unit_test(test_client_that_waits_for_100),
        cmocka_unit_test(test_http_10_client_gets_no_100),
        cmocka_unit_test(test_P13_ambiguous_requests_are_refused),
        cmocka_unit_test(test_P13_folding_in_any_pieces),
        cmocka_unit_test(test_header_bomb_against_a_server),
        cmocka_unit_test(test_P14_half_a_head_ends_by_deadline),
        cmocka_unit_test(test_client_that_says_nothing),
        cmocka_unit_test(test_client_gone_in_the_middle),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
