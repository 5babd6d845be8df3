/* state.h - the inside of a channel, for the files of this room. */
#ifndef FL_CHANNEL_STATE_H
#define FL_CHANNEL_STATE_H

#include <fairlead/version.h>
#include <stdatomic.h>

#include "balance/balance.h"
#include "base/map.h"
#include "channel/call.h"
#include "channel/call_metrics.h"
#include "channel/channel.h"
#include "channel/ejection.h"
#include "channel/handle.h"
#include "channel/health_check.h"
#include "channel/health_watch.h"
#include "channel/idle.h"
#include "channel/inbox.h"
#include "channel/request_metrics.h"
#include "channel/service_config.h"
#include "channel/show.h"
#include "channel/state_watch.h"
#include "channel/subchannel.h"
#include "channel/throttle.h"
#include "channel/wanted.h"

#define FL_CHANNEL_HEADERS    4 /* the same of every call */
#define FL_CHANNEL_USER_AGENT FL_STR("fairlead/" FL_VERSION)

struct fl_channel {
    /* Set once when it is opened. */
    struct fl_io *io;
    struct fl_channel_options options; /* with every default filled in */
    char *target, *authority;
    struct fl_channel_credentials *credentials; /* NULL: cleartext */
    struct fl_http_header headers[FL_CHANNEL_HEADERS];
    struct fl_service_config *service_config; /* NULL: none */
    struct fl_subscription *subscription;
    struct fl_metric *queued, *full, *retries;
    struct fl_metric *calls[FL_STATUS_UNAUTHENTICATED + 1];

    /* The loop's thread only. */
    struct {
        struct fl_connector connector;
        struct fl_health_checker checker; /* of the connector; zeroed: nobody is checked */
        struct fl_health_question health; /* of the connector; zeroed: nobody is asked */
        struct fl_map subs;               /* by peer: struct fl_subchannel */
        struct fl_list sub_list;
        struct fl_balancer balancer;
        struct fl_wanted wanted;
        struct fl_ejection ejection;
        struct fl_timer warm; /* endpoints warm up; see weights.c */
        struct fl_idle idle;
        struct fl_call_metrics measured;
        struct fl_request_metrics requests;
        uint64_t order;               /* of the next subchannel */
        struct fl_set *newest;        /* as discovery gave it */
        struct fl_set *applied;       /* what subchannels and picks follow; NULL: nothing yet */
        struct fl_timer apply;        /* tries again to apply the newest; see endpoints.c */
        bool apply_ready;             /* the timer is registered */
        bool several_ports;           /* the newest set cannot be used: no port was named */
        struct fl_kept_error trouble; /* of discovery */
        /* No port of the applied set can be chosen; code FL_OK: one is. */
        struct fl_kept_error port_error;
        enum fl_channel_state state;
        struct fl_kept_error cause;  /* why calls cannot be sent, when they cannot */
        bool changed;                /* state and cause must be found out anew */
        struct fl_throttle throttle; /* of the service config */
        struct fl_list calls;        /* all that run */
        struct fl_list waiting;      /* attempts, oldest first */
        struct fl_list lines;        /* handles that attempts wait for (struct fl_handle.line) */
        size_t waiting_count;        /* all of them */
        size_t waiting_fast;         /* in `waiting`: those that do not wait for ready */
        struct fl_list ending;       /* calls whose callback is due */
        struct fl_list resuming;     /* calls whose pause is over; see call_stream.c */
        struct fl_task pump;         /* deferred: see queue.c */
        struct fl_channel_watcher watcher;
        struct fl_shown shown;
        struct fl_state_watches watches;
        bool closing, subscribed;
    } loop_data;

    /* Any thread. */
    struct {
        struct fl_inbox inbox;
        struct fl_task wake; /* posted: takes the inbox, ends calls, closes */
        atomic_uint entered; /* threads inside a function, and state watches on their way */
        atomic_bool closing; /* done and arg are set */
        atomic_bool connect; /* somebody wants connections */
        atomic_int state;    /* enum fl_channel_state */
        struct fl_handle_slot handles;
        void (*done)(void *arg);
        void *arg;
    } shared_data;
};

/* channel.c */
void fl_channel_wake(struct fl_channel *channel);
void fl_channel_pump(struct fl_channel *channel); /* at the end of the turn */

/* endpoints.c */
void fl_channel_on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                       const struct fl_error *trouble);
void fl_channel_apply(struct fl_channel *channel);            /* the newest set, if it is not */
void fl_channel_forget_endpoints(struct fl_channel *channel); /* all leave */

/* widen.c */
void fl_channel_widen(struct fl_channel *channel); /* calls wait: one more connection, if allowed */
/* wanted.c, beside wanted.h */
/* May be picked exactly while READY, wanted and not ejected. */
void fl_channel_place(struct fl_channel *channel, struct fl_subchannel *sub);

/* connectivity.c */
void fl_channel_refresh(struct fl_channel *channel); /* finds state and cause out if they changed */

/* queue.c */
/* Sends the attempt, or lets it wait, or ends its call. */
void fl_channel_submit(struct fl_channel *channel, struct fl_attempt *attempt);
/* It is repeated unseen: to the front of the queue. */
void fl_channel_resubmit(struct fl_channel *channel, struct fl_attempt *attempt);
void fl_channel_run_queue(struct fl_channel *channel);
void fl_channel_unqueue(struct fl_channel *channel, struct fl_attempt *attempt);

/* call_stream.c */
void fl_channel_resume(struct fl_channel *channel); /* gives out what was held for resuming calls */

#endif
