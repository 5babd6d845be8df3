/* gateway.c - which gateway a user belongs to.
 *
 * Rendezvous hashing over the gateway service's endpoints: each scores the user, the highest has
 * it. When one leaves only its own users move, and every process that sees the same endpoints gives
 * the same answer, so the hash has a seed that never changes. */
#include "base/alloc.h"
#include "base/hash.h"
#include "manager/request.h"
#include "manager/wait.h"

struct asking {
    fl_text_cb *cb;
    void *arg;
    char user[];
};

static uint64_t score(const char *user, const struct fl_handle *handle) {
    return fl_hash(fl_str_of(user), fl_hash(fl_str_of(fl_handle_peer(handle)), 0));
}

static const struct fl_handle *choose(const char *user, const struct fl_handles *handles) {
    const struct fl_handle *best = NULL;
    for (size_t i = 0; i < handles->count; i++) {
        const struct fl_handle *handle = handles->list[i];
        if (!best || score(user, handle) > score(user, best)) best = handle;
    }
    return best;
}

static void on_conns(void *arg, const struct fl_error *why, struct fl_conns *conns) {
    struct asking *asking = arg;
    struct fl_error err;
    const struct fl_handle *best = conns ? choose(asking->user, &conns->handles) : NULL;
    if (!why && !best) {
        fl_fail(&err, FL_EEMPTY, "the gateway service has no endpoint that may take calls");
        why = &err;
    }
    asking->cb(asking->arg, why, best ? fl_handle_peer(best) : NULL);
    if (conns) fl_conns_deinit(conns);
    fl_free(asking);
}

int fl_connmgr_get_user_gateway_async(struct fl_connmgr *mgr, const char *user, uint32_t timeout_ms,
                                      fl_text_cb *cb, void *arg, struct fl_error *err) {
    if (!mgr->gateway || !user || !cb)
        return fl_fail(err, FL_EUSAGE, "the option gateway, a user and a callback are needed");
    size_t n = strlen(user) + 1;
    struct asking *asking = fl_alloc(sizeof(*asking) + n);
    if (!asking) return fl_fail_nomem(err);
    asking->cb = cb;
    asking->arg = arg;
    memcpy(asking->user, user, n);
    int rc = fl_connmgr_get_conns_async(mgr, mgr->gateway, timeout_ms, on_conns, asking, err);
    if (rc != 0) fl_free(asking);
    return rc;
}

int fl_connmgr_get_user_gateway(struct fl_connmgr *mgr, const char *user, uint32_t timeout_ms,
                                char *out, size_t size, struct fl_error *err) {
    struct fl_wait wait;
    struct fl_wait_text text = {out, size};
    int rc = fl_wait_init(&wait, mgr, &text, err);
    if (rc != 0) return rc;
    rc = fl_connmgr_get_user_gateway_async(mgr, user, timeout_ms, fl_wait_keep_text, &wait, err);
    return fl_wait_finish(&wait, rc, err);
}
