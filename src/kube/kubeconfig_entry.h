/* kubeconfig_entry.h - one entry of a kubeconfig: its values by type, and errors that name it.
 * Private to kube/. Every function fails with FL_ECONFIG or FL_ENOMEM; a value that is absent, null
 * or empty leaves *out as it is, or NULL. */
#ifndef FL_KUBECONFIG_ENTRY_H
#define FL_KUBECONFIG_ENTRY_H

#include <jansson.h>

#include "kube/kubeconfig.h"

struct fl_kubeconfig_entry {
    const char *path;        /* of the kubeconfig it stands in */
    const char *kind, *name; /* "user", "x" */
    const json_t *json;      /* may be other than an object: then it has no values */
    struct fl_error *err;
};

/* "PATH: user "x" ..." */
int fl_entry_fail(const struct fl_kubeconfig_entry *e, const char *format, ...) FL_PRINTF(2, 3);
bool fl_entry_has(const struct fl_kubeconfig_entry *e, const char *key); /* and not null */

FL_MUST int fl_entry_text(const struct fl_kubeconfig_entry *e, const char *key,
                          const char **out); /* borrowed */
FL_MUST int fl_entry_copy(const struct fl_kubeconfig_entry *e, const char *key, char **out);
/* A path, from the kubeconfig's folder on. */
FL_MUST int fl_entry_path(const struct fl_kubeconfig_entry *e, const char *key, char **out);
FL_MUST int fl_entry_flag(const struct fl_kubeconfig_entry *e, const char *key, bool *out);
/* A list of texts; each is appended behind `prefix`, NULL: alone. */
FL_MUST int fl_entry_list(const struct fl_kubeconfig_entry *e, const char *key, const char *prefix,
                          struct fl_texts *out);
/* PEM given inline in base64 as KEY-data, which wins, or as a file, whose path goes to *file. */
FL_MUST int fl_entry_pem(const struct fl_kubeconfig_entry *e, const char *key, struct fl_buf *pem,
                         char **file);

/* `text`, a path, from the folder of the kubeconfig on. NULL: no memory. */
FL_MUST char *fl_entry_resolve(const struct fl_kubeconfig_entry *e, const char *text);

/* The three kinds: kubeconfig_cluster.c, kubeconfig_user.c, kubeconfig_exec.c. */
FL_MUST int fl_kubeconfig_cluster(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out);
FL_MUST int fl_kubeconfig_user(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out);
FL_MUST int fl_kubeconfig_exec(const struct fl_kubeconfig_entry *user, struct fl_kube_config *out);

#endif
