/* kube_bed.c - see kube_bed.h. */
#include "support/kube_bed.h"

#include <stdio.h>

static const struct fl_k8s_service_port grpc_port = {
    .name = FL_STR("grpc"), .protocol = FL_STR("TCP"), .port = 80, .target_port = 50051};

/* --- the subscriber --- */

static void on_endpoint(void *arg, const struct fl_endpoint *endpoint) {
    struct fl_seen *seen = arg;
    if (seen->endpoints++ == 0)
        snprintf(seen->first, sizeof(seen->first), "%.40s:%u", endpoint->address, endpoint->port);
    seen->ready += endpoint->ready;
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct fl_seen *seen = arg;
    const char *external = fl_set_external_name(set);
    FL_UNUSED(previous);
    assert_true(fl_set_version(set) >= seen->version);
    seen->calls++;
    seen->state = (int)fl_set_state(set);
    seen->version = fl_set_version(set);
    seen->stale_ms = fl_set_stale_ms(set);
    seen->endpoints = seen->ready = 0;
    fl_set_each(set, on_endpoint, seen);
    seen->least = FL_MIN(seen->least, seen->endpoints);
    seen->snapshot = fl_set_is_snapshot(set);
    seen->truncated = fl_set_is_truncated(set);
    fl_str_copy(seen->service, sizeof(seen->service), fl_str_of(fl_set_service(set)));
    fl_str_copy(seen->external, sizeof(seen->external), fl_str_of(external));
    seen->trouble = trouble ? *trouble : (struct fl_error){.code = FL_OK};
}

struct fl_seen *fl_kbed_subscribe(struct fl_kbed *f, const char *target) {
    struct fl_seen *seen = &f->seen[f->seen_count++];
    struct fl_error err;
    assert_true(f->seen_count <= FL_KBED_SEEN_MAX);
    *seen = (struct fl_seen){.f = f, .state = -1};
    int rc =
        fl_discovery_subscribe_on(f->hub, f->io, target, on_set, seen, &seen->subscription, &err);
    if (rc < 0) fail_msg("%s: %s", target, err.detail);
    return seen;
}

static void on_unsubscribed(void *arg) { ((struct fl_seen *)arg)->closed = true; }

void fl_kbed_unsubscribe(struct fl_seen *seen) {
    fl_subscription_close(seen->subscription, on_unsubscribed, seen);
    seen->subscription = NULL;
}

/* --- the fixture --- */

static void on_hub_closed(void *arg) { ((struct fl_kbed *)arg)->hub_closed = true; }
static void on_server_closed(void *arg) { ((struct fl_kbed *)arg)->server_closed = true; }

void fl_kbed_write_kubeconfig(struct fl_kbed *f, const char *user) {
    char text[512];
    snprintf(text, sizeof(text),
             "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u, namespace: "
             "shop}}]\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:%u'}}]\nusers: "
             "[{name: u, user: %s}]\n",
             fl_apiserver_port(f->server), user);
    assert_int_equal(fl_world_file(f->world, "/k/config", fl_str_of(text)), FL_OK);
}

void fl_kbed_open_hub(struct fl_kbed *f) {
    const struct fl_discovery_options options = {.kubeconfig = "/k/config"};
    struct fl_provider *provider;
    assert_int_equal(fl_discovery_open(f->io, &f->hub, NULL), FL_OK);
    assert_int_equal(fl_provider_kubernetes_new(f->io, &options, &provider, NULL), FL_OK);
    assert_int_equal(fl_discovery_take_provider(f->hub, provider), FL_OK);
}

void fl_kbed_setup_seed(struct fl_kbed *f, const struct fl_apiserver_options *options,
                        uint64_t seed) {
    const struct fl_world_options world = {.seed = seed, .chop = true, .reorder = true};
    struct fl_apiserver_options server = options ? *options : (struct fl_apiserver_options){0};
    *f = (struct fl_kbed){0};
    server.host = FL_STR("127.0.0.1");
    assert_int_equal(fl_world_new(&world, &f->world), FL_OK);
    f->io = fl_world_io(f->world);
    assert_int_equal(fl_cluster_new(seed, 1000, &f->cluster), FL_OK);
    assert_int_equal(fl_apiserver_new(f->io, f->cluster, &server, &f->server, NULL), FL_OK);
    fl_kbed_write_kubeconfig(f, "{token: t0ken}");
    fl_kbed_open_hub(f);
}

void fl_kbed_setup(struct fl_kbed *f, const struct fl_apiserver_options *options) {
    fl_kbed_setup_seed(f, options, 11);
}

void fl_kbed_run(struct fl_kbed *f, uint64_t ms) { fl_world_run_ms(f->world, ms); }

void fl_kbed_keep_snapshot(struct fl_kbed *f) {
    f->snapshot = true;
    assert_int_equal(fl_discovery_keep_snapshot(f->hub, "/snapshot", NULL), FL_OK);
}

void fl_kbed_reopen_hub(struct fl_kbed *f) {
    f->hub_closed = false;
    fl_discovery_close(f->hub, on_hub_closed, f);
    fl_kbed_run(f, 10000);
    assert_true(f->hub_closed);
    f->hub_closed = false;
    fl_kbed_open_hub(f);
    if (f->snapshot) fl_kbed_keep_snapshot(f);
}

void fl_kbed_replace_server(struct fl_kbed *f, const struct fl_apiserver_options *options) {
    f->server_closed = false;
    fl_apiserver_close(f->server, on_server_closed, f);
    fl_kbed_run(f, 100);
    assert_true(f->server_closed);
    assert_int_equal(fl_apiserver_new(f->io, f->cluster, options, &f->server, NULL), FL_OK);
}

void fl_kbed_teardown(struct fl_kbed *f) {
    for (size_t i = 0; i < f->seen_count; i++)
        if (f->seen[i].subscription) fl_kbed_unsubscribe(&f->seen[i]);
    fl_kbed_run(f, 1000);
    for (size_t i = 0; i < f->seen_count; i++) assert_true(f->seen[i].closed);
    fl_discovery_close(f->hub, on_hub_closed, f);
    fl_kbed_run(f, 60000);
    assert_true(f->hub_closed);
    fl_apiserver_close(f->server, on_server_closed, f);
    fl_kbed_run(f, 5000);
    assert_true(f->server_closed);
    assert_int_equal(fl_world_open_socks(f->world), 0);
    fl_cluster_free(f->cluster);
    fl_world_free(f->world);
}

/* --- the cluster --- */

void fl_kbed_add_service(struct fl_kbed *f, struct fl_str ns, struct fl_str name) {
    assert_int_equal(fl_cluster_service(f->cluster, ns, name, &grpc_port, 1), FL_OK);
}

void fl_kbed_add_pods(struct fl_kbed *f, struct fl_str ns, struct fl_str service, unsigned from,
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

void fl_kbed_setup_echo(struct fl_kbed *f, unsigned pods) {
    fl_kbed_setup(f, NULL);
    fl_kbed_add_service(f, FL_KBED_SHOP, FL_KBED_ECHO);
    fl_kbed_add_pods(f, FL_KBED_SHOP, FL_KBED_ECHO, 0, pods);
}

static void on_name(void *arg, struct fl_str service) {
    struct fl_kbed *f = arg;
    f->names++;
    fl_str_copy(f->name, sizeof(f->name), service);
}

static void on_names_synced(void *arg) { ((struct fl_kbed *)arg)->names_synced++; }

static void on_names_trouble(void *arg, const struct fl_error *trouble) {
    ((struct fl_kbed *)arg)->names_trouble = *trouble;
}

static const struct fl_names_events names_events = {
    .on_name = on_name, .on_synced = on_names_synced, .on_trouble = on_names_trouble};

struct fl_names *fl_kbed_watch_names(struct fl_kbed *f, struct fl_str ns) {
    struct fl_names *names;
    assert_int_equal(
        fl_discovery_watch_names(f->hub, "kubernetes", ns, &names_events, f, &names, NULL), FL_OK);
    return names;
}
