/* request.c - plain HTTP requests: a call whose protocol is HTTP itself.
 *
 * The call carries path, headers (as its metadata) and body (as what it has to send); what it does
 * not know of lies in the request, which is its owner: the method, and whether it may be repeated.
 * The end of the call is the end of the request. */
#include <fairlead/request.h>
#include <stdio.h>

#include "base/alloc.h"
#include "channel/metadata.h"
#include "channel/protocol.h"
#include "channel/response.h"
#include "channel/state.h"

#define PATH_MAX_BYTES ((size_t)8000) /* RFC 9110 section 4.1 */
#define METHOD_MAX     ((size_t)32)

struct sent {
    struct fl_call *call;
    fl_request_cb *cb;
    void *arg;
    bool repeatable; /* when nothing of a response was seen */
    struct fl_str method;
    char text[]; /* the method */
};

/* --- what is sent --- */

static bool has_header(const struct fl_call *call, struct fl_str name) {
    for (size_t i = 0; i < call->metadata_count; i++) {
        if (fl_str_eq(call->metadata[i].name, name)) return true;
    }
    return false;
}

/* Those that mean something with a body say so when they have none (RFC 9110 section 8.6). */
static bool expects_body(struct fl_str method) {
    return fl_str_eq(method, FL_STR("POST")) || fl_str_eq(method, FL_STR("PUT")) ||
           fl_str_eq(method, FL_STR("PATCH"));
}

static void fill_head(struct fl_head *head, const struct fl_call *call, uint64_t now_ms) {
    FL_UNUSED(now_ms); /* HTTP has no word for a deadline */
    const struct sent *sent = call->arg;
    size_t length = call->outbox.fixed.n;
    head->request.method = sent->method;
    head->alone = length == 0;
    if (!has_header(call, FL_STR("user-agent")))
        fl_head_put(head, FL_STR("user-agent"), FL_CHANNEL_USER_AGENT);
    if (length > 0 || expects_body(sent->method)) {
        snprintf(head->length, sizeof(head->length), "%zu", length);
        fl_head_put(head, FL_STR("content-length"), fl_str_of(head->length));
    }
    fl_head_put_metadata(head, call);
}

/* "A client SHOULD NOT automatically retry a request with a non-idempotent method unless it has
 * some means to know that the request semantics are actually idempotent, regardless of the method,
 * or some means to detect that the original request was never applied." (RFC 9110 section 9.2.2) */
static bool repeats(const struct fl_call *call, int code) {
    const struct sent *sent = call->arg;
    if (fl_protocol_unprocessed(code)) return true;
    bool broke = code == FL_ECLOSED || code == FL_ERESET || code == FL_ESTREAM_RESET ||
                 code == FL_ETIMEOUT || code == FL_EUNREACHABLE;
    return broke && sent->repeatable;
}

const struct fl_protocol fl_protocol_http = {
    .fill_head = fill_head,
    .take_head = fl_response_head,
    .take_data = fl_response_data,
    .take_trailers = fl_response_trailers,
    .result = fl_response_result,
    .repeats = repeats,
};

/* --- the start --- */

static bool is_idempotent(struct fl_str method) {
    static const struct fl_str methods[] = {FL_STR("GET"),   FL_STR("HEAD"), FL_STR("OPTIONS"),
                                            FL_STR("TRACE"), FL_STR("PUT"),  FL_STR("DELETE")};
    for (size_t i = 0; i < FL_COUNT(methods); i++) {
        if (fl_str_eq(method, methods[i])) return true;
    }
    return false;
}

/* tchar of RFC 9110 section 5.6.2. */
static bool is_token(struct fl_str text, size_t len_max) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alphanumeric && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c))) return false;
    }
    return text.n > 0 && text.n <= len_max;
}

static bool is_path(struct fl_str path) {
    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] <= ' ' || path.p[i] > '~' || path.p[i] == '#') return false;
    }
    return path.n > 0 && path.n <= PATH_MAX_BYTES && path.p[0] == '/';
}

/* field-content of RFC 9110 section 5.5, which bytes beyond ASCII may be part of. */
static bool is_value(struct fl_str value) {
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if ((c < ' ' && c != '\t') || c == 127) return false;
    }
    return fl_str_trim(value).n == value.n;
}

/* What the connection needs is said by it, and what a body is by this file. */
static bool is_written_here(struct fl_str name) {
    static const struct fl_str names[] = {
        FL_STR("connection"), FL_STR("content-length"), FL_STR("expect"),
        FL_STR("host"),       FL_STR("keep-alive"),     FL_STR("proxy-connection"),
        FL_STR("te"),         FL_STR("trailer"),        FL_STR("transfer-encoding"),
        FL_STR("upgrade"),
    };
    for (size_t i = 0; i < FL_COUNT(names); i++) {
        if (fl_str_eq_nocase(name, names[i])) return true;
    }
    return false;
}

static int check_header(const struct fl_metadata *header, struct fl_error *err) {
    struct fl_str name = fl_str_of(header->name);
    if (!is_token(name, FL_METADATA_BYTES_MAX))
        return fl_fail(err, FL_EUSAGE, "\"%s\" is not the name of a header",
                       header->name ? header->name : "");
    if (is_written_here(name))
        return fl_fail(err, FL_EUSAGE, "header \"%s\" is not the caller's to write", header->name);
    if (header->len > 0 && !header->value)
        return fl_fail(err, FL_EUSAGE, "header \"%s\" has no value", header->name);
    if (!is_value(fl_str_n(header->value, header->len)))
        return fl_fail(err, FL_EUSAGE, "the value of header \"%s\" cannot stand in a header",
                       header->name);
    return 0;
}

static int check_headers(const struct fl_metadata_list *headers, struct fl_error *err) {
    size_t total = 0;
    for (size_t i = 0; i < headers->count; i++) {
        int rc = check_header(&headers->list[i], err);
        if (rc != 0) return rc;
        total += strlen(headers->list[i].name) + headers->list[i].len;
        if (total > FL_METADATA_BYTES_MAX)
            return fl_fail(err, FL_ETOO_LARGE, "headers of more than %zu bytes",
                           FL_METADATA_BYTES_MAX);
    }
    return 0;
}

static int check(const struct fl_channel *channel, const struct fl_request *request,
                 const struct fl_request_options *options, fl_request_cb *cb,
                 struct fl_error *err) {
    if (request->method && (!is_token(fl_str_of(request->method), METHOD_MAX) ||
                            strcmp(request->method, "CONNECT") == 0))
        return fl_fail(err, FL_EUSAGE, "\"%s\" is not a method of requests", request->method);
    if (!is_path(fl_str_of(request->path)))
        return fl_fail(err, FL_EUSAGE, "a path begins with / and is visible ASCII, not \"%s\"",
                       request->path ? request->path : "");
    if (request->body_len > 0 && !request->body)
        return fl_fail(err, FL_EUSAGE, "a body of %zu bytes is NULL", request->body_len);
    if (!cb) return fl_fail(err, FL_EUSAGE, "a request needs a callback");
    if (options->retry > FL_REQUEST_RETRY_UNPROCESSED)
        return fl_fail(err, FL_EUSAGE, "there is no such way to retry");
    int rc = fl_call_check(channel, options->endpoint, err);
    return rc == 0 ? check_headers(&request->headers, err) : rc;
}

/* --- the end --- */

static void measure(const struct sent *sent, int outcome) {
    const struct fl_call *call = sent->call;
    struct fl_channel *channel = call->channel;
    fl_request_measure(&channel->loop_data.requests, channel->io->metrics,
                       channel->loop_data.measured.target, sent->method, outcome,
                       (double)(call->ended_us - call->began_us) / 1e6);
}

static void on_end(void *arg, const struct fl_call_result *result) {
    struct sent *sent = arg;
    bool whole = result->status == FL_STATUS_OK;
    const struct fl_response response = {
        .status = whole ? fl_call_http_status(sent->call) : 0,
        .why = result->why,
        .headers = result->headers,
        .trailers = result->trailers,
        .body = result->response,
        .body_len = result->response_len,
        .peer = result->peer,
        .attempts = result->attempts,
        .retries = result->transparent_retries,
    };
    measure(sent, whole ? response.status : result->why->code);
    sent->cb(sent->arg, &response);
    fl_free(sent);
}

static struct sent *sent_new(const char *method, enum fl_request_retry retry, fl_request_cb *cb,
                             void *arg) {
    struct fl_str text = fl_str_of(method ? method : "GET");
    struct sent *sent = fl_alloc(sizeof(*sent) + text.n);
    if (!sent) return NULL;
    *sent = (struct sent){
        .cb = cb,
        .arg = arg,
        .repeatable = retry == FL_REQUEST_RETRY_IDEMPOTENT ||
                      (retry == FL_REQUEST_RETRY_BY_METHOD && is_idempotent(text)),
        .method = fl_str_n(sent->text, text.n),
    };
    memcpy(sent->text, text.p, text.n);
    return sent;
}

int fl_request_start(struct fl_channel *channel, const struct fl_request *request,
                     const struct fl_request_options *options, fl_request_cb *cb, void *arg,
                     struct fl_call **out, struct fl_error *err) {
    static const struct fl_request_options none;
    char *body;
    if (!options) options = &none;
    if (out) *out = NULL;
    int rc = check(channel, request, options, cb, err);
    if (rc != 0) return rc;
    const struct fl_call_options of_call = {
        .timeout_ms = options->timeout_ms,
        .wait_for_ready = options->wait_for_ready ? FL_WAIT_YES : FL_WAIT_NO,
        .metadata = request->headers,
        .receive_bytes_max = options->response_bytes_max,
        .endpoint = options->endpoint,
    };
    struct sent *sent = sent_new(request->method, options->retry, cb, arg);
    if (!sent) return fl_fail_nomem(err);
    struct fl_call *call =
        fl_call_new(channel, &fl_protocol_http, request->path, &of_call, request->body_len, &body);
    if (!call) {
        fl_free(sent);
        return fl_fail_nomem(err);
    }
    if (request->body_len > 0) memcpy(body, request->body, request->body_len);
    fl_outbox_init_fixed(&call->outbox, fl_str_n(body, request->body_len));
    call->events.on_end = on_end;
    call->arg = sent;
    sent->call = call;
    rc = fl_call_launch(call, out, err);
    if (rc != 0) fl_free(sent);
    return rc;
}
