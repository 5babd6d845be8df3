/* set.h - an endpoint set: an immutable, versioned array of block references.
 *
 * What the public fl_set_* functions read. An event that changes one slice makes a new set that
 * shares all other blocks. Sets may be used from any thread. */
#ifndef FL_DISCOVERY_SET_H
#define FL_DISCOVERY_SET_H

#include <fairlead/discovery.h>
#include <stdatomic.h>

#include "base/block.h"
#include "base/buf.h"
#include "base/list.h"

/* How long ago the source proved that it is alive, shared by all sets that come from it. The owner,
 * on its loop, tells it anew at least every second, so that readers, anywhere, need no clock. */
struct fl_freshness;
FL_MUST int fl_freshness_new(struct fl_freshness **out); /* fresh, without a proof yet */
struct fl_freshness *fl_freshness_ref(struct fl_freshness *freshness);
struct fl_freshness *fl_freshness_unref(struct fl_freshness *freshness); /* returns NULL */
/* `stale_ms` as of fl_set_stale_ms; `proof_wall_ms`, time of day, is kept in the snapshot file, 0:
 * there was no proof yet. */
void fl_freshness_tell(struct fl_freshness *freshness, uint64_t stale_ms, int64_t proof_wall_ms);
uint64_t fl_freshness_stale_ms(const struct fl_freshness *freshness);
int64_t fl_freshness_proof_wall_ms(const struct fl_freshness *freshness);
bool fl_freshness_is_shared(const struct fl_freshness *freshness); /* by more than its owner */
/* The owner, who gives its reference away, has ended; what it gave grows old from then on.
 * `orphans` is told to at least every second, and forgets those that nobody shows any more. */
void fl_freshness_take_orphan(struct fl_list *orphans, struct fl_freshness *freshness,
                              uint64_t fresh_until_ms);
void fl_freshness_tell_orphans(struct fl_list *orphans, uint64_t now_ms);
void fl_freshness_forget_orphans(struct fl_list *orphans); /* nobody is left to tell them */

/* A port of the service, as clients name it. Blocks carry the pods' ports under the same name. */
struct fl_set_port {
    struct fl_str name;
    uint16_t number;
    struct fl_str protocol; /* empty: TCP */
};

/* What a provider knows about one service. Everything is borrowed; the set copies and references.
 */
struct fl_set_spec {
    struct fl_str service;   /* "namespace/name" or the target's text */
    enum fl_set_state state; /* UNKNOWN, ABSENT, or SOME for "it exists": the set finds out itself
                                whether that is SOME or EMPTY */
    struct fl_block *const *blocks;
    size_t block_count;
    const struct fl_set_port *ports; /* none: ports are named by the blocks alone */
    size_t port_count;
    struct fl_str external_name;
    struct fl_freshness *freshness; /* NULL: always fresh */
    uint64_t event_us;              /* on the hub's clock, what it tells; 0: the hub's now */
    bool truncated;                 /* there are more endpoints than the source gave */
    bool snapshot;                  /* from the snapshot file, not from the source */
};

FL_MUST int fl_set_new(const struct fl_set_spec *spec, uint64_t version, struct fl_set **out);

/* Would a set made of `spec` show the same, from the same blocks? */
bool fl_set_is(const struct fl_set *set, const struct fl_set_spec *spec);

/* The same set seen through one port, by name or service port number; same version. A service
 * without ports of its own (headless) is asked by the names and numbers of its blocks. An empty
 * `port`, a set that is UNKNOWN or ABSENT and an external name give the set back as it is.
 * FL_EPORT: the service does not have it, the detail lists the ones it has; FL_ENOMEM. */
FL_MUST int fl_set_select(struct fl_set *set, struct fl_str port, struct fl_set **out,
                          struct fl_error *err);
/* The same set seen through the first port of the service whose number is not `excluded`. While
 * there are endpoints and no Service, through the port that `previous` (may be NULL) shows. A set
 * with one port only that knows no Service (addresses that were written down) is given back as it
 * is, and so is what fl_set_select does not look at. FL_ENO_PORTS, FL_EPORTS_EXCLUDED (the detail
 * lists the ports), FL_EUNKNOWN (no Service, and nothing to go by), FL_ENOMEM. */
FL_MUST int fl_set_select_first(struct fl_set *set, uint16_t excluded,
                                const struct fl_set *previous, struct fl_set **out,
                                struct fl_error *err);
/* The service's number of the one port that the set shows; 0: several, or not known. */
uint16_t fl_set_port_number(const struct fl_set *set);
/* The same set seen through no port at all: what is shown, in `state`, to one who asked for a port
 * that is not there. FL_ENOMEM. */
FL_MUST int fl_set_hide(struct fl_set *set, enum fl_set_state state, struct fl_set **out);
/* The set that `set` is a view of, or itself. Borrowed. */
struct fl_set *fl_set_whole(struct fl_set *set);
/* How many different ports (by name) the set shows; a channel wants one. Appends "http (80), grpc
 * (9000)" to `names` (may be NULL), as far as it has room. */
size_t fl_set_ports(const struct fl_set *set, struct fl_buf *names);

/* When the source last proved that it is alive, time of day: now_wall_ms for a set that is always
 * fresh; 0: never. */
int64_t fl_set_proof_wall_ms(const struct fl_set *set, int64_t now_wall_ms);

/* When what it tells became known, on the clock of all loops of this machine. */
uint64_t fl_set_event_us(const struct fl_set *set);
/* May this endpoint take calls, by its own flags and those of the set: ready, or, when no endpoint
 * of the set is ready, serving and terminating (KEP-1669). */
bool fl_set_usable(const struct fl_set *set, const struct fl_endpoint *endpoint);
bool fl_set_any_ready(const struct fl_set *set); /* an endpoint that it shows is */

#endif
