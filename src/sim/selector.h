/* selector.h - label and field selectors as the API server reads them. Pure; one thread.
 *
 *     a=b  a==b  a!=b  a  !a  a in (b,c)  a notin (b,c)
 *
 * Source: kubernetes.io/docs/concepts/overview/working-with-objects/labels; a key that is not there
 * satisfies != and notin. */
#ifndef FL_SIM_SELECTOR_H
#define FL_SIM_SELECTOR_H

#include "sim/object.h"

#define FL_SELECTOR_TERMS_MAX  16
#define FL_SELECTOR_VALUES_MAX 64 /* of all terms together */

struct fl_selector_term {
    struct fl_str key;
    bool field;          /* of the object, not a label */
    bool exists;         /* without values */
    bool negated;        /* !key, !=, notin */
    size_t first, count; /* of its values */
};

struct fl_selector { /* zero-initialised: selects everything */
    struct fl_selector_term terms[FL_SELECTOR_TERMS_MAX];
    size_t term_count;
    struct fl_str values[FL_SELECTOR_VALUES_MAX];
    size_t value_count;
};

/* Adds the requirements of `text`, which must stay. FL_EUSAGE (the API server's words), FL_EFULL.
 */
FL_MUST int fl_selector_add(struct fl_selector *selector, struct fl_str text, bool field,
                            enum fl_k8s_kind kind, struct fl_error *err);
bool fl_selector_selects(const struct fl_selector *selector, const struct fl_object *object);

#endif
