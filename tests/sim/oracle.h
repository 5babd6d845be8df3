/* oracle.h - what must hold in every simulated world in which calls are made.
 *
 *  1. No call goes to an endpoint that is absent from the set it was picked from, or may not take
 *     calls by that set. (The sets are the subscriber's own, by version; a pick from a version that
 *     the subscriber skipped is counted, not judged.)
 *  2. A subscriber never sees an older version after a newer one, and nothing after its close.
 *  3. At quiescence the subscriber's set is the cluster's truth: the same addresses, ports, flags
 *     and identities.
 *  4. Every call that was started ends exactly once.
 *  5. In a world where no pod is killed and no pod's connection cut, a call that nobody cancelled
 *     succeeds if, from FL_ORACLE_STEADY_MS before its start until its end, one and the same pod
 * was ready in the cluster and listed as usable in the subscriber's set. (What the API server does
 *     meanwhile, and which other pods come and go, must not matter.)
 *  6. A channel goes idle only without a call, and then has no connection.
 *  7. At quiescence every call succeeds, and every endpoint of the set gets calls from every
 * channel within FL_ORACLE_SHARE_MS.
 *
 * What is broken goes into the verdict. Of worlds without calls see view.h and mirror.h. */
#ifndef FL_TEST_ORACLE_H
#define FL_TEST_ORACLE_H

#include <fairlead/call.h>

#include "discovery/set.h"
#include "sim/sim.h"
#include "sim/store.h"
#include "sim/world.h"
#include "verdict.h"

#define FL_ORACLE_STEADY_MS  1500
#define FL_ORACLE_SHARE_MS   5000
#define ORACLE_EXCLUDED_PORT 10001 /* that a manager never means */

struct oracle_pod { /* one that was ready or usable at least once */
    uint8_t uid[16];
    uint64_t ready_since_ms, usable_since_ms; /* 0: it is not */
    bool listed;                              /* in the set being read */
};

struct oracle {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_store *store;
    struct fl_store_observer observer;
    const char *service; /* of namespace default */
    bool violence;       /* kills or cuts: no promise about calls */
    struct verdict *verdict;

    struct fl_set **sets; /* every one that the subscriber saw, in order */
    size_t set_count, set_cap;
    bool subscribed, troubled;

    struct oracle_pod *pods;
    size_t pod_count, pod_cap;

    uint64_t picks, unjudged;
    uint64_t calls, ended, succeeded, failed, cancelled, refused;
};

struct oracle_call {
    uint64_t started_ms;
    bool active, cancelled;
    /* 5 does not hold: a stream ends with its pod; while the Service is not known, nobody knows
     * which of its ports is meant. */
    bool excused;
    const uint8_t *uid; /* 5 is about this pod alone; NULL: any. Borrowed while it is open */
    bool hopeless;      /* it cannot succeed, and nobody expects it to */
};

void oracle_init(struct oracle *o, struct fl_world *world, struct fl_sim *sim, const char *service,
                 struct verdict *verdict);
void oracle_deinit(struct oracle *o);

void oracle_set(struct oracle *o, struct fl_set *set, const struct fl_error *trouble);
void oracle_pick(struct oracle *o, uint64_t version, const char *peer);
/* Does the set of this version have that pod there? True also if the subscriber skipped it. */
bool oracle_has(const struct oracle *o, uint64_t version, const char *peer, const uint8_t uid[16]);
void oracle_call_started(struct oracle *o, struct oracle_call *call);
void oracle_call_ended(struct oracle *o, struct oracle_call *call,
                       const struct fl_call_result *result);
/* `peer`: "address:port". */
bool oracle_is_at(const struct fl_endpoint *endpoint, const char *peer);
/* Endpoints of the newest set that may take calls. */
size_t oracle_usable(const struct oracle *o);
/* Does the subscriber know the Service, so that a port can be chosen that was not named? */
bool oracle_knows_ports(const struct oracle *o);
/* Is the newest set what the cluster says? `why` (of VERDICT_TEXT_MAX): what differs. */
bool oracle_converged(const struct oracle *o, char *why);

#endif
