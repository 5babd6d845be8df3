/* attempt.h - one try of a call on one transport. One loop's thread.
 *
 *     NEW ──> WAITING ──> SENT ──> OVER
 *      ^ └───────────────> │ ^       │
 *      └─── no server processed it ──┘ another try
 *
 * A call has one attempt in itself, which it uses again for the next try. */
#ifndef FL_CHANNEL_ATTEMPT_H
#define FL_CHANNEL_ATTEMPT_H

#include "base/list.h"
#include "channel/reply.h"
#include "channel/transport.h"

struct fl_call;

enum fl_attempt_state {
    FL_ATTEMPT_NEW,     /* not yet sent or queued */
    FL_ATTEMPT_WAITING, /* in the channel's queue */
    FL_ATTEMPT_SENT,    /* has a stream */
    FL_ATTEMPT_OVER,
};

struct fl_attempt {
    struct fl_list link;    /* WAITING: the channel's queue; SENT: the transport's */
    struct fl_list sibling; /* the call's other attempts */
    struct fl_call *call;
    int state;
    bool end_sent;             /* with `sent`, all of the outbox is the stream's */
    bool left;                 /* OVER: its head had left this side */
    struct fl_subchannel *sub; /* of the last stream, counted; NULL: there was none */
    struct fl_http_stream *stream;
    struct fl_reply reply;
    uint64_t sent;     /* place in the call's outbox */
    uint64_t straight; /* bytes past the outbox */
    uint64_t began_us; /* when it was sent */
};

void fl_attempt_init(struct fl_attempt *attempt, struct fl_call *call);
void fl_attempt_deinit(struct fl_attempt *attempt); /* without a stream */
void fl_attempt_move(struct fl_attempt *attempt, enum fl_attempt_state to);
/* For another try: what was heard of the last one is forgotten. NEW. */
void fl_attempt_renew(struct fl_attempt *attempt);

/* When it would be sent now: a call's first one, as the call begins, needs no clock for that. */
uint64_t fl_attempt_now_us(const struct fl_attempt *attempt);
/* Sends it on a transport that has room. FL_ENOMEM, FL_EUNAUTHORIZED, FL_EPROTO: it cannot be sent;
 * others: this transport does not take it. */
FL_MUST int fl_attempt_send(struct fl_attempt *attempt, struct fl_transport *transport,
                            struct fl_error *err);
/* Gives its stream as much of the outbox as it takes; nothing without a stream. */
void fl_attempt_write(struct fl_attempt *attempt);
/* Ends it from this side; what it means for the call follows. Nothing without a stream. */
void fl_attempt_cancel(struct fl_attempt *attempt, const struct fl_error *why);

#endif
