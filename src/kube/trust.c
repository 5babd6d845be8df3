/* trust.c - see trust.h. */
#include "kube/trust.h"

static int make(struct fl_io *io, const char *source, const struct fl_tls_config *tls,
                struct fl_tls **out, struct fl_error *err) {
    struct fl_error why;
    int rc = fl_io_tls_new(io, tls, out, &why);
    if (rc == FL_OK) return FL_OK;
    fl_error_prefix(&why, "%s", source);
    return fl_error_copy(err, &why);
}

int fl_kube_trust_init(struct fl_io *io, const struct fl_kube_config *config,
                       const struct fl_exec_credential *exec, struct fl_kube_trust *out,
                       struct fl_error *err) {
    static const char *const alpn[] = {"h2", "http/1.1", NULL};
    struct fl_tls_config tls = {
        .ca_pem = fl_buf_str(&config->ca_pem),
        .insecure_skip_verify = config->insecure_skip_verify,
    };
    int rc = FL_OK;
    *out = (struct fl_kube_trust){.server = NULL};
    if (config->proxy.host && config->proxy.tls)
        rc = make(io, config->source, &tls, &out->proxy, err);
    tls.alpn = alpn;
    tls.cert_pem = fl_buf_str(exec ? &exec->cert_pem : &config->cert_pem);
    tls.key_pem = fl_buf_str(exec ? &exec->key_pem : &config->key_pem);
    if (rc == FL_OK && config->tls) rc = make(io, config->source, &tls, &out->server, err);
    if (rc < 0) fl_kube_trust_deinit(io, out);
    return rc;
}

void fl_kube_trust_deinit(struct fl_io *io, struct fl_kube_trust *trust) {
    fl_tls_unref(io, trust->server);
    fl_tls_unref(io, trust->proxy);
    *trust = (struct fl_kube_trust){.server = NULL};
}
