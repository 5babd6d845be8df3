/* request.h - plain HTTP requests (JSON services) over the connections of a channel.
 *
 * A request goes to one endpoint of a channel, chosen when it is sent, by the same rules as a gRPC
 * call: the channel's balancing, draining, idleness, deadlines and causes are one. What the
 * endpoints speak, HTTP/2 or HTTP/1.1, is the channel's affair (fl_channel_options.protocol). The
 * service config, whose methods are gRPC's, says nothing about requests. */
#ifndef FAIRLEAD_REQUEST_H
#define FAIRLEAD_REQUEST_H

#include <fairlead/call.h>

FL_C_BEGIN

struct fl_request {
    const char *method; /* NULL: "GET" */
    const char *path;   /* from the first '/', with its query */
    /* Names in any case, values without line breaks. Not host, content-length, expect, te, trailer
     * and those of the connection (RFC 9110 section 7.6.1). */
    struct fl_metadata_list headers;
    const void *body;
    size_t body_len; /* 0: no body */
};

/* When a request may be sent again. What was not processed by a server always is, as a call: never
 * sent, without a bound; above the last stream of a GOAWAY and by the rules below, five times
 * together; REFUSED_STREAM, once. */
enum fl_request_retry {
    /* One whose method is idempotent (RFC 9110 section 9.2.2: GET, HEAD, OPTIONS, TRACE, PUT,
     * DELETE) also when its connection or stream broke and nothing of a response was seen. */
    FL_REQUEST_RETRY_BY_METHOD,
    FL_REQUEST_RETRY_IDEMPOTENT,  /* as that, whatever the method: the caller knows that it is */
    FL_REQUEST_RETRY_UNPROCESSED, /* only what was not processed, whatever the method */
};

/* Zero-initialised: no deadline, fail fast, any endpoint. All is copied. */
struct fl_request_options {
    uint32_t timeout_ms;         /* over all attempts; 0: none */
    bool wait_for_ready;         /* true: FL_WAIT_YES, false: FL_WAIT_NO */
    struct fl_handle *endpoint;  /* only that one is tried; as in fl_call_options */
    uint32_t response_bytes_max; /* [the channel's receive_bytes_max] of a body: FL_ETOO_LARGE */
    enum fl_request_retry retry;
};

/* What came of a request. Everything is borrowed for the callback. */
struct fl_response {
    int status;                 /* of the whole response, whatever it is; 0: none came */
    const struct fl_error *why; /* why none came; with a status code FL_OK */
    /* Names in lower case; values are terminated. Without a status as far as they came. */
    struct fl_metadata_list headers, trailers;
    const void *body; /* never NULL with a status */
    size_t body_len;
    const char *peer;  /* "address:port" of the last attempt; "" if none was made */
    unsigned attempts; /* that went to a server */
    unsigned retries;  /* of these, those that were followed by another */
};

typedef void fl_request_cb(void *arg, const struct fl_response *response);

/* Starts a request. `cb` is called exactly once on the channel's loop, never from within this call;
 * when this is called on another thread, `cb` may run before it has returned. *out (NULL: not
 * wanted) is set before that and may be used for fl_call_cancel until `cb` returned; it is NULL
 * after an error. Any thread. Errors, in which case `cb` is not called: FL_ENOMEM, FL_EUSAGE
 * (method, path, a header, callback, an option, a closed channel), FL_ETOO_LARGE (headers),
 * FL_EFULL (from other threads: queued_calls_max are on their way to the loop). */
FL_API FL_MUST int fl_request_start(struct fl_channel *channel, const struct fl_request *request,
                                    const struct fl_request_options *options, fl_request_cb *cb,
                                    void *arg, struct fl_call **out, struct fl_error *err);

FL_C_END

#endif
