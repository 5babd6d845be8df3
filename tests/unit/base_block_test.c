/* base_block_test.c - packed blocks and their builder. */
#include "support/alloc.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/area.h"
#include "base/block.h"
#include "base/intern.h"
#include "base/random.h"

/* A model of an endpoint that owns its texts. */
struct model {
    char address[FL_ADDRESS_TEXT_MAX];
    char node[64], zone[64], pod[128];
    uint8_t uid[16];
    unsigned flags;
    uint64_t hash;
};

static struct fl_block_builder *builder_new(size_t endpoints_max) {
    struct fl_block_builder *builder;
    assert_int_equal(fl_block_builder_new(endpoints_max, &builder), 0);
    return builder;
}

static struct model model_of(unsigned i) {
    struct model m = {.flags = FL_ENDPOINT_READY | FL_ENDPOINT_SERVING, .hash = 1000 + i};
    snprintf(m.address, sizeof(m.address), "10.244.%u.%u", i / 256 % 256, i % 256);
    snprintf(m.node, sizeof(m.node), "ip-10-0-%u-%u.ec2.internal", i % 7, i % 100);
    snprintf(m.zone, sizeof(m.zone), "us-east-1%c", 'a' + (char)(i % 3));
    snprintf(m.pod, sizeof(m.pod), "echo-6d4f8b9c7-%05x", i * 7919 % 0xfffff);
    for (unsigned k = 0; k < 16; k++) m.uid[k] = (uint8_t)(i * 31 + k + 1);
    return m;
}

static int add(struct fl_block_builder *builder, const struct model *m) {
    struct fl_block_endpoint e = {.node = fl_str_of(m->node),
                                  .zone = fl_str_of(m->zone),
                                  .pod_suffix = fl_str_of(m->pod),
                                  .flags = m->flags,
                                  .hash = m->hash};
    assert_true(fl_address_parse(fl_str_of(m->address), &e.address));
    memcpy(e.uid, m->uid, sizeof(e.uid));
    return fl_block_builder_add(builder, &e);
}

static void assert_endpoint(const struct fl_block *block, size_t i, const struct model *m) {
    struct fl_block_endpoint e;
    char address[FL_ADDRESS_TEXT_MAX], pod[256];
    fl_block_endpoint_at(block, i, &e);
    fl_address_format(&e.address, address);
    assert_string_equal(address, m->address);
    struct fl_address alone;
    fl_block_address_at(block, i, &alone);
    assert_int_equal(fl_address_cmp(&alone, &e.address), 0);
    assert_memory_equal(e.uid, m->uid, 16);
    assert_true(fl_str_eq(e.node, fl_str_of(m->node)));
    assert_true(fl_str_eq(e.zone, fl_str_of(m->zone)));
    snprintf(pod, sizeof(pod), "%.*s%.*s", FL_STR_ARG(e.pod_prefix), FL_STR_ARG(e.pod_suffix));
    assert_string_equal(pod, m->pod);
    assert_int_equal(e.flags, m->flags);
    assert_int_equal(fl_block_flags_at(block, i), m->flags);
    assert_true(e.hash == m->hash);
}

static struct fl_block *build(struct fl_block_builder *builder, const struct model *models,
                              size_t count) {
    struct fl_block *block;
    fl_block_builder_start(builder, NULL);
    for (size_t i = 0; i < count; i++) assert_int_equal(add(builder, &models[i]), 0);
    assert_int_equal(fl_block_builder_finish(builder, &block), 0);
    assert_int_equal(fl_block_count(block), count);
    for (size_t i = 0; i < count; i++) assert_endpoint(block, i, &models[i]);
    return block;
}

static void test_gives_back_what_was_added(void **state) {
    FL_UNUSED(state);
    struct fl_block_builder *builder = builder_new(1000);
    struct model models[300];
    for (unsigned i = 0; i < 300; i++) models[i] = model_of(i);
    models[7].node[0] = '\0';
    models[8].zone[0] = '\0';
    models[9].pod[0] = '\0';
    models[10].flags = FL_ENDPOINT_SERVING | FL_ENDPOINT_TERMINATING;
    memset(models[11].uid, 0, 16);
    struct fl_block *block = build(builder, models, 300);
    fl_block_builder_free(builder);
    for (unsigned i = 0; i < 300; i++) assert_endpoint(block, i, &models[i]);
    fl_block_unref(block);
}

static void test_every_kind_of_address(void **state) {
    FL_UNUSED(state);
    static const char *const addresses[] = {"10.0.0.1", "2001:db8::1", "db.example.com",
                                            "255.255.255.255"};
    struct fl_block_builder *builder = builder_new(1000);
    struct model models[4];
    for (unsigned i = 0; i < 4; i++) {
        models[i] = model_of(i);
        snprintf(models[i].address, sizeof(models[i].address), "%s", addresses[i]);
    }
    fl_block_unref(build(builder, models, 4));
    fl_block_unref(build(builder, models, 1));
    fl_block_unref(build(builder, models + 1, 1));
    fl_block_unref(build(builder, models + 2, 2)); /* a name in four bytes */
    fl_block_builder_free(builder);
}

static void test_an_empty_block(void **state) {
    FL_UNUSED(state);
    struct fl_block_builder *builder = builder_new(10);
    struct fl_block *block = build(builder, NULL, 0);
    assert_int_equal(fl_block_port_count(block), 0);
    struct fl_block *next;
    fl_block_builder_start(builder, block);
    assert_false(fl_block_builder_reuse(builder, 5));
    assert_int_equal(fl_block_builder_finish(builder, &next), 0);
    assert_null(fl_block_unref(block));
    assert_null(fl_block_unref(next));
    assert_null(fl_block_unref(NULL));
    fl_block_builder_free(builder);
    fl_block_builder_free(NULL);
}

static void test_pod_names_without_much_in_common(void **state) {
    FL_UNUSED(state);
    static const char *const pods[] = {"echo-1", "echo", "", "echo-12345", "db-0"};
    struct fl_block_builder *builder = builder_new(10);
    struct model models[5];
    for (unsigned i = 0; i < 5; i++) {
        models[i] = model_of(i);
        snprintf(models[i].pod, sizeof(models[i].pod), "%s", pods[i]);
    }
    for (size_t count = 1; count <= 5; count++) fl_block_unref(build(builder, models, count));
    fl_block_builder_free(builder);
}

static void test_ports(void **state) {
    FL_UNUSED(state);
    struct fl_block_builder *builder = builder_new(10);
    struct fl_block *block;
    struct fl_block_port port = {FL_STR("http"), FL_STR("TCP"), FL_STR("kubernetes.io/h2c"), 8080};
    fl_block_builder_start(builder, NULL);
    assert_int_equal(fl_block_builder_port(builder, &port), 0);
    port = (struct fl_block_port){FL_STR_NONE, FL_STR("UDP"), FL_STR_NONE, 0};
    assert_int_equal(fl_block_builder_port(builder, &port), 0);
    struct model m = model_of(1);
    assert_int_equal(add(builder, &m), 0);
    assert_int_equal(fl_block_builder_finish(builder, &block), 0);
    assert_int_equal(fl_block_port_count(block), 2);
    fl_block_port_at(block, 0, &port);
    assert_true(strcmp(port.name.p, "http") == 0 && strcmp(port.protocol.p, "TCP") == 0);
    assert_string_equal(port.app_protocol.p, "kubernetes.io/h2c"); /* terminated */
    assert_int_equal(port.port, 8080);
    fl_block_port_at(block, 1, &port);
    assert_int_equal(port.name.n + port.app_protocol.n + port.port, 0);
    assert_true(fl_str_eq(port.protocol, FL_STR("UDP")));
    assert_endpoint(block, 0, &m);
    fl_block_unref(block);
    fl_block_builder_free(builder);
}

/* Long names: suffixes whose places need more than 16 bits. */
static void test_much_text(void **state) {
    FL_UNUSED(state);
    enum { COUNT = 700 };
    static struct model models[COUNT];
    struct fl_block_builder *builder = builder_new(COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        models[i] = model_of(i);
        memset(models[i].pod, 'a' + (char)(i % 26), 120);
    }
    fl_block_unref(build(builder, models, COUNT));
    fl_block_builder_free(builder);
}

static void test_bytes_per_endpoint(void **state) {
    FL_UNUSED(state);
    struct fl_block_builder *builder = builder_new(1000);
    struct model models[100];
    for (unsigned i = 0; i < 100; i++) models[i] = model_of(i);
    struct fl_block *block = build(builder, models, 100);
    assert_true(fl_block_bytes(block) <= 100 * 50);
    fl_block_unref(block);
    size_t before = fl_test_alloc_count();
    block = build(builder, models, 100); /* seen before: one allocation, its scratch is kept */
    assert_int_equal(fl_test_alloc_count() - before, 1);
    size_t held = fl_test_alloc_outstanding(), bytes = fl_block_bytes(block);
    fl_block_unref(block);
    assert_int_equal(held - fl_test_alloc_outstanding(), bytes);
    for (unsigned i = 0; i < 100; i++) memset(models[i].uid, 0, 16);
    block = build(builder, models, 100); /* no identities: no room for them */
    assert_int_equal(bytes - fl_block_bytes(block), 16 * 100);
    fl_block_unref(block);
    fl_block_builder_free(builder);
}

static void test_heap_bytes_are_accounted_for(void **state) {
    FL_UNUSED(state);
    struct fl_block_builder *builder = builder_new(1000);
    struct model models[300];
    for (unsigned i = 0; i < 300; i++) models[i] = model_of(i);
    size_t blocks = fl_area_bytes(FL_AREA_BLOCKS), names = fl_area_bytes(FL_AREA_NAMES);
    struct fl_block *block = build(builder, models, 300);
    fl_block_builder_free(builder);
    assert_int_equal(fl_area_bytes(FL_AREA_BLOCKS) - blocks, fl_block_bytes(block));
    assert_true(fl_area_bytes(FL_AREA_NAMES) > names);
    fl_block_unref(block);
    assert_int_equal(fl_area_bytes(FL_AREA_BLOCKS), blocks);
    assert_int_equal(fl_area_bytes(FL_AREA_NAMES), names);
}

static void test_bounds(void **state) {
    FL_UNUSED(state);
    char text[1000];
    struct fl_block_builder *builder = builder_new(2);
    struct fl_block *block;
    struct model m = model_of(1);
    memset(text, 'x', sizeof(text));
    struct fl_block_endpoint e = {.address = {.kind = FL_ADDRESS_V4}};
    struct fl_block_port port = {.name = fl_str_n(text, 1000)};
    fl_block_builder_start(builder, NULL);
    assert_int_equal(fl_block_builder_port(builder, &port), FL_ETOO_LARGE);
    e.pod_suffix = fl_str_n(text, 1000);
    assert_int_equal(fl_block_builder_add(builder, &e), FL_ETOO_LARGE);
    e.pod_suffix = FL_STR_NONE;
    e.node = fl_str_n(text, 1000);
    assert_int_equal(fl_block_builder_add(builder, &e), FL_ETOO_LARGE);
    e.node = FL_STR("node");
    e.zone = fl_str_n(text, 1000);
    assert_int_equal(fl_block_builder_add(builder, &e), FL_ETOO_LARGE);
    assert_int_equal(add(builder, &m), 0);
    assert_int_equal(add(builder, &m), 0);
    assert_int_equal(add(builder, &m), FL_ETOO_LARGE);
    assert_int_equal(fl_block_builder_finish(builder, &block), 0);
    assert_int_equal(fl_block_count(block), 2);
    assert_endpoint(block, 0, &m);
    assert_endpoint(block, 1, &m);
    fl_block_unref(block);
    fl_block_builder_free(builder);
}

static void test_a_block_left_unfinished(void **state) {
    FL_UNUSED(state);
    struct fl_block_builder *builder = builder_new(10);
    struct model m = model_of(1);
    fl_block_builder_start(builder, NULL);
    assert_int_equal(add(builder, &m), 0);
    fl_block_unref(build(builder, &m, 1));
    fl_block_builder_start(builder, NULL);
    assert_int_equal(add(builder, &m), 0);
    fl_block_builder_free(builder);
}

/* Takes over what the order says (an index into models, -1: a new one is added). */
static struct fl_block *rebuild(struct fl_block_builder *builder, struct fl_block *previous,
                                const struct model *models, const int *order, size_t count) {
    struct fl_block *block;
    fl_block_builder_start(builder, previous);
    for (size_t i = 0; i < count; i++) {
        struct model fresh = model_of(5000 + (unsigned)i);
        if (order[i] >= 0) {
            assert_true(fl_block_builder_reuse(builder, models[order[i]].hash));
        } else {
            assert_false(fl_block_builder_reuse(builder, fresh.hash));
            assert_int_equal(add(builder, &fresh), 0);
        }
    }
    assert_int_equal(fl_block_builder_finish(builder, &block), 0);
    fl_block_unref(previous);
    assert_int_equal(fl_block_count(block), count);
    for (size_t i = 0; i < count; i++) {
        struct model fresh = model_of(5000 + (unsigned)i);
        assert_endpoint(block, i, order[i] >= 0 ? &models[order[i]] : &fresh);
    }
    return block;
}

static void test_reuse_in_any_order(void **state) {
    FL_UNUSED(state);
    static const int orders[][8] = {{0, 1, 2, 3, 4, 5, 6, 7},
                                    {0, 1, -1, 3, 4, 5, 6, 7},
                                    {1, 2, 3, 4, 5, 6, 7, -1},
                                    {7, 6, 5, 4, 3, 2, 1, 0},
                                    {4, 4, 4, 0, -1, -1, 0, 7}};
    struct fl_block_builder *builder = builder_new(100);
    struct model models[8];
    for (unsigned i = 0; i < 8; i++) models[i] = model_of(i);
    models[2].pod[0] = '\0';
    models[5].node[0] = '\0';
    snprintf(models[6].address, sizeof(models[6].address), "2001:db8::6");
    snprintf(models[7].address, sizeof(models[7].address), "seven.example.com");
    for (size_t i = 0; i < FL_COUNT(orders); i++) {
        struct fl_block *block = build(builder, models, 8);
        fl_block_unref(rebuild(builder, block, models, orders[i], 8));
    }
    fl_block_builder_free(builder);
}

/* Neither a sequence of updates nor one against the order costs more than linear time or memory:
 * 20,000 endpoints in reverse are 200 million comparisons for one who scans. */
static void test_reuse_against_the_order_is_linear(void **state) {
    FL_UNUSED(state);
    enum { COUNT = 20000 };
    struct fl_block_builder *builder = builder_new(COUNT);
    struct fl_block *block, *reversed;
    fl_block_builder_start(builder, NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        struct model m = model_of(i);
        m.hash = (i + 1) * 0x9e3779b97f4a7c15u;
        assert_int_equal(add(builder, &m), 0);
    }
    assert_int_equal(fl_block_builder_finish(builder, &block), 0);
    fl_block_builder_start(builder, block);
    for (unsigned i = COUNT; i > 0; i--) {
        assert_true(fl_block_builder_reuse(builder, i * 0x9e3779b97f4a7c15u));
    }
    assert_int_equal(fl_block_builder_finish(builder, &reversed), 0);
    fl_block_unref(block);
    struct model last = model_of(0);
    last.hash = 0x9e3779b97f4a7c15u;
    assert_endpoint(reversed, COUNT - 1, &last);
    fl_block_unref(reversed);
    fl_block_builder_free(builder);
}

static void test_hash_0_is_never_reused(void **state) {
    FL_UNUSED(state);
    struct fl_block_builder *builder = builder_new(10);
    struct model m = model_of(1);
    m.hash = 0;
    struct fl_block *block = build(builder, &m, 1), *next;
    fl_block_builder_start(builder, block);
    assert_false(fl_block_builder_reuse(builder, 0));
    assert_int_equal(fl_block_builder_finish(builder, &next), 0);
    fl_block_unref(block);
    fl_block_unref(next);
    fl_block_builder_free(builder);
}

/* More names than any cache of the builder holds, and blocks that outlive it. */
static void test_many_names(void **state) {
    FL_UNUSED(state);
    enum { BLOCKS = 60, EACH = 500 };
    struct fl_block_builder *builder = builder_new(EACH);
    struct fl_block *blocks[BLOCKS];
    for (unsigned b = 0; b < BLOCKS; b++) {
        fl_block_builder_start(builder, NULL);
        for (unsigned i = 0; i < EACH; i++) {
            struct model m = model_of(b * EACH + i);
            snprintf(m.node, sizeof(m.node), "node-%u", (b * EACH + i) % 21001);
            snprintf(m.zone, sizeof(m.zone), "zone-%u", i % 50);
            assert_int_equal(add(builder, &m), 0);
        }
        assert_int_equal(fl_block_builder_finish(builder, &blocks[b]), 0);
    }
    fl_block_builder_free(builder);
    for (unsigned b = 0; b < BLOCKS; b++) {
        for (unsigned i = 0; i < EACH; i++) {
            struct fl_block_endpoint e;
            char node[64];
            snprintf(node, sizeof(node), "node-%u", (b * EACH + i) % 21001);
            fl_block_endpoint_at(blocks[b], i, &e);
            assert_true(fl_str_eq(e.node, fl_str_of(node)));
        }
        fl_block_unref(blocks[b]);
    }
}

static void test_every_allocation_may_fail(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_block_builder *builder = NULL;
        struct fl_block *block = NULL, *next = NULL;
        struct fl_block_port port = {FL_STR("http"), FL_STR("TCP"), FL_STR_NONE, 80};
        int rc = fl_block_builder_new(100, &builder);
        if (rc == 0) {
            fl_block_builder_start(builder, NULL);
            rc = fl_block_builder_port(builder, &port);
        }
        for (unsigned i = 0; rc == 0 && i < 20; i++) {
            struct model m = model_of(i);
            rc = add(builder, &m);
        }
        if (rc == 0) rc = fl_block_builder_finish(builder, &block);
        if (rc == 0) {
            fl_block_builder_start(builder, block);
            /* Out of order; false without memory for the index, then one would decode. */
            for (unsigned i = 20; i > 0; i--) {
                if (!fl_block_builder_reuse(builder, 1000 + i - 1)) break;
            }
            rc = fl_block_builder_finish(builder, &next);
        }
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_block_unref(block);
        fl_block_unref(next);
        fl_block_builder_free(builder);
    }
}

static void *share(void *arg) {
    struct fl_block *block = arg;
    struct fl_block_builder *builder;
    uintptr_t wrong = fl_block_builder_new(100, &builder) < 0;
    for (int step = 0; !wrong && step < 300; step++) {
        struct fl_block *copy;
        struct fl_block_endpoint e;
        fl_block_builder_start(builder, block);
        for (unsigned i = 0; i < 50; i++) wrong += !fl_block_builder_reuse(builder, 1000 + i);
        wrong += fl_block_builder_finish(builder, &copy) < 0;
        fl_block_endpoint_at(copy, 49, &e);
        wrong += e.node.n == 0;
        fl_block_unref(fl_block_ref(copy));
        fl_block_unref(copy);
    }
    fl_block_builder_free(builder);
    fl_block_unref(block);
    return (void *)wrong;
}

static void test_threads_share_a_block(void **state) {
    FL_UNUSED(state);
    struct fl_block_builder *builder = builder_new(100);
    struct model models[50];
    pthread_t threads[4];
    for (unsigned i = 0; i < 50; i++) models[i] = model_of(i);
    struct fl_block *block = build(builder, models, 50);
    fl_block_builder_free(builder);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, share, fl_block_ref(block)), 0);
    }
    fl_block_unref(block);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

static void test_uid(void **state) {
    FL_UNUSED(state);
    static const uint8_t expected[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                         0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10};
    static const uint8_t zeros[16];
    uint8_t out[16];
    const char *good = "01234567-89ab-cdef-FEDC-BA9876543210";
    assert_true(fl_uid_parse(fl_str_of(good), out));
    assert_memory_equal(out, expected, 16);
    char text[37];
    for (size_t i = 0; i < 36; i++) { /* every wrong byte in every place */
        for (int byte = 0; byte < 256; byte++) {
            bool digit = strchr("0123456789abcdefABCDEF", byte) && byte;
            memcpy(text, good, sizeof(text));
            text[i] = (char)byte;
            bool expect = good[i] == '-' ? byte == '-' : digit;
            assert_int_equal(fl_uid_parse(fl_str_n(text, 36), out), expect);
            if (!expect) assert_memory_equal(out, zeros, 16);
        }
    }
    assert_false(fl_uid_parse(fl_str_n(good, 35), out));
    assert_false(fl_uid_parse(FL_STR_NONE, out));
}

static void assert_zone(const struct fl_block *block, size_t i, const char *zone) {
    struct fl_block_hints hints;
    fl_block_hints_at(block, i, &hints);
    assert_int_equal(hints.node_count, 0);
    assert_int_equal(hints.zone_count, zone ? 1 : 0);
    if (zone) assert_string_equal(hints.zones[0].p, zone);
}

/* Lists are kept once, taken over with their endpoints, and cost nothing where there are none. */
static void test_hints(void **state) {
    FL_UNUSED(state);
    struct fl_block_builder *builder;
    struct fl_block *blocks[3];
    assert_int_equal(fl_block_builder_new(1000, &builder), 0);
    for (unsigned with = 0; with < 2; with++) {
        fl_block_builder_start(builder, NULL);
        for (unsigned i = 0; i < 100; i++) {
            char zone[8];
            snprintf(zone, sizeof(zone), "z-%u", i % 3);
            const struct fl_block_hints hints = {.zones = {fl_str_of(zone)}, .zone_count = 1};
            const struct fl_block_endpoint e = {.hash = 1000 + i,
                                                .hints = with && i % 2 ? &hints : NULL};
            assert_int_equal(fl_block_builder_add(builder, &e), 0);
        }
        assert_int_equal(fl_block_builder_finish(builder, &blocks[with]), 0);
    }
    assert_true(fl_block_bytes(blocks[1]) > fl_block_bytes(blocks[0]));
    assert_true(fl_block_bytes(blocks[1]) < fl_block_bytes(blocks[0]) + 100 * 4 + 64);
    fl_block_builder_start(builder, blocks[1]);
    for (unsigned i = 100; i-- > 0;) assert_true(fl_block_builder_reuse(builder, 1000 + i));
    assert_int_equal(fl_block_builder_finish(builder, &blocks[2]), 0);
    fl_block_unref(blocks[1]);
    static const char *const zones[] = {"z-0", "z-1", "z-2"};
    for (unsigned i = 0; i < 100; i++) {
        assert_zone(blocks[0], i, NULL);
        assert_zone(blocks[2], 99 - i, i % 2 ? zones[i % 3] : NULL);
    }
    fl_block_unref(blocks[0]);
    fl_block_unref(blocks[2]);
    fl_block_builder_free(builder);
}

static int build_with_hints(void) {
    struct fl_block_builder *builder;
    struct fl_block *block = NULL;
    const struct fl_block_hints hints = {.zones = {FL_STR("z")}, .zone_count = 1};
    const struct fl_block_endpoint e = {.hints = &hints};
    int rc = fl_block_builder_new(10, &builder);
    if (rc < 0) return rc;
    fl_block_builder_start(builder, NULL);
    rc = fl_block_builder_add(builder, &e);
    if (rc == 0) rc = fl_block_builder_finish(builder, &block);
    fl_block_unref(block);
    fl_block_builder_free(builder);
    return rc;
}

static void test_hints_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        int rc = build_with_hints();
        assert_true(rc == 0 || rc == FL_ENOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_back_what_was_added),
        cmocka_unit_test(test_every_kind_of_address),
        cmocka_unit_test(test_an_empty_block),
        cmocka_unit_test(test_pod_names_without_much_in_common),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_much_text),
        cmocka_unit_test(test_bytes_per_endpoint),
        cmocka_unit_test(test_heap_bytes_are_accounted_for),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_a_block_left_unfinished),
        cmocka_unit_test(test_reuse_in_any_order),
        cmocka_unit_test(test_reuse_against_the_order_is_linear),
        cmocka_unit_test(test_hash_0_is_never_reused),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_hints_each_allocation_failing),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_threads_share_a_block),
        cmocka_unit_test(test_uid),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
