/* admin_admin_test.c - the admin server over a simulated network: its pages, what it refuses, and
 * its end with a client still connected. */
#include "support/alloc.h"

#include <fairlead/admin.h>

#include "base/area.h"
#include "http/pool.h"
#include "sim/world.h"

#define PORT 9100

static const struct fl_admin_options options = {.port = PORT};

struct answer {
    int status, closes;
    bool takes_nothing;
    char type[64], allow[16];
    struct fl_buf body;
};

struct admin_bed {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_runtime runtime;
    struct fl_admin *admin;
    struct fl_http_pool *pool;
    int admin_closed, pool_closed;
};

static void on_response(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head) {
    struct answer *a = arg;
    FL_UNUSED(stream);
    a->status = head->status;
    fl_str_copy(a->type, sizeof a->type, fl_http_header_get(head->headers, FL_STR("content-type")));
    fl_str_copy(a->allow, sizeof a->allow, fl_http_header_get(head->headers, FL_STR("allow")));
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct answer *a = arg;
    assert_int_equal(fl_buf_append(&a->body, bytes), 0);
    if (!a->takes_nothing) fl_http_stream_consume(stream, bytes.n);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    struct answer *a = arg;
    FL_UNUSED(stream);
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
    a->closes++;
}

static void count(void *arg) { ++*(int *)arg; }

static void bed_open(struct admin_bed *bed) {
    static const struct fl_world_options world = {.seed = 1};
    const struct fl_http_pool_options pool = {.host = FL_STR("127.0.0.1"), .port = PORT};
    *bed = (struct admin_bed){0};
    assert_int_equal(fl_world_new(&world, &bed->world), 0);
    bed->io = fl_world_io(bed->world);
    bed->runtime.io = bed->io;
    assert_int_equal(fl_admin_new(&bed->runtime, &options, &bed->admin, NULL), 0);
    assert_int_equal(fl_admin_port(bed->admin), PORT);
    assert_int_equal(fl_http_pool_new(bed->io, &pool, &bed->pool, NULL), 0);
}

static void bed_shut(struct admin_bed *bed) {
    if (!bed->admin_closed) fl_admin_close(bed->admin, count, &bed->admin_closed);
    fl_http_pool_close(bed->pool, count, &bed->pool_closed);
    assert_int_equal(bed->pool_closed, 0);
    fl_world_run_ms(bed->world, 5000);
    assert_int_equal(bed->admin_closed, 1);
    assert_int_equal(bed->pool_closed, 1);
    assert_int_equal(fl_world_open_socks(bed->world), 0);
    fl_world_free(bed->world);
}

static void start(struct fl_http_pool *pool, const char *method, const char *path,
                  struct answer *a) {
    static const struct fl_http_stream_events events = {
        .on_response = on_response, .on_data = on_data, .on_close = on_close};
    struct fl_http_request head = {.method = fl_str_of(method),
                                   .scheme = FL_STR("http"),
                                   .authority = FL_STR("admin"),
                                   .path = fl_str_of(path)};
    struct fl_http_exchange *exchange;
    fl_buf_init(&a->body, 1024 * 1024);
    assert_int_equal(fl_http_pool_request(pool, &head, 0, &events, a, &exchange, NULL), 0);
}

/* The body is the caller's to free. */
static struct answer ask(struct admin_bed *bed, const char *method, const char *path) {
    struct answer a = {0};
    start(bed->pool, method, path, &a);
    fl_world_run_ms(bed->world, 1000);
    assert_int_equal(a.closes, 1);
    return a;
}

static void assert_says(struct admin_bed *bed, const char *method, const char *path, int status,
                        const char *words) {
    struct answer a = ask(bed, method, path);
    assert_int_equal(a.status, status);
    assert_int_equal(fl_buf_append(&a.body, fl_str_n("", 1)), 0);
    assert_non_null(strstr((const char *)a.body.data, words));
    fl_buf_deinit(&a.body);
}

static void test_metrics_are_prometheus_text(void **state) {
    struct admin_bed bed;
    FL_UNUSED(state);
    bed_open(&bed);
    fl_metric_add(fl_metrics_get(bed.io->metrics, FL_METRIC_COUNTER, "test_total", "of a test", ""),
                  7);
    assert_says(&bed, "GET", "/metrics", 200, "\ntest_total 7\n");
    assert_says(&bed, "GET", "/metrics?x=1", 200, "fairlead_heap_bytes{area=\"blocks\"}");
    struct answer a = ask(&bed, "GET", "/metrics");
    assert_string_equal(a.type, "text/plain; version=0.0.4; charset=utf-8");
    fl_buf_deinit(&a.body);
    bed_shut(&bed);
}

static void test_health_and_what_is_not_there(void **state) {
    struct admin_bed bed;
    FL_UNUSED(state);
    bed_open(&bed);
    assert_says(&bed, "GET", "/healthz", 200, "ok\n");
    assert_says(&bed, "HEAD", "/healthz", 200, "");
    assert_says(&bed, "GET", "/metricsx", 404, "/metrics");
    assert_says(&bed, "POST", "/metrics", 405, "GET");
    struct answer a = ask(&bed, "POST", "/healthz");
    assert_string_equal(a.allow, "GET, HEAD");
    fl_buf_deinit(&a.body);
    bed_shut(&bed);
}

struct teller {
    struct fl_shown shown;
    const char *words;
    int rc;
};

static int tell(struct fl_shown *shown, struct fl_buf *out) {
    const struct teller *teller = FL_CONTAINER(shown, struct teller, shown);
    return teller->rc ? teller->rc : fl_buf_append(out, fl_str_of(teller->words));
}

static void test_conns_are_what_objects_tell(void **state) {
    struct teller a = {{.write = tell}, "{\"a\":1}", 0}, b = {{.write = tell}, "{\"b\":2}", 0};
    struct admin_bed bed;
    FL_UNUSED(state);
    bed_open(&bed);
    assert_says(&bed, "GET", "/conns", 200, "{\"channels\":[]}\n");
    fl_shown_enter(&bed.io->channels, &a.shown);
    assert_says(&bed, "GET", "/conns", 200, "{\"channels\":[{\"a\":1}]}\n");
    fl_shown_enter(&bed.io->channels, &b.shown);
    assert_says(&bed, "GET", "/conns", 200, "{\"channels\":[{\"b\":2},{\"a\":1}]}\n");
    a.rc = FL_EFULL;
    assert_says(&bed, "GET", "/conns", 500, "more than");
    fl_shown_leave(&a.shown);
    fl_shown_leave(&a.shown);
    assert_says(&bed, "GET", "/conns", 200, "{\"channels\":[{\"b\":2}]}\n");
    fl_shown_leave(&b.shown);
    assert_null(bed.io->channels);
    bed_shut(&bed);
}

/* A client that takes nothing of its answer is not waited for. */
static void test_an_answer_has_a_deadline(void **state) {
    const struct fl_http_pool_options pool = {
        .host = FL_STR("127.0.0.1"),
        .port = PORT,
        .http = {.version = FL_HTTP_2, .window_bytes = 100},
    };
    struct admin_bed bed;
    struct answer a = {.takes_nothing = true};
    struct fl_http_pool *narrow;
    int narrow_closed = 0;
    FL_UNUSED(state);
    bed_open(&bed);
    assert_int_equal(fl_http_pool_new(bed.io, &pool, &narrow, NULL), 0);
    start(narrow, "GET", "/metrics", &a);
    fl_world_run_ms(bed.world, 29000);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.len, 100);
    assert_int_equal(a.closes, 0);
    fl_world_run_ms(bed.world, 2000);
    assert_int_equal(a.closes, 1);
    fl_buf_deinit(&a.body);
    fl_http_pool_close(narrow, count, &narrow_closed);
    bed_shut(&bed);
    assert_int_equal(narrow_closed, 1);
}

static void test_closes_with_a_client_connected(void **state) {
    struct admin_bed bed;
    FL_UNUSED(state);
    bed_open(&bed);
    assert_says(&bed, "GET", "/healthz", 200, "ok\n");
    fl_admin_close(bed.admin, count, &bed.admin_closed);
    assert_int_equal(bed.admin_closed, 0);
    fl_world_run_ms(bed.world, 5000);
    assert_int_equal(bed.admin_closed, 1);
    bed_shut(&bed);
}

static void test_every_allocation_failing(void **state) {
    static const struct fl_world_options seeded = {.seed = 1};
    struct fl_world *world;
    FL_UNUSED(state);
    assert_int_equal(fl_world_new(&seeded, &world), 0);
    struct fl_runtime runtime = {fl_world_io(world)};
    FL_TEST_EACH_FAILURE(n) {
        struct fl_admin *admin;
        int closed = 0;
        int rc = fl_admin_new(&runtime, &options, &admin, NULL);
        if (!rc) fl_admin_close(admin, count, &closed);
        fl_world_run_ms(world, 1000);
        assert_int_equal(closed, rc == FL_OK);
        assert_true(rc == FL_OK || rc == FL_ENOMEM);
    }
    fl_world_free(world);
}

static void test_area_bytes_are_a_sum(void **state) {
    FL_UNUSED(state);
    size_t before = fl_area_bytes(FL_AREA_SETS);
    fl_area_add(FL_AREA_SETS, 100);
    fl_area_add(FL_AREA_SETS, -40);
    assert_int_equal(fl_area_bytes(FL_AREA_SETS), before + 60);
    fl_area_add(FL_AREA_SETS, -60);
    assert_int_equal(fl_area_bytes(FL_AREA_SETS), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_are_prometheus_text),
        cmocka_unit_test(test_health_and_what_is_not_there),
        cmocka_unit_test(test_conns_are_what_objects_tell),
        cmocka_unit_test(test_an_answer_has_a_deadline),
        cmocka_unit_test(test_closes_with_a_client_connected),
        cmocka_unit_test(test_every_allocation_failing),
        cmocka_unit_test(test_area_bytes_are_a_sum),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
