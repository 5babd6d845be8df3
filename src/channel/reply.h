/* reply.h - the response to one attempt, taken in as it arrives. Pure; one thread.
 *
 * Head, messages and trailers go in; in the end it says how the attempt ended by gRPC's rules. */
#ifndef FL_CHANNEL_REPLY_H
#define FL_CHANNEL_REPLY_H

#include <fairlead/call.h>

#include "channel/metadata.h"
#include "channel/retry.h"
#include "wire/grpc.h"

struct fl_reply {
    struct fl_grpc_reader reader;
    struct fl_buf body;           /* unary: the message */
    struct fl_buf message;        /* grpc-message, decoded and terminated */
    struct fl_buf inflated;       /* the last message that came compressed */
    enum fl_compression encoding; /* of compressed messages; IDENTITY: none that is known */
    struct fl_pushback pushback;
    int http_status; /* 0: nothing of the response was seen */
    int grpc_status; /* -1: none was seen */
    unsigned messages;
    uint64_t message_bytes; /* of them, as they came */
    bool unary;             /* OK promises exactly one message */
    bool grpc;              /* the head's content-type says so */
    bool trailers_only;     /* the head is all there is */
    struct fl_metadata_list headers, trailers;
};

void fl_reply_init(struct fl_reply *reply, size_t message_max, bool unary);
void fl_reply_deinit(struct fl_reply *reply);

/* All that can fail: FL_ETOO_LARGE, FL_EPROTO, FL_ENOMEM: the attempt should be given up. */
FL_MUST int fl_reply_head(struct fl_reply *reply, const struct fl_http_response *head,
                          struct fl_error *err);
/* 1: the next whole message, borrowed until the next call, *bytes moved behind it; 0: *bytes are
 * used up. */
FL_MUST int fl_reply_next(struct fl_reply *reply, struct fl_str *bytes, struct fl_str *message,
                          struct fl_error *err);
/* Unary: keeps the message for the result. */
FL_MUST int fl_reply_data(struct fl_reply *reply, struct fl_str bytes, struct fl_error *err);
FL_MUST int fl_reply_trailers(struct fl_reply *reply, struct fl_http_headers trailers,
                              struct fl_error *err);
/* Something of the response was seen: the server did process the call. */
static inline bool fl_reply_heard(const struct fl_reply *reply) { return reply->http_status != 0; }
/* The server has begun to answer, so no other attempt may (gRFC A6). */
static inline bool fl_reply_commits(const struct fl_reply *reply) {
    return reply->grpc && !reply->trailers_only;
}
/* The exchange ended with *why (FL_OK: completely) and, if it was reset, h2_code. Fills in status,
 * message, why (cause), response and metadata; all borrowed from `reply` and `cause`. */
void fl_reply_result(struct fl_reply *reply, const struct fl_error *why, uint32_t h2_code,
                     struct fl_error *cause, struct fl_call_result *result);

/* The status of a call that this side ended for `code`. */
enum fl_status fl_status_of_error(int code);

#endif
