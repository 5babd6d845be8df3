/* hub_bed.c - see hub_bed.h. */
#include "support/hub_bed.h"

#include <stdlib.h>

#include "base/log.h"

static void on_closed(void *arg) { ++*(int *)arg; }

static void on_done(void *arg) {
    struct sub *sub = arg;
    assert_false(sub->in_call);
    sub->dones++;
    fl_set_unref(sub->set);
    sub->set = NULL;
}

void end(struct sub *sub) {
    sub->in_call = true;
    fl_subscription_close(sub->handle, on_done, sub);
    sub->in_call = false;
}

void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
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

int try_subscribe(struct hub_bed *bed, struct sub *sub, const char *target) {
    *sub = (struct sub){.bed = bed, .in_call = true};
    int rc = fl_discovery_subscribe_on(bed->hub, bed->io, target, on_set, sub, &sub->handle, NULL);
    sub->in_call = false;
    return rc;
}

void subscribe(struct hub_bed *bed, struct sub *sub, const char *target) {
    assert_int_equal(try_subscribe(bed, sub, target), 0);
}

void settle(struct hub_bed *bed) { fl_world_run_ms(bed->world, 1); }

void end_settled(struct sub *sub) {
    end(sub);
    settle(sub->bed);
}

int bed_open(struct hub_bed *bed) {
    int rc = fl_discovery_open(bed->io, &bed->hub, NULL);
    if (rc < 0) return rc;
    fl_fake_init(&bed->fake, bed->io);
    assert_int_equal(fl_discovery_take_provider(bed->hub, &bed->fake.provider), 0);
    bed->closed = 0;
    return 0;
}

void bed_close(struct hub_bed *bed) {
    fl_discovery_close(bed->hub, on_closed, &bed->closed);
    assert_int_equal(bed->closed, 0);
    settle(bed);
    assert_int_equal(bed->closed, 1);
    assert_int_equal(bed->fake.closes, 1);
}

int setup(void **state) {
    static const struct fl_log_options quiet = {.level = FL_LOG_OFF};
    static const struct fl_world_options options = {.seed = 1};
    struct hub_bed *bed = calloc(1, sizeof(*bed));
    fl_log_configure(&quiet);
    assert_int_equal(fl_world_new(&options, &bed->world), 0);
    bed->io = fl_world_io(bed->world);
    assert_int_equal(bed_open(bed), 0);
    *state = bed;
    return 0;
}

int teardown(void **state) {
    struct hub_bed *bed = *state;
    if (!bed->closed) bed_close(bed);
    fl_world_free(bed->world);
    free(bed);
    return 0;
}

struct fl_block *block(const char *endpoints) {
    return fl_test_block("http:8080", endpoints);
}
