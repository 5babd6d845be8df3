/* cluster.h - the simulated cluster: Services, EndpointSlices and Pods with a history of versions.
 *
 * A plain model without I/O: changing it gives every object a resource version and hands each
 * change to whoever observes (the API server's watches). Slices hold at most 100 endpoints, as the
 * real controller makes them, and are named NAME-xxxxx. Times are given by the caller. */
#ifndef FL_SIM_CLUSTER_H
#define FL_SIM_CLUSTER_H

#include "base/error.h"
#include "base/str.h"
#include "wire/k8s.h"

struct fl_cluster;

struct fl_cluster_event {
    enum fl_k8s_event event; /* ADDED, MODIFIED, DELETED */
    enum fl_k8s_kind kind;
    struct fl_str ns, name, service; /* service: the slice's label */
    uint64_t version;
};

/* A pod as the cluster sees it. */
enum fl_pod_phase { FL_POD_PENDING, FL_POD_RUNNING, FL_POD_READY, FL_POD_TERMINATING };

FL_MUST int fl_cluster_new(uint64_t seed, size_t history_max, struct fl_cluster **out);
void fl_cluster_free(struct fl_cluster *cluster);

/* A service with one port (name, number on the service, the pods' own port). Replaces one of that
 * name. */
FL_MUST int fl_cluster_service(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                               const struct fl_k8s_service_port *ports, size_t port_count);
FL_MUST int fl_cluster_external(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                                struct fl_str external_name);
FL_MUST int fl_cluster_service_delete(struct fl_cluster *cluster, struct fl_str ns,
                                      struct fl_str name);
/* A pod of the service: its name is made up and returned borrowed; FL_POD_PENDING has no address.
 */
FL_MUST int fl_cluster_pod_add(struct fl_cluster *cluster, struct fl_str ns, struct fl_str service,
                               struct fl_str address, struct fl_str *name);
FL_MUST int fl_cluster_pod_phase(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                                 enum fl_pod_phase phase);
FL_MUST int fl_cluster_pod_delete(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name);

uint64_t fl_cluster_version(const struct fl_cluster *cluster);
/* Forgets all history up to now: watches from older versions get 410. */
void fl_cluster_compact(struct fl_cluster *cluster);

#endif
