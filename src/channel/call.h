/* call.h - a unary call from its start to its callback. One loop's thread, but for fl_call_unary.
 *
 *     INBOX ──> NEW ──> WAITING <──> SENT ──> gone, after the callback
 *       └────────┴─────────┴───────────┴──> ENDING ──> likewise */
#ifndef FL_CHANNEL_CALL_H
#define FL_CHANNEL_CALL_H

#include <fairlead/call.h>

#include "base/list.h"
#include "base/timer.h"
#include "channel/inbox.h"
#include "channel/reply.h"
#include "channel/transport.h"

enum fl_call_state {
    FL_CALL_INBOX,   /* on its way to the loop */
    FL_CALL_NEW,     /* on the loop, not yet sent or queued */
    FL_CALL_WAITING, /* in the channel's queue */
    FL_CALL_SENT,    /* has a stream */
    FL_CALL_ENDING,  /* decided; the callback comes with the channel's next wake-up */
};

struct fl_call {
    struct fl_list link; /* WAITING: channel; SENT: transport; ENDING: channel */
    struct fl_inbox_item inbox;
    struct fl_channel *channel;
    fl_call_cb *cb;
    void *arg;
    int state;
    bool wait_for_ready;
    bool decided;              /* this side ended it: status and why below */
    unsigned retries;          /* attempts that no server processed */
    uint32_t timeout_ms;       /* 0: none */
    uint64_t deadline_ms;      /* on the loop's clock; 0: none */
    struct fl_timer timer;     /* at deadline_ms */
    struct fl_subchannel *sub; /* of the last attempt, counted; NULL: none was made */
    struct fl_http_stream *stream;
    struct fl_reply reply;
    enum fl_status status;
    struct fl_error why;
    size_t path_len, body_len, sent;
    char bytes[]; /* the path, then the request with its prefix */
};

/* Sends the call on a transport that has room. FL_ENOMEM; others: this transport does not take it.
 */
FL_MUST int fl_call_send(struct fl_call *call, struct fl_transport *transport,
                         struct fl_error *err);
/* Ends it from this side: its callback follows; nothing if it is ending already. */
void fl_call_give_up(struct fl_call *call, enum fl_status status, const struct fl_error *why);
/* The callback of a call that is ENDING; the call is gone. */
void fl_call_finish(struct fl_call *call);
/* Moves it between WAITING and the others, for the queue. */
void fl_call_move(struct fl_call *call, enum fl_call_state to);
/* Takes up a call on the loop: its deadline begins and it is queued or sent. */
void fl_call_begin(struct fl_call *call);

#endif
