/* call.h - gRPC calls: unary, and streams of messages in either direction or both.
 *
 * A call goes to one endpoint of a channel, chosen when it is sent. It is tried again where gRPC's
 * rules allow (gRFC A6): unseen where no server processed it, and by the retry or hedging policy of
 * the channel's service config. Messages are bytes. */
#ifndef FAIRLEAD_CALL_H
#define FAIRLEAD_CALL_H

#include <fairlead/channel.h>

FL_C_BEGIN

struct fl_call;
struct fl_handle;

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

/* One entry of metadata (gRPC's PROTOCOL-HTTP2.md, Custom-Metadata). Names are lower case; those
 * that HTTP or gRPC write themselves are refused with FL_EUSAGE: "grpc-…", content-type,
 * content-length, te, user-agent, host and those of the connection. The value of a name that ends
 * in "-bin" is any bytes, others visible ASCII with spaces within. Received values are followed by
 * a zero byte that `len` does not count. What credentials give, authorization and cookie are sent
 * so that no table of header compression keeps them (RFC 7541 section 7.1.3). */
struct fl_metadata {
    const char *name;
    const void *value;
    size_t len;
};

struct fl_metadata_list {
    const struct fl_metadata *list;
    size_t count;
};

/* Takes one entry of metadata, copied. */
typedef void fl_credentials_give(void *to, const struct fl_metadata *entry);

/* What a call does while no endpoint is ready (grpc/doc/wait-for-ready.md). */
enum fl_wait_for_ready {
    FL_WAIT_DEFAULT, /* what the service config's waitForReady says; without it as FL_WAIT_NO */
    FL_WAIT_YES,     /* waits through failures until an endpoint is ready or the deadline passes */
    FL_WAIT_NO,      /* fails fast in TRANSIENT_FAILURE, whatever the service config says */
};

/* Zero-initialised: no deadline, what service config and channel say. All is copied. */
struct fl_call_options {
    uint32_t timeout_ms; /* 0: the service config's, else none; of both the smaller one */
    enum fl_wait_for_ready wait_for_ready;
    struct fl_metadata_list metadata; /* sent to the server; names may repeat */
    enum fl_compression compression;  /* of what is sent */
    /* A larger message, decompressed: RESOURCE_EXHAUSTED. 0: the channel's; with a service config's
     * the smaller one. */
    uint32_t receive_bytes_max, send_bytes_max;
    /* W3C trace context of the caller's span; NULL: none. Each attempt is sent as a child of it:
     * the same trace with a parent id of its own. Who writes traceparent as metadata sends it as it
     * is, and leaves these NULL. */
    const char *traceparent, *tracestate;
    /* Called on the channel's loop before each attempt, where it must not wait: gives metadata by
     * `give(to, …)` any number of times and returns 0, or an error, which ends the call with
     * UNAUTHENTICATED. It may not use the call. NULL: none. */
    int (*credentials)(void *arg, const char *method, fl_credentials_give *give, void *to,
                       struct fl_error *err);
    void *credentials_arg;
    /* A handle of this channel (fairlead/handle.h): only that endpoint is tried. One that has left
     * ends the call at once, also when it waits for ready. NULL: the channel chooses. */
    struct fl_handle *endpoint;
};

/* How a call ended. Everything is borrowed for the callback. */
struct fl_call_result {
    enum fl_status status;
    const char *message;        /* grpc-message, decoded; or our own one line; "" if none */
    const struct fl_error *why; /* the cause when this side decided the status, else code FL_OK */
    const void *response;       /* unary: the message's bytes when status is OK, else NULL */
    size_t response_len;
    struct fl_metadata_list headers, trailers; /* what the server sent before and after messages */
    const char *peer;             /* "address:port" of the last attempt; "" if none was made */
    unsigned attempts;            /* that went to a server; 0: never sent */
    unsigned transparent_retries; /* attempts the server did not process */
};

typedef void fl_call_cb(void *arg, const struct fl_call_result *result);

/* Starts a unary call of `method` ("/package.Service/Method") with the `len` bytes of the encoded
 * request, which are copied. `cb` is called exactly once on the channel's loop, never from within
 * this call; when this is called on another thread, `cb` may run before it has returned. *out
 * (NULL: not wanted) is set before that and may be used for fl_call_cancel until `cb` returned; it
 * is NULL after an error. Any thread. What was not processed by a server is tried again unseen
 * (gRFC A6, transparent retries): never sent, always; above the last stream of a GOAWAY, five
 * times; REFUSED_STREAM, once.
 * Errors, in which case `cb` is not called: FL_ENOMEM, FL_EUSAGE (method, callback, size, an
 * option, a closed channel), FL_ETOO_LARGE (metadata), FL_EFULL (from other threads:
 * queued_calls_max calls are on their way to the loop). */
FL_API FL_MUST int fl_call_unary(struct fl_channel *channel, const char *method,
                                 const void *request, size_t len,
                                 const struct fl_call_options *options, fl_call_cb *cb, void *arg,
                                 struct fl_call **out, struct fl_error *err);

/* What a streaming call tells its owner, on the channel's loop, never from within a function of
 * this header. Unwanted members may be NULL, except on_end. */
struct fl_call_events {
    /* The server's initial metadata; not called if there is none but gRPC's own trailers. */
    void (*on_headers)(void *arg, struct fl_call *call, const struct fl_metadata_list *headers);
    /* One message, borrowed. */
    void (*on_message)(void *arg, struct fl_call *call, const void *bytes, size_t len);
    /* After fl_call_write said FL_EFULL: less than half of the bound is queued. */
    void (*on_writable)(void *arg, struct fl_call *call);
    fl_call_cb *on_end; /* last, exactly once; the call's memory is gone after it */
};

/* Starts a call whose messages go either way as they come: client, server or bidirectional
 * streaming. `events` is copied; else as fl_call_unary. It is tried again unseen until the server
 * answers or 256 KiB were sent. Any thread; the functions below only on the channel's loop. */
FL_API FL_MUST int fl_call_start(struct fl_channel *channel, const char *method,
                                 const struct fl_call_options *options,
                                 const struct fl_call_events *events, void *arg,
                                 struct fl_call **out, struct fl_error *err);

#define FL_CALL_QUEUE_BYTES_MAX ((size_t)2 * 1024 * 1024)

/* Sends a message, copied; its order is kept. FL_EFULL: FL_CALL_QUEUE_BYTES_MAX are queued, nothing
 * was taken, on_writable follows; FL_ENOMEM: nothing was taken; FL_ETOO_LARGE: more than
 * send_bytes_max; FL_EUSAGE: a unary call, or 4 GiB; FL_ESHUTDOWN: fl_call_write_end was called, or
 * the call has ended. */
FL_API FL_MUST int fl_call_write(struct fl_call *call, const void *message, size_t len);
/* No more messages will follow (half-close). Twice is allowed. */
FL_API void fl_call_write_end(struct fl_call *call);
/* While paused there is no on_message and no on_end after the first message held back; the server
 * is held back by its window. The call's deadline goes on. */
FL_API void fl_call_pause(struct fl_call *call, bool paused);

/* Ends the call with CANCELLED unless it has ended already. The channel's loop thread only. */
FL_API void fl_call_cancel(struct fl_call *call);

FL_C_END

#endif
