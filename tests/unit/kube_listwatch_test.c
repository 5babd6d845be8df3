/* kube_listwatch_test.c - a reflector on a loop, against the simulated API server in a simulated
 * world. */
#include "support/alloc.h"

#include <fairlead/log.h>
#include <stdio.h>

#include "kube/kubeconfig.h"
#include "kube/listwatch.h"
#include "sim/apiserver.h"
#include "sim/world.h"

#define SHOP FL_STR("shop")
#define HOST FL_STR("127.0.0.1")

struct fixture {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_cluster *cluster;
    struct fl_apiserver *server;
    struct fl_kube_client *client;
    struct fl_listwatch *lw;
    bool lw_closed, client_closed, server_closed;
    bool close_at_trouble, full;
    uint64_t audit_ms;
    unsigned changes, synced, troubles, notes[FL_REFLECTOR_NOTES];
    struct fl_error trouble;
};

static void on_lw_closed(void *arg) { ((struct fixture *)arg)->lw_closed = true; }
static void on_client_closed(void *arg) { ((struct fixture *)arg)->client_closed = true; }
static void on_server_closed(void *arg) { ((struct fixture *)arg)->server_closed = true; }

static void close_lw(struct fixture *f) {
    fl_listwatch_close(f->lw, on_lw_closed, f);
    f->lw = NULL;
}

static int on_change(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct fixture *f = arg;
    FL_UNUSED(old);
    FL_UNUSED(now);
    assert_false(f->lw_closed);
    if (f->full) return FL_EFULL;
    f->changes++;
    return FL_OK;
}

static void on_synced(void *arg) { ((struct fixture *)arg)->synced++; }

static void on_trouble(void *arg, const struct fl_error *why) {
    struct fixture *f = arg;
    assert_non_null(f->lw);
    f->troubles++;
    f->trouble = *why;
    if (f->close_at_trouble) close_lw(f);
}

static void on_note(void *arg, enum fl_reflector_note note) {
    struct fixture *f = arg;
    assert_non_null(f->lw);
    f->notes[note]++;
}

static const struct fl_listwatch_events events = {
    .on_change = on_change, .on_synced = on_synced, .on_trouble = on_trouble, .on_note = on_note};

static int open_lw(struct fixture *f) {
    const struct fl_listwatch_options options = {
        .client = f->client, .kind = FL_K8S_SERVICE, .ns = SHOP, .audit_ms = f->audit_ms};
    f->lw_closed = false;
    return fl_listwatch_new(f->io, &options, &events, f, &f->lw, NULL);
}

static void open_client(struct fixture *f, bool http2) {
    const struct fl_kube_client_options options = {.http2_cleartext = http2};
    struct fl_kube_config config;
    char url[64];
    fl_kube_config_init(&config);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", fl_apiserver_port(f->server));
    assert_int_equal(fl_server_url_parse(fl_str_of(url), &config, NULL), FL_OK);
    assert_int_equal(fl_kube_client_new(f->io, &config, &options, &f->client, NULL), FL_OK);
    fl_kube_config_deinit(&config);
}

static void add_service(struct fixture *f, const char *name) {
    const struct fl_k8s_service_port port = {.protocol = FL_STR("TCP"), .port = 80};
    assert_int_equal(fl_cluster_service(f->cluster, SHOP, fl_str_of(name), &port, 1), FL_OK);
}

/* With two services. */
static void setup_with(struct fixture *f, bool http2, const struct fl_apiserver_options *options) {
    const struct fl_world_options world = {.seed = 3, .chop = true, .reorder = true};
    struct fl_apiserver_options server = *options;
    server.host = HOST;
    *f = (struct fixture){0};
    assert_int_equal(fl_world_new(&world, &f->world), FL_OK);
    f->io = fl_world_io(f->world);
    assert_int_equal(fl_cluster_new(1, 1000, &f->cluster), FL_OK);
    assert_int_equal(fl_apiserver_new(f->io, f->cluster, &server, &f->server, NULL), FL_OK);
    add_service(f, "a");
    add_service(f, "b");
    open_client(f, http2);
}

/* A server that sends no bookmark for an hour. */
static void setup(struct fixture *f, bool http2) {
    setup_with(f, http2, &(struct fl_apiserver_options){.bookmark_ms = 3600000});
}

static void run(struct fixture *f, uint64_t ms) { fl_world_run_ms(f->world, ms); }

static void teardown(struct fixture *f) {
    if (f->lw) close_lw(f);
    run(f, 1000);
    assert_true(f->lw_closed);
    fl_kube_client_close(f->client, on_client_closed, f);
    run(f, 5000);
    assert_true(f->client_closed);
    fl_apiserver_close(f->server, on_server_closed, f);
    run(f, 60000);
    assert_true(f->server_closed);
    assert_int_equal(fl_world_open_socks(f->world), 0);
    fl_cluster_free(f->cluster);
    fl_world_free(f->world);
}

static void setup_open(struct fixture *f, bool http2) {
    setup(f, http2);
    assert_int_equal(open_lw(f), FL_OK);
    assert_int_equal(f->changes + f->synced + f->troubles, 0);
    run(f, 1000);
}

static int64_t counter(struct fixture *f, const char *name, const char *labels) {
    return fl_metric_value(fl_metrics_get(f->io->metrics, FL_METRIC_COUNTER, name, "", labels));
}

static void test_the_store_follows(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    for (int http2 = 0; http2 < 2; http2++) {
        setup_open(&f, http2);
        assert_true(fl_listwatch_synced(f.lw));
        assert_int_equal(fl_kube_store_count(fl_listwatch_store(f.lw)), 2);
        add_service(&f, "c");
        run(&f, 100);
        assert_int_equal(fl_kube_store_count(fl_listwatch_store(f.lw)), 3);
        assert_int_equal(fl_cluster_service_delete(f.cluster, SHOP, FL_STR("a")), FL_OK);
        run(&f, 100);
        assert_null(fl_kube_store_peek(fl_listwatch_store(f.lw), SHOP, FL_STR("a")));
        assert_int_equal(f.synced, 1);
        assert_int_equal(f.troubles, 0);
        teardown(&f);
    }
}

static void test_what_happens_is_counted(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_open(&f, false);
    add_service(&f, "c");
    fl_apiserver_fault(f.server, FL_FAULT_GONE_STATUS, 1);
    run(&f, 100);
    fl_apiserver_end_watches(f.server);
    run(&f, 10000);
    assert_int_equal(
        counter(&f, "fairlead_reflector_relists_total", "resource=services,cause=gone"), 1);
    assert_int_equal(
        counter(&f, "fairlead_reflector_notes_total", "resource=services,what=watch_resume"), 1);
    assert_true(counter(&f, "fairlead_kube_events_total", "resource=services") >= 6);
    assert_true(counter(&f, "fairlead_kube_read_bytes", "resource=services") > 100);
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_GONE], 1);
    assert_int_equal(f.notes[FL_REFLECTOR_LIST_FIRST], 1);
    assert_int_equal(f.synced, 2);
    teardown(&f);
}

/* A watch with nothing to say is proved alive by the PINGs of its connection. */
static void test_a_bound_that_is_reached_is_counted(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, false);
    f.full = true;
    assert_int_equal(open_lw(&f), FL_OK);
    run(&f, 500);
    assert_int_equal(f.trouble.code, FL_EFULL);
    assert_int_equal(f.synced, 0);
    assert_int_equal(counter(&f, "fairlead_kube_full_total", "resource=services"), f.troubles);
    f.full = false;
    run(&f, 60000);
    assert_int_equal(f.trouble.code, FL_OK);
    assert_int_equal(f.synced, 1);
    teardown(&f);
}

static void test_W8_a_quiet_watch_over_http2_stays_fresh(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_open(&f, true);
    for (int i = 0; i < 250; i++) {
        run(&f, 1000);
        assert_true(fl_io_now_ms(f.io) - fl_listwatch_proof_ms(f.lw) <= 45000);
        assert_int_equal(fl_listwatch_stale_ms(f.lw), 0);
    }
    assert_int_equal(f.troubles, 0);
    teardown(&f);
}

/* The connection died without a word: noticed by PING after 30 s and 15 s, not after 15 minutes. */
static void test_W8_a_dead_connection_is_noticed(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_open(&f, true);
    uint64_t proof_ms = fl_listwatch_proof_ms(f.lw);
    fl_world_fault(f.world, HOST, FL_WORLD_BLACKHOLE);
    run(&f, 40000);
    assert_int_equal(f.troubles, 0);
    run(&f, 6000);
    assert_int_equal(f.trouble.code, FL_ETIMEOUT);
    assert_int_equal(fl_listwatch_proof_ms(f.lw), proof_ms);
    assert_int_equal(fl_listwatch_stale_ms(f.lw), fl_io_now_ms(f.io) - proof_ms - 45000);
    fl_world_fault(f.world, HOST, FL_WORLD_OK);
    fl_world_cut(f.world, HOST);
    run(&f, 70000);
    assert_int_equal(f.trouble.code, FL_OK);
    assert_int_equal(fl_listwatch_stale_ms(f.lw), 0);
    assert_int_equal(f.synced, 1);
    teardown(&f);
}

/* Without any proof yet it counts from the start. */
static void test_W8_what_never_synced_grows_stale(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, false);
    fl_world_fault(f.world, HOST, FL_WORLD_BLACKHOLE);
    assert_int_equal(open_lw(&f), FL_OK);
    run(&f, 45000);
    assert_int_equal(fl_listwatch_stale_ms(f.lw), 0);
    run(&f, 20000);
    assert_int_equal(fl_listwatch_stale_ms(f.lw), 20000);
    fl_world_fault(f.world, HOST, FL_WORLD_OK);
    teardown(&f);
}

/* W8: over HTTP/1.1 there are no PINGs; bookmarks that stay away show that a watch is dead. */
static void test_W8_a_dead_connection_is_noticed_by_bookmarks(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_with(&f, false, &(struct fl_apiserver_options){0});
    assert_int_equal(open_lw(&f), FL_OK);
    run(&f, 61000);
    fl_world_fault(f.world, HOST, FL_WORLD_BLACKHOLE);
    run(&f, 88000);
    assert_int_equal(f.notes[FL_REFLECTOR_WATCH_STALLED], 0);
    run(&f, 10000);
    assert_int_equal(f.notes[FL_REFLECTOR_WATCH_STALLED], 1);
    assert_true(fl_listwatch_stale_ms(f.lw) > 40000);
    add_service(&f, "c");
    fl_world_fault(f.world, HOST, FL_WORLD_OK);
    fl_world_cut(f.world, HOST);
    run(&f, 70000);
    assert_int_equal(fl_kube_store_count(fl_listwatch_store(f.lw)), 3);
    assert_int_equal(fl_listwatch_stale_ms(f.lw), 0);
    teardown(&f);
}

static int64_t gauge(struct fixture *f, const char *name) {
    return fl_metric_value(fl_metrics_get(f->io->metrics, FL_METRIC_GAUGE, name, "",
                                          "name=services,namespace=shop,selector="));
}

static int64_t histogram_count(struct fixture *f, const char *name) {
    return fl_metric_value(
        fl_metrics_get(f->io->metrics, FL_METRIC_HISTOGRAM, name, "", "name=services"));
}

static void test_metrics_have_the_names_of_client_go(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_open(&f, true);
    assert_int_equal(counter(&f, "reflector_lists_total", "name=services"), 1);
    assert_int_equal(counter(&f, "reflector_watches_total", "name=services"), 1);
    assert_int_equal(histogram_count(&f, "reflector_list_duration_seconds"), 1);
    assert_int_equal(histogram_count(&f, "reflector_items_per_list"), 1);
    assert_true(gauge(&f, "reflector_last_resource_version") > 0);
    run(&f, 1000);
    fl_apiserver_end_watches(f.server);
    run(&f, 5000);
    assert_int_equal(counter(&f, "reflector_lists_total", "name=services"), 1);
    assert_int_equal(counter(&f, "reflector_watches_total", "name=services"), 2);
    assert_int_equal(histogram_count(&f, "reflector_watch_duration_seconds"), 1);
    assert_int_equal(histogram_count(&f, "reflector_items_per_watch"), 1);
    assert_int_equal(counter(&f, "reflector_short_watches_total", "name=services"), 0);
    fl_apiserver_fault(f.server, FL_FAULT_SHORT, 1); /* the next one ends within a second */
    fl_apiserver_end_watches(f.server);
    run(&f, 5000);
    assert_int_equal(counter(&f, "reflector_short_watches_total", "name=services"), 1);
    fl_world_fault(f.world, HOST, FL_WORLD_BLACKHOLE);
    run(&f, 100000);
    assert_true(gauge(&f, "fairlead_reflector_stale_ms") >= 45000);
    fl_world_fault(f.world, HOST, FL_WORLD_OK);
    teardown(&f);
}

static void test_W10_a_stream_that_never_ends_costs_its_deadline_once(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, false);
    fl_apiserver_fault(f.server, FL_FAULT_NO_END, 1000);
    assert_int_equal(open_lw(&f), FL_OK);
    run(&f, 14000);
    assert_int_equal(f.synced, 0);
    assert_int_equal(f.changes, 2); /* but what is there is shown */
    run(&f, 3000);
    assert_int_equal(f.synced, 1);
    assert_int_equal(f.notes[FL_REFLECTOR_STREAM_UNENDED], 1);
    close_lw(&f);
    run(&f, 1000);
    assert_int_equal(open_lw(&f), FL_OK);
    run(&f, 1000);
    assert_int_equal(f.synced, 2);
    assert_int_equal(f.notes[FL_REFLECTOR_STREAM_UNENDED], 1);
    teardown(&f);
}

static void test_W10_a_server_that_cannot_stream(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_with(&f, false, &(struct fl_apiserver_options){.no_streaming_list = true});
    assert_int_equal(open_lw(&f), FL_OK);
    run(&f, 1000);
    assert_int_equal(f.synced, 1);
    assert_int_equal(f.troubles, 0);
    assert_int_equal(f.notes[FL_REFLECTOR_STREAM_REFUSED], 1);
    teardown(&f);
}

static void test_a_server_that_writes_json_only(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_with(&f, false, &(struct fl_apiserver_options){.no_protobuf = true});
    assert_int_equal(open_lw(&f), FL_OK);
    run(&f, 1000);
    add_service(&f, "c");
    run(&f, 1000);
    assert_int_equal(fl_kube_store_count(fl_listwatch_store(f.lw)), 3);
    assert_int_equal(f.troubles, 0);
    teardown(&f);
}

static int64_t repairs(struct fixture *f, const char *kind) {
    char labels[64];
    snprintf(labels, sizeof(labels), "resource=services,kind=%s", kind);
    return counter(f, "fairlead_audit_repairs_total", labels);
}

/* W3: the watch misses an object, a change of one and the end of one, and goes on. */
static void test_W3_the_audit_repairs_what_the_watch_lost(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_with(&f, true, &(struct fl_apiserver_options){0});
    f.audit_ms = 60000;
    assert_int_equal(open_lw(&f), FL_OK);
    run(&f, 1000);
    fl_apiserver_fault(f.server, FL_FAULT_LOST_EVENT, 1);
    add_service(&f, "lost");
    add_service(&f, "c");
    run(&f, 1000);
    assert_null(fl_kube_store_peek(fl_listwatch_store(f.lw), SHOP, FL_STR("lost")));
    assert_int_equal(fl_kube_store_count(fl_listwatch_store(f.lw)), 3);
    run(&f, 160000);
    assert_non_null(fl_kube_store_peek(fl_listwatch_store(f.lw), SHOP, FL_STR("lost")));
    assert_int_equal(repairs(&f, "missing"), 1);
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_AUDIT], 1);
    fl_apiserver_fault(f.server, FL_FAULT_LOST_EVENT, 1);
    assert_int_equal(fl_cluster_service_delete(f.cluster, SHOP, FL_STR("a")), FL_OK);
    add_service(&f, "d");
    run(&f, 1000);
    assert_non_null(fl_kube_store_peek(fl_listwatch_store(f.lw), SHOP, FL_STR("a")));
    run(&f, 160000);
    assert_null(fl_kube_store_peek(fl_listwatch_store(f.lw), SHOP, FL_STR("a")));
    assert_int_equal(repairs(&f, "extra"), 1);
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_AUDIT], 1); /* removed without a list */
    assert_int_equal(f.troubles, 0);
    teardown(&f);
}

/* An audit beside a watch costs it nothing, and when nothing is lost it finds nothing. */
static void test_W3_audits_of_a_true_store_find_nothing(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, true);
    f.audit_ms = 2000;
    assert_int_equal(open_lw(&f), FL_OK);
    for (unsigned i = 0; i < 400; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", i % 40);
        if (i / 40 % 2)
            assert_int_equal(fl_cluster_service_delete(f.cluster, SHOP, fl_str_of(name)), FL_OK);
        else
            add_service(&f, name);
        run(&f, 97);
    }
    assert_true(counter(&f, "fairlead_audits_total", "resource=services,outcome=agreed") >= 10);
    assert_int_equal(counter(&f, "fairlead_audits_total", "resource=services,outcome=failed"), 0);
    assert_int_equal(repairs(&f, "missing") + repairs(&f, "extra") + repairs(&f, "older"), 0);
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_AUDIT], 0);
    teardown(&f);
}

/* W12: a quarter of an hour of 503 costs an attempt per cap, and no list. */
static void test_W12_an_overloaded_server_is_left_alone(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_open(&f, true);
    fl_apiserver_fault(f.server, FL_FAULT_UNAVAILABLE, 1000000);
    uint64_t requests = fl_apiserver_requests(f.server);
    fl_apiserver_end_watches(f.server);
    run(&f, 900000);
    requests = fl_apiserver_requests(f.server) - requests;
    assert_true(requests >= 15 && requests <= 36);
    assert_int_equal(f.trouble.code, FL_ESERVER);
    add_service(&f, "c");
    fl_apiserver_heal(f.server);
    run(&f, 65000);
    assert_int_equal(fl_kube_store_count(fl_listwatch_store(f.lw)), 3);
    assert_int_equal(counter(&f, "reflector_lists_total", "name=services"), 1);
    assert_int_equal(f.trouble.code, FL_OK);
    teardown(&f);
}

/* Memory that fails anywhere in a sync, list, watch and audit, delays it and no more. */
static void test_each_failed_allocation_of_a_whole_sync(void **state) {
    bool failed = true;
    FL_UNUSED(state);
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        setup(&f, n % 2);
        f.audit_ms = 1000;
        assert_int_equal(open_lw(&f), FL_OK);
        fl_test_alloc_fail_at(n);
        run(&f, 2000);
        failed = fl_test_alloc_did_fail();
        fl_test_alloc_fail_at(0);
        run(&f, 120000);
        assert_int_equal(fl_kube_store_count(fl_listwatch_store(f.lw)), 2);
        assert_true(fl_listwatch_synced(f.lw));
        teardown(&f);
    }
}

static void test_closing_at_any_moment(void **state) {
    FL_UNUSED(state);
    for (unsigned steps = 0; steps < 80; steps++) {
        struct fixture f;
        setup(&f, steps % 2);
        assert_int_equal(open_lw(&f), FL_OK);
        for (unsigned i = 0; i < steps; i++) fl_world_step(f.world);
        unsigned told = f.changes + f.synced + f.troubles;
        close_lw(&f);
        assert_false(f.lw_closed);
        add_service(&f, "c");
        run(&f, 1000);
        assert_true(f.lw_closed);
        assert_int_equal(f.changes + f.synced + f.troubles, told);
        teardown(&f);
    }
}

static void test_closing_from_within_trouble(void **state) {
    static const enum fl_fault_kind faults[] = {FL_FAULT_UNAVAILABLE, FL_FAULT_GARBAGE,
                                                FL_FAULT_STALL};
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(faults); i++) {
        struct fixture f;
        setup(&f, false);
        f.close_at_trouble = true;
        fl_apiserver_fault(f.server, faults[i], 1);
        assert_int_equal(open_lw(&f), FL_OK);
        run(&f, 40000);
        assert_int_equal(f.troubles, 1);
        assert_true(f.lw_closed);
        teardown(&f);
    }
}

static void test_a_server_that_is_not_there(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, false);
    fl_world_fault(f.world, HOST, FL_WORLD_REFUSE);
    assert_int_equal(open_lw(&f), FL_OK);
    run(&f, 1000);
    assert_int_equal(f.trouble.code, FL_EREFUSED);
    fl_world_fault(f.world, HOST, FL_WORLD_OK);
    run(&f, 10000);
    assert_int_equal(f.trouble.code, FL_OK);
    assert_int_equal(f.synced, 1);
    teardown(&f);
}

static void test_each_failed_allocation_of_the_constructor(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, false);
    FL_TEST_EACH_FAILURE(n) {
        int rc = open_lw(&f);
        assert_true(rc == FL_OK || rc == FL_ENOMEM);
        if (rc == FL_OK) close_lw(&f);
        run(&f, 100);
        assert_int_equal(f.lw_closed, rc == FL_OK);
    }
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_store_follows),
        cmocka_unit_test(test_what_happens_is_counted),
        cmocka_unit_test(test_a_bound_that_is_reached_is_counted),
        cmocka_unit_test(test_W8_a_quiet_watch_over_http2_stays_fresh),
        cmocka_unit_test(test_W8_a_dead_connection_is_noticed),
        cmocka_unit_test(test_W8_what_never_synced_grows_stale),
        cmocka_unit_test(test_W8_a_dead_connection_is_noticed_by_bookmarks),
        cmocka_unit_test(test_metrics_have_the_names_of_client_go),
        cmocka_unit_test(test_W10_a_stream_that_never_ends_costs_its_deadline_once),
        cmocka_unit_test(test_W10_a_server_that_cannot_stream),
        cmocka_unit_test(test_a_server_that_writes_json_only),
        cmocka_unit_test(test_W3_the_audit_repairs_what_the_watch_lost),
        cmocka_unit_test(test_W3_audits_of_a_true_store_find_nothing),
        cmocka_unit_test(test_W12_an_overloaded_server_is_left_alone),
        cmocka_unit_test(test_each_failed_allocation_of_a_whole_sync),
        cmocka_unit_test(test_closing_at_any_moment),
        cmocka_unit_test(test_closing_from_within_trouble),
        cmocka_unit_test(test_a_server_that_is_not_there),
        cmocka_unit_test(test_each_failed_allocation_of_the_constructor),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
