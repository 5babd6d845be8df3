/* tls_session.c - the TLS machine of one connection: OpenSSL over a BIO of our own. No I/O.
 *
 * The BIO reads straight from the bytes that were fed (what had to be kept of earlier ones first)
 * and writes into `wire`; OpenSSL sees a peer that never blocks on write and asks to be called
 * again on read. A failure is told as one line that names the certificate's fault where there is
 * one, and what to do. */
#include "loop/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <uv.h>

#include "base/alloc.h"
#include "loop/tls_text.h"

#define KEPT_MAX ((size_t)256 * 1024)  /* one read of the descriptor, and what was kept before */
#define WIRE_MAX ((size_t)1024 * 1024) /* a handshake's flight, or a turn's records */

static BIO_METHOD *method; /* made once, never freed: OpenSSL's memory, not ours */

static int bio_read(BIO *bio, char *out, size_t size, size_t *n) {
    struct fl_tls_session *s = BIO_get_data(bio);
    bool kept = s->kept.len > 0;
    struct fl_str from = kept ? fl_buf_str(&s->kept) : s->input;
    BIO_clear_retry_flags(bio);
    if (from.n == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *n = FL_MIN(from.n, size);
    memcpy(out, from.p, *n);
    if (kept) {
        fl_buf_consume(&s->kept, *n);
        fl_buf_release(&s->kept);
    } else {
        s->input = fl_str_from(s->input, *n);
    }
    return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *n) {
    struct fl_tls_session *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (fl_buf_append(&s->wire, fl_str_n(bytes, size)) < 0) {
        s->no_memory = true;
        return 0;
    }
    *n = size;
    return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    FL_UNUSED(bio);
    FL_UNUSED(number);
    FL_UNUSED(pointer);
    return command == BIO_CTRL_FLUSH;
}

static void make_method(void) {
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fairlead");
    if (!method) return;
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

static BIO *new_bio(struct fl_tls_session *s) {
    static uv_once_t once = UV_ONCE_INIT;
    uv_once(&once, make_method);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!bio) return NULL;
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    return bio;
}

/* Keeps the certificate that is refused: OpenSSL forgets it before the handshake's error is told.
 */
static int on_verify(int good, X509_STORE_CTX *store) {
    if (good || X509_STORE_CTX_get_error_depth(store) != 0) return good;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct fl_tls_session *s = SSL_get_app_data(ssl);
    X509_free(s->refused);
    s->refused = X509_STORE_CTX_get_current_cert(store);
    if (s->refused) X509_up_ref(s->refused);
    return 0;
}

/* RFC 6125: the name that was dialled, by the certificate's DNS names, never by its subject; an
 * address only by its IP names. SNI carries DNS names only (RFC 6066, section 3). */
static bool expect_name(struct fl_tls_session *s, struct fl_str name) {
    struct fl_address address;
    if (name.n && name.p[name.n - 1] == '.') name.n--;
    s->name = fl_str_dup(name);
    if (!s->name) return false;
    X509_VERIFY_PARAM *param = SSL_get0_param(s->ssl);
    if (fl_address_parse(name, &address) && address.kind != FL_ADDRESS_NAME) {
        return X509_VERIFY_PARAM_set1_ip(param, address.ip,
                                         address.kind == FL_ADDRESS_V4 ? 4 : 16) == 1;
    }
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return X509_VERIFY_PARAM_set1_host(param, s->name, 0) == 1 &&
           SSL_set_tlsext_host_name(s->ssl, s->name) == 1;
}

/* A session that the peer does not know any more costs nothing: the handshake is a full one. */
static void resume(struct fl_tls_session *s) {
    SSL_SESSION *session = fl_tls_cache_steal(&s->tls->cache, s->name);
    if (session) SSL_set_session(s->ssl, session);
    SSL_SESSION_free(session);
    ERR_clear_error();
}

int fl_tls_session_on_ticket(SSL *ssl, SSL_SESSION *session) {
    struct fl_tls_session *s = SSL_get_app_data(ssl);
    if (!s->name) return 0;
    fl_tls_cache_take(&s->tls->cache, s->name, session);
    return 1; /* the reference is taken */
}

/* Of TLS 1.2 a session may serve again and again, and its peer need not give a new one. */
static void return_session(struct fl_tls_session *s) {
    if (!s->name || !SSL_session_reused(s->ssl) || SSL_version(s->ssl) > TLS1_2_VERSION) return;
    fl_tls_cache_take(&s->tls->cache, s->name, SSL_get1_session(s->ssl));
}

int fl_tls_session_new(struct fl_tls *tls, struct fl_str name, struct fl_tls_session **out) {
    struct fl_tls_session *s = FL_NEW(struct fl_tls_session);
    if (!s) return FL_ENOMEM;
    fl_buf_init(&s->kept, KEPT_MAX);
    fl_buf_init(&s->wire, WIRE_MAX);
    s->tls = fl_tls_context_ref(tls);
    s->drained = true;
    s->ssl = SSL_new(tls->context);
    if (!s->ssl) goto fail;
    BIO *bio = new_bio(s);
    if (!bio) goto fail;
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_app_data(s->ssl, s);
    SSL_set_verify(s->ssl, SSL_get_verify_mode(s->ssl), on_verify);
    if (tls->server) {
        SSL_set_accept_state(s->ssl);
    } else {
        SSL_set_connect_state(s->ssl);
        if (name.n && !expect_name(s, name)) goto fail;
        if (s->name) resume(s);
    }
    *out = s;
    return 0;
fail:
    ERR_clear_error();
    fl_tls_session_free(s);
    return FL_ENOMEM;
}

void fl_tls_session_free(struct fl_tls_session *s) {
    if (!s) return;
    /* Else OpenSSL takes the end of a connection that was cut for a reason not to resume. */
    if (s->ssl) SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(s->ssl);
    X509_free(s->refused);
    fl_tls_context_unref(s->tls);
    fl_buf_deinit(&s->kept);
    fl_buf_deinit(&s->wire);
    fl_free(s->name);
    fl_free(s);
}

int fl_tls_session_feed(struct fl_tls_session *s, struct fl_str bytes) {
    s->drained = false;
    if (s->kept.len) return fl_buf_append(&s->kept, bytes);
    s->input = bytes;
    return 0;
}

int fl_tls_session_keep(struct fl_tls_session *s) {
    int rc = fl_buf_append(&s->kept, s->input);
    s->input = FL_STR_NONE;
    return rc;
}

/* The cause of the failed call that returned `rc`; 0: it only needs more bytes. */
static int cause(struct fl_tls_session *s, int rc, struct fl_error *err) {
    int why = SSL_get_error(s->ssl, rc);
    if (why == SSL_ERROR_WANT_READ) {
        s->drained = true;
        return 0;
    }
    if (why == SSL_ERROR_ZERO_RETURN) {
        return fl_fail(err, FL_ECLOSED, "%s", fl_error_text(FL_ECLOSED));
    }
    if (s->no_memory) return fl_fail_nomem(err);
    return fl_tls_text_of_failure(s, err);
}

int fl_tls_session_handshake(struct fl_tls_session *s, struct fl_error *err) {
    ERR_clear_error();
    int rc = SSL_do_handshake(s->ssl);
    if (rc == 1) {
        return_session(s);
        return 1;
    }
    rc = cause(s, rc, err);
    if (rc == FL_ECLOSED) return fl_fail(err, FL_ETLS, "peer ended the TLS handshake");
    return rc;
}

struct fl_str fl_tls_session_alpn(const struct fl_tls_session *s) {
    const unsigned char *name;
    unsigned len;
    SSL_get0_alpn_selected(s->ssl, &name, &len);
    return fl_str_n(name, len);
}

ssize_t fl_tls_session_read(struct fl_tls_session *s, char *out, size_t size,
                            struct fl_error *err) {
    size_t n;
    ERR_clear_error();
    int rc = SSL_read_ex(s->ssl, out, size, &n);
    return rc == 1 ? (ssize_t)n : cause(s, rc, err);
}

int fl_tls_session_write(struct fl_tls_session *s, struct fl_str bytes, struct fl_error *err) {
    size_t n;
    ERR_clear_error();
    int rc = SSL_write_ex(s->ssl, bytes.p, bytes.n, &n);
    if (rc == 1) return 0;
    rc = cause(s, rc, err);
    if (rc == FL_ENOMEM || rc == FL_ETLS) return rc;
    return fl_fail(err, FL_ETLS, "TLS takes no more bytes"); /* renegotiation, which is off */
}

void fl_tls_session_end(struct fl_tls_session *s) {
    ERR_clear_error();
    SSL_shutdown(s->ssl);
    ERR_clear_error();
}
