/* yaml.c - YAML to jansson, by libyaml's events. Any thread; see yaml.h.
 *
 * A stack of the open mappings and sequences; each container is put into its parent when it begins,
 * so whatever happens the root owns all. */
#include "wire/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/alloc.h"
#include "wire/json_text.h"

struct build {
    yaml_parser_t parser;
    json_t *root;                    /* owned */
    json_t *open[FL_YAML_DEPTH_MAX]; /* borrowed */
    char *keys[FL_YAML_DEPTH_MAX];   /* of an open mapping: the key that waits for its value */
    size_t depth;
    unsigned documents;
    bool ended;
    struct fl_error *err;
};

void fl_yaml_use_alloc(void) { json_set_alloc_funcs(fl_alloc, fl_free); }

static int fail_at(struct build *b, const yaml_event_t *event, const char *what) {
    return fl_fail(b->err, FL_EPROTO, "line %zu, column %zu: %s", event->start_mark.line + 1,
                   event->start_mark.column + 1, what);
}

static int parser_failed(struct build *b) {
    const yaml_parser_t *parser = &b->parser;
    if (parser->error == YAML_MEMORY_ERROR) return fl_fail_nomem(b->err);
    return fl_fail(b->err, FL_EPROTO, "line %zu, column %zu: %s", parser->problem_mark.line + 1,
                   parser->problem_mark.column + 1, parser->problem ? parser->problem : "not YAML");
}

/* --- scalars --- */

static bool is_one_of(struct fl_str text, const char *const *words) {
    for (; *words; words++)
        if (fl_str_eq(text, fl_str_of(*words))) return true;
    return false;
}

/* [-+]? [0-9]+, 0o [0-7]+, 0x [0-9a-fA-F]+. `text` is terminated, as libyaml gives it. */
static bool is_integer(struct fl_str text, json_int_t *out) {
    const char *p = text.p;
    char *end;
    int base = 10;
    if (text.n > 2 && p[0] == '0' && (p[1] == 'o' || p[1] == 'x')) {
        base = p[1] == 'o' ? 8 : 16;
        p += 2;
    }
    const char *digits = base == 10 && (*p == '-' || *p == '+') ? p + 1 : p;
    size_t count = strspn(digits, base == 8    ? "01234567"
                                  : base == 10 ? "0123456789"
                                               : "0123456789abcdefABCDEF");
    if (count == 0 || digits + count != text.p + text.n) return false;
    errno = 0;
    *out = strtoll(p, &end, base);
    return errno == 0;
}

static json_t *plain_scalar(struct fl_str text) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    json_int_t integer;
    if (is_one_of(text, nulls)) return json_null();
    if (is_one_of(text, trues)) return json_true();
    if (is_one_of(text, falses)) return json_false();
    if (is_integer(text, &integer)) return json_integer(integer);
    if (fl_json_is_number(text)) { /* by jansson, which does not mind the locale */
        json_error_t why;
        json_t *number = json_loadb(text.p, text.n, JSON_DECODE_ANY, &why);
        if (number || json_error_code(&why) != json_error_numeric_overflow) return number;
    }
    return json_stringn(text.p, text.n);
}

#define CORE_TAG "tag:yaml.org,2002:"

/* The kinds of tag that a node may carry without meaning anything else than its own look. */
static bool is_core_tag(const yaml_char_t *tag, const char *const *kinds) {
    struct fl_str text = fl_str_of((const char *)tag);
    return !tag || (fl_str_starts(text, FL_STR(CORE_TAG)) &&
                    is_one_of(fl_str_from(text, strlen(CORE_TAG)), kinds));
}

static int scalar_value(struct build *b, const yaml_event_t *event, json_t **out) {
    static const char *const texts[] = {"str", NULL};
    static const char *const typed[] = {"null", "bool", "int", "float", NULL};
    const yaml_char_t *tag = event->data.scalar.tag;
    struct fl_str text =
        fl_str_n((const char *)event->data.scalar.value, event->data.scalar.length);
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    bool as_text = tag && (strcmp((const char *)tag, "!") == 0 || is_core_tag(tag, texts));
    if (!as_text && !is_core_tag(tag, typed)) return fail_at(b, event, "unknown tag");
    *out = plain && !as_text ? plain_scalar(text) : json_stringn(text.p, text.n);
    return *out ? 0 : fl_fail_nomem(b->err);
}

/* --- the tree --- */

static bool wants_key(const struct build *b) {
    return b->depth && json_is_object(b->open[b->depth - 1]) && !b->keys[b->depth - 1];
}

static int take_key(struct build *b, const yaml_event_t *event) {
    static const char *const any[] = {"str", "null", "bool", "int", "float", NULL};
    struct fl_str key = fl_str_n((const char *)event->data.scalar.value, event->data.scalar.length);
    if (!is_core_tag(event->data.scalar.tag, any)) return fail_at(b, event, "unknown tag");
    if (memchr(key.p, '\0', key.n)) return fail_at(b, event, "key with a NUL in it");
    if (json_object_get(b->open[b->depth - 1], key.p))
        return fl_fail(b->err, FL_EPROTO, "line %zu, column %zu: key %.64s stands twice",
                       event->start_mark.line + 1, event->start_mark.column + 1, key.p);
    b->keys[b->depth - 1] = fl_str_dup(key);
    return b->keys[b->depth - 1] ? 0 : fl_fail_nomem(b->err);
}

/* Puts a value where it belongs; takes it also on failure. */
static int take_value(struct build *b, json_t *value) {
    int rc;
    if (b->depth == 0) {
        b->root = value;
        return 0;
    }
    json_t *parent = b->open[b->depth - 1];
    if (json_is_array(parent)) {
        rc = json_array_append_new(parent, value);
    } else {
        rc = json_object_set_new(parent, b->keys[b->depth - 1], value);
        fl_free(b->keys[b->depth - 1]);
        b->keys[b->depth - 1] = NULL;
    }
    return rc ? fl_fail_nomem(b->err) : 0;
}

static int take_scalar(struct build *b, const yaml_event_t *event) {
    json_t *value = NULL;
    if (wants_key(b)) return take_key(b, event);
    int rc = scalar_value(b, event, &value);
    return rc ? rc : take_value(b, value);
}

static int open_container(struct build *b, const yaml_event_t *event, const yaml_char_t *tag) {
    static const char *const kinds[] = {"map", "seq", NULL};
    if (wants_key(b)) return fail_at(b, event, "key that is no text");
    if (b->depth == FL_YAML_DEPTH_MAX) return fail_at(b, event, "nested too deeply");
    if (!is_core_tag(tag, kinds)) return fail_at(b, event, "unknown tag");
    json_t *container = event->type == YAML_MAPPING_START_EVENT ? json_object() : json_array();
    if (!container) return fl_fail_nomem(b->err);
    int rc = take_value(b, container);
    if (!rc) b->open[b->depth++] = container;
    return rc;
}

static int take_event(struct build *b, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return b->documents++ ? fail_at(b, event, "a second document") : 0;
    case YAML_SCALAR_EVENT:
        return take_scalar(b, event);
    case YAML_MAPPING_START_EVENT:
        return open_container(b, event, event->data.mapping_start.tag);
    case YAML_SEQUENCE_START_EVENT:
        return open_container(b, event, event->data.sequence_start.tag);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        b->depth--;
        return 0;
    case YAML_ALIAS_EVENT:
        return fail_at(b, event, "aliases are not supported: write the value out");
    case YAML_STREAM_END_EVENT:
        b->ended = true;
        return 0;
    default:
        return 0;
    }
}

/* --- what libyaml gives back to malloc may have been a secret --- */

static void event_delete(yaml_event_t *event) {
    if (event->type == YAML_SCALAR_EVENT)
        explicit_bzero(event->data.scalar.value, event->data.scalar.length);
    yaml_event_delete(event);
}

static void wipe_range(void *start, void *end) {
    if (start) explicit_bzero(start, (size_t)((char *)end - (char *)start));
}

static void parser_delete(yaml_parser_t *parser) {
    wipe_range(parser->raw_buffer.start, parser->raw_buffer.end);
    wipe_range(parser->buffer.start, parser->buffer.end);
    yaml_parser_delete(parser);
}

static int build(struct build *b) {
    int rc = 0;
    while (!rc && !b->ended) {
        yaml_event_t event;
        if (!yaml_parser_parse(&b->parser, &event)) return parser_failed(b);
        rc = take_event(b, &event);
        event_delete(&event);
    }
    if (!rc && !b->root) b->root = json_null();
    return rc;
}

int fl_yaml_parse(struct fl_str text, json_t **out, struct fl_error *err) {
    struct build b = {.err = err};
    *out = NULL;
    if (text.n > FL_YAML_TEXT_MAX)
        return fl_fail(err, FL_ETOO_LARGE, "%zu bytes of YAML, at most %zu", text.n,
                       FL_YAML_TEXT_MAX);
    if (!yaml_parser_initialize(&b.parser)) return fl_fail_nomem(err);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
    int rc = build(&b);
    parser_delete(&b.parser);
    for (size_t i = 0; i < b.depth; i++) fl_free(b.keys[i]);
    if (rc)
        json_decref(b.root);
    else
        *out = b.root;
    return rc;
}
