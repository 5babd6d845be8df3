/* audit.h - finds out, from time to time, whether a store that is kept by a watch is true (W3).
 *
 * At a slow, jittered interval a consistent list of the collection's metadata is read beside the
 * watch and compared with the store, once that has passed the list's version. What differs is
 * repaired where that is cheap, else a relist is wanted. It is silent: an audit that fails is
 * counted and made again an interval later.
 *
 * A machine without I/O, driven like the reflector. One loop's thread. */
#ifndef FL_KUBE_AUDIT_H
#define FL_KUBE_AUDIT_H

#include "kube/reflector.h"

struct fl_audit;

#define FL_AUDIT_INTERVAL_MS                                                                       \
    ((uint64_t)10 * 60 * 1000) /* between half and one and a half of it                            \
                                */

/* How an audit can end; X(NAME, "label"). */
#define FL_AUDIT_OUTCOME_MAP(X)                                                                    \
    X(AGREED, "agreed")                                                                            \
    X(REPAIRED, "repaired")     /* extra objects were removed */                                   \
    X(DIVERGED, "diverged")     /* a relist is wanted */                                           \
    X(SUPERSEDED, "superseded") /* a list came in between */                                       \
    X(FAILED, "failed")

enum fl_audit_outcome {
#define FL_X(name, label) FL_AUDIT_##name,
    FL_AUDIT_OUTCOME_MAP(FL_X)
#undef FL_X
        FL_AUDIT_OUTCOMES
};
const char *fl_audit_outcome_name(enum fl_audit_outcome outcome);

struct fl_audit_result {
    enum fl_audit_outcome outcome;
    size_t differences[FL_KUBE_DIFFERENCES];
    struct fl_error why; /* FAILED */
};

struct fl_audit_options {
    enum fl_k8s_kind kind;
    struct fl_str ns, label_selector, field_selector; /* as the reflector's */
    struct fl_kube_store *store;                      /* outlives the audit */
    struct fl_kube_server *server;                    /* likewise */
    uint64_t interval_ms;                             /* 0: FL_AUDIT_INTERVAL_MS */
    uint64_t now_ms, seed;
};

/* Called from within the inputs and fl_audit_next. */
typedef void fl_audit_done(void *arg, const struct fl_audit_result *result);

FL_MUST int fl_audit_new(const struct fl_audit_options *options, fl_audit_done *done, void *arg,
                         struct fl_audit **out); /* FL_ENOMEM */
void fl_audit_free(struct fl_audit *audit);      /* NULL is allowed */

/* Where the watch beside it is. */
struct fl_audit_view {
    bool watching;
    struct fl_str position;
};

/* As the reflector's of the same names. */
enum fl_reflector_action fl_audit_next(struct fl_audit *audit, uint64_t now_ms,
                                       const struct fl_audit_view *view,
                                       struct fl_reflector_request *request);
uint64_t fl_audit_deadline_ms(const struct fl_audit *audit);
void fl_audit_response(struct fl_audit *audit, uint64_t now_ms, int status,
                       struct fl_str content_type);
void fl_audit_data(struct fl_audit *audit, uint64_t now_ms, struct fl_str bytes);
void fl_audit_closed(struct fl_audit *audit, uint64_t now_ms, const struct fl_error *why);

#endif
