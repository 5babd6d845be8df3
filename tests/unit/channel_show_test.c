/* channel_show_test.c - what a channel tells of itself, on the virtual world. */
#include "support/alloc.h"

#include <jansson.h>

#include "base/io.h"
#include "support/bed.h"

/* The only channel of the loop, parsed. */
static json_t *look(struct fl_bed *bed) {
    struct fl_shown *shown = bed->io->channels;
    struct fl_buf text;
    assert_non_null(shown);
    assert_null(shown->next);
    fl_buf_init(&text, 1024 * 1024);
    assert_int_equal(shown->write(shown, &text), 0);
    json_t *channel = json_loadb(fl_buf_str(&text).p, text.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(channel);
    fl_buf_deinit(&text);
    return channel;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static json_int_t number_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static const json_t *subchannel_of(const json_t *channel, size_t i) {
    return json_array_get(json_object_get(channel, "subchannels"), i);
}

static void test_before_anything_is_known(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    fl_world_run_ms(bed.world, 10);
    json_t *channel = look(&bed);
    assert_string_equal(text_of(channel, "target"), "hand:///echo");
    assert_string_equal(text_of(channel, "authority"), "echo");
    assert_string_equal(text_of(channel, "state"), "IDLE");
    assert_string_equal(text_of(json_object_get(channel, "set"), "state"), "unknown");
    assert_int_equal(json_array_size(json_object_get(channel, "subchannels")), 0);
    json_decref(channel);
    fl_hand_trouble(bed.hand, FL_EREFUSED, "nobody listens");
    fl_world_run_ms(bed.world, 10);
    channel = look(&bed);
    assert_string_equal(text_of(channel, "state"), "TRANSIENT_FAILURE");
    assert_string_equal(text_of(channel, "cause"), "REFUSED");
    assert_string_equal(text_of(json_object_get(channel, "set"), "cause"), "REFUSED");
    assert_string_equal(text_of(json_object_get(channel, "set"), "detail"), "nobody listens");
    json_decref(channel);
    fl_bed_stop(&bed);
}

static void test_each_endpoint_with_its_state_and_why(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    fl_bed_start(&bed, NULL);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 2);
    fl_world_run_ms(bed.world, 100);
    json_t *channel = look(&bed);
    assert_string_equal(text_of(channel, "state"), "READY");
    assert_string_equal(text_of(channel, "cause"), "");
    const json_t *well = subchannel_of(channel, 0), *ill = subchannel_of(channel, 1);
    assert_string_equal(text_of(well, "peer"), "10.0.0.1:50051");
    assert_string_equal(text_of(well, "state"), "READY");
    assert_true(json_is_true(json_object_get(well, "ready")));
    assert_false(json_is_true(json_object_get(well, "terminating")));
    assert_int_equal(json_array_size(json_object_get(well, "connections")), 1);
    assert_string_equal(text_of(json_array_get(json_object_get(well, "connections"), 0), "state"),
                        "READY");
    assert_string_equal(text_of(ill, "peer"), "10.0.0.2:50051");
    assert_string_equal(text_of(ill, "state"), "TRANSIENT_FAILURE");
    assert_string_equal(text_of(ill, "cause"), "REFUSED");
    assert_true(number_of(ill, "retry_ms") > 0);
    assert_int_equal(json_array_size(json_object_get(ill, "connections")), 0);
    json_decref(channel);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_calls_and_connections_that_leave(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call slow, waiting;
    fl_bed_start(&bed, NULL);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 1000);
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 1);
    fl_world_run_ms(bed.world, 100);
    fl_bed_call(&bed, &slow, NULL);
    fl_world_run_ms(bed.world, 100);
    fl_hand_publish(bed.hand, FL_SET_SOME, NULL, 0);
    fl_world_run_ms(bed.world, 10);
    fl_bed_call(&bed, &waiting, &(struct fl_call_options){.wait_for_ready = FL_WAIT_YES});
    fl_world_run_ms(bed.world, 100);
    json_t *channel = look(&bed);
    assert_string_equal(text_of(channel, "state"), "TRANSIENT_FAILURE");
    assert_string_equal(text_of(channel, "cause"), "EMPTY");
    assert_int_equal(number_of(channel, "calls"), 2);
    assert_int_equal(number_of(channel, "waiting"), 1);
    assert_int_equal(json_array_size(json_object_get(channel, "subchannels")), 0);
    const json_t *leaving = json_array_get(json_object_get(channel, "leaving"), 0);
    assert_string_equal(text_of(leaving, "peer"), "10.0.0.1:50051");
    assert_int_equal(number_of(leaving, "calls"), 1);
    assert_int_equal(json_array_size(json_object_get(channel, "leaving")), 1);
    json_decref(channel);
    fl_world_run_ms(bed.world, 2000);
    fl_bed_expect_ok(&slow);
    channel = look(&bed);
    assert_int_equal(json_array_size(json_object_get(channel, "leaving")), 0);
    json_decref(channel);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_a_closed_channel_tells_nothing(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    fl_world_run_ms(bed.world, 10);
    assert_non_null(bed.io->channels);
    fl_bed_close(&bed);
    assert_null(bed.io->channels);
    fl_bed_open(&bed, NULL); /* closed before it was ever entered */
    fl_bed_close(&bed);
    assert_null(bed.io->channels);
    fl_bed_stop(&bed);
}

static void test_a_bound_leaves_no_half_of_it(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_buf text;
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 3);
    fl_world_run_ms(bed.world, 10);
    for (size_t max = 1; max < 400; max += 7) {
        fl_buf_init(&text, max);
        assert_int_equal(bed.io->channels->write(bed.io->channels, &text), FL_EFULL);
        assert_int_equal(text.len, 0);
        fl_buf_deinit(&text);
    }
    fl_bed_stop(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_anything_is_known),
        cmocka_unit_test(test_each_endpoint_with_its_state_and_why),
        cmocka_unit_test(test_calls_and_connections_that_leave),
        cmocka_unit_test(test_a_closed_channel_tells_nothing),
        cmocka_unit_test(test_a_bound_leaves_no_half_of_it),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
