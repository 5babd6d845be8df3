/* url.h - the parts of an absolute URL: of a server, of a proxy. Pure. Private to kube/. */
#ifndef FL_KUBE_URL_H
#define FL_KUBE_URL_H

#include "base/error.h"
#include "base/str.h"

/* Views into the text. */
struct fl_url {
    struct fl_str scheme, userinfo, host, path; /* host without brackets, path from its '/' on */
    bool has_userinfo;
    uint16_t port; /* 0: none given */
};

/* "scheme://user:password@host:port/path". FL_ECONFIG: what is wrong, without what may be a
 * password. */
FL_MUST int fl_url_parse(struct fl_str text, struct fl_url *out, struct fl_error *err);

#endif
