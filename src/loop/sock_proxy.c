/* sock_proxy.c - the sock's side of a proxy: between the descriptor, the machine of proxy.h and the
 * peer behind it. The loop's thread.
 *
 *     cleartext proxy    DIALLING -> PROXY -> [HANDSHAKE] -> OPEN
 *     proxy over TLS     DIALLING -> HANDSHAKE -> PROXY -> [HANDSHAKE] -> OPEN
 *
 * No more is taken from the descriptor than the proxy's answer: it is looked at first, and what
 * follows it is the peer's. With TLS it is decrypted byte by byte for the same reason. TLS with the
 * peer through TLS with the proxy is one session in the other (`outer`); to a peer without TLS the
 * proxy's session is the only one. */
#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "loop/inside.h"
#include "loop/proxy.h"
#include "loop/sock.h"

struct fl_tunnel {
    struct fl_proxy_session *session; /* until the tunnel is there */
    char *host, *server_name;         /* of the proxy; of the peer behind it */
    struct fl_tls *tls, *peer_tls;    /* counted; NULL: cleartext */
    char proxy[FL_PROXY_NAME_MAX];    /* "proxy host:port" */
    char peer[FL_PROXY_NAME_MAX];     /* "host:port" */
};

static void name_both(struct fl_tunnel *t, const struct fl_dial *dial) {
    struct fl_address address;
    bool v6 = fl_address_parse(dial->host, &address) && address.kind == FL_ADDRESS_V6;
    snprintf(t->peer, sizeof(t->peer), v6 ? "[%.*s]:%u" : "%.*s:%u", FL_STR_ARG(dial->host),
             dial->port);
    snprintf(t->proxy, sizeof(t->proxy), "%s", t->session->name);
}

int fl_tunnel_new(const struct fl_dial *dial, struct fl_tunnel **out, struct fl_error *err) {
    const struct fl_proxy *proxy = dial->proxy;
    if (proxy->kind != FL_PROXY_HTTP && proxy->tls) {
        return fl_fail(err, FL_EUSAGE, "only an HTTP proxy is spoken to by TLS");
    }
    struct fl_tunnel *t = FL_NEW(struct fl_tunnel);
    if (!t) return fl_fail_nomem(err);
    int rc = fl_proxy_session_new(proxy, dial->host, dial->port, &t->session, err);
    if (rc < 0) goto fail;
    name_both(t, dial);
    t->tls = proxy->tls ? fl_tls_context_ref(proxy->tls) : NULL;
    t->peer_tls = dial->tls ? fl_tls_context_ref(dial->tls) : NULL;
    t->host = fl_str_dup(proxy->host);
    t->server_name = fl_str_dup(dial->server_name.n ? dial->server_name : dial->host);
    if (!t->host || !t->server_name) {
        rc = fl_fail_nomem(err);
        goto fail;
    }
    *out = t;
    return 0;
fail:
    fl_tunnel_free(t);
    return rc;
}

void fl_tunnel_free(struct fl_tunnel *t) {
    if (!t) return;
    fl_proxy_session_free(t->session);
    if (t->tls) fl_tls_context_unref(t->tls);
    if (t->peer_tls) fl_tls_context_unref(t->peer_tls);
    fl_free(t->host);
    fl_free(t->server_name);
    fl_free(t);
}

void fl_tunnel_format(const struct fl_tunnel *t, char out[FL_SOCK_TEXT_MAX]) {
    if (t->session) {
        snprintf(out, FL_SOCK_TEXT_MAX, "%s", t->proxy);
    } else {
        snprintf(out, FL_SOCK_TEXT_MAX, "%s through %s", t->peer, t->proxy);
    }
}

void fl_tunnel_format_peer(const struct fl_tunnel *t, char *out, size_t size) {
    fl_str_copy(out, size, fl_str_of(t->peer));
}

/* Queues what the machine has to say. */
static void say(struct fl_sock *sock) {
    struct fl_buf *out = &sock->tunnel->session->out;
    if (fl_buf_append(&sock->queue, fl_buf_str(out)) < 0) {
        fl_tcp_finish_code(sock, FL_ENOMEM);
        return;
    }
    fl_buf_truncate(out, 0);
    if (!sock->blocked) fl_tcp_want_service(sock);
}

static void talk(struct fl_sock *sock) {
    fl_tcp_move(sock, FL_SOCK_PROXY);
    say(sock);
    fl_tcp_watch(sock);
}

void fl_tunnel_begin(struct fl_sock *sock) {
    struct fl_tunnel *t = sock->tunnel;
    if (!t->tls) {
        talk(sock);
        return;
    }
    fl_tcp_move(sock, FL_SOCK_HANDSHAKE);
    if (fl_tcp_start_tls(sock, t->tls, fl_str_of(t->host))) fl_tcp_watch(sock);
}

bool fl_tunnel_secured(struct fl_sock *sock) {
    if (!sock->tunnel || !sock->tunnel->session) return false;
    talk(sock);
    return true;
}

/* The proxy lets bytes through. */
static void pass(struct fl_sock *sock) {
    struct fl_tunnel *t = sock->tunnel;
    struct fl_loop *loop = sock->loop;
    fl_proxy_session_free(t->session);
    t->session = NULL;
    if (!t->peer_tls) {
        fl_tcp_opened(sock, FL_STR_NONE);
        return;
    }
    sock->outer = sock->tls;
    sock->tls = NULL;
    fl_tcp_move(sock, FL_SOCK_HANDSHAKE);
    if (sock->outer && !loop->carried) loop->carried = fl_alloc(FL_TLS_RECORD_MAX);
    if (sock->outer && !loop->carried) {
        fl_tcp_finish_code(sock, FL_ENOMEM);
    } else if (fl_tcp_start_tls(sock, t->peer_tls, fl_str_of(t->server_name))) {
        fl_tcp_watch(sock);
    }
}

/* Feeds the machine: as fl_proxy_session_feed, and below zero the sock has failed. */
static int hear(struct fl_sock *sock, struct fl_str bytes, size_t *used) {
    struct fl_tunnel *t = sock->tunnel;
    struct fl_error why;
    int rc = fl_proxy_session_feed(t->session, bytes, used, &why);
    if (rc == 1 && sock->queue.len) {
        rc = fl_fail(&why, FL_EPROTO, "%s answered before it was asked", t->proxy);
    }
    if (rc < 0) {
        fl_tcp_finish(sock, &why);
    } else if (rc == 0 && t->session->out.len) {
        say(sock);
    }
    return rc;
}

static void receive_plain(struct fl_sock *sock) {
    char *input = sock->loop->input;
    size_t used;
    ssize_t n = fl_socket_peek(sock->poll.fd, input, FL_LOOP_BUFFER);
    if (n == -EAGAIN) return;
    if (n < 0) {
        fl_tcp_finish_errno(sock, (int)-n);
        return;
    }
    if (n == 0) {
        fl_tunnel_eof(sock);
        return;
    }
    int rc = hear(sock, fl_str_n(input, (size_t)n), &used);
    if (rc < 0) return;
    n = fl_socket_receive(sock->poll.fd, input, used);
    FL_ASSERT(n == (ssize_t)used); /* they lay there, and nobody else reads */
    if (rc == 1) pass(sock);
}

static void receive_secured(struct fl_sock *sock) {
    struct fl_error why;
    char byte;
    size_t used;
    while (sock->state == FL_SOCK_PROXY) {
        ssize_t n = fl_tls_session_read(sock->tls, &byte, 1, &why);
        if (n == 0) return;
        if (n == FL_ECLOSED) {
            fl_tunnel_eof(sock);
        } else if (n < 0) {
            fl_tcp_finish_with_peer(sock, &why);
        } else if (hear(sock, fl_str_n(&byte, 1), &used) == 1) {
            pass(sock);
        }
    }
}

void fl_tunnel_receive(struct fl_sock *sock) {
    if (sock->tls) {
        receive_secured(sock);
    } else {
        receive_plain(sock);
    }
}

void fl_tunnel_eof(struct fl_sock *sock) {
    struct fl_error why;
    fl_fail(&why, FL_ERESET, "%s closed the connection without an answer", sock->tunnel->proxy);
    fl_tcp_finish(sock, &why);
}
