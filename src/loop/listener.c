/* listener.c - accepting connections on an address. The loop's thread.
 *
 * With TLS an accepted sock is the listener's until its handshake is done. There may be only so
 * many unfinished ones: beyond it the oldest is dropped, so that peers who connect and say nothing
 * cannot keep others out. Without descriptors to spare, accepting rests for a moment instead of
 * being told the same at once again. */
#include "loop/sock.h"

#include <errno.h>

#include "base/alloc.h"
#include "loop/inside.h"

#define ACCEPTS_PER_TURN 64
#define HANDSHAKE_MS     UINT64_C(10000)
#define UNFINISHED_MAX   1000
#define REST_MS          UINT64_C(100)

struct fl_listener {
    struct fl_loop *loop;
    struct fl_poll poll;
    struct fl_endpoint_address at;
    struct fl_tls *tls; /* counted; NULL: cleartext */
    void (*on_accept)(void *arg, struct fl_sock *sock);
    void *arg;
    struct fl_list unfinished; /* handshakes, the oldest first */
    size_t unfinished_count;
    struct fl_timer rest;
    bool closed;
};

void fl_listener_forget(struct fl_listener *listener, struct fl_sock *sock) {
    fl_list_remove(&sock->unfinished);
    listener->unfinished_count--;
    sock->listener = NULL;
    if (!listener->closed) fl_metric_add(listener->loop->accepts_dropped, 1);
}

void fl_listener_give(struct fl_listener *listener, struct fl_sock *sock) {
    fl_list_remove(&sock->unfinished);
    listener->unfinished_count--;
    sock->listener = NULL;
    listener->on_accept(listener->arg, sock);
    FL_ASSERT(sock->events || sock->state == FL_SOCK_CLOSED);
}

static void make_room(struct fl_listener *listener) {
    if (listener->unfinished_count < UNFINISHED_MAX) return;
    fl_tcp_abort(FL_CONTAINER(listener->unfinished.next, struct fl_sock, unfinished));
}

static void admit(struct fl_listener *listener, int fd, const struct fl_endpoint_address *from) {
    struct fl_io *io = &listener->loop->io;
    struct fl_sock *sock;
    make_room(listener);
    if (fl_tcp_new(listener->loop, FL_SOCK_HANDSHAKE, &sock) < 0) {
        fl_metric_add(listener->loop->accepts_dropped, 1);
        fl_socket_close(fd);
        return;
    }
    sock->peer = *from;
    sock->listener = listener;
    fl_list_push(&listener->unfinished, &sock->unfinished);
    listener->unfinished_count++;
    int rc = fl_tcp_take_fd(sock, fd);
    if (rc < 0) {
        fl_tcp_finish_errno(sock, -rc);
    } else if (!listener->tls) {
        fl_tcp_opened(sock, FL_STR_NONE);
    } else if (fl_tcp_start_tls(sock, listener->tls, FL_STR_NONE)) {
        fl_io_timer_set(io, &sock->deadline, fl_io_now_ms(io) + HANDSHAKE_MS);
        fl_tcp_watch(sock);
    }
}

static void on_ready(struct fl_poll *poll, int events) {
    struct fl_listener *listener = FL_CONTAINER(poll, struct fl_listener, poll);
    struct fl_io *io = &listener->loop->io;
    FL_UNUSED(events);
    for (int i = 0; i < ACCEPTS_PER_TURN && !listener->closed; i++) {
        struct fl_endpoint_address from;
        int fd = fl_socket_accept(poll->fd, &from);
        if (fd == -EAGAIN) break;
        if (fd >= 0) {
            admit(listener, fd, &from);
        } else if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS) {
            fl_poll_want(poll, 0);
            fl_io_timer_set(io, &listener->rest, fl_io_now_ms(io) + REST_MS);
            return;
        } /* else that one connection has failed meanwhile (accept(2)) */
    }
    if (!listener->closed) fl_poll_want(poll, UV_READABLE);
}

static void on_rested(struct fl_timer *timer) {
    struct fl_listener *listener = FL_CONTAINER(timer, struct fl_listener, rest);
    fl_poll_want(&listener->poll, UV_READABLE);
}

static void listener_free(struct fl_listener *listener) {
    if (!listener) return;
    fl_io_timer_deinit(&listener->loop->io, &listener->rest);
    if (listener->tls) fl_tls_context_unref(listener->tls);
    fl_free(listener);
}

static void on_poll_closed(struct fl_poll *poll) {
    listener_free(FL_CONTAINER(poll, struct fl_listener, poll));
}

static int open_socket(struct fl_listener *listener, struct fl_error *err) {
    int fd = fl_socket_open(listener->at.address.kind);
    int rc = fd;
    if (fd >= 0) rc = fl_socket_listen(fd, &listener->at);
    if (rc < 0) goto fail;
    rc = fl_poll_init(&listener->poll, listener->loop, fd, on_ready);
    if (rc < 0) goto fail;
    fl_poll_want(&listener->poll, UV_READABLE);
    return 0;
fail:
    if (fd >= 0) fl_socket_close(fd);
    if (rc == -ENOMEM) return fl_fail_nomem(err);
    fl_socket_fail(err, &listener->at, -rc);
    if (err) err->code = FL_ESYS;
    return FL_ESYS;
}

int fl_tcp_listen(struct fl_io *io, struct fl_str host, uint16_t port, struct fl_tls *tls,
                  void (*on_accept)(void *arg, struct fl_sock *sock), void *arg,
                  struct fl_listener **out, struct fl_error *err) {
    struct fl_endpoint_address at = {.port = port};
    if (!fl_address_parse(host, &at.address) || at.address.kind == FL_ADDRESS_NAME) {
        return fl_fail(err, FL_EUSAGE, "\"%.*s\" is not an address to listen on", FL_STR_ARG(host));
    }
    if (tls && !tls->server) return fl_fail(err, FL_EUSAGE, "TLS configuration is a client's");
    struct fl_listener *listener = FL_NEW(struct fl_listener);
    if (!listener) return fl_fail_nomem(err);
    listener->loop = fl_loop_of(io);
    listener->at = at;
    listener->on_accept = on_accept;
    listener->arg = arg;
    listener->tls = tls ? fl_tls_context_ref(tls) : NULL;
    fl_list_init(&listener->unfinished);
    int rc = fl_io_timer_init(io, &listener->rest, on_rested);
    if (rc < 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    rc = open_socket(listener, err);
    if (rc < 0) goto fail;
    listener->loop->live++;
    *out = listener;
    return 0;
fail:
    listener_free(listener);
    return rc;
}

uint16_t fl_tcp_listener_port(const struct fl_listener *listener) { return listener->at.port; }

void fl_tcp_listener_close(struct fl_listener *listener) {
    listener->closed = true;
    while (!fl_list_empty(&listener->unfinished)) {
        fl_tcp_abort(FL_CONTAINER(listener->unfinished.next, struct fl_sock, unfinished));
    }
    fl_io_timer_clear(&listener->loop->io, &listener->rest);
    listener->loop->live--;
    fl_poll_close(&listener->poll, on_poll_closed);
}
