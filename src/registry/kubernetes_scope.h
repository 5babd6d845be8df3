/* kubernetes_scope.h - one pair of reflectors, Services and EndpointSlices, over one service, one
 * namespace or the whole cluster, and the feeds that are served from it. Private to the Kubernetes
 * provider.
 *
 * On servers without EndpointSlices it reads Endpoints instead (W20). One loop's thread. */
#ifndef FL_REGISTRY_KUBERNETES_SCOPE_H
#define FL_REGISTRY_KUBERNETES_SCOPE_H

#include "base/io.h"
#include "base/list.h"
#include "discovery/provider.h"
#include "kube/client.h"

struct fl_scope;

struct fl_scope_events {
    void (*on_no_slices)(void *arg); /* the server does not know EndpointSlices */
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
void fl_scope_close(struct fl_scope *scope);    /* no feed is attached */

/* The provider's list of open scopes. */
struct fl_list *fl_scope_link(struct fl_scope *scope);
struct fl_scope *fl_scope_of_link(struct fl_list *link);

/* Does it hold that service, or the whole namespace or cluster that it is in? */
bool fl_scope_covers(const struct fl_scope *scope, struct fl_str ns, struct fl_str name);
bool fl_scope_unused(const struct fl_scope *scope);

/* Serves `service` ("ns/name"), which it covers, to the feed. FL_ENOMEM. */
FL_MUST int fl_scope_attach(struct fl_scope *scope, struct fl_str service, struct fl_feed *feed,
                            struct fl_error *err);
void fl_scope_detach(struct fl_feed *feed);
struct fl_scope *fl_scope_of_feed(const struct fl_feed *feed); /* NULL: not attached */

/* Tells the feed the names of all services; one feed a scope, NULL: none any more. */
void fl_scope_set_names(struct fl_scope *scope, struct fl_feed *feed);
struct fl_feed *fl_scope_names(const struct fl_scope *scope);

/* Once a second: carries the proofs of life to the sets' freshness. */
void fl_scope_tick(struct fl_scope *scope);

#endif
