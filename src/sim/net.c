/* net.c - the simulated network: listeners, dials and faults.
 *
 * A connection is one object with two socks, made when it is dialled; its second side is NEW until
 * the SYN arrives, PENDING in the backlog until the listener's owner is told, and it ends with a
 * reset if the listener was closed meanwhile, as a real backlog does. Faults are kept by the
 * address of the listening side; a black hole is written into each connection so that the way of
 * the bytes does not search. */
#include "sim/net.h"

#include <stdio.h>

#include "base/alloc.h"

static struct fl_world *world_of(struct fl_io *io) { return FL_CONTAINER(io, struct fl_world, io); }

/* --- listeners --- */

static bool is_any(const struct fl_address *a) {
    static const uint8_t zeros[16];
    return memcmp(a->ip, zeros, a->kind == FL_ADDRESS_V4 ? 4 : 16) == 0;
}

static struct fl_listener *listener_at(const struct fl_world *world, const struct fl_address *a,
                                       uint16_t port, bool any) {
    FL_LIST_EACH (&world->listeners, item, next) {
        struct fl_listener *l = FL_CONTAINER(item, struct fl_listener, link);
        if (l->port != port || l->address.kind != a->kind) continue;
        if (any ? is_any(&l->address) : fl_address_cmp(&l->address, a) == 0) return l;
    }
    return NULL;
}

static uint16_t free_port(struct fl_world *world, const struct fl_address *address) {
    while (listener_at(world, address, world->free_port, false)) world->free_port++;
    return world->free_port++;
}

int net_listen(struct fl_io *io, struct fl_str host, uint16_t port, struct fl_tls *tls,
               void (*on_accept)(void *arg, struct fl_sock *sock), void *arg,
               struct fl_listener **out, struct fl_error *err) {
    struct fl_world *world = world_of(io);
    struct fl_address address;
    *out = NULL;
    if (tls) return fl_fail(err, FL_EUSAGE, "there is no TLS in a simulated world");
    if (!fl_address_parse(host, &address) || address.kind == FL_ADDRESS_NAME)
        return fl_fail(err, FL_EUSAGE, "cannot listen on %.*s: not an address", FL_STR_ARG(host));
    if (port && listener_at(world, &address, port, false))
        return fl_fail(err, FL_ESYS, "cannot listen on %.*s port %u: address in use",
                       FL_STR_ARG(host), port);
    struct fl_listener *l = FL_NEW(struct fl_listener);
    if (!l) return fl_fail_nomem(err);
    l->world = world;
    l->address = address;
    l->port = port ? port : free_port(world, &address);
    l->on_accept = on_accept;
    l->arg = arg;
    fl_list_push(&world->listeners, &l->link);
    *out = l;
    return 0;
}

uint16_t net_listener_port(const struct fl_listener *listener) { return listener->port; }

void net_listener_close(struct fl_listener *listener) {
    FL_LIST_EACH (&listener->world->conns, item, next) {
        struct net_conn *conn = FL_CONTAINER(item, struct net_conn, link);
        if (conn->listener == listener) conn->listener = NULL; /* the backlog is reset */
    }
    fl_list_remove(&listener->link);
    fl_free(listener);
}

/* --- faults --- */

static bool fault_concerns(const struct net_fault *fault, const struct net_conn *conn) {
    return (!fault->port || fault->port == conn->port) &&
           fl_address_cmp(&fault->address, &conn->address) == 0;
}

static bool is_faulty(const struct net_conn *conn, enum fl_world_fault fault) {
    const struct fl_world *world = conn->world;
    for (size_t i = 0; i < world->fault_count; i++)
        if (world->faults[i].fault == fault && fault_concerns(&world->faults[i], conn)) return true;
    return false;
}

struct fl_listener *net_listener_find(const struct net_conn *conn) {
    if (is_faulty(conn, FL_WORLD_REFUSE)) return NULL;
    struct fl_listener *l = listener_at(conn->world, &conn->address, conn->port, false);
    return l ? l : listener_at(conn->world, &conn->address, conn->port, true);
}

/* "host" or "host:port" of a test, not of a peer. */
static struct net_fault parse_where(struct fl_str where) {
    struct net_fault fault = {.fault = FL_WORLD_OK};
    struct fl_str host = where;
    bool good = fl_address_parse(host, &fault.address);
    if (!good)
        good = fl_host_port_parse(where, &host, &fault.port, NULL) == 0 &&
               fl_address_parse(host, &fault.address);
    FL_ASSERT(good && fault.address.kind != FL_ADDRESS_NAME);
    return fault;
}

static void fault_set(struct fl_world *world, const struct net_fault *fault) {
    for (size_t i = 0; i < world->fault_count; i++) {
        struct net_fault *old = &world->faults[i];
        if (old->port != fault->port || fl_address_cmp(&old->address, &fault->address) != 0)
            continue;
        *old = world->faults[--world->fault_count];
        break;
    }
    if (fault->fault == FL_WORLD_OK) return;
    FL_ASSERT(world->fault_count < NET_FAULTS_MAX);
    world->faults[world->fault_count++] = *fault;
}

void fl_world_fault(struct fl_world *world, struct fl_str where, enum fl_world_fault kind) {
    struct net_fault fault = parse_where(where);
    fault.fault = kind;
    net_trace(world, NET_FAULT, (uint64_t)kind, where);
    fault_set(world, &fault);
    FL_LIST_EACH (&world->conns, item, next) {
        struct net_conn *conn = FL_CONTAINER(item, struct net_conn, link);
        bool was = conn->blackholed;
        conn->blackholed = is_faulty(conn, FL_WORLD_BLACKHOLE);
        if (!was || conn->blackholed) continue;
        for (int i = 0; i < 2; i++) net_sock_retry(&conn->side[i]);
    }
}

static bool is_established(const struct net_conn *conn) {
    return conn->side[1].state != NET_NEW && conn->side[1].state != NET_PENDING;
}

void fl_world_cut(struct fl_world *world, struct fl_str where) {
    struct net_fault fault = parse_where(where);
    net_trace(world, NET_CUT, 0, where);
    FL_LIST_EACH (&world->conns, item, next) {
        struct net_conn *conn = FL_CONTAINER(item, struct net_conn, link);
        if (!fault_concerns(&fault, conn) || !is_established(conn)) continue;
        net_sock_cut(&conn->side[0]);
        net_sock_cut(&conn->side[1]);
    }
}

/* --- connections --- */

void net_conn_release(struct net_conn *conn) {
    struct fl_sock *dialled = &conn->side[0], *accepted = &conn->side[1];
    if (dialled->state == NET_GONE && accepted->state == NET_NEW)
        net_sock_move(accepted, NET_GONE); /* nobody repeats the SYN */
    if (dialled->state != NET_GONE || accepted->state != NET_GONE) return;
    fl_list_remove(&conn->link);
    net_sock_deinit(dialled);
    net_sock_deinit(accepted);
    fl_free(conn);
}

static int conn_new(struct fl_world *world, struct net_conn **out) {
    struct net_conn *conn = FL_NEW(struct net_conn);
    if (!conn) return FL_ENOMEM;
    conn->world = world;
    fl_list_init(&conn->link);
    if (net_sock_init(&conn->side[0], conn, NET_DIALLING) ||
        net_sock_init(&conn->side[1], conn, NET_NEW)) {
        net_sock_deinit(&conn->side[0]);
        net_sock_deinit(&conn->side[1]);
        fl_free(conn);
        return FL_ENOMEM;
    }
    conn->number = ++world->conn_count;
    fl_list_push(&world->conns, &conn->link);
    *out = conn;
    return 0;
}

/* "localhost" is the one name that a world knows. */
static bool resolve(struct fl_str host, struct fl_address *out) {
    if (fl_str_eq_nocase(host, FL_STR("localhost"))) host = FL_STR("127.0.0.1");
    return fl_address_parse(host, out) && out->kind != FL_ADDRESS_NAME;
}

static void trace_dial(struct fl_sock *sock, const struct fl_dial *dial) {
    char text[FL_ADDRESS_TEXT_MAX];
    int n = snprintf(text, sizeof text, "%.*s:%u", FL_STR_ARG(dial->host), dial->port);
    net_trace(sock->conn->world, NET_DIAL, net_sock_id(sock),
              fl_str_n(text, FL_MIN((size_t)n, sizeof text - 1)));
}

int net_dial(struct fl_io *io, const struct fl_dial *dial, const struct fl_sock_events *events,
             void *arg, struct fl_sock **out, struct fl_error *err) {
    struct fl_world *world = world_of(io);
    struct net_conn *conn;
    *out = NULL;
    if (dial->tls) return fl_fail(err, FL_EUSAGE, "there is no TLS in a simulated world");
    if (dial->proxy) return fl_fail(err, FL_EUSAGE, "there are no proxies in a simulated world");
    if (!dial->deadline_ms || !dial->host.n)
        return fl_fail(err, FL_EUSAGE, "a dial needs a host and a deadline");
    if (conn_new(world, &conn)) return fl_fail_nomem(err);
    struct fl_sock *sock = &conn->side[0];
    sock->events = events;
    sock->arg = arg;
    world->open_socks++;
    trace_dial(sock, dial);
    if (resolve(dial->host, &conn->address)) {
        conn->port = dial->port;
        conn->blackholed = is_faulty(conn, FL_WORLD_BLACKHOLE);
        uint64_t deadline_ms = FL_MIN(dial->deadline_ms, UINT64_MAX / 1000);
        net_schedule(world, &sock->ending, FL_MAX(deadline_ms * 1000, world->now_us));
        net_segment_send(&conn->side[1], SEGMENT_SYN, 0);
    } else {
        fl_fail(&sock->why, FL_ERESOLVE, "%.*s: no such name in a simulated world",
                FL_STR_ARG(dial->host));
        net_sock_move(sock, NET_ENDED);
        net_schedule(world, &sock->ending, world->now_us + net_latency_us(world));
    }
    *out = sock;
    return 0;
}

void net_sock_peer(const struct fl_sock *sock, char *out, size_t size) {
    const struct net_conn *conn = sock->conn;
    bool dialled = sock == &conn->side[0];
    char text[FL_ADDRESS_TEXT_MAX];
    if (size) out[0] = 0;
    if (sock->state == NET_DIALLING) return;
    if (!dialled) { /* an ephemeral port of this machine */
        snprintf(out, size, "127.0.0.1:%u", (unsigned)(10000 + conn->number % 30000));
        return;
    }
    fl_address_format(&conn->address, text);
    snprintf(out, size, conn->address.kind == FL_ADDRESS_V6 ? "[%s]:%u" : "%s:%u", text,
             conn->port);
}

void net_free(struct fl_world *world) {
    FL_ASSERT(world->open_socks == 0 && fl_list_empty(&world->listeners));
    FL_LIST_EACH (&world->conns, item, next) {
        struct net_conn *conn = FL_CONTAINER(item, struct net_conn, link);
        for (int i = 0; i < 2; i++)
            if (conn->side[i].state != NET_GONE) net_sock_move(&conn->side[i], NET_GONE);
        net_conn_release(conn);
    }
}
