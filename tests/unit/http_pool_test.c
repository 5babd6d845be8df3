/* http_pool_test.c - the HTTP pool: connections, bounds, ends, over a simulated network. */
#include "support/pool_bed.h"

#include <stdio.h>

#include "base/area.h"
#include "http/limits.h"

/* --- connections --- */

static void test_h2_shares_one_connection(void **state) {
    struct pool_bed p;
    struct heard *h[50];
    FL_UNUSED(state);
    pool_open(&p, &pool_h2);
    for (size_t i = 0; i < FL_COUNT(h); i++) h[i] = pool_ask(&p, "GET");
    bed_run(&p.b, 1000);
    for (size_t i = 0; i < FL_COUNT(h); i++) assert_complete(h[i], 200);
    assert_string_equal(bed_request(&p.b, 0)->path, "/p");
    assert_string_equal(bed_request(&p.b, 0)->authority, "bed");
    assert_int_equal(p.b.server_count, 1);
    pool_shut(&p);
}

static void test_C13_another_connection_at_the_stream_limit(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &pool_h2);
    p.b.echo = false;
    p.b.server_options.streams_max = 10;
    for (int i = 0; i < 25; i++) pool_ask(&p, "GET");
    bed_run(&p.b, 1000);
    assert_int_equal(p.b.server_count, 3);
    assert_int_equal(p.b.request_count, 25);
    pool_shut(&p);
}

static void test_h1_one_per_exchange_and_kept(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &pool_h1);
    p.b.echo = false;
    for (int i = 0; i < 5; i++) pool_ask(&p, "GET");
    bed_run(&p.b, 1000);
    assert_int_equal(p.b.server_count, 5);
    for (size_t i = 0; i < 5; i++) bed_respond(bed_request(&p.b, i), 200, true);
    bed_run(&p.b, 1000);
    p.b.echo = true;
    for (int i = 0; i < 5; i++) assert_complete(p.b.asked[i], 200);
    for (int i = 0; i < 5; i++) pool_ask(&p, "GET");
    bed_run(&p.b, 1000);
    for (int i = 5; i < 10; i++) assert_complete(p.b.asked[i], 200);
    assert_int_equal(p.b.server_count, 5);
    pool_shut(&p);
}

static void test_connections_are_bounded(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &(struct fl_http_pool_options){.http.version = FL_HTTP_1, .conns_max = 2});
    for (int i = 0; i < 20; i++) pool_ask(&p, "GET");
    bed_run(&p.b, 5000);
    for (int i = 0; i < 20; i++) assert_complete(p.b.asked[i], 200);
    assert_int_equal(p.b.server_count, 2);
    pool_shut(&p);
}

static void test_waiting_is_bounded(void **state) {
    struct pool_bed p;
    struct fl_http_exchange *x;
    FL_UNUSED(state);
    pool_open(&p, &(struct fl_http_pool_options){
                      .http.version = FL_HTTP_1, .conns_max = 1, .exchanges_max = 3});
    for (int i = 0; i < 3; i++) pool_ask(&p, "GET");
    assert_int_equal(pool_try_ask(&p, "GET", 0, NULL, &x), FL_EFULL);
    assert_int_equal(fl_metric_value(fl_http_limit_metric(p.b.io, FL_HTTP_LIMIT_POOL_QUEUE)), 1);
    bed_run(&p.b, 1000);
    for (int i = 0; i < 3; i++) assert_complete(p.b.asked[i], 200);
    pool_shut(&p);
}

/* --- ends --- */

static void test_deadline_covers_waiting(void **state) {
    struct pool_bed p;
    struct fl_http_exchange *x;
    FL_UNUSED(state);
    pool_open(&p, &(struct fl_http_pool_options){.http.version = FL_HTTP_1, .conns_max = 1});
    p.b.echo = false;
    struct heard *busy = bed_heard(&p.b), *waiting = bed_heard(&p.b);
    uint64_t at_ms = fl_io_now_ms(p.b.io) + 1000;
    assert_int_equal(pool_try_ask(&p, "GET", at_ms, busy, &x), 0);
    assert_int_equal(pool_try_ask(&p, "GET", at_ms, waiting, &x), 0);
    bed_run(&p.b, 900);
    assert_int_equal(busy->closes + waiting->closes, 0);
    bed_run(&p.b, 200);
    assert_closed(busy, FL_EDEADLINE);
    assert_closed(waiting, FL_EDEADLINE);
    pool_shut(&p);
}

static void test_cancel(void **state) {
    struct pool_bed p;
    struct fl_http_exchange *x[2];
    FL_UNUSED(state);
    pool_open(&p, &(struct fl_http_pool_options){.http.version = FL_HTTP_1, .conns_max = 1});
    p.b.echo = false;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pool_try_ask(&p, "GET", 0, bed_heard(&p.b), &x[i]), 0);
    bed_run(&p.b, 100);
    assert_true(fl_http_exchange_last_read_ms(x[0]) > 0);
    assert_int_equal(fl_http_exchange_last_read_ms(x[1]), 0); /* it waits */
    for (int i = 1; i >= 0; i--) {
        p.b.in_call = true;
        fl_http_exchange_cancel(x[i]);
        fl_http_exchange_cancel(x[i]);
        p.b.in_call = false;
    }
    bed_run(&p.b, 100);
    for (int i = 0; i < 2; i++) assert_closed(p.b.asked[i], FL_ECANCELLED);
    pool_shut(&p);
}

static struct fl_http_exchange *to_cancel;

static void cancel_the_other(struct heard *h) {
    FL_UNUSED(h);
    fl_http_exchange_cancel(to_cancel);
}

/* Both are refused in one read, the first one after its head. Its close cancels the second, whose
 * stream has ended as well, untold, and which would be made again. */
static void test_cancel_as_it_would_be_repeated(void **state) {
    static const char greeting[] = "\0\0\0\4\0\0\0\0";          /* SETTINGS */
    static const char answers[] = "\0\0\1\1\4\0\0\0\1\x88"      /* HEADERS, 200 */
                                  "\0\0\4\3\0\0\0\0\1\0\0\0\2"  /* RST_STREAM */
                                  "\0\0\4\3\0\0\0\0\3\0\0\0\7"; /* RST_STREAM */
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &pool_h2);
    p.b.raw_server = true;
    p.b.raw.greeting = fl_str_n(greeting, sizeof(greeting));
    struct heard *first = pool_ask(&p, "GET"), *second = bed_heard(&p.b);
    assert_int_equal(pool_try_ask(&p, "GET", 0, second, &to_cancel), 0);
    bed_run(&p.b, 1000);
    first->on_close = cancel_the_other;
    bed_raw_send(&p.b, fl_str_n(answers, sizeof(answers) - 1));
    bed_run(&p.b, 1000);
    assert_closed(first, FL_ESTREAM_RESET);
    assert_closed(second, FL_ECANCELLED);
    pool_shut(&p);
}

static void test_close_with_everything_open(void **state) {
    struct pool_bed p;
    struct fl_http_exchange *x;
    FL_UNUSED(state);
    pool_open(&p, &(struct fl_http_pool_options){.http.version = FL_HTTP_1, .conns_max = 2});
    p.b.echo = false;
    for (int i = 0; i < 4; i++) pool_ask(&p, "GET");
    bed_run(&p.b, 100);
    p.b.in_call = true;
    fl_http_pool_close(p.pool, on_done, &p);
    assert_int_equal(pool_try_ask(&p, "GET", 0, NULL, &x), FL_ESHUTDOWN);
    p.b.in_call = false;
    bed_run(&p.b, 5000);
    for (int i = 0; i < 4; i++) assert_closed(p.b.asked[i], FL_ESHUTDOWN);
    assert_int_equal(p.done, 1);
    bed_deinit(&p.b);
}

static void test_close_of_a_fresh_pool(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &pool_h2);
    pool_shut(&p);
}

/* Servers come and go under load, by the seed; every exchange ends once, and with a server standing
 * at the end new ones succeed. */
static void test_servers_cut_under_load(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct pool_bed p = {.done = 0};
        struct fl_random random = {seed};
        bed_init(&p.b, &(struct fl_world_options){.seed = seed, .chop = true});
        p.b.echo = true;
        assert_int_equal(pool_try_open(&p, seed % 2 ? &pool_h1 : &pool_h2), 0);
        for (int round = 0; round < 12; round++) {
            for (int i = 0; i < 3; i++) pool_ask(&p, "GET");
            bed_run(&p.b, fl_random_below(&random, 5));
            if (round % 6 == 5) fl_world_cut(p.b.world, FL_STR("127.0.0.1"));
        }
        bed_run(&p.b, 1000);
        struct heard *last = pool_ask(&p, "GET");
        bed_run(&p.b, 30000);
        assert_complete(last, 200);
        pool_shut(&p);
    }
}

/* --- memory --- */

static void test_every_allocation_failing(void **state) {
    const struct fl_http_pool_options *versions[] = {&pool_h1, &pool_h2};
    FL_UNUSED(state);
    for (size_t v = 0; v < FL_COUNT(versions); v++) {
        FL_TEST_EACH_FAILURE(n) {
            struct pool_bed p = {.done = 0};
            struct fl_http_exchange *x;
            fl_test_alloc_fail_at(0);
            bed_init(&p.b, &bed_plain);
            p.b.tolerant = p.b.echo = true;
            struct heard *h = bed_heard(&p.b);
            fl_test_alloc_fail_at(n);
            int rc = pool_try_open(&p, versions[v]);
            if (!rc) rc = pool_try_ask(&p, "GET", 0, h, &x);
            bed_run(&p.b, 30000);
            if (rc) assert_int_equal(rc, FL_ENOMEM);
            if (rc) h->closes = 1;
            if (p.pool) {
                fl_http_pool_close(p.pool, on_done, &p);
                bed_run(&p.b, 5000);
                assert_int_equal(p.done, 1);
            }
            bed_deinit(&p.b);
        }
    }
}

/* --- other credentials --- */

static void test_renewed_connections_finish_what_they_have(void **state) {
    FL_UNUSED(state);
    for (int version = 0; version < 2; version++) {
        struct pool_bed p;
        pool_open(&p, version ? &pool_h2 : &pool_h1);
        p.b.echo = false;
        struct heard *old = pool_ask(&p, "GET");
        bed_run(&p.b, 1000);
        fl_http_pool_renew(p.pool);
        struct heard *fresh = pool_ask(&p, "GET");
        bed_run(&p.b, 1000);
        assert_int_equal(p.b.server_count, 2);
        assert_int_equal(p.b.servers[0].closes, 0);
        bed_respond(bed_request(&p.b, 0), 200, true);
        bed_respond(bed_request(&p.b, 1), 200, true);
        bed_run(&p.b, 1000);
        assert_complete(old, 200);
        assert_complete(fresh, 200);
        assert_int_equal(p.b.servers[0].closes, 1);
        assert_int_equal(p.b.servers[1].closes, 0);
        pool_shut(&p);
    }
}

static void test_idle_connections_are_renewed_at_once(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &pool_h2);
    struct heard *h = pool_ask(&p, "GET");
    bed_run(&p.b, 1000);
    assert_complete(h, 200);
    fl_http_pool_renew(p.pool);
    bed_run(&p.b, 100);
    assert_int_equal(p.b.servers[0].closes, 1);
    h = pool_ask(&p, "GET");
    bed_run(&p.b, 1000);
    assert_complete(h, 200);
    assert_int_equal(p.b.server_count, 2);
    pool_shut(&p);
}

/* One that has had an answer is cut, one that has not is made again. */
static void test_what_does_not_finish_is_cut(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &pool_h2);
    p.b.echo = false;
    struct heard *begun = pool_ask(&p, "GET"), *silent = pool_ask(&p, "GET");
    bed_run(&p.b, 1000);
    bed_respond(bed_request(&p.b, 0), 200, false);
    fl_http_pool_renew(p.pool);
    bed_run(&p.b, FL_HTTP_POOL_RENEW_MS - 1000);
    assert_int_equal(begun->closes + silent->closes, 0);
    bed_run(&p.b, 2000);
    assert_closed(begun, FL_EGOAWAY);
    assert_int_equal(silent->closes, 0);
    assert_int_equal(p.b.server_count, 2);
    bed_respond(bed_request(&p.b, 2), 200, true);
    bed_run(&p.b, 1000);
    assert_complete(silent, 200);
    pool_shut(&p);
}

/* A connection that is being made with the old credentials is nobody's failure. */
static void test_renewing_while_connecting(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &pool_h2);
    struct heard *h = pool_ask(&p, "GET");
    fl_world_step(p.b.world);
    fl_http_pool_renew(p.pool);
    bed_run(&p.b, 1000);
    assert_complete(h, 200);
    pool_shut(&p);
}

static void test_renewing_then_closing(void **state) {
    struct pool_bed p;
    FL_UNUSED(state);
    pool_open(&p, &pool_h2);
    p.b.echo = false;
    struct heard *h = pool_ask(&p, "GET");
    bed_run(&p.b, 1000);
    fl_http_pool_renew(p.pool);
    fl_http_pool_close(p.pool, on_done, &p);
    bed_run(&p.b, 5000);
    assert_closed(h, FL_ESHUTDOWN);
    assert_int_equal(p.done, 1);
    bed_deinit(&p.b);
}

/* --- what is dialled --- */

static struct fl_dial dialled;
static char dialled_proxy[64];

static int write_dial_down(struct fl_io *io, const struct fl_dial *dial,
                           const struct fl_sock_events *events, void *arg, struct fl_sock **out,
                           struct fl_error *err) {
    FL_UNUSED(io), FL_UNUSED(events), FL_UNUSED(arg), FL_UNUSED(out);
    dialled = *dial;
    snprintf(dialled_proxy, sizeof(dialled_proxy), "%.*s:%u %.*s %.*s",
             FL_STR_ARG(dial->proxy->host), dial->proxy->port, FL_STR_ARG(dial->proxy->user),
             FL_STR_ARG(dial->proxy->password));
    return fl_fail(err, FL_ESYS, "not here");
}

static void test_the_proxy_and_the_newest_tls_are_dialled(void **state) {
    struct pool_bed p;
    char host[] = "proxy", password[] = "s3cret";
    struct fl_tls *old = (struct fl_tls *)&host, *fresh = (struct fl_tls *)&password;
    const struct fl_proxy proxy = {.kind = FL_PROXY_SOCKS5,
                                   .host = fl_str_of(host),
                                   .port = 1080,
                                   .user = FL_STR("jane"),
                                   .password = fl_str_of(password)};
    FL_UNUSED(state);
    pool_open(&p, &(struct fl_http_pool_options){.tls = old, .proxy = &proxy});
    host[0] = password[0] = 'x'; /* it was copied */
    const struct fl_io_ops *real = p.b.io->ops;
    struct fl_io_ops ops = *real;
    ops.dial = write_dial_down;
    p.b.io->ops = &ops;
    struct heard *h = pool_ask(&p, "GET");
    bed_run(&p.b, 100);
    assert_closed(h, FL_ESYS);
    assert_string_equal(dialled_proxy, "proxy:1080 jane s3cret");
    assert_ptr_equal(dialled.tls, old);
    assert_int_equal(dialled.proxy->kind, FL_PROXY_SOCKS5);
    fl_http_pool_use_tls(p.pool, fresh, old);
    h = pool_ask(&p, "GET");
    bed_run(&p.b, 100);
    assert_closed(h, FL_ESYS);
    assert_ptr_equal(dialled.tls, fresh);
    assert_ptr_equal(dialled.proxy->tls, old);
    p.b.io->ops = real;
    pool_shut(&p);
}

/* --- memory --- */

static void test_what_is_held_is_counted(void **state) {
    FL_UNUSED(state);
    for (int version = 0; version < 2; version++) {
        struct pool_bed p;
        size_t before = fl_area_bytes(FL_AREA_HTTP);
        pool_open(&p, version ? &pool_h2 : &pool_h1);
        p.b.echo = false;
        (void)pool_ask(&p, "GET");
        bed_run(&p.b, 1000);
        size_t open = fl_area_bytes(FL_AREA_HTTP);
        assert_true(open > before + 1000);
        bed_respond(bed_request(&p.b, 0), 200, false);
        bed_fill(bed_request(&p.b, 0), 100000, false); /* more than a window takes at once */
        assert_true(fl_area_bytes(FL_AREA_HTTP) > open + 90000);
        assert_true(fl_area_bytes(FL_AREA_HTTP) < fl_test_alloc_outstanding());
        pool_shut(&p);
        assert_int_equal(fl_area_bytes(FL_AREA_HTTP), before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_h2_shares_one_connection),
        cmocka_unit_test(test_C13_another_connection_at_the_stream_limit),
        cmocka_unit_test(test_h1_one_per_exchange_and_kept),
        cmocka_unit_test(test_connections_are_bounded),
        cmocka_unit_test(test_waiting_is_bounded),
        cmocka_unit_test(test_deadline_covers_waiting),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_as_it_would_be_repeated),
        cmocka_unit_test(test_close_with_everything_open),
        cmocka_unit_test(test_close_of_a_fresh_pool),
        cmocka_unit_test(test_servers_cut_under_load),
        cmocka_unit_test(test_every_allocation_failing),
        cmocka_unit_test(test_renewed_connections_finish_what_they_have),
        cmocka_unit_test(test_idle_connections_are_renewed_at_once),
        cmocka_unit_test(test_what_does_not_finish_is_cut),
        cmocka_unit_test(test_renewing_while_connecting),
        cmocka_unit_test(test_renewing_then_closing),
        cmocka_unit_test(test_the_proxy_and_the_newest_tls_are_dialled),
        cmocka_unit_test(test_what_is_held_is_counted),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
