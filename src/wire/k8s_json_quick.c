/* k8s_json_quick.c - see k8s_json_quick.h. One thread.
 *
 * Go writes the fields of a struct in the order of their declaration, without spaces. So whoever
 * knows the type knows nearly every byte between the values, and compares them as a whole where a
 * tokenizer looks at each. What is compared is an exact text, never "something like it": anything
 * else, were it but a space, an escape, a letter that is no ASCII, is left to the tokenizer, so
 * that nothing is read here otherwise than there. */
#include "wire/k8s_json_quick.h"

#include "wire/json_scan.h"

struct cursor {
    const char *p, *end;
};

static inline bool take_literal(struct cursor *c, struct fl_str literal) {
    if ((size_t)(c->end - c->p) < literal.n || memcmp(c->p, literal.p, literal.n) != 0)
        return false;
    c->p += literal.n;
    return true;
}

#define TAKE(c, literal) take_literal((c), FL_STR(literal))

/* The rest of a string, its opening quote read. */
static inline bool take_string(struct cursor *c, struct fl_str *out) {
    bool high = false;
    const char *stop = fl_json_scan_string(c->p, c->end, &high);
    if (stop == c->end || *stop != '"' || high) return false;
    *out = fl_str_n(c->p, (size_t)(stop - c->p));
    c->p = stop + 1;
    return true;
}

static inline bool take_bool(struct cursor *c, int8_t *out) {
    *out = TAKE(c, "true");
    return *out || TAKE(c, "false");
}

static inline bool take_address(struct cursor *c, struct fl_k8s_endpoint *out) {
    out->has_address = true;
    return TAKE(c, "\"addresses\":[\"") && take_string(c, &out->address) && TAKE(c, "]");
}

static inline bool take_conditions(struct cursor *c, struct fl_k8s_endpoint *out) {
    return TAKE(c, ",\"conditions\":{\"ready\":") && take_bool(c, &out->ready) &&
           TAKE(c, ",\"serving\":") && take_bool(c, &out->serving) &&
           TAKE(c, ",\"terminating\":") && take_bool(c, &out->terminating) && TAKE(c, "}");
}

static inline bool take_target(struct cursor *c, struct fl_k8s_endpoint *out) {
    struct fl_str ns;
    if (!TAKE(c, ",\"targetRef\":{\"kind\":\"Pod\",\"namespace\":\"")) return true;
    return take_string(c, &ns) && TAKE(c, ",\"name\":\"") && take_string(c, &out->pod) &&
           TAKE(c, ",\"uid\":\"") && take_string(c, &out->uid) && TAKE(c, "}");
}

/* One zone, as hints nearly always are. */
static inline bool take_hints(struct cursor *c, struct fl_k8s_reader *reader,
                              struct fl_k8s_endpoint *out) {
    struct fl_str zone;
    if (!TAKE(c, ",\"hints\":{\"forZones\":[{\"name\":\"")) return true;
    if (!take_string(c, &zone) || !TAKE(c, "}]}")) return false;
    fl_k8s_reader_start_hints(reader, out);
    fl_k8s_reader_hint(reader, true, zone);
    return true;
}

size_t fl_k8s_json_quick(struct fl_k8s_reader *reader, struct fl_str text,
                         struct fl_k8s_endpoint *out) {
    struct cursor c = {text.p, text.p + text.n};
    if (!take_address(&c, out) || !take_conditions(&c, out) || !take_target(&c, out)) return 0;
    if (TAKE(&c, ",\"nodeName\":\"") && !take_string(&c, &out->node)) return 0;
    if (TAKE(&c, ",\"zone\":\"") && !take_string(&c, &out->zone)) return 0;
    if (!take_hints(&c, reader, out) || !TAKE(&c, "}")) return 0;
    return (size_t)(c.p - text.p);
}
