/* tls_cache.c - see tls_cache.h. A few places searched in turn; the least recently filled gives
 * way. */
#include "loop/tls_cache.h"

#include "base/alloc.h"
#include "base/error.h"

int fl_tls_cache_init(struct fl_tls_cache *cache) {
    if (uv_mutex_init(&cache->shared.lock) != 0) return FL_ENOMEM;
    cache->usable = true;
    return 0;
}

void fl_tls_cache_deinit(struct fl_tls_cache *cache) {
    if (!cache->usable) return;
    for (size_t i = 0; i < FL_TLS_CACHE_MAX; i++) {
        fl_free(cache->shared.entries[i].name);
        SSL_SESSION_free(cache->shared.entries[i].session);
    }
    uv_mutex_destroy(&cache->shared.lock);
}

/* The place of `name`, else -1. */
static int find(const struct fl_tls_cache *cache, const char *name) {
    for (int i = 0; i < FL_TLS_CACHE_MAX; i++) {
        const char *other = cache->shared.entries[i].name;
        if (other && strcmp(other, name) == 0) return i;
    }
    return -1;
}

/* Ages begin at 1: a place that was never filled is the oldest. */
static int oldest(const struct fl_tls_cache *cache) {
    int best = 0;
    for (int i = 1; i < FL_TLS_CACHE_MAX; i++) {
        if (cache->shared.entries[i].age < cache->shared.entries[best].age) best = i;
    }
    return best;
}

void fl_tls_cache_take(struct fl_tls_cache *cache, const char *name, SSL_SESSION *session) {
    char *dropped_name = fl_strdup(name);
    SSL_SESSION *dropped = session;
    uv_mutex_lock(&cache->shared.lock);
    int i = find(cache, name);
    if (i < 0 && dropped_name) {
        i = oldest(cache);
        char *old = cache->shared.entries[i].name;
        cache->shared.entries[i].name = dropped_name;
        dropped_name = old;
    }
    if (i >= 0) {
        dropped = cache->shared.entries[i].session;
        cache->shared.entries[i].session = session;
        cache->shared.entries[i].age = ++cache->shared.age;
    }
    uv_mutex_unlock(&cache->shared.lock);
    SSL_SESSION_free(dropped);
    fl_free(dropped_name);
}

static bool is_expired(const SSL_SESSION *session) {
    const X509 *peer = SSL_SESSION_get0_peer((SSL_SESSION *)session);
    return peer && X509_cmp_current_time(X509_get0_notAfter(peer)) < 0;
}

SSL_SESSION *fl_tls_cache_steal(struct fl_tls_cache *cache, const char *name) {
    SSL_SESSION *session = NULL;
    uv_mutex_lock(&cache->shared.lock);
    int i = find(cache, name);
    if (i >= 0) {
        session = cache->shared.entries[i].session;
        cache->shared.entries[i].session = NULL;
    }
    uv_mutex_unlock(&cache->shared.lock);
    if (!session || !is_expired(session)) return session;
    SSL_SESSION_free(session);
    return NULL;
}
