/* proxy.h - the proxy between us and the server: from a URL, or from the environment. Private to
 * kube/. Messages never repeat a URL: it may hold a password. */
#ifndef FL_KUBE_PROXY_H
#define FL_KUBE_PROXY_H

#include "kube/config.h"

/* A kubeconfig's proxy-url: http, https, socks5. FL_ECONFIG (what is wrong), FL_ENOMEM. */
FL_MUST int fl_kube_proxy_parse(struct fl_str url, struct fl_kube_proxy *out, struct fl_error *err);
/* HTTPS_PROXY or HTTP_PROXY by the server's scheme, unless NO_PROXY names the server; lower case
 * comes first. Leaves a proxy that is set already. FL_ECONFIG (which variable), FL_ENOMEM. */
FL_MUST int fl_kube_proxy_from_env(struct fl_io *io, struct fl_kube_config *config,
                                   struct fl_error *err);
FL_MUST int fl_kube_proxy_copy(const struct fl_kube_proxy *from, struct fl_kube_proxy *out);
void fl_kube_proxy_deinit(struct fl_kube_proxy *proxy);

#endif
