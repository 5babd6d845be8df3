/* http_h2_test.c - HTTP/2 connections, both sides, over a simulated network. */
#include "support/http_bed.h"

#include "http/limits.h"

#include <stdio.h>

#include "http/h2.h"

static const struct fl_world_options plain = {.seed = 1};

/* Frames by hand. */
#define PREFACE        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS       "\0\0\0\4\0\0\0\0\0"
#define BYTES(literal) ((struct fl_str){(literal), sizeof(literal) - 1})
/* HEADERS for stream 1: GET / http with :authority x, END_STREAM, END_HEADERS. */
#define GET_HEADERS "\0\0\6\1\5\0\0\0\1\x82\x86\x84\x41\x01x"

static void bed_h2(struct bed *b, const struct fl_world_options *world) {
    bed_init(b, world);
    bed_version(b, FL_HTTP_2);
}

/* A connected pair that echoes. */
static void bed_echo(struct bed *b, const struct fl_world_options *world) {
    bed_h2(b, world);
    b->echo = true;
    bed_connect(b);
}

/* --- exchanges --- */

static void test_request_and_response(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_echo(&b, &plain);
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
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
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
    bed_trailer(r, "grpc-status", "0");
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_int_equal(h->trailers, 1);
    assert_body(h, "a");
    assert_string_equal(h->text, "x-answer=42;grpc-status=0;");
    assert_closed(r, FL_OK);
    bed_deinit(&b);
}

static void test_trailers_without_body(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    bed_respond(bed_request(&b, 0), 200, false);
    bed_run(&b, 100); /* nghttp2 has asked for the body and was put off */
    bed_trailer(bed_request(&b, 0), "grpc-status", "5");
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_string_equal(h->text, "x-answer=42;grpc-status=5;");
    bed_deinit(&b);
}

static void test_body_in_pieces_over_time(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
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

static void test_many_streams(void **state) {
    struct bed b;
    struct heard *h[100];
    FL_UNUSED(state);
    bed_echo(&b, &plain);
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
    bed_echo(&b, &plain);
    for (size_t i = 0; i < FL_COUNT(headers); i++)
        headers[i] = (struct fl_http_header){FL_STR("x-a"), FL_STR("b")};
    struct fl_http_request head = {
        FL_STR("GET"), FL_STR("http"), FL_STR("h"), FL_STR("/"), {headers, FL_COUNT(headers)}};
    struct heard *h = bed_heard(&b);
    assert_int_equal(
        fl_http_conn_request(b.client.conn, &head, true, &bed_events, h, &h->stream, NULL), 0);
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    assert_int_equal(strlen(bed_request(&b, 0)->text), 255); /* as much as is written down */
    bed_deinit(&b);
}

/* --- back-pressure --- */

static void test_receiver_that_does_not_consume_stops_the_sender(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.client_options.window_bytes = 100000;
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/big");
    h->hoard = true;
    bed_run(&b, 100);
    struct heard *r = bed_request(&b, 0);
    bed_respond(r, 200, false);
    bed_fill(r, 3000000, true);
    bed_run(&b, 60000);
    assert_int_equal(h->body.len, 100000);
    assert_int_equal(fl_http_stream_queued(r->stream), 2900000);
    struct heard *other = bed_ask(&b, "GET", "/small"); /* the others go on */
    bed_run(&b, 1000);
    bed_respond(bed_request(&b, 1), 204, true);
    bed_run_closed(&b, other);
    assert_complete(other, 204);
    h->hoard = false;
    bed_consume(h, h->body.len);
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    assert_pattern(h, 3000000);
    assert_int_equal(r->writables, 0); /* it had said that this is all */
    bed_deinit(&b);
}

static void test_queue_is_bounded_and_writable_says_when(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    bed_fill(h, FL_HTTP_QUEUE_MAX, false);
    assert_int_equal(fl_http_stream_write(h->stream, FL_STR("x"), false), FL_EFULL);
    assert_int_equal(fl_http_stream_queued(h->stream), FL_HTTP_QUEUE_MAX);
    static char huge[FL_HTTP_QUEUE_MAX + 1];
    assert_int_equal(fl_http_stream_write(h->stream, fl_str_n(huge, sizeof huge), true), FL_EUSAGE);
    assert_int_equal(h->writables, 0);
    bed_run(&b, 10000);
    assert_int_equal(h->writables, 1);
    bed_write(h, FL_STR_NONE, true);
    bed_run(&b, 10000);
    assert_pattern(bed_request(&b, 0), FL_HTTP_QUEUE_MAX);
    bed_respond(bed_request(&b, 0), 200, true);
    bed_run_closed(&b, h);
    bed_deinit(&b);
}

/* What an ended stream left unconsumed goes back to the connection's window. */
static void test_abandoned_bodies_do_not_eat_the_window(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.client_options.window_bytes = 65536;
    bed_connect(&b);
    for (size_t i = 0; i < 20; i++) {
        struct heard *h = bed_ask(&b, "GET", "/");
        h->hoard = true;
        bed_run(&b, 100);
        bed_respond(bed_request(&b, i), 200, false);
        bed_fill(bed_request(&b, i), 65536, false);
        bed_run(&b, 1000);
        assert_int_equal(h->body.len, 65536);
        bed_reset(h, 8);
        bed_run(&b, 100);
        assert_closed(h, FL_ECANCELLED);
        assert_closed(bed_request(&b, i), FL_ESTREAM_RESET);
        assert_int_equal(bed_request(&b, i)->h2_code, 8);
    }
    bed_deinit(&b);
}

static void test_consuming_in_on_close(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.client_options.window_bytes = 65536;
    bed_connect(&b);
    for (size_t i = 0; i < 20; i++) {
        struct heard *h = bed_ask(&b, "GET", "/");
        h->late = true;
        bed_run(&b, 100);
        bed_respond(bed_request(&b, i), 200, false);
        bed_fill(bed_request(&b, i), 65536, true);
        bed_run_closed(&b, h);
        assert_complete(h, 200);
        assert_pattern(h, 65536);
    }
    bed_deinit(&b);
}

/* What is given back late is given back once: not the bytes that another stream still has. */
static void test_window_is_given_back_once(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.client_options.window_bytes = 65536;
    bed_connect(&b);
    struct heard *h[2] = {bed_ask(&b, "GET", "/"), bed_ask(&b, "GET", "/")};
    h[0]->hoard = h[1]->late = true;
    bed_run(&b, 100);
    for (size_t i = 0; i < 2; i++) {
        bed_respond(bed_request(&b, i), 200, false);
        bed_fill(bed_request(&b, i), 65536, i == 1);
    }
    bed_run(&b, 1000);
    assert_complete(h[1], 200);
    assert_in_range(nghttp2_session_get_remote_window_size(b.servers[0].conn->h2->session), 65536,
                    3 * 65536);
    bed_deinit(&b);
}

/* The sock's queue is kept short, so that heads do not stand behind megabytes of bodies. */
static void test_sock_queue_is_kept_short(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.server_options.window_bytes = 8000000;
    bed_connect(&b);
    bed_run(&b, 100);
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_BLACKHOLE);
    bed_fill(bed_ask_open(&b, "POST", "/"), 3000000, false);
    bed_run(&b, 1000);
    assert_in_range(fl_sock_queued(b.io, b.client.conn->sock), FL_SOCK_QUEUE_HIGH / 2,
                    FL_SOCK_QUEUE_HIGH + 32768);
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    bed_deinit(&b);
}

static struct heard *other_writer;

static void reset_other(struct heard *h) {
    FL_UNUSED(h);
    if (other_writer->stream) bed_reset(other_writer, 8);
}

/* One that ended meanwhile is not told that it may write. */
static void test_writable_after_the_end(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    bed_connect(&b);
    bed_run(&b, 100);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    other_writer = bed_ask_open(&b, "POST", "/");
    h->on_writable = reset_other;
    bed_fill(h, FL_HTTP_QUEUE_MAX / 4, false); /* both cross the mark with their first frame */
    bed_fill(other_writer, FL_HTTP_QUEUE_MAX / 4, false);
    bed_run(&b, 1000);
    assert_int_equal(h->writables, 1);
    assert_closed(other_writer, FL_ECANCELLED);
    assert_int_equal(other_writer->writables, 0);
    bed_deinit(&b);
}

/* --- a peer that does not read --- */

/* The client is ready, its window is large, and what it sends stays in its sock. */
static void bed_blocked(struct bed *b) {
    bed_h2(b, &plain);
    b->raw_server = true;
    b->raw.greeting = BYTES("\0\0\6\4\0\0\0\0\0\0\4\0\x80\0\0" /* 8 MiB per stream */
                            "\0\0\4\x8\0\0\0\0\0\0\x80\0\0");  /* and as much together */
    bed_connect(b);
    bed_run(b, 100);
}

static void block(struct bed *b) {
    fl_sock_pause(b->io, b->raw.sock, true);
    struct heard *filler = bed_ask_open(b, "POST", "/filler");
    for (int i = 0; i < 10; i++) {
        bed_fill(filler, 300000, false);
        bed_run(b, 100);
    }
}

/* Its RST_STREAM could not leave yet: what the peer still sends for the old stream does not reach
 * the owner of a new one. */
static void test_frames_for_a_stream_that_is_gone(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_blocked(&b);
    struct heard *old = bed_ask(&b, "GET", "/1");
    bed_run(&b, 100);
    block(&b);
    bed_reset(old, 8);
    bed_run(&b, 100);
    assert_closed(old, FL_ECANCELLED);
    struct heard *new = bed_ask(&b, "GET", "/5");
    bed_raw_send(&b, BYTES("\0\0\1\1\4\0\0\0\1\x88\0\0\1\0\1\0\0\0\1x"));
    bed_run(&b, 100);
    assert_int_equal(new->heads + new->closes, 0);
    fl_sock_pause(b.io, b.raw.sock, false);
    bed_run(&b, 100);
    assert_int_equal(new->heads + new->closes, 0);
    assert_int_equal(b.client.closes, 0);
    bed_deinit(&b);
}

static void test_C8_goaway_while_a_request_waits_to_be_sent(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_blocked(&b);
    block(&b);
    struct heard *unsent = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    bed_raw_send(&b, BYTES("\0\0\x8\7\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0"));
    bed_run(&b, 100);
    assert_closed(unsent, FL_EGOAWAY);
    assert_int_equal(b.asked[0]->closes, 0);
    bed_deinit(&b);
}

/* --- ends of streams --- */

static void test_refused_stream(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
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
    bed_h2(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
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
    bed_h2(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    bed_run(&b, 100);
    bed_respond(bed_request(&b, 0), 413, true);
    bed_run(&b, 100);
    assert_complete(h, 413);
    assert_closed(bed_request(&b, 0), FL_OK);
    assert_int_equal(b.client.closes, 0);
    bed_deinit(&b);
}

static void test_stream_deadline(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
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
    bed_echo(&b, &plain);
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
    bed_echo(&b, &plain);
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
    bed_h2(&b, &plain);
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
    bed_h2(&b, &plain);
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
    bed_h2(&b, &plain);
    b.raw_server = true;
    b.raw.greeting = BYTES(SETTINGS);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
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
    bed_echo(&b, &plain);
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

/* --- readiness --- */

static void test_C12_silent_server_ends_with_timeout(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.raw_server = true;
    b.client_options.ready_timeout_ms = 3000;
    bed_dial(&b);
    bed_run(&b, 2900);
    assert_int_equal(b.client.closes, 0);
    bed_run(&b, 200);
    assert_int_equal(b.client.readies, 0);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_ETIMEOUT);
    assert_string_equal(b.client.why.detail, "no HTTP/2 SETTINGS from the peer within 3000 ms");
    bed_deinit(&b);
}

static void test_refused_dial(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_REFUSE);
    bed_dial(&b);
    bed_run(&b, 1000);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_EREFUSED);
    bed_deinit(&b);
}

static void test_half_a_frame_and_silence(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.raw_server = true;
    b.raw.greeting = fl_str_n(SETTINGS, 5);
    b.client_options.ready_timeout_ms = 3000;
    bed_dial(&b);
    bed_run(&b, 5000);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_ETIMEOUT);
    bed_deinit(&b);
}

static void test_server_wants_settings_in_time(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &plain);
    b.server_options.ready_timeout_ms = 3000;
    bed_raw_dial(&b, BYTES(PREFACE)); /* and no SETTINGS */
    bed_run(&b, 2000);
    assert_int_equal(b.servers[0].closes, 0);
    bed_run(&b, 2000);
    assert_int_equal(b.servers[0].closes, 1);
    assert_int_equal(b.servers[0].why.code, FL_ETIMEOUT);
    assert_null(b.raw.sock);
    bed_deinit(&b);
}

/* A channel may connect long before its first call. */
static void test_server_lets_a_quiet_client_be(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &plain);
    b.echo = true;
    b.server_options.ready_timeout_ms = 3000;
    bed_raw_dial(&b, BYTES(PREFACE SETTINGS));
    bed_run(&b, 3600000);
    assert_int_equal(b.servers[0].closes, 0);
    bed_raw_send(&b, BYTES(GET_HEADERS));
    bed_run(&b, 100);
    assert_closed(bed_request(&b, 0), FL_OK);
    bed_deinit(&b);
}

/* --- keepalive and idling --- */

static void ping_options(struct bed *b) {
    b->client_options.ping_after_ms = 10000;
    b->client_options.ping_timeout_ms = 2000;
}

static void test_W8_dead_peer_is_found_by_ping(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    ping_options(&b);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/watch");
    bed_run(&b, 60000);
    assert_int_equal(h->closes, 0); /* pings were answered */
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_BLACKHOLE);
    bed_run(&b, 12500);
    assert_closed(h, FL_ETIMEOUT);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_ETIMEOUT);
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    bed_deinit(&b);
}

/* An idle connection is not pinged: gRPC servers answer that with GOAWAY (row C10). */
static void test_C10_no_ping_without_a_stream(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    ping_options(&b);
    b.echo = true;
    bed_connect(&b);
    bed_run_closed(&b, bed_ask(&b, "GET", "/"));
    bed_run(&b, 1000);
    uint64_t quiet_since = fl_http_conn_last_read_ms(b.client.conn);
    bed_run(&b, 600000);
    assert_int_equal(fl_http_conn_last_read_ms(b.client.conn), quiet_since);
    bed_deinit(&b);
}

static void test_idle_connection_closes(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.echo = true;
    b.client_options.idle_timeout_ms = 5000;
    bed_connect(&b);
    bed_run(&b, 3000);
    bed_run_closed(&b, bed_ask(&b, "GET", "/"));
    bed_run(&b, 4500);
    assert_int_equal(b.client.closes, 0);
    bed_run(&b, 1000);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_OK);
    bed_deinit(&b);
}

/* --- GOAWAY --- */

static void test_C8_goaway_finishes_accepted_and_reports_the_rest(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.raw_server = true;
    b.raw.greeting = BYTES(SETTINGS);
    bed_connect(&b);
    struct heard *accepted = bed_ask(&b, "GET", "/1"), *late = bed_ask(&b, "GET", "/3");
    bed_run(&b, 100);
    struct heard *unsent =
        bed_ask(&b, "GET", "/5"); /* its HEADERS and the GOAWAY pass each other */
    bed_raw_send(&b, BYTES("\0\0\xb\7\0\0\0\0\0\0\0\0\1\0\0\0\0age"));
    bed_run(&b, 100);
    assert_closed(late, FL_EGOAWAY);
    assert_closed(unsent, FL_EGOAWAY);
    assert_int_equal(accepted->closes, 0);
    assert_int_equal(b.client.goaways, 1);
    assert_int_equal(b.client.goaway_code, 0);
    assert_string_equal(b.client.goaway_debug, "age");
    struct heard *none;
    assert_int_equal(bed_try_ask(&b, "GET", "/", &none), FL_EGOAWAY);
    bed_run(&b, 30000);
    assert_int_equal(b.client.closes, 0);
    bed_raw_send(&b, BYTES("\0\0\1\1\5\0\0\0\1\x88")); /* 200, the end */
    bed_run(&b, 100);
    assert_complete(accepted, 200);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_OK);
    bed_deinit(&b);
}

/* The sock's queue is full, so a request stays here; then the connection breaks. What had left may
 * have been processed, what had not was not. */
static void test_C8_request_never_sent_is_unprocessed(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.server_options.window_bytes = 8000000;
    bed_connect(&b);
    bed_run(&b, 100);
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_BLACKHOLE);
    struct heard *sent = bed_ask_open(&b, "POST", "/");
    bed_fill(sent, 3000000, false);
    bed_run(&b, 1000);
    bed_fill(sent, 1, false); /* the network has taken its window's worth: fill up again */
    bed_run(&b, 1000);
    struct heard *unsent = bed_ask(&b, "GET", "/");
    bed_run(&b, 1000);
    fl_world_cut(b.world, FL_STR("127.0.0.1"));
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    bed_run(&b, 1000);
    assert_closed(sent, FL_ERESET);
    assert_closed(unsent, FL_EGOAWAY);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_ERESET);
    bed_deinit(&b);
}

static void test_C8_drain_in_two_steps(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    bed_connect(&b);
    struct heard *early = bed_ask(&b, "GET", "/early");
    bed_run(&b, 100);
    fl_http_conn_drain(b.servers[0].conn);
    fl_http_conn_drain(b.servers[0].conn);
    struct heard *crossing = bed_ask(&b, "GET", "/crossing"); /* before the notice arrives */
    bed_run(&b, 100);
    assert_int_equal(b.client.goaways, 2);
    assert_int_equal(b.request_count, 2);
    assert_int_equal(early->closes + crossing->closes, 0);
    bed_respond(bed_request(&b, 0), 200, true);
    bed_run(&b, 10000);
    assert_complete(early, 200);
    assert_int_equal(b.servers[0].closes, 0);
    bed_respond(bed_request(&b, 1), 200, true);
    bed_run(&b, 100);
    assert_complete(crossing, 200);
    assert_int_equal(b.servers[0].closes, 1);
    assert_int_equal(b.servers[0].why.code, FL_OK);
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

/* An idle connection is not just closed: a request may be on its way. */
static void test_C8_drain_of_an_idle_connection(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_echo(&b, &plain);
    bed_run(&b, 100);
    fl_http_conn_drain(b.servers[0].conn);
    struct heard *crossing = bed_ask(&b, "GET", "/crossing");
    bed_run(&b, 1000);
    assert_complete(crossing, 200);
    assert_int_equal(b.client.closes + b.servers[0].closes, 2);
    bed_deinit(&b);
}

/* A client that does not answer the PING gets the second GOAWAY after five seconds. */
static void test_drain_does_not_wait_for_ever(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &plain);
    bed_raw_dial(&b, BYTES(PREFACE SETTINGS GET_HEADERS));
    bed_run(&b, 100);
    assert_int_equal(b.request_count, 1);
    fl_http_conn_drain(b.servers[0].conn);
    bed_run(&b, 4000);
    struct fl_str got = fl_buf_str(&b.raw.got);
    const char notice[] = "\0\0\x8\7\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0";
    const char last[] = "\0\0\x8\7\0\0\0\0\0\0\0\0\1\0\0\0\0";
    assert_non_null(memmem(got.p, got.n, notice, 17));
    assert_null(memmem(got.p, got.n, last, 17));
    bed_run(&b, 2000);
    got = fl_buf_str(&b.raw.got);
    assert_non_null(memmem(got.p, got.n, last, 17));
    bed_respond(bed_request(&b, 0), 200, true);
    bed_run(&b, 100);
    assert_int_equal(b.servers[0].closes, 1);
    bed_deinit(&b);
}

static void test_client_drain(void **state) {
    struct bed b;
    struct heard *none;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    fl_http_conn_drain(b.client.conn);
    assert_int_equal(bed_try_ask(&b, "GET", "/", &none), FL_EGOAWAY);
    bed_run(&b, 10000);
    bed_respond(bed_request(&b, 0), 200, true);
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_OK);
    bed_deinit(&b);
}

/* --- close and abort --- */

static void test_close_sends_what_is_queued(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/"), *other = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    bed_respond(bed_request(&b, 0), 200, false);
    bed_fill(bed_request(&b, 0), 50000, true);
    b.in_call = true;
    fl_http_conn_close(b.servers[0].conn);
    fl_http_conn_close(b.servers[0].conn);
    b.in_call = false;
    bed_run(&b, 1000);
    assert_complete(h, 200);
    assert_pattern(h, 50000);
    assert_closed(bed_request(&b, 1), FL_ESHUTDOWN);
    assert_closed(other, FL_ECLOSED);
    assert_int_equal(b.client.goaways, 1);
    assert_int_equal(b.servers[0].why.code, FL_OK);
    bed_deinit(&b);
}

static void test_abort(void **state) {
    struct bed b;
    struct fl_error why = {FL_ECANCELLED, "enough"};
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    b.in_call = true;
    fl_http_conn_abort(b.client.conn, &why);
    fl_http_conn_abort(b.client.conn, &why);
    b.in_call = false;
    bed_run(&b, 100);
    assert_closed(h, FL_ECANCELLED);
    assert_string_equal(b.client.why.detail, "enough");
    assert_closed(bed_request(&b, 0), FL_ERESET);
    bed_deinit(&b);
}

static void close_it(struct heard *h) { fl_http_conn_close(h->bed->client.conn); }

static void abort_it(struct heard *h) {
    struct fl_error why = {FL_ECANCELLED, "enough"};
    fl_http_conn_abort(h->bed->client.conn, &why);
}

static void test_closing_from_within_a_callback(void **state) {
    FL_UNUSED(state);
    for (int aborting = 0; aborting < 2; aborting++) {
        struct bed b;
        bed_echo(&b, &plain);
        struct heard *h = bed_ask(&b, "GET", "/"), *other = bed_ask(&b, "GET", "/");
        h->on_close = aborting ? abort_it : close_it;
        bed_run(&b, 1000);
        assert_complete(h, 200);
        assert_int_equal(other->closes, 1);
        assert_int_equal(b.client.closes, 1);
        bed_deinit(&b);
    }
}

static void abort_on_ready(struct conn_end *e) {
    struct fl_error why = {FL_ECANCELLED, "enough"};
    fl_http_conn_abort(e->conn, &why);
}

static void test_abort_when_ready(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.client.on_ready = abort_on_ready;
    bed_dial(&b);
    bed_run(&b, 1000);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.readies, 1);
    bed_deinit(&b);
}

static void test_close_while_dialling(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    bed_dial(&b);
    fl_http_conn_close(b.client.conn);
    bed_run(&b, 1000);
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_OK);
    bed_deinit(&b);
}

static void test_connection_cut_in_the_middle(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    bed_respond(bed_request(&b, 0), 200, false);
    bed_fill(bed_request(&b, 0), 100000, false);
    bed_run(&b, 100);
    fl_world_cut(b.world, FL_STR("127.0.0.1"));
    bed_run(&b, 100);
    assert_closed(h, FL_ERESET);
    assert_int_equal(h->ends, 0);
    assert_closed(bed_request(&b, 0), FL_ERESET);
    bed_deinit(&b);
}

static struct heard *neighbour;

static void consume_neighbour(struct heard *h) {
    FL_UNUSED(h);
    if (neighbour->stream) bed_consume(neighbour, neighbour->body.len);
}

/* An owner that asks for something in the last moment does not outlive the connection. */
static void test_consuming_elsewhere_in_on_close(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    neighbour = bed_ask(&b, "GET", "/");
    h->on_close = consume_neighbour;
    neighbour->hoard = true;
    bed_run(&b, 100);
    bed_respond(bed_request(&b, 1), 200, false);
    bed_fill(bed_request(&b, 1), 1000, false);
    bed_run(&b, 100);
    fl_world_cut(b.world, FL_STR("127.0.0.1"));
    bed_run(&b, 100);
    assert_closed(h, FL_ERESET);
    assert_closed(neighbour, FL_ERESET);
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

/* --- bad input --- */

static void raw_answer(struct bed *b, struct fl_str bytes) {
    bed_h2(b, &plain);
    b->raw_server = true;
    b->raw.greeting = bytes;
    bed_dial(b);
    bed_run(b, 1000);
}

static void test_garbage_from_a_server(void **state) {
    struct bed b;
    FL_UNUSED(state);
    raw_answer(&b, FL_STR("HTTP/1.1 400 Bad Request\r\n\r\nthis is not what you wanted, is it?"));
    assert_int_equal(b.client.closes, 1);
    assert_int_equal(b.client.why.code, FL_EPROTO);
    assert_int_equal(b.client.readies, 0);
    bed_deinit(&b);
}

static void test_garbage_from_a_client(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &plain);
    b.server_options.version = FL_HTTP_2;
    bed_raw_dial(&b, FL_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nXXXXXXXXXXXXXXXXXXXXXXXX"));
    bed_run(&b, 1000);
    assert_int_equal(b.servers[0].closes, 1);
    assert_int_equal(b.servers[0].why.code, FL_EPROTO);
    assert_null(b.raw.sock);
    bed_deinit(&b);
}

/* A peer's fault of the whole connection ends its streams with it. */
static void test_violation_ends_streams(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.raw_server = true;
    b.raw.greeting = BYTES(SETTINGS);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
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
    bed_h2(&b, &plain);
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
    bed_h2(&b, &plain);
    b.echo = true;
    b.server_options.header_bytes_max = 500;
    bed_connect(&b);
    struct fl_http_header header = {FL_STR("x-bomb"), fl_str_n(value, sizeof value)};
    struct fl_http_request head = {
        FL_STR("GET"), FL_STR("http"), FL_STR("h"), FL_STR("/"), {&header, 1}};
    struct heard *h = bed_heard(&b);
    assert_int_equal(
        fl_http_conn_request(b.client.conn, &head, true, &bed_events, h, &h->stream, NULL), 0);
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
    bed_init(&b, &plain);
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
    bed_h2(&b, &plain);
    b.server_options.header_bytes_max = 500;
    b.server_options.streams_max = 2;
    bed_connect(&b);
    for (int limit = 0; limit < FL_HTTP_LIMIT_COUNT; limit++)
        assert_int_equal(limited(&b, (enum fl_http_limit)limit), 0);
    struct fl_http_header header = {FL_STR("x-bomb"), fl_str_n(value, sizeof value)};
    struct fl_http_request head = {
        FL_STR("GET"), FL_STR("http"), FL_STR("h"), FL_STR("/"), {&header, 1}};
    struct heard *h = bed_heard(&b), *body = bed_ask_open(&b, "POST", "/"), *none;
    assert_int_equal(
        fl_http_conn_request(b.client.conn, &head, true, &bed_events, h, &h->stream, NULL), 0);
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
    bed_init(&b, &plain);
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
    assert_int_equal(b.servers[0].closes, 1);
    assert_int_equal(b.servers[0].why.code, FL_EPROTO);
    fl_buf_deinit(&flood);
    bed_deinit(&b);
}

/* Requests that are refused for their size, from a peer that reads no refusal. */
static void test_refusal_flood(void **state) {
    struct bed b;
    struct fl_buf flood;
    FL_UNUSED(state);
    bed_init(&b, &plain);
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
    assert_int_equal(b.servers[0].closes, 1);
    assert_int_equal(b.servers[0].why.code, FL_EPROTO);
    fl_buf_deinit(&flood);
    bed_deinit(&b);
}

/* A field that HTTP forbids makes the message malformed; it is not just left out. */
static void test_malformed_field(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_h2(&b, &plain);
    b.raw_server = true;
    b.raw.greeting = BYTES(SETTINGS);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
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
    bed_init(&b, &plain);
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
    bed_echo(&b, &plain);
    struct fl_http_header header = {FL_STR("x-a"), fl_str_n(value, sizeof value)};
    struct fl_http_request head = {
        FL_STR("GET"), FL_STR("http"), FL_STR("h"), FL_STR("/"), {&header, 1}};
    struct heard *h = bed_heard(&b);
    assert_int_equal(
        fl_http_conn_request(b.client.conn, &head, true, &bed_events, h, &h->stream, NULL), 0);
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
    bed_h2(&b, &plain);
    b.raw_server = true;
    b.raw.greeting = BYTES(SETTINGS);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    bed_raw_send(&b, BYTES("\0\0\0\4\1\0\0\0\0")); /* it knows our SETTINGS */
    bed_raw_send(&b, BYTES("\0\0\xa\5\4\0\0\0\1\0\0\0\2\x82\x86\x84\x41\x01x"));
    bed_run(&b, 100);
    assert_closed(h, FL_EPROTO);
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
        bed_echo(&b, &(struct fl_world_options){.seed = seed, .chop = true, .reorder = true});
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
        bed_echo(&b, &(struct fl_world_options){.seed = seed, .chop = true});
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
    FL_TEST_EACH_FAILURE(n) {
        struct bed b;
        fl_test_alloc_fail_at(0);
        bed_h2(&b, &plain);
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
        cmocka_unit_test(test_trailers_both_ways),
        cmocka_unit_test(test_trailers_without_body),
        cmocka_unit_test(test_body_in_pieces_over_time),
        cmocka_unit_test(test_many_streams),
        cmocka_unit_test(test_many_headers),
        cmocka_unit_test(test_receiver_that_does_not_consume_stops_the_sender),
        cmocka_unit_test(test_queue_is_bounded_and_writable_says_when),
        cmocka_unit_test(test_abandoned_bodies_do_not_eat_the_window),
        cmocka_unit_test(test_consuming_in_on_close),
        cmocka_unit_test(test_window_is_given_back_once),
        cmocka_unit_test(test_sock_queue_is_kept_short),
        cmocka_unit_test(test_frames_for_a_stream_that_is_gone),
        cmocka_unit_test(test_C8_goaway_while_a_request_waits_to_be_sent),
        cmocka_unit_test(test_writable_after_the_end),
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
        cmocka_unit_test(test_C12_silent_server_ends_with_timeout),
        cmocka_unit_test(test_refused_dial),
        cmocka_unit_test(test_half_a_frame_and_silence),
        cmocka_unit_test(test_server_wants_settings_in_time),
        cmocka_unit_test(test_server_lets_a_quiet_client_be),
        cmocka_unit_test(test_W8_dead_peer_is_found_by_ping),
        cmocka_unit_test(test_C10_no_ping_without_a_stream),
        cmocka_unit_test(test_idle_connection_closes),
        cmocka_unit_test(test_C8_goaway_finishes_accepted_and_reports_the_rest),
        cmocka_unit_test(test_C8_request_never_sent_is_unprocessed),
        cmocka_unit_test(test_C8_drain_in_two_steps),
        cmocka_unit_test(test_C8_drain_of_an_idle_connection),
        cmocka_unit_test(test_drain_does_not_wait_for_ever),
        cmocka_unit_test(test_client_drain),
        cmocka_unit_test(test_close_sends_what_is_queued),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_closing_from_within_a_callback),
        cmocka_unit_test(test_abort_when_ready),
        cmocka_unit_test(test_close_while_dialling),
        cmocka_unit_test(test_connection_cut_in_the_middle),
        cmocka_unit_test(test_consuming_elsewhere_in_on_close),
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
        cmocka_unit_test(test_any_chopping),
        cmocka_unit_test(test_cut_at_any_moment),
        cmocka_unit_test(test_every_allocation_failing),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
