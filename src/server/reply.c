/* reply.c - what a call sends: headers, messages, the status.
 *
 * A status before anything else goes in one frame (Trailers-Only, PROTOCOL-HTTP2.md). */
#include <stdio.h>

#include "base/alloc.h"
#include "server/inside.h"
#include "wire/grpc_frame.h"

#define FIELDS_FEW  16 /* heads up to this many fields need no memory */
#define OWN_FIELDS  3  /* that this file puts before the owner's */
#define STATUS_MAX  12
#define MESSAGE_MAX ((size_t)4096) /* of grpc-message, encoded */

void fl_grpc_stream_break(struct fl_http_stream *stream, uint32_t h2_code, int code) {
    struct fl_error why;
    fl_fail(&why, code, "%s", fl_error_text(code));
    fl_http_stream_reset(stream, h2_code, &why);
}

/* --- heads --- */

/* A head of our own fields and the owner's. */
struct head {
    struct fl_http_header few[FIELDS_FEW];
    struct fl_http_header *list;
    size_t count;
};

static int head_init(struct head *head, struct fl_http_headers more) {
    head->count = 0;
    head->list = head->few;
    if (OWN_FIELDS + more.count <= FIELDS_FEW) return 0;
    head->list = fl_calloc(OWN_FIELDS + more.count, sizeof(*head->list));
    return head->list ? 0 : FL_ENOMEM;
}

static void head_deinit(struct head *head) {
    if (head->list != head->few) fl_free(head->list);
}

static void head_add(struct head *head, struct fl_str name, struct fl_str value) {
    head->list[head->count++] = (struct fl_http_header){name, value};
}

static struct fl_http_headers head_with(struct head *head, struct fl_http_headers more) {
    if (more.count) memcpy(head->list + head->count, more.list, more.count * sizeof(*more.list));
    head->count += more.count;
    return (struct fl_http_headers){head->list, head->count};
}

static int send_head(struct fl_grpc_call *call, struct fl_http_headers metadata) {
    struct head fields;
    int rc = head_init(&fields, metadata);
    if (rc != 0) return rc;
    head_add(&fields, FL_STR("content-type"), FL_STR("application/grpc"));
    if (call->agreed != FL_COMPRESSION_IDENTITY)
        head_add(&fields, FL_STR("grpc-encoding"), fl_compression_name(call->agreed));
    struct fl_http_response head = {200, head_with(&fields, metadata)};
    rc = fl_http_stream_respond(call->stream, &head, false);
    head_deinit(&fields);
    if (rc == 0) call->head_sent = true;
    return rc;
}

int fl_grpc_call_headers(struct fl_grpc_call *call, struct fl_http_headers metadata) {
    if (call->finished) return FL_ESHUTDOWN;
    return call->head_sent ? FL_EUSAGE : send_head(call, metadata);
}

/* --- messages --- */

static int write_packed(const struct fl_grpc_call *call, struct fl_str message) {
    struct fl_frame frame;
    int rc = fl_frame_init(&frame, call->sends, message);
    if (rc != 0) return rc;
    const struct fl_str parts[] = {fl_str_n(frame.prefix, sizeof(frame.prefix)), frame.body};
    rc = fl_http_stream_write_parts(call->stream, parts, FL_COUNT(parts), false);
    fl_frame_deinit(&frame);
    return rc;
}

static int write_message(const struct fl_grpc_call *call, struct fl_str message) {
    uint8_t prefix[FL_GRPC_PREFIX];
    if (call->sends != FL_COMPRESSION_IDENTITY) return write_packed(call, message);
    fl_grpc_prefix((uint32_t)message.n, prefix);
    const struct fl_str parts[] = {fl_str_n(prefix, sizeof(prefix)), message};
    return fl_http_stream_write_parts(call->stream, parts, FL_COUNT(parts), false);
}

int fl_grpc_call_send(struct fl_grpc_call *call, struct fl_str message) {
    if (call->finished) return FL_ESHUTDOWN;
    if (message.n > FL_HTTP_QUEUE_MAX - FL_GRPC_PREFIX) return FL_ETOO_LARGE;
    int rc = call->head_sent ? 0 : send_head(call, FL_HTTP_HEADERS_NONE);
    return rc ? rc : write_message(call, message);
}

/* --- the status --- */

/* It cannot be told how it ended. */
static void break_call(struct fl_grpc_call *call, int code) {
    call->finished = true;
    fl_grpc_stream_break(call->stream, FL_H2_CANCEL, code);
}

/* The one that every good call ends with is not printed. */
static struct fl_str status_text(enum fl_status status, char out[STATUS_MAX]) {
    if (status == FL_STATUS_OK) return FL_STR("0");
    snprintf(out, STATUS_MAX, "%u", (unsigned)status);
    return fl_str_of(out);
}

static int send_status(struct fl_grpc_call *call, struct head *fields,
                       struct fl_http_headers trailers) {
    if (call->head_sent) return fl_http_stream_trailers(call->stream, head_with(fields, trailers));
    head_add(fields, FL_STR("content-type"), FL_STR("application/grpc"));
    struct fl_http_response head = {200, head_with(fields, trailers)};
    return fl_http_stream_respond(call->stream, &head, true);
}

void fl_grpc_call_finish(struct fl_grpc_call *call, enum fl_status status, struct fl_str message,
                         struct fl_http_headers trailers) {
    if (call->finished) return;
    call->finished = true;
    char number[STATUS_MAX];
    struct fl_buf text;
    struct head fields;
    fl_buf_init(&text, MESSAGE_MAX);
    int rc = head_init(&fields, trailers);
    if (rc == 0) {
        head_add(&fields, FL_STR("grpc-status"), status_text(status, number));
        if (message.n && fl_grpc_message_encode(&text, message) == 0)
            head_add(&fields, FL_STR("grpc-message"), fl_buf_str(&text));
        rc = send_status(call, &fields, trailers);
        head_deinit(&fields);
    }
    if (rc != 0) break_call(call, rc);
    fl_buf_deinit(&text);
}

void fl_grpc_call_refuse(struct fl_grpc_call *call, enum fl_status status, const char *message) {
    fl_grpc_call_finish(call, status, fl_str_of(message), FL_HTTP_HEADERS_NONE);
}

void fl_grpc_call_reply(struct fl_grpc_call *call, enum fl_status status, struct fl_str message,
                        struct fl_str response) {
    FL_ASSERT(call->owed);
    call->owed = false;
    int rc = status == FL_STATUS_OK ? fl_grpc_call_send(call, response) : 0;
    if (rc == 0)
        fl_grpc_call_finish(call, status, message, FL_HTTP_HEADERS_NONE);
    else if (rc == FL_ETOO_LARGE)
        fl_grpc_call_refuse(call, FL_STATUS_RESOURCE_EXHAUSTED, "the response is too large");
    else if (!call->finished)
        break_call(call, rc);
    fl_grpc_call_free_if_over(call);
}
