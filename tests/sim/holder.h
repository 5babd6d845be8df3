/* holder.h - somebody who holds what a connection manager gave.
 *
 * Asks for one connection or for each of them, keeps the answer or lets go of it in the callback,
 * calls by handles that may be old, and by the channel. What is judged: every request is answered
 * once, and for a reason that can be; every handle given is one of the set that its channel has
 * applied, and the same as before while its endpoint stays; a call by a handle goes to that pod or
 * nowhere. */
#ifndef FL_TEST_HOLDER_H
#define FL_TEST_HOLDER_H

#include <fairlead/connmgr.h>

#include "oracle.h"

#define HOLDER_CALLS_MAX 3

struct house;
struct house_name;

struct holder_call {
    struct holder *holder;
    struct oracle_call judged;
    struct fl_conn *conn;     /* counted while it is open */
    struct fl_handle *handle; /* likewise; NULL: the channel chooses */
    bool gone;                /* its endpoint had left before the call */
};

struct holder {
    struct house *house;
    unsigned number;
    struct fl_timer timer;
    const struct house_name *conns_of, *conn_of; /* asked for; NULL: nothing is */
    struct fl_conns conns;                       /* of the last answer */
    struct fl_conn *conn;                        /* likewise */
    const struct house_name *conn_name;
    struct fl_conn *old_conn; /* with a handle from an answer long ago */
    struct fl_handle *old_handle;
    struct holder_call calls[HOLDER_CALLS_MAX];
};

void holder_init(struct holder *holder, struct house *house, unsigned number);
void holder_deinit(struct holder *holder);
void holder_go_on(struct holder *holder, bool active);
void holder_let_go(struct holder *holder); /* of everything but calls that are open */
/* Is nothing asked for, and no call open? */
bool holder_is_quiet(const struct holder *holder);
/* A call of a holder was given to an endpoint, by this version of the set. */
void holder_judge_pick(const struct holder_call *call, uint64_t version, const char *peer);

#endif
