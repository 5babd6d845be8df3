/* kube_bed.h - a hub with the Kubernetes provider, against the simulated API server in a simulated
 * world. One loop's thread. */
#ifndef FL_TEST_KUBE_BED_H
#define FL_TEST_KUBE_BED_H

#include "support/alloc.h"

#include "discovery/discovery.h"
#include "registry/kubernetes.h"
#include "sim/apiserver.h"
#include "sim/world.h"

#define FL_KBED_SHOP     FL_STR("shop")
#define FL_KBED_ECHO     FL_STR("echo")
#define FL_KBED_SEEN_MAX 40

struct fl_kbed;

/* One subscriber, and what it was told last. */
struct fl_seen {
    struct fl_kbed *f;
    struct fl_subscription *subscription;
    unsigned calls;
    bool closed;
    int state; /* -1: nothing was told */
    uint64_t version, stale_ms;
    size_t endpoints, ready;
    size_t least; /* endpoints of any set since it was set to SIZE_MAX */
    bool snapshot, truncated;
    char service[128], external[128], first[64];
    struct fl_error trouble;
};

struct fl_kbed {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_cluster *cluster;
    struct fl_apiserver *server;
    struct fl_discovery *hub;
    struct fl_seen seen[FL_KBED_SEEN_MAX];
    size_t seen_count;
    unsigned names, names_synced;
    char name[128];
    struct fl_error names_trouble;
    bool server_closed, hub_closed, snapshot;
};

struct fl_seen *fl_kbed_subscribe(struct fl_kbed *f, const char *target);
void fl_kbed_unsubscribe(struct fl_seen *seen);
void fl_kbed_write_kubeconfig(struct fl_kbed *f, const char *user);
void fl_kbed_open_hub(struct fl_kbed *f);
void fl_kbed_setup_seed(struct fl_kbed *f, const struct fl_apiserver_options *options,
                        uint64_t seed);
void fl_kbed_setup(struct fl_kbed *f, const struct fl_apiserver_options *options);
/* Keeps a snapshot file from now on; the hub ends, with all subscriptions closed, and another
 * begins. */
void fl_kbed_keep_snapshot(struct fl_kbed *f);
void fl_kbed_reopen_hub(struct fl_kbed *f);
/* Another server in its place, on the same port. */
void fl_kbed_replace_server(struct fl_kbed *f, const struct fl_apiserver_options *options);
void fl_kbed_run(struct fl_kbed *f, uint64_t ms);
void fl_kbed_teardown(struct fl_kbed *f);
void fl_kbed_add_service(struct fl_kbed *f, struct fl_str ns, struct fl_str name);
void fl_kbed_add_pods(struct fl_kbed *f, struct fl_str ns, struct fl_str service, unsigned from,
                      unsigned count);
void fl_kbed_setup_echo(struct fl_kbed *f, unsigned pods);
struct fl_names *fl_kbed_watch_names(struct fl_kbed *f, struct fl_str ns);

#endif
