/* conn.h - one service of a manager: its channel, the handles that were given, and who waits.
 *
 * Counted from any thread: by the manager until it is closed, and by everybody who got it. With the
 * last reference the channel closes. All but references and the channel's pointer is for the loop's
 * thread only. */
#ifndef FL_MANAGER_CONN_H
#define FL_MANAGER_CONN_H

#include "channel/channel.h"
#include "manager/request.h"

struct fl_dns;

struct fl_conn {
    struct fl_connmgr *mgr; /* outlives it */
    atomic_uint refs;
    struct fl_task drop;        /* posted with the last reference */
    struct fl_channel *channel; /* set before anybody else gets the conn */
    char *key, *name, *target;  /* key: in the manager; name: as asked for */
    struct {
        struct fl_list link; /* the manager's */
        struct fl_dns *dns;  /* looks for the port to dial; NULL: it is known */
        struct fl_state_watch *watch;
        int state;               /* of the channel, as told last */
        struct fl_list waiting;  /* requests for handles, while nothing is known */
        struct fl_list unready;  /* requests for the channel, until it is READY */
        struct fl_set *set;      /* as applied; NULL: nothing is known yet */
        struct fl_error trouble; /* of discovery and of the choice of a port */
        bool initialized;        /* somebody was given handles */
        /* By discovery may take calls; held: those, as the callers last saw them. */
        struct fl_handles endpoints, held;
        struct fl_list departures; /* departure.c */
    } loop_data;
};

static inline bool fl_conn_is_dns(const struct fl_conn *conn) { return conn->key[0] == 'd'; }
/* Key "k" and a target: its channel; "d": the service's DNS name. Made at the first call; borrowed.
 * FL_EUSAGE (the target), FL_EFULL, FL_ENOMEM. */
FL_MUST int fl_conn_find(struct fl_connmgr *mgr, const char *name, bool dns, struct fl_conn **out,
                         struct fl_error *err);
/* Dials; from now on it has a channel. Errors as fl_channel_open. */
FL_MUST int fl_conn_open(struct fl_conn *conn, const char *target, struct fl_error *err);
/* The manager lets go of it: it is not found any more. */
void fl_conn_forget(struct fl_conn *conn);

/* changes.c: what discovery told of it. */
void fl_conn_on_set(void *arg, struct fl_set *set, const struct fl_error *trouble);
/* Handles that may take calls, in the channel's order; each counted. FL_ENOMEM. */
FL_MUST int fl_conn_usable(const struct fl_conn *conn, struct fl_handles *out);
/* "Creating connection …" for one of them. True: it is not known to be unreachable. */
bool fl_conn_tell_created(const struct fl_conn *conn, const struct fl_handle *handle,
                          const struct fl_error *why);
/* Keeps `from` in *to, which is ended before; without memory nothing is kept. */
void fl_conn_hold(struct fl_handles *to, const struct fl_handles *from);

/* departure.c: those that left, until their drain is over. */
void fl_departure_start(struct fl_conn *conn, struct fl_handles *left); /* takes what is in it */
void fl_departure_forget_all(struct fl_conn *conn);

/* get_conns.c, get_conn.c: what is known changed. */
void fl_conn_settle_waiting(struct fl_conn *conn);
void fl_conn_settle_unready(struct fl_conn *conn);
void fl_conn_opened(struct fl_conn *conn); /* its DNS name is dialled */

/* dns.c: finds the service's port, then opens the conn, or ends who waits and forgets it. */
FL_MUST int fl_dns_start(struct fl_conn *conn, const char *target, struct fl_error *err);
void fl_dns_stop(struct fl_dns *dns); /* NULL is allowed */

#endif
