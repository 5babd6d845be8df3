/* subchannel.h - one endpoint of a channel: its connectivity state and its connections.
 *
 * States and rules are gRPC's (connectivity-semantics-and-api.md, connection-backoff.md), with the
 * differences that discovery allows: it connects as soon as it is wanted, and a wanted one leaves
 * IDLE by itself. READY only at the peer's SETTINGS and, where its health is asked for, when it is
 * healthy. Counted: by the channel, by each of its transports and by each call whose last attempt
 * it took. One loop's thread. */
#ifndef FL_CHANNEL_SUBCHANNEL_H
#define FL_CHANNEL_SUBCHANNEL_H

#include <fairlead/channel.h>

#include "balance/candidate.h"
#include "balance/outlier.h"
#include "balance/round.h"
#include "base/backoff.h"
#include "base/io.h"
#include "base/list.h"
#include "channel/connection_metrics.h"
#include "channel/credentials.h"
#include "channel/health_check.h"
#include "channel/health_watch.h"
#include "channel/keepalive.h"
#include "channel/weights.h"
#include "http/conn.h"

struct fl_handle;
struct fl_subchannel;
struct fl_transport;

/* What all subchannels of a channel share, and whom they tell. Nothing is told from within a
 * function of this header that the owner called, except on_state. */
struct fl_connector {
    struct fl_io *io;
    uint32_t connect_timeout_ms, backoff_ms_min, backoff_ms_max, drain_ms;
    uint32_t connections_max; /* of one endpoint */
    enum fl_channel_protocol protocol;
    struct fl_keepalive_times keepalive;        /* of connections made from now on */
    struct fl_channel_credentials *credentials; /* borrowed; NULL: cleartext */
    struct fl_health_checker *checker;          /* borrowed; NULL: nobody is checked */
    struct fl_health_question *health;          /* borrowed; NULL: nobody is asked */
    struct fl_connection_metrics metrics;
    void (*on_state)(void *arg, struct fl_subchannel *sub);
    void (*on_room)(void *arg);  /* a call that found no room may try again */
    void (*on_empty)(void *arg); /* the last transport is gone */
    void *arg;
    struct fl_list transports; /* all of them, in use and draining */
};

/* What a set that is being applied makes of an endpoint; see endpoints.c. */
struct fl_pending {
    struct fl_list link;
    struct fl_subchannel *sub;
    bool comes, goes;
    bool ready, serving, terminating;
    bool http1;
    uint32_t weight;
    struct fl_place place;
    struct fl_handle *handle; /* the address has another identity; NULL: the same */
};

struct fl_subchannel {
    struct fl_connector *connector;
    unsigned refs;
    int raw_state;                    /* enum fl_channel_state: of its connection */
    int state;                        /* as others see it: READY only if it is healthy too */
    bool wanted;                      /* may take calls, so it should be connected */
    bool failed;                      /* since the last READY (gRFC A62) */
    bool hasty;                       /* the last READY connection was short-lived and of no use */
    bool ready, serving, terminating; /* the endpoint's conditions */
    bool http1;                       /* its port says so; of connections made from now on */
    struct fl_pending *pending;       /* NULL: nothing */
    struct fl_pick pick;
    struct fl_place place;
    struct fl_warmth warmth;
    struct fl_outlier_host outlier;
    struct fl_health_watch *watch; /* NULL: it is not asked */
    struct fl_health_check *check; /* NULL: it is not checked */
    struct fl_list link;           /* the channel's */
    struct fl_transport *current;  /* CONNECTING, READY */
    struct fl_list transports;     /* current, further ones, and those that drain */
    uint64_t widen_at_ms;          /* no further one is tried before */
    struct fl_backoff_policy backoff_policy;
    struct fl_backoff backoff;
    struct fl_timer timer; /* TRANSIENT_FAILURE */
    uint64_t ready_at_ms;
    uint64_t event_us; /* when it came to be, until it has answered; 0: not known or no more */
    struct fl_kept_error why; /* the last failure, until it is READY */
    uint16_t port;
    char *host, *peer;        /* peer: "host:port", the key in the channel */
    struct fl_handle *handle; /* the channel's, for those who chose this endpoint; NULL: none */
};

/* IDLE and not wanted. The strings are copied. FL_ENOMEM. */
FL_MUST int fl_subchannel_new(struct fl_connector *connector, const char *host, uint16_t port,
                              const char *peer, struct fl_subchannel **out);
void fl_subchannel_ref(struct fl_subchannel *sub);
struct fl_subchannel *fl_subchannel_unref(struct fl_subchannel *sub); /* NULL; NULL is allowed */

/* Whether it should be connected. Not wanted any more: what is connected stays, nothing new is
 * tried. Wanted again: discovery says that it can be reached now, so what failed before is
 * forgotten and it is tried at once. */
void fl_subchannel_want(struct fl_subchannel *sub, bool wanted);
/* Connects if it is IDLE, wanted or not: somebody waits for this very endpoint. */
void fl_subchannel_connect(struct fl_subchannel *sub);
/* Not wanted any more though it may take calls: nothing new is tried, and what is connected closes
 * when its last call is done, however long that takes. `cause`, static, is counted. */
void fl_subchannel_rest(struct fl_subchannel *sub, const char *cause);
/* The address belongs to somebody else now: backoff is forgotten, what is connected drains. */
void fl_subchannel_renew(struct fl_subchannel *sub);
/* The endpoint left the set: SHUTDOWN, its connections drain. */
void fl_subchannel_leave(struct fl_subchannel *sub);
/* The connection that a call may use now; NULL unless READY and below the peer's stream limit. */
struct fl_transport *fl_subchannel_usable(const struct fl_subchannel *sub);
/* How many connections it has that take calls, now or at another time. */
size_t fl_subchannel_width(const struct fl_subchannel *sub);
/* May another connection be opened: READY, fewer than connections_max, none on its way, and none
 * has failed a moment ago? */
bool fl_subchannel_may_widen(const struct fl_subchannel *sub);
void fl_subchannel_widen(struct fl_subchannel *sub); /* if it may; a failure is only noted */

/* For its transports only. */
void fl_subchannel_on_ready(struct fl_subchannel *sub, struct fl_transport *transport);
void fl_subchannel_on_lost(struct fl_subchannel *sub, struct fl_transport *transport,
                           const struct fl_error *why);

#endif
