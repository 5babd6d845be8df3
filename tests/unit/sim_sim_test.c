/* sim_sim_test.c - the simulated deployment: pods' lives, rolls, scaling, kills, the end. */
#include "support/alloc.h"

#include <stdio.h>

#include "sim/sim.h"
#include "sim/store.h"
#include "sim/world.h"

#define ECHO "echo"

struct bench {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_sim *sim;
    bool closed;
    unsigned ready_min; /* the fewest ready endpoints seen since it was reset */
    unsigned live_max;  /* the most pods that were not terminating */
};

static void bench_open_service(struct bench *b, uint64_t seed, const struct fl_sim_service *service,
                               bool furnished) {
    struct fl_world_options world = {.seed = seed, .reorder = true};
    struct fl_sim_options options = {.apiserver.host = FL_STR("127.0.0.1"),
                                     .furnished = furnished,
                                     .services = service,
                                     .service_count = 1,
                                     .seed = seed,
                                     .grace_ms = 2000};
    struct fl_error err;
    memset(b, 0, sizeof *b);
    assert_int_equal(fl_world_new(&world, &b->world), 0);
    b->io = fl_world_io(b->world);
    assert_int_equal(fl_sim_new(b->io, &options, &b->sim, &err), 0);
}

static void bench_open(struct bench *b, uint64_t seed, unsigned pods) {
    const struct fl_sim_service service = {.name = ECHO, .pods = pods};
    bench_open_service(b, seed, &service, false);
}

static void on_closed(void *arg) { ((struct bench *)arg)->closed = true; }

static void bench_close(struct bench *b) {
    fl_sim_close(b->sim, on_closed, b);
    assert_false(b->closed);
    fl_world_run_ms(b->world, 5000);
    assert_true(b->closed);
    assert_int_equal(fl_world_open_socks(b->world), 0);
    fl_world_free(b->world);
}

struct seen {
    unsigned listed, ready, serving, terminating;
};

/* What the cluster's slices say. */
static struct seen see(const struct bench *b) {
    const struct fl_object_list *slices =
        &fl_cluster_store(fl_sim_cluster(b->sim))->kinds[FL_K8S_ENDPOINTSLICE];
    struct seen s = {0};
    for (size_t i = 0; i < slices->count; i++)
        for (size_t j = 0; j < slices->items[i]->entry_count; j++) {
            unsigned flags = slices->items[i]->entries[j].flags;
            s.listed++;
            s.ready += (flags & FL_ENDPOINT_READY) != 0;
            s.serving += (flags & FL_ENDPOINT_SERVING) != 0;
            s.terminating += (flags & FL_ENDPOINT_TERMINATING) != 0;
        }
    return s;
}

static bool is_settled(void *arg) {
    struct bench *b = arg;
    struct seen s = see(b);
    b->ready_min = FL_MIN(b->ready_min, s.ready);
    b->live_max = FL_MAX(b->live_max, s.listed - s.terminating);
    return fl_sim_settled(b->sim);
}

static void settle(struct bench *b) {
    b->ready_min = 1000;
    b->live_max = 0;
    assert_true(fl_world_run_until(b->world, is_settled, b, 60000));
}

static void test_pods_become_ready(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, 1, 3);
    assert_int_equal(fl_sim_ready(b.sim, ECHO), 0);
    settle(&b);
    assert_int_equal(fl_sim_ready(b.sim, ECHO), 3);
    assert_int_equal(fl_sim_ready(b.sim, "default/echo"), 3);
    struct seen s = see(&b);
    assert_int_equal(s.ready, 3);
    assert_int_equal(s.listed, 3);
    bench_close(&b);
}

struct probe {
    struct fl_sock *sock;
    int opens, code;
};

static void probe_open(void *arg, struct fl_str alpn) {
    FL_UNUSED(alpn);
    ((struct probe *)arg)->opens++;
}
static void probe_data(void *arg, struct fl_str bytes) {
    FL_UNUSED(arg);
    FL_UNUSED(bytes);
}
static void probe_quiet(void *arg) { FL_UNUSED(arg); }
static void probe_close(void *arg, const struct fl_error *why) {
    struct probe *p = arg;
    p->sock = NULL;
    p->code = why->code;
}

static bool listens(struct bench *b, const char *address) {
    static const struct fl_sock_events events = {probe_open, probe_data, probe_quiet, probe_quiet,
                                                 probe_close};
    struct probe p = {0};
    struct fl_dial dial = {
        .host = fl_str_of(address), .port = 50051, .deadline_ms = fl_io_now_ms(b->io) + 1000};
    assert_int_equal(fl_io_dial(b->io, &dial, &events, &p, &p.sock, NULL), 0);
    fl_world_run_ms(b->world, 5);
    bool open = p.opens > 0;
    if (p.sock) fl_sock_abort(b->io, p.sock);
    fl_world_run_ms(b->world, 5);
    return open;
}

static const struct fl_entry *first_entry(const struct bench *b) {
    return &fl_cluster_store(fl_sim_cluster(b->sim))
                ->kinds[FL_K8S_ENDPOINTSLICE]
                .items[0]
                ->entries[0];
}

static bool is_listed(void *arg) { return see(arg).listed > 0; }
static bool is_unlisted(void *arg) { return see(arg).listed == 0; }
static bool is_terminating(void *arg) { return see(arg).terminating > 0; }

/* pending, running (listens, not ready), ready, terminating (serves), gone. */
static void test_a_pods_life(void **state) {
    struct bench b;
    char address[16];
    FL_UNUSED(state);
    bench_open(&b, 2, 1);
    assert_false(listens(&b, "127.1.0.1"));
    assert_true(fl_world_run_until(b.world, is_listed, &b, 1000));
    fl_str_copy(address, sizeof address, first_entry(&b)->pod->address);
    assert_string_equal(address, "127.1.0.1");
    assert_int_equal(first_entry(&b)->flags, 0);
    assert_true(listens(&b, address));
    settle(&b);
    assert_int_equal(fl_sim_scale(b.sim, ECHO, 0, NULL), 0);
    assert_true(fl_world_run_until(b.world, is_terminating, &b, 1000));
    assert_int_equal(first_entry(&b)->flags, FL_ENDPOINT_SERVING | FL_ENDPOINT_TERMINATING);
    assert_true(listens(&b, address)); /* the signal comes later */
    assert_true(fl_world_run_until(b.world, is_unlisted, &b, 1000));
    assert_false(listens(&b, address));
    bench_close(&b);
}

/* A pod that has not run yet leaves without ever having been listed. */
static void test_a_pending_pod_leaves(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, 3, 2);
    fl_world_run_ms(b.world, 1);
    assert_int_equal(fl_sim_scale(b.sim, ECHO, 0, NULL), 0);
    fl_world_run_ms(b.world, 2000);
    assert_int_equal(see(&b).listed, 0);
    assert_true(fl_sim_settled(b.sim));
    bench_close(&b);
}

static void test_a_roll_surges_one_and_loses_none(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct bench b;
        bench_open(&b, seed, 4);
        settle(&b);
        uint64_t version = fl_cluster_version(fl_sim_cluster(b.sim));
        assert_int_equal(fl_sim_roll(b.sim, ECHO, NULL), 0);
        assert_true(fl_sim_rolling(b.sim, ECHO));
        assert_int_equal(fl_sim_roll(b.sim, ECHO, NULL), 0); /* one at a time */
        settle(&b);
        assert_false(fl_sim_rolling(b.sim, ECHO));
        assert_int_equal(b.ready_min, 4);
        assert_int_equal(b.live_max, 5);
        assert_int_equal(see(&b).listed, 4);
        const struct fl_store *store = fl_cluster_store(fl_sim_cluster(b.sim));
        for (size_t i = 0; i < store->kinds[FL_K8S_POD].count; i++)
            assert_true(store->kinds[FL_K8S_POD].items[i]->version > version);
        bench_close(&b);
    }
}

/* Never more pods than surge allows, never fewer ready ones than unavailability does, and both are
 * made use of. */
static void test_surge_and_unavailability(void **state) {
    static const struct {
        unsigned surge, unavailable;
    } cases[] = {{1, 0}, {3, 0}, {0, 1}, {0, 2}, {2, 2}, {0, 6}, {20, 0}};
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(cases); i++) {
        const struct fl_sim_service service = {.name = ECHO,
                                               .pods = 6,
                                               .max_surge = cases[i].surge,
                                               .max_unavailable = cases[i].unavailable};
        struct bench b;
        bench_open_service(&b, i + 1, &service, false);
        settle(&b);
        assert_int_equal(fl_sim_roll(b.sim, ECHO, NULL), 0);
        settle(&b);
        assert_int_equal(see(&b).ready, 6);
        assert_in_range(b.live_max, 6, 6 + FL_MIN(cases[i].surge, 6));
        assert_in_range(b.ready_min, 6 - cases[i].unavailable, 6);
        if (cases[i].surge) assert_true(b.live_max > 6);
        if (!cases[i].surge) assert_true(b.ready_min < 6);
        bench_close(&b);
    }
}

/* "echo-TEMPLATE-xxxxx" */
static void template_of(const struct bench *b, char out[32]) {
    const struct fl_object_list *pods =
        &fl_cluster_store(fl_sim_cluster(b->sim))->kinds[FL_K8S_POD];
    fl_str_copy(out, 32, fl_str_n(pods->items[0]->identity->name.p, 15));
}

static void test_a_roll_is_of_another_template(void **state) {
    struct bench b;
    char before[32], after[32];
    FL_UNUSED(state);
    bench_open(&b, 3, 2);
    settle(&b);
    template_of(&b, before);
    assert_int_equal(fl_sim_roll(b.sim, ECHO, NULL), 0);
    settle(&b);
    template_of(&b, after);
    assert_string_not_equal(before, after);
    bench_close(&b);
}

static const struct fl_rollout *rollout_of(const struct bench *b) {
    struct fl_object *object = fl_store_find(fl_cluster_store(fl_sim_cluster(b->sim)),
                                             FL_K8S_DEPLOYMENT, FL_STR("default"), FL_STR(ECHO));
    assert_non_null(object);
    return &object->rollout;
}

static void test_deployments_follow(void **state) {
    const struct fl_sim_service service = {.name = ECHO, .pods = 2};
    struct bench b;
    FL_UNUSED(state);
    bench_open_service(&b, 4, &service, true);
    settle(&b);
    assert_int_equal(rollout_of(&b)->ready, 2);
    assert_int_equal(fl_sim_scale(b.sim, ECHO, 4, NULL), 0);
    settle(&b);
    assert_int_equal(rollout_of(&b)->wanted, 4);
    assert_int_equal(rollout_of(&b)->ready, 4);
    assert_int_equal(rollout_of(&b)->updated, 4);
    const struct fl_store *store = fl_cluster_store(fl_sim_cluster(b.sim));
    assert_int_equal(store->kinds[FL_K8S_NODE].count, 5);
    assert_int_equal(store->kinds[FL_K8S_NAMESPACE].count, 1);
    bench_close(&b);
}

static void test_scaling(void **state) {
    static const unsigned steps[] = {1, 5, 2, 0, 0, 7, 3};
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, 5, 3);
    for (size_t i = 0; i < FL_COUNT(steps); i++) {
        assert_int_equal(fl_sim_scale(b.sim, ECHO, steps[i], NULL), 0);
        settle(&b);
        assert_int_equal(see(&b).ready, steps[i]);
    }
    /* In the middle of a roll. */
    assert_int_equal(fl_sim_roll(b.sim, ECHO, NULL), 0);
    fl_world_run_ms(b.world, 200);
    assert_int_equal(fl_sim_scale(b.sim, ECHO, 1, NULL), 0);
    settle(&b);
    assert_int_equal(see(&b).listed, 1);
    assert_false(fl_sim_rolling(b.sim, ECHO));
    bench_close(&b);
}

static bool is_noticed(void *arg) { return see(arg).ready < 3; }

static void test_a_killed_pod_is_replaced(void **state) {
    struct bench b;
    struct fl_error err;
    FL_UNUSED(state);
    bench_open(&b, 6, 3);
    assert_int_equal(fl_sim_kill(b.sim, ECHO, &err), FL_EEMPTY);
    settle(&b);
    assert_int_equal(fl_sim_kill(b.sim, ECHO, &err), 0);
    assert_int_equal(fl_sim_ready(b.sim, ECHO), 2);
    assert_int_equal(see(&b).ready, 3); /* the cluster does not know yet */
    fl_world_run_ms(b.world, 10);
    int alive = listens(&b, "127.1.0.1") + listens(&b, "127.1.0.2") + listens(&b, "127.1.0.3");
    assert_int_equal(alive, 2);
    assert_true(fl_world_run_until(b.world, is_noticed, &b, 3000));
    settle(&b);
    assert_int_equal(see(&b).ready, 3);
    bench_close(&b);
}

static void test_rolling_by_itself(void **state) {
    struct fl_world_options world = {.seed = 8};
    struct fl_sim_service services[] = {{.name = ECHO, .pods = 2},
                                        {.name = "shop/cart", .pods = 1}};
    struct fl_sim_options options = {.apiserver.host = FL_STR("127.0.0.1"),
                                     .services = services,
                                     .service_count = 2,
                                     .roll_every_ms = 5000,
                                     .address_count = 5};
    struct bench b = {0};
    FL_UNUSED(state);
    assert_int_equal(fl_world_new(&world, &b.world), 0);
    assert_int_equal(fl_sim_new(fl_world_io(b.world), &options, &b.sim, NULL), 0);
    fl_world_run_ms(b.world, 5100);
    assert_true(fl_sim_rolling(b.sim, "shop/cart"));
    fl_world_run_ms(b.world, 50000); /* addresses come again */
    settle(&b);
    assert_int_equal(see(&b).ready, 3);
    bench_close(&b);
}

static void test_wrong_names(void **state) {
    static const char *const bad[] = {"", "Echo", "a/b/c", "-a", "a_b", "/x", "x/"};
    struct fl_world_options world = {.seed = 1};
    struct bench b = {0};
    struct fl_error err;
    FL_UNUSED(state);
    assert_int_equal(fl_world_new(&world, &b.world), 0);
    for (size_t i = 0; i < FL_COUNT(bad); i++) {
        struct fl_sim_service service = {.name = bad[i], .pods = 1};
        struct fl_sim_options options = {
            .apiserver.host = FL_STR("127.0.0.1"), .services = &service, .service_count = 1};
        assert_int_equal(fl_sim_new(fl_world_io(b.world), &options, &b.sim, &err), FL_EUSAGE);
    }
    fl_world_free(b.world);
    bench_open(&b, 1, 1);
    assert_int_equal(fl_sim_roll(b.sim, "nobody", &err), FL_EUSAGE);
    assert_non_null(strstr(err.detail, "nobody"));
    bench_close(&b);
}

static void no_accept(void *arg, struct fl_sock *sock) {
    FL_UNUSED(arg);
    FL_UNUSED(sock);
}

static void test_without_addresses_it_says_so(void **state) {
    struct fl_world_options world = {.seed = 1};
    struct fl_sim_options options = {.apiserver.host = FL_STR("127.0.0.1")};
    struct fl_listener *listener;
    struct bench b = {0};
    struct fl_error err;
    FL_UNUSED(state);
    assert_int_equal(fl_world_new(&world, &b.world), 0);
    struct fl_io *io = fl_world_io(b.world);
    assert_int_equal(
        fl_io_listen(io, FL_STR("127.1.0.1"), 50051, NULL, no_accept, NULL, &listener, NULL), 0);
    assert_int_equal(fl_sim_new(io, &options, &b.sim, &err), FL_ESYS);
    assert_non_null(strstr(err.detail, "pods need loopback addresses"));
    fl_listener_close(io, listener);
    fl_world_free(b.world);
}

static void test_every_allocation_fails(void **state) {
    struct fl_world_options world = {.seed = 9};
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_sim_service service = {.name = ECHO, .pods = 1};
        struct fl_sim_options options = {.apiserver.host = FL_STR("127.0.0.1"),
                                         .services = &service,
                                         .service_count = 1,
                                         .seed = n};
        struct bench b = {0};
        if (fl_world_new(&world, &b.world)) continue;
        int rc = fl_sim_new(fl_world_io(b.world), &options, &b.sim, NULL);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) {
            settle(&b); /* what failed is tried again */
            assert_int_equal(see(&b).ready, 1);
            fl_sim_close(b.sim, on_closed, &b);
            fl_world_run_ms(b.world, 1000);
            assert_true(b.closed);
        }
        fl_world_free(b.world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pods_become_ready),
        cmocka_unit_test(test_a_pods_life),
        cmocka_unit_test(test_a_pending_pod_leaves),
        cmocka_unit_test(test_a_roll_surges_one_and_loses_none),
        cmocka_unit_test(test_surge_and_unavailability),
        cmocka_unit_test(test_a_roll_is_of_another_template),
        cmocka_unit_test(test_deployments_follow),
        cmocka_unit_test(test_scaling),
        cmocka_unit_test(test_a_killed_pod_is_replaced),
        cmocka_unit_test(test_rolling_by_itself),
        cmocka_unit_test(test_wrong_names),
        cmocka_unit_test(test_without_addresses_it_says_so),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
