/* reply.h - the response of one unary call, taken in as it arrives. Pure; one thread.
 *
 * Head, messages and trailers go in; in the end it says how the call ended by gRPC's rules. */
#ifndef FL_CHANNEL_REPLY_H
#define FL_CHANNEL_REPLY_H

#include <fairlead/call.h>

#include "http/message.h"
#include "wire/grpc.h"

struct fl_reply {
    struct fl_grpc_reader reader;
    struct fl_buf body;    /* the message */
    struct fl_buf message; /* grpc-message, decoded and terminated */
    int http_status;       /* 0: nothing of the response was seen */
    int grpc_status;       /* -1: none was seen */
    unsigned messages;
    bool grpc; /* the head's content-type says so */
};

void fl_reply_init(struct fl_reply *reply, size_t message_max);
void fl_reply_deinit(struct fl_reply *reply);

void fl_reply_head(struct fl_reply *reply, const struct fl_http_response *head);
/* FL_ETOO_LARGE, FL_EPROTO, FL_ENOMEM: the call should be given up. */
FL_MUST int fl_reply_data(struct fl_reply *reply, struct fl_str bytes, struct fl_error *err);
void fl_reply_trailers(struct fl_reply *reply, struct fl_http_headers trailers);
/* Something of the response was seen: the server did process the call. */
static inline bool fl_reply_heard(const struct fl_reply *reply) { return reply->http_status != 0; }
/* The exchange ended with *why (FL_OK: completely) and, if it was reset, h2_code. Fills in status,
 * message, why (cause) and response; all borrowed from `reply` and `cause`. */
void fl_reply_result(struct fl_reply *reply, const struct fl_error *why, uint32_t h2_code,
                     struct fl_error *cause, struct fl_call_result *result);

/* The status of a call that this side ended for `code`. */
enum fl_status fl_status_of_error(int code);

#endif
