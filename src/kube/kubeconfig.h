/* kubeconfig.h - reads the text of a kubeconfig. Pure: files that it names are given as paths.
 * Private to kube/.
 *
 * Source: k8s.io/client-go/tools/clientcmd/api/v1. */
#ifndef FL_KUBECONFIG_H
#define FL_KUBECONFIG_H

#include "kube/config.h"

/* Files to be read into the configuration's PEM buffers, resolved against the kubeconfig's folder;
 * NULL: none. */
struct fl_kubeconfig_files {
    char *ca, *cert, *key;
};

#define FL_KUBECONFIG_MAX ((size_t)1024 * 1024)
#define FL_PEM_MAX        ((size_t)1024 * 1024)

void fl_kube_config_init(struct fl_kube_config *config);

/* `path` is where the text comes from; `context` NULL: the current one. *out must be initialised.
 * FL_ECONFIG (detail: path, what, what to do), FL_ENOMEM. */
FL_MUST int fl_kubeconfig_parse(struct fl_str text, const char *path, const char *context,
                                struct fl_kube_config *out, struct fl_kubeconfig_files *files,
                                struct fl_error *err);
void fl_kubeconfig_files_deinit(struct fl_kubeconfig_files *files);

/* "https://host:port/prefix" into host, port, tls and path. FL_ECONFIG (what is wrong), FL_ENOMEM.
 */
FL_MUST int fl_server_url_parse(struct fl_str url, struct fl_kube_config *out,
                                struct fl_error *err);

/* incluster.c: a pod's service account. */
bool fl_incluster_present(struct fl_io *io);
FL_MUST int fl_incluster_load(struct fl_io *io, struct fl_kube_config *out, struct fl_error *err);

/* config.c: appends a file that the configuration names. FL_ECONFIG (which, and why not),
 * FL_ENOMEM. */
FL_MUST int fl_kube_file_read(struct fl_io *io, const char *what, const char *path,
                              struct fl_buf *out, struct fl_error *err);

#endif
