/* server_bed.c - see server_bed.h. */
#include "support/server_bed.h"

#include <string.h>

static const char echo_path[] = "/grpc.examples.echo.Echo/UnaryEcho";

static void take_text(char *out, size_t size, struct fl_http_headers h, const char *name) {
    struct fl_str value = fl_http_header_get(h, fl_str_of(name));
    if (value.p) fl_str_copy(out, size, value);
}

static void take_status(struct exchange *x, struct fl_http_headers h) {
    take_text(x->grpc_status, sizeof(x->grpc_status), h, "grpc-status");
    take_text(x->grpc_message, sizeof(x->grpc_message), h, "grpc-message");
}

static void on_response(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head) {
    FL_UNUSED(stream);
    struct exchange *x = arg;
    x->head_in = true;
    x->http_status = head->status;
    take_status(x, head->headers);
    take_text(x->encoding, sizeof(x->encoding), head->headers, "grpc-encoding");
    take_text(x->accept, sizeof(x->accept), head->headers, "grpc-accept-encoding");
    take_text(x->head_echo, sizeof(x->head_echo), head->headers, "x-initial");
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct exchange *x = arg;
    size_t room = x->body_len < sizeof(x->body) ? sizeof(x->body) - x->body_len : 0;
    if (FL_MIN(bytes.n, room)) memcpy(x->body + x->body_len, bytes.p, FL_MIN(bytes.n, room));
    x->body_len += bytes.n;
    if (x->reads)
        fl_http_stream_consume(stream, bytes.n);
    else
        x->unread += bytes.n;
}

static void on_trailers(void *arg, struct fl_http_stream *stream, struct fl_http_headers trailers) {
    FL_UNUSED(stream);
    struct exchange *x = arg;
    take_status(x, trailers);
    take_text(x->trailer_echo, sizeof(x->trailer_echo), trailers, "x-trailing");
}

static void on_end(void *arg, struct fl_http_stream *stream) {
    FL_UNUSED(stream);
    ((struct exchange *)arg)->ended = true;
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    FL_UNUSED(stream);
    struct exchange *x = arg;
    assert_false(x->closed);
    x->closed = true;
    x->why = why->code;
    x->h2_code = h2_code;
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
    ((struct server_bed *)arg)->ready = true;
}

static void conn_goaway(void *arg, struct fl_http_conn *conn, uint32_t h2_code,
                        struct fl_str debug) {
    FL_UNUSED(conn);
    struct server_bed *bed = arg;
    bed->goaways++;
    bed->goaway_code = h2_code;
    fl_str_copy(bed->goaway_debug, sizeof(bed->goaway_debug), debug);
}

static void conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(conn);
    FL_UNUSED(why);
    ((struct server_bed *)arg)->closed = true;
}

static const struct fl_http_conn_events conn_events = {
    .on_ready = conn_ready, .on_goaway = conn_goaway, .on_close = conn_close};

void server_bed_start(struct server_bed *bed, uint64_t seed) {
    memset(bed, 0, sizeof(*bed));
    struct fl_world_options options = {.seed = seed, .chop = true};
    assert_int_equal(fl_world_new(&options, &bed->world), 0);
    bed->io = fl_world_io(bed->world);
}

struct fl_echo *server_bed_echo(struct server_bed *bed, uint32_t delay_ms) {
    struct fl_echo *echo;
    struct fl_echo_options options = {.host = FL_STR(HOST), .port = PORT, .delay_ms = delay_ms};
    struct fl_error err;
    assert_int_equal(fl_echo_new(bed->io, &options, &echo, &err), 0);
    return echo;
}

struct fl_grpc_server *server_bed_serve(struct server_bed *bed,
                                        struct fl_grpc_server_options options) {
    struct fl_grpc_server *server;
    options.host = FL_STR(HOST);
    options.port = PORT;
    assert_int_equal(fl_grpc_server_new(bed->io, &options, &server, NULL), 0);
    return server;
}

int server_bed_try_dial(struct server_bed *bed) {
    struct fl_dial dial = {.host = FL_STR(HOST), .port = PORT};
    struct fl_http_options options = {.version = FL_HTTP_2, .ping_after_ms = bed->ping_after_ms};
    bed->ready = bed->closed = false;
    return fl_http_conn_dial(bed->io, &dial, &options, &conn_events, bed, &bed->conn, NULL);
}

void server_bed_dial(struct server_bed *bed) {
    assert_int_equal(server_bed_try_dial(bed), 0);
    fl_world_run_ms(bed->world, 100);
}

void server_bed_done(void *arg) { ((struct server_bed *)arg)->done++; }

static void await_done(struct server_bed *bed) {
    assert_int_equal(bed->done, 0); /* never before it returned */
    fl_world_run_ms(bed->world, 100);
    assert_int_equal(bed->done, 1);
}

void server_bed_kill_echo(struct server_bed *bed, struct fl_echo *echo) {
    fl_echo_kill(echo, server_bed_done, bed);
    await_done(bed);
}

void server_bed_kill(struct server_bed *bed, struct fl_grpc_server *server) {
    fl_grpc_server_kill(server, server_bed_done, bed);
    await_done(bed);
}

void server_bed_stop(struct server_bed *bed) {
    if (bed->conn && !bed->closed) fl_http_conn_close(bed->conn);
    fl_world_run_ms(bed->world, 5000);
    assert_int_equal(fl_world_open_socks(bed->world), 0);
    fl_world_free(bed->world);
}

int server_bed_try_send(struct server_bed *bed, struct exchange *x, const struct request *r) {
    memset(x, 0, sizeof(*x));
    x->reads = !r->slow;
    struct fl_http_header list[4] = {{FL_STR("content-type"), fl_str_of(r->type ? r->type : GRPC)}};
    struct fl_http_request head = {.method = fl_str_of(r->method ? r->method : "POST"),
                                   .scheme = FL_STR("http"),
                                   .authority = FL_STR("echo"),
                                   .path = fl_str_of(r->path ? r->path : echo_path),
                                   .headers = {list, 1}};
    if (r->timeout)
        list[head.headers.count++] =
            (struct fl_http_header){FL_STR("grpc-timeout"), fl_str_of(r->timeout)};
    if (r->extra.name.n) list[head.headers.count++] = r->extra;
    if (r->more.name.n) list[head.headers.count++] = r->more;
    bool end = !r->open && r->body.n == 0;
    int rc = fl_http_conn_request(bed->conn, &head, end, &stream_events, x, &x->stream, NULL);
    if (rc || r->body.n == 0) return rc;
    return fl_http_stream_write(x->stream, r->body, !r->open);
}

void server_bed_send(struct server_bed *bed, struct exchange *x, const struct request *r) {
    assert_int_equal(server_bed_try_send(bed, x, r), 0);
}

void server_bed_ask(struct server_bed *bed, struct exchange *x, const struct request *request) {
    server_bed_send(bed, x, request);
    fl_world_run_ms(bed->world, 200);
}

void server_bed_write(struct exchange *x, struct fl_str bytes, bool end) {
    assert_int_equal(fl_http_stream_write(x->stream, bytes, end), 0);
}

void server_bed_read(struct exchange *x) {
    x->reads = true;
    fl_http_stream_consume(x->stream, x->unread);
    x->unread = 0;
}
