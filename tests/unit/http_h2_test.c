/* http_h2_test.c - exchanges on HTTP/2 connections, both sides, over a simulated network. */
#include "support/http_bed.h"

#include <stdio.h>

#include "http/h2.h"

/* --- exchanges --- */

static void test_request_and_response(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_echo_h2(&b, &bed_plain);
    char peer[64];
    fl_http_conn_peer(b.client.conn, peer, sizeof peer);
    assert_string_equal(peer, "127.0.0.1:7000");
    assert_true(fl_http_conn_is_h2(b.client.conn));
    struct heard *h = bed_ask_open(&b, "POST", "/a?b=c");
    bed_write(h, FL_STR("hello"), true);
    assert_int_equal(fl_http_conn_streams(b.client.conn), 1);
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    assert_body(h, "hello");
    assert_string_equal(h->text, "x-answer=42;");
    bed_run(&b, 100);
    struct heard *r = bed_request(&b, 0);
    assert_closed(r, FL_OK);
    assert_string_equal(r->method, "POST");
    assert_string_equal(r->path, "/a?b=c");
    assert_string_equal(r->authority, "bed:7000");
    assert_string_equal(r->text, "x-ask=a b;te=trailers;");
    assert_body(r, "hello");
    assert_int_equal(fl_http_conn_streams(b.client.conn), 0);
    bed_deinit(&b);
}

static void test_trailers_both_ways(void **state) {
    FL_UNUSED(state);
    bed_trailers_both_ways(FL_HTTP_2);
}

static void test_trailers_without_body(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_h2(&b);
    bed_respond(bed_request(&b, 0), 200, false);
    bed_run(&b, 100); /* nghttp2 has asked for the body and was put off */
    bed_trailer(bed_request(&b, 0), "grpc-status", "5");
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_string_equal(h->text, "x-answer=42;grpc-status=5;");
    bed_deinit(&b);
}

static void test_body_in_pieces_over_time(void **state) {
    FL_UNUSED(state);
    bed_body_over_time(FL_HTTP_2);
}

static void test_many_streams(void **state) {
    struct bed b;
    struct heard *h[100];
    FL_UNUSED(state);
    bed_echo_h2(&b, &bed_plain);
    for (int i = 0; i < 100; i++) {
        h[i] = bed_ask_open(&b, "POST", "/");
        char text[32];
        snprintf(text, sizeof text, "body %d", i);
        bed_write(h[i], fl_str_of(text), true);
    }
    bed_run(&b, 1000);
    for (int i = 0; i < 100; i++) {
        char text[32];
        snprintf(text, sizeof text, "body %d", i);
        assert_complete(h[i], 200);
        assert_body(h[i], text);
    }
    bed_deinit(&b);
}

/* More header fields than fit the list on the stack. */
static void test_many_headers(void **state) {
    struct bed b;
    struct fl_http_header headers[100];
    FL_UNUSED(state);
    bed_echo_h2(&b, &bed_plain);
    for (size_t i = 0; i < FL_COUNT(headers); i++)
        headers[i] = (struct fl_http_header){FL_STR("x-a"), FL_STR("b")};
    struct heard *h = bed_ask_with(&b, (struct fl_http_headers){headers, FL_COUNT(headers)});
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    assert_int_equal(strlen(bed_request(&b, 0)->text), 255); /* as much as is written down */
    bed_deinit(&b);
}

/* --- ends of streams --- */

static void test_refused_stream(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.refuse = true;
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run_closed(&b, h);
    assert_closed(h, FL_ESTREAM_REFUSED);
    assert_int_equal(h->h2_code, 7);
    assert_int_equal(b.client.closes, 0);
    bed_deinit(&b);
}

static void test_reset_after_the_head_is_no_refusal(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_h2(&b);
    bed_respond(bed_request(&b, 0), 200, false);
    bed_run(&b, 100);
    bed_reset(bed_request(&b, 0), 7);
    bed_run(&b, 100);
    assert_closed(h, FL_ESTREAM_RESET);
    assert_int_equal(h->h2_code, 7);
    bed_deinit(&b);
}

/* A response that is whole before the request is stands (RFC 9113 section 8.1). */
static void test_early_response(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    bed_connect(&b);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    bed_run(&b, 100);
    bed_answer(bed_request(&b, 0), 413, h);
    assert_closed(bed_request(&b, 0), FL_OK);
    assert_int_equal(b.client.closes, 0);
    bed_deinit(&b);
}

static void test_stream_deadline(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    fl_http_stream_deadline(h->stream, fl_io_now_ms(b.io) + 500);
    bed_run(&b, 400);
    assert_int_equal(h->closes, 0);
    bed_run(&b, 200);
    assert_closed(h, FL_EDEADLINE);
    assert_closed(bed_request(&b, 0), FL_ESTREAM_RESET);
    assert_int_equal(bed_request(&b, 0)->h2_code, 8);
    bed_deinit(&b);
}

static void test_deadline_taken_back(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_echo_h2(&b, &bed_plain);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    fl_http_stream_deadline(h->stream, fl_io_now_ms(b.io) + 50);
    fl_http_stream_deadline(h->stream, 0);
    bed_run(&b, 100);
    bed_write(h, FL_STR("x"), true);
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    bed_deinit(&b);
}

/* A request reset in the very turn that made it never reaches the peer. */
static void test_reset_before_sent(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_echo_h2(&b, &bed_plain);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_reset(h, 8);
    assert_int_equal(h->closes, 0);
    struct heard *other = bed_ask(&b, "GET", "/other");
    bed_run(&b, 1000);
    assert_closed(h, FL_ECANCELLED);
    assert_complete(other, 200);
    assert_int_equal(b.request_count, 1);
    bed_deinit(&b);
}

static void test_calls_in_wrong_order_are_refused(void **state) {
    struct bed b;
    struct fl_http_response again = {.status = 200};
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    assert_int_equal(fl_http_stream_write(h->stream, FL_STR("x"), false), FL_ESHUTDOWN);
    bed_run(&b, 100);
    struct fl_http_stream *r = bed_request(&b, 0)->stream;
    assert_int_equal(fl_http_stream_write(r, FL_STR("x"), false), FL_EPROTO);
    bed_respond(bed_request(&b, 0), 200, false);
    assert_int_equal(fl_http_stream_respond(r, &again, true), FL_EPROTO);
    bed_reset(bed_request(&b, 0), 2);
    assert_int_equal(fl_http_stream_respond(r, &again, true), FL_ESHUTDOWN);
    assert_int_equal(fl_http_stream_write(r, FL_STR("x"), true), FL_ESHUTDOWN);
    bed_run(&b, 100);
    assert_closed(h, FL_ESTREAM_RESET);
    bed_deinit(&b);
}

/* --- limits of the peer --- */

static void test_room_follows_the_peers_limit(void **state) {
    struct bed b;
    struct heard *h[3], *none;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.server_options.streams_max = 3;
    bed_dial(&b);
    assert_int_equal(fl_http_conn_room(b.client.conn), 0);
    assert_int_equal(bed_try_ask(&b, "GET", "/", &none), FL_EFULL); /* not ready */
    bed_run(&b, 100);
    assert_int_equal(b.client.rooms, 0); /* on_ready said it */
    assert_int_equal(fl_http_conn_room(b.client.conn), 3);
    for (int i = 0; i < 3; i++) h[i] = bed_ask(&b, "GET", "/");
    assert_int_equal(fl_http_conn_room(b.client.conn), 0);
    assert_int_equal(bed_try_ask(&b, "GET", "/", &none), FL_EFULL);
    bed_run(&b, 100);
    bed_respond(bed_request(&b, 1), 200, true);
    bed_run_closed(&b, h[1]);
    bed_run(&b, 1);
    assert_int_equal(b.client.rooms, 1);
    assert_int_equal(fl_http_conn_room(b.client.conn), 1);
    bed_deinit(&b);
}

/* SETTINGS that lower the limit below what is open, then raise it. */
static void test_limit_changes_in_flight(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_bare_h2(&b);
    bed_raw_send(&b, BYTES("\0\0\6\4\0\0\0\0\0\0\3\0\0\0\0")); /* none at all */
    bed_run(&b, 100);
    assert_int_equal(fl_http_conn_room(b.client.conn), 0);
    assert_int_equal(h->closes, 0);
    bed_raw_send(&b, BYTES("\0\0\6\4\0\0\0\0\0\0\3\0\0\0\2"));
    bed_run(&b, 100);
    assert_int_equal(b.client.rooms, 1);
    assert_int_equal(fl_http_conn_room(b.client.conn), 1);
    bed_deinit(&b);
}

/* A connection that has used its 2^30 streams says so and gives way to another. */
static void test_stream_ids_run_out(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_echo_h2(&b, &bed_plain);
    nghttp2_session *session = b.client.conn->h2->session;
    assert_int_equal(nghttp2_session_set_next_stream_id(session, INT32_MAX), 0);
    struct heard *last = bed_ask(&b, "GET", "/"), *none;
    assert_int_equal(bed_try_ask(&b, "GET", "/", &none), FL_EGOAWAY);
    bed_run(&b, 100);
    assert_complete(last, 200);
    assert_int_equal(b.client.goaways, 1);
    assert_string_equal(b.client.goaway_debug, "stream ids are used up");
    assert_int_equal(b.client.why.code, FL_OK);
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

/* --- every piece, every order --- */

/* Mixed exchanges with bodies under many seeds: bytes in any pieces give the same exchanges. */
static void test_any_chopping(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct bed b;
        struct heard *h[8];
        bed_echo_h2(&b, &(struct fl_world_options){.seed = seed, .chop = true, .reorder = true});
        for (size_t i = 0; i < FL_COUNT(h); i++) {
            h[i] = bed_ask_open(&b, "POST", "/");
            bed_fill(h[i], 1 + i * seed * 7 % 5000, true);
        }
        bed_run(&b, 5000);
        for (size_t i = 0; i < FL_COUNT(h); i++) {
            assert_complete(h[i], 200);
            assert_pattern(h[i], 1 + i * seed * 7 % 5000);
        }
        bed_deinit(&b);
    }
}

/* Cut at a moment that the seed decides: every exchange ends, once, and nothing is left. */
static void test_cut_at_any_moment(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct bed b;
        bed_echo_h2(&b, &(struct fl_world_options){.seed = seed, .chop = true});
        for (size_t i = 0; i < 4; i++) bed_fill(bed_ask_open(&b, "POST", "/"), 3000, true);
        for (uint64_t step = 0; step < seed; step++) fl_world_step(b.world);
        if (seed % 3 == 0) fl_http_conn_drain(b.server_count ? b.servers[0].conn : b.client.conn);
        if (seed % 3 == 1) fl_http_conn_close(b.client.conn);
        if (seed % 3 == 2) fl_world_cut(b.world, FL_STR("127.0.0.1"));
        bed_run(&b, 10000);
        assert_true(b.client.closes == 1 || seed % 3 == 0);
        bed_deinit(&b);
    }
}

/* --- memory --- */

/* Whatever allocation fails, exchanges end once and everything is given back. */
static void test_every_allocation_failing(void **state) {
    FL_UNUSED(state);
    bed_each_failure(FL_HTTP_2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_and_response),
        cmocka_unit_test(test_trailers_both_ways),
        cmocka_unit_test(test_trailers_without_body),
        cmocka_unit_test(test_body_in_pieces_over_time),
        cmocka_unit_test(test_many_streams),
        cmocka_unit_test(test_many_headers),
        cmocka_unit_test(test_refused_stream),
        cmocka_unit_test(test_reset_after_the_head_is_no_refusal),
        cmocka_unit_test(test_early_response),
        cmocka_unit_test(test_stream_deadline),
        cmocka_unit_test(test_deadline_taken_back),
        cmocka_unit_test(test_reset_before_sent),
        cmocka_unit_test(test_calls_in_wrong_order_are_refused),
        cmocka_unit_test(test_room_follows_the_peers_limit),
        cmocka_unit_test(test_limit_changes_in_flight),
        cmocka_unit_test(test_stream_ids_run_out),
        cmocka_unit_test(test_any_chopping),
        cmocka_unit_test(test_cut_at_any_moment),
        cmocka_unit_test(test_every_allocation_failing),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
