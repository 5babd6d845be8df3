/* sock_tls.c - the sock's side of TLS: between the descriptor, the session and the owner. The
 * loop's thread.
 *
 * Bytes from the wire are fed to the session where they lie, in the loop's input buffer, and
 * decrypted into the loop's plain buffer a record at a time. Only what a pause leaves undecrypted
 * is copied, and then the descriptor is not read until it is used up. */
#include "loop/sock.h"

#include "base/alloc.h"
#include "loop/inside.h"

#define WIRE_HIGH ((size_t)64 * 1024) /* encrypted ahead of the system at most */

/* An alert that says why is worth one try; the peer may not get it. */
static void fail(struct fl_sock *sock, struct fl_error *why) {
    struct fl_tls_session *last = sock->outer ? sock->outer : sock->tls;
    if (sock->outer && !fl_tcp_outer_encrypt(sock)) return;
    struct fl_str alert = fl_buf_str(&last->wire);
    if (alert.n && fl_socket_send(sock->poll.fd, alert) > 0) fl_buf_truncate(&last->wire, 0);
    fl_tcp_finish_with_peer(sock, why);
}

static void shake_hands(struct fl_sock *sock) {
    struct fl_error why;
    int rc = fl_tls_session_handshake(sock->tls, &why);
    if (rc < 0) {
        fail(sock, &why);
    } else if (rc == 1 && !fl_tunnel_secured(sock)) {
        fl_tcp_opened(sock, fl_tls_session_alpn(sock->tls));
    }
}

static void read_plain(struct fl_sock *sock) {
    char *plain = sock->loop->plain;
    struct fl_error why;
    while (sock->state == FL_SOCK_OPEN && !sock->paused && !sock->eof) {
        ssize_t n = fl_tls_session_read(sock->tls, plain, FL_TLS_RECORD_MAX, &why);
        if (n == 0) return;
        if (n == FL_ECLOSED) {
            fl_tcp_eof(sock);
        } else if (n < 0) {
            fail(sock, &why);
        } else {
            sock->events->on_data(sock->arg, fl_str_n(plain, (size_t)n));
        }
    }
}

/* Goes on as far as the bytes there are carry. With the answer of a proxy that is spoken to by TLS
 * `session` becomes the outer one. */
static void pump(struct fl_sock *sock) {
    struct fl_tls_session *session = sock->tls;
    if (sock->state == FL_SOCK_HANDSHAKE) shake_hands(sock);
    if (sock->state == FL_SOCK_PROXY) fl_tunnel_receive(sock);
    if (sock->tls == session) read_plain(sock);
    if (sock->state == FL_SOCK_CLOSED) return;
    if (fl_tls_session_keep(session) < 0) {
        fl_tcp_finish_code(sock, FL_ENOMEM);
    } else if (session->wire.len && !sock->blocked) {
        fl_tcp_want_service(sock);
    }
}

bool fl_tcp_start_tls(struct fl_sock *sock, struct fl_tls *tls, struct fl_str name) {
    struct fl_loop *loop = sock->loop;
    if (!loop->plain) loop->plain = fl_alloc(FL_TLS_RECORD_MAX);
    if (!loop->plain || fl_tls_session_new(tls, name, &sock->tls) < 0) {
        fl_tcp_finish_code(sock, FL_ENOMEM);
        return false;
    }
    pump(sock);
    return sock->state != FL_SOCK_CLOSED;
}

void fl_tcp_tls_receive(struct fl_sock *sock, struct fl_str bytes) {
    if (fl_tls_session_feed(sock->tls, bytes) < 0) {
        fl_tcp_finish_code(sock, FL_ENOMEM);
        return;
    }
    pump(sock);
}

void fl_tcp_tls_resume(struct fl_sock *sock) { pump(sock); }

/* Never held back by a pause: the inner session keeps what the owner does not want yet, and he gets
 * it before he hears of the end, which TCP's FIN then tells. */
void fl_tcp_outer_receive(struct fl_sock *sock, struct fl_str bytes) {
    struct fl_tls_session *outer = sock->outer;
    char *carried = sock->loop->carried;
    struct fl_error why;
    ssize_t n = fl_tls_session_feed(outer, bytes);
    if (n < 0) fl_fail_nomem(&why);
    while (n >= 0 && sock->state != FL_SOCK_CLOSED) {
        n = fl_tls_session_read(outer, carried, FL_TLS_RECORD_MAX, &why);
        if (n <= 0) break;
        fl_tcp_tls_receive(sock, fl_str_n(carried, (size_t)n));
    }
    if (sock->state == FL_SOCK_CLOSED) return;
    if (n == FL_ECLOSED && !sock->eof && sock->tls->drained) {
        fl_tcp_tls_eof(sock);
    } else if (n < 0 && n != FL_ECLOSED) {
        fl_tcp_finish_with_peer(sock, &why);
    } else if (fl_tls_session_keep(outer) < 0) {
        fl_tcp_finish_code(sock, FL_ENOMEM);
    }
}

/* RFC 8446, section 6.1: an end without close_notify may be an attacker's cut. */
void fl_tcp_tls_eof(struct fl_sock *sock) {
    struct fl_error why;
    if (sock->state == FL_SOCK_PROXY) {
        fl_tunnel_eof(sock);
        return;
    }
    if (sock->state == FL_SOCK_HANDSHAKE) {
        fl_fail(&why, FL_ETLS, "connection closed by the peer during the TLS handshake");
    } else {
        fl_fail(&why, FL_ERESET, "connection closed by the peer without a TLS close_notify");
    }
    fl_tcp_finish_with_peer(sock, &why);
}

bool fl_tcp_tls_encrypt(struct fl_sock *sock) {
    struct fl_tls_session *tls = sock->tls;
    struct fl_error why;
    while (sock->queue.len && tls->wire.len < WIRE_HIGH) {
        struct fl_str plain = fl_buf_str(&sock->queue);
        plain.n = FL_MIN(plain.n, FL_TLS_RECORD_MAX);
        if (fl_tls_session_write(tls, plain, &why) < 0) {
            fl_tcp_finish_with_peer(sock, &why);
            return false;
        }
        fl_buf_consume(&sock->queue, plain.n);
    }
    if (sock->state == FL_SOCK_FLUSHING && !sock->queue.len && !sock->ended) {
        sock->ended = true;
        fl_tls_session_end(tls);
    }
    return true;
}

bool fl_tcp_outer_encrypt(struct fl_sock *sock) {
    struct fl_tls_session *tls = sock->tls, *outer = sock->outer;
    struct fl_error why;
    while (tls->wire.len && outer->wire.len < WIRE_HIGH) {
        struct fl_str bytes = fl_buf_str(&tls->wire);
        bytes.n = FL_MIN(bytes.n, FL_TLS_RECORD_MAX);
        if (fl_tls_session_write(outer, bytes, &why) < 0) {
            fl_tcp_finish_with_peer(sock, &why);
            return false;
        }
        fl_buf_consume(&tls->wire, bytes.n);
    }
    return true;
}
