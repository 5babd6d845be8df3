/* kubeconfig.h - reads the texts of kubeconfigs, merged. Pure: files that they name are given as
 * paths. Private to kube/.
 *
 * The first text that holds a named entry gives all of it, the first that names a current-context
 * chooses it; relative paths count from the folder of the kubeconfig they stand in.
 *
 * Source: k8s.io/client-go/tools/clientcmd/api/v1 and tools/clientcmd/loader.go. */
#ifndef FL_KUBECONFIG_H
#define FL_KUBECONFIG_H

#include "base/pem.h"
#include "kube/config.h"

#define FL_KUBECONFIG_MAX ((size_t)1024 * 1024)

struct fl_kubeconfig_text {
    const char *path;
    struct fl_str text;
};

/* `where` names all of them in messages; `context` NULL: the current one. *out must be initialised.
 * FL_ECONFIG (detail: path, what, what to do), FL_ENOMEM. */
FL_MUST int fl_kubeconfig_parse(const struct fl_kubeconfig_text *texts, size_t count,
                                const char *where, const char *context, struct fl_kube_config *out,
                                struct fl_error *err);

/* "https://host:port/prefix" into server, host, port, tls and path. FL_ECONFIG (what is wrong),
 * FL_ENOMEM. */
FL_MUST int fl_server_url_parse(struct fl_str url, struct fl_kube_config *out,
                                struct fl_error *err);

/* incluster.c: a pod's service account. */
bool fl_incluster_present(struct fl_io *io);
FL_MUST int fl_incluster_load(struct fl_io *io, struct fl_kube_config *out, struct fl_error *err);

#endif
