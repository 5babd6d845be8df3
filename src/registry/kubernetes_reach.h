/* kubernetes_reach.h - which scope serves which service. Private to the Kubernetes provider; see
 * kubernetes_reach.c. One loop's thread. */
#ifndef FL_REGISTRY_KUBERNETES_REACH_H
#define FL_REGISTRY_KUBERNETES_REACH_H

#include "base/map.h"
#include "registry/kubernetes_scope.h"

/* Beyond so many services of a namespace that are watched, it is watched as a whole. */
#define FL_REACH_NARROW_MAX 16

struct fl_reach;

enum { FL_COVERS_SERVICE, FL_COVERS_NAMESPACE, FL_COVERS_CLUSTER, FL_COVERS };

struct fl_reaches {
    struct fl_io *io;
    struct fl_kube_client *client; /* NULL until it is open */
    const char *default_ns;        /* likewise */
    struct fl_map namespaces;      /* name -> struct fl_reach */
    struct fl_reach *cluster;      /* NULL: nobody asked for it */
    struct fl_list due;            /* reaches whose services have to find their scope anew */
    struct fl_list names;
    struct fl_list scopes;             /* open ones */
    size_t scope_count;                /* open and closing ones */
    struct fl_list orphans;            /* freshness of closed ones that somebody still shows */
    struct fl_metric *open[FL_COVERS]; /* of them, by what they cover */
    uint64_t retry_at_ms;              /* when what was refused is asked for again */
    bool no_slices;                    /* this server has Endpoints only */
    struct fl_task settle;
    void (*on_closed)(void *arg); /* the last closing scope is gone */
    void *arg;
};

void fl_reaches_init(struct fl_reaches *reaches, struct fl_io *io, void (*on_closed)(void *arg),
                     void *arg);
/* Once, on the loop, before the first feed. What is given outlives the scopes. */
void fl_reaches_open(struct fl_reaches *reaches, struct fl_kube_client *client,
                     const char *default_ns);
void fl_reaches_deinit(struct fl_reaches *reaches); /* no feed and no scope is left */

/* Serves a service, or the names of all services of a namespace (empty: of the cluster), to the
 * feed. FL_ENOMEM. */
FL_MUST int fl_reaches_watch(struct fl_reaches *reaches, struct fl_str ns, struct fl_str name,
                             struct fl_feed *feed, struct fl_error *err);
FL_MUST int fl_reaches_watch_names(struct fl_reaches *reaches, struct fl_str ns,
                                   struct fl_feed *feed, struct fl_error *err);
/* Of a service: what a backoff holds back is asked now. */
void fl_reaches_hurry(struct fl_feed *feed);
void fl_reaches_unwatch(struct fl_reaches *reaches, struct fl_feed *feed);

/* Once a second while one is wanted. */
void fl_reaches_tick(struct fl_reaches *reaches);
bool fl_reaches_want_tick(const struct fl_reaches *reaches);
bool fl_reaches_in_use(const struct fl_reaches *reaches); /* a scope is open */

#endif
