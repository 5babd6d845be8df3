/* http_h1_test.c - HTTP/1.1 connections, both sides, over a simulated network. */
#include "support/http_bed.h"

/* --- exchanges --- */

static void test_request_and_response(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_echo_h1(&b, &bed_plain);
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
    bed_echo_h1(&b, &bed_plain);
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
    FL_UNUSED(state);
    bed_trailers_both_ways(FL_HTTP_1);
}

/* A watch: chunks over minutes. */
static void test_chunks_over_minutes(void **state) {
    FL_UNUSED(state);
    bed_body_over_time(FL_HTTP_1);
}

/* A head that promises so many bytes. */
static void respond_with_1000(struct heard *r) {
    struct fl_http_header length = {FL_STR("content-length"), FL_STR("1000")};
    struct fl_http_response head = {200, {&length, 1}};
    assert_int_equal(fl_http_stream_respond(r->stream, &head, false), 0);
}

static void test_bodies_by_content_length(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_h1(&b);
    struct heard *r = bed_request(&b, 0);
    respond_with_1000(r);
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
    FL_UNUSED(state);
    struct heard *h = bed_asked_h1(&b);
    struct heard *r = bed_request(&b, 0);
    respond_with_1000(r);
    bed_fill(r, 999, true);
    bed_run(&b, 100);
    assert_closed(r, FL_EUSAGE);
    assert_closed(h, FL_ERESET);
    assert_int_equal(h->ends, 0);
    bed_deinit(&b);
}

static void test_longer_than_its_content_length(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = bed_asked_h1(&b);
    struct heard *r = bed_request(&b, 0);
    respond_with_1000(r);
    bed_fill(r, 1001, false);
    bed_run(&b, 100);
    assert_closed(r, FL_EUSAGE);
    assert_int_equal(h->ends, 0);
    bed_deinit(&b);
}

static void test_head_has_no_body(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h1(&b, &bed_plain);
    bed_connect(&b);
    for (size_t i = 0; i < 2; i++) { /* the second shows that nothing is left in the way */
        struct heard *h = bed_ask(&b, "HEAD", "/");
        bed_run(&b, 100);
        struct heard *r = bed_request(&b, i);
        assert_string_equal(r->method, "HEAD");
        respond_with_1000(r);
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
        bed_open_h1(&b, &bed_plain);
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

/* --- back-pressure --- */

static void test_receiver_that_does_not_consume_stops_the_sender(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h1(&b, &bed_plain);
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
    bed_open_h1(&b, &bed_plain);
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
    struct heard *h = bed_asked_h1(&b);
    fl_http_conn_drain(b.servers[0].conn);
    bed_run(&b, 10000);
    assert_int_equal(b.servers[0].closes, 0);
    bed_answer(bed_request(&b, 0), 200, h);
    assert_int_equal(b.client.goaways, 1);
    assert_int_equal(b.servers[0].closes, 1);
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

static void test_drain_of_an_idle_connection(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_echo_h1(&b, &bed_plain);
    bed_run_closed(&b, bed_ask(&b, "GET", "/"));
    bed_run(&b, 100);
    fl_http_conn_drain(b.servers[0].conn);
    bed_run(&b, 100);
    assert_int_equal(b.servers[0].closes, 1);
    assert_conn_closed(&b.client, FL_ECLOSED);
    bed_deinit(&b);
}

/* A request whose head has begun when the drain begins is still answered. */
static void test_drain_in_the_middle_of_a_head(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_init(&b, &bed_plain);
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
        bed_open_h1(&b, &bed_plain);
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
    struct heard *h = bed_asked_h1(&b);
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
    struct fl_http_request head = {.method = FL_STR("GET"),
                                   .scheme = FL_STR("http"),
                                   .authority = FL_STR("h"),
                                   .path = FL_STR("/"),
                                   .headers = {&header, 1}};
    struct fl_http_stream *none;
    FL_UNUSED(state);
    bed_echo_h1(&b, &bed_plain);
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
        bed_echo_h1(&b, &(struct fl_world_options){.seed = seed, .chop = true});
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
        bed_echo_h1(&b, &(struct fl_world_options){.seed = seed, .chop = true});
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
    bed_each_failure(FL_HTTP_1);
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
