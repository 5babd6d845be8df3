/* tls.h - TLS by OpenSSL: a loaded configuration, and the machine of one connection.
 *
 * The machine does no I/O: bytes from the wire are fed to it, bytes for the wire are taken from its
 * `wire`. A session belongs to one thread; a configuration may be shared by all. */
#ifndef FL_LOOP_TLS_H
#define FL_LOOP_TLS_H

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/io.h"
#include "loop/tls_cache.h"

struct fl_tls {
    atomic_uint references;
    SSL_CTX *context;
    struct fl_tls_cache cache; /* a client's */
    bool server;
    uint8_t *alpn; /* as on the wire: length, name, length, name; NULL: none */
    size_t alpn_len;
};

/* tls_context.c; fl_io_ops.tls_new and tls_unref. */
FL_MUST int fl_tls_context_new(struct fl_io *io, const struct fl_tls_config *config,
                               struct fl_tls **out, struct fl_error *err);
struct fl_tls *fl_tls_context_ref(struct fl_tls *tls);
void fl_tls_context_unref(struct fl_tls *tls);

/* tls_session.c */
struct fl_tls_session {
    struct fl_tls *tls; /* counted: OpenSSL's callbacks use it */
    SSL *ssl;
    struct fl_str input; /* fed and not yet read; borrowed */
    struct fl_buf kept;  /* what of it had to be copied; read before `input` */
    struct fl_buf wire;  /* for the peer */
    char *name;          /* what the peer's certificate must say; NULL: nothing */
    X509 *refused;       /* the peer's, if its verification failed */
    bool drained;        /* nothing more can be read before more is fed */
    bool no_memory;      /* the cause of an OpenSSL failure was ours */
};

/* `name` (client only): what the certificate must be for, a DNS name or an IP address. FL_ENOMEM.
 */
FL_MUST int fl_tls_session_new(struct fl_tls *tls, struct fl_str name, struct fl_tls_session **out);
void fl_tls_session_free(struct fl_tls_session *s); /* NULL is allowed */
/* OpenSSL: the peer gave a session that may be resumed. */
int fl_tls_session_on_ticket(SSL *ssl, SSL_SESSION *session);

/* Gives bytes from the wire, borrowed until fl_tls_session_keep. FL_ENOMEM. */
FL_MUST int fl_tls_session_feed(struct fl_tls_session *s, struct fl_str bytes);
/* Copies what was fed and not read. FL_ENOMEM. */
FL_MUST int fl_tls_session_keep(struct fl_tls_session *s);

/* 1: agreed; 0: more bytes are needed. FL_ECERT, FL_ETLS, FL_ENOMEM. */
FL_MUST int fl_tls_session_handshake(struct fl_tls_session *s, struct fl_error *err);
struct fl_str fl_tls_session_alpn(const struct fl_tls_session *s); /* borrowed from the session */
/* Decrypts up to `size` bytes: how many, 0: more bytes are needed. FL_ECLOSED (the peer said it
 * will send no more), FL_ETLS, FL_ENOMEM. */
FL_MUST ssize_t fl_tls_session_read(struct fl_tls_session *s, char *out, size_t size,
                                    struct fl_error *err);
/* Encrypts all of `bytes`, one record's worth at most, into `wire`. FL_ETLS, FL_ENOMEM. */
#define FL_TLS_RECORD_MAX ((size_t)16 * 1024)
FL_MUST int fl_tls_session_write(struct fl_tls_session *s, struct fl_str bytes,
                                 struct fl_error *err);
/* Puts a close_notify into `wire`. */
void fl_tls_session_end(struct fl_tls_session *s);

#endif
