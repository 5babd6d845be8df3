/* plan.h - what a seed decides before its world begins, in parts that can be left out one by one.
 *
 * Two kinds of worlds. WHOLE: one service whose pods are real gRPC servers, discovery, channels and
 * callers. DISCOVERY: no calls; up to 20 services changed in the cluster directly, several clients
 * that come and go, and every fault of the API server.
 *
 * A plan is a list of parts: traits of the world and orders. What is set up at the start are orders
 * of time 0, so that a part that is left out leaves a world in which all others still mean the
 * same. Part numbers begin with 1 and stay what they are when others are left out. */
#ifndef FL_TEST_PLAN_H
#define FL_TEST_PLAN_H

#include "base/random.h"
#include "sim/fault.h"

#define PLAN_ORDERS_MAX   160
#define PLAN_SERVICES_MAX 20
#define PLAN_CLIENTS_MAX  3
#define PLAN_CALLERS_MAX  6
#define PLAN_LONG_MS      120000 /* an outage that is counted */

enum plan_kind { PLAN_WHOLE, PLAN_DISCOVERY };

#define PLAN_TRAIT_MAP(X)                                                                          \
    X(CHOP, "bytes arrive in random pieces")                                                       \
    X(REORDER, "connections overtake one another")                                                 \
    X(SLOW, "a network of 1 to 40 ms")                                                             \
    X(NO_STREAMING, "a server without streaming lists")                                            \
    X(NO_SLICES, "a server without EndpointSlices")                                                \
    X(NO_PROTOBUF, "a server without protobuf")                                                    \
    X(TOKEN, "a server that wants a token")                                                        \
    X(HTTP2, "the mirrors speak HTTP/2")                                                           \
    X(SNAPSHOT, "clients keep a snapshot file")                                                    \
    X(SMALL_SLICES, "slices of at most 2 endpoints")                                               \
    X(FEW_ADDRESSES, "pods get addresses of others that are gone")                                 \
    X(VIOLENCE, "pods are killed and cut off")                                                     \
    X(IDLE, "channels go idle after a moment")                                                     \
    X(STREAMS, "some talk in both directions")                                                     \
    X(MANAGER, "some hold connections of a connection manager")                                    \
    X(HEALTH, "pods are asked for their health")                                                   \
    X(RETRIES, "calls are tried again by a policy, or hedged")                                     \
    X(PLAIN, "some ask by plain HTTP")                                                             \
    X(RESTLESS, "pods change whenever a channel goes idle or wakes")

enum plan_trait {
#define PLAN_X(name, text) PLAN_TRAIT_##name,
    PLAN_TRAIT_MAP(PLAN_X)
#undef PLAN_X
        PLAN_TRAITS
};

/* X(NAME, "words"): service, client, count and for_ms as far as the words need them. */
#define PLAN_ORDER_MAP(X)                                                                          \
    X(SERVICE, "service is made")                                                                  \
    X(SERVICE_DELETE, "service is deleted for a while")                                            \
    X(EXTERNAL, "service becomes an external name for a while")                                    \
    X(PODS_ADD, "pods are added")                                                                  \
    X(PODS_READY, "all pods become ready")                                                         \
    X(PODS_UNREADY, "pods become unready")                                                         \
    X(PODS_LEAVE, "pods terminate")                                                                \
    X(PODS_DELETE, "terminating pods are deleted")                                                 \
    X(SCALE_TO_0, "all pods are deleted")                                                          \
    X(SUBSCRIBE, "a client subscribes")                                                            \
    X(UNSUBSCRIBE, "a client unsubscribes")                                                        \
    X(RESTART, "a client is started anew")                                                         \
    X(FLIP, "new connections go to the other API server")                                          \
    X(CUT, "all connections to the API server are reset")                                          \
    X(REFUSE, "the API server is gone for a while")                                                \
    X(BLACKHOLE, "nothing arrives from the API server or at it for a while")                       \
    X(FAULT, "the API server misbehaves")                                                          \
    X(END_WATCHES, "the API server ends all watches")                                              \
    X(COMPACT, "history is compacted")                                                             \
    X(ROLL, "a rolling update")                                                                    \
    X(SCALE, "scaled")                                                                             \
    X(KILL, "a pod is killed")                                                                     \
    X(POD_CUT, "all connections to a pod are reset")                                               \
    X(POD_SILENT, "nothing arrives from a pod or at it for a while")                               \
    X(REST, "nobody calls for a while")                                                            \
    X(PORTS, "the service has no port but the excluded one for a while")                           \
    X(RENEW, "the connection manager is closed and another takes its place")

enum order_kind {
#define PLAN_X(name, text) ORDER_##name,
    PLAN_ORDER_MAP(PLAN_X)
#undef PLAN_X
        ORDER_KINDS
};

struct order {
    enum order_kind kind;
    uint64_t at_ms; /* from the start; 0: before it */
    unsigned service, client, count;
    uint32_t for_ms;
    enum fl_fault_kind fault;
    bool kept;
};

struct plan {
    uint64_t seed;
    enum plan_kind kind;
    bool traits[PLAN_TRAITS];
    uint32_t bookmark_ms;
    unsigned services, clients, callers;
    uint32_t pause_ms_max; /* between two calls */
    uint32_t idle_ms;      /* of channels; 0: as usual */
    uint64_t faults_ms;    /* how long orders come */
    struct order orders[PLAN_ORDERS_MAX];
    size_t order_count;
};

enum plan_choice { PLAN_ANY, PLAN_ONLY_WHOLE, PLAN_ONLY_DISCOVERY };
void plan_make(struct plan *plan, uint64_t seed, enum plan_choice choice);

/* --- parts --- */
#define PLAN_PARTS_MAX (PLAN_TRAITS + PLAN_ORDERS_MAX)
static inline size_t plan_parts(const struct plan *plan) { return PLAN_TRAITS + plan->order_count; }
/* Parts have numbers 1 to plan_parts. */
bool plan_has(const struct plan *plan, size_t part);
void plan_set(struct plan *plan, size_t part, bool kept);
/* What a part is, in words; at most `size` bytes. */
void plan_say(const struct plan *plan, size_t part, char *out, size_t size);
bool plan_has_fault(const struct plan *plan, enum fl_fault_kind fault);
bool plan_has_order(const struct plan *plan, enum order_kind kind);
/* Is there something after which a watch may be silent, and its sets rightly stale? */
bool plan_has_silence(const struct plan *plan);
/* Within how long after the last order the truth must be known. */
uint64_t plan_settle_ms(const struct plan *plan);

static inline uint64_t plan_draw(struct fl_random *r, uint64_t low, uint64_t high) {
    return low + fl_random_below(r, high - low + 1);
}
static inline bool plan_chance(struct fl_random *r, unsigned percent) {
    return fl_random_below(r, 100) < percent;
}

#endif
