/* sock.c - a byte stream to a peer: states, queue, and the two ends of it. The loop's thread.
 *
 * Reading: one recv into the loop's buffer each time the descriptor is readable; level-triggered,
 * so what is left comes in the next turn and no peer holds the loop. Writing: the owner's bytes
 * wait in `queue` until the end of the turn and go out in one send; what the system does not take
 * waits for UV_WRITABLE. Many bytes at once go out at once, from where they lie. With TLS `queue`
 * holds plain bytes, which are encrypted only when they are about to be sent (sock_tls.c), so that
 * a turn's bytes share records.
 *
 * Closing: queued bytes, then FIN, then what the peer had under way is read and dropped until its
 * FIN - a close with unread input would send RST, and the peer would lose what we had sent. All of
 * it within a second. A write that fails with bytes of the peer still unread (an early answer, then
 * RST) lets those be read first; the error is told when they are.
 *
 * on_close comes from the close callback of the descriptor's handle, or from a deferred task when
 * there is none yet; never from within a call of the owner's. */
#include "loop/sock.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/area.h"
#include "loop/inside.h"

#define FLUSH_MS  UINT64_C(1000)
#define SPARE_MAX ((size_t)16 * 1024) /* more is given back to the system */
#define SEALED_MAX                                                                                 \
    ((size_t)64 * 1024) /* of TLS at a time: what a pause leaves of it is kept, tls_session.c */
#define LARGE_MIN ((size_t)64 * 1024) /* from here on a send of its own costs less than a copy */

static const uint32_t moves[] = {
    [FL_SOCK_DIALLING] = FL_TO(FL_SOCK_HANDSHAKE) | FL_TO(FL_SOCK_PROXY) | FL_TO(FL_SOCK_OPEN) |
                         FL_TO(FL_SOCK_CLOSED),
    [FL_SOCK_HANDSHAKE] = FL_TO(FL_SOCK_PROXY) | FL_TO(FL_SOCK_OPEN) | FL_TO(FL_SOCK_CLOSED),
    [FL_SOCK_PROXY] = FL_TO(FL_SOCK_HANDSHAKE) | FL_TO(FL_SOCK_OPEN) | FL_TO(FL_SOCK_CLOSED),
    [FL_SOCK_OPEN] = FL_TO(FL_SOCK_FLUSHING) | FL_TO(FL_SOCK_CLOSED),
    [FL_SOCK_FLUSHING] = FL_TO(FL_SOCK_LINGERING) | FL_TO(FL_SOCK_CLOSED),
    [FL_SOCK_LINGERING] = FL_TO(FL_SOCK_CLOSED),
    [FL_SOCK_CLOSED] = 0,
};

static const struct fl_error asked_for; /* the why of a close that this side wanted */

void fl_tcp_move(struct fl_sock *sock, int state) { fl_sm_move(&sock->state, moves, state); }

/* Tells what the sock holds now; the end of whatever changed it. */
static void count(struct fl_sock *sock, size_t bytes) {
    if (bytes == sock->counted) return;
    fl_area_add(FL_AREA_SOCKS, (ptrdiff_t)bytes - (ptrdiff_t)sock->counted);
    sock->counted = bytes;
}

static size_t size_of_session(const struct fl_tls_session *tls) {
    return tls ? sizeof(*tls) + tls->kept.cap + tls->wire.cap : 0;
}

static void count_all(struct fl_sock *sock) {
    count(sock, sizeof(*sock) + sock->queue.cap + size_of_session(sock->tls) +
                    size_of_session(sock->outer));
}

static void sock_free(struct fl_sock *sock) {
    struct fl_loop *loop = sock->loop;
    count(sock, 0);
    fl_io_timer_deinit(&loop->io, &sock->deadline);
    fl_tls_session_free(sock->tls);
    fl_tls_session_free(sock->outer);
    fl_tunnel_free(sock->tunnel);
    fl_kept_error_deinit(&sock->why);
    fl_buf_deinit(&sock->queue);
    fl_free(sock);
}

static void deliver_close(struct fl_sock *sock) {
    if (sock->events) sock->events->on_close(sock->arg, fl_kept_error_peek(&sock->why));
    sock->loop->live--;
    fl_metric_add(sock->loop->socks_open, -1);
    sock_free(sock);
}

static void on_poll_closed(struct fl_poll *poll) {
    deliver_close(FL_CONTAINER(poll, struct fl_sock, poll));
}

static void run_closed(struct fl_task *task) {
    deliver_close(FL_CONTAINER(task, struct fl_sock, closed));
}

static void on_deadline(struct fl_timer *timer) {
    struct fl_sock *sock = FL_CONTAINER(timer, struct fl_sock, deadline);
    struct fl_error why = asked_for;
    if (sock->state == FL_SOCK_DIALLING) {
        fl_dialling_expire(sock);
    } else if (sock->state == FL_SOCK_HANDSHAKE) {
        fl_fail(&why, FL_ETIMEOUT, "no answer to the TLS handshake in time");
        fl_tcp_finish_with_peer(sock, &why);
    } else if (sock->state == FL_SOCK_PROXY) {
        fl_fail(&why, FL_ETIMEOUT, "no answer in time");
        fl_tcp_finish_with_peer(sock, &why);
    } else if (sock->state == FL_SOCK_OPEN) {
        fl_tcp_finish_errno(sock, sock->write_error);
    } else {
        fl_tcp_finish(sock, &asked_for);
    }
}

int fl_tcp_new(struct fl_loop *loop, int state, struct fl_sock **out) {
    struct fl_sock *sock = FL_NEW(struct fl_sock);
    if (!sock) return FL_ENOMEM;
    int rc = fl_io_timer_init(&loop->io, &sock->deadline, on_deadline);
    if (rc < 0) goto fail;
    sock->loop = loop;
    sock->state = state;
    fl_buf_init(&sock->queue, FL_SOCK_QUEUE_MAX);
    fl_list_init(&sock->unfinished);
    fl_list_init(&sock->service);
    fl_task_init(&sock->closed, run_closed);
    count_all(sock);
    loop->live++;
    fl_metric_add(loop->socks_open, 1);
    *out = sock;
    return 0;
fail:
    fl_free(sock);
    return rc;
}

void fl_tcp_finish(struct fl_sock *sock, const struct fl_error *why) {
    if (sock->state == FL_SOCK_CLOSED) return;
    fl_tcp_move(sock, FL_SOCK_CLOSED);
    fl_kept_error_set(&sock->why, why);
    fl_io_timer_clear(&sock->loop->io, &sock->deadline);
    fl_list_remove(&sock->service);
    if (sock->listener) fl_listener_forget(sock->listener, sock);
    fl_dialling_free(sock->dialling);
    sock->dialling = NULL;
    if (sock->poll.loop) {
        fl_poll_close(&sock->poll, on_poll_closed);
    } else {
        fl_io_defer(&sock->loop->io, &sock->closed);
    }
}

void fl_tcp_format_peer(const struct fl_sock *sock, char out[FL_SOCK_TEXT_MAX]) {
    if (sock->tunnel) {
        fl_tunnel_format(sock->tunnel, out);
    } else {
        fl_socket_format(&sock->peer, out);
    }
}

void fl_tcp_finish_with_peer(struct fl_sock *sock, struct fl_error *why) {
    char peer[FL_SOCK_TEXT_MAX];
    fl_tcp_format_peer(sock, peer);
    fl_error_prefix(why, "%s", peer);
    fl_tcp_finish(sock, why);
}

void fl_tcp_finish_code(struct fl_sock *sock, int code) {
    struct fl_error why;
    fl_fail(&why, code, "%s", fl_error_text(code));
    fl_tcp_finish_with_peer(sock, &why);
}

void fl_tcp_finish_errno(struct fl_sock *sock, int error) {
    struct fl_error why;
    char peer[FL_SOCK_TEXT_MAX];
    fl_tcp_format_peer(sock, peer);
    fl_socket_fail_who(&why, peer, error);
    fl_tcp_finish(sock, &why);
}

static bool wants_read(const struct fl_sock *sock) {
    switch (sock->state) {
    case FL_SOCK_HANDSHAKE:
    case FL_SOCK_PROXY:
        return true;
    case FL_SOCK_OPEN:
        return !sock->paused && !sock->eof && (!sock->tls || sock->tls->drained);
    case FL_SOCK_FLUSHING:
    case FL_SOCK_LINGERING:
        return !sock->eof;
    default:
        return false;
    }
}

void fl_tcp_watch(struct fl_sock *sock) {
    if (sock->state == FL_SOCK_CLOSED) return;
    count_all(sock);
    int read = wants_read(sock) ? UV_READABLE : 0;
    fl_poll_want(&sock->poll, read | (sock->blocked ? UV_WRITABLE : 0));
}

void fl_tcp_eof(struct fl_sock *sock) {
    sock->eof = true;
    if (sock->write_error) {
        fl_tcp_finish_errno(sock, sock->write_error);
    } else {
        sock->events->on_eof(sock->arg);
    }
}

/* Input nobody wants any more. */
static void discard(struct fl_sock *sock, ssize_t n) {
    if (n > 0) return;
    sock->eof = true;
    if (n < 0 || sock->state == FL_SOCK_LINGERING) fl_tcp_finish(sock, &asked_for);
}

static void receive(struct fl_sock *sock) {
    char *input = sock->loop->input;
    if (sock->state == FL_SOCK_PROXY && !sock->tls) {
        fl_tunnel_receive(sock);
        return;
    }
    ssize_t n = fl_socket_receive(sock->poll.fd, input,
                                  sock->tls || sock->outer ? SEALED_MAX : FL_LOOP_BUFFER);
    if (n == -EAGAIN) return;
    if (sock->state == FL_SOCK_FLUSHING || sock->state == FL_SOCK_LINGERING) {
        discard(sock, n);
    } else if (n < 0) {
        fl_tcp_finish_errno(sock, (int)-n);
    } else if (sock->tls && n == 0) {
        fl_tcp_tls_eof(sock);
    } else if (sock->outer) {
        fl_tcp_outer_receive(sock, fl_str_n(input, (size_t)n));
    } else if (sock->tls) {
        fl_tcp_tls_receive(sock, fl_str_n(input, (size_t)n));
    } else if (n == 0) {
        fl_tcp_eof(sock);
    } else {
        sock->events->on_data(sock->arg, fl_str_n(input, (size_t)n));
    }
}

/* A queue's memory goes back when it is empty: to the loop, for whoever writes next, so that a
 * connection at work costs no allocation a turn and an idle one holds nothing. */
static void borrow_memory(struct fl_loop *loop, struct fl_buf *queue) {
    if (queue->data || loop->spare_count == 0) return;
    size_t max = queue->max;
    *queue = loop->spares[--loop->spare_count];
    queue->max = max;
    fl_area_add(FL_AREA_SOCKS, -(ptrdiff_t)queue->cap);
}

static void return_memory(struct fl_loop *loop, struct fl_buf *queue) {
    if (queue->len || !queue->data) return;
    if (loop->spare_count == FL_LOOP_SPARES_MAX || queue->cap > SPARE_MAX) {
        fl_buf_release(queue);
        return;
    }
    fl_area_add(FL_AREA_SOCKS, (ptrdiff_t)queue->cap);
    loop->spares[loop->spare_count++] = *queue;
    fl_buf_init(queue, queue->max);
}

void fl_tcp_free_spares(struct fl_loop *loop) {
    while (loop->spare_count) {
        struct fl_buf *spare = &loop->spares[--loop->spare_count];
        fl_area_add(FL_AREA_SOCKS, -(ptrdiff_t)spare->cap);
        fl_buf_deinit(spare);
    }
}

static bool has_output(const struct fl_sock *sock) {
    if (sock->queue.len || (sock->outer && sock->outer->wire.len)) return true;
    if (!sock->tls) return false;
    return sock->tls->wire.len || (sock->state == FL_SOCK_FLUSHING && !sock->ended);
}

static void drop_output(struct fl_sock *sock) {
    fl_buf_deinit(&sock->queue);
    if (sock->tls) fl_buf_deinit(&sock->tls->wire);
    if (sock->outer) fl_buf_deinit(&sock->outer->wire);
    sock->blocked = false;
}

static void fail_write(struct fl_sock *sock, int error) {
    drop_output(sock);
    if (sock->state == FL_SOCK_FLUSHING) {
        fl_tcp_finish(sock, &asked_for);
    } else if (sock->state == FL_SOCK_OPEN && wants_read(sock)) {
        sock->write_error = error;
        fl_io_timer_set(&sock->loop->io, &sock->deadline, fl_io_now_ms(&sock->loop->io) + FLUSH_MS);
    } else {
        fl_tcp_finish_errno(sock, error);
    }
}

static bool send_output(struct fl_sock *sock) {
    struct fl_tls_session *last = sock->outer ? sock->outer : sock->tls;
    struct fl_buf *out = last ? &last->wire : &sock->queue;
    if (!out->len) return true;
    ssize_t n = fl_socket_send(sock->poll.fd, fl_buf_str(out));
    if (n == -EAGAIN) n = 0;
    if (n < 0) {
        fail_write(sock, (int)-n);
        return false;
    }
    sock->blocked = (size_t)n < out->len;
    fl_buf_consume(out, (size_t)n);
    return_memory(sock->loop, out);
    return true;
}

static void linger(struct fl_sock *sock) {
    if (sock->eof) {
        fl_tcp_finish(sock, &asked_for);
        return;
    }
    fl_tcp_move(sock, FL_SOCK_LINGERING);
    fl_socket_shut(sock->poll.fd);
}

static void flush(struct fl_sock *sock) {
    while (!sock->blocked && has_output(sock)) {
        if (sock->tls) {
            borrow_memory(sock->loop, &sock->tls->wire);
            if (!fl_tcp_tls_encrypt(sock)) return;
            return_memory(sock->loop, &sock->queue);
        }
        if (sock->outer) {
            if (!fl_tcp_outer_encrypt(sock)) return;
            return_memory(sock->loop, &sock->tls->wire);
        }
        if (!send_output(sock)) return;
    }
    /* Encryption makes bytes more: the bound may be reached here, and owners look at it. */
    if (fl_tcp_queued(sock) >= FL_SOCK_QUEUE_HIGH) sock->full = true;
    if (sock->state == FL_SOCK_FLUSHING && !has_output(sock)) {
        linger(sock);
    } else if (sock->state == FL_SOCK_OPEN && sock->full &&
               fl_tcp_queued(sock) < FL_SOCK_QUEUE_HIGH / 2) {
        sock->full = false;
        sock->events->on_writable(sock->arg);
    }
}

void fl_tcp_want_service(struct fl_sock *sock) {
    if (sock->state == FL_SOCK_CLOSED || !fl_list_empty(&sock->service)) return;
    fl_list_push(&sock->loop->service, &sock->service);
}

void fl_tcp_serve(struct fl_sock *sock) {
    if (sock->state == FL_SOCK_OPEN && sock->tls && !sock->tls->drained && !sock->paused) {
        fl_tcp_tls_resume(sock);
    }
    if (sock->state != FL_SOCK_CLOSED) flush(sock);
    fl_tcp_watch(sock);
}

static void on_ready(struct fl_poll *poll, int events) {
    struct fl_sock *sock = FL_CONTAINER(poll, struct fl_sock, poll);
    if ((events & UV_READABLE) && wants_read(sock)) receive(sock);
    if ((events & UV_WRITABLE) && sock->blocked && sock->state != FL_SOCK_CLOSED) {
        sock->blocked = false;
        flush(sock);
    }
    fl_tcp_watch(sock);
}

int fl_tcp_take_fd(struct fl_sock *sock, int fd) {
    int rc = fl_poll_init(&sock->poll, sock->loop, fd, on_ready);
    if (rc < 0) fl_socket_close(fd);
    return rc;
}

void fl_tcp_opened(struct fl_sock *sock, struct fl_str alpn) {
    fl_tcp_move(sock, FL_SOCK_OPEN);
    fl_io_timer_clear(&sock->loop->io, &sock->deadline);
    if (sock->listener) {
        fl_listener_give(sock->listener, sock);
    } else {
        sock->events->on_open(sock->arg, alpn);
    }
    fl_tcp_watch(sock);
}

void fl_tcp_attach(struct fl_sock *sock, const struct fl_sock_events *events, void *arg) {
    sock->events = events;
    sock->arg = arg;
}

int fl_tcp_write(struct fl_sock *sock, struct fl_str bytes) {
    if (sock->state != FL_SOCK_OPEN) return FL_ESHUTDOWN;
    if (sock->write_error) return 0; /* on_close will say so */
    borrow_memory(sock->loop, &sock->queue);
    int rc = fl_buf_append(&sock->queue, bytes);
    if (rc < 0) {
        if (rc == FL_EFULL) fl_metric_add(sock->loop->writes_refused, 1);
        fl_tcp_finish_code(sock, rc);
        return rc;
    }
    if (fl_tcp_queued(sock) >= FL_SOCK_QUEUE_HIGH) sock->full = true;
    if (!sock->blocked) fl_tcp_want_service(sock);
    count_all(sock);
    return 0;
}

/* Only cleartext can go from where it lies, and only if nothing waits for the system. */
static bool sends_at_once(const struct fl_sock *sock, const struct fl_str *parts, size_t count) {
    size_t n = 0;
    if (sock->state != FL_SOCK_OPEN || sock->tls || sock->blocked || sock->write_error)
        return false;
    for (size_t i = 0; i < count; i++) n += parts[i].n;
    return n >= LARGE_MIN;
}

/* What waits for the end of the turn, and the parts behind it. Gives how much of the parts went
 * out; a failure closes the sock. */
static size_t send_parts(struct fl_sock *sock, const struct fl_str *parts, size_t count) {
    struct fl_str first = fl_buf_str(&sock->queue);
    ssize_t n = fl_socket_send_parts(sock->poll.fd, first, parts, count);
    if (n == -EAGAIN) n = 0;
    if (n < 0) {
        fail_write(sock, (int)-n);
        return 0;
    }
    size_t of_first = FL_MIN((size_t)n, first.n);
    fl_buf_consume(&sock->queue, of_first);
    return_memory(sock->loop, &sock->queue);
    return (size_t)n - of_first;
}

int fl_tcp_write_parts(struct fl_sock *sock, const struct fl_str *parts, size_t count) {
    size_t sent = sends_at_once(sock, parts, count) ? send_parts(sock, parts, count) : 0;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        size_t n = FL_MIN(sent, parts[i].n);
        sent -= n;
        if (n < parts[i].n) rc = fl_tcp_write(sock, fl_str_from(parts[i], n));
    }
    return rc;
}

size_t fl_tcp_queued(const struct fl_sock *sock) {
    return sock->queue.len + (sock->tls ? sock->tls->wire.len : 0) +
           (sock->outer ? sock->outer->wire.len : 0);
}

void fl_tcp_pause(struct fl_sock *sock, bool paused) {
    sock->paused = paused;
    if (sock->state != FL_SOCK_OPEN) return;
    if (!paused && sock->tls && !sock->tls->drained) fl_tcp_want_service(sock);
    fl_tcp_watch(sock);
}

void fl_tcp_close(struct fl_sock *sock) {
    if (sock->state < FL_SOCK_OPEN || sock->write_error) {
        fl_tcp_finish(sock, &asked_for);
    } else if (sock->state == FL_SOCK_OPEN) {
        fl_tcp_move(sock, FL_SOCK_FLUSHING);
        fl_io_timer_set(&sock->loop->io, &sock->deadline, fl_io_now_ms(&sock->loop->io) + FLUSH_MS);
        fl_tcp_want_service(sock);
    }
}

void fl_tcp_abort(struct fl_sock *sock) {
    if (sock->state == FL_SOCK_CLOSED) return;
    if (sock->poll.loop) fl_socket_reset(sock->poll.fd);
    fl_tcp_finish(sock, &asked_for);
}

void fl_tcp_peer(const struct fl_sock *sock, char *out, size_t size) {
    char text[FL_SOCKET_TEXT_MAX] = "";
    if (sock->state >= FL_SOCK_OPEN && sock->tunnel) {
        fl_tunnel_format_peer(sock->tunnel, out, size);
        return;
    }
    if (sock->state >= FL_SOCK_OPEN) fl_socket_format(&sock->peer, text);
    fl_str_copy(out, size, fl_str_of(text));
}
