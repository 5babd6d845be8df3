/* no_proxy.h - is a peer named by a NO_PROXY list? Pure. Private to kube/. */
#ifndef FL_KUBE_NO_PROXY_H
#define FL_KUBE_NO_PROXY_H

#include "base/str.h"

/* `host` without brackets. localhost and loopback addresses are on every list. The rules are those
 * of Go's golang.org/x/net/http/httpproxy: items by ','; "*"; addresses; CIDR; "example.com" also
 * covers what is beneath it, ".example.com" and "*.example.com" only that; each but CIDR with
 * ":port" as well. */
bool fl_no_proxy(struct fl_str list, struct fl_str host, uint16_t port);

#endif
