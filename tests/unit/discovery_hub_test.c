/* discovery_hub_test.c - shared watches and what their subscribers are told, on virtual time. */
#include "support/hub_bed.h"

#include <stdio.h>

/* --- sets and troubles --- */

static void test_newest_set_then_each_newer_one(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    assert_int_equal(sub.calls, 0); /* nothing is known */
    fl_fake_publish(&bed->fake, "x", block("10.0.0.1 rs"));
    assert_int_equal(sub.calls, 0); /* not from within */
    settle(bed);
    assert_int_equal(sub.calls, 1);
    assert_string_equal(fl_test_text(sub.set), "10.0.0.1:8080 http rs");
    assert_int_equal(fl_set_version(sub.set), 1);
    assert_int_equal(sub.trouble, 0);
    fl_fake_publish(&bed->fake, "x", block("10.0.0.2 rs"));
    settle(bed);
    assert_int_equal(sub.calls, 2);
    assert_int_equal(fl_set_version(sub.set), 2);
    assert_string_equal(fl_test_text(sub.set), "10.0.0.2:8080 http rs");
    end_settled(&sub);
    assert_int_equal(sub.dones, 1);
}

static void test_C16_newest_wins_and_never_goes_back(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    for (int i = 0; i < 100; i++) {
        char text[32];
        snprintf(text, sizeof(text), "10.0.0.%d rs", i);
        fl_fake_publish(&bed->fake, "x", block(text));
    }
    settle(bed);
    assert_int_equal(sub.calls, 1);
    assert_int_equal(fl_set_version(sub.set), 100);
    assert_string_equal(fl_test_text(sub.set), "10.0.0.99:8080 http rs");
    end_settled(&sub);
}

static void test_C17_every_subscriber_gets_every_newest_state(void **state) {
    struct hub_bed *bed = *state;
    struct sub subs[50], late;
    for (size_t i = 0; i < FL_COUNT(subs); i++) subscribe(bed, &subs[i], "fake:///x");
    settle(bed);
    assert_int_equal(bed->fake.watches, 1);
    fl_fake_publish(&bed->fake, "x", block("10.0.0.1 rs"));
    settle(bed);
    subscribe(bed, &late, "fake:///x");
    assert_int_equal(late.calls, 0);
    settle(bed);
    assert_int_equal(bed->fake.watches, 1);
    assert_int_equal(late.calls, 1);
    for (size_t i = 0; i < FL_COUNT(subs); i++) {
        assert_int_equal(subs[i].calls, 1);
        assert_ptr_equal(subs[i].set, late.set); /* shared */
        end(&subs[i]);
    }
    fl_fake_publish(&bed->fake, "x", block("10.0.0.2 rs"));
    settle(bed);
    assert_int_equal(late.calls, 2);
    end_settled(&late);
}

/* What the source gives from within its watch call is not lost. */
static void test_C18_change_between_list_and_watch_is_not_lost(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    bed->fake.publishes_at_once = true;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    assert_int_equal(sub.calls, 1);
    assert_int_equal(fl_set_state(sub.set), FL_SET_EMPTY);
    end_settled(&sub);
}

static void test_W18_an_empty_result_is_published(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    fl_fake_publish(&bed->fake, "x", block("10.0.0.1 rs"));
    settle(bed);
    fl_fake_publish(&bed->fake, "x", NULL);
    settle(bed);
    assert_int_equal(sub.calls, 2);
    assert_int_equal(fl_set_state(sub.set), FL_SET_EMPTY);
    end_settled(&sub);
}

static void test_what_says_nothing_new_is_not_told(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    struct fl_block *same = block("10.0.0.1 rs");
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    for (int i = 0; i < 3; i++) {
        fl_fake_publish(&bed->fake, "x", fl_block_ref(same));
        fl_fake_trouble(&bed->fake, "x", FL_OK);
        settle(bed);
    }
    assert_int_equal(sub.calls, 1);
    fl_fake_trouble(&bed->fake, "x", FL_ERESET);
    settle(bed);
    assert_int_equal(sub.trouble, FL_ERESET);
    fl_fake_publish(&bed->fake, "x", fl_block_ref(same)); /* but it ends a trouble */
    settle(bed);
    assert_int_equal(sub.calls, 3);
    assert_int_equal(sub.trouble, 0);
    assert_true(sub.same);
    assert_int_equal(fl_set_version(sub.set), 1);
    fl_block_unref(same);
    end_settled(&sub);
}

static void test_trouble_comes_with_what_is_known(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub, late;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    fl_fake_trouble(&bed->fake, "x", FL_EREFUSED);
    settle(bed);
    assert_int_equal(sub.calls, 1);
    assert_int_equal(fl_set_state(sub.set), FL_SET_UNKNOWN);
    assert_string_equal(fl_set_service(sub.set), "x");
    assert_int_equal(sub.trouble, FL_EREFUSED);
    fl_fake_publish(&bed->fake, "x", block("10.0.0.1 rs")); /* also ends the trouble */
    settle(bed);
    assert_int_equal(sub.trouble, 0);
    fl_fake_trouble(&bed->fake, "x", FL_ERESET);
    settle(bed);
    assert_int_equal(sub.calls, 3);
    assert_true(sub.same);
    assert_int_equal(sub.trouble, FL_ERESET);
    subscribe(bed, &late, "fake:///x");
    settle(bed);
    assert_int_equal(late.trouble, FL_ERESET);
    assert_int_equal(fl_set_state(late.set), FL_SET_SOME);
    fl_fake_trouble(&bed->fake, "x", FL_OK);
    settle(bed);
    assert_int_equal(sub.calls, 4);
    assert_int_equal(sub.trouble, 0);
    assert_int_equal(late.trouble, 0);
    end(&sub);
    end_settled(&late);
}

static void test_C20_a_port_is_seen_through(void **state) {
    struct hub_bed *bed = *state;
    struct sub all, port;
    subscribe(bed, &all, "fake:///x");
    subscribe(bed, &port, "fake:///x:80");
    settle(bed);
    assert_int_equal(bed->fake.watches, 1);
    fl_fake_publish(&bed->fake, "x", fl_test_block("http:8080 grpc:9000", "10.0.0.1 rs"));
    settle(bed);
    assert_string_equal(fl_test_text(all.set), "10.0.0.1:8080 http rs; 10.0.0.1:9000 grpc rs");
    assert_string_equal(fl_test_text(port.set), "10.0.0.1:8080 http rs");
    fl_fake_trouble(&bed->fake, "x", FL_ERESET);
    settle(bed);
    assert_true(port.same); /* a trouble alone brings the same set */
    end(&all);
    end_settled(&port);
}

static void publish_web(struct hub_bed *bed, const char *service) {
    const struct fl_set_port port = {FL_STR("web"), 81, FL_STR_NONE};
    const struct fl_set_spec spec = {
        .service = fl_str_of(service), .state = FL_SET_SOME, .ports = &port, .port_count = 1};
    fl_feed_publish(fl_fake_feed(&bed->fake, service), &spec);
}

/* Before the port was ever there nothing is known of it; afterwards it has no endpoints. */
static void test_a_port_that_is_not_there_is_a_trouble(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x:http");
    settle(bed);
    publish_web(bed, "x");
    settle(bed);
    assert_int_equal(sub.trouble, FL_EPORT);
    assert_int_equal(fl_set_state(sub.set), FL_SET_UNKNOWN);
    fl_fake_publish(&bed->fake, "x", block("10.0.0.1 rs"));
    settle(bed);
    assert_int_equal(sub.trouble, 0);
    assert_string_equal(fl_test_text(sub.set), "10.0.0.1:8080 http rs");
    publish_web(bed, "x");
    settle(bed);
    assert_int_equal(sub.trouble, FL_EPORT);
    assert_int_equal(fl_set_state(sub.set), FL_SET_EMPTY);
    assert_string_equal(fl_test_text(sub.set), "");
    end_settled(&sub);
}

/* --- watches --- */

static void test_a_watch_lingers_for_who_comes_back(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    fl_fake_publish(&bed->fake, "x", block("10.0.0.1 rs"));
    end(&sub);
    fl_world_run_ms(bed->world, 4000);
    assert_int_equal(bed->fake.unwatches, 0);
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    assert_int_equal(bed->fake.watches, 1);
    assert_int_equal(sub.calls, 1); /* warm */
    fl_world_run_ms(bed->world, 60000);
    assert_int_equal(bed->fake.unwatches, 0);
    end(&sub);
    fl_world_run_ms(bed->world, 7000);
    assert_int_equal(bed->fake.unwatches, 1);
    assert_false(fl_world_step(bed->world)); /* no tick without a watch */
}

static void test_W9_a_refused_watch_is_asked_again(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    bed->fake.refusals = 5;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    assert_int_equal(sub.trouble, FL_EREFUSED);
    assert_int_equal(fl_set_state(sub.set), FL_SET_UNKNOWN);
    fl_world_run_ms(bed->world, 700);
    assert_int_equal(bed->fake.watches, 1);
    fl_world_run_ms(bed->world, 60000); /* 0.8 + 1.6 + 3.2 + 6.4 + 12.8 s, twice that at most */
    assert_int_equal(bed->fake.watches, 6);
    assert_int_equal(sub.calls, 1); /* the same trouble is told once */
    fl_fake_publish(&bed->fake, "x", block("10.0.0.1 rs"));
    settle(bed);
    assert_int_equal(sub.trouble, 0);
    end_settled(&sub);
}

static void test_a_hurry_skips_one_backoff(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    bed->fake.refusals = 3;
    subscribe(bed, &sub, "fake:///echo");
    settle(bed);
    assert_int_equal(bed->fake.watches, 1);
    fl_subscription_hurry(sub.handle);
    settle(bed);
    assert_int_equal(bed->fake.watches, 2);
    fl_world_run_ms(bed->world, 10000);
    assert_int_equal(bed->fake.watches, 4);
    fl_subscription_hurry(sub.handle); /* its provider knows of no wait */
    settle(bed);
    assert_int_equal(bed->fake.watches, 4);
    fl_subscription_hurry(sub.handle); /* and one that is closed at once */
    end_settled(&sub);
}

static void test_services_do_not_mix(void **state) {
    struct hub_bed *bed = *state;
    struct sub x, y;
    subscribe(bed, &x, "fake:///x");
    subscribe(bed, &y, "fake:///y");
    settle(bed);
    fl_fake_publish(&bed->fake, "y", block("10.0.0.2 rs"));
    fl_fake_publish(&bed->fake, "x", block("10.0.0.1 rs"));
    settle(bed);
    assert_string_equal(fl_test_text(x.set), "10.0.0.1:8080 http rs");
    assert_string_equal(fl_test_text(y.set), "10.0.0.2:8080 http rs");
    assert_int_equal(fl_set_version(x.set), 1);
    assert_int_equal(fl_set_version(y.set), 1);
    end(&x);
    end_settled(&y);
}

/* --- without memory --- */

/* Whichever allocation fails, the subscriber ends up with the newest state. */
static void test_no_state_is_lost_for_want_of_memory(void **state) {
    struct hub_bed *bed = *state;
    bed_close(bed);
    FL_TEST_EACH_FAILURE(n) {
        struct sub sub, port;
        if (bed_open(bed) < 0) continue;
        bed->fake.publishes_at_once = true; /* what asking anew gives: an empty set */
        int rc = try_subscribe(bed, &sub, "fake:///x"), rc_port;
        rc_port = try_subscribe(bed, &port, "fake:///x:http");
        assert_true(rc == 0 || rc == FL_ENOMEM);
        settle(bed);
        fl_world_run_ms(bed->world, 60000);
        if (rc == 0) assert_int_equal(fl_set_state(sub.set), FL_SET_EMPTY);
        if (rc == 0) assert_int_equal(sub.trouble, 0);
        if (rc_port == 0) assert_non_null(port.set);
        if (rc == 0) end(&sub);
        if (rc_port == 0) end(&port);
        bed_close(bed);
    }
}

/* The same for a source that refuses at first: also without memory for the wait. */
static void test_no_refused_watch_is_lost_for_want_of_memory(void **state) {
    struct hub_bed *bed = *state;
    bed_close(bed);
    FL_TEST_EACH_FAILURE(n) {
        struct sub sub;
        if (bed_open(bed) < 0) continue;
        bed->fake.publishes_at_once = true;
        bed->fake.refusals = 2;
        int rc = try_subscribe(bed, &sub, "fake:///x");
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_world_run_ms(bed->world, 60000);
        if (rc == 0) assert_int_equal(fl_set_state(sub.set), FL_SET_EMPTY);
        if (rc == 0) end(&sub);
        bed_close(bed);
    }
}

/* The same for a change that comes later: the provider is asked anew, or a later change is kept. */
static void test_no_change_is_lost_for_want_of_memory(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x:http");
    settle(bed);
    bed->fake.publishes_at_once = true;
    struct fl_block *some = block("10.0.0.1 rs"), *other = block("10.0.0.2 rs");
    FL_TEST_EACH_FAILURE(n) {
        int watches = bed->fake.watches;
        fl_fake_publish(&bed->fake, "x", fl_block_ref(n % 2 ? some : other));
        fl_world_run_ms(bed->world, 60000);
        bool asked_anew = bed->fake.watches > watches;
        if (asked_anew) { /* the hub has what the provider said when it was asked */
            assert_int_equal(sub.trouble, FL_EPORT);
        } else {
            assert_string_equal(fl_test_text(sub.set),
                                n % 2 ? "10.0.0.1:8080 http rs" : "10.0.0.2:8080 http rs");
            assert_int_equal(sub.trouble, 0);
        }
    }
    assert_true(bed->fake.watches > 1);
    fl_block_unref(some);
    fl_block_unref(other);
    end_settled(&sub);
}

static void test_a_later_change_makes_asking_anew_needless(void **state) {
    struct hub_bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    struct fl_block *lost = block("10.0.0.1 rs"), *kept = block("10.0.0.2 rs");
    fl_test_alloc_fail_at(1);
    fl_fake_publish(&bed->fake, "x", lost);
    assert_true(fl_test_alloc_did_fail());
    fl_fake_publish(&bed->fake, "x", kept);
    fl_world_run_ms(bed->world, 60000);
    assert_int_equal(bed->fake.watches, 1);
    assert_string_equal(fl_test_text(sub.set), "10.0.0.2:8080 http rs");
    end_settled(&sub);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_newest_set_then_each_newer_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_C16_newest_wins_and_never_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_C17_every_subscriber_gets_every_newest_state, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_C18_change_between_list_and_watch_is_not_lost, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_W18_an_empty_result_is_published, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_says_nothing_new_is_not_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trouble_comes_with_what_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_C20_a_port_is_seen_through, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_port_that_is_not_there_is_a_trouble, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_watch_lingers_for_who_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_W9_a_refused_watch_is_asked_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_hurry_skips_one_backoff, setup, teardown),
        cmocka_unit_test_setup_teardown(test_services_do_not_mix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_state_is_lost_for_want_of_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_refused_watch_is_lost_for_want_of_memory, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_no_change_is_lost_for_want_of_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_later_change_makes_asking_anew_needless, setup,
                                        teardown),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
