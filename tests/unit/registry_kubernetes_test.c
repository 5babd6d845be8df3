/* registry_kubernetes_test.c - the Kubernetes provider under a hub, against the simulated API
 * server in a simulated world. */
#include "support/kube_bed.h"

#include <fairlead/log.h>
#include <stdio.h>

/* --- tests --- */

static void test_a_service_is_followed(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup_echo(&f, 3);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo:grpc");
    fl_kbed_run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_string_equal(seen->service, "shop/echo");
    assert_int_equal(seen->endpoints, 3);
    assert_int_equal(seen->ready, 3);
    assert_string_equal(seen->first, "10.1.0.1:50051");
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 3, 2);
    fl_kbed_run(&f, 100);
    assert_int_equal(seen->endpoints, 5);
    assert_int_equal(seen->trouble.code, FL_OK);
    fl_kbed_teardown(&f);
}

static void test_the_default_namespace_is_the_contexts(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup_echo(&f, 2);
    struct fl_seen *bare = fl_kbed_subscribe(&f, "kubernetes:///echo");
    struct fl_seen *full = fl_kbed_subscribe(&f, "kubernetes:///shop/echo:80");
    fl_kbed_run(&f, 1000);
    assert_string_equal(bare->service, "shop/echo");
    assert_int_equal(bare->endpoints, 2);
    assert_int_equal(full->endpoints, 2);
    fl_kbed_unsubscribe(full);
    fl_kbed_run(&f, 60000);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 2, 1);
    fl_kbed_run(&f, 100);
    assert_int_equal(bare->endpoints, 3);
    fl_kbed_teardown(&f);
}

static void test_W6_all_slices_together(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup_echo(&f, 250);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 2000);
    assert_int_equal(seen->endpoints, 250);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 250, 100);
    fl_kbed_run(&f, 2000);
    assert_int_equal(seen->endpoints, 350);
    fl_kbed_teardown(&f);
}

/* W18: unknown, absent, empty and some are four answers. */
static void test_W18_absent_empty_and_some_are_different(void **state) {
    struct fl_kbed f;
    struct fl_str pod;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_ABSENT);
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_KBED_ECHO);
    fl_kbed_run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_EMPTY);
    assert_int_equal(
        fl_cluster_pod_add(f.cluster, FL_KBED_SHOP, FL_KBED_ECHO, FL_STR("10.1.0.1"), &pod), FL_OK);
    assert_int_equal(fl_cluster_pod_phase(f.cluster, FL_KBED_SHOP, pod, FL_POD_READY), FL_OK);
    fl_kbed_run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_int_equal(fl_cluster_pod_delete(f.cluster, FL_KBED_SHOP, pod), FL_OK);
    fl_kbed_run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_EMPTY);
    assert_int_equal(seen->endpoints, 0);
    assert_int_equal(fl_cluster_service_delete(f.cluster, FL_KBED_SHOP, FL_KBED_ECHO), FL_OK);
    fl_kbed_run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_ABSENT);
    fl_kbed_teardown(&f);
}

static void test_W18_unknown_while_the_server_says_nothing(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup_echo(&f, 1);
    fl_apiserver_fault(f.server, FL_FAULT_STALL, 2);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 29000);
    assert_true(seen->state == -1 || seen->state == FL_SET_UNKNOWN);
    fl_kbed_run(&f, 5000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_int_equal(seen->trouble.code, FL_OK);
    fl_kbed_teardown(&f);
}

static void test_an_external_name_is_told(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    assert_int_equal(
        fl_cluster_external(f.cluster, FL_KBED_SHOP, FL_KBED_ECHO, FL_STR("echo.example.org")),
        FL_OK);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_string_equal(seen->external, "echo.example.org");
    fl_kbed_teardown(&f);
}

static void test_W20_endpoints_on_an_old_server(void **state) {
    const struct fl_apiserver_options old = {.no_endpointslices = true};
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, &old);
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_KBED_ECHO);
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_STR("other"));
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 0, 3);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_STR("other"), 3, 1);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo:80");
    fl_kbed_run(&f, 5000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_int_equal(seen->endpoints, 3);
    assert_string_equal(seen->first, "10.1.0.1:50051");
    assert_int_equal(seen->trouble.code, FL_OK);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 4, 1);
    fl_kbed_run(&f, 1000);
    assert_int_equal(seen->endpoints, 4);

    /* Decided once: a second service asks for Endpoints at once, so that it needs no more than two
     * lists and two watches. */
    uint64_t requests = fl_apiserver_requests(f.server);
    struct fl_seen *other = fl_kbed_subscribe(&f, "kubernetes:///shop/other");
    fl_kbed_run(&f, 1000);
    assert_int_equal(other->endpoints, 1);
    assert_true(fl_apiserver_requests(f.server) - requests <= 4);
    fl_kbed_teardown(&f);
}

/* A server that has listed slices and then answers 404 is in trouble; it did not become an old one:
 * what was known stays, and slices are asked for until they are there again. */
static void test_W20_a_server_that_had_slices_is_not_old(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup_echo(&f, 2);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 2000);
    assert_int_equal(seen->endpoints, 2);
    struct fl_apiserver_options other = {.host = FL_STR("127.0.0.1"),
                                         .port = fl_apiserver_port(f.server),
                                         .no_endpointslices = true};
    for (int turn = 0; turn < 2; turn++) {
        fl_kbed_replace_server(&f, &other);
        fl_kbed_run(&f, 60000);
        assert_int_equal(seen->state, FL_SET_SOME);
        assert_int_equal(seen->trouble.code, turn == 0 ? FL_ENOT_FOUND : FL_OK);
        assert_int_equal(seen->endpoints, turn == 0 ? 2 : 3);
        fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 2 + (unsigned)turn, 1);
        fl_kbed_run(&f, 1000);
        assert_int_equal(seen->endpoints, turn == 0 ? 2 : 4);
        other.no_endpointslices = false;
    }
    f.server_closed = false;
    fl_kbed_teardown(&f);
}

static void no_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    FL_UNUSED(arg);
    FL_UNUSED(set);
    FL_UNUSED(previous);
    FL_UNUSED(trouble);
}

static void expect_usage(struct fl_kbed *f, const char *target, const char *what) {
    struct fl_error err;
    struct fl_subscription *subscription;
    int rc = fl_discovery_subscribe_on(f->hub, f->io, target, no_set, NULL, &subscription, &err);
    assert_int_equal(rc, FL_EUSAGE);
    if (!strstr(err.detail, what)) fail_msg("%s: %s", target, err.detail);
}

static void test_wrong_targets_are_refused(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    expect_usage(&f, "kubernetes:///", "service \"\"");
    expect_usage(&f, "kubernetes:///Echo", "service \"Echo\"");
    expect_usage(&f, "kubernetes:///-a", "service");
    expect_usage(&f, "kubernetes:////echo", "namespace \"\"");
    expect_usage(&f, "kubernetes:///a/b/c", "service \"b/c\"");
    expect_usage(&f, "kubernetes:///a_b/c", "namespace \"a_b\"");
    expect_usage(&f, "kubernetes:///echo:", "port \"\"");
    expect_usage(&f, "kubernetes:///echo:0", "port \"0\"");
    expect_usage(&f, "kubernetes:///echo:65536", "port \"65536\"");
    expect_usage(&f, "kubernetes:///echo:a:b", "port \"a:b\"");
    expect_usage(
        &f, "kubernetes:///aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "63");
    fl_kbed_teardown(&f);
}

/* --- several watches, names --- */

/* W16: events of several watches, cut into pieces and overtaking one another, never mix. */
static void test_W16_several_watches_never_mix(void **state) {
    static const char names[][2] = {"a", "b", "c", "d", "e", "f"};
    FL_UNUSED(state);
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct fl_kbed f;
        fl_kbed_setup_seed(&f, NULL, seed);
        for (size_t i = 0; i < FL_COUNT(names); i++) {
            char target[64];
            fl_kbed_add_service(&f, FL_KBED_SHOP, fl_str_of(names[i]));
            snprintf(target, sizeof(target), "kubernetes:///shop/%s", names[i]);
            fl_kbed_subscribe(&f, target);
        }
        for (unsigned round = 0; round < 20; round++) {
            for (size_t i = 0; i < FL_COUNT(names); i++)
                fl_kbed_add_pods(&f, FL_KBED_SHOP, fl_str_of(names[i]), (unsigned)i * 250 + round,
                                 1);
            fl_kbed_run(&f, 3);
        }
        fl_kbed_run(&f, 3000);
        for (size_t i = 0; i < FL_COUNT(names); i++) {
            char first[64];
            snprintf(first, sizeof(first), "10.1.%zu.1:50051", i);
            assert_int_equal(f.seen[i].endpoints, 20);
            assert_string_equal(f.seen[i].first, first);
        }
        fl_kbed_teardown(&f);
    }
}

static void test_names_of_a_namespace(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_STR("a"));
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_STR("b"));
    fl_kbed_add_service(&f, FL_STR("elsewhere"), FL_STR("c"));
    struct fl_names *names = fl_kbed_watch_names(&f, FL_KBED_SHOP);
    fl_kbed_run(&f, 1000);
    assert_int_equal(f.names, 2);
    assert_int_equal(f.names_synced, 1);
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_STR("later"));
    fl_kbed_run(&f, 1000);
    assert_int_equal(f.names, 3);
    assert_string_equal(f.name, "shop/later");
    fl_names_close(names);
    fl_kbed_teardown(&f);
}

/* W7: the list after a 410 is consistent, so a server that cannot stream it gives it in pages. */
static void test_W7_more_services_than_a_page(void **state) {
    const struct fl_apiserver_options paging = {.no_streaming_list = true};
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, &paging);
    for (unsigned i = 0; i < 1200; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", i);
        fl_kbed_add_service(&f, FL_KBED_SHOP, fl_str_of(name));
    }
    struct fl_names *names = fl_kbed_watch_names(&f, FL_KBED_SHOP);
    fl_kbed_run(&f, 5000);
    assert_int_equal(f.names, 1200);
    fl_apiserver_fault(f.server, FL_FAULT_GONE_EVENT, 2);
    fl_apiserver_end_watches(f.server);
    uint64_t requests = fl_apiserver_requests(f.server);
    fl_kbed_run(&f, 10000);
    assert_true(fl_apiserver_requests(f.server) - requests >= 2 + 4 + 2);
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_STR("later"));
    fl_kbed_run(&f, 1000);
    assert_int_equal(f.names, 1201);
    assert_int_equal(f.names_trouble.code, FL_OK);
    fl_names_close(names);
    fl_kbed_teardown(&f);
}

/* One pair of reflectors serves all services under an open names watch. */
static void test_a_names_watch_serves_the_services_under_it(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_KBED_ECHO);
    fl_kbed_add_service(&f, FL_STR("elsewhere"), FL_KBED_ECHO);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 0, 2);
    fl_kbed_add_pods(&f, FL_STR("elsewhere"), FL_KBED_ECHO, 2, 1);
    struct fl_names *names = fl_kbed_watch_names(&f, FL_STR_NONE);
    fl_kbed_run(&f, 1000);
    assert_int_equal(f.names, 2);
    uint64_t requests = fl_apiserver_requests(f.server);
    struct fl_seen *shop = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    struct fl_seen *elsewhere = fl_kbed_subscribe(&f, "kubernetes:///elsewhere/echo");
    struct fl_seen *absent = fl_kbed_subscribe(&f, "kubernetes:///shop/nothing");
    fl_kbed_run(&f, 1000);
    assert_int_equal(fl_apiserver_requests(f.server), requests);
    assert_int_equal(shop->endpoints, 2);
    assert_int_equal(elsewhere->endpoints, 1);
    assert_int_equal(absent->state, FL_SET_ABSENT);
    fl_names_close(names);
    fl_kbed_run(&f, 1000);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 3, 1);
    fl_kbed_run(&f, 1000);
    assert_int_equal(shop->endpoints, 3);
    assert_int_equal(elsewhere->endpoints, 1);
    fl_kbed_teardown(&f);
}

static void on_provider_closed(void *arg) { *(bool *)arg = true; }

static void test_each_failed_allocation_of_the_provider(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, NULL);
    const struct fl_discovery_options options = {.kubeconfig = "/k/config", .context = "a"};
    FL_TEST_EACH_FAILURE(n) {
        struct fl_provider *provider;
        int rc = fl_provider_kubernetes_new(f.io, &options, &provider, NULL);
        if (rc == FL_OK) {
            bool closed = false;
            provider->ops->close(provider, on_provider_closed, &closed);
            fl_kbed_run(&f, 10);
            assert_true(closed);
        } else {
            assert_int_equal(rc, FL_ENOMEM);
        }
    }
    fl_kbed_teardown(&f);
}

/* Memory that fails anywhere on the way delays the answer and no more. */
static void test_each_failed_allocation_on_the_way_is_survived(void **state) {
    bool failed = true;
    FL_UNUSED(state);
    for (size_t n = 1; failed; n++) {
        struct fl_kbed f;
        fl_kbed_setup_echo(&f, 2);
        struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
        fl_test_alloc_fail_at(n);
        fl_kbed_run(&f, 2000);
        failed = fl_test_alloc_did_fail();
        fl_test_alloc_fail_at(0);
        fl_kbed_run(&f, 120000);
        assert_int_equal(seen->endpoints, 2);
        fl_kbed_teardown(&f);
    }
}

/* The same for a change that arrives, and for the end of it all. */
static void test_each_failed_allocation_of_an_event_and_the_end(void **state) {
    bool failed = true;
    FL_UNUSED(state);
    for (size_t n = 1; failed; n++) {
        struct fl_kbed f;
        fl_kbed_setup_echo(&f, 2);
        struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo:grpc");
        fl_kbed_run(&f, 2000);
        fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 2, 1);
        fl_test_alloc_fail_at(n);
        fl_kbed_run(&f, 120000);
        assert_int_equal(seen->endpoints, 3);
        fl_kbed_unsubscribe(seen);
        fl_kbed_run(&f, 10000);
        failed = fl_test_alloc_did_fail();
        fl_test_alloc_fail_at(0);
        fl_kbed_teardown(&f);
        if (n > 400) break; /* bookmarks allocate for ever: the event was long before */
    }
}

/* Endpoints hold 1,000 addresses; that there are more is told. */
static void test_W20_endpoints_that_are_cut_say_so(void **state) {
    const struct fl_apiserver_options old = {.no_endpointslices = true};
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, &old);
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_KBED_ECHO);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 0, 900);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 5000);
    assert_int_equal(seen->endpoints, 900);
    assert_false(seen->truncated);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 900, 120);
    fl_kbed_run(&f, 5000);
    assert_int_equal(seen->endpoints, 1000);
    assert_true(seen->truncated);
    fl_kbed_teardown(&f);
}

/* Both address families of a service are one set. */
static void test_W6_slices_of_both_families_are_one_set(void **state) {
    struct fl_kbed f;
    struct fl_str pod;
    FL_UNUSED(state);
    fl_kbed_setup_echo(&f, 2);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    assert_int_equal(
        fl_cluster_pod_add(f.cluster, FL_KBED_SHOP, FL_KBED_ECHO, FL_STR("fd00::7"), &pod), FL_OK);
    assert_int_equal(fl_cluster_pod_phase(f.cluster, FL_KBED_SHOP, pod, FL_POD_READY), FL_OK);
    fl_kbed_run(&f, 2000);
    assert_int_equal(seen->endpoints, 3);
    assert_int_equal(seen->ready, 3);
    assert_int_equal(fl_cluster_pod_phase(f.cluster, FL_KBED_SHOP, pod, FL_POD_TERMINATING), FL_OK);
    fl_kbed_run(&f, 1000);
    assert_int_equal(seen->endpoints, 3);
    assert_int_equal(seen->ready, 2);
    fl_kbed_teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_service_is_followed),
        cmocka_unit_test(test_the_default_namespace_is_the_contexts),
        cmocka_unit_test(test_W6_all_slices_together),
        cmocka_unit_test(test_W18_absent_empty_and_some_are_different),
        cmocka_unit_test(test_W18_unknown_while_the_server_says_nothing),
        cmocka_unit_test(test_an_external_name_is_told),
        cmocka_unit_test(test_W20_endpoints_on_an_old_server),
        cmocka_unit_test(test_W20_a_server_that_had_slices_is_not_old),
        cmocka_unit_test(test_wrong_targets_are_refused),
        cmocka_unit_test(test_W16_several_watches_never_mix),
        cmocka_unit_test(test_names_of_a_namespace),
        cmocka_unit_test(test_W7_more_services_than_a_page),
        cmocka_unit_test(test_a_names_watch_serves_the_services_under_it),
        cmocka_unit_test(test_each_failed_allocation_of_the_provider),
        cmocka_unit_test(test_each_failed_allocation_on_the_way_is_survived),
        cmocka_unit_test(test_each_failed_allocation_of_an_event_and_the_end),
        cmocka_unit_test(test_W20_endpoints_that_are_cut_say_so),
        cmocka_unit_test(test_W6_slices_of_both_families_are_one_set),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
