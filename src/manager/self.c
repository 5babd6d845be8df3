/* self.c - what this process is in the cluster: where it is reached, and on which node.
 *
 * The pod is the one named by HOSTNAME; it is watched until it has an address, or the time is over.
 * The port is the first containerPort of its first container that is not the excluded one. */
#include <stdio.h>

#include "base/alloc.h"
#include "discovery/provider.h"
#include "manager/request.h"
#include "manager/wait.h"

#define TARGET_MAX 300

struct self {
    struct fl_connmgr_request *request;
    struct fl_self_watch *watch;
    struct fl_error trouble; /* why it is not known; code FL_OK: it has no address yet */
};

static void self_end(struct fl_connmgr_request *request, const struct fl_error *why, char *target) {
    struct self *self = request->data;
    if (self && self->watch)
        fl_discovery_unwatch_self(request->mgr->discovery, request->mgr->scheme, self->watch);
    fl_free(self);
    fl_connmgr_request_end(request, why, target);
}

static uint16_t port_of(struct fl_connmgr *mgr, const struct fl_self *self) {
    const uint16_t excluded = fl_connmgr_options(mgr).excluded_port;
    for (size_t i = 0; i < self->port_count; i++) {
        if (self->ports[i] != excluded) return self->ports[i];
    }
    return 0;
}

static void on_self(void *arg, const struct fl_self *known) {
    struct self *self = arg;
    struct fl_connmgr_request *request = self->request;
    struct fl_error err;
    char target[TARGET_MAX];
    self->trouble.code = FL_OK;
    if (known->address.n == 0) return; /* it will have one */
    uint16_t port = port_of(request->mgr, known);
    if (port == 0) {
        fl_fail(&err, known->port_count ? FL_EPORTS_EXCLUDED : FL_ENO_PORTS,
                "the first container of pod %s has no RPC port", request->name);
        self_end(request, &err, NULL);
        return;
    }
    bool v6 = memchr(known->address.p, ':', known->address.n) != NULL;
    snprintf(target, sizeof(target), v6 ? "[%.*s]:%u" : "%.*s:%u", FL_STR_ARG(known->address),
             (unsigned)port);
    self_end(request, NULL, target);
}

static void on_trouble(void *arg, const struct fl_error *why) {
    struct self *self = arg;
    self->trouble = *why;
    if (fl_error_reaction(why->code) == FL_REACT_FIX) self_end(self->request, why, NULL);
}

static void begin(struct fl_connmgr_request *request) {
    static const struct fl_self_events events = {on_self, on_trouble};
    struct fl_connmgr *mgr = request->mgr;
    struct fl_error err;
    struct self *self = request->data = FL_NEW(struct self);
    if (!self) {
        fl_fail_nomem(&err);
        self_end(request, &err, NULL);
        return;
    }
    self->request = request;
    int rc = fl_discovery_watch_self(mgr->discovery, mgr->scheme, fl_str_of(mgr->ns),
                                     fl_str_of(request->name), &events, self, &self->watch, &err);
    if (rc == 0)
        fl_connmgr_request_wait(request, &mgr->loop_data.selves);
    else
        self_end(request, &err, NULL);
}

static void late(struct fl_connmgr_request *request) {
    const struct self *self = request->data;
    struct fl_error err;
    if (self->trouble.code != FL_OK)
        fl_fail(&err, FL_EUNKNOWN, "pod %s is not known after %u ms: %s (%s)", request->name,
                (unsigned)request->timeout_ms, self->trouble.detail,
                fl_error_name(self->trouble.code));
    else
        fl_fail(&err, FL_EUNKNOWN, "pod %s has no address after %u ms", request->name,
                (unsigned)request->timeout_ms);
    self_end(request, &err, NULL);
}

void fl_self_end_all(struct fl_connmgr *mgr, const struct fl_error *why) {
    struct fl_list *selves = &mgr->loop_data.selves;
    while (!fl_list_empty(selves))
        self_end(FL_CONTAINER(selves->next, struct fl_connmgr_request, link), why, NULL);
}

static void tell(struct fl_connmgr_request *request, const struct fl_error *why, void *result) {
    ((fl_text_cb *)request->cb)(request->arg, why, result);
}

int fl_connmgr_get_self_target_async(struct fl_connmgr *mgr, uint32_t timeout_ms, fl_text_cb *cb,
                                     void *arg, struct fl_error *err) {
    static const struct fl_connmgr_request_kind kind = {begin, late, tell};
    if (!mgr->hostname[0]) return fl_fail(err, FL_EUSAGE, "HOSTNAME, the pod's name, is not set");
    return fl_connmgr_request_start(mgr, &kind, mgr->hostname, timeout_ms, (void (*)(void))cb, arg,
                                    err);
}

int fl_connmgr_get_self_target(struct fl_connmgr *mgr, uint32_t timeout_ms, char *out, size_t size,
                               struct fl_error *err) {
    struct fl_wait wait;
    struct fl_wait_text text = {out, size};
    int rc = fl_wait_init(&wait, mgr, &text, err);
    if (rc != 0) return rc;
    rc = fl_connmgr_get_self_target_async(mgr, timeout_ms, fl_wait_keep_text, &wait, err);
    return fl_wait_finish(&wait, rc, err);
}

bool fl_connmgr_is_self_node(const struct fl_connmgr *mgr, const struct fl_handle *handle) {
    return mgr->node[0] && strcmp(mgr->node, fl_handle_node(handle)) == 0;
}
