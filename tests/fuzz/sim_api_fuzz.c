/* sim_api_fuzz.c - what a client may send to the simulated API server: paths, queries, selectors,
 * bodies and patches.
 *
 * The first byte says method and content type, the first line after it is the URL, the rest the
 * body. A second request with the same body follows it on the object that the first one may have
 * made. Every request must be answered or its connection end, and the world must be empty after. */
#include "http/conn.h"
#include "sim/apiserver.h"
#include "sim/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bench {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_http_conn *conn;
    struct fl_http_stream *stream;
    bool server_closed;
};

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    FL_UNUSED(arg);
    fl_http_stream_consume(stream, bytes.n);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    struct bench *b = arg;
    FL_UNUSED(stream), FL_UNUSED(why), FL_UNUSED(h2_code);
    b->stream = NULL;
}

static const struct fl_http_stream_events stream_events = {.on_data = on_data,
                                                           .on_close = on_close};

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(conn), FL_UNUSED(why);
    ((struct bench *)arg)->conn = NULL;
}

static const struct fl_http_conn_events conn_events = {.on_close = on_conn_close};

static void on_server_closed(void *arg) { ((struct bench *)arg)->server_closed = true; }

static void ask(struct bench *b, uint8_t how, struct fl_str url, struct fl_str body) {
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    static const char *const types[] = {
        "application/json", "application/vnd.kubernetes.protobuf", "application/json-patch+json",
        "application/merge-patch+json", "application/strategic-merge-patch+json"};
    static const char *const accepts[] = {
        "application/json", "application/vnd.kubernetes.protobuf, application/json",
        "application/json;as=Table;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"};
    const struct fl_http_header headers[] = {
        {FL_STR("content-type"), fl_str_of(types[how / 5 % 5])},
        {FL_STR("accept"), fl_str_of(accepts[how / 25 % 4])},
    };
    const struct fl_http_request head = {.method = fl_str_of(methods[how % 5]),
                                         .scheme = FL_STR("http"),
                                         .authority = FL_STR("sim"),
                                         .path = url,
                                         .headers = {headers, FL_COUNT(headers)}};
    if (!b->conn ||
        fl_http_conn_request(b->conn, &head, false, &stream_events, b, &b->stream, NULL))
        return;
    int rc = fl_http_stream_write(b->stream, body, true);
    FL_ASSERT(rc == 0);
    fl_world_run_ms(b->world, 50);
    struct fl_error why = {.code = FL_ECANCELLED};
    if (b->stream) fl_http_stream_reset(b->stream, 8, &why); /* a watch */
    fl_world_run_ms(b->world, 50);
    FL_ASSERT(!b->stream);
}

static void dial(struct bench *b, struct fl_apiserver *server) {
    const struct fl_dial dial = {.host = FL_STR("127.0.0.1"), .port = fl_apiserver_port(server)};
    const struct fl_http_options options = {.version = FL_HTTP_2};
    int rc = fl_http_conn_dial(b->io, &dial, &options, &conn_events, b, &b->conn, NULL);
    FL_ASSERT(rc == 0);
    fl_world_run_ms(b->world, 20);
}

static bool is_sendable(struct fl_str url) {
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] > '~') return false;
    return url.n > 0 && url.p[0] == '/';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct fl_world_options world = {.seed = 1};
    const struct fl_apiserver_options options = {.host = FL_STR("127.0.0.1")};
    const struct fl_k8s_service_port port = {.name = FL_STR("grpc"), .port = 80};
    struct bench b = {.server_closed = false};
    struct fl_cluster *cluster;
    struct fl_apiserver *server;
    struct fl_str url, body;
    if (size < 2 || size > 65536) return 0;
    fl_str_split(fl_str_n(data + 1, size - 1), '\n', &url, &body);
    if (!is_sendable(url)) return 0;
    int rc = fl_world_new(&world, &b.world);
    FL_ASSERT(rc == 0);
    b.io = fl_world_io(b.world);
    rc = fl_cluster_new(1, 100, &cluster);
    if (!rc) rc = fl_cluster_service(cluster, FL_STR("default"), FL_STR("echo"), &port, 1);
    if (!rc) rc = fl_apiserver_new(b.io, cluster, &options, &server, NULL);
    FL_ASSERT(rc == 0);
    dial(&b, server);
    ask(&b, data[0], url, body);
    ask(&b, 3 + 5 * 4, FL_STR("/api/v1/namespaces/default/services/a"), body);
    ask(&b, 0, FL_STR("/apis/discovery.k8s.io/v1/endpointslices"), FL_STR_NONE);
    fl_apiserver_close(server, on_server_closed, &b);
    fl_world_run_ms(b.world, 3000);
    FL_ASSERT(b.server_closed && fl_world_open_socks(b.world) == 0);
    fl_cluster_free(cluster);
    fl_world_free(b.world);
    return 0;
}
