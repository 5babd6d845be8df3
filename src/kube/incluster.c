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
    struct fl_error why;
    const char *host = fl_io_env(io, "KUBERNETES_SERVICE_HOST");
    const char *port = fl_io_env(io, "KUBERNETES_SERVICE_PORT");
    bool v6 = strchr(host, ':') != NULL;
    snprintf(url, sizeof(url), "https://%s%.255s%s:%.8s", v6 ? "[" : "", host, v6 ? "]" : "",
             port && port[0] ? port : "443");
    int rc = fl_server_url_parse(fl_str_of(url), out, &why);
    if (rc == FL_OK) return FL_OK;
    if (rc == FL_ECONFIG)
        fl_error_prefix(&why, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT");
    return fl_error_copy(err, &why);
}

static int read_ns(struct fl_io *io, struct fl_kube_config *out, struct fl_error *err) {
    struct fl_buf text;
    struct fl_error why;
    fl_buf_init(&text, 4096);
    int rc = fl_io_file_read(io, ACCOUNT "namespace", &text, &why);
    if (rc == FL_OK) {
        struct fl_str ns = fl_str_trim(fl_buf_str(&text));
        out->ns = fl_str_dup(ns.n ? ns : FL_STR("default"));
        if (!out->ns) rc = fl_fail_nomem(&why);
    }
    fl_buf_deinit(&text);
    if (rc == FL_OK) return FL_OK;
    if (rc != FL_ENOMEM) why.code = FL_ECONFIG;
    fl_error_prefix(&why, "the pod's namespace");
    return fl_error_copy(err, &why);
}

int fl_incluster_load(struct fl_io *io, struct fl_kube_config *out, struct fl_error *err) {
    int rc = read_server(io, out, err);
    if (rc < 0) return rc;
    out->source = fl_strdup("in-cluster");
    out->token_file = fl_strdup(ACCOUNT "token");
    out->ca_file = fl_strdup(ACCOUNT "ca.crt");
    if (!out->source || !out->token_file || !out->ca_file) return fl_fail_nomem(err);
    rc = read_ns(io, out, err);
    return rc < 0 ? rc : fl_kube_config_read_pem(io, out, err);
}
