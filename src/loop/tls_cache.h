/* tls_cache.h - TLS sessions that a client may resume, by the name of the peer. Any thread.
 *
 * It is part of a loaded configuration, so that a session is never resumed under other authorities
 * or with another certificate than it was made with. */
#ifndef FL_LOOP_TLS_CACHE_H
#define FL_LOOP_TLS_CACHE_H

#include <openssl/ssl.h>
#include <uv.h>

#include "base/str.h"

#define FL_TLS_CACHE_MAX 16 /* peers */

struct fl_tls_cache {
    struct {
        struct {
            char *name; /* NULL: the place is free */
            SSL_SESSION *session;
            uint64_t age;
        } entries[FL_TLS_CACHE_MAX];
        uint64_t age;
        uv_mutex_t lock;
    } shared;
    bool usable; /* the lock exists */
};

FL_MUST int fl_tls_cache_init(struct fl_tls_cache *cache); /* FL_ENOMEM */
void fl_tls_cache_deinit(struct fl_tls_cache *cache);      /* one that is zeroed is allowed */
/* Keeps the newest session of a peer, and those of FL_TLS_CACHE_MAX peers; takes the reference.
 * Without memory it is dropped: the next handshake is a full one. */
void fl_tls_cache_take(struct fl_tls_cache *cache, const char *name, SSL_SESSION *session);
/* The session to resume with that peer, which leaves the cache: a ticket is used once (RFC 8446,
 * appendix C.4), and one that has made trouble is not tried again. The caller's reference; NULL:
 * none, or its certificate has expired meanwhile. */
FL_MUST SSL_SESSION *fl_tls_cache_steal(struct fl_tls_cache *cache, const char *name);

#endif
