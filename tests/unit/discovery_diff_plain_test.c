/* discovery_diff_plain_test.c - the difference of two sets, which looks at what changed alone, is
 * that which a plain comparison of all endpoints finds: on random sequences of sets in which slices
 * come, go and change places, and endpoints change, move and stand in two of them. */
#include "support/alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "support/sets.h"

/* ---- slices that change ---- */

#define SLICES_MAX    6
#define ENDPOINTS_MAX 40
#define TEXT_MAX      ((size_t)80 * ENDPOINTS_MAX)
#define VERSIONS      30

/* Of all kinds, and such as share their last bytes. */
static const char *const addresses[] = {"10.0.0.1",  "10.0.0.2",  "10.0.0.3", "10.0.32.1",
                                        "10.0.64.2", "10.1.0.1",  "10.0.1.1", "10.0.0.9",
                                        "fd00::1",   "fd00::2",   "fd00::3",  "fd01::1",
                                        "fd01::2",   "a.example", "b.example"};
static const char *const flags[] = {"rs", "rs", "s", "st", "t", "-", "rst"};
static const char *const ports[] = {"http:80", "http:80 admin:81", "admin:80 http:81",
                                    "dns:53/UDP"};

struct endpoint {
    unsigned address, flags, uid, node;
};

struct slice {
    struct endpoint endpoints[ENDPOINTS_MAX];
    size_t count;
    unsigned ports;
    bool v4_only; /* packed otherwise than one of several kinds */
    struct fl_block *block;
};

struct model {
    struct fl_random random;
    struct slice slices[SLICES_MAX];
    size_t count;
};

static unsigned below(struct model *model, size_t n) {
    return (unsigned)fl_random_below(&model->random, n);
}

static struct endpoint random_endpoint(struct model *model, const struct slice *slice) {
    return (struct endpoint){.address = below(model, slice->v4_only ? 8 : FL_COUNT(addresses)),
                             .flags = below(model, FL_COUNT(flags)),
                             .uid = below(model, 3),
                             .node = below(model, 2)};
}

static void build(struct slice *slice) {
    char text[TEXT_MAX] = "";
    size_t n = 0;
    for (size_t i = 0; i < slice->count; i++) {
        const struct endpoint *e = &slice->endpoints[i];
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %s uid=%u pod=p%u node=n%u,",
                              addresses[e->address], flags[e->flags], e->uid, e->uid, e->node);
    }
    assert_true(n < sizeof(text));
    fl_block_unref(slice->block);
    slice->block = fl_test_block(ports[slice->ports], text);
}

static void put_endpoint(struct slice *slice, size_t at, struct endpoint endpoint) {
    if (slice->count == ENDPOINTS_MAX) return;
    memmove(&slice->endpoints[at + 1], &slice->endpoints[at],
            (slice->count++ - at) * sizeof(endpoint));
    slice->endpoints[at] = endpoint;
}

static void remove_endpoints(struct slice *slice, size_t at, size_t count) {
    memmove(&slice->endpoints[at], &slice->endpoints[at + count],
            (slice->count - at - count) * sizeof(slice->endpoints[0]));
    slice->count -= count;
}

static void add_slice(struct model *model) {
    if (model->count == SLICES_MAX) return;
    size_t at = below(model, model->count + 1);
    memmove(&model->slices[at + 1], &model->slices[at],
            (model->count++ - at) * sizeof(model->slices[0]));
    struct slice *slice = &model->slices[at];
    *slice = (struct slice){.ports = below(model, FL_COUNT(ports)), .v4_only = below(model, 2)};
    for (unsigned n = below(model, ENDPOINTS_MAX); n > 0; n--)
        put_endpoint(slice, slice->count, random_endpoint(model, slice));
    build(slice);
}

static void remove_slice(struct model *model, size_t at) {
    fl_block_unref(model->slices[at].block);
    memmove(&model->slices[at], &model->slices[at + 1],
            (--model->count - at) * sizeof(model->slices[0]));
}

static void swap_slices(struct model *model) {
    struct slice *a = &model->slices[below(model, model->count)];
    struct slice *b = &model->slices[below(model, model->count)], kept = *a;
    *a = *b;
    *b = kept;
}

static void swap_endpoints(struct slice *slice, size_t a, size_t b) {
    struct endpoint kept = slice->endpoints[a];
    slice->endpoints[a] = slice->endpoints[b];
    slice->endpoints[b] = kept;
}

/* From one slice to another, or, while it moves, in both. */
static void move_endpoint(struct model *model, struct slice *from, size_t at, bool both) {
    struct slice *to = &model->slices[below(model, model->count)];
    if (to->v4_only && from->endpoints[at].address >= 8) return;
    put_endpoint(to, below(model, to->count + 1), from->endpoints[at]);
    if (!both && to != from) remove_endpoints(from, at, 1);
    build(to);
}

static void change_endpoint(struct model *model, struct slice *slice, size_t at) {
    struct endpoint *e = &slice->endpoints[at];
    switch (below(model, 7)) {
    case 0:
        e->flags = below(model, FL_COUNT(flags));
        break;
    case 1:
        e->uid = below(model, 3);
        break;
    case 2:
        *e = random_endpoint(model, slice);
        break;
    case 3:
        remove_endpoints(slice, at, 1 + below(model, FL_MIN(slice->count - at, 20)));
        break;
    case 4:
        swap_endpoints(slice, at, below(model, slice->count));
        break;
    default:
        move_endpoint(model, slice, at, below(model, 2));
    }
}

static void mutate(struct model *model) {
    unsigned what = below(model, 12);
    if (what == 0 || model->count == 0) {
        add_slice(model);
        return;
    }
    struct slice *slice = &model->slices[below(model, model->count)];
    if (what == 1) {
        remove_slice(model, (size_t)(slice - model->slices));
        return;
    }
    if (what == 2) swap_slices(model);
    if (what == 3) slice->ports = below(model, FL_COUNT(ports));
    if (what == 4)
        put_endpoint(slice, below(model, slice->count + 1), random_endpoint(model, slice));
    if (what > 5 && slice->count > 0) change_endpoint(model, slice, below(model, slice->count));
    build(slice); /* at 5 the same in a block of its own */
}

static struct fl_set *set_of(const struct model *model, uint64_t version, bool only_http) {
    struct fl_block *blocks[SLICES_MAX] = {NULL};
    for (size_t i = 0; i < model->count; i++) blocks[i] = model->slices[i].block;
    struct fl_set *view, *set = fl_test_set_of("http:80 admin:81", blocks, model->count, version);
    if (!only_http) return set;
    assert_int_equal(fl_set_select(set, FL_STR("http"), &view, NULL), 0);
    fl_set_unref(set);
    return view;
}

/* ---- the plain comparison ---- */

#define LINES_MAX (2 * SLICES_MAX * ENDPOINTS_MAX * 2)

struct list {
    struct fl_change changes[LINES_MAX];
    size_t count;
};

static void collect_change(void *arg, const struct fl_change *change) {
    struct list *list = arg;
    assert_true(list->count < LINES_MAX);
    list->changes[list->count++] = *change;
}

static void collect_endpoint(void *arg, const struct fl_endpoint *endpoint) {
    collect_change(arg, &(struct fl_change){.kind = FL_CHANGE_ADDED, .endpoint = *endpoint});
}

static const struct fl_change *find(const struct list *list, const struct fl_endpoint *e) {
    for (size_t i = 0; i < list->count; i++) {
        const struct fl_endpoint *other = &list->changes[i].endpoint;
        if (other->port == e->port && strcmp(other->address, e->address) == 0 &&
            strcmp(other->protocol, e->protocol) == 0)
            return &list->changes[i];
    }
    return NULL;
}

static unsigned compare(const struct fl_endpoint *a, const struct fl_endpoint *b) {
    bool same_pod = memcmp(a->uid, b->uid, sizeof(a->uid)) == 0 && strcmp(a->pod, b->pod) == 0;
    return (a->ready != b->ready ? FL_CHANGED_READY : 0u) |
           (a->serving != b->serving ? FL_CHANGED_SERVING : 0u) |
           (a->terminating != b->terminating ? FL_CHANGED_TERMINATING : 0u) |
           (same_pod ? 0u : FL_CHANGED_IDENTITY) |
           (strcmp(a->node, b->node) != 0 ? FL_CHANGED_PLACE : 0u) |
           (strcmp(a->port_name, b->port_name) != 0 ? FL_CHANGED_PORT : 0u);
}

static void diff_plainly(const struct list *before, const struct list *after, struct list *out) {
    for (size_t i = 0; i < after->count; i++) {
        struct fl_change change = after->changes[i];
        const struct fl_change *was = find(before, &change.endpoint);
        change.kind = was ? FL_CHANGE_CHANGED : FL_CHANGE_ADDED;
        change.what = was ? compare(&was->endpoint, &change.endpoint) : 0;
        if (!was || change.what) collect_change(out, &change);
    }
    for (size_t i = 0; i < before->count; i++) {
        struct fl_change change = before->changes[i];
        change.kind = FL_CHANGE_REMOVED;
        if (!find(after, &change.endpoint)) collect_change(out, &change);
    }
}

static void assert_same(const struct list *told, const struct list *plain, uint64_t seed,
                        uint64_t version) {
    for (size_t i = 0; i < told->count; i++) {
        const struct fl_change *is = &told->changes[i], *due = find(plain, &is->endpoint);
        if (due && due->kind == is->kind && due->what == is->what &&
            compare(&due->endpoint, &is->endpoint) == 0)
            continue;
        fail_msg("seed %llu version %llu: kind %d of %s:%u", (unsigned long long)seed,
                 (unsigned long long)version, (int)is->kind, is->endpoint.address,
                 (unsigned)is->endpoint.port);
    }
    if (told->count != plain->count)
        fail_msg("seed %llu version %llu: %zu changes, not %zu", (unsigned long long)seed,
                 (unsigned long long)version, told->count, plain->count);
}

static void run_seed(struct list lists[4], uint64_t seed) {
    struct model model = {.random = {seed}};
    struct list *before = &lists[0], *after = &lists[1], *told = &lists[2], *plain = &lists[3];
    bool only_http = seed % 3 == 0;
    struct fl_set *previous = set_of(&model, 0, only_http);
    for (uint64_t version = 1; version <= VERSIONS; version++) {
        for (unsigned n = below(&model, 3) + 1; n > 0; n--) mutate(&model);
        struct fl_set *set = set_of(&model, version, only_http);
        for (size_t i = 0; i < 4; i++) lists[i].count = 0;
        fl_set_each(previous, collect_endpoint, before);
        fl_set_each(set, collect_endpoint, after);
        diff_plainly(before, after, plain);
        assert_int_equal(fl_set_diff(previous, set, collect_change, told), 0);
        assert_same(told, plain, seed, version);
        fl_set_unref(previous);
        previous = set;
    }
    while (model.count > 0) remove_slice(&model, 0);
    fl_set_unref(previous);
}

static void test_the_difference_is_what_a_plain_comparison_finds(void **state) {
    FL_UNUSED(state);
    struct list *lists = calloc(4, sizeof(*lists));
    assert_non_null(lists);
    for (uint64_t seed = 1; seed <= 400; seed++) run_seed(lists, seed);
    free(lists);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_difference_is_what_a_plain_comparison_finds),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
