/* selector.c - see selector.h. A requirement ends at the next comma outside parentheses. */
#include "sim/selector.h"

/* --- reading --- */

static struct fl_str next_term(struct fl_str *rest) {
    size_t i = 0;
    for (int depth = 0; i < rest->n && (depth > 0 || rest->p[i] != ','); i++) {
        depth += rest->p[i] == '(';
        depth -= rest->p[i] == ')';
    }
    struct fl_str term = fl_str_trim(fl_str_n(rest->p, i));
    *rest = fl_str_from(*rest, i + 1);
    return term;
}

static int bad(struct fl_error *err, const char *what, struct fl_str text) {
    return fl_fail(err, FL_EUSAGE, "%s: \"%.*s\"", what, (int)FL_MIN(text.n, (size_t)100),
                   text.n ? text.p : "");
}

static int add_value(struct fl_selector *s, struct fl_selector_term *term, struct fl_str value,
                     struct fl_error *err) {
    if (s->value_count == FL_SELECTOR_VALUES_MAX) return bad(err, "selector too long", value);
    s->values[s->value_count++] = fl_str_trim(value);
    term->count++;
    return 0;
}

/* "key in (a,b)", "key notin (a)"; `open` is where the parenthesis stands. */
static int parse_set(struct fl_selector *s, struct fl_selector_term *term, struct fl_str text,
                     size_t open, struct fl_error *err) {
    struct fl_str head = fl_str_trim(fl_str_n(text.p, open)), value;
    struct fl_str list = fl_str_from(text, open + 1);
    int rc = 0;
    if (!fl_str_ends(text, FL_STR(")"))) return bad(err, "unable to parse requirement", text);
    list.n--;
    if (fl_str_ends(head, FL_STR(" notin"))) {
        term->negated = true;
        head.n -= 6;
    } else if (fl_str_ends(head, FL_STR(" in"))) {
        head.n -= 3;
    } else {
        return bad(err, "unable to parse requirement, want in or notin", text);
    }
    term->key = fl_str_trim(head);
    do {
        fl_str_split(list, ',', &value, &list);
        rc = add_value(s, term, value, err);
    } while (!rc && list.n);
    return rc;
}

static int parse_plain(struct fl_selector *s, struct fl_selector_term *term, struct fl_str text,
                       struct fl_error *err) {
    struct fl_str value;
    if (!fl_str_split(text, '=', &term->key, &value)) {
        term->exists = true;
        term->negated = fl_str_starts(text, FL_STR("!"));
        term->key = fl_str_trim(fl_str_from(text, term->negated));
        return 0;
    }
    if (fl_str_ends(term->key, FL_STR("!"))) {
        term->negated = true;
        term->key.n--;
    }
    if (fl_str_starts(value, FL_STR("="))) value = fl_str_from(value, 1);
    term->key = fl_str_trim(term->key);
    return add_value(s, term, value, err);
}

static bool is_known_field(struct fl_str key, enum fl_k8s_kind kind) {
    if (fl_str_eq(key, FL_STR("metadata.name")) || fl_str_eq(key, FL_STR("metadata.namespace")))
        return true;
    return kind == FL_K8S_POD &&
           (fl_str_eq(key, FL_STR("spec.nodeName")) || fl_str_eq(key, FL_STR("status.phase")) ||
            fl_str_eq(key, FL_STR("status.podIP")));
}

static int add_term(struct fl_selector *s, struct fl_str text, bool field, enum fl_k8s_kind kind,
                    struct fl_error *err) {
    if (s->term_count == FL_SELECTOR_TERMS_MAX) return bad(err, "selector too long", text);
    struct fl_selector_term *term = &s->terms[s->term_count++];
    *term = (struct fl_selector_term){.field = field, .first = s->value_count};
    const char *open = memchr(text.p, '(', text.n);
    int rc = open && !field ? parse_set(s, term, text, (size_t)(open - text.p), err)
                            : parse_plain(s, term, text, err);
    if (rc) return rc;
    if (!term->key.n) return bad(err, "unable to parse requirement", text);
    if (field && (term->exists || !is_known_field(term->key, kind)))
        return bad(err, "field label not supported", term->key);
    return 0;
}

int fl_selector_add(struct fl_selector *selector, struct fl_str text, bool field,
                    enum fl_k8s_kind kind, struct fl_error *err) {
    int rc = 0;
    while (text.n && !rc) {
        struct fl_str term = next_term(&text);
        if (term.n) rc = add_term(selector, term, field, kind, err);
    }
    return rc;
}

/* --- selecting --- */

static bool holds(const struct fl_selector *s, const struct fl_selector_term *term,
                  const struct fl_object *object) {
    struct fl_str value;
    bool found = term->field ? fl_object_field(object, term->key, &value)
                             : fl_object_label(object, term->key, &value);
    bool equal = term->exists;
    for (size_t i = 0; i < term->count && !equal; i++)
        equal = fl_str_eq(value, s->values[term->first + i]);
    return (found && equal) != term->negated;
}

bool fl_selector_selects(const struct fl_selector *selector, const struct fl_object *object) {
    for (size_t i = 0; i < selector->term_count; i++)
        if (!holds(selector, &selector->terms[i], object)) return false;
    return true;
}
