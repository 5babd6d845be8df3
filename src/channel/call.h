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

struct fl_protocol;

struct fl_call {
    struct fl_list link;   /* RUNNING: the channel's calls; ENDING: those whose callback is due */
    struct fl_list resume; /* in the channel's resuming calls */
    struct fl_list others; /* attempts beside the first */
    struct fl_inbox_item inbox;
    struct fl_channel *channel;
    const struct fl_protocol *protocol;
    struct fl_call_events events; /* unary: on_end only */
    void *arg;
    int state;
    const struct fl_method_config *config; /* NULL: none */
    struct fl_handle *endpoint;            /* the only one it may go to, counted; NULL: any */
    bool streaming, wait_for_ready;
    bool decided; /* this side ended it: status and why below */
    bool paused, full;
    unsigned attempts;                 /* that went to a server */
    unsigned retries;                  /* of these, what no server processed */
    unsigned refusals, repeats;        /* see may_repeat in call.c */
    unsigned open;                     /* attempts with a stream */
    unsigned tries;                    /* attempts that a policy counts */
    unsigned messages;                 /* written */
    uint64_t began_us, ended_us;       /* on the loop; the last stream's end, then its own */
    uint64_t between_us;               /* between streams, none being open */
    struct fl_method_metrics *metrics; /* NULL: not measured */
    unsigned backoffs;                 /* retries since the start or the last pushback */
    uint32_t receive_bytes_max, send_bytes_max;
    enum fl_compression compression; /* of what is sent */
    uint64_t timeout_ms;             /* 0: none */
    uint64_t deadline_ms;            /* on the loop's clock; 0: none */
    struct fl_timer timer;           /* at deadline_ms */
    struct fl_timer again;           /* the next try or hedge */
    struct fl_attempt *committed;    /* NULL: not yet */
    struct fl_attempt *last; /* whose end, with why and h2_code, is the call's; NULL: not yet */
    struct fl_outbox outbox;
    struct fl_buf held; /* received while paused; the server's window bounds it */
    enum fl_status status;
    uint32_t h2_code;
    int why_code;
    struct fl_error *why; /* NULL: nothing but the code is known */
    struct fl_attempt first;
    struct fl_str path, traceparent, tracestate; /* the last two: p == NULL without */
    int (*credentials)(void *arg, const char *method, fl_credentials_give *give, void *to,
                       struct fl_error *err);
    void *credentials_arg;
    size_t metadata_count;
    struct fl_http_header metadata[]; /* as sent; all texts and a request follow */
};

/* All attempts: the first, then those after `at`; NULL after the last. */
static inline struct fl_attempt *fl_call_next_attempt(struct fl_call *call, struct fl_attempt *at) {
    struct fl_list *link = at == &call->first ? call->others.next : at->sibling.next;
    return link == &call->others ? NULL : FL_CONTAINER(link, struct fl_attempt, sibling);
}

/* The two steps of a start. A call with `extra` bytes behind its texts, which *rest points to; the
 * options were checked. NULL: no memory. */
FL_MUST struct fl_call *fl_call_new(struct fl_channel *channel, const struct fl_protocol *protocol,
                                    const char *path, const struct fl_call_options *options,
                                    size_t extra, char **rest);
/* The call is whole and holds no memory but its own: to the loop with it. Errors, after which it is
 * gone: FL_EFULL. */
FL_MUST int fl_call_launch(struct fl_call *call, struct fl_call **out, struct fl_error *err);
/* May this channel take a call to that endpoint (NULL: any)? FL_EUSAGE. */
FL_MUST int fl_call_check(const struct fl_channel *channel, const struct fl_handle *endpoint,
                          struct fl_error *err);
/* Of the response that the call has; 0: none. */
int fl_call_http_status(struct fl_call *call);

/* Takes up a call on the loop: its deadline begins and it is queued or sent. */
void fl_call_begin(struct fl_call *call);
/* Ends it from this side: its callback follows; nothing if it is ending already. */
void fl_call_give_up(struct fl_call *call, enum fl_status status, const struct fl_error *why);
/* The callback of a call that is ENDING; the call is gone. */
void fl_call_finish(struct fl_call *call);
/* Ends it when no attempt has a stream any more and its owner has heard everything. */
void fl_call_end_if_over(struct fl_call *call);
/* Only this attempt may answer from now on; others are cancelled. */
void fl_call_commit(struct fl_call *call, struct fl_attempt *attempt);
/* This attempt, which has no stream, cannot be sent: another one goes on, or the call ends. */
void fl_call_lose(struct fl_call *call, struct fl_attempt *attempt, enum fl_status status,
                  const struct fl_error *why);
bool fl_call_is_alive(struct fl_call *call); /* an attempt waits or has a stream */

/* For its attempts. */
void fl_call_on_answer(struct fl_call *call, struct fl_attempt *attempt);
void fl_call_on_over(struct fl_call *call, struct fl_attempt *attempt, const struct fl_error *why,
                     uint32_t h2_code);
/* With a config: call_retry.c. */
FL_MUST int fl_call_start_policy(struct fl_call *call); /* FL_ENOMEM */
/* An attempt is over with this status. True: the policy goes on with the call. */
bool fl_call_tries_again(struct fl_call *call, const struct fl_attempt *attempt,
                         enum fl_status status);
/* Streaming only: call_stream.c. */
void fl_call_on_data(struct fl_call *call, struct fl_attempt *attempt, struct fl_str bytes);
void fl_call_on_written(struct fl_call *call, struct fl_attempt *attempt);
void fl_call_on_room(struct fl_call *call, struct fl_attempt *attempt);

#endif
