/* registry_kubernetes_test.c - the Kubernetes provider under a hub, against the simulated API
 * server in a simulated world. */
#include "support/alloc.h"

#include <stdio.h>

#include <fairlead/log.h>

#include "discovery/discovery.h"
#include "registry/kubernetes.h"
#include "sim/apiserver.h"
#include "sim/world.h"

#define SHOP     FL_STR("shop")
#define ECHO     FL_STR("echo")
#define SEEN_MAX 8

static const struct fl_k8s_service_port grpc_port = {
    .name = FL_STR("grpc"), .protocol = FL_STR("TCP"), .port = 80, .target_port = 50051};

struct fixture;

/* One subscriber, and what it was told last. */
struct seen {
    struct fixture *f;
    struct fl_subscription *subscription;
    unsigned calls;
    bool closed;
    int state; /* -1: nothing was told */
    uint64_t version, stale_ms;
    size_t endpoints, ready;
    char service[128], external[128], first[64];
    struct fl_error trouble;
};

struct fixture {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_cluster *cluster;
    struct fl_apiserver *server;
    struct fl_discovery *hub;
    struct seen seen[SEEN_MAX];
    size_t seen_count;
    unsigned names, names_synced;
    char name[128];
    struct fl_error names_trouble;
    bool server_closed, hub_closed;
};

/* --- the subscriber --- */

static void on_endpoint(void *arg, const struct fl_endpoint *endpoint) {
    struct seen *seen = arg;
    if (seen->endpoints++ == 0)
        snprintf(seen->first, sizeof(seen->first), "%.40s:%u", endpoint->address, endpoint->port);
    seen->ready += endpoint->ready;
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct seen *seen = arg;
    const char *external = fl_set_external_name(set);
    FL_UNUSED(previous);
    assert_true(fl_set_version(set) >= seen->version);
    seen->calls++;
    seen->state = (int)fl_set_state(set);
    seen->version = fl_set_version(set);
    seen->stale_ms = fl_set_stale_ms(set);
    seen->endpoints = seen->ready = 0;
    fl_set_each(set, on_endpoint, seen);
    fl_str_copy(seen->service, sizeof(seen->service), fl_str_of(fl_set_service(set)));
    fl_str_copy(seen->external, sizeof(seen->external), fl_str_of(external));
    seen->trouble = trouble ? *trouble : (struct fl_error){.code = FL_OK};
}

static struct seen *subscribe(struct fixture *f, const char *target) {
    struct seen *seen = &f->seen[f->seen_count++];
    struct fl_error err;
    assert_true(f->seen_count <= SEEN_MAX);
    *seen = (struct seen){.f = f, .state = -1};
    int rc =
        fl_discovery_subscribe_on(f->hub, f->io, target, on_set, seen, &seen->subscription, &err);
    if (rc < 0) fail_msg("%s: %s", target, err.detail);
    return seen;
}

static void on_unsubscribed(void *arg) { ((struct seen *)arg)->closed = true; }

static void unsubscribe(struct seen *seen) {
    fl_subscription_close(seen->subscription, on_unsubscribed, seen);
    seen->subscription = NULL;
}

/* --- the fixture --- */

static void on_hub_closed(void *arg) { ((struct fixture *)arg)->hub_closed = true; }
static void on_server_closed(void *arg) { ((struct fixture *)arg)->server_closed = true; }

static void write_kubeconfig(struct fixture *f, const char *user) {
    char text[512];
    snprintf(text, sizeof(text),
             "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u, namespace: "
             "shop}}]\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:%u'}}]\nusers: "
             "[{name: u, user: %s}]\n",
             fl_apiserver_port(f->server), user);
    assert_int_equal(fl_world_file(f->world, "/k/config", fl_str_of(text)), FL_OK);
}

static void open_hub(struct fixture *f) {
    const struct fl_discovery_options options = {.kubeconfig = "/k/config"};
    struct fl_provider *provider;
    assert_int_equal(fl_discovery_open(f->io, &f->hub, NULL), FL_OK);
    assert_int_equal(fl_provider_kubernetes_new(f->io, &options, &provider, NULL), FL_OK);
    assert_int_equal(fl_discovery_take_provider(f->hub, provider), FL_OK);
}

static void setup_seed(struct fixture *f, const struct fl_apiserver_options *options,
                       uint64_t seed) {
    const struct fl_world_options world = {.seed = seed, .chop = true, .reorder = true};
    struct fl_apiserver_options server = options ? *options : (struct fl_apiserver_options){0};
    *f = (struct fixture){0};
    server.host = FL_STR("127.0.0.1");
    assert_int_equal(fl_world_new(&world, &f->world), FL_OK);
    f->io = fl_world_io(f->world);
    assert_int_equal(fl_cluster_new(seed, 1000, &f->cluster), FL_OK);
    assert_int_equal(fl_apiserver_new(f->io, f->cluster, &server, &f->server, NULL), FL_OK);
    write_kubeconfig(f, "{token: t0ken}");
    open_hub(f);
}

static void setup(struct fixture *f, const struct fl_apiserver_options *options) {
    setup_seed(f, options, 11);
}

static void run(struct fixture *f, uint64_t ms) { fl_world_run_ms(f->world, ms); }

static void teardown(struct fixture *f) {
    for (size_t i = 0; i < f->seen_count; i++)
        if (f->seen[i].subscription) unsubscribe(&f->seen[i]);
    run(f, 1000);
    for (size_t i = 0; i < f->seen_count; i++) assert_true(f->seen[i].closed);
    fl_discovery_close(f->hub, on_hub_closed, f);
    run(f, 60000);
    assert_true(f->hub_closed);
    fl_apiserver_close(f->server, on_server_closed, f);
    run(f, 5000);
    assert_true(f->server_closed);
    assert_int_equal(fl_world_open_socks(f->world), 0);
    fl_cluster_free(f->cluster);
    fl_world_free(f->world);
}

/* --- the cluster --- */

static void add_service(struct fixture *f, struct fl_str ns, struct fl_str name) {
    assert_int_equal(fl_cluster_service(f->cluster, ns, name, &grpc_port, 1), FL_OK);
}

static void add_pods(struct fixture *f, struct fl_str ns, struct fl_str service, unsigned from,
                     unsigned count) {
    for (unsigned i = from; i < from + count; i++) {
        char address[32];
        struct fl_str name;
        snprintf(address, sizeof(address), "10.1.%u.%u", i / 250, i % 250 + 1);
        assert_int_equal(fl_cluster_pod_add(f->cluster, ns, service, fl_str_of(address), &name),
                         FL_OK);
        assert_int_equal(fl_cluster_pod_phase(f->cluster, ns, name, FL_POD_READY), FL_OK);
    }
}

static void setup_echo(struct fixture *f, unsigned pods) {
    setup(f, NULL);
    add_service(f, SHOP, ECHO);
    add_pods(f, SHOP, ECHO, 0, pods);
}

/* --- tests --- */

static void test_a_service_is_followed(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_echo(&f, 3);
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo:grpc");
    run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_string_equal(seen->service, "shop/echo");
    assert_int_equal(seen->endpoints, 3);
    assert_int_equal(seen->ready, 3);
    assert_string_equal(seen->first, "10.1.0.1:50051");
    add_pods(&f, SHOP, ECHO, 3, 2);
    run(&f, 100);
    assert_int_equal(seen->endpoints, 5);
    assert_int_equal(seen->trouble.code, FL_OK);
    teardown(&f);
}

static void test_the_default_namespace_is_the_contexts(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_echo(&f, 2);
    struct seen *bare = subscribe(&f, "kubernetes:///echo");
    struct seen *full = subscribe(&f, "kubernetes:///shop/echo:80");
    run(&f, 1000);
    assert_string_equal(bare->service, "shop/echo");
    assert_int_equal(bare->endpoints, 2);
    assert_int_equal(full->endpoints, 2);
    unsubscribe(full);
    run(&f, 60000);
    add_pods(&f, SHOP, ECHO, 2, 1);
    run(&f, 100);
    assert_int_equal(bare->endpoints, 3);
    teardown(&f);
}

static void test_W6_all_slices_together(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_echo(&f, 250);
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo");
    run(&f, 2000);
    assert_int_equal(seen->endpoints, 250);
    add_pods(&f, SHOP, ECHO, 250, 100);
    run(&f, 2000);
    assert_int_equal(seen->endpoints, 350);
    teardown(&f);
}

/* W18: unknown, absent, empty and some are four answers. */
static void test_W18_absent_empty_and_some_are_different(void **state) {
    struct fixture f;
    struct fl_str pod;
    FL_UNUSED(state);
    setup(&f, NULL);
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo");
    run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_ABSENT);
    add_service(&f, SHOP, ECHO);
    run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_EMPTY);
    assert_int_equal(fl_cluster_pod_add(f.cluster, SHOP, ECHO, FL_STR("10.1.0.1"), &pod), FL_OK);
    assert_int_equal(fl_cluster_pod_phase(f.cluster, SHOP, pod, FL_POD_READY), FL_OK);
    run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_int_equal(fl_cluster_pod_delete(f.cluster, SHOP, pod), FL_OK);
    run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_EMPTY);
    assert_int_equal(seen->endpoints, 0);
    assert_int_equal(fl_cluster_service_delete(f.cluster, SHOP, ECHO), FL_OK);
    run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_ABSENT);
    teardown(&f);
}

static void test_W18_unknown_while_the_server_says_nothing(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_echo(&f, 1);
    fl_apiserver_fault(f.server, FL_FAULT_STALL, 2);
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo");
    run(&f, 29000);
    assert_true(seen->state == -1 || seen->state == FL_SET_UNKNOWN);
    run(&f, 5000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_int_equal(seen->trouble.code, FL_OK);
    teardown(&f);
}

static void test_an_external_name_is_told(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, NULL);
    assert_int_equal(fl_cluster_external(f.cluster, SHOP, ECHO, FL_STR("echo.example.org")), FL_OK);
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo");
    run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_string_equal(seen->external, "echo.example.org");
    teardown(&f);
}

static void test_W20_endpoints_on_an_old_server(void **state) {
    const struct fl_apiserver_options old = {.no_endpointslices = true};
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, &old);
    add_service(&f, SHOP, ECHO);
    add_service(&f, SHOP, FL_STR("other"));
    add_pods(&f, SHOP, ECHO, 0, 3);
    add_pods(&f, SHOP, FL_STR("other"), 3, 1);
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo:80");
    run(&f, 5000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_int_equal(seen->endpoints, 3);
    assert_string_equal(seen->first, "10.1.0.1:50051");
    assert_int_equal(seen->trouble.code, FL_OK);
    add_pods(&f, SHOP, ECHO, 4, 1);
    run(&f, 1000);
    assert_int_equal(seen->endpoints, 4);

    /* Decided once: a second service asks for Endpoints at once: two lists and two watches. */
    uint64_t requests = fl_apiserver_requests(f.server);
    struct seen *other = subscribe(&f, "kubernetes:///shop/other");
    run(&f, 1000);
    assert_int_equal(other->endpoints, 1);
    assert_int_equal(fl_apiserver_requests(f.server) - requests, 4);
    teardown(&f);
}

/* A server that has listed slices and then answers 404 is in trouble; it did not become an old one:
 * what was known stays, and slices are asked for until they are there again. */
static void test_W20_a_server_that_had_slices_is_not_old(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_echo(&f, 2);
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo");
    run(&f, 2000);
    assert_int_equal(seen->endpoints, 2);
    struct fl_apiserver_options other = {.host = FL_STR("127.0.0.1"),
                                         .port = fl_apiserver_port(f.server),
                                         .no_endpointslices = true};
    for (int turn = 0; turn < 2; turn++) {
        f.server_closed = false;
        fl_apiserver_close(f.server, on_server_closed, &f);
        run(&f, 100);
        assert_true(f.server_closed);
        assert_int_equal(fl_apiserver_new(f.io, f.cluster, &other, &f.server, NULL), FL_OK);
        run(&f, 60000);
        assert_int_equal(seen->state, FL_SET_SOME);
        assert_int_equal(seen->trouble.code, turn == 0 ? FL_ENOT_FOUND : FL_OK);
        assert_int_equal(seen->endpoints, turn == 0 ? 2 : 3);
        add_pods(&f, SHOP, ECHO, 2 + (unsigned)turn, 1);
        run(&f, 1000);
        assert_int_equal(seen->endpoints, turn == 0 ? 2 : 4);
        other.no_endpointslices = false;
    }
    f.server_closed = false;
    teardown(&f);
}

static void test_refused_credentials_are_trouble(void **state) {
    const struct fl_apiserver_options strict = {.token = FL_STR("other")};
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, &strict);
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo");
    run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_UNKNOWN);
    assert_int_equal(seen->trouble.code, FL_EUNAUTHORIZED);
    assert_non_null(strstr(seen->trouble.detail, "401"));
    assert_null(strstr(seen->trouble.detail, "t0ken"));
    teardown(&f);
}

static void test_a_wrong_configuration_is_trouble_until_it_is_mended(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_echo(&f, 1);
    write_kubeconfig(&f, "{exec: {command: x}}");
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo");
    run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_UNKNOWN);
    assert_int_equal(seen->trouble.code, FL_ECONFIG);
    assert_non_null(strstr(seen->trouble.detail, "exec plugin"));
    write_kubeconfig(&f, "{token: t0ken}");
    run(&f, 5000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_int_equal(seen->trouble.code, FL_OK);
    teardown(&f);
}

static void expect_usage(struct fixture *f, const char *target, const char *what) {
    struct seen seen;
    struct fl_error err;
    struct fl_subscription *subscription;
    int rc = fl_discovery_subscribe_on(f->hub, f->io, target, on_set, &seen, &subscription, &err);
    assert_int_equal(rc, FL_EUSAGE);
    if (!strstr(err.detail, what)) fail_msg("%s: %s", target, err.detail);
}

static void test_wrong_targets_are_refused(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, NULL);
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
    teardown(&f);
}

/* --- faults of the server --- */

/* Whatever the server does, the subscriber ends up with what is there. */
static void expect_recovery(enum fl_fault_kind fault, unsigned times, bool end_watches) {
    struct fixture f;
    setup_echo(&f, 2);
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo");
    run(&f, 2000);
    assert_int_equal(seen->endpoints, 2);
    fl_apiserver_fault(f.server, fault, times);
    if (end_watches) fl_apiserver_end_watches(f.server);
    run(&f, 100);
    add_pods(&f, SHOP, ECHO, 2, 1);
    run(&f, 300000);
    assert_int_equal(seen->endpoints, 3);
    assert_int_equal(seen->trouble.code, FL_OK);
    teardown(&f);
}

static void test_W11_expired_watches_recover(void **state) {
    FL_UNUSED(state);
    expect_recovery(FL_FAULT_GONE_STATUS, 4, true);
    expect_recovery(FL_FAULT_GONE_EVENT, 4, true);
}

static void test_W13_short_watches_recover(void **state) {
    FL_UNUSED(state);
    expect_recovery(FL_FAULT_SHORT, 6, true);
}

static void test_overload_silence_and_garbage_recover(void **state) {
    FL_UNUSED(state);
    expect_recovery(FL_FAULT_UNAVAILABLE, 6, true);
    expect_recovery(FL_FAULT_THROTTLED, 6, true);
    expect_recovery(FL_FAULT_STALL, 4, true);
    expect_recovery(FL_FAULT_GARBAGE, 6, true);
}

static void test_W4_a_stale_cache_does_not_go_back_in_time(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_echo(&f, 2);
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo");
    run(&f, 2000);
    add_pods(&f, SHOP, ECHO, 2, 2);
    run(&f, 1000);
    assert_int_equal(seen->endpoints, 4);
    fl_cluster_compact(f.cluster);
    fl_apiserver_fault(f.server, FL_FAULT_OLDER, 4);
    fl_apiserver_end_watches(f.server);
    for (int i = 0; i < 60; i++) {
        run(&f, 1000);
        assert_int_equal(seen->endpoints, 4);
    }
    teardown(&f);
}

static void test_a_server_that_is_cut_off_leaves_the_last_set(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_echo(&f, 2);
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo");
    run(&f, 2000);
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_REFUSE);
    fl_world_cut(f.world, FL_STR("127.0.0.1"));
    run(&f, 10000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_int_equal(seen->endpoints, 2);
    assert_int_equal(seen->trouble.code, FL_EREFUSED);
    add_pods(&f, SHOP, ECHO, 2, 1);
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    run(&f, 65000);
    assert_int_equal(seen->endpoints, 3);
    assert_int_equal(seen->trouble.code, FL_OK);
    teardown(&f);
}

/* --- several watches, names --- */

/* W16: events of several watches, cut into pieces and overtaking one another, never mix. */
static void test_W16_several_watches_never_mix(void **state) {
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    FL_UNUSED(state);
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct fixture f;
        setup_seed(&f, NULL, seed);
        for (size_t i = 0; i < FL_COUNT(names); i++) {
            char target[64];
            add_service(&f, SHOP, fl_str_of(names[i]));
            snprintf(target, sizeof(target), "kubernetes:///shop/%s", names[i]);
            subscribe(&f, target);
        }
        for (unsigned round = 0; round < 20; round++) {
            for (size_t i = 0; i < FL_COUNT(names); i++)
                add_pods(&f, SHOP, fl_str_of(names[i]), (unsigned)i * 250 + round, 1);
            run(&f, 3);
        }
        run(&f, 3000);
        for (size_t i = 0; i < FL_COUNT(names); i++) {
            char first[64];
            snprintf(first, sizeof(first), "10.1.%zu.1:50051", i);
            assert_int_equal(f.seen[i].endpoints, 20);
            assert_string_equal(f.seen[i].first, first);
        }
        teardown(&f);
    }
}

static void on_name(void *arg, struct fl_str service) {
    struct fixture *f = arg;
    f->names++;
    fl_str_copy(f->name, sizeof(f->name), service);
}

static void on_names_synced(void *arg) { ((struct fixture *)arg)->names_synced++; }

static void on_names_trouble(void *arg, const struct fl_error *trouble) {
    ((struct fixture *)arg)->names_trouble = *trouble;
}

static const struct fl_names_events names_events = {
    .on_name = on_name, .on_synced = on_names_synced, .on_trouble = on_names_trouble};

static struct fl_names *watch_names(struct fixture *f, struct fl_str ns) {
    struct fl_names *names;
    assert_int_equal(
        fl_discovery_watch_names(f->hub, "kubernetes", ns, &names_events, f, &names, NULL), FL_OK);
    return names;
}

static void test_names_of_a_namespace(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, NULL);
    add_service(&f, SHOP, FL_STR("a"));
    add_service(&f, SHOP, FL_STR("b"));
    add_service(&f, FL_STR("elsewhere"), FL_STR("c"));
    struct fl_names *names = watch_names(&f, SHOP);
    run(&f, 1000);
    assert_int_equal(f.names, 2);
    assert_int_equal(f.names_synced, 1);
    add_service(&f, SHOP, FL_STR("later"));
    run(&f, 1000);
    assert_int_equal(f.names, 3);
    assert_string_equal(f.name, "shop/later");
    fl_names_close(names);
    teardown(&f);
}

/* W7: the list after a 410 is consistent, so the server gives it in pages. */
static void test_W7_more_services_than_a_page(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, NULL);
    for (unsigned i = 0; i < 1200; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", i);
        add_service(&f, SHOP, fl_str_of(name));
    }
    struct fl_names *names = watch_names(&f, SHOP);
    run(&f, 5000);
    assert_int_equal(f.names, 1200);
    fl_apiserver_fault(f.server, FL_FAULT_GONE_EVENT, 2);
    fl_apiserver_end_watches(f.server);
    uint64_t requests = fl_apiserver_requests(f.server);
    run(&f, 10000);
    assert_true(fl_apiserver_requests(f.server) - requests >= 2 + 4 + 2);
    add_service(&f, SHOP, FL_STR("later"));
    run(&f, 1000);
    assert_int_equal(f.names, 1201);
    assert_int_equal(f.names_trouble.code, FL_OK);
    fl_names_close(names);
    teardown(&f);
}

/* One pair of reflectors serves all services under an open names watch. */
static void test_a_names_watch_serves_the_services_under_it(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, NULL);
    add_service(&f, SHOP, ECHO);
    add_service(&f, FL_STR("elsewhere"), ECHO);
    add_pods(&f, SHOP, ECHO, 0, 2);
    add_pods(&f, FL_STR("elsewhere"), ECHO, 2, 1);
    struct fl_names *names = watch_names(&f, FL_STR_NONE);
    run(&f, 1000);
    assert_int_equal(f.names, 2);
    assert_int_equal(fl_apiserver_requests(f.server), 4);
    struct seen *shop = subscribe(&f, "kubernetes:///shop/echo");
    struct seen *elsewhere = subscribe(&f, "kubernetes:///elsewhere/echo");
    struct seen *absent = subscribe(&f, "kubernetes:///shop/nothing");
    run(&f, 1000);
    assert_int_equal(fl_apiserver_requests(f.server), 4);
    assert_int_equal(shop->endpoints, 2);
    assert_int_equal(elsewhere->endpoints, 1);
    assert_int_equal(absent->state, FL_SET_ABSENT);
    fl_names_close(names);
    run(&f, 1000);
    add_pods(&f, SHOP, ECHO, 3, 1);
    run(&f, 1000);
    assert_int_equal(shop->endpoints, 3);
    assert_int_equal(elsewhere->endpoints, 1);
    teardown(&f);
}

/* A second without anything to say is no staleness; a server that is gone is. */
static void test_staleness_is_measured(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_echo(&f, 1);
    struct seen *seen = subscribe(&f, "kubernetes:///shop/echo");
    run(&f, 2000);
    assert_int_equal(seen->stale_ms, 0);
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_BLACKHOLE);
    run(&f, 100000);
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    fl_world_cut(f.world, FL_STR("127.0.0.1"));
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_REFUSE);
    run(&f, 5000);
    assert_int_equal(seen->trouble.code, FL_EREFUSED);
    assert_true(seen->stale_ms >= 40000);
    teardown(&f);
}

static void test_each_failed_allocation_of_the_provider(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, NULL);
    const struct fl_discovery_options options = {.kubeconfig = "/k/config", .context = "a"};
    FL_TEST_EACH_FAILURE(n) {
        struct fl_provider *provider;
        int rc = fl_provider_kubernetes_new(f.io, &options, &provider, NULL);
        if (rc == FL_OK) {
            provider->ops->close(provider, on_hub_closed, &f);
            run(&f, 10);
            assert_true(f.hub_closed);
            f.hub_closed = false;
        } else {
            assert_int_equal(rc, FL_ENOMEM);
        }
    }
    teardown(&f);
}

/* Memory that fails anywhere on the way delays the answer and no more. */
static void test_each_failed_allocation_on_the_way_is_survived(void **state) {
    bool failed = true;
    FL_UNUSED(state);
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        setup_echo(&f, 2);
        struct seen *seen = subscribe(&f, "kubernetes:///shop/echo");
        fl_test_alloc_fail_at(n);
        run(&f, 2000);
        failed = fl_test_alloc_did_fail();
        fl_test_alloc_fail_at(0);
        run(&f, 120000);
        assert_int_equal(seen->endpoints, 2);
        teardown(&f);
    }
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
        cmocka_unit_test(test_refused_credentials_are_trouble),
        cmocka_unit_test(test_a_wrong_configuration_is_trouble_until_it_is_mended),
        cmocka_unit_test(test_wrong_targets_are_refused),
        cmocka_unit_test(test_W11_expired_watches_recover),
        cmocka_unit_test(test_W13_short_watches_recover),
        cmocka_unit_test(test_overload_silence_and_garbage_recover),
        cmocka_unit_test(test_W4_a_stale_cache_does_not_go_back_in_time),
        cmocka_unit_test(test_a_server_that_is_cut_off_leaves_the_last_set),
        cmocka_unit_test(test_W16_several_watches_never_mix),
        cmocka_unit_test(test_names_of_a_namespace),
        cmocka_unit_test(test_W7_more_services_than_a_page),
        cmocka_unit_test(test_a_names_watch_serves_the_services_under_it),
        cmocka_unit_test(test_staleness_is_measured),
        cmocka_unit_test(test_each_failed_allocation_of_the_provider),
        cmocka_unit_test(test_each_failed_allocation_on_the_way_is_survived),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
