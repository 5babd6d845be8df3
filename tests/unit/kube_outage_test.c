/* kube_outage_test.c - who may ask a server that does not answer, and when: kube/outage.h alone,
 * and reflectors that share one. */
#include "support/reflector_bed.h"

static const struct fl_error refused = {.code = FL_EREFUSED};

struct waiter {
    struct fl_outage_waiter base;
    uint64_t at_ms;
    unsigned times;
};

static void on_over(struct fl_outage_waiter *base, uint64_t at_ms) {
    struct waiter *waiter = FL_CONTAINER(base, struct waiter, base);
    waiter->at_ms = at_ms;
    waiter->times++;
}

static void test_everybody_may_ask_while_it_answers(void **state) {
    struct fl_outage outage;
    int a, b;
    uint64_t again_ms;
    FL_UNUSED(state);
    fl_outage_init(&outage, 1);
    assert_true(fl_outage_may_try(&outage, &a, 1000, &again_ms));
    assert_true(fl_outage_may_try(&outage, &b, 1000, &again_ms));
}

static void test_W12_one_scout_after_the_backoff(void **state) {
    struct fl_outage outage;
    int a, b;
    uint64_t again_ms;
    FL_UNUSED(state);
    fl_outage_init(&outage, 1);
    uint64_t due_ms = fl_outage_failed(&outage, &a, 0, 1000, 0, &refused);
    assert_true(due_ms >= 1800 && due_ms <= 2600);
    /* a request that was under way as well is no second failure */
    assert_int_equal(fl_outage_failed(&outage, &b, 0, 1100, 0, &refused), due_ms);
    assert_false(fl_outage_may_try(&outage, &a, due_ms - 1, &again_ms));
    assert_int_equal(again_ms, due_ms);
    assert_true(fl_outage_may_try(&outage, &b, due_ms, &again_ms));
    assert_true(fl_outage_may_try(&outage, &b, due_ms, &again_ms));
    assert_false(fl_outage_may_try(&outage, &a, due_ms, &again_ms));
    assert_true(again_ms > due_ms);
    fl_outage_forget(&outage, &b); /* the scout is gone without a word */
    assert_true(fl_outage_may_try(&outage, &a, due_ms, &again_ms));
}

static void test_its_end_is_told_to_all_at_different_moments(void **state) {
    struct fl_outage outage;
    struct waiter waiters[200] = {0};
    uint64_t first_ms = UINT64_MAX, last_ms = 0;
    FL_UNUSED(state);
    fl_outage_init(&outage, 1);
    for (size_t i = 0; i < FL_COUNT(waiters); i++)
        fl_outage_join(&outage, &waiters[i].base, on_over);
    fl_outage_answered(&outage, NULL, 500); /* nothing was wrong */
    assert_int_equal(waiters[0].times, 0);
    (void)fl_outage_failed(&outage, NULL, 0, 1000, 0, &refused);
    fl_outage_leave(&outage, &waiters[0].base);
    fl_outage_answered(&outage, NULL, 5000);
    assert_int_equal(waiters[0].times, 0);
    for (size_t i = 1; i < FL_COUNT(waiters); i++) {
        assert_int_equal(waiters[i].times, 1);
        first_ms = FL_MIN(first_ms, waiters[i].at_ms);
        last_ms = FL_MAX(last_ms, waiters[i].at_ms);
    }
    assert_true(first_ms >= 5000 && last_ms < 8000 && last_ms - first_ms > 2000);
}

static void test_W12_the_cap_holds_through_short_recoveries(void **state) {
    struct fl_outage outage;
    uint64_t now_ms = 0, due_ms = 0;
    FL_UNUSED(state);
    fl_outage_init(&outage, 1);
    for (int i = 0; i < 12; i++) {
        due_ms = fl_outage_failed(&outage, NULL, outage.round, now_ms, 0, &refused);
        fl_outage_answered(&outage, NULL, due_ms);
        now_ms = due_ms + 60000;
    }
    due_ms = fl_outage_failed(&outage, NULL, outage.round, now_ms, 0, &refused);
    assert_true(due_ms - now_ms >= 30000);
    fl_outage_answered(&outage, NULL, due_ms);
    now_ms = due_ms + 120000; /* it has lasted */
    due_ms = fl_outage_failed(&outage, NULL, outage.round, now_ms, 0, &refused);
    assert_true(due_ms - now_ms <= 1600);
}

static void test_a_server_that_asks_for_time_gets_it(void **state) {
    struct fl_outage outage;
    FL_UNUSED(state);
    fl_outage_init(&outage, 1);
    assert_int_equal(fl_outage_failed(&outage, NULL, 0, 1000, 20000, &refused), 21000);
}

/* --- reflectors --- */

#define FOLLOWERS 5

struct crowd {
    struct fl_rbed beds[FOLLOWERS];
};

static void setup_crowd(struct crowd *c) {
    fl_rbed_setup_watching(&c->beds[0]);
    for (int i = 1; i < FOLLOWERS; i++) {
        struct fl_rbed *f = &c->beds[i];
        fl_rbed_setup_beside(f, &c->beds[0]);
        fl_rbed_expect_request(f, 0);
        FL_RBED_LIST(f, "10", {"a", "5"});
        fl_rbed_expect_request(f, 0);
        fl_rbed_watch_head(f);
    }
}

static void teardown_crowd(struct crowd *c) {
    for (int i = FOLLOWERS - 1; i >= 0; i--) fl_rbed_teardown(&c->beds[i]);
}

/* Everybody acts whose time has come; how many asked. */
static unsigned step_crowd(struct crowd *c, uint64_t now_ms, struct fl_rbed **who) {
    unsigned sent = 0;
    for (int i = 0; i < FOLLOWERS; i++) {
        struct fl_rbed *f = &c->beds[i];
        f->now_ms = now_ms;
        if (!fl_rbed_act(f)) continue;
        *who = f;
        sent++;
    }
    return sent;
}

/* W12: ten minutes without the server cost what they would cost one watch. */
static void test_W12_a_long_outage_costs_one_attempt_per_cap(void **state) {
    struct crowd c;
    struct fl_rbed *who = NULL;
    unsigned attempts = 0;
    FL_UNUSED(state);
    setup_crowd(&c);
    uint64_t start_ms = c.beds[0].now_ms, now_ms = start_ms;
    for (int i = 0; i < FOLLOWERS; i++) fl_rbed_closed(&c.beds[i], FL_ERESET);
    for (; now_ms < start_ms + 600000; now_ms += 100) {
        unsigned sent = step_crowd(&c, now_ms, &who);
        assert_true(sent <= 1);
        attempts += sent;
        if (sent) fl_rbed_closed(who, FL_EREFUSED);
    }
    assert_true(attempts >= 12 && attempts <= 25);
    for (int i = 0; i < FOLLOWERS; i++) /* and people know why, whoever tried */
        assert_int_equal(c.beds[i].trouble.code, FL_EREFUSED);
    /* The server is back: one finds out, the others follow. */
    unsigned back = 0;
    while (back == 0) back = step_crowd(&c, now_ms += 100, &who);
    fl_rbed_watch_head(who);
    for (int i = 0; i < FOLLOWERS; i++) fl_reflector_wake(c.beds[i].r, now_ms + 10u * (unsigned)i);
    for (uint64_t t = now_ms; t <= now_ms + 50; t++) back += step_crowd(&c, t, &who);
    assert_int_equal(back, FOLLOWERS);
    for (int i = 0; i < FOLLOWERS; i++)
        assert_true(fl_rbed_path_has(&c.beds[i], "resourceVersion=10&"));
    teardown_crowd(&c);
}

/* Being woken is for once: who fails although others are answered keeps to the backoff. */
static void test_W12_who_was_woken_in_vain_waits(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_closed(&f, FL_ERESET);
    fl_reflector_wake(f.r, f.now_ms + 5);
    assert_int_equal(fl_reflector_deadline_ms(f.r), f.now_ms + 5);
    fl_outage_answered(&f.server->outage, &f, f.now_ms);
    f.now_ms += 5;
    assert_true(fl_rbed_act(&f));
    fl_rbed_closed(&f, FL_ERESET);
    uint64_t due_ms = fl_reflector_deadline_ms(f.r);
    fl_reflector_wake(f.r, f.now_ms + 5);
    assert_int_equal(fl_reflector_deadline_ms(f.r), due_ms);
    fl_rbed_teardown(&f);
}

/* 429 and 503 keep everybody away; who was told when to come back is not woken before. */
static void test_retry_after_holds_for_all(void **state) {
    struct crowd c;
    struct fl_rbed *who = NULL;
    FL_UNUSED(state);
    setup_crowd(&c);
    struct fl_rbed *f = &c.beds[0];
    fl_rbed_closed(f, FL_OK);
    fl_rbed_expect_request(f, 60000);
    fl_reflector_response(f->r, f->now_ms, 429, FL_STR("text/plain"), FL_STR("20"));
    fl_rbed_closed(f, FL_OK);
    uint64_t asked_ms = f->now_ms;
    fl_reflector_wake(f->r, asked_ms + 1);
    for (int i = 1; i < FOLLOWERS; i++) fl_rbed_closed(&c.beds[i], FL_OK);
    for (uint64_t now_ms = asked_ms; now_ms < asked_ms + 20000; now_ms += 100)
        assert_int_equal(step_crowd(&c, now_ms, &who), 0);
    uint64_t now_ms = asked_ms + 20000;
    while (step_crowd(&c, now_ms, &who) == 0) now_ms += 100;
    assert_true(now_ms <= asked_ms + 25000);
    teardown_crowd(&c);
}

static void test_who_cannot_wait_skips_one_backoff(void **state) {
    struct fl_outage outage;
    int a;
    uint64_t again_ms;
    FL_UNUSED(state);
    fl_outage_init(&outage, 1);
    assert_true(fl_outage_hurry(&outage, 500));
    (void)fl_outage_failed(&outage, &a, 0, 1000, 0, &refused);
    assert_true(fl_outage_hurry(&outage, 1100));
    assert_true(fl_outage_may_try(&outage, &a, 1100, &again_ms));
    uint64_t due_ms = fl_outage_failed(&outage, &a, outage.round, 1100, 0, &refused);
    assert_false(fl_outage_hurry(&outage, 1200)); /* another one, a moment later */
    assert_false(fl_outage_may_try(&outage, &a, 1200, &again_ms));
    assert_int_equal(again_ms, due_ms);
    assert_true(fl_outage_hurry(&outage, 6100));
}

/* Only a backoff of ours is skipped, and only by who waits. */
static void test_W12_a_server_that_said_when_is_not_hurried(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_reflector_hurry(f.r, f.now_ms); /* nothing waits */
    assert_false(fl_rbed_act(&f));
    fl_rbed_closed(&f, FL_OK);
    fl_rbed_expect_request(&f, 60000);
    fl_reflector_response(f.r, f.now_ms, 503, FL_STR("text/plain"), FL_STR("20"));
    fl_rbed_closed(&f, FL_OK);
    fl_reflector_hurry(f.r, f.now_ms);
    assert_false(fl_rbed_act(&f));
    fl_rbed_expect_request(&f, 60000);
    fl_reflector_response(f.r, f.now_ms, 500, FL_STR("text/plain"), FL_STR_NONE);
    fl_rbed_closed(&f, FL_OK);
    assert_false(fl_rbed_act(&f));
    fl_reflector_hurry(f.r, f.now_ms);
    assert_true(fl_rbed_act(&f));
    fl_rbed_teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everybody_may_ask_while_it_answers),
        cmocka_unit_test(test_W12_one_scout_after_the_backoff),
        cmocka_unit_test(test_its_end_is_told_to_all_at_different_moments),
        cmocka_unit_test(test_W12_the_cap_holds_through_short_recoveries),
        cmocka_unit_test(test_a_server_that_asks_for_time_gets_it),
        cmocka_unit_test(test_W12_a_long_outage_costs_one_attempt_per_cap),
        cmocka_unit_test(test_W12_who_was_woken_in_vain_waits),
        cmocka_unit_test(test_retry_after_holds_for_all),
        cmocka_unit_test(test_who_cannot_wait_skips_one_backoff),
        cmocka_unit_test(test_W12_a_server_that_said_when_is_not_hurried),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
