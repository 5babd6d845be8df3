/* reply.c - from HTTP to a gRPC status (grpc/doc/PROTOCOL-HTTP2.md, http-grpc-status-mapping.md).
 *
 * The server's grpc-status is the last word, whether it stands in trailers or in a head that is all
 * there is (Trailers-Only). Without one the HTTP status decides, then the reset code, then what
 * ended the connection. */
#include "channel/reply.h"

#include "base/error.h"

#define GRPC_MESSAGE_MAX ((size_t)16 * 1024)

void fl_reply_init(struct fl_reply *reply, size_t message_max) {
    fl_grpc_reader_init(&reply->reader, message_max);
    fl_buf_init(&reply->body, message_max);
    fl_buf_init(&reply->message, GRPC_MESSAGE_MAX);
    reply->http_status = 0;
    reply->grpc_status = -1;
    reply->messages = 0;
    reply->grpc = false;
}

void fl_reply_deinit(struct fl_reply *reply) {
    fl_grpc_reader_deinit(&reply->reader);
    fl_buf_deinit(&reply->body);
    fl_buf_deinit(&reply->message);
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

    struct fl_str message = fl_http_header_get(headers, FL_STR("grpc-message"));
    fl_buf_truncate(&reply->message, 0);
    if (message.n == 0) return;
    /* A message that does not fit is left out: the status is what counts. */
    if (fl_grpc_message_decode(&reply->message, message) != 0 ||
        fl_buf_byte(&reply->message, '\0') != 0)
        fl_buf_truncate(&reply->message, 0);
}

void fl_reply_head(struct fl_reply *reply, const struct fl_http_response *head) {
    reply->http_status = head->status;
    reply->grpc =
        head->status == 200 && is_grpc(fl_http_header_get(head->headers, FL_STR("content-type")));
    take_status(reply, head->headers);
}

static int take_message(void *arg, struct fl_str message) {
    struct fl_reply *reply = arg;
    if (++reply->messages > 1) return FL_EPROTO;
    return fl_buf_append(&reply->body, message);
}

int fl_reply_data(struct fl_reply *reply, struct fl_str bytes, struct fl_error *err) {
    if (!reply->grpc) return 0; /* somebody else's page: its HTTP status says enough */
    struct fl_error detail = {FL_OK, ""};
    int rc = fl_grpc_reader_feed(&reply->reader, bytes, take_message, reply, &detail);
    if (rc == 0) return 0;
    if (rc == FL_ENOMEM) return fl_fail_nomem(err);
    if (reply->messages > 1) return fl_fail(err, rc, "more than one message in a unary response");
    return fl_fail(err, rc, "%s", detail.detail);
}

void fl_reply_trailers(struct fl_reply *reply, struct fl_http_headers trailers) {
    take_status(reply, trailers);
}

/* The server gave a status. OK promises exactly one whole message. */
static void by_server(struct fl_reply *reply, struct fl_error *cause,
                      struct fl_call_result *result) {
    result->status = (enum fl_status)reply->grpc_status;
    bool whole = reply->messages == 1 && !fl_grpc_reader_partial(&reply->reader);
    if (result->status == FL_STATUS_OK && !whole) {
        fl_fail(cause, FL_EPROTO, "status OK without one whole message");
        result->status = FL_STATUS_INTERNAL;
    } else if (result->status == FL_STATUS_OK) {
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
