/* config.h - where the API server is and how to prove who we are.
 *
 * From a kubeconfig (file, or $KUBECONFIG, or ~/.kube/config) or from a pod's service account
 * (KUBERNETES_SERVICE_HOST). Parsing is pure; loading reads through fl_io. */
#ifndef FL_KUBE_CONFIG_H
#define FL_KUBE_CONFIG_H

#include "base/io.h"

struct fl_kube_config {
    char *host; /* of `server`, no brackets */
    uint16_t port;
    bool tls;
    char *path;        /* prefix of `server`, "" or "/prefix" */
    char *ns;          /* namespace of the context, "default" without */
    char *server_name; /* tls-server-name, NULL without */
    bool insecure_skip_verify;
    struct fl_buf ca_pem, cert_pem, key_pem; /* empty without */
    char *token;                             /* NULL without; wiped when freed */
    char *token_file;                        /* read again every 60 s; wins over token */
    char *source;                            /* for messages: path and context, or "in-cluster" */
};

struct fl_kube_config_options {
    const char
        *kubeconfig;     /* NULL: $KUBECONFIG (first file), else in-cluster, else ~/.kube/config */
    const char *context; /* NULL: current-context */
};

/* FL_ECONFIG (detail: file, what, what to do), FL_ESYS (cannot read), FL_ENOMEM. *out is
 * initialised in any case. */
FL_MUST int fl_kube_config_load(struct fl_io *io, const struct fl_kube_config_options *options,
                                struct fl_kube_config *out, struct fl_error *err);
void fl_kube_config_deinit(struct fl_kube_config *config);

#endif
