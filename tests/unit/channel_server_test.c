/* The gRPC server side and the echo service on the virtual world, spoken to by a bare HTTP/2
 * client. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "channel/echo.h"
#include "channel/server.h"
#include "http/conn.h"
#include "sim/world.h"
#include "wire/grpc.h"

#define HOST  "10.0.0.1"
#define PORT  50051
#define ECHO  "/grpc.examples.echo.Echo/UnaryEcho"
#define CHECK "/grpc.health.v1.Health/Check"

struct exchange {
    struct fl_http_stream *stream;
    int http_status;
    char grpc_status[8], grpc_message[64];
    char body[256];
    size_t body_len;
    bool ended, closed;
    int why;
};

struct fixture {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_http_conn *conn;
    bool ready, closed;
    unsigned goaways;
    unsigned done;
};

static void take_status(struct exchange *x, struct fl_http_headers h) {
    struct fl_str status = fl_http_header_get(h, FL_STR("grpc-status"));
    if (!status.p) return;
    fl_str_copy(x->grpc_status, sizeof(x->grpc_status), status);
    fl_str_copy(x->grpc_message, sizeof(x->grpc_message),
                fl_http_header_get(h, FL_STR("grpc-message")));
}

static void on_response(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head) {
    FL_UNUSED(stream);
    struct exchange *x = arg;
    x->http_status = head->status;
    take_status(x, head->headers);
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct exchange *x = arg;
    size_t n = FL_MIN(bytes.n, sizeof(x->body) - x->body_len);
    memcpy(x->body + x->body_len, bytes.p, n);
    x->body_len += n;
    fl_http_stream_consume(stream, bytes.n);
}

static void on_trailers(void *arg, struct fl_http_stream *stream, struct fl_http_headers trailers) {
    FL_UNUSED(stream);
    take_status(arg, trailers);
}

static void on_end(void *arg, struct fl_http_stream *stream) {
    FL_UNUSED(stream);
    ((struct exchange *)arg)->ended = true;
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    FL_UNUSED(stream);
    FL_UNUSED(h2_code);
    struct exchange *x = arg;
    assert_false(x->closed);
    x->closed = true;
    x->why = why->code;
}

static const struct fl_http_stream_events stream_events = {
    .on_response = on_response,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_close = on_close,
};

static void conn_ready(void *arg, struct fl_http_conn *conn) {
    FL_UNUSED(conn);
    ((struct fixture *)arg)->ready = true;
}

static void conn_goaway(void *arg, struct fl_http_conn *conn, uint32_t h2_code,
                        struct fl_str debug) {
    FL_UNUSED(conn);
    FL_UNUSED(h2_code);
    FL_UNUSED(debug);
    ((struct fixture *)arg)->goaways++;
}

static void conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(conn);
    FL_UNUSED(why);
    ((struct fixture *)arg)->closed = true;
}

static const struct fl_http_conn_events conn_events = {
    .on_ready = conn_ready, .on_goaway = conn_goaway, .on_close = conn_close};

static void start(struct fixture *f, uint64_t seed) {
    memset(f, 0, sizeof(*f));
    struct fl_world_options options = {.seed = seed, .chop = true};
    assert_int_equal(fl_world_new(&options, &f->world), 0);
    f->io = fl_world_io(f->world);
}

static struct fl_echo *start_echo(struct fixture *f, uint32_t delay_ms) {
    struct fl_echo *echo;
    struct fl_echo_options options = {FL_STR(HOST), PORT, delay_ms};
    struct fl_error err;
    assert_int_equal(fl_echo_new(f->io, &options, &echo, &err), 0);
    return echo;
}

static void dial(struct fixture *f) {
    struct fl_dial dial = {.host = FL_STR(HOST), .port = PORT};
    struct fl_http_options options = {.version = FL_HTTP_2};
    struct fl_error err;
    assert_int_equal(fl_http_conn_dial(f->io, &dial, &options, &conn_events, f, &f->conn, &err), 0);
    fl_world_run_ms(f->world, 100);
    assert_true(f->ready);
}

static void stop(struct fixture *f) {
    if (f->conn && !f->closed) fl_http_conn_close(f->conn);
    fl_world_run_ms(f->world, 5000);
    assert_int_equal(fl_world_open_socks(f->world), 0);
    fl_world_free(f->world);
}

static void on_done(void *arg) { ((struct fixture *)arg)->done++; }

static void kill_echo(struct fixture *f, struct fl_echo *echo) {
    fl_echo_kill(echo, on_done, f);
    assert_int_equal(f->done, 0); /* never before it returned */
    fl_world_run_ms(f->world, 100);
    assert_int_equal(f->done, 1);
}

struct request {
    const char *method, *path, *type, *timeout;
    struct fl_str body;
};

static void send_request(struct fixture *f, struct exchange *x, const struct request *r) {
    memset(x, 0, sizeof(*x));
    struct fl_http_header list[] = {{FL_STR("content-type"), fl_str_of(r->type)},
                                    {FL_STR("grpc-timeout"), fl_str_of(r->timeout)}};
    struct fl_http_request head = {.method = fl_str_of(r->method ? r->method : "POST"),
                                   .scheme = FL_STR("http"),
                                   .authority = FL_STR("echo"),
                                   .path = fl_str_of(r->path ? r->path : ECHO),
                                   .headers = {list, r->timeout ? 2 : 1}};
    struct fl_error err;
    assert_int_equal(
        fl_http_conn_request(f->conn, &head, r->body.n == 0, &stream_events, x, &x->stream, &err),
        0);
    if (r->body.n) assert_int_equal(fl_http_stream_write(x->stream, r->body, true), 0);
}

static void exchange(struct fixture *f, struct exchange *x, const struct request *r) {
    send_request(f, x, r);
    fl_world_run_ms(f->world, 200);
}

#define GRPC "application/grpc"

static void test_echo(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct fixture f;
        struct exchange x;
        start(&f, seed);
        struct fl_echo *echo = start_echo(&f, 0);
        assert_int_equal(fl_echo_port(echo), PORT);
        dial(&f);
        exchange(&f, &x, &(struct request){.type = GRPC, .body = {"\0\0\0\0\4\12\2hi", 9}});
        assert_int_equal(x.http_status, 200);
        assert_string_equal(x.grpc_status, "0");
        assert_int_equal(x.body_len, 9);
        assert_memory_equal(x.body, "\0\0\0\0\4\12\2hi", 9);
        assert_true(x.ended && x.closed && x.why == FL_OK);
        assert_int_equal(fl_echo_calls(echo), 1);
        kill_echo(&f, echo);
        stop(&f);
    }
}

static void test_statuses_of_bad_requests(void **state) {
    FL_UNUSED(state);
    static const struct {
        struct request request;
        int http_status;
        const char *grpc_status;
    } rows[] = {
        {{.type = "application/grpc+proto", .body = {"\0\0\0\0\0", 5}}, 200, "0"},
        {{.type = "text/plain", .body = {"x", 1}}, 415, ""},
        {{.type = GRPC, .method = "GET"}, 405, ""},
        {{.type = GRPC, .path = "/x.Y/Z", .body = {"\0\0\0\0\0", 5}}, 200, "12"},
        {{.type = GRPC}, 200, "13"},                                         /* no message */
        {{.type = GRPC, .body = {"\0\0\0\0\7half", 9}}, 200, "13"},          /* half of one */
        {{.type = GRPC, .body = {"\0\0\0\0\1a\0\0\0\0\1b", 12}}, 200, "12"}, /* two */
        {{.type = GRPC, .body = {"\1\0\0\0\1x", 6}}, 200, "12"},             /* compressed */
        {{.type = GRPC, .body = {"\0\377\377\377\377", 5}}, 200, "8"},       /* too large */
        {{.type = GRPC, .timeout = "soon", .body = {"\0\0\0\0\0", 5}}, 200, "13"},
        {{.type = GRPC, .path = CHECK, .body = {"\0\0\0\0\0", 5}}, 200, "0"},
    };
    struct fixture f;
    start(&f, 1);
    struct fl_echo *echo = start_echo(&f, 0);
    dial(&f);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct exchange x;
        exchange(&f, &x, &rows[i].request);
        assert_int_equal(x.http_status, rows[i].http_status);
        assert_string_equal(x.grpc_status, rows[i].grpc_status);
        assert_true(x.closed);
    }
    kill_echo(&f, echo);
    stop(&f);
}

static void test_deadline_cancels_the_call(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct exchange x;
    start(&f, 2);
    struct fl_echo *echo = start_echo(&f, 1000);
    dial(&f);
    exchange(&f, &x, &(struct request){.type = GRPC, .timeout = "100m", .body = {"\0\0\0\0\0", 5}});
    assert_true(x.closed);
    assert_int_equal(x.why, FL_ESTREAM_RESET);
    fl_world_run_ms(f.world, 2000); /* the handler replies to nobody */
    kill_echo(&f, echo);
    stop(&f);
}

static void test_health_while_draining(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct exchange slow, check;
    const struct request health = {.type = GRPC, .path = CHECK, .body = {"\0\0\0\0\0", 5}};
    start(&f, 3);
    struct fl_echo *echo = start_echo(&f, 1000);
    dial(&f);
    exchange(&f, &check, &health);
    assert_memory_equal(check.body, "\0\0\0\0\2\10\1", 7);
    exchange(&f, &slow, &(struct request){.type = GRPC, .body = {"\0\0\0\0\0", 5}});
    send_request(&f, &check, &health); /* on its way when the drain begins */
    fl_echo_drain(echo, fl_io_now_ms(f.io) + 30000, on_done, &f);
    fl_world_run_ms(f.world, 100);
    assert_memory_equal(check.body, "\0\0\0\0\2\10\2", 7);
    assert_int_equal(f.done, 0);
    fl_world_run_ms(f.world, 2000);
    assert_int_equal(f.done, 1);
    assert_string_equal(slow.grpc_status, "0");
    stop(&f);
}

/* Stops listening, GOAWAY in two steps, what was accepted finishes. */
static void test_C8_drain_finishes_what_it_accepted(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct fixture f;
        struct exchange x[10];
        start(&f, seed);
        struct fl_echo *echo = start_echo(&f, 500);
        dial(&f);
        for (size_t i = 0; i < FL_COUNT(x); i++)
            send_request(&f, &x[i], &(struct request){.type = GRPC, .body = {"\0\0\0\0\1x", 6}});
        for (uint64_t i = 0; i < seed; i++) fl_world_step(f.world);
        fl_echo_drain(echo, fl_io_now_ms(f.io) + 30000, on_done, &f);
        fl_world_run_ms(f.world, 2000);
        for (size_t i = 0; i < FL_COUNT(x); i++) {
            assert_true(x[i].closed);
            assert_string_equal(x[i].grpc_status, "0");
        }
        assert_true(f.goaways >= 1);
        assert_true(f.closed);
        assert_int_equal(f.done, 1);
        stop(&f);
    }
}

static void test_drain_deadline_cuts(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct exchange x;
    start(&f, 4);
    struct fl_echo *echo = start_echo(&f, 60000);
    dial(&f);
    exchange(&f, &x, &(struct request){.type = GRPC, .body = {"\0\0\0\0\0", 5}});
    fl_echo_drain(echo, fl_io_now_ms(f.io) + 1000, on_done, &f);
    fl_world_run_ms(f.world, 900);
    assert_int_equal(f.done, 0);
    fl_world_run_ms(f.world, 200);
    assert_int_equal(f.done, 1);
    assert_true(x.closed && x.why != FL_OK);
    stop(&f);
}

static void test_kill_while_draining(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct exchange x;
    start(&f, 5);
    struct fl_echo *echo = start_echo(&f, 60000);
    dial(&f);
    exchange(&f, &x, &(struct request){.type = GRPC, .body = {"\0\0\0\0\0", 5}});
    fl_echo_drain(echo, fl_io_now_ms(f.io) + 30000, NULL, NULL);
    fl_world_run_ms(f.world, 100);
    kill_echo(&f, echo);
    assert_true(x.closed && x.why != FL_OK);
    stop(&f);
}

static void test_connections_are_bounded(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 6);
    struct fl_grpc_server_options options = {
        .host = FL_STR(HOST), .port = PORT, .connections_max = 1};
    struct fl_grpc_server *server;
    assert_int_equal(fl_grpc_server_new(f.io, &options, &server, NULL), 0);
    dial(&f);
    assert_int_equal(fl_grpc_server_connections(server), 1);
    struct fixture second = {.world = f.world, .io = f.io};
    struct fl_dial again = {.host = FL_STR(HOST), .port = PORT};
    struct fl_http_options http = {.version = FL_HTTP_2};
    assert_int_equal(
        fl_http_conn_dial(f.io, &again, &http, &conn_events, &second, &second.conn, NULL), 0);
    fl_world_run_ms(f.world, 100);
    assert_true(second.closed && !second.ready);
    assert_int_equal(fl_grpc_server_connections(server), 1);
    fl_grpc_server_kill(server, on_done, &f);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(f.done, 1);
    stop(&f);
}

static void test_address_in_use(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 7);
    struct fl_echo *echo = start_echo(&f, 0), *second = NULL;
    struct fl_echo_options options = {FL_STR(HOST), PORT, 0};
    struct fl_error err;
    assert_int_equal(fl_echo_new(f.io, &options, &second, &err), FL_ESYS);
    assert_non_null(strstr(err.detail, HOST));
    kill_echo(&f, echo);
    stop(&f);
}

static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_world *world;
        if (fl_world_new(&(struct fl_world_options){.seed = 1}, &world) != 0) continue;
        struct fl_echo_options options = {FL_STR(HOST), PORT, 0};
        struct fl_echo *echo = NULL;
        int rc = fl_echo_new(fl_world_io(world), &options, &echo, NULL);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) fl_echo_kill(echo, NULL, NULL);
        fl_world_run_ms(world, 10);
        fl_world_free(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_statuses_of_bad_requests),
        cmocka_unit_test(test_deadline_cancels_the_call),
        cmocka_unit_test(test_health_while_draining),
        cmocka_unit_test(test_C8_drain_finishes_what_it_accepted),
        cmocka_unit_test(test_drain_deadline_cuts),
        cmocka_unit_test(test_kill_while_draining),
        cmocka_unit_test(test_connections_are_bounded),
        cmocka_unit_test(test_address_in_use),
        cmocka_unit_test(test_each_allocation_failing),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
