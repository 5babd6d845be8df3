/* listwatch.h - one collection kept equal to the API server's: a reflector and its store, driven by
 * a client on a loop, and audited from time to time. What it counts: listwatch_metrics.h.
 *
 * One loop's thread. No event is called before fl_listwatch_new returned, none after
 * fl_listwatch_close was called. */
#ifndef FL_KUBE_LISTWATCH_H
#define FL_KUBE_LISTWATCH_H

#include "base/io.h"
#include "kube/client.h"
#include "kube/reflector.h"
#include "kube/store.h"

struct fl_listwatch;

struct fl_listwatch_events {
    fl_kube_tap *on_change;
    void (*on_synced)(void *arg); /* after each complete list */
    /* As the reflector's; after each failure. May close the listwatch. */
    void (*on_trouble)(void *arg, const struct fl_error *why);
    /* Decisions, for a log line; NULL: nobody listens. Counted in metrics in any case. */
    void (*on_note)(void *arg, enum fl_reflector_note note);
};

struct fl_listwatch_options {
    struct fl_kube_client *client; /* outlives the listwatch */
    enum fl_k8s_kind kind;
    struct fl_str ns; /* empty: all namespaces */
    struct fl_str label_selector, field_selector;
    struct fl_str service; /* for log lines: the one it is about, "ns/name"; empty: many */
    uint64_t audit_ms;     /* the audit's interval; 0: FL_AUDIT_INTERVAL_MS (audit.h) */
};

FL_MUST int fl_listwatch_new(struct fl_io *io, const struct fl_listwatch_options *options,
                             const struct fl_listwatch_events *events, void *arg,
                             struct fl_listwatch **out, struct fl_error *err); /* FL_ENOMEM */
/* `done` is called once, later, when the request under way is over and the memory is gone. */
void fl_listwatch_close(struct fl_listwatch *lw, void (*done)(void *arg), void *arg);

/* Somebody waits: what a backoff holds back is asked now, unless the server said when. */
void fl_listwatch_hurry(struct fl_listwatch *lw);

const struct fl_kube_store *fl_listwatch_store(const struct fl_listwatch *lw);
bool fl_listwatch_synced(const struct fl_listwatch *lw);
/* The version up to which the store is complete, as a number; 0: none yet, or opaque. */
uint64_t fl_listwatch_version(const struct fl_listwatch *lw);
/* When the server last proved that what is in the store is current; 0: never. */
uint64_t fl_listwatch_proof_ms(const struct fl_listwatch *lw);
/* Until when that is proof enough: 45 s later, of one that never was from the start on. */
uint64_t fl_listwatch_fresh_until_ms(const struct fl_listwatch *lw);
/* For how long, beyond the 45 s that a server may be quiet, there was no proof; 0: fresh. Counts
 * from the start before the first one. */
uint64_t fl_listwatch_stale_ms(const struct fl_listwatch *lw);

#endif
