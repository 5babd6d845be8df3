/* tls_context.c - a loaded TLS configuration: an SSL_CTX, counted, shared by any thread.
 *
 * TLS 1.2 at least, no renegotiation. A client verifies unless told not to: against the given
 * authorities, else the system's; it resumes sessions (tls_cache.h). A server gives none out, and
 * asks for client certificates when it is given authorities for them, and then requires one. PEM is
 * parsed from where the caller has it; the one copy of a private key is OpenSSL's, which wipes it.
 */
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/alloc.h"
#include "loop/tls.h"
#include "loop/tls_text.h"

static int fail_part(struct fl_error *err, const char *part) {
    int rc = fl_fail(err, FL_ECONFIG, "TLS %s: %s", part, fl_tls_text_of_reason());
    ERR_clear_error();
    return rc;
}

/* An encrypted key fails; OpenSSL would ask on the terminal. */
static int no_password(char *out, int size, int writing, void *arg) {
    FL_UNUSED(out);
    FL_UNUSED(size);
    FL_UNUSED(writing);
    FL_UNUSED(arg);
    return -1;
}

/* Calls `each` (true: fine) for the certificates of a PEM text, of which there must be one. */
static int each_certificate(struct fl_str pem, const char *part,
                            bool (*each)(SSL_CTX *context, X509 *certificate, size_t index),
                            SSL_CTX *context, struct fl_error *err) {
    size_t count = 0;
    bool good = true;
    BIO *bio = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    if (!bio) return fl_fail_nomem(err);
    X509 *certificate;
    while (good && (certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
        good = each(context, certificate, count++);
        X509_free(certificate);
    }
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(bio);
    if (good && at_end && count == 0) {
        ERR_clear_error();
        return fl_fail(err, FL_ECONFIG, "TLS %s: no certificate in PEM form", part);
    }
    if (!good || !at_end) return fail_part(err, part);
    ERR_clear_error();
    return 0;
}

static bool add_authority(SSL_CTX *context, X509 *certificate, size_t index) {
    FL_UNUSED(index);
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1;
}

static bool add_own(SSL_CTX *context, X509 *certificate, size_t index) {
    if (index == 0) return SSL_CTX_use_certificate(context, certificate) == 1;
    return SSL_CTX_add1_chain_cert(context, certificate) == 1;
}

static int load_authorities(struct fl_tls *tls, const struct fl_tls_config *config,
                            struct fl_error *err) {
    bool verify = config->server ? config->ca_pem.n > 0 : !config->insecure_skip_verify;
    int mode = verify ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE;
    SSL_CTX_set_verify(tls->context, mode, NULL);
    if (!verify) return 0;
    if (config->ca_pem.n) { /* as Go does, also when it is not a root */
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(tls->context), X509_V_FLAG_PARTIAL_CHAIN);
        return each_certificate(config->ca_pem, "authorities", add_authority, tls->context, err);
    }
    if (SSL_CTX_set_default_verify_paths(tls->context) == 1) return 0;
    return fail_part(err, "authorities of the system");
}

static int load_key(struct fl_tls *tls, struct fl_str pem, struct fl_error *err) {
    BIO *bio = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    if (!bio) return fl_fail_nomem(err);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    bool good = key && SSL_CTX_use_PrivateKey(tls->context, key) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    if (!good) return fail_part(err, "private key");
    if (SSL_CTX_check_private_key(tls->context) == 1) return 0;
    return fail_part(err, "private key of another certificate");
}

static int load_own(struct fl_tls *tls, const struct fl_tls_config *config, struct fl_error *err) {
    if (!config->cert_pem.n && !config->key_pem.n) {
        if (!config->server) return 0;
        return fl_fail(err, FL_ECONFIG, "TLS: a server needs a certificate and its private key");
    }
    if (!config->cert_pem.n || !config->key_pem.n) {
        return fl_fail(err, FL_ECONFIG, "TLS: %s without %s",
                       config->cert_pem.n ? "certificate" : "private key",
                       config->cert_pem.n ? "its private key" : "its certificate");
    }
    int rc = each_certificate(config->cert_pem, "certificate", add_own, tls->context, err);
    return rc < 0 ? rc : load_key(tls, config->key_pem, err);
}

/* The server's wish decides. RFC 7301, section 3.2: without a common protocol it SHALL send a fatal
 * "no_application_protocol" alert. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *offered, unsigned offered_len, void *arg) {
    const struct fl_tls *tls = arg;
    FL_UNUSED(ssl);
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, tls->alpn, (unsigned)tls->alpn_len, offered,
                              offered_len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int load_alpn(struct fl_tls *tls, const char *const *names, struct fl_error *err) {
    struct fl_buf wire;
    fl_buf_init(&wire, UINT16_MAX);
    int rc = 0;
    for (; rc == 0 && names && *names; names++) {
        struct fl_str name = fl_str_of(*names);
        if (name.n == 0 || name.n > UINT8_MAX) {
            rc = fl_fail(err, FL_ECONFIG, "TLS ALPN: \"%s\" is not 1 to 255 bytes", *names);
        } else if (fl_buf_byte(&wire, (char)name.n) < 0 || fl_buf_append(&wire, name) < 0) {
            rc = fl_fail_nomem(err);
        }
    }
    if (rc < 0 || wire.len == 0) {
        fl_buf_deinit(&wire);
        return rc;
    }
    tls->alpn_len = wire.len;
    tls->alpn = (uint8_t *)fl_buf_steal_text(&wire);
    fl_buf_deinit(&wire);
    if (!tls->alpn) return fl_fail_nomem(err);
    if (tls->server) {
        SSL_CTX_set_alpn_select_cb(tls->context, choose_alpn, tls);
    } else if (SSL_CTX_set_alpn_protos(tls->context, tls->alpn, (unsigned)tls->alpn_len) != 0) {
        return fl_fail_nomem(err);
    }
    return 0;
}

static SSL_CTX *new_context(bool server) {
    SSL_CTX *context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!context) return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (server) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(context, 0);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    } else {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, fl_tls_session_on_ticket);
    }
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

int fl_tls_context_new(struct fl_io *io, const struct fl_tls_config *config, struct fl_tls **out,
                       struct fl_error *err) {
    FL_UNUSED(io);
    struct fl_tls *tls = FL_NEW(struct fl_tls);
    if (!tls) return fl_fail_nomem(err);
    int rc = FL_ENOMEM;
    ERR_clear_error();
    atomic_init(&tls->references, 1);
    tls->server = config->server;
    tls->context = new_context(config->server);
    if (!tls->context || fl_tls_cache_init(&tls->cache) < 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    rc = load_authorities(tls, config, err);
    if (rc < 0) goto fail;
    rc = load_own(tls, config, err);
    if (rc < 0) goto fail;
    rc = load_alpn(tls, config->alpn, err);
    if (rc < 0) goto fail;
    *out = tls;
    return 0;
fail:
    fl_tls_context_unref(tls);
    return rc;
}

struct fl_tls *fl_tls_context_ref(struct fl_tls *tls) {
    atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
    return tls;
}

void fl_tls_context_unref(struct fl_tls *tls) {
    if (atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) > 1) return;
    SSL_CTX_free(tls->context);
    fl_tls_cache_deinit(&tls->cache);
    fl_free(tls->alpn);
    fl_free(tls);
}
