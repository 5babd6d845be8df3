/* Streaming calls of the gRPC server: order, metadata, pauses and windows, ends from both sides. */
#include "support/server_bed.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "wire/grpc.h"

#define BIDI   "/grpc.examples.echo.Echo/BidirectionalStreamingEcho"
#define CLIENT "/grpc.examples.echo.Echo/ClientStreamingEcho"
#define SERVER "/grpc.examples.echo.Echo/ServerStreamingEcho"

#define A FL_STR("\0\0\0\0\1a")
#define B FL_STR("\0\0\0\0\1b")

static void test_bidirectional_echo(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct server_bed bed;
        struct exchange x;
        server_bed_start(&bed, seed);
        struct fl_echo *echo = server_bed_echo(&bed, 0);
        server_bed_dial(&bed);
        server_bed_ask(&bed, &x, &(struct request){.path = BIDI, .open = true});
        assert_false(x.head_in);
        server_bed_write(&x, A, false);
        fl_world_run_ms(bed.world, 100);
        assert_int_equal(x.http_status, 200);
        assert_int_equal(x.body_len, 6);
        assert_false(x.ended);
        server_bed_write(&x, FL_STR("\0\0\0\0\1b\0\0\0\0\0"), false);
        server_bed_write(&x, FL_STR_NONE, true);
        fl_world_run_ms(bed.world, 100);
        assert_int_equal(x.body_len, 17);
        assert_memory_equal(x.body, "\0\0\0\0\1a\0\0\0\0\1b\0\0\0\0\0", 17);
        assert_string_equal(x.grpc_status, "0");
        assert_true(x.ended && x.closed && x.why == FL_OK);
        assert_int_equal(fl_echo_calls(echo), 1);
        server_bed_kill_echo(&bed, echo);
        server_bed_stop(&bed);
    }
}

static void test_client_and_server_streaming(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange x;
    server_bed_start(&bed, 1);
    struct fl_echo *echo = server_bed_echo(&bed, 0);
    server_bed_dial(&bed);
    server_bed_ask(&bed, &x, &(struct request){.path = CLIENT, .body = A, .open = true});
    assert_int_equal(x.body_len, 0);
    server_bed_write(&x, B, true);
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(x.body_len, 6);
    assert_memory_equal(x.body, B.p, B.n);
    assert_string_equal(x.grpc_status, "0");
    server_bed_ask(&bed, &x, &(struct request){.path = CLIENT}); /* no message at all */
    assert_int_equal(x.body_len, 5);
    assert_string_equal(x.grpc_status, "0");
    server_bed_ask(&bed, &x, &(struct request){.path = SERVER, .body = A});
    assert_int_equal(x.body_len, 60);
    assert_memory_equal(x.body + 54, A.p, A.n);
    assert_string_equal(x.grpc_status, "0");
    assert_int_equal(fl_echo_calls(echo), 3);
    server_bed_kill_echo(&bed, echo);
    server_bed_stop(&bed);
}

/* A stream with nothing in it ends in one frame (Trailers-Only). */
static void test_empty_stream(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange x;
    server_bed_start(&bed, 2);
    struct fl_echo *echo = server_bed_echo(&bed, 0);
    server_bed_dial(&bed);
    server_bed_ask(&bed, &x, &(struct request){.path = BIDI});
    assert_string_equal(x.grpc_status, "0");
    assert_int_equal(x.body_len, 0);
    assert_true(x.closed && x.why == FL_OK);
    server_bed_kill_echo(&bed, echo);
    server_bed_stop(&bed);
}

static void test_bad_streams(void **state) {
    FL_UNUSED(state);
    static const struct {
        const char *path;
        struct fl_str body;
        const char *grpc_status;
    } rows[] = {
        {BIDI, {"\0\0\0\0\7half", 9}, "13"},
        {BIDI, {"\2\0\0\0\1x", 6}, "13"},               /* no such flag */
        {BIDI, {"\1\0\0\0\1x", 6}, "13"},               /* compressed without saying how */
        {BIDI, {"\0\377\377\377\377", 5}, "8"},         /* too large */
        {SERVER, {"\0\0\0\0\1a\0\0\0\0\1b", 12}, "12"}, /* one request is one message */
        {SERVER, {NULL, 0}, "12"},
    };
    struct server_bed bed;
    server_bed_start(&bed, 3);
    struct fl_echo *echo = server_bed_echo(&bed, 0);
    server_bed_dial(&bed);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct exchange x;
        server_bed_ask(&bed, &x, &(struct request){.path = rows[i].path, .body = rows[i].body});
        assert_string_equal(x.grpc_status, rows[i].grpc_status);
        assert_true(x.closed);
    }
    assert_int_equal(fl_echo_calls(echo), 0);
    server_bed_kill_echo(&bed, echo);
    server_bed_stop(&bed);
}

/* A framed message of n bytes, each the low byte of its place. */
static char *big_message(size_t n) {
    char *bytes = fl_alloc(5 + n);
    fl_grpc_prefix((uint32_t)n, (uint8_t *)bytes);
    for (size_t i = 0; i < n; i++) bytes[5 + i] = (char)i;
    return bytes;
}

/* A client that sends and does not read: the server stops reading, keeps little, loses nothing. */
static void test_a_client_that_does_not_read_is_held_back(void **state) {
    FL_UNUSED(state);
    enum { SIZE = 1024 * 1024, COUNT = 24 };
    struct server_bed bed;
    struct exchange x;
    char *message = big_message(SIZE);
    server_bed_start(&bed, 4);
    struct fl_echo *echo = server_bed_echo(&bed, 0);
    server_bed_dial(&bed);
    server_bed_send(&bed, &x, &(struct request){.path = BIDI, .open = true, .slow = true});
    unsigned sent = 0;
    size_t stuck = 0;
    while (sent < COUNT) {
        int rc = fl_http_stream_write(x.stream, fl_str_n(message, 5 + SIZE), false);
        if (rc == 0) sent++;
        if (rc == 0) continue;
        assert_int_equal(rc, FL_EFULL);
        size_t before = fl_http_stream_queued(x.stream);
        fl_world_run_ms(bed.world, 1000);
        if (fl_http_stream_queued(x.stream) < before) continue;
        stuck++; /* both queues and both windows are full: only now it reads */
        server_bed_read(&x);
    }
    assert_int_equal(stuck, 1);
    assert_true(sent > 5);
    server_bed_write(&x, FL_STR_NONE, true);
    fl_world_run_ms(bed.world, 30000);
    assert_int_equal(x.body_len, (size_t)COUNT * (5 + SIZE));
    assert_string_equal(x.grpc_status, "0");
    server_bed_kill_echo(&bed, echo);
    server_bed_stop(&bed);
    fl_free(message);
}

/* --- a service of the test's own --- */

struct service {
    struct fl_grpc_call *call;
    char seen[64]; /* the bodies of what came */
    unsigned started, messages, ended, closed;
    int why;
    bool pauses; /* after each message */
};

static void on_start(void *arg, struct fl_grpc_call *call, const struct fl_grpc_call_head *head) {
    struct service *service = arg;
    service->started++;
    service->call = call;
    struct fl_http_header echo = {FL_STR("x-initial"),
                                  fl_http_header_get(head->metadata, FL_STR("x-initial"))};
    if (!echo.value.p) return;
    assert_int_equal(fl_grpc_call_headers(call, (struct fl_http_headers){&echo, 1}), 0);
    assert_int_equal(fl_grpc_call_headers(call, FL_HTTP_HEADERS_NONE), FL_EUSAGE);
}

static void on_message(void *arg, struct fl_grpc_call *call, struct fl_str message) {
    struct service *service = arg;
    size_t n = strlen(service->seen);
    fl_str_copy(service->seen + n, sizeof(service->seen) - n, message);
    service->messages++;
    if (service->pauses) fl_grpc_call_pause(call, true);
}

static void on_end(void *arg, struct fl_grpc_call *call) {
    FL_UNUSED(call);
    ((struct service *)arg)->ended++;
}

static void on_close(void *arg, struct fl_grpc_call *call, const struct fl_error *why) {
    struct service *service = arg;
    assert_ptr_equal(call, service->call);
    service->call = NULL;
    service->closed++;
    service->why = why->code;
}

static const struct fl_grpc_call_events events = {
    .on_start = on_start, .on_message = on_message, .on_end = on_end, .on_close = on_close};
static const struct fl_grpc_method methods[] = {
    {.name = "Stream", .events = &events, .client_streams = true},
    {.name = "One", .events = &events},
};
#define STREAM "/test.Service/Stream"
#define ONE    "/test.Service/One"

static struct fl_grpc_server *start(struct server_bed *bed, struct service *service) {
    memset(service, 0, sizeof(*service));
    const struct fl_grpc_service services[] = {
        {"test.Service", methods, FL_COUNT(methods), service}};
    server_bed_start(bed, 5);
    struct fl_grpc_server *server = server_bed_serve(
        bed, (struct fl_grpc_server_options){.services = services, .service_count = 1});
    server_bed_dial(bed);
    return server;
}

static void test_metadata_both_ways(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct service service;
    struct exchange x;
    struct fl_grpc_server *server = start(&bed, &service);
    server_bed_ask(
        &bed, &x,
        &(struct request){.path = STREAM, .extra = {FL_STR("x-initial"), FL_STR("ahoy")}});
    assert_true(x.head_in); /* before any message */
    assert_string_equal(x.head_echo, "ahoy");
    assert_int_equal(service.ended, 1);
    struct fl_http_header trailer = {FL_STR("x-trailing"), FL_STR("fare well")};
    fl_grpc_call_finish(service.call, FL_STATUS_ABORTED, FL_STR("caf\xc3\xa9"),
                        (struct fl_http_headers){&trailer, 1});
    assert_int_equal(fl_grpc_call_send(service.call, FL_STR("late")), FL_ESHUTDOWN);
    assert_int_equal(fl_grpc_call_headers(service.call, FL_HTTP_HEADERS_NONE), FL_ESHUTDOWN);
    fl_grpc_call_finish(service.call, FL_STATUS_OK, FL_STR_NONE, FL_HTTP_HEADERS_NONE);
    assert_int_equal(service.closed, 0); /* never before it returned */
    fl_world_run_ms(bed.world, 100);
    assert_string_equal(x.grpc_status, "10");
    assert_string_equal(x.grpc_message, "caf%C3%A9");
    assert_string_equal(x.trailer_echo, "fare well");
    assert_int_equal(service.closed, 1);
    assert_int_equal(service.why, FL_OK);
    server_bed_kill(&bed, server);
    server_bed_stop(&bed);
}

static void test_a_pause_holds_messages_and_the_end(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct service service;
    struct exchange x;
    struct fl_grpc_server *server = start(&bed, &service);
    service.pauses = true;
    server_bed_ask(
        &bed, &x,
        &(struct request){.path = STREAM, .body = FL_STR("\0\0\0\0\1a\0\0\0\0\1b\0\0\0\0\2cd")});
    assert_string_equal(service.seen, "a");
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(service.messages, i);
        fl_grpc_call_pause(service.call, false);
        assert_int_equal(service.messages, i); /* never before it returned */
        fl_world_run_ms(bed.world, 10);
    }
    assert_string_equal(service.seen, "abcd");
    assert_int_equal(service.ended, 0);
    fl_grpc_call_pause(service.call, false);
    fl_grpc_call_pause(service.call, true); /* thought better of it */
    fl_world_run_ms(bed.world, 10);
    assert_int_equal(service.ended, 0);
    fl_grpc_call_pause(service.call, false);
    fl_world_run_ms(bed.world, 10);
    assert_int_equal(service.ended, 1);
    fl_grpc_call_finish(service.call, FL_STATUS_OK, FL_STR_NONE, FL_HTTP_HEADERS_NONE);
    fl_world_run_ms(bed.world, 100);
    assert_string_equal(x.grpc_status, "0");
    server_bed_kill(&bed, server);
    server_bed_stop(&bed);
}

/* The client goes in a pause; the end of the pause was under way. */
static void test_a_client_that_goes_in_a_pause(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct service service;
    struct exchange x;
    struct fl_error why = {FL_ECANCELLED, ""};
    struct fl_grpc_server *server = start(&bed, &service);
    service.pauses = true;
    server_bed_ask(
        &bed, &x,
        &(struct request){.path = STREAM, .body = FL_STR("\0\0\0\0\1a\0\0\0\0\1b"), .open = true});
    fl_http_stream_reset(x.stream, 8, &why);
    while (service.closed == 0) {
        fl_grpc_call_pause(service.call, false);
        fl_grpc_call_pause(service.call, true);
        fl_world_step(bed.world);
    }
    assert_int_equal(service.why, FL_ESTREAM_RESET);
    assert_int_equal(service.ended, 0);
    server_bed_kill(&bed, server);
    server_bed_stop(&bed);
}

/* The one message of a request, a pause, the end: once, whatever pauses come later. */
static void test_a_pause_between_the_request_and_its_end(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct service service;
    struct exchange x;
    struct fl_grpc_server *server = start(&bed, &service);
    service.pauses = true;
    server_bed_ask(&bed, &x, &(struct request){.path = ONE, .body = A});
    assert_int_equal(service.messages, 1);
    assert_int_equal(service.ended, 0);
    for (int i = 0; i < 3; i++) {
        fl_grpc_call_pause(service.call, false);
        fl_world_run_ms(bed.world, 10);
        fl_grpc_call_pause(service.call, true);
        assert_int_equal(service.messages, 1);
        assert_int_equal(service.ended, 1);
    }
    server_bed_kill(&bed, server);
    server_bed_stop(&bed);
}

static void test_one_request_comes_when_it_is_whole(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct service service;
    struct exchange x;
    struct fl_grpc_server *server = start(&bed, &service);
    server_bed_ask(&bed, &x, &(struct request){.path = ONE, .body = A, .open = true});
    assert_int_equal(service.started, 1);
    assert_int_equal(service.messages, 0);
    server_bed_write(&x, FL_STR_NONE, true);
    fl_world_run_ms(bed.world, 100);
    assert_string_equal(service.seen, "a");
    assert_int_equal(service.ended, 1);
    server_bed_kill(&bed, server);
    assert_int_equal(service.closed, 1);
    assert_int_not_equal(service.why, FL_OK);
    server_bed_stop(&bed);
}

/* A status before the client is done: the rest is not wanted, and the client hears the status. */
static void test_a_status_before_the_clients_end(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct service service;
    struct exchange x;
    struct fl_grpc_server *server = start(&bed, &service);
    server_bed_ask(&bed, &x, &(struct request){.path = STREAM, .body = A, .open = true});
    fl_grpc_call_finish(service.call, FL_STATUS_PERMISSION_DENIED, FL_STR("no"),
                        FL_HTTP_HEADERS_NONE);
    fl_world_run_ms(bed.world, 100);
    assert_string_equal(x.grpc_status, "7");
    assert_true(x.closed);
    assert_int_equal(service.closed, 1);
    assert_int_equal(service.ended, 0);
    server_bed_kill(&bed, server);
    server_bed_stop(&bed);
}

static void test_a_deadline_ends_a_stream(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct service service;
    struct exchange x;
    struct fl_grpc_server *server = start(&bed, &service);
    server_bed_ask(&bed, &x,
                   &(struct request){.path = STREAM, .timeout = "50m", .body = A, .open = true});
    assert_int_equal(service.closed, 1);
    assert_int_equal(service.why, FL_EDEADLINE);
    assert_true(x.closed);
    server_bed_kill(&bed, server);
    server_bed_stop(&bed);
}

/* One allocation fails, anywhere on either side. */
static void exchange_with_a_failure(const char *path) {
    struct server_bed bed = {0};
    struct exchange x = {.closed = true};
    struct fl_echo *echo = NULL;
    const struct request request = {
        .path = path, .timeout = "1S", .body = FL_STR("\0\0\0\0\1a\0\0\0\0\1b"), .open = true};
    if (fl_world_new(&(struct fl_world_options){.seed = 1, .chop = true}, &bed.world) != 0) return;
    bed.io = fl_world_io(bed.world);
    int rc = fl_echo_new(bed.io, &(struct fl_echo_options){.host = FL_STR(HOST), .port = PORT},
                         &echo, NULL);
    assert_true(rc == 0 || rc == FL_ENOMEM);
    bool dialled = rc == 0 && server_bed_try_dial(&bed) == 0;
    fl_world_run_ms(bed.world, 100);
    if (dialled && bed.ready && !bed.closed) rc = server_bed_try_send(&bed, &x, &request);
    fl_world_run_ms(bed.world, 100);
    if (rc == 0 && !x.closed && x.stream) rc = fl_http_stream_write(x.stream, FL_STR_NONE, true);
    fl_world_run_ms(bed.world, 2000);
    if (dialled && !bed.closed) fl_http_conn_close(bed.conn);
    if (echo) fl_echo_kill(echo, server_bed_done, &bed);
    fl_world_run_ms(bed.world, 5000);
    assert_true(x.closed || !x.stream);
    assert_true(bed.closed || !dialled);
    assert_int_equal(bed.done, echo ? 1 : 0);
    assert_int_equal(fl_world_open_socks(bed.world), 0);
    fl_world_free(bed.world);
}

/* Whatever cannot be had, each call ends once on both sides, and nothing stays. */
static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    static const char *const paths[] = {BIDI, CLIENT, "/grpc.examples.echo.Echo/UnaryEcho",
                                        "/grpc.health.v1.Health/Watch"};
    for (size_t i = 0; i < FL_COUNT(paths); i++) {
        FL_TEST_EACH_FAILURE(n) { exchange_with_a_failure(paths[i]); }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bidirectional_echo),
        cmocka_unit_test(test_client_and_server_streaming),
        cmocka_unit_test(test_empty_stream),
        cmocka_unit_test(test_bad_streams),
        cmocka_unit_test(test_a_client_that_does_not_read_is_held_back),
        cmocka_unit_test(test_metadata_both_ways),
        cmocka_unit_test(test_a_pause_holds_messages_and_the_end),
        cmocka_unit_test(test_a_client_that_goes_in_a_pause),
        cmocka_unit_test(test_a_pause_between_the_request_and_its_end),
        cmocka_unit_test(test_one_request_comes_when_it_is_whole),
        cmocka_unit_test(test_a_status_before_the_clients_end),
        cmocka_unit_test(test_a_deadline_ends_a_stream),
        cmocka_unit_test(test_each_allocation_failing),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
