/* discovery_life_test.c - subscriptions and the hub: how they end, what is refused, what is
 * bounded. */
#include "support/hub_bed.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* --- ends --- */

static void test_closing_in_the_callback(void **state) {
    struct hub_bed *bed = *state;
    struct sub closes, stays;
    subscribe(bed, &closes, "fake:///x");
    subscribe(bed, &stays, "fake:///x");
    closes.close_in_callback = true;
    settle(bed);
    fl_fake_publish(&bed->fake, "x", block("10.0.0.1 rs"));
    settle(bed);
    fl_fake_publish(&bed->fake, "x", block("10.0.0.2 rs"));
    settle(bed);
    assert_int_equal(closes.calls, 1);
    assert_int_equal(closes.dones, 1);
    assert_int_equal(stays.calls, 2);
    end_settled(&stays);
}

static void test_nothing_is_told_after_close_on_the_same_loop(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    fl_fake_publish(&bed->fake, "x", block("10.0.0.1 rs"));
    end(&sub); /* with unread news in the mailbox */
    settle(bed);
    assert_int_equal(sub.calls, 0);
    assert_int_equal(sub.dones, 1);
}

static void test_closing_before_the_hub_has_heard_of_it(void **state) {
    struct hub_bed *bed = *state;
    struct sub subs[20];
    for (size_t i = 0; i < FL_COUNT(subs); i++) {
        subscribe(bed, &subs[i], "fake:///x");
        end(&subs[i]);
        assert_int_equal(subs[i].dones, 0);
    }
    settle(bed);
    for (size_t i = 0; i < FL_COUNT(subs); i++) {
        assert_int_equal(subs[i].dones, 1);
        assert_int_equal(subs[i].calls, 0);
    }
}

/* Joining is put off to a next turn while there is no memory for the timer: leaving comes first. */
static void test_closing_while_joining_waits_for_memory(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    fl_test_alloc_fail_at(1);
    end_settled(&sub);
    assert_true(fl_test_alloc_did_fail());
    assert_int_equal(sub.dones, 1);
    assert_int_equal(bed->fake.watches, 0);
}

static void test_closing_waits_for_subscriptions_that_are_closing(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    end(&sub);
    bed_close(bed);
    assert_int_equal(sub.dones, 1);
    assert_int_equal(bed->fake.unwatches, 1);
}

static void test_done_may_be_null(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    fl_subscription_close(sub.handle, NULL, NULL);
    fl_subscription_close(NULL, NULL, NULL);
    fl_discovery_close(NULL, NULL, NULL);
    settle(bed);
}

/* --- targets and bounds --- */

static void test_wrong_targets_say_what_is_wrong(void **state) {
    struct hub_bed *bed = *state;
    static const struct {
        const char *target, *detail;
    } rows[] = {
        {"", "is not a target"},
        {"x", "is not a target"},
        {"x:http", "is not a target"},
        {"fake:x", "is not a target"},
        {"fake://x", "three slashes"},
        {"fake://cluster/x", "three slashes"},
        {"fake:///", "no service"},
        {"zk:///x", "no scheme \"zk\""},
        {"10.0.0.1:80", "no scheme \"static\""}, /* there is no such provider here */
        {"static:a:1", "no scheme \"static\""},
    };
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_subscription *handle;
        struct fl_error err;
        int rc = fl_discovery_subscribe_on(bed->hub, bed->io, rows[i].target, on_set, NULL, &handle,
                                           &err);
        assert_int_equal(rc, FL_EUSAGE);
        if (!strstr(err.detail, rows[i].detail)) fail_msg("%s: %s", rows[i].target, err.detail);
        assert_null(handle);
    }
    settle(bed);
    assert_int_equal(bed->fake.watches, 0);
}

static void test_subscriptions_are_bounded(void **state) {
    struct hub_bed *bed = *state;
    struct fl_subscription **handles = calloc(FL_DISCOVERY_SUBSCRIPTIONS_MAX, sizeof(*handles));
    struct fl_subscription *one_more;
    struct fl_error err;
    for (size_t i = 0; i < FL_DISCOVERY_SUBSCRIPTIONS_MAX; i++) {
        assert_int_equal(fl_discovery_subscribe_on(bed->hub, bed->io, "fake:///x", on_set, NULL,
                                                   &handles[i], NULL),
                         0);
    }
    assert_int_equal(
        fl_discovery_subscribe_on(bed->hub, bed->io, "fake:///x", on_set, NULL, &one_more, &err),
        FL_EFULL);
    assert_int_equal(bed->fake.watches, 0);
    for (size_t i = 0; i < FL_DISCOVERY_SUBSCRIPTIONS_MAX; i++) {
        fl_subscription_close(handles[i], NULL, NULL);
    }
    settle(bed);
    assert_int_equal(
        fl_discovery_subscribe_on(bed->hub, bed->io, "fake:///x", on_set, NULL, &one_more, &err),
        0);
    fl_subscription_close(one_more, NULL, NULL);
    settle(bed);
    free(handles);
}

/* Watches linger, so there may be more of them than subscriptions. */
static void test_services_are_bounded(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    char target[64];
    bed->fake.refusals = INT_MAX;
    for (int i = 0; i < FL_DISCOVERY_SERVICES_MAX; i++) {
        struct fl_subscription *handle;
        snprintf(target, sizeof(target), "fake:///s%d", i);
        assert_int_equal(
            fl_discovery_subscribe_on(bed->hub, bed->io, target, on_set, NULL, &handle, NULL), 0);
        fl_subscription_close(handle, NULL, NULL);
    }
    settle(bed);
    subscribe(bed, &sub, "fake:///one-more");
    fl_world_run_ms(bed->world, 3000);
    assert_int_equal(sub.trouble, FL_EFULL);
    assert_int_equal(fl_set_state(sub.set), FL_SET_UNKNOWN);
    assert_int_equal(sub.calls, 1); /* once, not at each try */
    bed->fake.refusals = 0;
    fl_world_run_ms(bed->world, 5000);
    fl_fake_publish(&bed->fake, "one-more", block("10.0.0.1 rs"));
    settle(bed);
    assert_int_equal(sub.trouble, 0);
    assert_int_equal(fl_set_state(sub.set), FL_SET_SOME);
    end_settled(&sub);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_closing_in_the_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_told_after_close_on_the_same_loop, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_closing_before_the_hub_has_heard_of_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_closing_while_joining_waits_for_memory, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_closing_waits_for_subscriptions_that_are_closing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_done_may_be_null, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_targets_say_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(test_subscriptions_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_services_are_bounded, setup, teardown),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
