/* incluster.c - configuration of a pod: its service account's files and two variables. */
#include <stdio.h>

#include "base/alloc.h"
#include "kube/kubeconfig.h"

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

bool fl_incluster_present(struct fl_io *io) {
    const char *host = fl_io_env(io, "KUBERNETES_SERVICE_HOST");
    return host && host[0];
}

static int read_server(struct fl_io *io, struct fl_kube_config *out, struct fl_error *err) {
    char url[FL_ADDRESS_TEXT_MAX + 64];
    const char *host = fl_io_env(io, "KUBERNETES_SERVICE_HOST");
    const char *port = fl_io_env(io, "KUBERNETES_SERVICE_PORT");
    bool v6 = strchr(host, ':') != NULL;
    snprintf(url, sizeof(url), "https://%s%.255s%s:%.8s", v6 ? "[" : "", host, v6 ? "]" : "",
             port && port[0] ? port : "443");
    int rc = fl_server_url_parse(fl_str_of(url), out, err);
    if (rc == FL_ECONFIG)
        fl_error_prefix(err, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT");
    return rc;
}

static int read_ns(struct fl_io *io, struct fl_kube_config *out, struct fl_error *err) {
    struct fl_buf text;
    fl_buf_init(&text, 4096);
    int rc = fl_kube_file_read(io, "the pod's namespace", ACCOUNT "namespace", &text, err);
    if (rc == FL_OK) {
        struct fl_str ns = fl_str_trim(fl_buf_str(&text));
        out->ns = fl_str_dup(ns.n ? ns : FL_STR("default"));
        if (!out->ns) rc = fl_fail_nomem(err);
    }
    fl_buf_deinit(&text);
    return rc;
}

int fl_incluster_load(struct fl_io *io, struct fl_kube_config *out, struct fl_error *err) {
    int rc;
    if ((rc = read_server(io, out, err)) < 0 ||
        (rc = fl_kube_file_read(io, "the pod's authority", ACCOUNT "ca.crt", &out->ca_pem, err)) <
            0 ||
        (rc = read_ns(io, out, err)) < 0)
        return rc;
    out->token_file = fl_strdup(ACCOUNT "token");
    out->source = fl_strdup("in-cluster");
    return out->token_file && out->source ? FL_OK : fl_fail_nomem(err);
}
