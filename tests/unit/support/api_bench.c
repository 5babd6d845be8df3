/* api_bench.c - see api_bench.h. */
#include "support/api_bench.h"

static void on_response(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head) {
    struct answer *a = arg;
    FL_UNUSED(stream);
    a->status = head->status;
    fl_str_copy(a->type, sizeof a->type, fl_http_header_get(head->headers, FL_STR("content-type")));
    fl_str_copy(a->retry_after, sizeof a->retry_after,
                fl_http_header_get(head->headers, FL_STR("retry-after")));
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct answer *a = arg;
    assert_int_equal(fl_buf_append(&a->body, bytes), 0);
    if (a->hoard)
        a->hoarded += bytes.n;
    else
        fl_http_stream_consume(stream, bytes.n);
}

static void on_end(void *arg, struct fl_http_stream *stream) {
    FL_UNUSED(stream);
    ((struct answer *)arg)->ended = true;
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    struct answer *a = arg;
    FL_UNUSED(stream);
    FL_UNUSED(h2_code);
    assert_false(a->closed);
    a->closed = true;
    a->stream = NULL;
    a->code = why->code;
}

static const struct fl_http_stream_events stream_events = {
    .on_response = on_response, .on_data = on_data, .on_end = on_end, .on_close = on_close};

static void on_ready(void *arg, struct fl_http_conn *conn) {
    FL_UNUSED(conn);
    ((struct bench *)arg)->ready = true;
}

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(conn);
    FL_UNUSED(why);
    ((struct bench *)arg)->conn = NULL;
    ((struct bench *)arg)->ready = false;
}

static const struct fl_http_conn_events conn_events = {.on_ready = on_ready,
                                                       .on_close = on_conn_close};

const struct fl_k8s_service_port grpc_port = {{"grpc", 4}, {"TCP", 3}, {NULL, 0},
                                              {NULL, 0},   80,         50051};

void dial(struct bench *b, enum fl_http_version version) {
    struct fl_dial d = {.host = FL_STR("127.0.0.1"), .port = fl_apiserver_port(b->server)};
    struct fl_http_options options = {.version = version};
    assert_int_equal(fl_http_conn_dial(b->io, &d, &options, &conn_events, b, &b->conn, NULL), 0);
    fl_world_run_ms(b->world, 20);
    assert_true(b->ready);
}

void bench_open(struct bench *b, const struct fl_apiserver_options *options,
                enum fl_http_version version) {
    struct fl_world_options world = {.seed = 42, .chop = true, .reorder = true};
    struct fl_apiserver_options o = options ? *options : (struct fl_apiserver_options){0};
    struct fl_error err;
    memset(b, 0, sizeof *b);
    o.host = FL_STR("127.0.0.1");
    assert_int_equal(fl_world_new(&world, &b->world), 0);
    b->io = fl_world_io(b->world);
    assert_int_equal(fl_cluster_new(7, 2000, &b->cluster), 0);
    assert_int_equal(
        fl_cluster_service(b->cluster, FL_STR("default"), FL_STR("echo"), &grpc_port, 1), 0);
    assert_int_equal(fl_apiserver_new(b->io, b->cluster, &o, &b->server, &err), 0);
    dial(b, version);
}

void on_server_closed(void *arg) { ((struct bench *)arg)->server_closed = true; }

void bench_close(struct bench *b) {
    fl_apiserver_close(b->server, on_server_closed, b);
    assert_false(b->server_closed);
    fl_world_run_ms(b->world, 3000);
    assert_true(b->server_closed);
    assert_null(b->conn);
    assert_int_equal(fl_world_open_socks(b->world), 0);
    for (size_t i = 0; i < b->asked; i++) {
        assert_true(b->answers[i].closed);
        fl_buf_deinit(&b->answers[i].body);
        fl_free(b->answers[i].text);
    }
    fl_cluster_free(b->cluster);
    fl_world_free(b->world);
}

static struct answer *begin(struct bench *b, const char *method, const char *path,
                            const char *accept, const char *type, bool end) {
    struct fl_http_header headers[3] = {{FL_STR("accept"), fl_str_of(accept)}};
    size_t n = 1;
    if (type) headers[n++] = (struct fl_http_header){FL_STR("content-type"), fl_str_of(type)};
    if (b->token)
        headers[n++] = (struct fl_http_header){FL_STR("authorization"), fl_str_of(b->token)};
    struct fl_http_request head = {.method = fl_str_of(method),
                                   .scheme = FL_STR("http"),
                                   .authority = FL_STR("sim"),
                                   .path = fl_str_of(path),
                                   .headers = {headers, n}};
    assert_true(b->asked < ASKED);
    struct answer *a = &b->answers[b->asked++];
    a->bench = b;
    fl_buf_init(&a->body, (size_t)64 << 20);
    if (!b->conn) dial(b, FL_HTTP_1);
    assert_int_equal(fl_http_conn_request(b->conn, &head, end, &stream_events, a, &a->stream, NULL),
                     0);
    return a;
}

struct answer *start(struct bench *b, const char *method, const char *path, const char *accept) {
    return begin(b, method, path, accept, NULL, true);
}

struct answer *get(struct bench *b, const char *path, const char *accept) {
    struct answer *a = start(b, "GET", path, accept);
    fl_world_run_ms(b->world, 50);
    return a;
}

struct answer *send_body(struct bench *b, const char *method, const char *path, const char *type,
                         const char *body) {
    struct answer *a = begin(b, method, path, JSON, type ? type : JSON, false);
    struct fl_str all = fl_str_of(body);
    for (bool end = false; !end && a->stream;) {
        struct fl_str piece = fl_str_n(all.p, FL_MIN(all.n, (size_t)100000));
        all = fl_str_from(all, piece.n);
        end = all.n == 0;
        int rc = fl_http_stream_write(a->stream, piece, end);
        assert_true(rc == 0 || rc == FL_ESHUTDOWN || (b->hungry && rc == FL_ENOMEM));
        fl_world_run_ms(b->world, 10);
    }
    fl_world_run_ms(b->world, 50);
    return a;
}

struct answer *post(struct bench *b, const char *path, const char *body) {
    return send_body(b, "POST", path, NULL, body);
}

const char *text_of(struct answer *a) {
    struct fl_str all = fl_buf_str(&a->body);
    fl_free(a->text);
    a->text = fl_str_dup(all);
    assert_non_null(a->text);
    return a->text;
}

void assert_has(struct answer *a, const char *part) {
    if (!strstr(text_of(a), part)) print_error("%s\nhas no %s\n", a->text, part);
    assert_non_null(strstr(text_of(a), part));
}

void assert_lacks(struct answer *a, const char *part) { assert_null(strstr(text_of(a), part)); }

size_t count(struct answer *a, const char *part) {
    size_t n = 0;
    for (const char *p = text_of(a); (p = strstr(p, part)); p += strlen(part)) n++;
    return n;
}

void assert_status(struct answer *a, int status, const char *reason) {
    char text[64];
    snprintf(text, sizeof text, "\"reason\":\"%s\"", reason);
    assert_int_equal(a->status, status);
    assert_true(a->ended);
    assert_has(a, "\"kind\":\"Status\"");
    assert_has(a, text);
}

void cancel(struct bench *b, struct answer *a) {
    struct fl_error why = {.code = FL_ECANCELLED};
    if (a->stream) fl_http_stream_reset(a->stream, 8, &why);
    fl_world_run_ms(b->world, 50);
    assert_true(a->closed);
}

struct fl_str add_pod(struct bench *b) {
    struct fl_str name;
    char address[32];
    static unsigned n;
    snprintf(address, sizeof address, "10.1.%u.%u", n / 200, n % 200);
    n++;
    assert_int_equal(fl_cluster_pod_add(b->cluster, FL_STR("default"), FL_STR("echo"),
                                        fl_str_of(address), &name),
                     0);
    assert_int_equal(fl_cluster_pod_phase(b->cluster, FL_STR("default"), name, FL_POD_READY), 0);
    return name;
}

char *url(const char *format, ...) {
    static char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return text;
}
