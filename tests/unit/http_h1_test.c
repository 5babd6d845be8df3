/* http_h1_test.c - HTTP/1.1 connections, both sides, over a simulated network. */
#include "support/http_bed.h"

#include <stdio.h>

#include "http/inner.h"

static const struct fl_world_options plain = {.seed = 1};

#define REQUEST  "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
#define RESPONSE "HTTP/1.1 200 OK\r\n"

static void bed_h1(struct bed *b, const struct fl_world_options *world) {
    bed_init(b, world);
    bed_version(b, FL_HTTP_1);
}

static void bed_echo(struct bed *b, const struct fl_world_options *world) {
    bed_h1(b, world);
    b->echo = true;
    bed_connect(b);
}

/* A client that has asked, and a bare server. */
static struct heard *ask_raw(struct bed *b, const char *method) {
    bed_h1(b, &plain);
    b->raw_server = true;
    bed_connect(b);
    struct heard *h = bed_ask(b, method, "/");
    bed_run(b, 100);
    return h;
}

/* A bare client against our server. */
static void raw_request(struct bed *b, struct fl_str bytes) {
    bed_init(b, &plain);
    b->echo = true;
    bed_raw_dial(b, bytes);
    bed_run(b, 1000);
}

/* --- exchanges --- */

static void test_request_and_response(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_echo(&b, &plain);
    assert_false(fl_http_conn_is_h2(b.client.conn));
    struct heard *h = bed_ask_open(&b, "POST", "/a?b=c");
    bed_write(h, FL_STR("hello"), true);
    assert_int_equal(fl_http_conn_room(b.client.conn), 0);
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    assert_body(h, "hello");
    assert_string_equal(h->text, "x-answer=42;");
    struct heard *r = bed_request(&b, 0);
    assert_closed(r, FL_OK);
    assert_string_equal(r->method, "POST");
    assert_string_equal(r->path, "/a?b=c");
    assert_string_equal(r->authority, "bed:7000");
    assert_string_equal(r->text, "x-ask=a b;te=trailers;");
    assert_body(r, "hello");
    bed_deinit(&b);
}

static void test_connection_is_kept(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_echo(&b, &plain);
    for (int i = 0; i < 5; i++) {
        struct heard *h = bed_ask_open(&b, "PUT", "/");
        bed_fill(h, 1000, true);
        bed_run_closed(&b, h);
        assert_complete(h, 200);
        assert_pattern(h, 1000);
        bed_run(&b, 1);
        assert_int_equal(b.client.rooms, i + 1);
    }
    assert_int_equal(b.server_count, 1);
    bed_deinit(&b);
}

static void test_trailers_both_ways(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h1(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    bed_write(h, FL_STR("q"), false);
    bed_trailer(h, "x-sum", "1");
    bed_run(&b, 100);
    struct heard *r = bed_request(&b, 0);
    assert_int_equal(r->ends, 1);
    assert_string_equal(r->text, "x-ask=a b;te=trailers;x-sum=1;");
    bed_respond(r, 200, false);
    bed_write(r, FL_STR("a"), false);
    bed_trailer(r, "x-end", "0");
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_string_equal(h->text, "x-answer=42;x-end=0;");
    assert_closed(r, FL_OK);
    bed_deinit(&b);
}

/* A watch: chunks over minutes. */
static void test_chunks_over_minutes(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h1(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/watch");
    bed_run(&b, 100);
    struct heard *r = bed_request(&b, 0);
    bed_respond(r, 200, false);
    for (int i = 0; i < 20; i++) {
        bed_write(r, FL_STR("event;"), false);
        bed_run(&b, 60000);
        assert_int_equal(h->body.len, 6 * (i + 1));
    }
    bed_write(r, FL_STR_NONE, true);
    bed_run(&b, 100);
    assert_complete(h, 200);
    bed_deinit(&b);
}

static void test_bodies_by_content_length(void **state) {
    struct bed b;
    struct fl_http_header length = {FL_STR("content-length"), FL_STR("1000")};
    struct fl_http_response head = {200, {&length, 1}};
    FL_UNUSED(state);
    bed_h1(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    struct heard *r = bed_request(&b, 0);
    assert_int_equal(fl_http_stream_respond(r->stream, &head, false), 0);
    bed_fill(r, 1000, true);
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_pattern(h, 1000);
    assert_string_equal(h->text, "content-length=1000;");
    bed_deinit(&b);
}

/* Our own broken promise must not reach the peer as a whole message. */
static void test_shorter_than_its_content_length(void **state) {
    struct bed b;
    struct fl_http_header length = {FL_STR("content-length"), FL_STR("1000")};
    struct fl_http_response head = {200, {&length, 1}};
    FL_UNUSED(state);
    bed_h1(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    struct heard *r = bed_request(&b, 0);
    assert_int_equal(fl_http_stream_respond(r->stream, &head, false), 0);
    bed_fill(r, 999, true);
    bed_run(&b, 100);
    assert_closed(r, FL_EUSAGE);
    assert_closed(h, FL_ERESET);
    assert_int_equal(h->ends, 0);
    bed_deinit(&b);
}

static void test_longer_than_its_content_length(void **state) {
    struct bed b;
    struct fl_http_header length = {FL_STR("content-length"), FL_STR("1000")};
    struct fl_http_response head = {200, {&length, 1}};
    FL_UNUSED(state);
    bed_h1(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    struct heard *r = bed_request(&b, 0);
    assert_int_equal(fl_http_stream_respond(r->stream, &head, false), 0);
    bed_fill(r, 1001, false);
    bed_run(&b, 100);
    assert_closed(r, FL_EUSAGE);
    assert_int_equal(h->ends, 0);
    bed_deinit(&b);
}

static void test_head_has_no_body(void **state) {
    struct bed b;
    struct fl_http_header length = {FL_STR("content-length"), FL_STR("1000")};
    struct fl_http_response head = {200, {&length, 1}};
    FL_UNUSED(state);
    bed_h1(&b, &plain);
    bed_connect(&b);
    for (size_t i = 0; i < 2; i++) { /* the second shows that nothing is left in the way */
        struct heard *h = bed_ask(&b, "HEAD", "/");
        bed_run(&b, 100);
        struct heard *r = bed_request(&b, i);
        assert_string_equal(r->method, "HEAD");
        assert_int_equal(fl_http_stream_respond(r->stream, &head, false), 0);
        bed_fill(r, 1000, true);
        bed_run(&b, 100);
        assert_complete(h, 200);
        assert_int_equal(h->body.len, 0);
    }
    bed_deinit(&b);
}

static void test_status_without_body(void **state) {
    static const int statuses[] = {204, 304};
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(statuses); i++) {
        struct bed b;
        bed_h1(&b, &plain);
        bed_connect(&b);
        struct heard *h = bed_ask(&b, "GET", "/");
        bed_run(&b, 100);
        bed_respond(bed_request(&b, 0), statuses[i], true);
        bed_run(&b, 100);
        assert_complete(h, statuses[i]);
        assert_int_equal(b.client.closes, 0);
        bed_deinit(&b);
    }
}

/* --- responses of other servers --- */

static void test_body_until_close(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    bed_raw_send(&b, FL_STR(RESPONSE "\r\nhello"));
    bed_run(&b, 100);
    assert_body(h, "hello");
    assert_int_equal(h->closes, 0);
    assert_int_equal(b.client.goaways, 1); /* it cannot be kept */
    fl_sock_close(b.io, b.raw.sock);
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_OK);
    bed_deinit(&b);
}

static void test_connection_close_is_announced(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    bed_raw_send(&b, FL_STR(RESPONSE "Connection: close\r\nContent-Length: 2\r\n\r\nok"));
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_string_equal(h->text, "content-length=2;"); /* without connection headers */
    assert_int_equal(b.client.goaways, 1);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_OK);
    bed_deinit(&b);
}

static void test_interim_responses_are_skipped(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    bed_raw_send(&b, FL_STR("HTTP/1.1 100 Continue\r\n\r\n"
                            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" RESPONSE
                            "Content-Length: 2\r\nX-A: \r\n\r\nok"));
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_body(h, "ok");
    assert_string_equal(h->text, "content-length=2;x-a=;");
    assert_int_equal(b.client.closes, 0);
    bed_deinit(&b);
}

static void test_cut_in_the_middle_of_a_body(void **state) {
    static const char *const halves[] = {
        "",
        "HTTP/1.1 200 OK\r\nConte",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(halves); i++) {
        struct bed b;
        struct heard *h = ask_raw(&b, "GET");
        bed_raw_send(&b, fl_str_of(halves[i]));
        fl_sock_close(b.io, b.raw.sock);
        bed_run(&b, 100);
        assert_closed(h, FL_ECLOSED);
        assert_int_equal(h->ends, 0);
        bed_deinit(&b);
    }
}

static void test_nonsense_from_a_server(void **state) {
    static const char *const bad[] = {
        "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nA: b\001\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(bad); i++) {
        struct bed b;
        struct heard *h = ask_raw(&b, "GET");
        bed_raw_send(&b, fl_str_of(bad[i]));
        bed_run(&b, 100);
        assert_closed(h, FL_EPROTO);
        assert_int_equal(b.client.closes, 1);
        assert_int_equal(b.client.why.code, FL_EPROTO);
        bed_deinit(&b);
    }
}

/* What follows a response that nobody asked for: the exchange stands, the connection ends. */
static void test_bytes_behind_a_response(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    bed_raw_send(&b, FL_STR(RESPONSE "Content-Length: 2\r\n\r\nok" RESPONSE
                                     "Content-Length: 4\r\n\r\nevil"));
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_body(h, "ok");
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

static void test_bytes_without_a_request(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    bed_raw_send(&b, FL_STR(RESPONSE "Content-Length: 2\r\n\r\nok"));
    bed_run(&b, 1000);
    assert_complete(h, 200);
    bed_raw_send(&b, FL_STR("HTTP/1.1 408 Request Timeout\r\n\r\n"));
    bed_run(&b, 100);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_EPROTO);
    bed_deinit(&b);
}

static void test_header_bomb_from_a_server(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    bed_raw_send(&b, FL_STR(RESPONSE));
    for (int i = 0; i < 2000; i++) bed_raw_send(&b, FL_STR("X-Bomb: aaaaaaaaaaaaaaaaaaaaaa\r\n"));
    bed_run(&b, 1000);
    assert_closed(h, FL_ETOO_LARGE);
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

/* Half a head, or half a chunk, and silence: the exchange's deadline. */
static void test_silence_ends_by_deadline(void **state) {
    static const char *const halves[] = {
        "HTTP/1.1 200 OK\r\nConte",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(halves); i++) {
        struct bed b;
        struct heard *h = ask_raw(&b, "GET");
        fl_http_stream_deadline(h->stream, fl_io_now_ms(b.io) + 2000);
        bed_raw_send(&b, fl_str_of(halves[i]));
        bed_run(&b, 1900);
        assert_int_equal(h->closes, 0);
        bed_run(&b, 200);
        assert_closed(h, FL_EDEADLINE);
        assert_int_equal(b.client.closes, 1);
        bed_deinit(&b);
    }
}

/* The end of the response and of the connection in one turn of a loop. */
static void test_end_of_both_at_once(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    b.client.conn->proto->feed(b.client.conn, FL_STR(RESPONSE "Content-Length: 2\r\n\r\nok"));
    b.client.conn->proto->eof(b.client.conn);
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

static void test_early_response(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h1(&b, &plain);
    b.raw_server = true;
    bed_connect(&b);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    bed_write(h, FL_STR("half"), false);
    bed_run(&b, 100);
    bed_raw_send(&b, FL_STR("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"));
    bed_run(&b, 100);
    assert_complete(h, 413);
    assert_int_equal(b.client.closes, 1); /* half a request is no place for another */
    bed_deinit(&b);
}

/* --- requests of other clients --- */

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
    bed_init(&b, &plain);
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
    bed_init(&b, &plain);
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
    bed_init(&b, &plain);
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
    assert_int_equal(b.servers[0].closes, 1);
    assert_int_equal(b.servers[0].why.code, FL_ECLOSED);
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    bed_deinit(&b);
}

/* A response before the request is whole: what is left of the request is not read. */
static void test_response_before_the_request_is_whole(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &plain);
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
    bed_init(&b, &plain);
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
        assert_int_equal(b.servers[0].closes, 1);
        assert_int_equal(b.servers[0].why.code, FL_EPROTO);
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
    bed_init(&b, &plain);
    bed_raw_dial(&b, FL_STR("GET / HTTP/1.1\r\nHost: h\r\n"));
    for (int i = 0; i < 2000; i++) bed_raw_send(&b, FL_STR("X-Bomb: aaaaaaaaaaaaaaaaaaaaaa\r\n"));
    bed_run(&b, 1000);
    assert_int_equal(b.request_count, 0);
    assert_int_equal(b.servers[0].closes, 1);
    assert_int_equal(b.servers[0].why.code, FL_ETOO_LARGE);
    assert_true(bed_raw_got(&b, "HTTP/1.1 431 "));
    bed_deinit(&b);
}

/* Row P14: a head that never ends, on a new connection and on a kept one. */
static void test_P14_half_a_head_ends_by_deadline(void **state) {
    static const char *const halves[] = {"GET /a", REQUEST "GET / HTTP/1.1\r\nHo"};
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(halves); i++) {
        struct bed b;
        bed_init(&b, &plain);
        b.echo = true;
        b.server_options.ready_timeout_ms = 3000;
        bed_raw_dial(&b, fl_str_of(halves[i]));
        for (int k = 0; k < 4; k++) {
            bed_run(&b, 600);
            assert_int_equal(b.servers[0].closes, 0);
            bed_raw_send(&b, FL_STR("s")); /* dripping does not help */
        }
        bed_run(&b, 1000);
        assert_int_equal(b.servers[0].closes, 1);
        assert_int_equal(b.servers[0].why.code, FL_ETIMEOUT);
        bed_deinit(&b);
    }
}

static void test_client_that_says_nothing(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &plain);
    b.server_options.ready_timeout_ms = 3000;
    bed_raw_dial(&b, FL_STR_NONE);
    bed_run(&b, 3500);
    assert_int_equal(b.servers[0].closes, 1);
    assert_int_equal(b.servers[0].why.code, FL_ETIMEOUT);
    bed_deinit(&b);
}

static void test_client_gone_in_the_middle(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &plain);
    bed_raw_dial(&b, FL_STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf"));
    bed_run(&b, 100);
    fl_sock_close(b.io, b.raw.sock);
    bed_run(&b, 100);
    assert_closed(bed_request(&b, 0), FL_ECLOSED);
    assert_int_equal(b.servers[0].closes, 1);
    bed_deinit(&b);
}

/* --- back-pressure --- */

static void test_receiver_that_does_not_consume_stops_the_sender(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h1(&b, &plain);
    b.client_options.window_bytes = 100000;
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/big");
    h->hoard = true;
    bed_run(&b, 100);
    struct heard *r = bed_request(&b, 0);
    bed_respond(r, 200, false);
    bed_fill(r, 4000000, false);
    bed_run(&b, 60000);
    assert_in_range(h->body.len, 100000, 100000 + 65536);
    assert_true(fl_http_stream_queued(r->stream) > 3000000);
    h->hoard = false;
    bed_consume(h, h->body.len);
    bed_run(&b, 60000);
    assert_int_equal(r->writables, 1);
    bed_write(r, FL_STR_NONE, true);
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    assert_pattern(h, 4000000);
    bed_deinit(&b);
}

static void test_server_that_does_not_consume_stops_the_client(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h1(&b, &plain);
    b.hoard = true;
    b.server_options.window_bytes = 100000;
    bed_connect(&b);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    bed_fill(h, 4000000, true);
    bed_run(&b, 10000);
    struct heard *r = bed_request(&b, 0);
    assert_in_range(r->body.len, 100000, 100000 + 65536);
    r->hoard = false;
    bed_consume(r, r->body.len);
    bed_run(&b, 60000);
    assert_pattern(r, 4000000);
    bed_respond(r, 200, true);
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    bed_deinit(&b);
}

/* --- leaving --- */

static void test_drain_ends_behind_the_response(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h1(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    fl_http_conn_drain(b.servers[0].conn);
    bed_run(&b, 10000);
    assert_int_equal(b.servers[0].closes, 0);
    bed_respond(bed_request(&b, 0), 200, true);
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_int_equal(b.client.goaways, 1);
    assert_int_equal(b.servers[0].closes, 1);
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

static void test_drain_of_an_idle_connection(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_echo(&b, &plain);
    bed_run_closed(&b, bed_ask(&b, "GET", "/"));
    bed_run(&b, 100);
    fl_http_conn_drain(b.servers[0].conn);
    bed_run(&b, 100);
    assert_int_equal(b.servers[0].closes, 1);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_ECLOSED);
    bed_deinit(&b);
}

/* A request whose head has begun when the drain begins is still answered. */
static void test_drain_in_the_middle_of_a_head(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &plain);
    b.echo = true;
    bed_raw_dial(&b, FL_STR("GET / HTTP/1.1\r\nHo"));
    fl_http_conn_drain(b.servers[0].conn);
    bed_run(&b, 100);
    bed_raw_send(&b, FL_STR("st: h\r\n\r\n"));
    bed_run(&b, 100);
    assert_true(bed_raw_got(&b, "HTTP/1.1 200 OK\r\n"));
    assert_true(bed_raw_got(&b, "connection: close\r\n"));
    assert_int_equal(b.servers[0].closes, 1);
    bed_deinit(&b);
}

static void test_reset_closes(void **state) {
    FL_UNUSED(state);
    for (int server = 0; server < 2; server++) {
        struct bed b;
        bed_h1(&b, &plain);
        bed_connect(&b);
        struct heard *h = bed_ask(&b, "GET", "/");
        bed_run(&b, 100);
        struct heard *r = bed_request(&b, 0);
        bed_respond(r, 200, false);
        bed_run(&b, 100);
        bed_reset(server ? r : h, 8);
        bed_run(&b, 100);
        assert_closed(server ? r : h, FL_ECANCELLED);
        assert_closed(server ? h : r, FL_ERESET);
        assert_int_equal(b.client.closes + b.servers[0].closes, 2);
        bed_deinit(&b);
    }
}

/* The connection has failed, but the turn that closes its sock is still to come. */
static void test_abort_behind_a_reset(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h1(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    bed_reset(h, 8);
    fl_http_conn_abort(b.client.conn, &(struct fl_error){FL_ESHUTDOWN, "enough"});
    bed_run(&b, 100);
    assert_closed(h, FL_ECANCELLED);
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

static void test_head_with_a_line_break_is_not_sent(void **state) {
    struct bed b;
    struct fl_http_header header = {FL_STR("x-a"), FL_STR("b\r\nx-evil: c")};
    struct fl_http_request head = {
        FL_STR("GET"), FL_STR("http"), FL_STR("h"), FL_STR("/"), {&header, 1}};
    struct fl_http_stream *none;
    FL_UNUSED(state);
    bed_echo(&b, &plain);
    assert_int_equal(
        fl_http_conn_request(b.client.conn, &head, true, &bed_events, NULL, &none, NULL),
        FL_EPROTO);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    bed_deinit(&b);
}

/* --- every piece --- */

static void test_any_chopping(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct bed b;
        bed_echo(&b, &(struct fl_world_options){.seed = seed, .chop = true});
        for (size_t i = 0; i < 3; i++) {
            struct heard *h = bed_ask_open(&b, "POST", "/");
            bed_fill(h, 1 + i * seed * 7 % 5000, false);
            bed_trailer(h, "x-end", "y");
            bed_run_closed(&b, h);
            assert_complete(h, 200);
            assert_pattern(h, 1 + i * seed * 7 % 5000);
            bed_run(&b, 10);
        }
        bed_deinit(&b);
    }
}

static void test_cut_at_any_moment(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct bed b;
        bed_echo(&b, &(struct fl_world_options){.seed = seed, .chop = true});
        bed_fill(bed_ask_open(&b, "POST", "/"), 3000, true);
        for (uint64_t step = 0; step < seed; step++) fl_world_step(b.world);
        if (seed % 3 == 0 && b.server_count) fl_http_conn_drain(b.servers[0].conn);
        if (seed % 3 == 1) fl_http_conn_close(b.client.conn);
        if (seed % 3 == 2) fl_world_cut(b.world, FL_STR("127.0.0.1"));
        bed_run(&b, 10000);
        bed_deinit(&b);
    }
}

static void test_every_allocation_failing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct bed b;
        fl_test_alloc_fail_at(0);
        bed_h1(&b, &plain);
        b.tolerant = b.echo = true;
        fl_test_alloc_fail_at(n);
        if (bed_try_dial(&b) == 0) {
            bed_run(&b, 1000);
            bed_try_exchange(&b);
            bed_run(&b, 1000);
        }
        bed_deinit(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_and_response),
        cmocka_unit_test(test_connection_is_kept),
        cmocka_unit_test(test_trailers_both_ways),
        cmocka_unit_test(test_chunks_over_minutes),
        cmocka_unit_test(test_bodies_by_content_length),
        cmocka_unit_test(test_shorter_than_its_content_length),
        cmocka_unit_test(test_longer_than_its_content_length),
        cmocka_unit_test(test_head_has_no_body),
        cmocka_unit_test(test_status_without_body),
        cmocka_unit_test(test_body_until_close),
        cmocka_unit_test(test_connection_close_is_announced),
        cmocka_unit_test(test_interim_responses_are_skipped),
        cmocka_unit_test(test_cut_in_the_middle_of_a_body),
        cmocka_unit_test(test_nonsense_from_a_server),
        cmocka_unit_test(test_bytes_behind_a_response),
        cmocka_unit_test(test_bytes_without_a_request),
        cmocka_unit_test(test_header_bomb_from_a_server),
        cmocka_unit_test(test_silence_ends_by_deadline),
        cmocka_unit_test(test_end_of_both_at_once),
        cmocka_unit_test(test_early_response),
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
        cmocka_unit_test(test_receiver_that_does_not_consume_stops_the_sender),
        cmocka_unit_test(test_server_that_does_not_consume_stops_the_client),
        cmocka_unit_test(test_drain_ends_behind_the_response),
        cmocka_unit_test(test_drain_of_an_idle_connection),
        cmocka_unit_test(test_drain_in_the_middle_of_a_head),
        cmocka_unit_test(test_reset_closes),
        cmocka_unit_test(test_abort_behind_a_reset),
        cmocka_unit_test(test_head_with_a_line_break_is_not_sent),
        cmocka_unit_test(test_any_chopping),
        cmocka_unit_test(test_cut_at_any_moment),
        cmocka_unit_test(test_every_allocation_failing),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
