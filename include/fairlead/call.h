/* call.h - one unary gRPC call. */
#ifndef FAIRLEAD_CALL_H
#define FAIRLEAD_CALL_H

#include <fairlead/channel.h>

FL_C_BEGIN

struct fl_call;

/* Status codes of gRPC (google.rpc.Code). */
enum fl_status {
    FL_STATUS_OK = 0,
    FL_STATUS_CANCELLED = 1,
    FL_STATUS_UNKNOWN = 2,
    FL_STATUS_INVALID_ARGUMENT = 3,
    FL_STATUS_DEADLINE_EXCEEDED = 4,
    FL_STATUS_NOT_FOUND = 5,
    FL_STATUS_ALREADY_EXISTS = 6,
    FL_STATUS_PERMISSION_DENIED = 7,
    FL_STATUS_RESOURCE_EXHAUSTED = 8,
    FL_STATUS_FAILED_PRECONDITION = 9,
    FL_STATUS_ABORTED = 10,
    FL_STATUS_OUT_OF_RANGE = 11,
    FL_STATUS_UNIMPLEMENTED = 12,
    FL_STATUS_INTERNAL = 13,
    FL_STATUS_UNAVAILABLE = 14,
    FL_STATUS_DATA_LOSS = 15,
    FL_STATUS_UNAUTHENTICATED = 16,
};

/* "OK", "UNAVAILABLE", …; static storage; any thread. */
FL_API const char *fl_status_name(enum fl_status status);

/* Zero-initialised: no deadline, fail fast. */
struct fl_call_options {
    uint32_t timeout_ms; /* 0: none */
    bool wait_for_ready; /* wait through failures until an endpoint is ready or the deadline passes
                          */
};

/* How a call ended. Everything is borrowed for the callback. */
struct fl_call_result {
    enum fl_status status;
    const char *message;        /* grpc-message, decoded; or our own one line; "" if none */
    const struct fl_error *why; /* the cause when this side decided the status, else code FL_OK */
    const void *response;       /* the message's bytes when status is OK, else NULL */
    size_t response_len;
    const char *peer;             /* "address:port" of the last attempt; "" if none was made */
    unsigned transparent_retries; /* attempts the server did not process */
};

typedef void fl_call_cb(void *arg, const struct fl_call_result *result);

/* Starts a unary call of `method` ("/package.Service/Method") with the `len` bytes of the encoded
 * request, which are copied. `cb` is called exactly once on the channel's loop, never from within
 * this call; when this is called on another thread, `cb` may run before it has returned. *out
 * (NULL: not wanted) is set before that and may be used for fl_call_cancel until `cb` returned; it
 * is NULL after an error. Any thread. What was not processed by a server (REFUSED_STREAM, above the
 * last stream of a GOAWAY, never sent) is tried again unseen (gRFC A6, transparent retries).
 * Errors, in which case `cb` is not called: FL_ENOMEM, FL_EUSAGE (method, callback, size, a closed
 * channel), FL_EFULL (from other threads: queued_calls_max calls are on their way to the loop). */
FL_API FL_MUST int fl_call_unary(struct fl_channel *channel, const char *method,
                                 const void *request, size_t len,
                                 const struct fl_call_options *options, fl_call_cb *cb, void *arg,
                                 struct fl_call **out, struct fl_error *err);

/* Ends the call with CANCELLED unless it has ended already. The channel's loop thread only. */
FL_API void fl_call_cancel(struct fl_call *call);

FL_C_END

#endif
