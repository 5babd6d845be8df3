/* discovery_hub_test.c - shared watches and their subscribers, on virtual time. */
#include "support/alloc.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "discovery/discovery.h"
#include "sim/world.h"
#include "support/fake_provider.h"
#include "support/sets.h"

struct bed {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_fake fake;
    struct fl_discovery *hub;
    int closed;
};

/* A subscriber that writes down what it was told. */
struct sub {
    struct bed *bed;
    struct fl_subscription *handle;
    int calls, dones;
    struct fl_set *set; /* the last one given */
    int trouble;        /* its code */
    bool same;          /* set and previous were the same pointer */
    bool in_call;       /* of ours: no callback may come */
    bool close_in_callback;
};

static void on_closed(void *arg) { ++*(int *)arg; }

static void on_done(void *arg) {
    struct sub *sub = arg;
    assert_false(sub->in_call);
    sub->dones++;
    fl_set_unref(sub->set);
    sub->set = NULL;
}

static void end(struct sub *sub) {
    sub->in_call = true;
    fl_subscription_close(sub->handle, on_done, sub);
    sub->in_call = false;
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct sub *sub = arg;
    assert_false(sub->in_call);
    assert_int_equal(sub->dones, 0);
    assert_ptr_equal(previous, sub->set); /* what this subscriber was given before */
    if (previous) assert_true(fl_set_version(set) >= fl_set_version(previous));
    sub->calls++;
    sub->same = set == previous;
    sub->trouble = trouble ? trouble->code : 0;
    sub->set = fl_set_ref(set);
    fl_set_unref(previous);
    if (sub->close_in_callback) end(sub);
}

static int try_subscribe(struct bed *bed, struct sub *sub, const char *target) {
    *sub = (struct sub){.bed = bed, .in_call = true};
    int rc = fl_discovery_subscribe_on(bed->hub, bed->io, target, on_set, sub, &sub->handle, NULL);
    sub->in_call = false;
    return rc;
}

static void subscribe(struct bed *bed, struct sub *sub, const char *target) {
    assert_int_equal(try_subscribe(bed, sub, target), 0);
}

/* Lets everything happen that is due now. */
static void settle(struct bed *bed) { fl_world_run_ms(bed->world, 1); }

static int bed_open(struct bed *bed) {
    int rc = fl_discovery_open(bed->io, &bed->hub, NULL);
    if (rc < 0) return rc;
    fl_fake_init(&bed->fake, bed->io);
    assert_int_equal(fl_discovery_take_provider(bed->hub, &bed->fake.provider), 0);
    bed->closed = 0;
    return 0;
}

static void bed_close(struct bed *bed) {
    fl_discovery_close(bed->hub, on_closed, &bed->closed);
    assert_int_equal(bed->closed, 0);
    settle(bed);
    assert_int_equal(bed->closed, 1);
    assert_int_equal(bed->fake.closes, 1);
}

static int setup(void **state) {
    static const struct fl_log_options quiet = {.level = FL_LOG_OFF};
    static const struct fl_world_options options = {.seed = 1};
    struct bed *bed = calloc(1, sizeof(*bed));
    fl_log_configure(&quiet);
    assert_int_equal(fl_world_new(&options, &bed->world), 0);
    bed->io = fl_world_io(bed->world);
    assert_int_equal(bed_open(bed), 0);
    *state = bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;
    if (!bed->closed) bed_close(bed);
    fl_world_free(bed->world);
    free(bed);
    return 0;
}

static struct fl_block *block(const char *endpoints) {
    return fl_test_block("http:8080", endpoints);
}

/* ---- sets and troubles ---- */

static void test_newest_set_then_each_newer_one(void **state) {
    struct bed *bed = *state;
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
    end(&sub);
    settle(bed);
    assert_int_equal(sub.dones, 1);
}

static void test_C16_newest_wins_and_never_goes_back(void **state) {
    struct bed *bed = *state;
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
    end(&sub);
    settle(bed);
}

static void test_C17_every_subscriber_gets_every_newest_state(void **state) {
    struct bed *bed = *state;
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
    end(&late);
    settle(bed);
}

/* What the source gives from within its watch call is not lost. */
static void test_C18_change_between_list_and_watch_is_not_lost(void **state) {
    struct bed *bed = *state;
    struct sub sub;
    bed->fake.publishes_at_once = true;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    assert_int_equal(sub.calls, 1);
    assert_int_equal(fl_set_state(sub.set), FL_SET_EMPTY);
    end(&sub);
    settle(bed);
}

static void test_W18_an_empty_result_is_published(void **state) {
    struct bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    fl_fake_publish(&bed->fake, "x", block("10.0.0.1 rs"));
    settle(bed);
    fl_fake_publish(&bed->fake, "x", NULL);
    settle(bed);
    assert_int_equal(sub.calls, 2);
    assert_int_equal(fl_set_state(sub.set), FL_SET_EMPTY);
    end(&sub);
    settle(bed);
}

static void test_what_says_nothing_new_is_not_told(void **state) {
    struct bed *bed = *state;
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
    end(&sub);
    settle(bed);
}

static void test_trouble_comes_with_what_is_known(void **state) {
    struct bed *bed = *state;
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
    end(&late);
    settle(bed);
}

static void test_C20_a_port_is_seen_through(void **state) {
    struct bed *bed = *state;
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
    end(&port);
    settle(bed);
}

static void publish_web(struct bed *bed, const char *service) {
    const struct fl_set_port port = {FL_STR("web"), 81, FL_STR_NONE};
    const struct fl_set_spec spec = {
        .service = fl_str_of(service), .state = FL_SET_SOME, .ports = &port, .port_count = 1};
    fl_feed_publish(fl_fake_feed(&bed->fake, service), &spec);
}

/* Before the port was ever there nothing is known of it; afterwards it has no endpoints. */
static void test_a_port_that_is_not_there_is_a_trouble(void **state) {
    struct bed *bed = *state;
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
    end(&sub);
    settle(bed);
}

/* ---- watches ---- */

static void test_a_watch_lingers_for_who_comes_back(void **state) {
    struct bed *bed = *state;
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
    struct bed *bed = *state;
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
    end(&sub);
    settle(bed);
}

static void test_services_do_not_mix(void **state) {
    struct bed *bed = *state;
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
    end(&y);
    settle(bed);
}

/* ---- ends ---- */

static void test_closing_in_the_callback(void **state) {
    struct bed *bed = *state;
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
    end(&stays);
    settle(bed);
}

static void test_nothing_is_told_after_close_on_the_same_loop(void **state) {
    struct bed *bed = *state;
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
    struct bed *bed = *state;
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
    struct bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    fl_test_alloc_fail_at(1);
    end(&sub);
    settle(bed);
    assert_true(fl_test_alloc_did_fail());
    assert_int_equal(sub.dones, 1);
    assert_int_equal(bed->fake.watches, 0);
}

static void test_closing_waits_for_subscriptions_that_are_closing(void **state) {
    struct bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    settle(bed);
    end(&sub);
    bed_close(bed);
    assert_int_equal(sub.dones, 1);
    assert_int_equal(bed->fake.unwatches, 1);
}

static void test_done_may_be_null(void **state) {
    struct bed *bed = *state;
    struct sub sub;
    subscribe(bed, &sub, "fake:///x");
    fl_subscription_close(sub.handle, NULL, NULL);
    fl_subscription_close(NULL, NULL, NULL);
    fl_discovery_close(NULL, NULL, NULL);
    settle(bed);
}

/* ---- targets and bounds ---- */

static void test_wrong_targets_say_what_is_wrong(void **state) {
    struct bed *bed = *state;
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
    struct bed *bed = *state;
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
    struct bed *bed = *state;
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
    end(&sub);
    settle(bed);
}

/* ---- names ---- */

struct names {
    struct fl_names *handle;
    char text[256];
    int synced, trouble;
    bool in_call, close_at_first;
};

static void on_name(void *arg, struct fl_str service) {
    struct names *names = arg;
    size_t n = strlen(names->text);
    assert_false(names->in_call);
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

static int try_watch_names(struct bed *bed, struct names *names) {
    names->in_call = true;
    int rc = fl_discovery_watch_names(bed->hub, "fake", FL_STR("ns"), &names_events, names,
                                      &names->handle, NULL);
    names->in_call = false;
    return rc;
}

static void test_names_are_told_once(void **state) {
    struct bed *bed = *state;
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

static void test_names_closed_in_their_callback_or_at_once(void **state) {
    struct bed *bed = *state;
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
    struct bed *bed = *state;
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
    struct bed *bed = *state;
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
    struct bed *bed = *state;
    struct names names;
    struct fl_error err;
    assert_int_equal(fl_discovery_watch_names(bed->hub, "zk", FL_STR_NONE, &names_events, &names,
                                              &names.handle, &err),
                     FL_EUSAGE);
}

/* ---- without memory ---- */

/* Whichever allocation fails, the subscriber ends up with the newest state. */
static void test_no_state_is_lost_for_want_of_memory(void **state) {
    struct bed *bed = *state;
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

/* The same for a change that comes later: the provider is asked anew, or a later change is kept. */
static void test_no_change_is_lost_for_want_of_memory(void **state) {
    struct bed *bed = *state;
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
    end(&sub);
    settle(bed);
}

static void test_a_later_change_makes_asking_anew_needless(void **state) {
    struct bed *bed = *state;
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
    end(&sub);
    settle(bed);
}

static void test_no_name_is_lost_for_want_of_memory(void **state) {
    struct bed *bed = *state;
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

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        test(test_newest_set_then_each_newer_one),
        test(test_C16_newest_wins_and_never_goes_back),
        test(test_C17_every_subscriber_gets_every_newest_state),
        test(test_C18_change_between_list_and_watch_is_not_lost),
        test(test_W18_an_empty_result_is_published),
        test(test_what_says_nothing_new_is_not_told),
        test(test_trouble_comes_with_what_is_known),
        test(test_C20_a_port_is_seen_through),
        test(test_a_port_that_is_not_there_is_a_trouble),
        test(test_a_watch_lingers_for_who_comes_back),
        test(test_W9_a_refused_watch_is_asked_again),
        test(test_services_do_not_mix),
        test(test_closing_in_the_callback),
        test(test_nothing_is_told_after_close_on_the_same_loop),
        test(test_closing_before_the_hub_has_heard_of_it),
        test(test_closing_while_joining_waits_for_memory),
        test(test_closing_waits_for_subscriptions_that_are_closing),
        test(test_done_may_be_null),
        test(test_wrong_targets_say_what_is_wrong),
        test(test_subscriptions_are_bounded),
        test(test_services_are_bounded),
        test(test_names_are_told_once),
        test(test_names_closed_in_their_callback_or_at_once),
        test(test_names_tell_nothing_after_close),
        test(test_closing_waits_for_names_that_are_closing),
        test(test_names_of_an_unknown_scheme),
        test(test_no_state_is_lost_for_want_of_memory),
        test(test_no_change_is_lost_for_want_of_memory),
        test(test_a_later_change_makes_asking_anew_needless),
        test(test_no_name_is_lost_for_want_of_memory),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
