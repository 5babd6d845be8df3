/* call.h - a call from its start to its end. One loop's thread, but for fl_call_unary and
 * fl_call_start.
 *
 *     INBOX ──> RUNNING ──> gone, after the callback
 *       └──────────┴──> ENDING ──> likewise
 *
 * The call is what its owner sees: options, deadline, what is to be sent, the one result. Its
 * attempts (attempt.h) are what servers see. The call decides which attempt's answer is its own: it
 * is committed to that one, and no other may answer. */
#ifndef FL_CHANNEL_CALL_H
#define FL_CHANNEL_CALL_H

#include <fairlead/call.h>

#include "base/list.h"
#include "base/timer.h"
#include "channel/attempt.h"
#include "channel/inbox.h"
#include "channel/outbox.h"

enum fl_call_state {
    FL_CALL_INBOX,   /* on its way to the loop */
    FL_CALL_RUNNING, /* on the loop */
    FL_CALL_ENDING,  /* decided; the callback comes with the channel's next wake-up */
};

struct fl_call {
    struct fl_list link;   /* RUNNING: the channel's calls; ENDING: those whose callback is due */
    struct fl_list resume; /* in the channel's resuming calls */
    struct fl_inbox_item inbox;
    struct fl_channel *channel;
    struct fl_call_events events; /* unary: on_end only */
    void *arg;
    int state;
    bool streaming, wait_for_ready;
    bool decided; /* this side ended it: status and why below */
    bool paused, full;
    unsigned attempts; /* that went to a server */
    unsigned retries;  /* of these, what no server processed */
    unsigned open;     /* attempts with a stream */
    uint32_t timeout_ms;
    uint64_t deadline_ms;         /* on the loop's clock; 0: none */
    struct fl_timer timer;        /* at deadline_ms */
    struct fl_attempt *committed; /* NULL: not yet */
    struct fl_attempt *last; /* whose end, with why and h2_code, is the call's; NULL: not yet */
    struct fl_outbox outbox;
    struct fl_buf held; /* received while paused; the server's window bounds it */
    enum fl_status status;
    uint32_t h2_code;
    struct fl_error why;
    struct fl_attempt first;
    struct fl_str path;
    size_t metadata_count;
    struct fl_http_header metadata[]; /* as sent; its texts, the path and a request follow */
};

/* Takes up a call on the loop: its deadline begins and it is queued or sent. */
void fl_call_begin(struct fl_call *call);
/* Ends it from this side: its callback follows; nothing if it is ending already. */
void fl_call_give_up(struct fl_call *call, enum fl_status status, const struct fl_error *why);
/* The callback of a call that is ENDING; the call is gone. */
void fl_call_finish(struct fl_call *call);
/* Ends it when no attempt has a stream any more and its owner has heard everything. */
void fl_call_end_if_over(struct fl_call *call);
/* Only this attempt may answer from now on. */
void fl_call_commit(struct fl_call *call, struct fl_attempt *attempt);

/* For its attempts. */
void fl_call_on_answer(struct fl_call *call, struct fl_attempt *attempt);
void fl_call_on_over(struct fl_call *call, struct fl_attempt *attempt, const struct fl_error *why,
                     uint32_t h2_code);
/* Streaming only: call_stream.c. */
void fl_call_on_data(struct fl_call *call, struct fl_attempt *attempt, struct fl_str bytes);
void fl_call_on_written(struct fl_call *call, struct fl_attempt *attempt);
void fl_call_on_room(struct fl_call *call, struct fl_attempt *attempt);

#endif
