/* slice_server.c - see slice_server.h. Everything but the atomics belongs to its thread. */
#include "bench/slice_server.h"

#include <fairlead/runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http/conn.h"

struct fl_slice_server {
    struct fl_runtime *runtime;
    fl_slice_fill *fill;
    uint16_t endpoint_port;
    struct fl_listener *listener;
    struct fl_http_conn *conn[8];
    size_t conns;
    struct fl_http_stream *watch; /* of the slices */
    uint64_t version;
    struct fl_task listen, send, stop;
    uint16_t port;
    atomic_bool up, stopped, watched;
    _Atomic uint64_t sent_us, wanted; /* when the newest event was written; how far to go */
};

static void check(int rc, const char *what) {
    if (rc == FL_OK) return;
    fprintf(stderr, "slice_server: %s: %s\n", what, fl_error_name(rc));
    exit(1);
}

static struct fl_str number(char *text, size_t size, uint64_t value) {
    return fl_str_n(text, (size_t)snprintf(text, size, "%llu", (unsigned long long)value));
}

static void encode_slice(const struct fl_slice_server *server, struct fl_buf *out) {
    struct fl_k8s_endpoint_spec endpoints[FL_SLICE_ENDPOINTS_MAX];
    char text[24];
    size_t count = server->fill(endpoints, server->version);
    const struct fl_k8s_label label = {FL_STR("kubernetes.io/service-name"), FL_STR("echo")};
    const struct fl_block_port port = {FL_STR("grpc"), FL_STR("TCP"), FL_STR("grpc"),
                                       server->endpoint_port};
    const struct fl_k8s_slice_spec slice = {
        .meta = {.name = FL_STR("echo-abcde"),
                 .ns = FL_STR("default"),
                 .uid = FL_STR("0f0c2b1a-7d3e-4c55-9a11-000000000000"),
                 .resource_version = number(text, sizeof text, 1000 + server->version),
                 .labels = &label,
                 .label_count = 1},
        .address_type = FL_STR("IPv4"),
        .endpoints = endpoints,
        .endpoint_count = count,
        .ports = &port,
        .port_count = 1};
    check(fl_k8s_encode_slice(out, FL_K8S_PROTOBUF, &slice), "slice");
}

static void encode_service(struct fl_buf *out) {
    const struct fl_k8s_service_port port = {
        .name = FL_STR("grpc"), .protocol = FL_STR("TCP"), .port = 80, .target_port = 50051};
    const struct fl_k8s_service_spec service = {.meta = {.name = FL_STR("echo"),
                                                         .ns = FL_STR("default"),
                                                         .uid = FL_STR("1"),
                                                         .resource_version = FL_STR("1000")},
                                                .type = FL_STR("ClusterIP"),
                                                .cluster_ip = FL_STR("10.96.0.1"),
                                                .ports = &port,
                                                .port_count = 1};
    check(fl_k8s_encode_service(out, FL_K8S_PROTOBUF, &service), "service");
}

static void on_stream_closed(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                             uint32_t h2_code) {
    struct fl_slice_server *server = arg;
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
    if (stream == server->watch) server->watch = NULL;
}

static void answer_list(struct fl_slice_server *server, struct fl_http_stream *stream,
                        bool slices) {
    struct fl_buf object, body;
    fl_buf_init(&object, FL_K8S_FRAME_MAX);
    fl_buf_init(&body, FL_K8S_FRAME_MAX);
    slices ? encode_slice(server, &object) : encode_service(&object);
    struct fl_str bytes = fl_buf_str(&object);
    check(fl_k8s_encode_list(&body, FL_K8S_PROTOBUF, slices ? FL_K8S_ENDPOINTSLICE : FL_K8S_SERVICE,
                             &bytes, 1, FL_STR("1000"), FL_STR_NONE),
          "list");
    check(fl_http_stream_write(stream, fl_buf_str(&body), true), "list");
    fl_buf_deinit(&object);
    fl_buf_deinit(&body);
}

static void send_event(struct fl_http_stream *stream, enum fl_k8s_event event, bool slices,
                       const struct fl_buf *object) {
    struct fl_buf frame;
    fl_buf_init(&frame, FL_K8S_FRAME_MAX);
    check(fl_k8s_encode_event(&frame, FL_K8S_PROTOBUF, event,
                              slices ? FL_K8S_ENDPOINTSLICE : FL_K8S_SERVICE, fl_buf_str(object)),
          "event");
    check(fl_http_stream_write(stream, fl_buf_str(&frame), false), "event");
    fl_buf_deinit(&frame);
}

/* A streaming list: what there is, and the bookmark that says that this was it. */
static void send_initial(struct fl_slice_server *server, struct fl_http_stream *stream,
                         bool slices) {
    struct fl_buf object, bookmark;
    char text[24];
    fl_buf_init(&object, FL_K8S_FRAME_MAX);
    fl_buf_init(&bookmark, FL_K8S_FRAME_MAX);
    slices ? encode_slice(server, &object) : encode_service(&object);
    send_event(stream, FL_K8S_ADDED, slices, &object);
    check(fl_k8s_encode_bookmark(&bookmark, FL_K8S_PROTOBUF,
                                 slices ? FL_K8S_ENDPOINTSLICE : FL_K8S_SERVICE,
                                 number(text, sizeof text, 1000 + server->version), true),
          "bookmark");
    send_event(stream, FL_K8S_BOOKMARK, slices, &bookmark);
    fl_buf_deinit(&bookmark);
    fl_buf_deinit(&object);
}

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    static const struct fl_http_stream_events events = {.on_close = on_stream_closed};
    struct fl_slice_server *server = arg;
    FL_UNUSED(conn);
    fl_http_stream_attach(stream, &events, server);
    bool slices = memmem(head->path.p, head->path.n, "endpointslices", 14) != NULL;
    bool watch = memmem(head->path.p, head->path.n, "watch=", 6) != NULL;
    const struct fl_http_header type = {
        FL_STR("content-type"), watch ? FL_STR("application/vnd.kubernetes.protobuf;stream=watch")
                                      : FL_STR("application/vnd.kubernetes.protobuf")};
    const struct fl_http_response response = {200, {&type, 1}};
    check(fl_http_stream_respond(stream, &response, false), "response");
    if (!watch)
        answer_list(server, stream, slices);
    else if (memmem(head->path.p, head->path.n, "sendInitialEvents=", 18))
        send_initial(server, stream, slices);
    if (watch && slices) {
        server->watch = stream;
        atomic_store(&server->watched, true);
    }
}

static void on_conn_closed(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    struct fl_slice_server *server = arg;
    FL_UNUSED(why);
    for (size_t i = 0; i < server->conns; i++)
        if (server->conn[i] == conn) server->conn[i] = server->conn[--server->conns];
    if (!server->listener && server->conns == 0) atomic_store(&server->stopped, true);
}

static void on_accept(void *arg, struct fl_sock *sock) {
    static const struct fl_http_conn_events events = {.on_request = on_request,
                                                      .on_close = on_conn_closed};
    struct fl_slice_server *server = arg;
    FL_ASSERT(server->conns < FL_COUNT(server->conn));
    const struct fl_http_options options = {0};
    check(fl_http_conn_take_accepted(server->runtime->io, sock, &options, &events, server,
                                     &server->conn[server->conns++], NULL),
          "accept");
}

static void listen_task(struct fl_task *task) {
    struct fl_slice_server *server = FL_CONTAINER(task, struct fl_slice_server, listen);
    struct fl_io *io = server->runtime->io;
    check(
        fl_io_listen(io, FL_STR("127.0.0.1"), 0, NULL, on_accept, server, &server->listener, NULL),
        "listen");
    server->port = fl_listener_port(io, server->listener);
    atomic_store(&server->up, true);
}

static void send_one(struct fl_slice_server *server) {
    struct fl_buf object;
    fl_buf_init(&object, FL_K8S_FRAME_MAX);
    server->version++;
    encode_slice(server, &object);
    atomic_store(&server->sent_us, fl_io_now_us(server->runtime->io));
    send_event(server->watch, FL_K8S_MODIFIED, true, &object);
    fl_buf_deinit(&object);
}

static void send_task(struct fl_task *task) {
    struct fl_slice_server *server = FL_CONTAINER(task, struct fl_slice_server, send);
    uint64_t wanted = atomic_load(&server->wanted);
    while (server->version < wanted) send_one(server);
}

static void stop_task(struct fl_task *task) {
    struct fl_slice_server *server = FL_CONTAINER(task, struct fl_slice_server, stop);
    fl_listener_close(server->runtime->io, server->listener);
    server->listener = NULL;
    if (server->conns == 0) atomic_store(&server->stopped, true);
    for (size_t i = 0; i < server->conns; i++) fl_http_conn_close(server->conn[i]);
}

struct fl_slice_server *fl_slice_server_new(fl_slice_fill *fill, uint16_t port) {
    struct fl_slice_server *server = fl_calloc(1, sizeof(*server));
    if (!server) check(FL_ENOMEM, "server");
    server->fill = fill;
    server->endpoint_port = port;
    check(fl_runtime_new(NULL, &server->runtime, NULL), "runtime");
    fl_task_init(&server->listen, listen_task);
    fl_task_init(&server->send, send_task);
    fl_task_init(&server->stop, stop_task);
    fl_io_post(server->runtime->io, &server->listen);
    while (!atomic_load(&server->up)) usleep(1000);
    return server;
}

void fl_slice_server_free(struct fl_slice_server *server) {
    fl_io_post(server->runtime->io, &server->stop);
    while (!atomic_load(&server->stopped)) usleep(1000);
    fl_runtime_free(server->runtime);
    fl_free(server);
}

void fl_slice_server_write_kubeconfig(const struct fl_slice_server *server, char *path) {
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) check(FL_ESYS, path);
    fprintf(file,
            "{\"current-context\":\"c\",\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":"
            "\"http://127.0.0.1:%u\"}}],\"users\":[{\"name\":\"c\",\"user\":{}}],\"contexts\":[{"
            "\"name\":\"c\",\"context\":{\"cluster\":\"c\",\"user\":\"c\"}}]}",
            (unsigned)server->port);
    fclose(file);
}

bool fl_slice_server_is_watched(const struct fl_slice_server *server) {
    return atomic_load(&server->watched);
}

void fl_slice_server_advance(struct fl_slice_server *server, uint64_t version) {
    atomic_store(&server->wanted, version);
    fl_io_post(server->runtime->io, &server->send);
}

uint64_t fl_slice_server_sent_us(const struct fl_slice_server *server) {
    return atomic_load(&server->sent_us);
}
