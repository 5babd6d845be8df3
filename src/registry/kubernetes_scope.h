/* kubernetes_scope.h - one pair of reflectors, Services and EndpointSlices, over one service, one
 * namespace or the whole cluster, and the feeds that are served from it. Private to the Kubernetes
 * provider.
 *
 * On servers without EndpointSlices it reads Endpoints instead (W20), and asks for slices again
 * after a minute, then ever less often, at last about each hour. One loop's thread. */
#ifndef FL_REGISTRY_KUBERNETES_SCOPE_H
#define FL_REGISTRY_KUBERNETES_SCOPE_H

#include "base/io.h"
#include "base/list.h"
#include "discovery/provider.h"
#include "kube/client.h"
#include "registry/kubernetes_index.h"

struct fl_scope;

struct fl_scope_events {
    void (*on_slices)(void *arg, bool there); /* the server does not know EndpointSlices, or does */
    /* It was read whole for the first time, or it is refused now or no more. */
    void (*on_turn)(void *arg, struct fl_scope *scope);
    /* After fl_scope_close, once: the memory is gone after it. */
    void (*on_closed)(void *arg, struct fl_scope *scope);
};

struct fl_scope_options {
    struct fl_kube_client *client; /* outlives the scope */
    struct fl_str ns;              /* empty: all namespaces */
    struct fl_str name;            /* empty: all services */
    bool endpoints;                /* read Endpoints from the start */
};

FL_MUST int fl_scope_new(struct fl_io *io, const struct fl_scope_options *options,
                         const struct fl_scope_events *events, void *arg, struct fl_scope **out,
                         struct fl_error *err); /* FL_ENOMEM */
/* Nothing is attached. Who still shows a set of it learns how old that is through `orphans`. */
void fl_scope_close(struct fl_scope *scope, struct fl_list *orphans);

/* The provider's list of open scopes. */
struct fl_list *fl_scope_link(struct fl_scope *scope);
struct fl_scope *fl_scope_of_link(struct fl_list *link);

bool fl_scope_is_narrow(const struct fl_scope *scope); /* over one service */
struct fl_str fl_scope_ns(const struct fl_scope *scope);
bool fl_scope_unused(const struct fl_scope *scope);
bool fl_scope_synced(const struct fl_scope *scope); /* both collections were read whole */
/* We may not read it (403), or, of a wide one, have tried for a minute without an outage. */
bool fl_scope_is_refused(const struct fl_scope *scope);
const struct fl_error *fl_scope_trouble(const struct fl_scope *scope); /* code FL_OK: none */
/* Does `scope`, which is synced, know all that `other` knows? Both hold the same service. */
bool fl_scope_is_level(const struct fl_scope *scope, const struct fl_scope *other);

/* Serves `service` ("ns/name"), which it holds, to the watcher's feed; a quiet one is only noted.
 * The watcher is the caller's and stays where it is until it is detached. FL_ENOMEM. */
FL_MUST int fl_scope_attach(struct fl_scope *scope, struct fl_str service,
                            struct fl_service_watcher *watcher, struct fl_error *err);
void fl_scope_detach(struct fl_service_watcher *watcher);
/* What is held for `from` in its scope is held for `to` in that one's. */
void fl_scope_copy_held(struct fl_service_watcher *to, const struct fl_service_watcher *from);
/* `to`, which is not attached, takes the place of `from`, which is not attached afterwards. */
void fl_scope_hand_over(struct fl_service_watcher *from, struct fl_service_watcher *to);
struct fl_scope *fl_scope_of_watcher(const struct fl_service_watcher *watcher); /* NULL: none */
/* A quiet watcher's feed is served from now on. */
void fl_scope_speak(struct fl_service_watcher *watcher);

/* Who is told the names of all services; the memory is its owner's. */
struct fl_names_watcher {
    struct fl_list link;
    struct fl_scope *scope; /* NULL: not attached */
    struct fl_feed *feed;
    bool quiet; /* names only: a trouble is told, and the end is said, by somebody else */
    bool synced, trouble;
};
void fl_scope_attach_names(struct fl_scope *scope, struct fl_names_watcher *watcher);
void fl_scope_detach_names(struct fl_names_watcher *watcher);

/* What a backoff holds back is asked now. */
void fl_scope_hurry(struct fl_scope *scope);
/* Once a second: carries the proofs of life to the sets' freshness. */
void fl_scope_tick(struct fl_scope *scope);

#endif
