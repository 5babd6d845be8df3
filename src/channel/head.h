/* head.h - what an attempt tells the server first: of a gRPC call its headers and the caller's
 * metadata (PROTOCOL-HTTP2.md, Requests), of a request what request.c says. One loop's thread. */
#ifndef FL_CHANNEL_HEAD_H
#define FL_CHANNEL_HEAD_H

#include "channel/trace.h"
#include "http/conn.h"
#include "wire/grpc.h"

struct fl_call;
struct fl_given;

#define FL_HEAD_FEW       24 /* heads up to this many headers need no memory */
#define FL_HEAD_COUNT_MAX 24 /* digits of a number, terminated */

/* Lives on the stack for as long as it takes to hand it over. */
struct fl_head {
    struct fl_http_request request; /* points into the rest, the call and the channel */
    bool alone;                     /* no body follows */
    struct fl_http_header few[FL_HEAD_FEW], *list;
    struct fl_given *given; /* by the call's credentials */
    char timeout[FL_GRPC_TIMEOUT_MAX], previous[FL_HEAD_COUNT_MAX];
    char length[FL_HEAD_COUNT_MAX];
    char traceparent[FL_TRACE_PARENT_LEN];
};

/* Asks the call's credentials, if it has any. FL_ENOMEM; FL_EUNAUTHORIZED: they failed. */
FL_MUST int fl_head_init(struct fl_head *head, const struct fl_call *call, uint64_t now_ms,
                         struct fl_error *err);
void fl_head_deinit(struct fl_head *head);

/* For protocols. A few more than the caller's fit. */
void fl_head_put(struct fl_head *head, struct fl_str name, struct fl_str value);
void fl_head_put_metadata(struct fl_head *head, const struct fl_call *call);
void fl_head_fill_grpc(struct fl_head *head, const struct fl_call *call, uint64_t now_ms);

#endif
