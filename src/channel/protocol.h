/* protocol.h - what a call says and hears on its streams: gRPC's way, or plain HTTP's.
 *
 * Everything else about a call (its queue, its deadline, who takes it, its end) is the same for
 * both. One loop's thread. */
#ifndef FL_CHANNEL_PROTOCOL_H
#define FL_CHANNEL_PROTOCOL_H

#include "channel/head.h"
#include "channel/reply.h"

struct fl_call;

struct fl_protocol {
    bool grpc; /* needs HTTP/2, follows the service config, is measured by gRPC's metrics */
    /* Fills in the head's method and headers. */
    void (*fill_head)(struct fl_head *head, const struct fl_call *call, uint64_t now_ms);
    /* The response as it arrives, and what it comes to: see fl_reply_head and its sisters. */
    int (*take_head)(struct fl_reply *reply, const struct fl_http_response *head,
                     struct fl_error *err);
    int (*take_data)(struct fl_reply *reply, struct fl_str bytes, struct fl_error *err);
    int (*take_trailers)(struct fl_reply *reply, struct fl_http_headers trailers,
                         struct fl_error *err);
    void (*result)(struct fl_reply *reply, const struct fl_error *why, uint32_t h2_code,
                   struct fl_error *cause, struct fl_call_result *result);
    /* Nothing of a response was seen when the stream ended for `code`: is it sent again unseen? */
    bool (*repeats)(const struct fl_call *call, int code);
};

extern const struct fl_protocol fl_protocol_grpc, fl_protocol_http;

/* No server processed what ended for this code (gRFC A6; RFC 9113 section 8.7). */
static inline bool fl_protocol_unprocessed(int code) {
    return code == FL_EGOAWAY || code == FL_ESTREAM_REFUSED;
}

#endif
