/* discovery_set_test.c - what a set says: state, order, merged duplicates, ports. */
#include "support/alloc.h"

#include <stdio.h>

#include "base/random.h"
#include "support/sets.h"

static void assert_set(struct fl_set *set, enum fl_set_state state, const char *text) {
    assert_string_equal(fl_test_text(set), text);
    assert_int_equal(fl_set_state(set), state);
    fl_set_unref(set);
}

static void test_W6_union_over_slices_with_duplicates_merged(void **state) {
    FL_UNUSED(state);
    assert_set(fl_test_set("http:80", fl_test_block("http:8080", "10.0.0.2 rs, 10.0.0.1 rs"),
                           fl_test_block("http:8080", "10.0.0.3 rs, 10.0.0.2 rs"), NULL),
               FL_SET_SOME, "10.0.0.1:8080 http rs; 10.0.0.2:8080 http rs; 10.0.0.3:8080 http rs");
}

static void test_of_duplicates_the_better_counts(void **state) {
    FL_UNUSED(state);
    struct fl_block *later = fl_test_block("http:80", "10.0.0.1 rs uid=2");
    assert_set(
        fl_test_set("", fl_test_block("http:80", "10.0.0.1 rs uid=1"), fl_block_ref(later), NULL),
        FL_SET_SOME, "10.0.0.1:80 http rs uid=2");
    assert_set(fl_test_set("", later, fl_test_block("http:80", "10.0.0.1 s uid=1"), NULL),
               FL_SET_SOME, "10.0.0.1:80 http rs uid=2");
    /* One that does not terminate comes before one that is ready. */
    assert_set(fl_test_set("", fl_test_block("http:80", "10.0.0.1 - uid=1"),
                           fl_test_block("http:80", "10.0.0.1 rst uid=2"), NULL),
               FL_SET_EMPTY, "10.0.0.1:80 http - uid=1");
}

static void test_order_is_by_address_then_port(void **state) {
    FL_UNUSED(state);
    assert_set(fl_test_set("", fl_test_block("b:90 a:80", "10.0.0.10 r, 10.0.0.9 r, fd00::2 r"),
                           fl_test_block("a:80", "fd00::1 r, b.example r, a.example r"), NULL),
               FL_SET_SOME,
               "a.example:80 a r; b.example:80 a r; 10.0.0.9:80 a r; 10.0.0.9:90 b r; "
               "10.0.0.10:80 a r; 10.0.0.10:90 b r; fd00::1:80 a r; fd00::2:80 a r; "
               "fd00::2:90 b r");
}

static void test_one_number_for_two_protocols_is_two_endpoints(void **state) {
    FL_UNUSED(state);
    assert_set(fl_test_set("", fl_test_block("dns:53/UDP dns-tcp:53", "10.0.0.1 r"), NULL),
               FL_SET_SOME, "10.0.0.1:53 dns-tcp r; 10.0.0.1:53/UDP dns r");
}

static void test_all_fields_are_given_and_live_as_long_as_the_set(void **state) {
    FL_UNUSED(state);
    assert_set(fl_test_set("",
                           fl_test_block("http:80+h2c", "10.0.0.1 rs uid=9 pod=echo-1 node=n "
                                                        "zone=z, 10.0.0.2 t pod=echo-2"),
                           fl_test_block("", "10.0.0.3 r"), NULL),
               FL_SET_SOME,
               "10.0.0.1:80 http+h2c rs uid=9 pod=echo-1 node=n zone=z; "
               "10.0.0.2:80 http+h2c t pod=echo-2; 10.0.0.3:0 r");
}

/* ---- states ---- */

static struct fl_set *set_in_state(enum fl_set_state state, struct fl_str external_name) {
    struct fl_set_spec spec = {
        .service = FL_STR("ns/x"), .state = state, .external_name = external_name};
    struct fl_set *set;
    assert_int_equal(fl_set_new(&spec, 7, &set), 0);
    return set;
}

static void test_W18_unknown_absent_and_empty_are_three_answers(void **state) {
    FL_UNUSED(state);
    static const enum fl_set_state states[] = {FL_SET_UNKNOWN, FL_SET_ABSENT, FL_SET_EMPTY};
    static const char *const names[] = {"unknown", "absent", "empty"};
    for (size_t i = 0; i < FL_COUNT(states); i++) {
        struct fl_set *set = set_in_state(states[i], FL_STR_NONE);
        assert_string_equal(fl_set_state_name(fl_set_state(set)), names[i]);
        assert_string_equal(fl_set_service(set), "ns/x");
        assert_int_equal(fl_set_version(set), 7);
        assert_null(fl_set_external_name(set));
        assert_set(set, states[i], "");
    }
    assert_set(set_in_state(FL_SET_SOME, FL_STR_NONE), FL_SET_EMPTY, "");
    assert_string_equal(fl_set_state_name(FL_SET_SOME), "some");
}

static void test_external_name_is_some(void **state) {
    FL_UNUSED(state);
    struct fl_set *set = set_in_state(FL_SET_SOME, FL_STR("db.example"));
    assert_string_equal(fl_set_external_name(set), "db.example");
    assert_set(set, FL_SET_SOME, "");
}

struct usable {
    const struct fl_set *set;
    char text[256];
};

static void note_usable(void *arg, const struct fl_endpoint *endpoint) {
    struct usable *usable = arg;
    if (!fl_set_usable(usable->set, endpoint)) return;
    strcat(usable->text, endpoint->address);
    strcat(usable->text, " ");
}

static void assert_usable(const char *endpoints, enum fl_set_state expected, const char *text) {
    struct fl_set *set = fl_test_set("", fl_test_block("http:80", endpoints), NULL);
    struct usable usable = {set, ""};
    fl_set_each(set, note_usable, &usable);
    assert_string_equal(usable.text, text);
    assert_int_equal(fl_set_state(set), expected);
    fl_set_unref(set);
}

/* KEP-1669. */
static void test_serving_and_terminating_may_take_calls_when_none_is_ready(void **state) {
    FL_UNUSED(state);
    assert_usable("10.0.0.1 rs, 10.0.0.2 st, 10.0.0.3 s", FL_SET_SOME, "10.0.0.1 ");
    assert_usable("10.0.0.1 s, 10.0.0.2 st, 10.0.0.3 t", FL_SET_SOME, "10.0.0.2 ");
    assert_usable("10.0.0.1 s, 10.0.0.2 t, 10.0.0.3 -", FL_SET_EMPTY, "");
    assert_usable("10.0.0.1 rst, 10.0.0.2 st", FL_SET_SOME, "10.0.0.1 "); /* publishNotReady */
    assert_usable("10.0.0.1 st, 10.0.0.1 -", FL_SET_EMPTY, "");           /* a duplicate hides it */
}

static void test_state_does_not_need_memory(void **state) {
    FL_UNUSED(state);
    struct fl_block *block = fl_test_block("http:80", "10.0.0.1 st, 10.0.0.1 -, 10.0.0.2 st");
    struct fl_set_spec spec = {
        .service = FL_STR("x"), .state = FL_SET_SOME, .blocks = &block, .block_count = 1};
    FL_TEST_EACH_FAILURE(n) {
        struct fl_set *set;
        int rc = fl_set_new(&spec, 1, &set);
        if (rc == 0) assert_int_equal(fl_set_state(set), FL_SET_SOME);
        assert_int_equal(rc, fl_test_alloc_did_fail() ? FL_ENOMEM : 0);
        fl_set_unref(set);
    }
    fl_block_unref(block);
}

/* ---- freshness ---- */

static void test_stale_is_what_the_source_told_last(void **state) {
    FL_UNUSED(state);
    struct fl_freshness *freshness;
    struct fl_set_spec spec = {.service = FL_STR("x"), .state = FL_SET_SOME};
    struct fl_set *set;
    assert_int_equal(fl_freshness_new(&freshness), 0);
    spec.freshness = freshness;
    assert_int_equal(fl_set_new(&spec, 1, &set), 0);
    assert_int_equal(fl_set_stale_ms(set), 0);
    fl_freshness_tell(freshness, 1000, 5);
    assert_int_equal(fl_set_stale_ms(set), 1000);
    assert_int_equal(fl_freshness_proof_wall_ms(freshness), 5);
    fl_freshness_tell(freshness, 0, 6);
    assert_int_equal(fl_set_stale_ms(set), 0);
    fl_freshness_unref(freshness);
    fl_set_unref(set);
}

/* ---- ports ---- */

static void assert_select(struct fl_set *set, const char *port, const char *text) {
    struct fl_set *view;
    struct fl_error err;
    assert_int_equal(fl_set_select(set, fl_str_of(port), &view, &err), 0);
    assert_string_equal(fl_test_text(view), text);
    assert_int_equal(fl_set_version(view), fl_set_version(set));
    assert_ptr_equal(fl_set_whole(view), set);
    fl_set_unref(view);
}

static void assert_no_port(struct fl_set *set, const char *port, const char *detail) {
    struct fl_set *view;
    struct fl_error err;
    assert_int_equal(fl_set_select(set, fl_str_of(port), &view, &err), FL_EPORT);
    assert_null(view);
    assert_string_equal(err.detail, detail);
}

static void test_C20_service_port_becomes_target_port(void **state) {
    FL_UNUSED(state);
    struct fl_set *set =
        fl_test_set("http:80 grpc:9000", fl_test_block("http:8080 grpc:50051", "10.0.0.1 r"),
                    fl_test_block("http:8081 grpc:50051", "10.0.0.2 r"), NULL);
    assert_select(set, "80", "10.0.0.1:8080 http r; 10.0.0.2:8081 http r");
    assert_select(set, "http", "10.0.0.1:8080 http r; 10.0.0.2:8081 http r");
    assert_select(set, "9000", "10.0.0.1:50051 grpc r; 10.0.0.2:50051 grpc r");
    assert_no_port(set, "8080",
                   "service \"ns/echo\" has no port \"8080\"; it has http (80), grpc (9000)");
    assert_no_port(set, "htt",
                   "service \"ns/echo\" has no port \"htt\"; it has http (80), grpc (9000)");
    assert_no_port(set, "65616",
                   "service \"ns/echo\" has no port \"65616\"; it has http (80), grpc (9000)");
    fl_set_unref(set);
}

static void test_the_only_port_may_be_unnamed(void **state) {
    FL_UNUSED(state);
    struct fl_set *set = fl_test_set(":80", fl_test_block(":8080", "10.0.0.1 r"), NULL);
    assert_select(set, "80", "10.0.0.1:8080 r");
    assert_no_port(set, "http", "service \"ns/echo\" has no port \"http\"; it has 80");
    assert_int_equal(fl_set_ports(set, NULL), 1);
    fl_set_unref(set);
}

static void test_headless_without_ports_is_asked_by_its_blocks(void **state) {
    FL_UNUSED(state);
    struct fl_set *set = fl_test_set("", fl_test_block("http:8080", "10.0.0.1 r"),
                                     fl_test_block("http:8080 grpc:9000", "10.0.0.2 r"), NULL);
    assert_select(set, "grpc", "10.0.0.2:9000 grpc r");
    assert_select(set, "8080", "10.0.0.1:8080 http r; 10.0.0.2:8080 http r");
    assert_no_port(set, "80",
                   "service \"ns/echo\" has no port \"80\"; it has http (8080), grpc (9000)");
    fl_set_unref(set);
    set = fl_test_set("", fl_test_block("", "10.0.0.1 r"), NULL);
    assert_no_port(set, "80", "service \"ns/echo\" has no port \"80\"; it has none");
    assert_int_equal(fl_set_ports(set, NULL), 0);
    fl_set_unref(set);
}

static void test_a_number_of_two_protocols_means_tcp(void **state) {
    FL_UNUSED(state);
    struct fl_set *set =
        fl_test_set("dns:53/UDP dns-tcp:53 metrics:9153",
                    fl_test_block("dns:53/UDP dns-tcp:53 metrics:9153", "10.0.0.1 r"), NULL);
    assert_select(set, "53", "10.0.0.1:53 dns-tcp r");
    assert_select(set, "dns", "10.0.0.1:53/UDP dns r");
    assert_no_port(set, "x",
                   "service \"ns/echo\" has no port \"x\"; it has dns (53/UDP), dns-tcp "
                   "(53), metrics (9153)");
    fl_set_unref(set);
}

static void test_many_ports_are_listed_whole_or_not(void **state) {
    FL_UNUSED(state);
    struct fl_set *set =
        fl_test_set("port-with-a-long-name-1:1 port-with-a-long-name-2:2 port-with-a-long-name-3:3 "
                    "port-with-a-long-name-4:4 port-with-a-long-name-5:5 port-with-a-long-name-6:6 "
                    "port-with-a-long-name-7:7",
                    NULL);
    assert_no_port(set, "x",
                   "service \"ns/echo\" has no port \"x\"; it has port-with-a-long-name-1 (1), "
                   "port-with-a-long-name-2 (2), port-with-a-long-name-3 (3), "
                   "port-with-a-long-name-4 (4), port-with-a-long-name-5 (5)");
    assert_int_equal(fl_set_ports(set, NULL), 7);
    fl_set_unref(set);
}

static void test_ports_of_a_view_and_their_names(void **state) {
    FL_UNUSED(state);
    struct fl_set *set = fl_test_set("http:80 grpc:9000", NULL), *view;
    struct fl_buf names;
    fl_buf_init(&names, 256);
    assert_int_equal(fl_set_ports(set, &names), 2);
    assert_true(fl_str_eq(fl_buf_str(&names), FL_STR("http (80), grpc (9000)")));
    fl_buf_deinit(&names);
    assert_int_equal(fl_set_select(set, FL_STR("grpc"), &view, NULL), 0);
    assert_int_equal(fl_set_ports(view, NULL), 1);
    fl_set_unref(view);
    assert_int_equal(fl_set_hide(set, FL_SET_EMPTY, &view), 0);
    assert_int_equal(fl_set_ports(view, NULL), 0);
    fl_set_unref(view);
    fl_set_unref(set);
}

/* A slice that lacks the port has nothing to offer to those who want it. */
static void test_state_of_a_view_is_that_of_its_port(void **state) {
    FL_UNUSED(state);
    struct fl_set *view, *set = fl_test_set("a:1 b:2", fl_test_block("a:1", "10.0.0.1 rs"),
                                            fl_test_block("b:2", "10.0.0.2 st, 10.0.0.3 s"), NULL);
    assert_int_equal(fl_set_select(set, FL_STR("b"), &view, NULL), 0);
    struct usable usable = {view, ""};
    fl_set_each(view, note_usable, &usable);
    assert_string_equal(usable.text, "10.0.0.2 ");
    fl_set_unref(set); /* the view holds it */
    assert_set(view, FL_SET_SOME, "10.0.0.2:2 b st; 10.0.0.3:2 b s");
    set = fl_test_set("a:1 b:2", fl_test_block("a:1", "10.0.0.1 rs"), NULL);
    assert_int_equal(fl_set_select(set, FL_STR("b"), &view, NULL), 0);
    fl_set_unref(set);
    assert_set(view, FL_SET_EMPTY, "");
}

static void test_what_has_no_ports_is_given_back_as_it_is(void **state) {
    FL_UNUSED(state);
    struct fl_set *sets[] = {set_in_state(FL_SET_UNKNOWN, FL_STR_NONE),
                             set_in_state(FL_SET_ABSENT, FL_STR_NONE),
                             set_in_state(FL_SET_SOME, FL_STR("db.example"))};
    for (size_t i = 0; i < FL_COUNT(sets); i++) {
        struct fl_set *view;
        assert_int_equal(fl_set_select(sets[i], FL_STR("http"), &view, NULL), 0);
        assert_ptr_equal(view, sets[i]);
        fl_set_unref(view);
        fl_set_unref(sets[i]);
    }
}

static void test_select_without_memory(void **state) {
    FL_UNUSED(state);
    struct fl_set *set = fl_test_set("http:80", fl_test_block("http:8080", "10.0.0.1 r"), NULL);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_set *view;
        struct fl_error err;
        int rc = fl_set_select(set, FL_STR("http"), &view, &err);
        assert_int_equal(rc, fl_test_alloc_did_fail() ? FL_ENOMEM : 0);
        fl_set_unref(view);
        rc = fl_set_select(set, FL_STR("x"), &view, &err); /* says so also without the list */
        assert_int_equal(rc, FL_EPORT);
        fl_test_alloc_fail_at(0);
    }
    fl_set_unref(set);
}

/* ---- windows ---- */

struct order {
    struct fl_address last;
    uint16_t last_port;
    size_t count;
};

static void note_order(void *arg, const struct fl_endpoint *endpoint) {
    struct order *order = arg;
    struct fl_address address;
    assert_true(fl_address_parse(fl_str_of(endpoint->address), &address));
    int cmp = order->count ? fl_address_cmp(&order->last, &address) : -1;
    assert_true(cmp < 0 || (cmp == 0 && order->last_port < endpoint->port));
    order->last = address;
    order->last_port = endpoint->port;
    order->count++;
}

/* Blocks of 1,000 random addresses in 10.0.0.0/8, drawn from `range` of them. */
static struct fl_set *random_set(size_t blocks, uint64_t range, struct fl_random *random) {
    struct fl_block *list[200];
    struct fl_block_builder *builder;
    struct fl_block_port port = {FL_STR("http"), FL_STR("TCP"), FL_STR_NONE, 80};
    assert_int_equal(fl_block_builder_new(1000, &builder), 0);
    for (size_t b = 0; b < blocks; b++) {
        fl_block_builder_start(builder, NULL);
        assert_int_equal(fl_block_builder_port(builder, &port), 0);
        for (int i = 0; i < 1000; i++) {
            uint64_t n = fl_random_below(random, range);
            struct fl_block_endpoint e = {
                .address = {FL_ADDRESS_V4,
                            {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n},
                            FL_STR_NONE},
                .flags = FL_ENDPOINT_READY};
            assert_int_equal(fl_block_builder_add(builder, &e), 0);
        }
        assert_int_equal(fl_block_builder_finish(builder, &list[b]), 0);
    }
    fl_block_builder_free(builder);
    struct fl_set *set = fl_test_set_of("", list, blocks, 1);
    for (size_t b = 0; b < blocks; b++) fl_block_unref(list[b]);
    return set;
}

/* More than one window: each address once, in order, whatever the window's size. */
static void test_a_set_larger_than_the_window(void **state) {
    FL_UNUSED(state);
    struct fl_random random = {1};
    struct fl_set *set = random_set(150, 100000, &random);
    struct order order = {.count = 0};
    fl_set_each(set, note_order, &order);
    assert_in_range(order.count, 70000, 80000); /* 100,000 (1 - e^-1.5) */
    fl_set_unref(set);
}

static void test_each_without_memory_gives_the_same(void **state) {
    FL_UNUSED(state);
    struct fl_random random = {2};
    struct fl_set *set = random_set(2, 1500, &random);
    struct order with = {.count = 0};
    fl_set_each(set, note_order, &with);
    FL_TEST_EACH_FAILURE(n) {
        struct order without = {.count = 0};
        fl_set_each(set, note_order, &without);
        assert_int_equal(without.count, with.count);
    }
    fl_set_unref(set);
}

static void test_is_tells_whether_anything_is_new(void **state) {
    FL_UNUSED(state);
    struct fl_block *block = fl_test_block("http:80", "10.0.0.1 r");
    struct fl_set_port port = {FL_STR("http"), 80, FL_STR("TCP")};
    const struct fl_set_spec spec = {.service = FL_STR("x"),
                                     .state = FL_SET_SOME,
                                     .blocks = &block,
                                     .block_count = 1,
                                     .ports = &port,
                                     .port_count = 1};
    struct fl_set *set;
    assert_int_equal(fl_set_new(&spec, 1, &set), 0);
    assert_true(fl_set_is(set, &spec));
    struct fl_set_spec other = spec;
    other.block_count = 0;
    assert_false(fl_set_is(set, &other));
    struct fl_set *empty; /* made of a spec that says SOME */
    assert_int_equal(fl_set_new(&other, 1, &empty), 0);
    assert_true(fl_set_is(empty, &other));
    fl_set_unref(empty);
    other = spec;
    other.state = FL_SET_ABSENT;
    assert_false(fl_set_is(set, &other));
    other = spec;
    other.external_name = FL_STR("y");
    assert_false(fl_set_is(set, &other));
    port.number = 81;
    assert_false(fl_set_is(set, &spec));
    fl_set_unref(set);
    fl_block_unref(block);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_W6_union_over_slices_with_duplicates_merged),
        cmocka_unit_test(test_of_duplicates_the_better_counts),
        cmocka_unit_test(test_order_is_by_address_then_port),
        cmocka_unit_test(test_one_number_for_two_protocols_is_two_endpoints),
        cmocka_unit_test(test_all_fields_are_given_and_live_as_long_as_the_set),
        cmocka_unit_test(test_W18_unknown_absent_and_empty_are_three_answers),
        cmocka_unit_test(test_external_name_is_some),
        cmocka_unit_test(test_serving_and_terminating_may_take_calls_when_none_is_ready),
        cmocka_unit_test(test_state_does_not_need_memory),
        cmocka_unit_test(test_stale_is_what_the_source_told_last),
        cmocka_unit_test(test_C20_service_port_becomes_target_port),
        cmocka_unit_test(test_the_only_port_may_be_unnamed),
        cmocka_unit_test(test_headless_without_ports_is_asked_by_its_blocks),
        cmocka_unit_test(test_a_number_of_two_protocols_means_tcp),
        cmocka_unit_test(test_many_ports_are_listed_whole_or_not),
        cmocka_unit_test(test_ports_of_a_view_and_their_names),
        cmocka_unit_test(test_state_of_a_view_is_that_of_its_port),
        cmocka_unit_test(test_what_has_no_ports_is_given_back_as_it_is),
        cmocka_unit_test(test_select_without_memory),
        cmocka_unit_test(test_a_set_larger_than_the_window),
        cmocka_unit_test(test_each_without_memory_gives_the_same),
        cmocka_unit_test(test_is_tells_whether_anything_is_new),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
