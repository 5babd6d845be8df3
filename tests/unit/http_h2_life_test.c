/* http_h2_life_test.c - how HTTP/2 connections begin, are kept and end: readiness, pings, GOAWAY,
 * close and abort. */
#include "support/http_bed.h"

/* --- readiness --- */

static void test_C12_silent_server_ends_with_timeout(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.raw_server = true;
    b.client_options.ready_timeout_ms = 3000;
    bed_dial(&b);
    bed_run(&b, 2900);
    assert_int_equal(b.client.closes, 0);
    bed_run(&b, 200);
    assert_int_equal(b.client.readies, 0);
    assert_conn_closed(&b.client, FL_ETIMEOUT);
    assert_string_equal(b.client.why.detail, "no HTTP/2 SETTINGS from the peer within 3000 ms");
    bed_deinit(&b);
}

static void test_refused_dial(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_REFUSE);
    bed_dial(&b);
    bed_run(&b, 1000);
    assert_conn_closed(&b.client, FL_EREFUSED);
    bed_deinit(&b);
}

static void test_half_a_frame_and_silence(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.raw_server = true;
    b.raw.greeting = fl_str_n(SETTINGS, 5);
    b.client_options.ready_timeout_ms = 3000;
    bed_dial(&b);
    bed_run(&b, 5000);
    assert_conn_closed(&b.client, FL_ETIMEOUT);
    bed_deinit(&b);
}

static void test_server_wants_settings_in_time(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
    b.server_options.ready_timeout_ms = 3000;
    bed_raw_dial(&b, BYTES(PREFACE)); /* and no SETTINGS */
    bed_run(&b, 2000);
    assert_int_equal(b.servers[0].closes, 0);
    bed_run(&b, 2000);
    assert_conn_closed(&b.servers[0], FL_ETIMEOUT);
    assert_null(b.raw.sock);
    bed_deinit(&b);
}

/* A channel may connect long before its first call. */
static void test_server_lets_a_quiet_client_be(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
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
    bed_open_h2(&b, &bed_plain);
    ping_options(&b);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/watch");
    bed_run(&b, 60000);
    assert_int_equal(h->closes, 0); /* pings were answered */
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_BLACKHOLE);
    bed_run(&b, 12500);
    assert_closed(h, FL_ETIMEOUT);
    assert_conn_closed(&b.client, FL_ETIMEOUT);
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    bed_deinit(&b);
}

/* An idle connection is not pinged: gRPC servers answer that with GOAWAY (row C10). */
static void test_C10_no_ping_without_a_stream(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
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
    bed_open_h2(&b, &bed_plain);
    b.echo = true;
    b.client_options.idle_timeout_ms = 5000;
    bed_connect(&b);
    bed_run(&b, 3000);
    bed_run_closed(&b, bed_ask(&b, "GET", "/"));
    bed_run(&b, 4500);
    assert_int_equal(b.client.closes, 0);
    bed_run(&b, 1000);
    assert_conn_closed(&b.client, FL_OK);
    bed_deinit(&b);
}

/* --- GOAWAY --- */

static void test_C8_goaway_finishes_accepted_and_reports_the_rest(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
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
    assert_conn_closed(&b.client, FL_OK);
    bed_deinit(&b);
}

/* The sock's queue is full, so a request stays here; then the connection breaks. What had left may
 * have been processed, what had not was not. */
static void test_C8_request_never_sent_is_unprocessed(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
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
    assert_conn_closed(&b.client, FL_ERESET);
    bed_deinit(&b);
}

static void test_C8_drain_in_two_steps(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
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
    bed_answer(bed_request(&b, 1), 200, crossing);
    assert_conn_closed(&b.servers[0], FL_OK);
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

/* An idle connection is not just closed: a request may be on its way. */
static void test_C8_drain_of_an_idle_connection(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_echo_h2(&b, &bed_plain);
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
    bed_init(&b, &bed_plain);
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
    struct heard *h = bed_asked_h2(&b);
    fl_http_conn_drain(b.client.conn);
    assert_int_equal(bed_try_ask(&b, "GET", "/", &none), FL_EGOAWAY);
    bed_run(&b, 10000);
    bed_answer(bed_request(&b, 0), 200, h);
    assert_conn_closed(&b.client, FL_OK);
    bed_deinit(&b);
}

/* --- close and abort --- */

static void test_close_sends_what_is_queued(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
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
    struct heard *h = bed_asked_h2(&b);
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
        bed_echo_h2(&b, &bed_plain);
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
    bed_open_h2(&b, &bed_plain);
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
    bed_open_h2(&b, &bed_plain);
    bed_dial(&b);
    fl_http_conn_close(b.client.conn);
    bed_run(&b, 1000);
    assert_conn_closed(&b.client, FL_OK);
    bed_deinit(&b);
}

static void test_connection_cut_in_the_middle(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_h2(&b);
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
    bed_open_h2(&b, &bed_plain);
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

int main(void) {
    const struct CMUnitTest tests[] = {
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
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
