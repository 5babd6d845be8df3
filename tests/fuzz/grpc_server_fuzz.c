/* grpc_server_fuzz.c - a client's bytes against the methods of the echo server: unary and streams,
 * health, reflection, plain and compressed.
 *
 * The first byte chooses the method and how the client behaves, the second is the seed by which the
 * world cuts what is sent, the rest is the request's body. Whatever it is, the call must end once,
 * and the world must be empty at the end. */
#include "http/conn.h"
#include "server/echo.h"
#include "sim/world.h"

#define HOST FL_STR("127.0.0.1")
#define PORT 80

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Beside the method, in the bits above it. */
enum { METHODS = 8, GZIP = 8, DEFLATE = 16, SLOW = 32, OPEN_END = 64, LEAVES = 128 };

static const char *const paths[METHODS] = {
    "/grpc.examples.echo.Echo/UnaryEcho",
    "/grpc.examples.echo.Echo/ServerStreamingEcho",
    "/grpc.examples.echo.Echo/ClientStreamingEcho",
    "/grpc.examples.echo.Echo/BidirectionalStreamingEcho",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
};

struct bench {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_http_conn *conn;
    struct fl_http_stream *stream;
    struct fl_str body;
    uint8_t how;
    bool gone; /* the server */
};

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct bench *b = arg;
    if (!(b->how & SLOW)) fl_http_stream_consume(stream, bytes.n);
}

static void on_stream_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                            uint32_t h2_code) {
    struct bench *b = arg;
    FL_UNUSED(why), FL_UNUSED(h2_code);
    FL_ASSERT(b->stream == stream);
    b->stream = NULL;
}

static const struct fl_http_stream_events stream_events = {.on_data = on_data,
                                                           .on_close = on_stream_close};

static void on_ready(void *arg, struct fl_http_conn *conn) {
    struct bench *b = arg;
    const char *encoding = b->how & GZIP ? "gzip" : b->how & DEFLATE ? "deflate" : "identity";
    const struct fl_http_header headers[] = {
        {FL_STR("content-type"), FL_STR("application/grpc")},
        {FL_STR("grpc-encoding"), fl_str_of(encoding)},
        {FL_STR("grpc-accept-encoding"), FL_STR("gzip,deflate")},
        {FL_STR("grpc-timeout"), FL_STR("30S")},
    };
    const struct fl_http_request head = {.method = FL_STR("POST"),
                                         .scheme = FL_STR("http"),
                                         .authority = FL_STR("h"),
                                         .path = fl_str_of(paths[b->how % METHODS]),
                                         .headers = {headers, FL_COUNT(headers)}};
    int rc = fl_http_conn_request(conn, &head, false, &stream_events, b, &b->stream, NULL);
    if (!rc) rc = fl_http_stream_write(b->stream, b->body, !(b->how & OPEN_END));
    FL_ASSERT(rc == 0);
}

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    struct bench *b = arg;
    FL_UNUSED(conn), FL_UNUSED(why);
    FL_ASSERT(!b->stream);
    b->conn = NULL;
}

static const struct fl_http_conn_events conn_events = {.on_ready = on_ready,
                                                       .on_close = on_conn_close};

static void on_gone(void *arg) { ((struct bench *)arg)->gone = true; }

static void call(struct bench *b) {
    const struct fl_dial dial = {.host = HOST, .port = PORT};
    const struct fl_http_options options = {.version = FL_HTTP_2, .window_bytes = 1000};
    struct fl_error why = {FL_ECANCELLED, "enough"};
    int rc = fl_http_conn_dial(b->io, &dial, &options, &conn_events, b, &b->conn, NULL);
    FL_ASSERT(rc == 0);
    fl_world_run_ms(b->world, 1000);
    if (b->stream && b->how & LEAVES) fl_http_stream_reset(b->stream, 8, &why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > FL_HTTP_QUEUE_MAX) return 0;
    struct bench b = {.how = data[0], .body = fl_str_n(data + 2, size - 2)};
    const struct fl_world_options world = {.seed = data[1], .chop = data[1] & 1};
    const struct fl_echo_options options = {
        .host = HOST, .port = PORT, .limits = {.receive_bytes_max = 64 * 1024}};
    struct fl_echo *echo;
    FL_ASSERT(fl_world_new(&world, &b.world) == 0);
    b.io = fl_world_io(b.world);
    int rc = fl_echo_new(b.io, &options, &echo, NULL);
    FL_ASSERT(rc == 0);
    call(&b);
    fl_echo_drain(echo, fl_io_now_ms(b.io) + 40000, on_gone, &b);
    fl_world_run_ms(b.world, 60000);
    FL_ASSERT(b.gone && !b.conn && !b.stream);
    FL_ASSERT(fl_world_open_socks(b.world) == 0);
    fl_world_free(b.world);
    return 0;
}
