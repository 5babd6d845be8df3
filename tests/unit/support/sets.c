/* sets.c - blocks and sets as text. See sets.h. One thread. */
#include "support/sets.h"

#include "support/alloc.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/hash.h"

#define PORTS_MAX 16

static struct fl_str next_word(struct fl_str *rest, char separator) {
    struct fl_str word;
    do {
        *rest = fl_str_trim(*rest);
        fl_str_split(*rest, separator, &word, rest);
    } while (word.n == 0 && rest->n > 0);
    return word;
}

static size_t parse_ports(const char *text, struct fl_block_port out[PORTS_MAX]) {
    struct fl_str rest = fl_str_of(text), word;
    size_t count = 0;
    while ((word = next_word(&rest, ' ')).n) {
        struct fl_block_port port = {.protocol = FL_STR("TCP")};
        struct fl_str number;
        uint64_t value;
        assert_true(fl_str_split(word, ':', &port.name, &number));
        fl_str_split(number, '+', &number, &port.app_protocol);
        if (memchr(number.p, '/', number.n)) fl_str_split(number, '/', &number, &port.protocol);
        assert_true(fl_str_u64(number, &value) && value <= UINT16_MAX && count < PORTS_MAX);
        port.port = (uint16_t)value;
        out[count++] = port;
    }
    return count;
}

static unsigned parse_flags(struct fl_str word) {
    unsigned flags = 0;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] == 'r') flags |= FL_ENDPOINT_READY;
        if (word.p[i] == 's') flags |= FL_ENDPOINT_SERVING;
        if (word.p[i] == 't') flags |= FL_ENDPOINT_TERMINATING;
    }
    return flags;
}

static void parse_field(struct fl_str word, struct fl_block_endpoint *out,
                        struct fl_block_hints *hints) {
    struct fl_str key, value;
    if (!fl_str_split(word, '=', &key, &value)) {
        out->flags = parse_flags(word);
    } else if (fl_str_eq(key, FL_STR("uid"))) {
        uint64_t uid;
        assert_true(fl_str_u64(value, &uid));
        out->uid[15] = (uint8_t)uid;
    } else if (fl_str_eq(key, FL_STR("pod"))) {
        out->pod_suffix = value;
    } else if (fl_str_eq(key, FL_STR("node"))) {
        out->node = value;
    } else if (fl_str_eq(key, FL_STR("for-zone"))) {
        hints->zones[hints->zone_count++] = value;
    } else if (fl_str_eq(key, FL_STR("for-node"))) {
        hints->nodes[hints->node_count++] = value;
    } else {
        assert_true(fl_str_eq(key, FL_STR("zone")));
        out->zone = value;
    }
}

static void add_endpoint(struct fl_block_builder *builder, struct fl_str text) {
    struct fl_block_hints hints = {.zone_count = 0};
    struct fl_block_endpoint endpoint = {.hash = fl_hash(text, 0), .hints = &hints};
    struct fl_str rest = text, word;
    assert_true(fl_address_parse(next_word(&rest, ' '), &endpoint.address));
    while ((word = next_word(&rest, ' ')).n) parse_field(word, &endpoint, &hints);
    assert_int_equal(fl_block_builder_add(builder, &endpoint), 0);
}

struct fl_block *fl_test_block(const char *ports, const char *endpoints) {
    struct fl_block_builder *builder;
    struct fl_block_port list[PORTS_MAX];
    struct fl_block *block;
    struct fl_str rest = fl_str_of(endpoints), text;
    size_t count = parse_ports(ports, list);
    assert_int_equal(fl_block_builder_new(1000000, &builder), 0);
    fl_block_builder_start(builder, NULL);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fl_block_builder_port(builder, &list[i]), 0);
    }
    while ((text = next_word(&rest, ',')).n) add_endpoint(builder, text);
    assert_int_equal(fl_block_builder_finish(builder, &block), 0);
    fl_block_builder_free(builder);
    return block;
}

struct fl_set *fl_test_set_of(const char *service_ports, struct fl_block *const *blocks,
                              size_t count, uint64_t version) {
    struct fl_block_port list[PORTS_MAX];
    struct fl_set_port ports[PORTS_MAX];
    struct fl_set *set;
    size_t port_count = parse_ports(service_ports, list);
    for (size_t i = 0; i < port_count; i++) {
        ports[i] = (struct fl_set_port){list[i].name, list[i].port, list[i].protocol};
    }
    struct fl_set_spec spec = {.service = FL_STR("ns/echo"),
                               .state = FL_SET_SOME,
                               .blocks = blocks,
                               .block_count = count,
                               .ports = ports,
                               .port_count = port_count};
    assert_int_equal(fl_set_new(&spec, version, &set), 0);
    return set;
}

struct fl_set *fl_test_set(const char *service_ports, ...) {
    struct fl_block *blocks[16];
    size_t count = 0;
    va_list list;
    va_start(list, service_ports);
    while ((blocks[count] = va_arg(list, struct fl_block *))) count++;
    va_end(list);
    struct fl_set *set = fl_test_set_of(service_ports, blocks, count, 1);
    for (size_t i = 0; i < count; i++) fl_block_unref(blocks[i]);
    return set;
}

/* ---- reading ---- */

struct text {
    char *p;
    size_t n;
};

static void put(struct text *text, const char *format, ...) FL_PRINTF(2, 3);
static void put(struct text *text, const char *format, ...) {
    va_list list;
    va_start(list, format);
    text->n += (size_t)vsnprintf(text->p + text->n, FL_TEST_TEXT_MAX - text->n, format, list);
    va_end(list);
    assert_true(text->n < FL_TEST_TEXT_MAX);
}

static void put_field(struct text *text, const char *before, const char *value) {
    if (*value) put(text, "%s%s", before, value);
}

static void put_endpoint(struct text *text, const struct fl_endpoint *e) {
    put(text, "%s:%u", e->address, (unsigned)e->port);
    if (strcmp(e->protocol, "TCP") != 0) put(text, "/%s", e->protocol);
    put_field(text, " ", e->port_name);
    put_field(text, "+", e->app_protocol);
    put(text, " %s%s%s", e->ready ? "r" : "", e->serving ? "s" : "", e->terminating ? "t" : "");
    if (!e->ready && !e->serving && !e->terminating) put(text, "-");
    if (e->uid[15]) put(text, " uid=%u", (unsigned)e->uid[15]);
    put_field(text, " pod=", e->pod);
    put_field(text, " node=", e->node);
    put_field(text, " zone=", e->zone);
    for (size_t i = 0; i < e->for_zone_count; i++) put_field(text, " for-zone=", e->for_zones[i]);
    for (size_t i = 0; i < e->for_node_count; i++) put_field(text, " for-node=", e->for_nodes[i]);
}

static void each(void *arg, const struct fl_endpoint *endpoint) {
    struct text *text = arg;
    if (text->n) put(text, "; ");
    put_endpoint(text, endpoint);
}

const char *fl_test_text(const struct fl_set *set) {
    static char room[FL_TEST_TEXT_MAX];
    struct text text = {room, 0};
    room[0] = '\0';
    fl_set_each(set, each, &text);
    return room;
}

static void change(void *arg, const struct fl_change *c) {
    static const char *const bits[] = {"ready", "serving", "terminating", "identity",
                                       "place", "port",    "hints"};
    struct text *text = arg;
    if (text->n) put(text, "; ");
    put(text, "%c", "+-~"[c->kind]);
    put_endpoint(text, &c->endpoint);
    assert_true((c->what != 0) == (c->kind == FL_CHANGE_CHANGED));
    const char *separator = " {";
    for (size_t i = 0; i < FL_COUNT(bits); i++) {
        if (!(c->what >> i & 1)) continue;
        put(text, "%s%s", separator, bits[i]);
        separator = ",";
    }
    if (c->what) put(text, "}");
}

const char *fl_test_diff(const struct fl_set *previous, const struct fl_set *set) {
    static char room[FL_TEST_TEXT_MAX];
    struct text text = {room, 0};
    room[0] = '\0';
    assert_int_equal(fl_set_diff(previous, set, change, &text), 0);
    return room;
}
