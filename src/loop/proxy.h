/* proxy.h - what is said with a proxy until it lets bytes through. A machine without I/O.
 *
 * The owner sends what is in `out` and feeds what the proxy says, until it is told that the tunnel
 * is there. HTTP: CONNECT (RFC 9110, section 9.3.6), Basic credentials (RFC 7617). SOCKS: version 5
 * (RFC 1928), user name and password (RFC 1929). Names are given to the proxy as they are. */
#ifndef FL_LOOP_PROXY_H
#define FL_LOOP_PROXY_H

#include "base/io.h"

#define FL_PROXY_HEAD_MAX  ((size_t)16 * 1024) /* of an HTTP answer */
#define FL_PROXY_LINE_MAX  ((size_t)128)       /* kept of its first line */
#define FL_PROXY_NAME_MAX  ((size_t)320)       /* "proxy host:port" */
#define FL_PROXY_SOCKS_MAX (4 + 1 + 255 + 2)   /* the longest answer */

struct fl_proxy_session {
    int state;
    char name[FL_PROXY_NAME_MAX]; /* for errors */
    char *host;                   /* of the peer */
    uint16_t port;
    char *user, *password; /* wiped */
    struct fl_buf out;     /* for the proxy; wiped */
    struct {
        size_t read, line_len, kept; /* of the head; of its present line; in `first` */
        bool is_first;
        char first[FL_PROXY_LINE_MAX];
    } http;
    struct {
        uint8_t answer[FL_PROXY_SOCKS_MAX];
        size_t len, need;
    } socks;
};

/* Begins: `out` is filled for HTTP and SOCKS alike. FL_EUSAGE (credentials that the protocol cannot
 * carry), FL_ENOMEM. */
FL_MUST int fl_proxy_session_new(const struct fl_proxy *proxy, struct fl_str host, uint16_t port,
                                 struct fl_proxy_session **out, struct fl_error *err);
void fl_proxy_session_free(struct fl_proxy_session *s); /* NULL is allowed */

/* Takes what the proxy says; *used: how much of it was the proxy's, the rest is the peer's. 1: the
 * tunnel is there; 0: more is needed, and `out` may have something new. The detail names the proxy
 * and its answer. FL_ECONFIG (the proxy does not accept the credentials, or wants some),
 * FL_EREFUSED and FL_EUNREACHABLE (the peer, says the proxy), FL_EPROTO, FL_ETOO_LARGE, FL_ENOMEM.
 */
FL_MUST int fl_proxy_session_feed(struct fl_proxy_session *s, struct fl_str bytes, size_t *used,
                                  struct fl_error *err);

#endif
