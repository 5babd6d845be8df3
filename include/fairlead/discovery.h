/* discovery.h - where a service lives now.
 *
 * fl_discovery holds the watches; they are shared by everybody who subscribes to the same service
 * and live as long as one subscriber does, whatever channels do. A subscriber gets the newest set,
 * then each newer one; what it was too slow to see is skipped, never reordered. */
#ifndef FAIRLEAD_DISCOVERY_H
#define FAIRLEAD_DISCOVERY_H

#include <fairlead/runtime.h>

FL_C_BEGIN

struct fl_discovery;
struct fl_subscription;
struct fl_set;

/* Four answers that are never confused. */
enum fl_set_state {
    FL_SET_UNKNOWN, /* nothing heard yet */
    FL_SET_ABSENT,  /* there is no such service */
    FL_SET_EMPTY,   /* the service exists; nothing may take calls */
    FL_SET_SOME,    /* there are endpoints that may take calls, or an external name */
};

/* Zero-initialised: the configuration that kubectl would use, or the in-cluster one. */
struct fl_discovery_options {
    const char *kubeconfig; /* path; NULL: $KUBECONFIG, in-cluster, ~/.kube/config */
    const char *context;    /* of the kubeconfig; NULL: its current one */
    /* A file in which the newest sets are kept, to start from when the API server does not answer;
     * NULL: none. What comes from it is marked (fl_set_is_snapshot), stale, and yields to the first
     * live answer. */
    const char *snapshot;
};

#define FL_HINTS_MAX 8 /* of each kind, as the API server validates */

/* One endpoint and one port of it. Strings are borrowed from the set it came from. */
struct fl_endpoint {
    char address[256];        /* IPv4, IPv6 (no brackets) or a host name */
    uint16_t port;            /* the pod's port (target port), never the service's */
    const char *port_name;    /* "" if it has none */
    const char *protocol;     /* "TCP", "UDP", "SCTP" */
    const char *app_protocol; /* "" if not given */
    bool ready;               /* absent means true (EndpointConditions, discovery.k8s.io/v1) */
    bool serving;             /* absent means true */
    bool terminating;
    const char *node; /* "" if not given */
    const char *zone; /* "" if not given */
    char pod[256];    /* name of the target object; "" if there is none */
    uint8_t uid[16];  /* identity: the pod's uid; zeros if there is none */
    /* Hints (EndpointHints, discovery.k8s.io/v1): the zones and nodes whose clients should prefer
     * this endpoint; none: it has no hint of that kind. */
    const char *for_zones[FL_HINTS_MAX], *for_nodes[FL_HINTS_MAX];
    uint8_t for_zone_count, for_node_count;
};

/* How one endpoint differs between two sets. An endpoint is its address, port and protocol: where
 * one of these changes, one endpoint is removed and another added. */
enum fl_change_kind { FL_CHANGE_ADDED, FL_CHANGE_REMOVED, FL_CHANGE_CHANGED };

/* Bits of fl_change.what for FL_CHANGE_CHANGED. */
enum {
    FL_CHANGED_READY = 1 << 0,
    FL_CHANGED_SERVING = 1 << 1,
    FL_CHANGED_TERMINATING = 1 << 2,
    FL_CHANGED_IDENTITY = 1 << 3, /* the address belongs to another pod now */
    FL_CHANGED_PLACE = 1 << 4,    /* node or zone */
    FL_CHANGED_PORT = 1 << 5,     /* name or application protocol of the port */
    FL_CHANGED_HINTS = 1 << 6,    /* zones or nodes that should prefer it */
};

struct fl_change {
    enum fl_change_kind kind;
    unsigned what;               /* FL_CHANGED_* */
    struct fl_endpoint endpoint; /* as it is now; for FL_CHANGE_REMOVED as it was */
};

/* Makes a discovery with the Kubernetes and static providers. Reads configuration at the first
 * Kubernetes subscription, not here. The caller owns *out and ends it with fl_discovery_close.
 * Any thread. Errors: FL_ENOMEM. */
FL_API FL_MUST int fl_discovery_new(struct fl_runtime *runtime,
                                    const struct fl_discovery_options *options,
                                    struct fl_discovery **out, struct fl_error *err);

/* Ends it; all subscriptions and channels on it must be closed first. `done` is called once on the
 * runtime's loop, after which nothing of it is used; may be NULL. Any thread. */
FL_API void fl_discovery_close(struct fl_discovery *discovery, void (*done)(void *arg), void *arg);

/* The newest set, on the subscriber's loop. `set` is borrowed for the call: fl_set_ref to keep it.
 * `previous` is what the same subscriber was given before, NULL at the first call. `trouble` is
 * NULL while the source answers; otherwise why it does not, and the set is the last that was known.
 */
typedef void fl_set_cb(void *arg, struct fl_set *set, struct fl_set *previous,
                       const struct fl_error *trouble);

/* Subscribes to `target`: kubernetes:///[namespace/]service[:port], static:a:1,b:2 or host:port; a
 * bare service[:port] is not a target. Without a port a Kubernetes service's set holds all its
 * ports. The callback runs on `runtime`, which may be another one than the discovery's. The caller
 * owns *out and ends it with fl_subscription_close. Any thread. Errors: FL_ENOMEM, FL_EUSAGE (the
 * target; detail says which part), FL_ECONFIG, FL_EFULL. What is found out later (no such port,
 * refused credentials) arrives as `trouble`. */
FL_API FL_MUST int fl_discovery_subscribe(struct fl_discovery *discovery,
                                          struct fl_runtime *runtime, const char *target,
                                          fl_set_cb *cb, void *arg, struct fl_subscription **out,
                                          struct fl_error *err);

/* Ends it. No call of the subscription's callback begins after `done` did, which is called exactly
 * once, on the subscriber's loop; may be NULL. Any thread. */
FL_API void fl_subscription_close(struct fl_subscription *subscription, void (*done)(void *arg),
                                  void *arg);

/* Sets are immutable and may be used from any thread by whoever holds a reference. */
FL_API struct fl_set *fl_set_ref(struct fl_set *set);
FL_API struct fl_set *fl_set_unref(struct fl_set *set); /* returns NULL; NULL is allowed */

FL_API enum fl_set_state fl_set_state(const struct fl_set *set);
FL_API const char *fl_set_state_name(enum fl_set_state state); /* "some", "empty", … static */
FL_API const char *fl_set_service(const struct fl_set *set);   /* "namespace/name", or the target */
FL_API uint64_t fl_set_version(const struct fl_set *set); /* our counter, rises with each set */
FL_API const char *fl_set_external_name(const struct fl_set *set); /* NULL unless ExternalName */

/* What a source may be quiet for: a PING after 30 s of silence, and 15 s for its answer. */
#define FL_FRESH_MS 45000

/* Milliseconds for which the source gave no sign of life, beyond FL_FRESH_MS; 0 while it is fresh.
 */
FL_API uint64_t fl_set_stale_ms(const struct fl_set *set);

/* True: read from the snapshot file; nothing was heard from the source yet. fl_set_stale_ms is then
 * the whole time since the source's last proof of life before the file was written. */
FL_API bool fl_set_is_snapshot(const struct fl_set *set);

/* True: the source told that there are more endpoints than it gave: an Endpoints object, read where
 * the server has no EndpointSlices, holds 1,000 at most. */
FL_API bool fl_set_is_truncated(const struct fl_set *set);

/* Calls `each` for every endpoint of the set, duplicates merged, ordered by address, port and
 * protocol. Endpoint and strings are borrowed for the call. Any thread that holds a reference. */
FL_API void fl_set_each(const struct fl_set *set,
                        void (*each)(void *arg, const struct fl_endpoint *endpoint), void *arg);

/* Calls `each` for every difference that turns `previous` (NULL: nothing) into `set`, ordered by
 * address, port and protocol. Any thread that holds references. Errors: FL_ENOMEM. */
FL_API FL_MUST int fl_set_diff(const struct fl_set *previous, const struct fl_set *set,
                               void (*each)(void *arg, const struct fl_change *change), void *arg);

FL_C_END

#endif
