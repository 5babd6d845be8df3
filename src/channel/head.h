/* head.h - what an attempt tells the server before the messages: gRPC's headers and the caller's
 * metadata (PROTOCOL-HTTP2.md, Requests). One loop's thread. */
#ifndef FL_CHANNEL_HEAD_H
#define FL_CHANNEL_HEAD_H

#include "http/conn.h"
#include "wire/grpc.h"

struct fl_call;

#define FL_HEAD_FEW 24 /* heads up to this many headers need no memory */

/* Lives on the stack for as long as it takes to hand it over. */
struct fl_head {
    struct fl_http_request request; /* points into the rest, the call and the channel */
    struct fl_http_header few[FL_HEAD_FEW], *list;
    char timeout[FL_GRPC_TIMEOUT_MAX];
};

/* FL_ENOMEM. */
FL_MUST int fl_head_init(struct fl_head *head, const struct fl_call *call, struct fl_error *err);
void fl_head_deinit(struct fl_head *head);

#endif
