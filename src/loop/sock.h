/* sock.h - struct fl_sock on the real system, as this room's files see it. The loop's thread. */
#ifndef FL_LOOP_SOCK_H
#define FL_LOOP_SOCK_H

#include "base/io.h"
#include "base/list.h"
#include "base/sm.h"
#include "loop/poll.h"
#include "loop/socket.h"
#include "loop/tls.h"

struct fl_loop;
struct fl_dialling;
struct fl_tunnel;

/* How an error names the peer; see fl_tcp_format_peer. */
#define FL_SOCK_TEXT_MAX 700

enum fl_sock_state {
    FL_SOCK_DIALLING,  /* name and connection; dial.c */
    FL_SOCK_HANDSHAKE, /* TLS; sock_tls.c */
    FL_SOCK_PROXY,     /* waiting for the proxy's answer; sock_proxy.c */
    FL_SOCK_OPEN,
    FL_SOCK_FLUSHING,  /* closed by the owner, what is queued still goes out */
    FL_SOCK_LINGERING, /* FIN sent; what the peer had under way is read and dropped */
    FL_SOCK_CLOSED,    /* on_close is under way */
};

struct fl_sock {
    struct fl_loop *loop;
    const struct fl_sock_events *events; /* NULL: accepted, not yet attached */
    void *arg;
    int state;           /* enum fl_sock_state */
    struct fl_poll poll; /* from FL_SOCK_HANDSHAKE or FL_SOCK_OPEN on */
    bool paused;         /* by the owner */
    bool eof;            /* the peer sends no more */
    bool full;           /* the queue reached FL_SOCK_QUEUE_HIGH; on_writable is owed */
    bool blocked;        /* the system took no more; waiting for UV_WRITABLE */
    bool ended;          /* TLS: close_notify is in the queue */
    int write_error;     /* errno of a failed write, told once what the peer sent is read; or 0 */
    struct fl_buf queue; /* of the owner's bytes */
    struct fl_tls_session *tls;   /* NULL: cleartext, or not yet */
    struct fl_tls_session *outer; /* to a proxy, under `tls`; NULL: none */
    struct fl_tunnel *tunnel;     /* NULL: no proxy */
    struct fl_dialling *dialling; /* in FL_SOCK_DIALLING */
    struct fl_listener *listener; /* accepted, in FL_SOCK_HANDSHAKE */
    struct fl_list unfinished;    /* in listener->unfinished */
    struct fl_list service;       /* in loop->service */
    struct fl_timer deadline;     /* of the dial, the handshake or the flush */
    struct fl_task closed;        /* brings on_close when there is no handle that would */
    struct fl_endpoint_address peer;
    struct fl_kept_error why; /* FL_SOCK_CLOSED */
    size_t counted;           /* bytes of FL_AREA_SOCKS */
};

/* sock.c */
/* A sock in `state`, counted by the loop. FL_ENOMEM. */
FL_MUST int fl_tcp_new(struct fl_loop *loop, int state, struct fl_sock **out);
/* Gives a sock that has none its connected descriptor. On failure, a negated errno value, the
 * descriptor is closed. */
FL_MUST int fl_tcp_take_fd(struct fl_sock *sock, int fd);
void fl_tcp_move(struct fl_sock *sock, int state);
/* The end, whatever the state: on_close with *why follows. Nothing if it has come already. */
void fl_tcp_finish(struct fl_sock *sock, const struct fl_error *why);
void fl_tcp_finish_code(struct fl_sock *sock, int code);   /* with the list's text */
void fl_tcp_finish_errno(struct fl_sock *sock, int error); /* with the peer's address */
void fl_tcp_finish_with_peer(struct fl_sock *sock,
                             struct fl_error *why); /* puts the address before */
/* fl_tcp_serve at the end of this turn. */
void fl_tcp_want_service(struct fl_sock *sock);
/* Delivers what TLS held back, sends what is queued. The loop's call. */
void fl_tcp_serve(struct fl_sock *sock);
/* Memory for queues that the loop keeps. */
void fl_tcp_free_spares(struct fl_loop *loop);
/* Watches the descriptor for what the sock's state wants. */
void fl_tcp_watch(struct fl_sock *sock);
/* "address:port", "proxy host:port" while its tunnel is not there, then
 * "host:port through proxy host:port". */
void fl_tcp_format_peer(const struct fl_sock *sock, char out[FL_SOCK_TEXT_MAX]);
/* The peer will send no more. */
void fl_tcp_eof(struct fl_sock *sock);
/* Connected, TLS included: on_open or on_accept. */
void fl_tcp_opened(struct fl_sock *sock, struct fl_str alpn);

void fl_tcp_attach(struct fl_sock *sock, const struct fl_sock_events *events, void *arg);
FL_MUST int fl_tcp_write(struct fl_sock *sock, struct fl_str bytes);
FL_MUST int fl_tcp_write_parts(struct fl_sock *sock, const struct fl_str *parts, size_t count);
size_t fl_tcp_queued(const struct fl_sock *sock);
void fl_tcp_pause(struct fl_sock *sock, bool paused);
void fl_tcp_close(struct fl_sock *sock);
void fl_tcp_abort(struct fl_sock *sock);
void fl_tcp_peer(const struct fl_sock *sock, char *out, size_t size);

/* sock_tls.c */
/* Begins TLS on a connected sock; false: it has failed. */
FL_MUST bool fl_tcp_start_tls(struct fl_sock *sock, struct fl_tls *tls, struct fl_str name);
void fl_tcp_tls_receive(struct fl_sock *sock, struct fl_str bytes);
/* The same for bytes of the TLS to a proxy, which carries that to the peer. */
void fl_tcp_outer_receive(struct fl_sock *sock, struct fl_str bytes);
void fl_tcp_tls_resume(struct fl_sock *sock); /* delivers what was held back by a pause */
void fl_tcp_tls_eof(struct fl_sock *sock);    /* TCP's FIN */
/* Moves queued bytes, encrypted, to the wire; false: the sock has failed. */
FL_MUST bool fl_tcp_tls_encrypt(struct fl_sock *sock);
/* Moves what is for the wire under TLS to a proxy as well; false: the sock has failed. */
FL_MUST bool fl_tcp_outer_encrypt(struct fl_sock *sock);

/* sock_proxy.c */
/* What a dial through a proxy needs once the proxy is connected. FL_EUSAGE, FL_ENOMEM. */
FL_MUST int fl_tunnel_new(const struct fl_dial *dial, struct fl_tunnel **out, struct fl_error *err);
void fl_tunnel_free(struct fl_tunnel *tunnel); /* NULL is allowed */
/* The sock is connected to the proxy. */
void fl_tunnel_begin(struct fl_sock *sock);
/* TLS with the proxy is agreed. True if that was it: else it was TLS with the peer. */
FL_MUST bool fl_tunnel_secured(struct fl_sock *sock);
/* FL_SOCK_PROXY: bytes lie in the descriptor, or in the TLS to the proxy. */
void fl_tunnel_receive(struct fl_sock *sock);
void fl_tunnel_eof(struct fl_sock *sock); /* the proxy sends no more */
/* See fl_tcp_format_peer. */
void fl_tunnel_format(const struct fl_tunnel *tunnel, char out[FL_SOCK_TEXT_MAX]);
/* "host:port" of the peer behind the proxy. */
void fl_tunnel_format_peer(const struct fl_tunnel *tunnel, char *out, size_t size);

/* dial.c */
FL_MUST int fl_tcp_dial(struct fl_io *io, const struct fl_dial *dial,
                        const struct fl_sock_events *events, void *arg, struct fl_sock **out,
                        struct fl_error *err);
void fl_dialling_free(struct fl_dialling *d); /* drops what it has under way; NULL is allowed */
/* Its deadline has passed. */
void fl_dialling_expire(struct fl_sock *sock);

/* listener.c */
FL_MUST int fl_tcp_listen(struct fl_io *io, struct fl_str host, uint16_t port, struct fl_tls *tls,
                          void (*on_accept)(void *arg, struct fl_sock *sock), void *arg,
                          struct fl_listener **out, struct fl_error *err);
uint16_t fl_tcp_listener_port(const struct fl_listener *listener);
void fl_tcp_listener_close(struct fl_listener *listener);
/* An accepted sock is ready for its owner. */
void fl_listener_give(struct fl_listener *listener, struct fl_sock *sock);
/* A sock ended before that. */
void fl_listener_forget(struct fl_listener *listener, struct fl_sock *sock);

#endif
