/* config.h - where the API server is, the way there, and how to prove who we are.
 *
 * From kubeconfigs ($KUBECONFIG, a list that is merged, or ~/.kube/config), or from a pod's service
 * account (KUBERNETES_SERVICE_HOST). Read as kubectl does; what cannot be done is refused by name
 * rather than left out. Secrets are wiped when freed. One loop's thread.
 *
 * Source: k8s.io/client-go/tools/clientcmd. */
#ifndef FL_KUBE_CONFIG_H
#define FL_KUBE_CONFIG_H

#include "base/io.h"
#include "kube/texts.h"

/* The proxy on the way to the server. */
struct fl_kube_proxy {
    char *host; /* NULL: none. No brackets */
    uint16_t port;
    enum fl_proxy_kind kind;
    bool tls;              /* to the proxy itself */
    char *user, *password; /* NULL without */
};

/* A program that gives credentials, client.authentication.k8s.io. */
struct fl_kube_exec {
    struct fl_texts argv; /* empty: none */
    struct fl_texts env;  /* "NAME=value" */
    char *api_version, *install_hint;
    bool wants_cluster;   /* provideClusterInfo */
    char *cluster_config; /* JSON: of the cluster's extension for it, NULL without */
};

enum fl_kube_compression {
    FL_KUBE_COMPRESSION_UNSET,
    FL_KUBE_COMPRESSION_ON, /* asked for in so many words */
    FL_KUBE_COMPRESSION_OFF,
};

struct fl_kube_config {
    char *server; /* as written */
    char *host;   /* of `server`, no brackets */
    uint16_t port;
    bool tls;
    char *path;        /* prefix of `server`, "" or "/prefix" */
    char *ns;          /* namespace of the context, "default" without */
    char *server_name; /* tls-server-name, NULL without */
    bool insecure_skip_verify;
    enum fl_kube_compression compression;
    char *proxy_url; /* as written in the kubeconfig, NULL without; may hold a password */
    struct fl_kube_proxy proxy;
    struct fl_buf ca_pem, cert_pem, key_pem; /* empty without */
    char *ca_file, *cert_file, *key_file;    /* where they were read, NULL: inline */
    char *token;                             /* NULL without */
    char *token_file;                        /* read again every 60 s; wins over token */
    char *user, *password;                   /* Basic */
    struct fl_texts impersonate;             /* header names and values by turns */
    struct fl_kube_exec exec;                /* used when nothing above proves who we are */
    char *source;  /* for messages: path and context, or "in-cluster"; NULL before loading */
    char *files;   /* the kubeconfig, or several; NULL: in-cluster */
    char *context; /* in them */
    bool files_by_colon;
};

struct fl_kube_config_options {
    const char *kubeconfig; /* one file; NULL: $KUBECONFIG (a list, merged; missing ones are passed
                               over), else in-cluster, else ~/.kube/config */
    const char *context;    /* NULL: current-context */
};

/* FL_ECONFIG (detail: file, what, what to do), FL_ESYS (cannot read), FL_ENOMEM. *out is
 * initialised in any case. */
FL_MUST int fl_kube_config_load(struct fl_io *io, const struct fl_kube_config_options *options,
                                struct fl_kube_config *out, struct fl_error *err);
/* The same files and context again, for what in them has changed. As fl_kube_config_load. */
FL_MUST int fl_kube_config_reload(struct fl_io *io, const struct fl_kube_config *old,
                                  struct fl_kube_config *out, struct fl_error *err);
/* Reads the certificate, key and authority files that the configuration names into its PEM buffers,
 * anew. FL_ECONFIG, FL_ENOMEM: they are as they were. */
FL_MUST int fl_kube_config_read_pem(struct fl_io *io, struct fl_kube_config *config,
                                    struct fl_error *err);
FL_MUST int fl_kube_config_copy(const struct fl_kube_config *from, struct fl_kube_config *out);
/* Has it something to prove who we are by that is sent: token, password, exec plugin? */
bool fl_kube_config_tells(const struct fl_kube_config *config);
void fl_kube_config_forget_identity(struct fl_kube_config *config); /* that, wiped */
void fl_kube_config_init(struct fl_kube_config *config);
void fl_kube_config_deinit(struct fl_kube_config *config);

#endif
