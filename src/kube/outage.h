/* outage.h - who may ask a server that does not answer, and when.
 *
 * Shared by all that ask one server. While it answers everybody may. When a request fails on the
 * way to it, or it says "not now", nobody may until a backoff has passed, and then one, the scout,
 * may try: so an outage costs one attempt per cap of the backoff however many wait (W12). When any
 * request is answered the outage is over and those who wait are told, each with its own moment
 * within a window that grows with their number. Pure: no clock, no I/O. One loop's thread. */
#ifndef FL_KUBE_OUTAGE_H
#define FL_KUBE_OUTAGE_H

#include "base/backoff.h"
#include "base/error.h"
#include "base/list.h"

struct fl_outage {
    struct fl_backoff backoff;
    struct fl_random random;
    struct fl_list waiters;
    size_t waiter_count;
    uint64_t next_ms; /* nobody tries before */
    uint32_t round;   /* rises with each failure that counts */
    bool on;
    bool dictated;     /* the server said when: nobody may hurry */
    uint64_t hurry_ms; /* nor before this */
    const void *scout; /* whose attempt is under way, NULL: nobody's */
    struct fl_error why;
};

/* Somebody who wants to know when an outage is over. `on_over` must not change the list. */
struct fl_outage_waiter {
    struct fl_list link;
    void (*on_over)(struct fl_outage_waiter *waiter, uint64_t at_ms);
};

void fl_outage_init(struct fl_outage *outage, uint64_t seed);
void fl_outage_join(struct fl_outage *outage, struct fl_outage_waiter *waiter,
                    void (*on_over)(struct fl_outage_waiter *waiter, uint64_t at_ms));
void fl_outage_leave(struct fl_outage *outage, struct fl_outage_waiter *waiter);

/* May `who` make a request now? If not, *again_ms is when to ask again at the latest. In an outage
 * the one who may is the scout, until it tells how that went. */
FL_MUST bool fl_outage_may_try(struct fl_outage *outage, const void *who, uint64_t now_ms,
                               uint64_t *again_ms);
/* A request that was made in `round` failed: when the next one may be made. Of requests made before
 * the outage was noticed only the first counts. */
uint64_t fl_outage_failed(struct fl_outage *outage, const void *who, uint32_t round,
                          uint64_t now_ms, uint64_t retry_after_ms, const struct fl_error *why);
void fl_outage_answered(struct fl_outage *outage, const void *who, uint64_t now_ms);
/* Somebody cannot wait: may a request be made now, or, in an outage, may the next scout try now
 * instead of after the backoff? Not when the server said when, and not for everybody who asks one
 * after the other. */
FL_MUST bool fl_outage_hurry(struct fl_outage *outage, uint64_t now_ms);
/* `who` has ended without finding out. */
void fl_outage_forget(struct fl_outage *outage, const void *who);

/* Whether a request that ended with `code` says that the server cannot be reached, rather than
 * something about that request or this side. */
bool fl_outage_is(int code);
/* Whether an answer's status says "not now", of the server rather than of what was asked for. */
bool fl_outage_is_status(int status);

#endif
