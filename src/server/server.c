/* server.c - the life of a gRPC server: its listener, its routes, its end.
 *
 * A call lives until all are done with it: its stream has closed and a unary handler has replied.
 * So such a handler may reply whenever it likes, even after the server is gone; what nobody waits
 * for any more is dropped. A server that drains or was killed is gone when its last connection is.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "server/inside.h"

#define RECEIVE_BYTES_MAX (4u * 1024 * 1024)
#define STREAMS_MAX       1000
#define CALLS_MAX         100000
#define CONNECTIONS_MAX   10000
#define AGE_GRACE_MS      60000
#define PING_MS_MIN       (5u * 60 * 1000)
#define PING_IDLE_MS_MIN  (2u * 60 * 60 * 1000)

/* --- routes --- */

static int route_init(struct fl_grpc_route *route, const struct fl_grpc_service *service,
                      const struct fl_grpc_method *method) {
    size_t size = strlen(service->name) + strlen(method->name) + 3;
    char *path = fl_alloc(size);
    if (!path) return FL_ENOMEM;
    snprintf(path, size, "/%s/%s", service->name, method->name);
    route->path = fl_str_n(path, size - 1);
    route->method = method;
    route->arg = service->arg;
    return 0;
}

static void routes_deinit(struct fl_grpc_server *server) {
    for (size_t i = 0; i < server->route_count; i++) fl_free((char *)server->routes[i].path.p);
    fl_free(server->routes);
    fl_free(server->services);
}

static int services_copy(struct fl_grpc_server *server, const struct fl_grpc_service *services,
                         size_t count) {
    if (count == 0) return 0;
    server->services = fl_calloc(count, sizeof(*services));
    if (!server->services) return FL_ENOMEM;
    memcpy(server->services, services, count * sizeof(*services));
    server->service_count = count;
    return 0;
}

static int routes_init(struct fl_grpc_server *server) {
    size_t count = 0;
    for (size_t i = 0; i < server->service_count; i++) count += server->services[i].method_count;
    if (count == 0) return 0;
    server->routes = fl_calloc(count, sizeof(*server->routes));
    if (!server->routes) return FL_ENOMEM;
    for (size_t i = 0; i < server->service_count; i++) {
        const struct fl_grpc_service *service = &server->services[i];
        for (size_t m = 0; m < service->method_count; m++) {
            int rc =
                route_init(&server->routes[server->route_count], service, &service->methods[m]);
            if (rc != 0) return rc;
            server->route_count++;
        }
    }
    return 0;
}

/* A server has a handful of methods: their lengths tell nearly all of them apart. */
const struct fl_grpc_route *fl_grpc_server_route(const struct fl_grpc_server *server,
                                                 struct fl_str path) {
    for (size_t i = 0; i < server->route_count; i++)
        if (fl_str_eq(server->routes[i].path, path)) return &server->routes[i];
    return NULL;
}

const char *fl_grpc_call_service(const struct fl_grpc_call *call, size_t index) {
    const struct fl_grpc_server *server = call->server;
    return index < server->service_count ? server->services[index].name : NULL;
}

/* --- the end --- */

static void server_free(struct fl_grpc_server *server) {
    if (server->listener) fl_listener_close(server->io, server->listener);
    fl_io_timer_deinit(server->io, &server->deadline);
    routes_deinit(server);
    fl_free(server);
}

static void run_last(struct fl_task *task) {
    struct fl_grpc_server *server = FL_CONTAINER(task, struct fl_grpc_server, last);
    void (*done)(void *arg) = server->done;
    void *arg = server->done_arg;
    server_free(server);
    if (done) done(arg);
}

/* Tells `done` in a task of its own, so never before the starting call returned. */
static void finish_if_empty(struct fl_grpc_server *server) {
    if (server->ending && server->connection_count == 0) fl_io_defer(server->io, &server->last);
}

void fl_grpc_server_less(struct fl_grpc_server *server) {
    server->connection_count--;
    finish_if_empty(server);
}

static void stop(struct fl_grpc_server *server, void (*done)(void *arg), void *arg) {
    server->done = done;
    server->done_arg = arg;
    server->ending = true;
    if (server->listener) fl_listener_close(server->io, server->listener);
    server->listener = NULL;
    finish_if_empty(server);
}

void fl_grpc_server_drain(struct fl_grpc_server *server, uint64_t deadline_ms,
                          void (*done)(void *arg), void *arg) {
    stop(server, done, arg);
    fl_io_timer_set(server->io, &server->deadline, deadline_ms);
    fl_grpc_conns_drain(server);
}

void fl_grpc_server_kill(struct fl_grpc_server *server, void (*done)(void *arg), void *arg) {
    stop(server, done, arg);
    fl_grpc_conns_cut(server);
}

static void deadline_over(struct fl_timer *timer) {
    fl_grpc_conns_cut(FL_CONTAINER(timer, struct fl_grpc_server, deadline));
}

/* --- making one --- */

static void on_accept(void *arg, struct fl_sock *sock) { fl_grpc_conn_take_accepted(arg, sock); }

static uint32_t or_default(uint32_t value, uint32_t otherwise) { return value ? value : otherwise; }

static struct fl_grpc_server_limits fill_in(struct fl_grpc_server_limits limits) {
    limits.receive_bytes_max = or_default(limits.receive_bytes_max, RECEIVE_BYTES_MAX);
    limits.streams_max = or_default(limits.streams_max, STREAMS_MAX);
    limits.calls_max = or_default(limits.calls_max, CALLS_MAX);
    limits.connections_max = or_default(limits.connections_max, CONNECTIONS_MAX);
    limits.age_grace_ms = or_default(limits.age_grace_ms, AGE_GRACE_MS);
    limits.ping_ms_min = or_default(limits.ping_ms_min, PING_MS_MIN);
    limits.ping_idle_ms_min = or_default(limits.ping_idle_ms_min, PING_IDLE_MS_MIN);
    return limits;
}

int fl_grpc_server_new(struct fl_io *io, const struct fl_grpc_server_options *options,
                       struct fl_grpc_server **out, struct fl_error *err) {
    struct fl_grpc_server *server = FL_NEW(struct fl_grpc_server);
    if (!server) return fl_fail_nomem(err);
    server->io = io;
    server->limits = fill_in(options->limits);
    fl_list_init(&server->connections);
    fl_task_init(&server->last, run_last);
    int rc = fl_io_timer_init(io, &server->deadline, deadline_over);
    if (rc == 0) rc = services_copy(server, options->services, options->service_count);
    if (rc == 0) rc = routes_init(server);
    if (rc != 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    rc = fl_io_listen(io, options->host, options->port, options->tls, on_accept, server,
                      &server->listener, err);
    if (rc != 0) goto fail;
    server->port = fl_listener_port(io, server->listener);
    *out = server;
    return 0;
fail:
    server_free(server);
    return rc;
}

uint16_t fl_grpc_server_port(const struct fl_grpc_server *server) { return server->port; }

size_t fl_grpc_server_connections(const struct fl_grpc_server *server) {
    return server->connection_count;
}
