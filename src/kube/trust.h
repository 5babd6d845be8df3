/* trust.h - the TLS configurations that a configuration makes: to the server, and to a proxy that
 * speaks TLS. Private to kube/. */
#ifndef FL_KUBE_TRUST_H
#define FL_KUBE_TRUST_H

#include "kube/exec_credential.h"

struct fl_kube_trust {
    struct fl_tls *server; /* NULL: cleartext */
    struct fl_tls *proxy;  /* NULL: cleartext, or no proxy */
};

/* `exec` NULL: without. The proxy is trusted by what the server is trusted by, as Go does, and is
 * not shown our certificate. FL_ECONFIG (detail: source, and which part), FL_ENOMEM: *out is empty.
 */
FL_MUST int fl_kube_trust_init(struct fl_io *io, const struct fl_kube_config *config,
                               const struct fl_exec_credential *exec, struct fl_kube_trust *out,
                               struct fl_error *err);
void fl_kube_trust_deinit(struct fl_io *io, struct fl_kube_trust *trust);

#endif
