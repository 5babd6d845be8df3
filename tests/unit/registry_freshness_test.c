/* registry_freshness_test.c - stale_ms tells the truth of every set that somebody holds, also when
 * what it came from is gone. */
#include "support/kube_bed.h"

#include <fairlead/log.h>

#define MINUTE_MS ((uint64_t)60000)

struct holder {
    struct fl_set *set;
    struct fl_subscription *subscription;
    bool closed;
};

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct holder *holder = arg;
    FL_UNUSED(previous);
    FL_UNUSED(trouble);
    fl_set_unref(holder->set);
    holder->set = fl_set_ref(set);
}

static void on_closed(void *arg) { ((struct holder *)arg)->closed = true; }

static void hold(struct fl_kbed *f, struct holder *holder) {
    *holder = (struct holder){0};
    fl_kbed_setup_echo(f, 3);
    assert_int_equal(fl_discovery_subscribe_on(f->hub, f->io, "kubernetes:///shop/echo", on_set,
                                               holder, &holder->subscription, NULL),
                     FL_OK);
    fl_kbed_run(f, 3000);
    assert_non_null(holder->set);
    assert_int_equal(fl_set_stale_ms(holder->set), 0);
}

static void let_go(struct holder *holder) {
    if (holder->subscription) fl_subscription_close(holder->subscription, on_closed, holder);
    holder->subscription = NULL;
}

static void on_server_closed(void *arg) { *(bool *)arg = true; }

/* The server is gone for so long, and another comes in its place. */
static void outage(struct fl_kbed *f, uint64_t ms) {
    bool gone = false;
    const struct fl_apiserver_options options = {.host = FL_STR("127.0.0.1"),
                                                 .port = fl_apiserver_port(f->server)};
    fl_apiserver_close(f->server, on_server_closed, &gone);
    fl_kbed_run(f, ms);
    assert_true(gone);
    assert_int_equal(fl_apiserver_new(f->io, f->cluster, &options, &f->server, NULL), FL_OK);
}

/* Whatever memory failed while a change was shown, and whatever was asked for anew because of it.
 */
static void test_a_lost_change_leaves_a_set_that_ages(void **state) {
    bool failed = true;
    FL_UNUSED(state);
    for (size_t n = 1; failed; n++) {
        struct fl_kbed f;
        struct holder holder;
        hold(&f, &holder);
        fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 100, 1);
        fl_test_alloc_fail_at(n);
        fl_kbed_run(&f, 100);
        failed = fl_test_alloc_did_fail();
        fl_test_alloc_fail_at(0);
        outage(&f, 5 * MINUTE_MS);
        assert_in_range(fl_set_stale_ms(holder.set), 4 * MINUTE_MS, 5 * MINUTE_MS);
        fl_kbed_run(&f, MINUTE_MS);
        assert_int_equal(fl_set_stale_ms(holder.set), 0);
        let_go(&holder);
        fl_kbed_run(&f, 10000);
        fl_set_unref(holder.set);
        fl_kbed_teardown(&f);
    }
}

/* Who keeps a set beyond its subscription is not told that it is current for ever. */
static void test_a_set_that_outlives_its_watch_ages(void **state) {
    struct fl_kbed f;
    struct holder holder;
    FL_UNUSED(state);
    hold(&f, &holder);
    let_go(&holder);
    fl_kbed_run(&f, 5 * MINUTE_MS);
    assert_true(holder.closed);
    assert_in_range(fl_set_stale_ms(holder.set), 3 * MINUTE_MS, 5 * MINUTE_MS);
    fl_set_unref(holder.set);
    fl_kbed_run(&f, 5000);
    fl_kbed_teardown(&f);
}

/* One kept beyond the discovery itself is still the holder's. */
static void test_a_set_outlives_its_discovery(void **state) {
    struct fl_kbed f;
    struct holder holder;
    FL_UNUSED(state);
    hold(&f, &holder);
    let_go(&holder);
    fl_kbed_run(&f, 10000);
    fl_kbed_teardown(&f);
    assert_int_equal(fl_set_state(holder.set), FL_SET_SOME);
    fl_set_unref(holder.set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lost_change_leaves_a_set_that_ages),
        cmocka_unit_test(test_a_set_that_outlives_its_watch_ages),
        cmocka_unit_test(test_a_set_outlives_its_discovery),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
