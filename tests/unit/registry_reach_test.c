/* registry_reach_test.c - which watches serve which services, against the simulated API server:
 * one's own, the namespace's, the cluster's, and what is done where they are refused. */
#include "support/kube_bed.h"

#include <stdio.h>

#include <fairlead/log.h>

#define NARROW_MAX 16

static int64_t scopes(struct fl_kbed *f, const char *covers) {
    char labels[64];
    snprintf(labels, sizeof(labels), "covers=%s", covers);
    return fl_metric_value(
        fl_metrics_get(f->io->metrics, FL_METRIC_GAUGE, "fairlead_kubernetes_scopes", "", labels));
}

static void assert_scopes(struct fl_kbed *f, int64_t service, int64_t ns, int64_t cluster) {
    assert_int_equal(scopes(f, "service"), service);
    assert_int_equal(scopes(f, "namespace"), ns);
    assert_int_equal(scopes(f, "cluster"), cluster);
}

/* Services s0, s1, … with two pods each, and a subscriber to every one. */
static void follow_in(struct fl_kbed *f, const char *ns, unsigned from, unsigned count) {
    for (unsigned i = from; i < from + count; i++) {
        char name[16], target[64];
        snprintf(name, sizeof(name), "s%u", i);
        snprintf(target, sizeof(target), "kubernetes:///%s/s%u", ns, i);
        fl_kbed_add_service(f, fl_str_of(ns), fl_str_of(name));
        fl_kbed_add_pods(f, fl_str_of(ns), fl_str_of(name), 4 * i, 2);
        fl_kbed_subscribe(f, target);
    }
}

static void follow(struct fl_kbed *f, unsigned from, unsigned count) {
    follow_in(f, "shop", from, count);
}

/* Everybody sees two endpoints without trouble, and since the last call has seen nothing less. */
static void assert_all(struct fl_kbed *f, size_t endpoints) {
    for (size_t i = 0; i < f->seen_count; i++) {
        if (!f->seen[i].subscription) continue;
        assert_int_equal(f->seen[i].state, FL_SET_SOME);
        assert_int_equal(f->seen[i].endpoints, endpoints);
        assert_int_equal(f->seen[i].trouble.code, FL_OK);
        assert_true(f->seen[i].least >= FL_MIN(endpoints, (size_t)2));
        f->seen[i].least = SIZE_MAX;
    }
}

/* The next pair of lists, each asked for as a stream first, then in pages. */
static void refuse(struct fl_kbed *f) { fl_apiserver_fault(f->server, FL_FAULT_FORBIDDEN, 4); }

static void test_C23_a_service_is_watched_alone(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    follow(&f, 0, NARROW_MAX);
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_STR("noisy"));
    for (size_t i = 0; i < f.seen_count; i++) f.seen[i].least = SIZE_MAX;
    fl_kbed_run(&f, 2000);
    assert_all(&f, 2);
    assert_scopes(&f, NARROW_MAX, 0, 0);
    struct fl_metric *events =
        fl_metrics_get(f.io->metrics, FL_METRIC_COUNTER, "fairlead_kube_events_total", "",
                       "resource=endpointslices");
    int64_t before = fl_metric_value(events);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_STR("noisy"), 900, 50);
    fl_kbed_run(&f, 2000);
    assert_true(fl_metric_value(events) - before < 10); /* bookmarks at most */
    fl_kbed_teardown(&f);
}

/* The seventeenth service opens a watch of the namespace; the others move to it without anybody
 * seeing less than there is, their own watches end, and all are served from there. */
static void test_beyond_sixteen_the_namespace_is_watched(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    follow(&f, 0, NARROW_MAX);
    fl_kbed_run(&f, 2000);
    assert_scopes(&f, NARROW_MAX, 0, 0);
    for (size_t i = 0; i < NARROW_MAX; i++) f.seen[i].least = SIZE_MAX;
    follow(&f, NARROW_MAX, 1);
    f.seen[NARROW_MAX].least = SIZE_MAX;
    fl_kbed_run(&f, 3000);
    assert_scopes(&f, 0, 1, 0);
    assert_all(&f, 2);
    for (unsigned i = 0; i <= NARROW_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", i);
        fl_kbed_add_pods(&f, FL_KBED_SHOP, fl_str_of(name), 4 * i + 2, 1);
    }
    fl_kbed_run(&f, 1000);
    assert_all(&f, 3);
    fl_kbed_teardown(&f);
}

/* Many at once: no more than sixteen pairs of watches are opened for them. */
static void test_many_at_once_open_few_watches(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    follow(&f, 0, 30);
    for (size_t i = 0; i < f.seen_count; i++) f.seen[i].least = SIZE_MAX;
    fl_kbed_run(&f, 3000);
    assert_scopes(&f, 0, 1, 0);
    assert_true(fl_apiserver_requests(f.server) <= 4 * (NARROW_MAX + 1));
    assert_all(&f, 2);
    fl_kbed_teardown(&f);
}

/* RBAC permits each service by name, not the list of the namespace: everybody is served
 * nevertheless, and the namespace is asked for again after a while. */
static void test_a_refused_namespace_leaves_each_service_its_own(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    follow(&f, 0, NARROW_MAX);
    fl_kbed_run(&f, 2000);
    for (size_t i = 0; i < NARROW_MAX; i++) f.seen[i].least = SIZE_MAX;
    refuse(&f);
    follow(&f, NARROW_MAX, 2);
    for (size_t i = NARROW_MAX; i < f.seen_count; i++) f.seen[i].least = SIZE_MAX;
    fl_kbed_run(&f, 5000);
    assert_scopes(&f, NARROW_MAX + 2, 0, 0);
    assert_all(&f, 2);
    fl_kbed_run(&f, 9 * 60 * 1000);
    assert_scopes(&f, NARROW_MAX + 2, 0, 0);
    fl_kbed_run(&f, 4 * 60 * 1000);
    assert_scopes(&f, 0, 1, 0);
    assert_all(&f, 2);
    fl_kbed_teardown(&f);
}

/* Each is asked for again in its own time, also when another was refused earlier. */
static void test_namespaces_refused_one_after_the_other(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    const char *const namespaces[] = {"shop", "stock"};
    for (size_t i = 0; i < FL_COUNT(namespaces); i++) {
        follow_in(&f, namespaces[i], 100 * (unsigned)i, NARROW_MAX);
        fl_kbed_run(&f, 2000);
        refuse(&f);
        follow_in(&f, namespaces[i], 100 * (unsigned)i + NARROW_MAX, 1);
        fl_kbed_run(&f, 5 * 60 * 1000);
    }
    assert_scopes(&f, 2 * (NARROW_MAX + 1), 0, 0);
    fl_kbed_run(&f, 3 * 60 * 1000);
    assert_scopes(&f, NARROW_MAX + 1, 1, 0);
    for (size_t i = 0; i < f.seen_count; i++) f.seen[i].least = SIZE_MAX;
    fl_kbed_run(&f, 4 * 60 * 1000);
    assert_scopes(&f, 0, 2, 0);
    assert_all(&f, 2);
    fl_kbed_teardown(&f);
}

static bool said; /* that narrower watches are used or kept */

static void on_line(void *arg, const char *line, size_t n) {
    FL_UNUSED(arg);
    said |= memmem(line, n, "narrower watches", strlen("narrower watches")) != NULL ||
            memmem(line, n, "stays behind", strlen("stays behind")) != NULL;
}

/* A namespace's list that fails for another reason than RBAC is not waited for without end: who is
 * watched stays so, who waits for it gets a watch of its own, and it is asked for again. */
static void test_W9_a_namespace_that_fails_is_given_up(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    follow(&f, 0, NARROW_MAX);
    fl_kbed_run(&f, 2000);
    for (size_t i = 0; i < NARROW_MAX; i++) f.seen[i].least = SIZE_MAX;
    said = false;
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_WARN, .write = on_line});
    fl_apiserver_fault(f.server, FL_FAULT_INTERNAL, 30);
    follow(&f, NARROW_MAX, 1);
    fl_kbed_run(&f, 50000);
    assert_int_equal(f.seen[NARROW_MAX].state, FL_SET_UNKNOWN);
    assert_scopes(&f, NARROW_MAX, 1, 0);
    fl_kbed_run(&f, 20000);
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    assert_true(said);
    assert_scopes(&f, NARROW_MAX + 1, 0, 0);
    fl_kbed_run(&f, 5 * 60 * 1000);
    f.seen[NARROW_MAX].least = SIZE_MAX;
    assert_scopes(&f, NARROW_MAX + 1, 0, 0);
    assert_all(&f, 2);
    fl_kbed_run(&f, 8 * 60 * 1000);
    assert_scopes(&f, 0, 1, 0);
    assert_all(&f, 2);
    fl_kbed_teardown(&f);
}

/* The namespace was read from a server that lags, and hears no bookmark by which it would be level:
 * it is not waited for without end, and asked for again later. */
static void test_a_namespace_that_stays_behind_is_given_up(void **state) {
    const struct fl_apiserver_options options = {.no_streaming_list = true};
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, &options);
    follow(&f, 0, NARROW_MAX);
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_STR("s16"));
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_STR("s16"), 64, 2);
    fl_kbed_run(&f, 150000); /* bookmarks: each has seen the newest version */
    for (size_t i = 0; i < NARROW_MAX; i++) f.seen[i].least = SIZE_MAX;
    said = false;
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_WARN, .write = on_line});
    fl_apiserver_fault(f.server, FL_FAULT_OLDER, 100);
    fl_apiserver_fault(f.server, FL_FAULT_NO_BOOKMARK, 100);
    fl_kbed_subscribe(&f, "kubernetes:///shop/s16");
    fl_kbed_run(&f, 50000);
    assert_scopes(&f, NARROW_MAX, 1, 0);
    assert_false(said);
    fl_kbed_run(&f, 15000);
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    assert_true(said);
    fl_apiserver_heal(f.server);
    f.seen[NARROW_MAX].least = SIZE_MAX;
    fl_kbed_run(&f, 5 * 60000);
    assert_scopes(&f, NARROW_MAX, 1, 0);
    assert_all(&f, 2);
    fl_kbed_run(&f, 8 * 60000);
    assert_scopes(&f, 0, 1, 0);
    assert_all(&f, 2);
    fl_kbed_teardown(&f);
}

/* An outage is no reason: afterwards the namespace is asked for, once. */
static void test_W12_an_outage_opens_no_narrow_watches(void **state) {
    const struct fl_apiserver_options options = {.host = FL_STR("127.0.0.1"), .port = 7443};
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, &options);
    fl_apiserver_fault(f.server, FL_FAULT_UNAVAILABLE, 12);
    follow(&f, 0, 30);
    fl_kbed_run(&f, 120000);
    assert_true(scopes(&f, "service") <= NARROW_MAX);
    assert_int_equal(scopes(&f, "namespace"), 1);
    fl_kbed_run(&f, 10 * 60 * 1000);
    assert_scopes(&f, 0, 1, 0);
    fl_kbed_teardown(&f);
}

/* A right that is taken away in the middle: the services go back to watches of their own. */
static void test_a_namespace_refused_in_the_middle(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    follow(&f, 0, NARROW_MAX + 1);
    fl_kbed_run(&f, 3000);
    assert_scopes(&f, 0, 1, 0);
    for (size_t i = 0; i < f.seen_count; i++) f.seen[i].least = SIZE_MAX;
    fl_apiserver_fault(f.server, FL_FAULT_FORBIDDEN, 2);
    fl_apiserver_end_watches(f.server);
    fl_kbed_run(&f, 10000);
    assert_all(&f, 2);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_STR("s3"), 900, 1);
    fl_kbed_run(&f, 5000);
    assert_int_equal(f.seen[3].endpoints, 3);
    fl_kbed_teardown(&f);
}

/* Services that are watched already move to the cluster's watch when somebody asks for it. */
static void test_the_cluster_is_watched_when_asked(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    follow(&f, 0, 3);
    fl_kbed_run(&f, 2000);
    for (size_t i = 0; i < f.seen_count; i++) f.seen[i].least = SIZE_MAX;
    struct fl_names *names = fl_kbed_watch_names(&f, FL_STR_NONE);
    fl_kbed_run(&f, 3000);
    assert_int_equal(f.names, 3);
    assert_scopes(&f, 0, 0, 1);
    assert_all(&f, 2);
    fl_names_close(names);
    fl_kbed_run(&f, 2000);
    assert_all(&f, 2);
    fl_kbed_teardown(&f);
}

/* -A without the right to the cluster: the default namespace's services, with the trouble. */
static void test_a_refused_cluster_falls_back_to_the_default_namespace(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_KBED_ECHO);
    fl_kbed_add_service(&f, FL_STR("elsewhere"), FL_KBED_ECHO);
    refuse(&f);
    struct fl_names *names = fl_kbed_watch_names(&f, FL_STR_NONE);
    fl_kbed_run(&f, 500);
    assert_int_equal(f.names, 1);
    assert_string_equal(f.name, "shop/echo");
    assert_int_equal(f.names_trouble.code, FL_EFORBIDDEN);
    assert_scopes(&f, 0, 1, 1);
    fl_kbed_run(&f, 10000); /* the right is there now */
    assert_int_equal(f.names, 2);
    assert_int_equal(f.names_trouble.code, FL_OK);
    assert_scopes(&f, 0, 0, 1);
    fl_names_close(names);
    fl_kbed_teardown(&f);
}

/* Memory that fails anywhere while services move delays it and no more. */
static void test_each_failed_allocation_while_moving(void **state) {
    bool failed = true;
    FL_UNUSED(state);
    for (size_t n = 1; failed; n += 1 + n / 40) {
        struct fl_kbed f;
        fl_kbed_setup(&f, NULL);
        follow(&f, 0, 2);
        fl_kbed_run(&f, 2000);
        for (size_t i = 0; i < f.seen_count; i++) f.seen[i].least = SIZE_MAX;
        struct fl_names *names = fl_kbed_watch_names(&f, FL_KBED_SHOP);
        fl_test_alloc_fail_at(n);
        fl_kbed_run(&f, 3000);
        failed = fl_test_alloc_did_fail();
        fl_test_alloc_fail_at(0);
        fl_kbed_run(&f, 120000);
        assert_all(&f, 2);
        assert_scopes(&f, 0, 1, 0);
        assert_int_equal(f.names, 2);
        fl_names_close(names);
        fl_kbed_teardown(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C23_a_service_is_watched_alone),
        cmocka_unit_test(test_beyond_sixteen_the_namespace_is_watched),
        cmocka_unit_test(test_many_at_once_open_few_watches),
        cmocka_unit_test(test_a_refused_namespace_leaves_each_service_its_own),
        cmocka_unit_test(test_namespaces_refused_one_after_the_other),
        cmocka_unit_test(test_W9_a_namespace_that_fails_is_given_up),
        cmocka_unit_test(test_a_namespace_that_stays_behind_is_given_up),
        cmocka_unit_test(test_W12_an_outage_opens_no_narrow_watches),
        cmocka_unit_test(test_a_namespace_refused_in_the_middle),
        cmocka_unit_test(test_the_cluster_is_watched_when_asked),
        cmocka_unit_test(test_a_refused_cluster_falls_back_to_the_default_namespace),
        cmocka_unit_test(test_each_failed_allocation_while_moving),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
