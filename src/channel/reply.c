/* reply.c - from HTTP to a gRPC status (grpc/doc/PROTOCOL-HTTP2.md, http-grpc-status-mapping.md).
 *
 * The server's grpc-status is the last word, whether it stands in trailers or in a head that is all
 * there is (Trailers-Only). Without one the HTTP status decides, then the reset code, then what
 * ended the connection. */
#include "channel/reply.h"

#include "base/error.h"
#include "wire/grpc_compression.h"

#define GRPC_MESSAGE_MAX ((size_t)16 * 1024)
#define INFLATED_KEPT    ((size_t)64 * 1024) /* a larger one gives its memory back */

void fl_reply_init(struct fl_reply *reply, size_t message_max, bool unary) {
    fl_grpc_reader_init(&reply->reader, message_max);
    fl_buf_init(&reply->body, message_max);
    fl_buf_init(&reply->message, GRPC_MESSAGE_MAX);
    fl_buf_init(&reply->inflated, message_max);
    reply->encoding = FL_COMPRESSION_IDENTITY;
    reply->pushback.kind = FL_PUSHBACK_NONE;
    reply->http_status = 0;
    reply->grpc_status = -1;
    reply->messages = 0;
    reply->message_bytes = 0;
    reply->unary = unary;
    reply->grpc = reply->trailers_only = false;
    reply->headers = reply->trailers = (struct fl_metadata_list){NULL, 0};
}

void fl_reply_deinit(struct fl_reply *reply) {
    fl_grpc_reader_deinit(&reply->reader);
    fl_buf_deinit(&reply->body);
    fl_buf_deinit(&reply->message);
    fl_buf_deinit(&reply->inflated);
    fl_metadata_free(&reply->headers);
    fl_metadata_free(&reply->trailers);
}

/* "application/grpc", alone or followed by "+proto" or ";charset". */
static bool is_grpc(struct fl_str type) {
    struct fl_str grpc = FL_STR("application/grpc");
    if (!fl_str_starts(type, grpc)) return false;
    return type.n == grpc.n || type.p[grpc.n] == '+' || type.p[grpc.n] == ';';
}

static void take_status(struct fl_reply *reply, struct fl_http_headers headers) {
    struct fl_str text = fl_http_header_get(headers, FL_STR("grpc-status"));
    if (!text.p) return;
    uint64_t status;
    bool known = fl_str_u64(text, &status) && status <= FL_STATUS_UNAUTHENTICATED;
    reply->grpc_status = known ? (int)status : FL_STATUS_UNKNOWN;
    reply->pushback =
        fl_pushback_parse(fl_http_header_get(headers, FL_STR("grpc-retry-pushback-ms")));

    struct fl_str message = fl_http_header_get(headers, FL_STR("grpc-message"));
    fl_buf_truncate(&reply->message, 0);
    if (message.n == 0) return;
    /* A message that does not fit is left out: the status is what counts. */
    if (fl_grpc_message_decode(&reply->message, message) != 0 ||
        fl_buf_byte(&reply->message, '\0') != 0)
        fl_buf_truncate(&reply->message, 0);
}

static int take_metadata(struct fl_metadata_list *to, struct fl_http_headers from,
                         struct fl_error *err) {
    fl_metadata_free(to);
    return fl_metadata_decode(from, false, to) == 0 ? 0 : fl_fail_nomem(err);
}

int fl_reply_head(struct fl_reply *reply, const struct fl_http_response *head,
                  struct fl_error *err) {
    reply->http_status = head->status;
    reply->grpc =
        head->status == 200 && is_grpc(fl_http_header_get(head->headers, FL_STR("content-type")));
    take_status(reply, head->headers);
    if (!fl_compression_of(fl_http_header_get(head->headers, FL_STR("grpc-encoding")),
                           &reply->encoding))
        reply->encoding = FL_COMPRESSION_IDENTITY;
    reply->trailers_only = reply->grpc_status >= 0;
    return take_metadata(reply->trailers_only ? &reply->trailers : &reply->headers, head->headers,
                         err);
}

static int inflate_message(struct fl_reply *reply, struct fl_str bytes, struct fl_error *err) {
    if (reply->encoding == FL_COMPRESSION_IDENTITY)
        return fl_fail(err, FL_EPROTO, "gRPC message compressed in no way that was agreed");
    fl_buf_truncate(&reply->inflated, 0);
    if (reply->inflated.cap > INFLATED_KEPT) fl_buf_release(&reply->inflated);
    return fl_decompress(reply->encoding, bytes, &reply->inflated, err);
}

int fl_reply_next(struct fl_reply *reply, struct fl_str *bytes, struct fl_str *message,
                  struct fl_error *err) {
    if (!reply->grpc) { /* somebody else's page: its HTTP status says enough */
        *bytes = FL_STR_NONE;
        return 0;
    }
    struct fl_grpc_message next = {FL_STR_NONE, false};
    int rc = fl_grpc_reader_next(&reply->reader, bytes, &next, err);
    if (rc != 1) return rc;
    reply->messages++;
    reply->message_bytes += next.bytes.n;
    *message = next.bytes;
    if (!next.compressed) return 1;
    rc = inflate_message(reply, next.bytes, err);
    *message = fl_buf_str(&reply->inflated);
    return rc == 0 ? 1 : rc;
}

int fl_reply_data(struct fl_reply *reply, struct fl_str bytes, struct fl_error *err) {
    struct fl_str message;
    int rc;
    while ((rc = fl_reply_next(reply, &bytes, &message, err)) == 1) {
        if (reply->messages > 1)
            return fl_fail(err, FL_EPROTO, "more than one message in a unary response");
        if (fl_buf_append(&reply->body, message) != 0) return fl_fail_nomem(err);
    }
    return rc;
}

int fl_reply_trailers(struct fl_reply *reply, struct fl_http_headers trailers,
                      struct fl_error *err) {
    take_status(reply, trailers);
    return take_metadata(&reply->trailers, trailers, err);
}

/* The server gave a status. What it promises with OK must have come. */
static void by_server(struct fl_reply *reply, struct fl_error *cause,
                      struct fl_call_result *result) {
    result->status = (enum fl_status)reply->grpc_status;
    if (result->status != FL_STATUS_OK) return;
    if (fl_grpc_reader_partial(&reply->reader) || (reply->unary && reply->messages != 1)) {
        fl_fail(cause, FL_EPROTO,
                reply->unary ? "status OK without one whole message"
                             : "status OK in the middle of a message");
        result->status = FL_STATUS_INTERNAL;
    } else if (reply->unary) {
        struct fl_str body = fl_buf_str(&reply->body);
        result->response = body.n ? body.p : "";
        result->response_len = body.n;
    }
}

/* No grpc-status, but an HTTP status. */
static void by_http(const struct fl_reply *reply, struct fl_error *cause,
                    struct fl_call_result *result) {
    fl_fail(cause, FL_EHTTP, "no grpc-status; HTTP status %d%s", reply->http_status,
            reply->grpc || reply->http_status != 200 ? "" : ", not application/grpc");
    result->status = (enum fl_status)fl_grpc_status_of_http(reply->http_status);
}

void fl_reply_result(struct fl_reply *reply, const struct fl_error *why, uint32_t h2_code,
                     struct fl_error *cause, struct fl_call_result *result) {
    *cause = (struct fl_error){FL_OK, ""};
    result->response = NULL;
    result->response_len = 0;
    result->headers = reply->headers;
    result->trailers = reply->trailers;
    if (reply->grpc_status >= 0) {
        by_server(reply, cause, result);
    } else if (reply->http_status != 0 && (why->code == FL_OK || !reply->grpc)) {
        by_http(reply, cause, result);
    } else if (why->code == FL_OK) {
        fl_fail(cause, FL_EPROTO, "the exchange ended without a response");
        result->status = FL_STATUS_INTERNAL;
    } else {
        *cause = *why;
        result->status = why->code == FL_ESTREAM_RESET
                             ? (enum fl_status)fl_grpc_status_of_h2(h2_code)
                             : fl_status_of_error(why->code);
    }
    result->why = cause;
    struct fl_str message = fl_buf_str(&reply->message);
    result->message = cause->code != FL_OK ? cause->detail : message.n ? message.p : "";
}
