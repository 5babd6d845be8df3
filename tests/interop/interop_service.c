/* interop_service.c - grpc.testing.TestService.
 *
 * What a call still has to send is read from the bytes of its request as it goes: each
 * response_parameters after its interval, the next one when the last has found room. While
 * something is left the call is paused, so that requests are answered in their order. Requests of
 * HalfDuplexCall are put behind one another, which protobuf reads as one with all the parameters.
 */
#include "interop/interop_service.h"

#include "base/alloc.h"
#include "http/conn.h"
#include "interop/interop_message.h"

#define REQUEST_MAX ((size_t)16 * 1024 * 1024) /* of HalfDuplexCall, all together */

#define INITIAL  FL_STR("x-grpc-test-echo-initial")
#define TRAILING FL_STR("x-grpc-test-echo-trailing-bin")

struct call {
    struct fl_io *io;
    struct fl_grpc_call *grpc;
    char *trailer;          /* of TRAILING, as on the wire; NULL: none */
    struct fl_buf request;  /* what `rest` reads */
    struct fl_parse rest;   /* parameters not yet begun */
    struct fl_buf response; /* waits for its interval, or for room */
    struct fl_timer timer;  /* the interval */
    uint64_t sum;           /* of StreamingInputCall */
    bool compressed;        /* the response is to be */
    bool headed;            /* the headers went */
    bool ended;             /* the status follows the last response */
};

/* --- ends --- */

static void finish(struct call *call, enum fl_status status, struct fl_str message) {
    struct fl_http_header trailer = {TRAILING, fl_str_of(call->trailer)};
    struct fl_http_headers trailers = {&trailer, call->trailer ? 1 : 0};
    fl_grpc_call_finish(call->grpc, status, message, trailers);
}

static void fail(struct call *call, int code) {
    finish(call, FL_STATUS_RESOURCE_EXHAUSTED, fl_str_of(fl_error_text(code)));
}

static void refuse(struct call *call) {
    finish(call, FL_STATUS_INVALID_ARGUMENT, FL_STR("the request is not as it should be"));
}

static bool is_as_expected(const struct call *call, enum interop_expected expected) {
    return expected == INTEROP_ANY ||
           fl_grpc_call_compressed(call->grpc) == (expected == INTEROP_COMPRESSED);
}

/* --- responses --- */

static void choose(struct call *call, bool compressed) {
    fl_grpc_call_compress(call->grpc, compressed ? FL_COMPRESSION_GZIP : FL_COMPRESSION_IDENTITY);
}

static int prepare(struct call *call, uint64_t size) {
    fl_buf_truncate(&call->response, 0);
    return interop_write_payload(&call->response, size);
}

/* Makes the next response and lets it wait; false: there is none, or the call has ended. */
static bool next(struct call *call) {
    struct interop_parameters parameters;
    if (!interop_next_parameters(&call->rest, &parameters)) return false;
    int rc = prepare(call, parameters.size);
    if (rc != 0) {
        fail(call, rc);
        return false;
    }
    call->compressed = parameters.compressed;
    uint64_t wait_ms = FL_MIN(parameters.interval_us, UINT32_MAX) / 1000;
    fl_io_timer_set(call->io, &call->timer, fl_io_now_ms(call->io) + wait_ms);
    return true;
}

/* Goes on with the responses; the call is paused as long as there are some. */
static void go_on(struct call *call) {
    bool more = next(call);
    fl_grpc_call_pause(call->grpc, more);
    if (!more && call->ended) finish(call, FL_STATUS_OK, FL_STR_NONE);
}

/* Headers that say gzip come first, for the first message may be a plain one. */
static int send_message(struct call *call) {
    int rc = call->headed ? 0 : fl_grpc_call_headers(call->grpc, FL_HTTP_HEADERS_NONE);
    if (rc != 0) return rc;
    call->headed = true;
    choose(call, call->compressed);
    return fl_grpc_call_send(call->grpc, fl_buf_str(&call->response));
}

static void send_response(struct call *call) {
    int rc = send_message(call);
    if (rc == FL_EFULL) return; /* on_writable comes here again */
    fl_buf_truncate(&call->response, 0);
    fl_buf_release(&call->response);
    if (rc != 0)
        fail(call, rc);
    else
        go_on(call);
}

static void interval_over(struct fl_timer *timer) {
    send_response(FL_CONTAINER(timer, struct call, timer));
}

static void writable(void *arg, struct fl_grpc_call *grpc) {
    FL_UNUSED(grpc);
    struct call *call = arg;
    if (call->response.len && !fl_timer_is_set(&call->timer)) send_response(call);
}

/* --- what all methods have --- */

static void call_free(struct call *call) {
    fl_io_timer_deinit(call->io, &call->timer);
    fl_buf_deinit(&call->request);
    fl_buf_deinit(&call->response);
    fl_free(call->trailer);
    fl_free(call);
}

static struct call *call_new(struct fl_io *io, struct fl_grpc_call *grpc, struct fl_str trailer) {
    struct call *call = FL_NEW(struct call);
    if (!call) return NULL;
    call->io = io;
    call->grpc = grpc;
    fl_buf_init(&call->request, REQUEST_MAX);
    fl_buf_init(&call->response, FL_HTTP_QUEUE_MAX);
    int rc = fl_io_timer_init(io, &call->timer, interval_over);
    if (rc == 0 && trailer.p) {
        call->trailer = fl_str_dup(trailer);
        rc = call->trailer ? 0 : FL_ENOMEM;
    }
    if (rc == 0) return call;
    call_free(call);
    return NULL;
}

static void start(void *arg, struct fl_grpc_call *grpc, const struct fl_grpc_call_head *head) {
    struct fl_http_header echo = {INITIAL, fl_http_header_get(head->metadata, INITIAL)};
    struct call *call = call_new(arg, grpc, fl_http_header_get(head->metadata, TRAILING));
    fl_grpc_call_attach(grpc, call);
    int rc = call ? 0 : FL_ENOMEM;
    fl_grpc_call_compress(grpc, FL_COMPRESSION_GZIP);
    if (rc == 0) call->headed = echo.value.p != NULL;
    if (rc == 0 && echo.value.p)
        rc = fl_grpc_call_headers(grpc, (struct fl_http_headers){&echo, 1});
    if (rc != 0)
        fl_grpc_call_finish(grpc, FL_STATUS_RESOURCE_EXHAUSTED, fl_str_of(fl_error_text(rc)),
                            FL_HTTP_HEADERS_NONE);
}

static void closed(void *arg, struct fl_grpc_call *grpc, const struct fl_error *why) {
    FL_UNUSED(grpc);
    FL_UNUSED(why);
    if (arg) call_free(arg);
}

static void end(void *arg, struct fl_grpc_call *grpc) {
    FL_UNUSED(grpc);
    struct call *call = arg;
    call->ended = true;
    if (!call->response.len) go_on(call);
}

/* --- UnaryCall --- */

static void unary(void *arg, struct fl_grpc_call *grpc, struct fl_str message) {
    struct call *call = arg;
    struct interop_request request;
    if (!interop_request_read(message, &request) || !is_as_expected(call, request.expected)) {
        refuse(call);
    } else if (request.has_status && request.status != FL_STATUS_OK) {
        finish(call, (enum fl_status)request.status, request.status_message);
    } else {
        choose(call, request.response_compressed);
        int rc = prepare(call, request.response_size);
        if (rc == 0 && request.fill_server_id)
            rc = interop_write_server_id(&call->response, FL_STR("fairlead"));
        if (rc == 0) rc = fl_grpc_call_send(grpc, fl_buf_str(&call->response));
        if (rc != 0)
            fail(call, rc);
        else
            finish(call, FL_STATUS_OK, FL_STR_NONE);
    }
}

static const struct fl_grpc_call_events unary_events = {
    .on_start = start, .on_message = unary, .on_close = closed};

/* --- StreamingOutputCall, FullDuplexCall --- */

static void output(void *arg, struct fl_grpc_call *grpc, struct fl_str message) {
    FL_UNUSED(grpc);
    struct call *call = arg;
    struct interop_request request;
    fl_buf_truncate(&call->request, 0);
    int rc = fl_buf_append(&call->request, message);
    if (rc != 0) {
        fail(call, rc);
    } else if (!interop_request_read(message, &request)) {
        refuse(call);
    } else if (request.has_status && request.status != FL_STATUS_OK) {
        finish(call, (enum fl_status)request.status, request.status_message);
    } else {
        call->rest = fl_parse_of(fl_buf_str(&call->request));
        go_on(call);
    }
}

static const struct fl_grpc_call_events output_events = {.on_start = start,
                                                         .on_message = output,
                                                         .on_end = end,
                                                         .on_writable = writable,
                                                         .on_close = closed};

/* --- HalfDuplexCall --- */

static void collect(void *arg, struct fl_grpc_call *grpc, struct fl_str message) {
    FL_UNUSED(grpc);
    struct call *call = arg;
    struct interop_request request;
    int rc = fl_buf_append(&call->request, message);
    if (rc != 0)
        fail(call, rc);
    else if (!interop_request_read(message, &request))
        refuse(call);
}

static void collected(void *arg, struct fl_grpc_call *grpc) {
    struct call *call = arg;
    call->rest = fl_parse_of(fl_buf_str(&call->request));
    end(arg, grpc);
}

static const struct fl_grpc_call_events half_duplex_events = {.on_start = start,
                                                              .on_message = collect,
                                                              .on_end = collected,
                                                              .on_writable = writable,
                                                              .on_close = closed};

/* --- StreamingInputCall --- */

static void input(void *arg, struct fl_grpc_call *grpc, struct fl_str message) {
    FL_UNUSED(grpc);
    struct call *call = arg;
    size_t n;
    enum interop_expected expected;
    if (interop_input_read(message, &n, &expected) && is_as_expected(call, expected))
        call->sum += n;
    else
        refuse(call);
}

static void tell_sum(void *arg, struct fl_grpc_call *grpc) {
    struct call *call = arg;
    int rc = interop_write_sum(&call->response, call->sum);
    if (rc == 0) rc = fl_grpc_call_send(grpc, fl_buf_str(&call->response));
    if (rc != 0)
        fail(call, rc);
    else
        finish(call, FL_STATUS_OK, FL_STR_NONE);
}

static const struct fl_grpc_call_events input_events = {
    .on_start = start, .on_message = input, .on_end = tell_sum, .on_close = closed};

/* --- the service --- */

static void empty(void *arg, struct fl_grpc_call *grpc, struct fl_str message) {
    FL_UNUSED(arg);
    FL_UNUSED(message);
    fl_grpc_call_reply(grpc, FL_STATUS_OK, FL_STR_NONE, FL_STR_NONE);
}

struct fl_grpc_service interop_service(struct fl_io *io) {
    static const struct fl_grpc_method methods[] = {
        {.name = "EmptyCall", .unary = empty},
        {.name = "UnaryCall", .events = &unary_events},
        {.name = "StreamingOutputCall", .events = &output_events},
        {.name = "StreamingInputCall", .events = &input_events, .client_streams = true},
        {.name = "FullDuplexCall", .events = &output_events, .client_streams = true},
        {.name = "HalfDuplexCall", .events = &half_duplex_events, .client_streams = true},
    };
    return (struct fl_grpc_service){"grpc.testing.TestService", methods, FL_COUNT(methods), io};
}
