/* resolver.h - names to addresses, by c-ares on the loop. The loop's thread. */
#ifndef FL_LOOP_RESOLVER_H
#define FL_LOOP_RESOLVER_H

#include "base/address.h"
#include "base/error.h"
#include "base/list.h"
#include "base/task.h"
#include "base/timer.h"

#define FL_RESOLVER_ADDRESSES_MAX 16
#define FL_RESOLVER_QUERIES_MAX   1000 /* unanswered at one time */

struct fl_loop;
struct fl_query;
struct ares_channeldata;

struct fl_resolver {
    struct ares_channeldata *channel; /* exists while there are queries */
    struct fl_list sockets;           /* that c-ares has open */
    struct fl_timer timer;            /* when c-ares wants to be called without a reason */
    struct fl_task idle;              /* ends the channel once nobody waits */
    size_t waiting;                   /* queries neither answered nor cancelled */
};

FL_MUST int fl_resolver_init(struct fl_loop *loop); /* that of `loop`; FL_ENOMEM */
/* No query may be waiting; the handles it had are closed later, by turns of the loop. */
void fl_resolver_deinit(struct fl_loop *loop);

/* The answer: addresses in the order to try them (RFC 6724), at least one; or `why` (FL_ERESOLVE,
 * FL_ENOMEM) and none. Borrowed for the call. */
typedef void fl_query_cb(void *arg, const struct fl_address *addresses, size_t count,
                         const struct fl_error *why);

/* Asks for the addresses of `name`, both families; the hosts file first, as the system is
 * configured; "localhost" is always the loopback. No deadline of its own: the caller's cancels it.
 * `cb` is called exactly once unless cancelled, never before this returned. FL_ENOMEM, FL_ESYS (no
 * configuration of lookups, or too many wait already). */
FL_MUST int fl_query_new(struct fl_loop *loop, struct fl_str name, fl_query_cb *cb, void *arg,
                         struct fl_query **out, struct fl_error *err);
/* Frees it; `cb` will not be called. Only before `cb` was, which frees it as well. */
void fl_query_free(struct fl_query *query);

#endif
