/* http_pool_retry_test.c - the HTTP pool when connections fail: what is repeated, and what is not.
 */
#include "support/pool_bed.h"

static void count_dials(void *arg, const char *line) {
    if (strstr(line, " dial ")) ++*(int *)arg;
}

static void test_refused_dial_ends_those_waiting(void **state) {
    const struct fl_http_pool_options *versions[] = {&pool_h1, &pool_h2};
    FL_UNUSED(state);
    for (size_t v = 0; v < FL_COUNT(versions); v++) {
        struct pool_bed p;
        pool_open(&p, versions[v]);
        fl_world_fault(p.b.world, FL_STR("127.0.0.1"), FL_WORLD_REFUSE);
        int dials = 0;
        fl_world_observe(p.b.world, count_dials, &dials);
        for (int i = 0; i < 12; i++) pool_ask(&p, "GET");
        bed_run(&p.b, 1000);
        for (int i = 0; i < 12; i++) assert_closed(p.b.asked[i], FL_EREFUSED);
        assert_int_equal(dials, v == 0 ? 12 : 1);
        fl_world_fault(p.b.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
        struct heard *h = pool_ask(&p, "GET");
        bed_run(&p.b, 1000);
        assert_complete(h, 200);
        pool_shut(&p);
    }
}

/* An origin that is leaving takes connections, greets, and says goodbye: it is not dialled again
 * for the same requests, or that would go on for ever. */
static void test_origin_that_greets_and_leaves(void **state) {
    static const char greeting[] = "\0\0\0\4\0\0\0\0\0"                 /* SETTINGS */
                                   "\0\0\x8\7\0\0\0\0\0\0\0\0\0\0\0\0"; /* GOAWAY */
    struct pool_bed p;
    int dials = 0;
    FL_UNUSED(state);
    pool_open(&p, &pool_h2);
    p.b.raw_server = true;
    p.b.raw.greeting = fl_str_n(greeting, sizeof greeting);
    fl_world_observe(p.b.world, count_dials, &dials);
    for (int i = 0; i < 2; i++) pool_ask(&p, "GET");
    bed_run(&p.b, 1000);
    for (int i = 0; i < 2; i++) assert_closed(p.b.asked[i], FL_EGOAWAY);
    assert_int_equal(dials, 1);
    pool_shut(&p);
}

static void test_silent_origin(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &(struct fl_http_pool_options){
                      .http = {.version = FL_HTTP_2, .ready_timeout_ms = 2000}});
    p.b.raw_server = true;
    struct heard *h = pool_ask(&p, "GET");
    bed_run(&p.b, 2500);
    assert_closed(h, FL_ETIMEOUT);
    pool_shut(&p);
}

/* The server dies with one request in its hands and others queued here: those are served by the
 * next one, the first may have been processed and is not repeated. */
static void test_C8_dying_server_loses_only_what_it_had(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &(struct fl_http_pool_options){.http.version = FL_HTTP_2, .conns_max = 1});
    p.b.echo = false;
    p.b.server_options.streams_max = 1;
    for (int i = 0; i < 5; i++) pool_ask(&p, "GET");
    bed_run(&p.b, 1000);
    assert_int_equal(p.b.request_count, 1);
    p.b.echo = true;
    fl_world_cut(p.b.world, FL_STR("127.0.0.1"));
    bed_run(&p.b, 5000);
    assert_closed(p.b.asked[0], FL_ERESET);
    for (int i = 1; i < 5; i++) assert_complete(p.b.asked[i], 200);
    assert_int_equal(p.b.server_count, 2);
    pool_shut(&p);
}

/* Requests that cross the GOAWAY are made again elsewhere, unseen by who asked. */
static void test_C8_requests_above_the_last_stream_are_repeated(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &pool_h2);
    p.b.echo = false;
    struct heard *first = pool_ask(&p, "POST");
    bed_run(&p.b, 1000);
    p.b.echo = true;
    fl_http_conn_close(p.b.servers[0].conn); /* GOAWAY with what it has; then it is gone */
    struct heard *crossing = pool_ask(&p, "POST");
    bed_run(&p.b, 5000);
    assert_int_equal(first->closes, 1);
    assert_int_not_equal(first->why.code, FL_OK);
    assert_complete(crossing, 200);
    assert_int_equal(p.b.server_count, 2);
    pool_shut(&p);
}

static void test_refused_streams_are_repeated_a_few_times(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &pool_h2);
    p.b.refuse = true;
    p.b.echo = false;
    struct heard *h = pool_ask(&p, "POST");
    bed_run(&p.b, 1000);
    assert_closed(h, FL_ESTREAM_REFUSED);
    assert_int_equal(p.b.request_count, 4);
    p.b.refuse = false;
    p.b.echo = true;
    struct heard *good = pool_ask(&p, "POST");
    bed_run(&p.b, 1000);
    assert_complete(good, 200);
    pool_shut(&p);
}

/* Row P2: the server closes a kept connection as the next request leaves. */
static void test_P2_keep_alive_race(void **state) {
    static const char *const methods[] = {"GET", "POST"};
    FL_UNUSED(state);
    for (int unsafe = 0; unsafe < 2; unsafe++) {
        struct pool_bed p;
        pool_open(&p, &pool_h1);
        struct heard *before = pool_ask(&p, "GET");
        bed_run(&p.b, 1000);
        assert_complete(before, 200);
        fl_http_conn_close(p.b.servers[0].conn);
        struct heard *h = pool_ask(&p, methods[unsafe]);
        bed_run(&p.b, 1000);
        if (unsafe) {
            assert_int_equal(h->closes, 1);
            assert_true(h->why.code == FL_ECLOSED || h->why.code == FL_ERESET);
        } else {
            assert_complete(h, 200);
            assert_int_equal(p.b.server_count, 2);
        }
        pool_shut(&p);
    }
}

/* What a fresh connection's end means is the caller's to judge. */
static void test_no_repetition_on_a_fresh_connection(void **state) {
    struct pool_bed p;
    int dials = 0;
    FL_UNUSED(state);
    pool_open(&p, &pool_h1);
    p.b.abort = true;
    fl_world_observe(p.b.world, count_dials, &dials);
    struct heard *h = pool_ask(&p, "GET");
    bed_run(&p.b, 1000);
    assert_closed(h, FL_ERESET);
    assert_int_equal(dials, 1);
    pool_shut(&p);
}

static void test_repeated_before_those_that_wait(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &(struct fl_http_pool_options){.http.version = FL_HTTP_2, .conns_max = 1});
    p.b.server_options.streams_max = 1;
    p.b.refuse = true;
    p.b.echo = false;
    pool_ask(&p, "PUT");
    pool_ask(&p, "POST");
    while (p.b.request_count == 0) assert_true(fl_world_step(p.b.world));
    p.b.refuse = false;
    p.b.echo = true;
    bed_run(&p.b, 1000);
    assert_int_equal(p.b.request_count, 3);
    assert_string_equal(bed_request(&p.b, 1)->method, "PUT");
    pool_shut(&p);
}

/* A response that had begun is never begun again. */
static void test_no_repetition_after_the_head(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &pool_h1);
    bed_run_closed(&p.b, pool_ask(&p, "GET"));
    p.b.echo = false;
    struct heard *h = pool_ask(&p, "GET");
    bed_run(&p.b, 100);
    bed_respond(bed_request(&p.b, 1), 200, false);
    bed_run(&p.b, 100);
    fl_world_cut(p.b.world, FL_STR("127.0.0.1"));
    bed_run(&p.b, 100);
    assert_closed(h, FL_ERESET);
    assert_int_equal(h->heads, 1);
    pool_shut(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_dial_ends_those_waiting),
        cmocka_unit_test(test_origin_that_greets_and_leaves),
        cmocka_unit_test(test_silent_origin),
        cmocka_unit_test(test_C8_dying_server_loses_only_what_it_had),
        cmocka_unit_test(test_C8_requests_above_the_last_stream_are_repeated),
        cmocka_unit_test(test_refused_streams_are_repeated_a_few_times),
        cmocka_unit_test(test_P2_keep_alive_race),
        cmocka_unit_test(test_no_repetition_on_a_fresh_connection),
        cmocka_unit_test(test_repeated_before_those_that_wait),
        cmocka_unit_test(test_no_repetition_after_the_head),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
