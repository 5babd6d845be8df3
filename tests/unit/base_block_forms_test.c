/* base_block_forms_test.c - whatever endpoints have in common or do not, a block gives back what
 * was added to it: one family or several, addresses that begin alike or not, pods' names of one
 * length or of many or none, zones that follow from the node, contradict it or are missing,
 * identities that are random, or not, or missing. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/block.h"
#include "base/intern.h"
#include "base/random.h"

#define ENDPOINTS 40

struct model {
    struct fl_address address;
    char host[32], node[32], zone[32], pod[32];
    uint8_t uid[16];
    unsigned flags;
    uint64_t hash;
};

/* How a block's endpoints are made. */
struct manner {
    uint32_t families; /* bits: V4, V6, names */
    uint32_t own;      /* bytes in which addresses differ */
    uint32_t pods;     /* 0: none; 1: of one length; 2: of many, some empty; 3: made up */
    uint32_t letters;  /* of made up ones */
    uint32_t zones;    /* 0: none; 1: of the node; 2: some other; 3: some missing; 4: no node */
    uint32_t uids;     /* 0: none; 1: any; 2: random ones; 3: mostly */
};

static uint32_t below(struct fl_random *dice, uint32_t n) {
    return (uint32_t)fl_random_below(dice, n);
}

static void make_address(struct model *m, const struct manner *manner, struct fl_random *dice) {
    uint32_t family;
    do family = below(dice, 3);
    while (!(manner->families >> family & 1));
    m->address = (struct fl_address){.kind = family == 0 ? FL_ADDRESS_V4 : FL_ADDRESS_V6};
    size_t size = family == 0 ? 4 : 16;
    for (size_t i = 0; i < size; i++)
        m->address.ip[i] = (uint8_t)(i + manner->own < size ? 7 * i + 3 : below(dice, 256));
    if (family != 2) return;
    m->address = (struct fl_address){.kind = FL_ADDRESS_NAME};
    snprintf(m->host, sizeof(m->host), "db-%u.example", below(dice, 100000));
}

static void make_zone(struct model *m, const struct manner *manner, struct fl_random *dice) {
    uint32_t node = below(dice, 12), zone = node % 3;
    bool odd = below(dice, 8) == 0;
    if (manner->zones == 2 && odd) zone = 5;
    if (!(manner->zones == 4 && odd)) snprintf(m->node, sizeof(m->node), "node-%u", node);
    if (manner->zones == 0 || (manner->zones == 3 && odd)) return;
    snprintf(m->zone, sizeof(m->zone), "zone-%u", zone);
}

/* As Kubernetes does. */
static void make_up(struct model *m, uint32_t letters, struct fl_random *dice) {
    static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
    char *end = m->pod + snprintf(m->pod, sizeof(m->pod), "echo-57d4f-");
    for (uint32_t i = 0; i < letters; i++) *end++ = alphabet[below(dice, 27)];
    if (letters && below(dice, 1000) == 0) end[-1] = 'a'; /* not of the alphabet */
}

/* As RFC 9562 has it, or anything. */
static void make_uid(struct model *m, const struct manner *manner, struct fl_random *dice) {
    for (size_t i = 0; manner->uids && i < 16; i++) m->uid[i] = (uint8_t)below(dice, 256);
    if (manner->uids < 2 || (manner->uids == 3 && below(dice, 16) == 0)) return;
    m->uid[6] = (m->uid[6] & 0x0f) | 0x40;
    m->uid[8] = (m->uid[8] & 0x3f) | 0x80;
}

static void make(struct model *m, const struct manner *manner, struct fl_random *dice) {
    *m = (struct model){.flags = below(dice, 8), .hash = fl_random_u64(dice) | 1};
    make_address(m, manner, dice);
    make_zone(m, manner, dice);
    if (manner->pods == 1)
        snprintf(m->pod, sizeof(m->pod), "echo-%05u", below(dice, 100000));
    else if (manner->pods == 2 && below(dice, 8) != 0)
        snprintf(m->pod, sizeof(m->pod), "echo-%u", below(dice, 100000));
    else if (manner->pods == 3)
        make_up(m, manner->letters, dice);
    make_uid(m, manner, dice);
}

static int add(struct fl_block_builder *builder, const struct model *m) {
    struct fl_block_endpoint e = {.address = m->address,
                                  .node = fl_str_of(m->node),
                                  .zone = fl_str_of(m->zone),
                                  .pod_suffix = fl_str_of(m->pod),
                                  .flags = m->flags,
                                  .hash = m->hash};
    if (e.address.kind == FL_ADDRESS_NAME) e.address.name = fl_str_of(m->host);
    memcpy(e.uid, m->uid, sizeof(e.uid));
    return fl_block_builder_add(builder, &e);
}

static int build(struct fl_block_builder *builder, const struct model *list, size_t count,
                 const struct fl_block *previous, struct fl_block **out) {
    fl_block_builder_start(builder, previous);
    for (size_t i = 0; i < count; i++) {
        if (previous && fl_block_builder_reuse(builder, list[i].hash)) continue;
        int rc = add(builder, &list[i]);
        if (rc < 0) return rc;
    }
    return fl_block_builder_finish(builder, out);
}

static void assert_address(const struct fl_address *a, const struct model *m) {
    assert_int_equal(a->kind, m->address.kind);
    if (a->kind == FL_ADDRESS_NAME)
        assert_true(fl_str_eq(a->name, fl_str_of(m->host)));
    else
        assert_memory_equal(a->ip, m->address.ip, a->kind == FL_ADDRESS_V4 ? 4 : 16);
}

static void assert_block(const struct fl_block *block, const struct model *list, size_t count) {
    assert_int_equal(fl_block_count(block), count);
    for (size_t i = 0; i < count; i++) {
        const struct model *m = &list[i];
        struct fl_block_endpoint e;
        struct fl_address alone;
        char pod[64];
        fl_block_endpoint_at(block, i, &e);
        fl_block_address_at(block, i, &alone);
        assert_address(&e.address, m);
        assert_address(&alone, m);
        snprintf(pod, sizeof(pod), "%.*s%.*s", FL_STR_ARG(e.pod_prefix), FL_STR_ARG(e.pod_suffix));
        assert_string_equal(pod, m->pod);
        assert_string_equal(e.node.p, m->node);
        assert_string_equal(e.zone.p, m->zone);
        assert_memory_equal(e.uid, m->uid, 16);
        assert_int_equal(e.flags, m->flags);
        assert_int_equal(fl_block_flags_at(block, i), m->flags);
        assert_true(e.hash == m->hash);
    }
}

static struct manner any_manner(struct fl_random *dice) {
    return (struct manner){.families = below(dice, 2) ? 1u << below(dice, 3) : 1 + below(dice, 7),
                           .own = below(dice, 6),
                           .pods = below(dice, 4),
                           .letters = below(dice, 8),
                           .zones = below(dice, 5),
                           .uids = below(dice, 4)};
}

/* A few endpoints change in the block's manner or in another. */
static void change(struct model *list, size_t count, const struct manner *usual,
                   struct fl_random *dice) {
    struct manner manner = below(dice, 2) ? *usual : any_manner(dice);
    for (uint32_t n = below(dice, 4); count && n > 0; n--) {
        struct model *m = &list[below(dice, (uint32_t)count)], fresh;
        uint32_t what = below(dice, 5);
        make(&fresh, &manner, dice);
        m->hash = fresh.hash;
        if (what == 0) m->flags = fresh.flags;
        if (what == 1) memcpy(m->zone, fresh.zone, sizeof(m->zone));
        if (what == 1) memcpy(m->node, fresh.node, sizeof(m->node));
        if (what == 2) m->address = fresh.address;
        if (what == 2) memcpy(m->host, fresh.host, sizeof(m->host));
        if (what == 3) memcpy(m->uid, fresh.uid, sizeof(m->uid));
        if (what == 4) *m = fresh;
    }
}

static void test_any_form_gives_back_what_was_added(void **state) {
    FL_UNUSED(state);
    struct fl_random dice = {11};
    struct fl_block_builder *builder;
    assert_int_equal(fl_block_builder_new(ENDPOINTS, &builder), 0);
    for (unsigned turn = 0; turn < 4000; turn++) {
        struct model list[ENDPOINTS];
        struct manner manner = any_manner(&dice);
        size_t count = below(&dice, ENDPOINTS + 1);
        struct fl_block *block, *next;
        for (size_t i = 0; i < count; i++) make(&list[i], &manner, &dice);
        assert_int_equal(build(builder, list, count, NULL, &block), 0);
        assert_block(block, list, count);
        for (unsigned step = 0; step < 4; step++) {
            change(list, count, &manner, &dice);
            assert_int_equal(build(builder, list, count, block, &next), 0);
            assert_block(next, list, count);
            fl_block_unref(block);
            block = next;
        }
        fl_block_unref(block);
    }
    fl_block_builder_free(builder);
}

static size_t bytes_of(const struct manner *manner) {
    struct fl_random dice = {3};
    struct fl_block_builder *builder;
    struct fl_block *block;
    struct model list[ENDPOINTS];
    assert_int_equal(fl_block_builder_new(ENDPOINTS, &builder), 0);
    for (size_t i = 0; i < ENDPOINTS; i++) make(&list[i], manner, &dice);
    assert_int_equal(build(builder, list, ENDPOINTS, NULL, &block), 0);
    assert_block(block, list, ENDPOINTS);
    size_t bytes = fl_block_bytes(block);
    fl_block_unref(block);
    fl_block_builder_free(builder);
    return bytes;
}

/* What follows from the node, or is common to all, takes no room in each. */
static void test_what_is_common_is_kept_once(void **state) {
    FL_UNUSED(state);
    const struct manner usual = {.families = 1, .own = 2, .pods = 1, .zones = 1, .uids = 2};
    struct manner other = usual;
    size_t bytes = bytes_of(&usual);
    other.zones = 0;
    assert_int_equal(bytes_of(&other), bytes);
    other.zones = 2;
    assert_in_range(bytes_of(&other), bytes + ENDPOINTS / 2, bytes + ENDPOINTS); /* few names */
    other = usual;
    other.uids = 1; /* 16 bytes instead of 15 and two bits */
    assert_int_equal(bytes_of(&other), bytes + ENDPOINTS - ENDPOINTS / 4);
    other = usual;
    other.pods = 3;
    for (other.letters = 1; other.letters < 7; other.letters++) {
        static const size_t each[] = {0, 1, 2, 2, 3, 3, 6}, prefix[] = {5, 11};
        size_t expected = bytes + (prefix[1] - prefix[0]) + ENDPOINTS * each[other.letters];
        assert_int_equal(bytes_of(&other), expected - (size_t)ENDPOINTS * 5);
    }
    other = usual;
    other.own = 4;
    assert_int_equal(bytes_of(&other), bytes + (size_t)2 * ENDPOINTS - 2);
    other = usual;
    other.families = 2;
    assert_int_equal(bytes_of(&other), bytes + 14 - 2);
}

/* Readiness flips in the bits of an endpoint and no other's. */
static void test_a_flip_is_an_edit_in_place(void **state) {
    FL_UNUSED(state);
    const struct manner usual = {.families = 1, .own = 2, .pods = 1, .zones = 1, .uids = 2};
    struct fl_random dice = {5};
    struct fl_block_builder *builder;
    struct fl_block *block, *next;
    struct model list[ENDPOINTS];
    assert_int_equal(fl_block_builder_new(ENDPOINTS, &builder), 0);
    for (size_t i = 0; i < ENDPOINTS; i++) make(&list[i], &usual, &dice);
    assert_int_equal(build(builder, list, ENDPOINTS, NULL, &block), 0);
    for (size_t i = 0; i < ENDPOINTS; i++) {
        list[i].flags = (list[i].flags + 1 + below(&dice, 7)) % 8;
        list[i].hash += 2;
        size_t before = fl_test_alloc_count();
        assert_int_equal(build(builder, list, ENDPOINTS, block, &next), 0);
        assert_int_equal(fl_test_alloc_count() - before, 1);
        assert_int_equal(fl_block_bytes(next), fl_block_bytes(block));
        assert_block(next, list, ENDPOINTS);
        fl_block_unref(block);
        block = next;
    }
    fl_block_unref(block);
    fl_block_builder_free(builder);
}

/* Blocks of all forms, and edits that end because the form does not fit. */
static int build_all_forms(void) {
    struct fl_random dice = {17};
    struct fl_block_builder *builder;
    int rc = fl_block_builder_new(ENDPOINTS, &builder);
    for (unsigned turn = 0; rc == 0 && turn < 12; turn++) {
        struct model list[12];
        struct manner manner = any_manner(&dice);
        struct fl_block *block = NULL, *next = NULL;
        for (size_t i = 0; i < FL_COUNT(list); i++) make(&list[i], &manner, &dice);
        rc = build(builder, list, FL_COUNT(list), NULL, &block);
        if (rc == 0) {
            change(list, FL_COUNT(list), &manner, &dice);
            rc = build(builder, list, FL_COUNT(list), block, &next);
        }
        if (rc == 0) assert_block(next, list, FL_COUNT(list));
        fl_block_unref(block);
        fl_block_unref(next);
    }
    if (builder) fl_block_builder_free(builder);
    return rc;
}

static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        int rc = build_all_forms();
        assert_true(rc == 0 || rc == FL_ENOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_form_gives_back_what_was_added),
        cmocka_unit_test(test_what_is_common_is_kept_once),
        cmocka_unit_test(test_a_flip_is_an_edit_in_place),
        cmocka_unit_test(test_each_allocation_failing),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
