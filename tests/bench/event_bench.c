/* event_bench.c - from an event on the socket to the subscriber's callback.
 *
 * A canned API server on a thread of its own serves one service with one EndpointSlice of 100
 * endpoints and then sends watch events that flip one endpoint's readiness each; the client thread
 * holds a subscription through the library's own path (connection, reflector, store, set, mailbox).
 *
 *     event_bench [--json FILE]
 *
 * Round trips: the next event is sent when the last one was seen: p50, p99 of the time from the
 * server's write to the callback. Stream: events as fast as the client takes them: CPU of the
 * client's thread. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "discovery/discovery.h"
#include "http/conn.h"
#include "loop/loop.h"
#include "wire/k8s.h"

#define ENDPOINTS   100
#define ROUND_TRIPS 5000
#define STREAMED    20000
#define AHEAD       64 /* streamed events on the way at most */

struct server {
    struct fl_runtime *runtime;
    struct fl_listener *listener;
    struct fl_http_conn *conn[8];
    size_t conns;
    struct fl_http_stream *watch; /* of the slices */
    uint64_t version;
    struct fl_task listen, send, stop;
    uint16_t port;
    atomic_bool up, stopped, watched;
    _Atomic uint64_t sent, sent_us; /* events written; when the last one was */
    _Atomic uint64_t wanted;
};

struct client {
    struct fl_runtime *runtime;
    struct server *server;
    uint64_t seen; /* sets after the first */
    bool started;
    uint64_t latencies_us[ROUND_TRIPS];
    double stream_from_us, cpu_us_per_event;
};

/* ---- the canned server ---- */

static void check(int rc, const char *what) {
    if (rc == FL_OK) return;
    fprintf(stderr, "event_bench: %s: %s\n", what, fl_error_name(rc));
    exit(1);
}

static struct fl_str number(char *text, size_t size, uint64_t value) {
    return fl_str_n(text, (size_t)snprintf(text, size, "%llu", (unsigned long long)value));
}

/* The slice at `version`: endpoint (version mod 100) has the readiness of its turn. */
static void encode_slice(struct fl_buf *out, uint64_t version) {
    static char addresses[ENDPOINTS][16], pods[ENDPOINTS][32], uids[ENDPOINTS][40];
    struct fl_k8s_endpoint_spec endpoints[ENDPOINTS];
    char text[24];
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        snprintf(addresses[i], sizeof addresses[i], "10.1.0.%u", i + 1);
        snprintf(pods[i], sizeof pods[i], "echo-7d9f8c6b5d-%05u", i);
        snprintf(uids[i], sizeof uids[i], "5f0c2b1a-7d3e-4c55-9a11-%012u", i);
        uint64_t flips = version / ENDPOINTS + (version % ENDPOINTS > i);
        endpoints[i] = (struct fl_k8s_endpoint_spec){.address = fl_str_of(addresses[i]),
                                                     .ready = flips % 2 == 0,
                                                     .serving = 1,
                                                     .terminating = 0,
                                                     .node = FL_STR("node-1"),
                                                     .zone = FL_STR("zone-a"),
                                                     .pod = fl_str_of(pods[i]),
                                                     .pod_uid = fl_str_of(uids[i])};
    }
    const struct fl_k8s_label label = {FL_STR("kubernetes.io/service-name"), FL_STR("echo")};
    const struct fl_block_port port = {FL_STR("grpc"), FL_STR("TCP"), FL_STR("grpc"), 50051};
    const struct fl_k8s_slice_spec slice = {
        .meta = {.name = FL_STR("echo-abcde"),
                 .ns = FL_STR("default"),
                 .uid = FL_STR("0f0c2b1a-7d3e-4c55-9a11-000000000000"),
                 .resource_version = number(text, sizeof text, 1000 + version),
                 .labels = &label,
                 .label_count = 1},
        .address_type = FL_STR("IPv4"),
        .endpoints = endpoints,
        .endpoint_count = ENDPOINTS,
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
    struct server *server = arg;
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
    if (stream == server->watch) server->watch = NULL;
}

static void answer_list(struct fl_http_stream *stream, bool slices) {
    struct fl_buf object, body;
    fl_buf_init(&object, FL_K8S_FRAME_MAX);
    fl_buf_init(&body, FL_K8S_FRAME_MAX);
    slices ? encode_slice(&object, 0) : encode_service(&object);
    struct fl_str bytes = fl_buf_str(&object);
    check(fl_k8s_encode_list(&body, FL_K8S_PROTOBUF, slices ? FL_K8S_ENDPOINTSLICE : FL_K8S_SERVICE,
                             &bytes, 1, FL_STR("1000"), FL_STR_NONE),
          "list");
    check(fl_http_stream_write(stream, fl_buf_str(&body), true), "list");
    fl_buf_deinit(&object);
    fl_buf_deinit(&body);
}

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    static const struct fl_http_stream_events events = {.on_close = on_stream_closed};
    struct server *server = arg;
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
        answer_list(stream, slices);
    else if (slices) {
        server->watch = stream;
        atomic_store(&server->watched, true);
    }
}

static void on_conn_closed(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    struct server *server = arg;
    FL_UNUSED(why);
    for (size_t i = 0; i < server->conns; i++)
        if (server->conn[i] == conn) server->conn[i] = server->conn[--server->conns];
    if (!server->listener && server->conns == 0) atomic_store(&server->stopped, true);
}

static void on_accept(void *arg, struct fl_sock *sock) {
    static const struct fl_http_conn_events events = {.on_request = on_request,
                                                      .on_close = on_conn_closed};
    struct server *server = arg;
    FL_ASSERT(server->conns < FL_COUNT(server->conn));
    const struct fl_http_options options = {0};
    check(fl_http_conn_take_accepted(server->runtime->io, sock, &options, &events, server,
                                     &server->conn[server->conns++], NULL),
          "accept");
}

static void listen_task(struct fl_task *task) {
    struct server *server = FL_CONTAINER(task, struct server, listen);
    struct fl_io *io = server->runtime->io;
    check(
        fl_io_listen(io, FL_STR("127.0.0.1"), 0, NULL, on_accept, server, &server->listener, NULL),
        "listen");
    server->port = fl_listener_port(io, server->listener);
    atomic_store(&server->up, true);
}

static void send_one(struct server *server) {
    struct fl_buf object, frame;
    fl_buf_init(&object, FL_K8S_FRAME_MAX);
    fl_buf_init(&frame, FL_K8S_FRAME_MAX);
    encode_slice(&object, ++server->version);
    check(fl_k8s_encode_event(&frame, FL_K8S_PROTOBUF, FL_K8S_MODIFIED, FL_K8S_ENDPOINTSLICE,
                              fl_buf_str(&object)),
          "event");
    atomic_store(&server->sent_us, fl_io_now_us(server->runtime->io));
    check(fl_http_stream_write(server->watch, fl_buf_str(&frame), false), "event");
    atomic_fetch_add(&server->sent, 1);
    fl_buf_deinit(&object);
    fl_buf_deinit(&frame);
}

static void send_task(struct fl_task *task) {
    struct server *server = FL_CONTAINER(task, struct server, send);
    uint64_t wanted = atomic_load(&server->wanted);
    while (server->version < wanted) send_one(server);
}

static void stop_task(struct fl_task *task) {
    struct server *server = FL_CONTAINER(task, struct server, stop);
    fl_listener_close(server->runtime->io, server->listener);
    server->listener = NULL;
    if (server->conns == 0) atomic_store(&server->stopped, true);
    for (size_t i = 0; i < server->conns; i++) fl_http_conn_close(server->conn[i]);
}

static void start_server(struct server *server) {
    check(fl_runtime_new(NULL, &server->runtime, NULL), "runtime");
    fl_task_init(&server->listen, listen_task);
    fl_task_init(&server->send, send_task);
    fl_task_init(&server->stop, stop_task);
    fl_io_post(server->runtime->io, &server->listen);
    while (!atomic_load(&server->up)) usleep(1000);
}

/* ---- the client ---- */

static void ask_for(struct server *server, uint64_t version) {
    atomic_store(&server->wanted, version);
    fl_io_post(server->runtime->io, &server->send);
}

static double cpu_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void count_change(void *arg, const struct fl_change *change) {
    FL_UNUSED(change);
    ++*(uint64_t *)arg;
}

/* Streaming: each change is one endpoint, so the sum of differences tells how many events are in
 * it; newest wins may join several into one set. */
static void on_streamed(struct client *client, uint64_t changes) {
    client->seen += changes;
    if (client->seen >= ROUND_TRIPS + STREAMED) {
        client->cpu_us_per_event = (cpu_us() - client->stream_from_us) / (double)STREAMED;
        fl_loop_stop(client->runtime);
        return;
    }
    ask_for(client->server, FL_MIN(client->seen + AHEAD, (uint64_t)ROUND_TRIPS + STREAMED));
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct client *client = arg;
    uint64_t now = fl_io_now_us(client->runtime->io), changes = 0;
    if (trouble) {
        fprintf(stderr, "event_bench: %s\n", trouble->detail);
        exit(1);
    }
    if (!client->started) {
        client->started = fl_set_state(set) == FL_SET_SOME;
        return; /* the first event is asked for once the watch stands */
    }
    check(fl_set_diff(previous, set, count_change, &changes), "difference");
    if (client->seen < ROUND_TRIPS) {
        client->latencies_us[client->seen++] = now - atomic_load(&client->server->sent_us);
        if (client->seen == ROUND_TRIPS) client->stream_from_us = cpu_us();
        ask_for(client->server, client->seen + (client->seen == ROUND_TRIPS ? AHEAD : 1));
    } else {
        on_streamed(client, changes);
    }
}

struct starter {
    struct fl_timer timer;
    struct client *client;
};

static void begin(struct fl_timer *timer) {
    struct starter *starter = FL_CONTAINER(timer, struct starter, timer);
    struct client *client = starter->client;
    struct fl_io *io = client->runtime->io;
    if (client->started && atomic_load(&client->server->watched))
        ask_for(client->server, 1);
    else
        fl_io_timer_set(io, timer, fl_io_now_ms(io) + 10);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void report(struct client *client, const char *path) {
    qsort(client->latencies_us, ROUND_TRIPS, sizeof(uint64_t), compare);
    const struct {
        const char *metric;
        double value;
    } rows[] = {
        {"latency_p50", (double)client->latencies_us[ROUND_TRIPS / 2]},
        {"latency_p99", (double)client->latencies_us[ROUND_TRIPS * 99 / 100]},
        {"cpu_per_event", client->cpu_us_per_event},
    };
    FILE *json = path ? fopen(path, "a") : NULL;
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        printf("event to callback, %-14s %8.1f us\n", rows[i].metric, rows[i].value);
        if (json)
            fprintf(json,
                    "{\"bench\":\"event\",\"subject\":\"fairlead\",\"metric\":\"%s\","
                    "\"value\":%.2f,\"unit\":\"us\"}\n",
                    rows[i].metric, rows[i].value);
    }
    if (json) fclose(json);
}

static void stop_client(void *arg) {
    struct client *client = arg;
    fl_loop_stop(client->runtime);
}

static void write_kubeconfig(char *path, uint16_t port) {
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) check(FL_ESYS, path);
    fprintf(file,
            "{\"current-context\":\"c\",\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":"
            "\"http://127.0.0.1:%u\"}}],\"users\":[{\"name\":\"c\",\"user\":{}}],\"contexts\":[{"
            "\"name\":\"c\",\"context\":{\"cluster\":\"c\",\"user\":\"c\"}}]}",
            (unsigned)port);
    fclose(file);
}

int main(int argc, char **argv) {
    const char *path = argc == 3 && strcmp(argv[1], "--json") == 0 ? argv[2] : NULL;
    static struct server server;
    static struct client client;
    char kubeconfig[] = "/tmp/fairlead-event-bench-XXXXXX";
    start_server(&server);
    write_kubeconfig(kubeconfig, server.port);
    client.server = &server;
    check(fl_loop_new(&client.runtime, NULL), "loop");
    struct starter starter = {.client = &client};
    struct fl_io *io = client.runtime->io;
    check(fl_io_timer_init(io, &starter.timer, begin), "timer");
    fl_io_timer_set(io, &starter.timer, fl_io_now_ms(io) + 10);
    const struct fl_discovery_options options = {.kubeconfig = kubeconfig};
    struct fl_discovery *discovery;
    struct fl_subscription *subscription;
    check(fl_discovery_new(client.runtime, &options, &discovery, NULL), "discovery");
    check(fl_discovery_subscribe(discovery, client.runtime, "kubernetes:///default/echo", on_set,
                                 &client, &subscription, NULL),
          "subscription");
    fl_loop_run(client.runtime);
    report(&client, path);
    fl_subscription_close(subscription, stop_client, &client);
    fl_loop_run(client.runtime);
    fl_discovery_close(discovery, stop_client, &client);
    fl_loop_run(client.runtime);
    fl_io_timer_deinit(io, &starter.timer);
    fl_runtime_free(client.runtime);
    fl_io_post(server.runtime->io, &server.stop);
    while (!atomic_load(&server.stopped)) usleep(1000);
    fl_runtime_free(server.runtime);
    unlink(kubeconfig);
    return 0;
}
