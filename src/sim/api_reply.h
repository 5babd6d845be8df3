/* api_reply.h - answers of the simulated API server that are not watches. One thread.
 *
 * A reply takes over its stream: it sends the body as the stream has room and ends with it. Without
 * memory the stream is reset. */
#ifndef FL_SIM_API_REPLY_H
#define FL_SIM_API_REPLY_H

#include "http/conn.h"
#include "sim/api_request.h"
#include "sim/store.h"

#define FL_API_BODY_MAX ((size_t)1024 * 1024 * 1024)

/* One request on its way to an answer. */
struct fl_api_call {
    struct fl_io *io;
    struct fl_http_stream *stream;
    struct fl_api_request request;
    bool slow; /* fault: the answer arrives a few bytes at a time */
};

const char *fl_api_content_type(enum fl_k8s_format format, bool watch);

/* Takes the body's bytes and leaves it empty. */
void fl_api_reply_take(const struct fl_api_call *call, int http_status, const char *content_type,
                       uint32_t retry_after_s, struct fl_buf *body);
void fl_api_reply_status(const struct fl_api_call *call, const struct fl_api_status *status);
/* /version, /healthz, /api, /apis …; `slices`: EndpointSlices are served. */
void fl_api_reply_document(const struct fl_api_call *call, bool slices);
/* An object as the request wants to see it. */
void fl_api_reply_made(const struct fl_api_call *call, int http_status, struct fl_object *object);
void fl_api_reply_object(const struct fl_api_call *call, const struct fl_store *store);
/* `older`: a cached list may answer an old state, as an API server that lags does. */
void fl_api_reply_list(const struct fl_api_call *call, const struct fl_store *store, bool older);
/* Random bytes. */
void fl_api_reply_garbage(const struct fl_api_call *call);
/* No answer at all, ever. */
void fl_api_reply_silence(const struct fl_api_call *call);

/* A request's body as a tree. 0, or the HTTP code in *status and *out NULL. */
FL_MUST int fl_api_parse_body(const struct fl_api_request *request, struct fl_str body,
                              json_t **out, struct fl_api_status *status);

/* The struct that wire/ encodes. */
struct fl_k8s_status fl_api_status_of(const struct fl_api_status *status);
/* "Too large resource version", when the store has not reached it. */
int fl_api_check_reached(const struct fl_store *store, uint64_t version,
                         struct fl_api_status *status);
int fl_api_ahead(struct fl_api_status *status, uint64_t version, uint64_t current);
int fl_api_not_found(struct fl_api_status *status, const struct fl_api_request *request);
int fl_api_expired(struct fl_api_status *status, uint64_t version, uint64_t oldest);
/* The real server's words: who may not do what to which resource, where. */
int fl_api_forbidden(struct fl_api_status *status, const struct fl_api_request *request,
                     const char *user);

#endif
