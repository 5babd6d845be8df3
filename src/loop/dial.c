/* dial.c - from a host and a port to a connected sock: name, attempts, then proxy and TLS. The
 * loop's thread.
 *
 * A dialling lives as long as its sock is in FL_SOCK_DIALLING. The name's addresses go to the Happy
 * Eyeballs machine, which says what to try when; each attempt is a socket and its handle. The first
 * that connects gives its descriptor to the sock, the others are closed. When all have failed, the
 * failure that says most is told: a peer that refused says more than a network without a route. */
#include <errno.h>

#include "base/alloc.h"
#include "loop/eyeballs.h"
#include "loop/inside.h"
#include "loop/sock.h"

struct fl_dialling {
    struct fl_sock *sock;
    char *host, *server_name;
    uint16_t port;
    uint32_t user_timeout_ms;
    struct fl_tls *tls;     /* counted; NULL: cleartext */
    struct fl_query *query; /* while it is not answered */
    struct fl_eyeballs eyeballs;
    struct fl_timer next; /* for the next attempt */
    struct fl_list attempts;
    struct fl_error failure; /* of attempts so far; code 0: none */
};

struct attempt {
    struct fl_poll poll;
    struct fl_dialling *dialling;
    struct fl_list item; /* in dialling->attempts */
    struct fl_endpoint_address to;
};

static void free_attempt(struct fl_poll *poll) {
    fl_free(FL_CONTAINER(poll, struct attempt, poll));
}

static void drop_attempt(struct attempt *attempt) {
    fl_list_remove(&attempt->item);
    fl_poll_close(&attempt->poll, free_attempt);
}

void fl_dialling_free(struct fl_dialling *d) {
    if (!d) return;
    FL_LIST_EACH (&d->attempts, item, next) {
        drop_attempt(FL_CONTAINER(item, struct attempt, item));
    }
    if (d->query) fl_query_free(d->query);
    if (d->sock) fl_io_timer_deinit(&d->sock->loop->io, &d->next);
    if (d->tls) fl_tls_context_unref(d->tls);
    fl_free(d->host);
    fl_free(d->server_name);
    fl_free(d);
}

/* The end of a dial; who sees an address that he did not ask for is told whose it is. */
static void give_up(struct fl_sock *sock, struct fl_error why) {
    if (sock->tunnel) fl_error_prefix(&why, "proxy");
    fl_tcp_finish(sock, &why);
}

void fl_dialling_expire(struct fl_sock *sock) {
    struct fl_dialling *d = sock->dialling;
    struct fl_error why;
    if (d->query) {
        fl_fail(&why, FL_ETIMEOUT, "%s: no answer from the name servers in time", d->host);
    } else {
        char peer[FL_SOCKET_TEXT_MAX];
        fl_socket_format(&sock->peer, peer);
        fl_fail(&why, FL_ETIMEOUT, "%s: no answer to the connection attempt in time", peer);
    }
    give_up(sock, why);
}

static void connected(struct attempt *attempt) {
    struct fl_dialling *d = attempt->dialling;
    struct fl_sock *sock = d->sock;
    sock->peer = attempt->to;
    fl_list_remove(&attempt->item);
    int fd = fl_poll_steal_fd(&attempt->poll, free_attempt);
    if (d->user_timeout_ms) fl_socket_user_timeout(fd, d->user_timeout_ms);
    int rc = fl_tcp_take_fd(sock, fd);
    if (rc < 0) {
        fl_tcp_finish_errno(sock, -rc);
        return;
    }
    sock->dialling = NULL;
    if (sock->tunnel) {
        fl_tunnel_begin(sock);
    } else if (d->tls) {
        fl_tcp_move(sock, FL_SOCK_HANDSHAKE);
        if (fl_tcp_start_tls(sock, d->tls, fl_str_of(d->server_name))) fl_tcp_watch(sock);
    } else {
        fl_tcp_opened(sock, FL_STR_NONE);
    }
    fl_dialling_free(d);
}

static void note_failure(struct fl_dialling *d, const struct fl_endpoint_address *to, int error) {
    fl_eyeballs_fail(&d->eyeballs, fl_io_now_ms(&d->sock->loop->io));
    if (d->failure.code && d->failure.code != FL_EUNREACHABLE) return;
    fl_socket_fail(&d->failure, to, error);
}

static void on_attempt_ready(struct fl_poll *poll, int events);

/* 0: under way; else the errno value of why it is not. */
static int start_attempt(struct fl_dialling *d, const struct fl_endpoint_address *to) {
    struct fl_loop *loop = d->sock->loop;
    struct attempt *attempt = FL_NEW(struct attempt);
    if (!attempt) return ENOMEM;
    int fd = fl_socket_open(to->address.kind);
    int rc = fd;
    if (fd < 0) goto fail;
    rc = fl_socket_connect(fd, to);
    if (rc < 0) goto fail;
    rc = fl_poll_init(&attempt->poll, loop, fd, on_attempt_ready);
    if (rc < 0) goto fail;
    attempt->dialling = d;
    attempt->to = *to;
    fl_list_push(&d->attempts, &attempt->item);
    fl_poll_want(&attempt->poll, UV_WRITABLE);
    return 0;
fail:
    if (fd >= 0) fl_socket_close(fd);
    fl_free(attempt);
    return -rc;
}

/* Starts what is due; ends the sock when nothing is left to try. */
static void go_on(struct fl_dialling *d) {
    struct fl_sock *sock = d->sock;
    uint64_t next_ms, now_ms = fl_io_now_ms(&sock->loop->io);
    struct fl_endpoint_address to = {.port = d->port};
    while (fl_eyeballs_next(&d->eyeballs, now_ms, &to.address)) {
        sock->peer = to;
        int error = start_attempt(d, &to);
        if (error) note_failure(d, &to, error);
    }
    if (fl_eyeballs_exhausted(&d->eyeballs)) {
        give_up(sock, d->failure);
    } else if (fl_eyeballs_deadline(&d->eyeballs, &next_ms)) {
        fl_io_timer_set(&sock->loop->io, &d->next, next_ms);
    }
}

static void on_attempt_ready(struct fl_poll *poll, int events) {
    struct attempt *attempt = FL_CONTAINER(poll, struct attempt, poll);
    struct fl_dialling *d = attempt->dialling;
    FL_UNUSED(events);
    int error = fl_socket_error(poll->fd);
    if (error == 0) {
        connected(attempt);
        return;
    }
    note_failure(d, &attempt->to, error);
    drop_attempt(attempt);
    go_on(d);
}

static void on_next(struct fl_timer *timer) {
    go_on(FL_CONTAINER(timer, struct fl_dialling, next));
}

static void on_addresses(void *arg, const struct fl_address *addresses, size_t count,
                         const struct fl_error *why) {
    struct fl_dialling *d = arg;
    d->query = NULL;
    if (why) {
        give_up(d->sock, *why);
        return;
    }
    fl_eyeballs_init(&d->eyeballs, addresses, count);
    go_on(d);
}

/* With a proxy: of the proxy, and the rest is the tunnel's. */
static int copy_strings(struct fl_dialling *d, const struct fl_dial *dial) {
    d->host = fl_str_dup(dial->proxy ? dial->proxy->host : dial->host);
    if (!d->host) return FL_ENOMEM;
    if (!dial->tls || dial->proxy) return 0;
    d->tls = fl_tls_context_ref(dial->tls);
    d->server_name = fl_str_dup(dial->server_name.n ? dial->server_name : dial->host);
    return d->server_name ? 0 : FL_ENOMEM;
}

static int start(struct fl_dialling *d, const struct fl_address *address, struct fl_error *err) {
    if (address->kind == FL_ADDRESS_NAME) {
        return fl_query_new(d->sock->loop, address->name, on_addresses, d, &d->query, err);
    }
    fl_eyeballs_init(&d->eyeballs, address, 1);
    go_on(d);
    return 0;
}

static int dialling_new(struct fl_sock *sock, const struct fl_dial *dial,
                        struct fl_dialling **out) {
    struct fl_dialling *d = FL_NEW(struct fl_dialling);
    if (!d) return FL_ENOMEM;
    fl_list_init(&d->attempts);
    d->port = dial->proxy ? dial->proxy->port : dial->port;
    d->user_timeout_ms = dial->user_timeout_ms;
    int rc = copy_strings(d, dial);
    if (rc < 0) goto fail;
    rc = fl_io_timer_init(&sock->loop->io, &d->next, on_next);
    if (rc < 0) goto fail;
    d->sock = sock;
    *out = d;
    return 0;
fail:
    fl_dialling_free(d);
    return rc;
}

static int check(struct fl_str host, uint16_t port, struct fl_address *address,
                 struct fl_error *err) {
    if (!fl_address_parse(host, address)) {
        return fl_fail(err, FL_EUSAGE, "\"%.*s\" is neither an address nor a host name",
                       FL_STR_ARG(host));
    }
    if (port == 0) return fl_fail(err, FL_EUSAGE, "%.*s: no port to dial", FL_STR_ARG(host));
    return 0;
}

int fl_tcp_dial(struct fl_io *io, const struct fl_dial *dial, const struct fl_sock_events *events,
                void *arg, struct fl_sock **out, struct fl_error *err) {
    struct fl_address address;
    struct fl_sock *sock = NULL;
    int rc = check(dial->host, dial->port, &address, err);
    if (rc == 0 && dial->proxy) rc = check(dial->proxy->host, dial->proxy->port, &address, err);
    if (rc < 0) return rc;
    rc = fl_tcp_new(fl_loop_of(io), FL_SOCK_DIALLING, &sock);
    if (rc < 0) return fl_fail_nomem(err);
    if (dial->proxy) rc = fl_tunnel_new(dial, &sock->tunnel, err);
    if (rc < 0) goto fail;
    rc = dialling_new(sock, dial, &sock->dialling);
    if (rc < 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    rc = start(sock->dialling, &address, err);
    if (rc < 0) goto fail;
    if (sock->state == FL_SOCK_DIALLING) fl_io_timer_set(io, &sock->deadline, dial->deadline_ms);
    fl_tcp_attach(sock, events, arg);
    *out = sock;
    return 0;
fail:
    fl_tcp_abort(sock); /* without events nobody is told */
    return rc;
}
