/* discovery_diff_test.c - what turns one set into another: kinds, bits, shared blocks, and on
 * random sets that the differences, applied in order to nothing, give the set. */
#include "support/alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "support/sets.h"

static void assert_diff(struct fl_set *previous, struct fl_set *set, const char *text) {
    assert_string_equal(fl_test_diff(previous, set), text);
    fl_set_unref(previous);
    fl_set_unref(set);
}

static struct fl_set *one(const char *ports, const char *endpoints) {
    return fl_test_set("", fl_test_block(ports, endpoints), NULL);
}

static void test_added_removed_and_changed_in_order(void **state) {
    FL_UNUSED(state);
    assert_diff(one("http:80", "10.0.0.3 rs, 10.0.0.1 rs, 10.0.0.2 rs"),
                one("http:80", "10.0.0.4 rs, 10.0.0.2 s, 10.0.0.1 rs, 10.0.0.0 rs"),
                "+10.0.0.0:80 http rs; ~10.0.0.2:80 http s {ready}; -10.0.0.3:80 http rs; "
                "+10.0.0.4:80 http rs");
    assert_diff(NULL, one("http:80", "10.0.0.2 rs, 10.0.0.1 rs"),
                "+10.0.0.1:80 http rs; +10.0.0.2:80 http rs");
}

static void test_every_field_has_its_bit(void **state) {
    FL_UNUSED(state);
    const char *was = "10.0.0.1 rs uid=1 pod=a node=n zone=z";
    static const struct {
        const char *ports, *endpoint, *diff;
    } rows[] = {
        {"http:80", "10.0.0.1 rs uid=1 pod=a node=n zone=z", ""},
        {"http:80", "10.0.0.1 s uid=1 pod=a node=n zone=z",
         "~10.0.0.1:80 http s uid=1 pod=a node=n zone=z {ready}"},
        {"http:80", "10.0.0.1 rt uid=1 pod=a node=n zone=z",
         "~10.0.0.1:80 http rt uid=1 pod=a node=n zone=z {serving,terminating}"},
        {"http:80", "10.0.0.1 rs uid=2 pod=a node=n zone=z",
         "~10.0.0.1:80 http rs uid=2 pod=a node=n zone=z {identity}"},
        {"http:80", "10.0.0.1 rs uid=1 pod=b node=n zone=z",
         "~10.0.0.1:80 http rs uid=1 pod=b node=n zone=z {identity}"},
        {"http:80", "10.0.0.1 rs uid=1 pod=a node=m zone=z",
         "~10.0.0.1:80 http rs uid=1 pod=a node=m zone=z {place}"},
        {"http:80", "10.0.0.1 rs uid=1 pod=a node=n",
         "~10.0.0.1:80 http rs uid=1 pod=a node=n {place}"},
        {"web:80", "10.0.0.1 rs uid=1 pod=a node=n zone=z",
         "~10.0.0.1:80 web rs uid=1 pod=a node=n zone=z {port}"},
        {"http:80", "10.0.0.1 rs uid=1 pod=a node=n zone=z for-zone=a for-zone=b",
         "~10.0.0.1:80 http rs uid=1 pod=a node=n zone=z for-zone=a for-zone=b {hints}"},
        {"http:80", "10.0.0.1 rs uid=1 pod=a node=n zone=z for-node=a",
         "~10.0.0.1:80 http rs uid=1 pod=a node=n zone=z for-node=a {hints}"},
        {"http:80+h2c", "10.0.0.1 rs uid=1 pod=a node=n zone=z",
         "~10.0.0.1:80 http+h2c rs uid=1 pod=a node=n zone=z {port}"},
    };
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        assert_diff(one("http:80", was), one(rows[i].ports, rows[i].endpoint), rows[i].diff);
    }
}

/* The same address on another port is another endpoint; comparing addresses alone would see no
 * difference here. */
static void test_C20_difference_is_by_address_and_port(void **state) {
    FL_UNUSED(state);
    assert_diff(one("http:80", "10.0.0.1 r"), one("http:81", "10.0.0.1 r"),
                "-10.0.0.1:80 http r; +10.0.0.1:81 http r");
    assert_diff(one("http:80", "10.0.0.1 r"), one("http:80 admin:81", "10.0.0.1 r"),
                "+10.0.0.1:81 admin r");
    assert_diff(one("dns:53", "10.0.0.1 r"), one("dns:53/UDP", "10.0.0.1 r"),
                "-10.0.0.1:53 dns r; +10.0.0.1:53/UDP dns r");
}

static void test_C20_kept_endpoints_are_not_mentioned(void **state) {
    FL_UNUSED(state);
    struct fl_block *kept = fl_test_block("http:80", "10.0.0.1 rs, 10.0.0.2 rs");
    assert_diff(fl_test_set("", fl_block_ref(kept), fl_test_block("http:80", "10.0.0.3 rs"), NULL),
                fl_test_set("", kept, fl_test_block("http:80", "10.0.0.4 rs"), NULL),
                "-10.0.0.3:80 http rs; +10.0.0.4:80 http rs");
}

static void test_same_set_and_sets_without_endpoints(void **state) {
    FL_UNUSED(state);
    struct fl_set *set = one("http:80", "10.0.0.1 rs");
    assert_string_equal(fl_test_diff(set, set), "");
    assert_diff(fl_test_set("", NULL), fl_set_ref(set), "+10.0.0.1:80 http rs");
    assert_diff(set, fl_test_set("", NULL), "-10.0.0.1:80 http rs");
    assert_diff(fl_test_set("", NULL), fl_test_set("", NULL), "");
    assert_diff(NULL, fl_test_set("", NULL), "");
}

/* W6: an endpoint that moves between slices stands in two for a moment; only what counts differs.
 * The block it moves from or to may be one that both sets share. */
static void test_W6_duplicates_with_shared_blocks(void **state) {
    FL_UNUSED(state);
    struct fl_block *shared = fl_test_block("http:80", "10.0.0.1 rs uid=1, 10.0.0.2 rs");
    const char *copy = "10.0.0.1 rs uid=1", *newer = "10.0.0.1 rs uid=2", *worse = "10.0.0.1 s";
    struct fl_set *alone = fl_test_set("", fl_block_ref(shared), NULL);
    assert_diff(fl_set_ref(alone),
                fl_test_set("", fl_block_ref(shared), fl_test_block("http:80", copy), NULL), "");
    assert_diff(fl_set_ref(alone),
                fl_test_set("", fl_block_ref(shared), fl_test_block("http:80", newer), NULL),
                "~10.0.0.1:80 http rs uid=2 {identity}");
    assert_diff(fl_set_ref(alone),
                fl_test_set("", fl_test_block("http:80", newer), fl_block_ref(shared), NULL), "");
    assert_diff(fl_set_ref(alone),
                fl_test_set("", fl_block_ref(shared), fl_test_block("http:80", worse), NULL), "");
    assert_diff(fl_test_set("", fl_block_ref(shared), fl_test_block("http:80", newer), NULL),
                fl_set_ref(alone), "~10.0.0.1:80 http rs uid=1 {identity}");
    fl_set_unref(alone);
    fl_block_unref(shared);
}

/* Which duplicate counts depends on the order of blocks, so blocks that changed places are not
 * shared. */
static void test_blocks_that_changed_places(void **state) {
    FL_UNUSED(state);
    struct fl_block *a = fl_test_block("http:80", "10.0.0.1 rs uid=1"),
                    *b = fl_test_block("http:80", "10.0.0.1 rs uid=2");
    assert_diff(fl_test_set("", fl_block_ref(a), fl_block_ref(b), NULL),
                fl_test_set("", fl_block_ref(b), fl_block_ref(a), NULL),
                "~10.0.0.1:80 http rs uid=1 {identity}");
    fl_block_unref(a);
    fl_block_unref(b);
}

static void test_views_of_one_port(void **state) {
    FL_UNUSED(state);
    struct fl_block *kept = fl_test_block("a:1 b:2", "10.0.0.1 rs");
    struct fl_set *was = fl_test_set("a:10 b:20", fl_block_ref(kept), NULL), *was_b, *is_a, *is_b;
    struct fl_set *is =
        fl_test_set("a:10 b:20", kept, fl_test_block("a:1 b:3", "10.0.0.2 rs"), NULL);
    assert_int_equal(fl_set_select(was, FL_STR("b"), &was_b, NULL), 0);
    assert_int_equal(fl_set_select(is, FL_STR("a"), &is_a, NULL), 0);
    assert_int_equal(fl_set_select(is, FL_STR("20"), &is_b, NULL), 0);
    fl_set_unref(was);
    fl_set_unref(is);
    assert_string_equal(fl_test_diff(was_b, is_b), "+10.0.0.2:3 b rs");
    assert_string_equal(fl_test_diff(was_b, is_a),
                        "+10.0.0.1:1 a rs; -10.0.0.1:2 b rs; +10.0.0.2:1 a rs");
    fl_set_unref(was_b);
    fl_set_unref(is_a);
    fl_set_unref(is_b);
}

static void ignore(void *arg, const struct fl_change *change) {
    FL_UNUSED(arg);
    FL_UNUSED(change);
}

static void test_diff_without_memory(void **state) {
    FL_UNUSED(state);
    struct fl_set *was = one("http:80", "10.0.0.1 r"), *is = one("http:80", "10.0.0.2 r");
    FL_TEST_EACH_FAILURE(n) {
        int rc = fl_set_diff(was, is, ignore, NULL);
        assert_int_equal(rc, fl_test_alloc_did_fail() ? FL_ENOMEM : 0);
    }
    fl_set_unref(was);
    fl_set_unref(is);
}

/* ---- random sets ---- */

#define ADDRESSES   40 /* few, so that duplicates are many */
#define BLOCKS_MAX  8
#define MODEL_PORTS 3

/* What the differences so far add up to: one line per address and port, "" for none. */
struct model {
    char lines[ADDRESSES][MODEL_PORTS][192];
};

static char *line_of(struct model *model, const struct fl_endpoint *e) {
    unsigned address;
    assert_int_equal(sscanf(e->address, "10.0.0.%u", &address), 1);
    assert_true(address < ADDRESSES && e->port >= 80 && e->port < 80 + MODEL_PORTS);
    return model->lines[address][e->port - 80];
}

static void format(char out[192], const struct fl_endpoint *e) {
    int n = snprintf(out, 192, "%s+%s %d%d%d uid=%u node=%s", e->port_name, e->app_protocol,
                     e->ready, e->serving, e->terminating, (unsigned)e->uid[15], e->node);
    assert_in_range(n, 1, 191);
}

static void apply(void *arg, const struct fl_change *change) {
    struct model *model = arg;
    char *line = line_of(model, &change->endpoint), now[192];
    format(now, &change->endpoint);
    bool known = *line != '\0';
    assert_int_equal(known, change->kind != FL_CHANGE_ADDED);
    if (change->kind == FL_CHANGE_REMOVED) {
        assert_string_equal(line, now);
        *line = '\0';
        return;
    }
    assert_string_not_equal(line, now);
    strcpy(line, now);
}

/* What counts, found the slow way: of all entries for an address and port the one that does not
 * terminate, then the one that is ready, then the one of the last block, there the first. */
static void put_best(struct model *model, int best[ADDRESSES][MODEL_PORTS], size_t place,
                     const struct fl_block_endpoint *e, const struct fl_block_port *port) {
    size_t address = e->address.ip[3], index = (size_t)port->port - 80;
    int score = (e->flags & FL_ENDPOINT_TERMINATING ? 0 : 2000) +
                (e->flags & FL_ENDPOINT_READY ? 1000 : 0) + (int)place + 1;
    if (score <= best[address][index]) return;
    struct fl_endpoint endpoint = {.port_name = port->name.p,
                                   .app_protocol = port->app_protocol.p,
                                   .ready = e->flags & FL_ENDPOINT_READY,
                                   .serving = e->flags & FL_ENDPOINT_SERVING,
                                   .terminating = e->flags & FL_ENDPOINT_TERMINATING,
                                   .node = e->node.p};
    memcpy(endpoint.uid, e->uid, sizeof(e->uid));
    best[address][index] = score;
    format(model->lines[address][index], &endpoint);
}

static void collect_slowly(struct model *model, struct fl_block *const *blocks, size_t count,
                           bool only_http) {
    int best[ADDRESSES][MODEL_PORTS] = {{0}};
    for (size_t b = 0; b < count; b++) {
        for (size_t p = 0; p < fl_block_port_count(blocks[b]); p++) {
            struct fl_block_port port;
            fl_block_port_at(blocks[b], p, &port);
            if (only_http && !fl_str_eq(port.name, FL_STR("http"))) continue;
            for (size_t i = 0; i < fl_block_count(blocks[b]); i++) {
                struct fl_block_endpoint endpoint;
                fl_block_endpoint_at(blocks[b], i, &endpoint);
                put_best(model, best, b, &endpoint, &port);
            }
        }
    }
}

static void collect(void *arg, const struct fl_endpoint *endpoint) {
    struct model *model = arg;
    char *line = line_of(model, endpoint);
    assert_string_equal(line, ""); /* once */
    format(line, endpoint);
}

static struct fl_block *random_block(struct fl_random *random) {
    static const char *const ports[] = {"http:80", "http:80 admin:81", "http:81 admin:82",
                                        "web:80+h2c"};
    static const char *const flags[] = {"rs", "rs", "rs", "s", "st", "t", "-", "rst"};
    char text[4096] = "";
    size_t count = (size_t)fl_random_below(random, 12), n = 0;
    for (size_t i = 0; i < count; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, ",10.0.0.%u %s uid=%u node=n%u",
                              (unsigned)fl_random_below(random, ADDRESSES),
                              flags[fl_random_below(random, FL_COUNT(flags))],
                              (unsigned)fl_random_below(random, 3),
                              (unsigned)fl_random_below(random, 2));
    }
    return fl_test_block(ports[fl_random_below(random, FL_COUNT(ports))], text);
}

/* Some blocks replaced, added, removed, now and then two changing places. */
static void mutate(struct fl_block **blocks, size_t *count, struct fl_random *random) {
    size_t changes = 1 + (size_t)fl_random_below(random, 3);
    for (; changes > 0; changes--) {
        uint64_t what = fl_random_below(random, 4);
        size_t at = (size_t)fl_random_below(random, *count + 1);
        if (what == 0 && *count < BLOCKS_MAX) {
            memmove(blocks + at + 1, blocks + at, (*count - at) * sizeof(*blocks));
            blocks[at] = random_block(random);
            ++*count;
        } else if (what == 1 && at < *count) {
            fl_block_unref(blocks[at]);
            memmove(blocks + at, blocks + at + 1, (--*count - at) * sizeof(*blocks));
        } else if (what == 2 && at + 1 < *count) {
            struct fl_block *block = blocks[at];
            blocks[at] = blocks[at + 1];
            blocks[at + 1] = block;
        } else if (at < *count) {
            fl_block_unref(blocks[at]);
            blocks[at] = random_block(random);
        }
    }
}

static void assert_models_equal(const struct model *model, const struct model *expected,
                                uint64_t seed, uint64_t version) {
    for (size_t a = 0; a < ADDRESSES; a++) {
        for (size_t p = 0; p < MODEL_PORTS; p++) {
            if (strcmp(model->lines[a][p], expected->lines[a][p]) == 0) continue;
            fail_msg("seed %llu version %llu: 10.0.0.%zu:%zu is \"%s\", not \"%s\"",
                     (unsigned long long)seed, (unsigned long long)version, a, 80 + p,
                     model->lines[a][p], expected->lines[a][p]);
        }
    }
}

static struct fl_set *random_view(struct fl_block *const *blocks, size_t count, uint64_t version,
                                  bool only_http) {
    struct fl_set *set = fl_test_set_of("http:80 admin:81 web:82", blocks, count, version), *view;
    if (!only_http) return set;
    assert_int_equal(fl_set_select(set, FL_STR("http"), &view, NULL), 0);
    fl_set_unref(set);
    return view;
}

static void run_seed(uint64_t seed, bool only_http) {
    struct fl_random random = {seed};
    struct fl_block *blocks[BLOCKS_MAX];
    struct fl_set *previous = NULL;
    struct model *model = calloc(3, sizeof(*model)), *walked = model + 1, *expected = model + 2;
    size_t count = 0;
    for (uint64_t version = 1; version <= 20; version++) {
        mutate(blocks, &count, &random);
        struct fl_set *set = random_view(blocks, count, version, only_http);
        memset(walked, 0, 2 * sizeof(*walked));
        collect_slowly(expected, blocks, count, only_http);
        fl_set_each(set, collect, walked);
        assert_models_equal(walked, expected, seed, version);
        assert_int_equal(fl_set_diff(previous, set, apply, model), 0);
        assert_models_equal(model, expected, seed, version);
        fl_set_unref(previous);
        previous = set;
    }
    for (size_t i = 0; i < count; i++) fl_block_unref(blocks[i]);
    fl_set_unref(previous);
    free(model);
}

static void test_differences_applied_in_order_give_the_set(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 1; seed <= 500; seed++) run_seed(seed, seed % 2 == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_added_removed_and_changed_in_order),
        cmocka_unit_test(test_every_field_has_its_bit),
        cmocka_unit_test(test_C20_difference_is_by_address_and_port),
        cmocka_unit_test(test_C20_kept_endpoints_are_not_mentioned),
        cmocka_unit_test(test_same_set_and_sets_without_endpoints),
        cmocka_unit_test(test_W6_duplicates_with_shared_blocks),
        cmocka_unit_test(test_blocks_that_changed_places),
        cmocka_unit_test(test_views_of_one_port),
        cmocka_unit_test(test_diff_without_memory),
        cmocka_unit_test(test_differences_applied_in_order_give_the_set),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
