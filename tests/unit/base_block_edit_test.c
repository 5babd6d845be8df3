/* base_block_edit_test.c - blocks that are made from their last state: the endpoints that changed
 * in place, those that moved, came and went give the same block as building it anew. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/block.h"
#include "base/intern.h"
#include "base/random.h"

#define ENDPOINTS 20

struct model {
    uint32_t pod, node; /* numbers that names are made of */
    uint32_t address;
    unsigned flags;
    bool v6, named, uid;
};

struct slice {
    struct model list[2 * ENDPOINTS];
    size_t count;
    uint16_t port;
};

static uint64_t hash_of(const struct model *m) {
    uint64_t hash = 1 + m->flags + 8 * (uint64_t)m->v6 + 16 * (uint64_t)m->named + 32 * m->uid;
    return hash + 64 * (m->pod + 1000 * (m->node + 1000 * (uint64_t)m->address));
}

static void texts(const struct model *m, char pod[32], char node[32], char address[64]) {
    snprintf(pod, 32, "echo-%u", m->pod);
    snprintf(node, 32, "node-%u", m->node);
    const char *before = m->named ? "host-" : m->v6 ? "2001:db8::" : "10.0.0.";
    snprintf(address, 64, "%s%u%s", before, m->address, m->named ? ".example.com" : "");
}

static int add(struct fl_block_builder *builder, const struct model *m) {
    char pod[32], node[32], address[64];
    texts(m, pod, node, address);
    struct fl_block_endpoint e = {.node = fl_str_of(node),
                                  .zone = FL_STR("zone"),
                                  .pod_suffix = fl_str_of(pod),
                                  .flags = m->flags,
                                  .hash = hash_of(m)};
    if (m->uid) memset(e.uid, (int)m->pod + 1, sizeof(e.uid));
    assert_true(fl_address_parse(fl_str_of(address), &e.address));
    return fl_block_builder_add(builder, &e);
}

static int build(struct fl_block_builder *builder, const struct slice *slice,
                 const struct fl_block *previous, struct fl_block **out) {
    struct fl_block_port port = {
        .name = FL_STR("grpc"), .protocol = FL_STR("TCP"), .port = slice->port};
    fl_block_builder_start(builder, previous);
    for (size_t i = 0; i < slice->count; i++) {
        const struct model *m = &slice->list[i];
        if (previous && fl_block_builder_reuse(builder, hash_of(m))) continue;
        int rc = add(builder, m);
        if (rc < 0) return rc;
    }
    int rc = fl_block_builder_port(builder, &port);
    return rc < 0 ? rc : fl_block_builder_finish(builder, out);
}

static void assert_block(const struct fl_block *block, const struct slice *slice) {
    struct fl_block_port port;
    assert_int_equal(fl_block_count(block), slice->count);
    for (size_t i = 0; i < slice->count; i++) {
        const struct model *m = &slice->list[i];
        struct fl_block_endpoint e;
        char pod[32], node[32], address[64], told[FL_ADDRESS_TEXT_MAX], name[64];
        texts(m, pod, node, address);
        fl_block_endpoint_at(block, i, &e);
        fl_address_format(&e.address, told);
        assert_string_equal(told, address);
        snprintf(name, sizeof(name), "%.*s%.*s", FL_STR_ARG(e.pod_prefix),
                 FL_STR_ARG(e.pod_suffix));
        assert_string_equal(name, pod);
        assert_true(fl_str_eq(e.node, fl_str_of(node)));
        assert_true(fl_str_eq(e.zone, FL_STR("zone")));
        assert_int_equal(e.flags, m->flags);
        assert_int_equal(e.uid[3], m->uid ? (uint8_t)(m->pod + 1) : 0);
        assert_true(e.hash == hash_of(m));
    }
    assert_int_equal(fl_block_port_count(block), 1);
    fl_block_port_at(block, 0, &port);
    assert_int_equal(port.port, slice->port);
    assert_true(fl_str_eq(port.name, FL_STR("grpc")));
}

static uint32_t below(struct fl_random *dice, uint32_t n) {
    return (uint32_t)(fl_random_below(dice, n));
}

static struct model model_of(struct fl_random *dice) {
    return (struct model){.pod = below(dice, 200),
                          .node = below(dice, 5),
                          .address = 1 + below(dice, 250),
                          .flags = below(dice, 8),
                          .v6 = below(dice, 30) == 0,
                          .named = below(dice, 30) == 0,
                          .uid = below(dice, 30) != 0};
}

static void insert(struct slice *slice, size_t at, const struct model *m) {
    if (slice->count == 2 * ENDPOINTS) return;
    memmove(&slice->list[at + 1], &slice->list[at], (slice->count - at) * sizeof(*m));
    slice->list[at] = *m;
    slice->count++;
}

static void delete_at(struct slice *slice, size_t at) {
    slice->count--;
    memmove(&slice->list[at], &slice->list[at + 1], (slice->count - at) * sizeof(slice->list[0]));
}

/* One thing that happens to a slice. */
static void change(struct slice *slice, struct fl_random *dice) {
    struct model fresh = model_of(dice);
    size_t at = slice->count ? below(dice, (uint32_t)slice->count) : 0;
    uint32_t what = slice->count ? below(dice, 10) : 9;
    if (what < 4) {
        slice->list[at].flags = fresh.flags;
    } else if (what == 4) {
        slice->list[at].node = fresh.node;
        slice->list[at].uid = fresh.uid;
    } else if (what == 5) {
        slice->list[at].v6 = !slice->list[at].v6;
    } else if (what == 6) {
        slice->list[at] = fresh;
    } else if (what == 7) {
        delete_at(slice, at);
    } else if (what == 8) {
        slice->port = (uint16_t)below(dice, 3);
    } else {
        insert(slice, at, &fresh);
    }
}

static void test_any_edit_gives_the_block_that_was_asked_for(void **state) {
    FL_UNUSED(state);
    struct fl_random dice = {42};
    struct fl_block_builder *builder;
    assert_int_equal(fl_block_builder_new(1000, &builder), 0);
    struct slice slice = {.port = 1};
    struct fl_block *block = NULL, *next;
    for (unsigned i = 0; i < ENDPOINTS; i++) slice.list[slice.count++] = model_of(&dice);
    for (unsigned turn = 0; turn < 20000; turn++) {
        for (uint32_t n = below(&dice, turn % 50 ? 3 : 15); n > 0; n--) change(&slice, &dice);
        assert_int_equal(build(builder, &slice, block, &next), 0);
        assert_block(next, &slice);
        fl_block_unref(block);
        block = next;
    }
    fl_block_unref(block);
    fl_block_builder_free(builder);
}

/* A flip of readiness is an edit; its block is as large as the last one, to the byte. */
static void test_a_change_in_place_keeps_the_layout(void **state) {
    FL_UNUSED(state);
    struct fl_random dice = {7};
    struct fl_block_builder *builder;
    struct fl_block *block, *next;
    struct slice slice = {.port = 1};
    assert_int_equal(fl_block_builder_new(1000, &builder), 0);
    for (unsigned i = 0; i < ENDPOINTS; i++) slice.list[slice.count++] = model_of(&dice);
    assert_int_equal(build(builder, &slice, NULL, &block), 0);
    size_t before = fl_test_alloc_count();
    slice.list[3].flags ^= FL_ENDPOINT_READY;
    assert_int_equal(build(builder, &slice, block, &next), 0);
    assert_int_equal(fl_test_alloc_count() - before, 1);
    assert_int_equal(fl_block_bytes(next), fl_block_bytes(block));
    assert_block(next, &slice);
    fl_block_unref(block);
    fl_block_unref(next);
    fl_block_builder_free(builder);
}

/* An edit that ends in the middle and becomes rows. */
static int edit_and_end(void) {
    struct fl_random dice = {7};
    struct fl_block_builder *builder;
    struct fl_block *block = NULL, *next = NULL;
    struct slice slice = {.port = 1};
    int rc = fl_block_builder_new(1000, &builder);
    if (rc < 0) return rc;
    for (unsigned i = 0; i < ENDPOINTS; i++) slice.list[slice.count++] = model_of(&dice);
    rc = build(builder, &slice, NULL, &block);
    slice.list[2].flags ^= FL_ENDPOINT_READY;
    delete_at(&slice, 9);
    if (rc == 0) rc = build(builder, &slice, block, &next);
    if (rc == 0) assert_block(next, &slice);
    fl_block_unref(block);
    fl_block_unref(next);
    fl_block_builder_free(builder);
    return rc;
}

static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        int rc = edit_and_end();
        assert_true(rc == 0 || rc == FL_ENOMEM);
    }
}

enum { MANY_NAMES = 66000 }; /* their ids have 17 bits */

/* Endpoints on nodes that come late, in a process that knows so many names that their ids
 * have more bits, in place of ones that came early, and the other way round. */
static void test_ids_of_more_bits(void **state) {
    static uint32_t ids[MANY_NAMES];
    struct fl_block_builder *builder;
    struct fl_block *early, *late, *again;
    struct slice slice = {.count = ENDPOINTS, .port = 80};
    char name[32];
    FL_UNUSED(state);
    assert_int_equal(fl_block_builder_new(100, &builder), 0);
    for (uint32_t i = 0; i < ENDPOINTS; i++)
        slice.list[i] = (struct model){.pod = i, .node = i % 5, .address = i + 1, .uid = true};
    assert_int_equal(build(builder, &slice, NULL, &early), 0);
    for (uint32_t i = 0; i < MANY_NAMES; i++) {
        int n = snprintf(name, sizeof(name), "name-%u", i);
        assert_int_equal(fl_intern_ref(fl_str_n(name, (size_t)n), &ids[i]), 0);
    }
    assert_true(ids[MANY_NAMES - 1] > UINT16_MAX);
    slice.list[3].node = 900;
    assert_int_equal(build(builder, &slice, early, &late), 0);
    assert_block(late, &slice);
    assert_true(fl_block_bytes(late) > fl_block_bytes(early) + ENDPOINTS);
    slice.list[3].node = 1;
    slice.list[7].node = 901;
    assert_int_equal(build(builder, &slice, late, &again), 0);
    assert_block(again, &slice);
    fl_block_unref(early);
    fl_block_unref(late);
    fl_block_unref(again);
    fl_block_builder_free(builder);
    for (uint32_t i = 0; i < MANY_NAMES; i++) fl_intern_unref(ids[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_edit_gives_the_block_that_was_asked_for),
        cmocka_unit_test(test_a_change_in_place_keeps_the_layout),
        cmocka_unit_test(test_ids_of_more_bits),
        cmocka_unit_test(test_each_allocation_failing),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
