/* health_watch.h - asks an endpoint over its own connection whether it is healthy, and hears of
 * every change: grpc.health.v1.Health/Watch (grpc/doc/health-checking.md, gRFC A17).
 *
 * One loop's thread. */
#ifndef FL_CHANNEL_HEALTH_WATCH_H
#define FL_CHANNEL_HEALTH_WATCH_H

#include <fairlead/channel.h>

#include "base/backoff.h"
#include "http/conn.h"
#include "wire/grpc.h"

/* What is asked: the same of all endpoints of a channel. */
struct fl_health_question {
    struct fl_io *io;
    struct fl_http_request head; /* borrowed, like all that is in it */
    uint8_t prefix[FL_GRPC_PREFIX];
    struct fl_buf message;
    uint32_t answer_ms; /* the first answer must have come by then */
    struct fl_backoff_policy backoff;
    struct fl_metric *unhealthy;
    bool said; /* that a server has no health service */
};

/* `head`: gRPC's headers and the authority; method and path are filled in. FL_ENOMEM. To be ended
 * by _deinit, after a failure too. */
FL_MUST int fl_health_question_init(struct fl_health_question *question, struct fl_io *io,
                                    const char *service, const struct fl_http_request *head);
void fl_health_question_deinit(struct fl_health_question *question); /* zeroed is allowed */

struct fl_health_watch;

/* `peer` is borrowed. on_verdict: it changed, or why it is what it is. FL_ENOMEM. */
FL_MUST int fl_health_watch_new(struct fl_health_question *question, const char *peer,
                                void (*on_verdict)(void *arg), void *arg,
                                struct fl_health_watch **out);
/* Behind the end of every connection that it was on. NULL is allowed. */
void fl_health_watch_free(struct fl_health_watch *watch);

/* Asks on this connection from now on; the verdict stays until the answer. The first may come at
 * once. */
void fl_health_watch_start(struct fl_health_watch *watch, struct fl_http_conn *conn);
/* The connection is let go: nothing is asked and nothing is known. Twice is allowed. */
void fl_health_watch_stop(struct fl_health_watch *watch);
/* READY: it is healthy; TRANSIENT_FAILURE: it is not; CONNECTING: not known yet. */
enum fl_channel_state fl_health_watch_verdict(const struct fl_health_watch *watch);
const struct fl_error *fl_health_watch_why(const struct fl_health_watch *watch); /* it is not */

#endif
