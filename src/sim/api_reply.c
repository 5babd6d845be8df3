/* api_reply.c - heads, bodies and Status answers. See api_reply.h. */
#include "sim/api_reply.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "sim/api_trickle.h"
#include "wire/pb.h"

#define PIECE_MAX   ((size_t)256 * 1024)
#define GARBAGE_MAX 2048
#define H2_INTERNAL 2
#define HEADERS_MAX 3

struct reply {
    struct fl_buf body;
    struct fl_api_trickle trickle; /* fault */
};

const char *fl_api_content_type(enum fl_k8s_format format, bool watch) {
    if (format == FL_K8S_JSON) return "application/json";
    return watch ? "application/vnd.kubernetes.protobuf;stream=watch"
                 : "application/vnd.kubernetes.protobuf";
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    FL_UNUSED(arg);
    fl_http_stream_consume(stream, bytes.n); /* a GET's body means nothing */
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    struct reply *reply = arg;
    FL_UNUSED(stream);
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
    if (!reply) return;
    fl_api_trickle_deinit(&reply->trickle);
    fl_buf_deinit(&reply->body);
    fl_free(reply);
}

static void send_more(void *arg, struct fl_http_stream *stream) {
    struct reply *reply = arg;
    struct fl_error why;
    int rc = 0;
    while (reply->body.len && !rc) {
        struct fl_str piece = fl_buf_str(&reply->body);
        piece.n = FL_MIN(piece.n, PIECE_MAX);
        rc = fl_http_stream_write(stream, piece, piece.n == reply->body.len);
        if (!rc) fl_buf_consume(&reply->body, piece.n);
    }
    if (!rc || rc == FL_EFULL || rc == FL_ESHUTDOWN) return;
    fl_fail(&why, rc, "%s", "");
    fl_http_stream_reset(stream, H2_INTERNAL, &why);
}

static const struct fl_http_stream_events reply_events = {
    .on_data = on_data, .on_writable = send_more, .on_close = on_close};
static const struct fl_http_stream_events silent_events = {.on_data = on_data,
                                                           .on_close = on_close};

void fl_api_reply_silence(const struct fl_api_call *call) {
    fl_http_stream_attach(call->stream, &silent_events, NULL);
}

static void reset_nomem(struct fl_http_stream *stream) {
    struct fl_error why;
    fl_fail_nomem(&why);
    fl_http_stream_reset(stream, H2_INTERNAL, &why);
}

static int send_head(struct fl_http_stream *stream, int http_status, const char *content_type,
                     uint32_t retry_after_s, size_t length) {
    struct fl_http_header headers[HEADERS_MAX];
    char length_text[24], retry_text[24];
    size_t n = 0;
    snprintf(length_text, sizeof length_text, "%zu", length);
    snprintf(retry_text, sizeof retry_text, "%" PRIu32, retry_after_s);
    headers[n++] = (struct fl_http_header){FL_STR("content-type"), fl_str_of(content_type)};
    headers[n++] = (struct fl_http_header){FL_STR("content-length"), fl_str_of(length_text)};
    if (retry_after_s)
        headers[n++] = (struct fl_http_header){FL_STR("retry-after"), fl_str_of(retry_text)};
    struct fl_http_response head = {http_status, {headers, n}};
    return fl_http_stream_respond(stream, &head, length == 0);
}

/* Fault: the whole body goes to the trickle. */
static void send_slowly(struct reply *reply, const struct fl_api_call *call) {
    if (!reply->body.len) return;
    if (fl_api_trickle_init(&reply->trickle, call->io, call->stream) ||
        fl_api_trickle_write(&reply->trickle, fl_buf_str(&reply->body), true))
        reset_nomem(call->stream);
    fl_buf_consume(&reply->body, reply->body.len);
}

void fl_api_reply_take(const struct fl_api_call *call, int http_status, const char *content_type,
                       uint32_t retry_after_s, struct fl_buf *body) {
    struct fl_http_stream *stream = call->stream;
    struct reply *reply = FL_NEW(struct reply);
    fl_http_stream_attach(stream, reply ? &reply_events : &silent_events, reply);
    if (reply) {
        reply->body = *body;
        fl_buf_init(body, FL_API_BODY_MAX);
    } else {
        fl_buf_deinit(body);
    }
    if (!reply || send_head(stream, http_status, content_type, retry_after_s, reply->body.len))
        reset_nomem(stream);
    else if (call->slow)
        send_slowly(reply, call);
    else
        send_more(reply, stream);
}

struct fl_k8s_status fl_api_status_of(const struct fl_api_status *status) {
    return (struct fl_k8s_status){.code = status->code,
                                  .reason = fl_str_of(status->reason),
                                  .message = fl_str_of(status->message),
                                  .retry_after_s = status->retry_after_s,
                                  .version_too_large = status->version_too_large};
}

/* Where a list that expired may go on: of ListMeta, which wire/ does not write into a Status. */
static int add_continue(struct fl_buf *bare, enum fl_k8s_format format, const char *token) {
    struct fl_str empty = FL_STR("\"metadata\":{}"), text = fl_buf_str(bare);
    struct fl_pb_writer w = fl_pb_writer_of(bare);
    if (format == FL_K8S_PROTOBUF) { /* a field that comes again adds to the first */
        size_t meta = fl_pb_open(&w, 1);
        fl_pb_put_text(&w, 3, fl_str_of(token));
        fl_pb_close(&w, meta);
        return fl_pb_finish(&w);
    }
    const char *at = !text.n ? NULL : memmem(text.p, text.n, empty.p, empty.n);
    if (!at) return 0;
    char *rest = fl_str_dup(fl_str_from(text, (size_t)(at - text.p) + empty.n));
    if (!rest) return FL_ENOMEM;
    fl_buf_truncate(bare, (size_t)(at - text.p));
    int rc = fl_buf_printf(bare, "\"metadata\":{\"continue\":\"%s\"}%s", token, rest);
    fl_free(rest);
    return rc;
}

void fl_api_reply_status(const struct fl_api_call *call, const struct fl_api_status *status) {
    enum fl_k8s_format format = call->request.format;
    struct fl_k8s_status spec = fl_api_status_of(status);
    struct fl_buf bare, body;
    fl_buf_init(&bare, FL_API_BODY_MAX);
    fl_buf_init(&body, FL_API_BODY_MAX);
    int rc = fl_k8s_encode_status(&bare, format, &spec);
    if (!rc && status->continue_token[0]) rc = add_continue(&bare, format, status->continue_token);
    if (!rc) rc = fl_k8s_encode_object(&body, format, FL_K8S_STATUS, fl_buf_str(&bare));
    if (rc) fl_buf_consume(&body, body.len); /* the code alone must do */
    fl_api_reply_take(call, status->code, fl_api_content_type(format, false), status->retry_after_s,
                      &body);
    fl_buf_deinit(&bare);
}

int fl_api_ahead(struct fl_api_status *status, uint64_t version, uint64_t current) {
    fl_api_fail(status, 504, "Timeout",
                "Too large resource version: %" PRIu64 ", current: %" PRIu64, version, current);
    status->retry_after_s = 1;
    status->version_too_large = true;
    return status->code;
}

int fl_api_check_reached(const struct fl_store *store, uint64_t version,
                         struct fl_api_status *status) {
    return version <= store->version ? 0 : fl_api_ahead(status, version, store->version);
}

int fl_api_forbidden(struct fl_api_status *status, const struct fl_api_request *request,
                     const char *user) {
    const struct fl_resource *resource = fl_resource_of(request->kind);
    char full[64], where[300], what[300] = "";
    fl_resource_full_name(resource, full);
    if (request->name.n) snprintf(what, sizeof what, " \"%.*s\"", FL_STR_ARG(request->name));
    snprintf(where, sizeof where, "in the namespace \"%.*s\"", FL_STR_ARG(request->ns));
    return fl_api_fail(status, 403, "Forbidden",
                       "%s%s is forbidden: User \"%s\" cannot %s resource \"%s\" in API group "
                       "\"%s\" %s",
                       full, what, user, fl_api_request_verb(request), resource->plural,
                       resource->group, request->ns.n ? where : "at the cluster scope");
}

int fl_api_expired(struct fl_api_status *status, uint64_t version, uint64_t oldest) {
    return fl_api_fail(status, 410, "Expired",
                       "too old resource version: %" PRIu64 " (%" PRIu64 ")", version, oldest);
}

void fl_api_reply_garbage(const struct fl_api_call *call) {
    bool watch = call->request.target == FL_API_WATCH;
    uint8_t bytes[GARBAGE_MAX];
    struct fl_buf body;
    uint16_t n;
    fl_io_random(call->io, &n, sizeof n);
    fl_io_random(call->io, bytes, sizeof bytes);
    fl_buf_init(&body, FL_API_BODY_MAX);
    if (fl_buf_append(&body, fl_str_n(bytes, 1 + n % GARBAGE_MAX))) fl_buf_release(&body);
    fl_api_reply_take(call, 200, fl_api_content_type(call->request.format, watch), 0, &body);
}
