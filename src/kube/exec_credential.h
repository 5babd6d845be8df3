/* exec_credential.h - what we tell an exec credential plugin and what it answers. Pure. Private to
 * kube/. Source: k8s.io/client-go/pkg/apis/clientauthentication/v1 and v1beta1, which are alike on
 * the wire. */
#ifndef FL_KUBE_EXEC_CREDENTIAL_H
#define FL_KUBE_EXEC_CREDENTIAL_H

#include "kube/config.h"

#define FL_EXEC_ANSWER_MAX ((size_t)1024 * 1024)

struct fl_exec_credential {
    char *token;                     /* NULL without */
    struct fl_buf cert_pem, key_pem; /* both or neither */
    int64_t expires_ms;              /* time of day; INT64_MAX: it does not say */
};

/* The plugin's answer. *out is initialised in any case. FL_ECONFIG (what is wrong, never what it
 * says), FL_ENOMEM. */
FL_MUST int fl_exec_credential_parse(struct fl_str text, const char *api_version,
                                     struct fl_exec_credential *out, struct fl_error *err);
void fl_exec_credential_init(struct fl_exec_credential *credential);
void fl_exec_credential_deinit(struct fl_exec_credential *credential);

/* Appends the variable that the plugin reads, "KUBERNETES_EXEC_INFO={…}". FL_ENOMEM, FL_EFULL. */
FL_MUST int fl_exec_info_append(struct fl_buf *out, const struct fl_kube_config *config);

#endif
