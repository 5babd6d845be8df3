/* discovery_names_test.c - watches of the names of services, on virtual time. */
#include "support/hub_bed.h"

#include <stdio.h>

/* --- names --- */

struct names {
    struct fl_names *handle;
    char text[256];
    size_t count;
    int synced, trouble;
    bool in_call, close_at_first;
};

static void on_name(void *arg, struct fl_str service) {
    struct names *names = arg;
    size_t n = strlen(names->text);
    assert_false(names->in_call);
    names->count++;
    snprintf(names->text + n, sizeof(names->text) - n, "%.*s ", FL_STR_ARG(service));
    if (names->close_at_first) fl_names_close(names->handle);
}

static void on_synced(void *arg) {
    struct names *names = arg;
    names->synced++;
    assert_int_equal(strlen(names->text), strlen("a b ")); /* not before both are told */
}

static void on_names_trouble(void *arg, const struct fl_error *trouble) {
    ((struct names *)arg)->trouble = trouble->code;
}

static const struct fl_names_events names_events = {on_name, on_synced, on_names_trouble};

static int try_watch_names(struct hub_bed *bed, struct names *names) {
    names->in_call = true;
    int rc = fl_discovery_watch_names(bed->hub, "fake", FL_STR("ns"), &names_events, names,
                                      &names->handle, NULL);
    names->in_call = false;
    return rc;
}

static void test_names_are_told_once(void **state) {
    struct hub_bed *bed = *state;
    struct names names = {.synced = 0};
    bed->fake.refusals = 1;
    assert_int_equal(try_watch_names(bed, &names), 0);
    settle(bed);
    assert_int_equal(names.trouble, FL_EREFUSED);
    bed->fake.publishes_at_once = true;
    fl_world_run_ms(bed->world, 2000);
    assert_string_equal(names.text, "a b ");
    assert_int_equal(names.synced, 1);
    fl_fake_name(&bed->fake, "ns", "a");
    fl_fake_name(&bed->fake, "ns", "c");
    assert_string_equal(names.text, "a b c ");
    fl_feed_names_synced(fl_fake_feed(&bed->fake, "names:ns"));
    assert_int_equal(names.synced, 1);
    fl_names_close(names.handle);
    settle(bed);
    assert_int_equal(bed->fake.unwatches, 1);
}

static void test_many_names_are_told_once(void **state) {
    struct hub_bed *bed = *state;
    struct names names = {.synced = 0};
    assert_int_equal(try_watch_names(bed, &names), 0);
    settle(bed);
    for (unsigned i = 0; i < 6000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "service-%u", i % 2000);
        fl_fake_name(&bed->fake, "ns", name);
        assert_int_equal(names.count, FL_MIN(i + 1, 2000));
    }
    fl_names_close(names.handle);
    settle(bed);
}

static void test_names_closed_in_their_callback_or_at_once(void **state) {
    struct hub_bed *bed = *state;
    struct names names = {.close_at_first = true}, never = {.synced = 0};
    bed->fake.publishes_at_once = true;
    assert_int_equal(try_watch_names(bed, &names), 0);
    assert_int_equal(try_watch_names(bed, &never), 0);
    fl_names_close(never.handle);
    settle(bed);
    assert_string_equal(names.text, "a ");
    assert_int_equal(names.synced, 0);
    assert_string_equal(never.text, "");
    fl_names_close(NULL);
}

static void test_names_tell_nothing_after_close(void **state) {
    struct hub_bed *bed = *state;
    struct names names = {.synced = 0};
    assert_int_equal(try_watch_names(bed, &names), 0);
    settle(bed);
    fl_names_close(names.handle);
    fl_fake_name(&bed->fake, "ns", "a"); /* the provider has not heard of it yet */
    fl_fake_trouble(&bed->fake, "names:ns", FL_ERESET);
    fl_feed_names_synced(fl_fake_feed(&bed->fake, "names:ns"));
    settle(bed);
    assert_string_equal(names.text, "");
    assert_int_equal(names.synced, 0);
    assert_int_equal(names.trouble, 0);
}

struct close_names {
    struct fl_task task;
    struct fl_names *names;
};

static void close_names(struct fl_task *task) {
    fl_names_close(FL_CONTAINER(task, struct close_names, task)->names);
}

/* The hub hears of its own end in the turn in which the names were closed, before they are freed.
 */
static void test_closing_waits_for_names_that_are_closing(void **state) {
    struct hub_bed *bed = *state;
    struct names names = {.synced = 0};
    struct close_names closing;
    assert_int_equal(try_watch_names(bed, &names), 0);
    settle(bed);
    closing.names = names.handle;
    fl_task_init(&closing.task, close_names);
    fl_io_post(bed->io, &closing.task);
    bed_close(bed);
    assert_int_equal(bed->fake.unwatches, 1);
}

static void test_names_of_an_unknown_scheme(void **state) {
    struct hub_bed *bed = *state;
    struct names names;
    struct fl_error err;
    assert_int_equal(fl_discovery_watch_names(bed->hub, "zk", FL_STR_NONE, &names_events, &names,
                                              &names.handle, &err),
                     FL_EUSAGE);
}

/* --- without memory --- */

static void test_no_name_is_lost_for_want_of_memory(void **state) {
    struct hub_bed *bed = *state;
    bed->fake.publishes_at_once = true;
    FL_TEST_EACH_FAILURE(n) {
        struct names names = {.synced = 0};
        if (try_watch_names(bed, &names) < 0) continue;
        fl_world_run_ms(bed->world, 60000);
        assert_int_equal(names.synced, 1);
        fl_names_close(names.handle);
        settle(bed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_are_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_names_are_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_closed_in_their_callback_or_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_names_tell_nothing_after_close, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closing_waits_for_names_that_are_closing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_names_of_an_unknown_scheme, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_name_is_lost_for_want_of_memory, setup, teardown),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
