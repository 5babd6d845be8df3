/* cluster.h - the simulated cluster: Services, EndpointSlices, Endpoints and Pods with a history of
 * versions.
 *
 * A plain model without I/O: changing it gives every object that changes the next resource version
 * and hands each change to whoever observes its store (the API server's watches). Slices hold at
 * most 100 endpoints, as the real controller makes them, and are named NAME-xxxxx; a new pod goes
 * to the first slice with room, the others stay as they are. A change that fails for want of memory
 * changes nothing. One thread. */
#ifndef FL_SIM_CLUSTER_H
#define FL_SIM_CLUSTER_H

#include "base/error.h"
#include "base/str.h"
#include "wire/k8s.h"

#define FL_SLICE_ENDPOINTS_MAX 100 /* unless fl_cluster_slice_max said less */

struct fl_cluster;
struct fl_rollout; /* object.h */
struct fl_store;   /* store.h: the objects and their history */

/* A pod as the cluster sees it. PENDING has no address yet and stands in no slice; RUNNING is not
 * ready; TERMINATING goes on serving if it was ready. */
enum fl_pod_phase { FL_POD_PENDING, FL_POD_RUNNING, FL_POD_READY, FL_POD_TERMINATING };

/* Names and uids come from the seed; history_max: events that are kept. FL_ENOMEM. */
FL_MUST int fl_cluster_new(uint64_t seed, size_t history_max, struct fl_cluster **out);
void fl_cluster_free(struct fl_cluster *cluster);
struct fl_store *fl_cluster_store(struct fl_cluster *cluster);
/* Slices take at most `max` endpoints from now on, 1 to 100 (the real controller's
 * --max-endpoints-per-slice). */
void fl_cluster_slice_max(struct fl_cluster *cluster, size_t max);
/* What is created from now on carries this time (seconds since 1970). */
void fl_cluster_time(struct fl_cluster *cluster, int64_t now_s);

/* A service with its ports (name, number on the service, the pods' own port). Replaces what a
 * service of that name says; its pods stay. A new one finds the pods that were added to one of its
 * name. FL_EUSAGE (the name), FL_ENOMEM (what pods were found stands by then). */
FL_MUST int fl_cluster_service(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                               const struct fl_k8s_service_port *ports, size_t port_count);
FL_MUST int fl_cluster_external(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                                struct fl_str external_name);
/* FL_ENOT_FOUND, FL_ENOMEM. Its pods live on without it, until there is one of its name again. */
FL_MUST int fl_cluster_service_delete(struct fl_cluster *cluster, struct fl_str ns,
                                      struct fl_str name);
/* A pending pod of the service: its name is made up and returned borrowed, good until the pod is
 * deleted. FL_ENOT_FOUND (no such service), FL_ENOMEM. */
FL_MUST int fl_cluster_pod_add(struct fl_cluster *cluster, struct fl_str ns, struct fl_str service,
                               struct fl_str address, struct fl_str *name);
/* FL_ENOT_FOUND, FL_ENOMEM. */
FL_MUST int fl_cluster_pod_phase(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                                 enum fl_pod_phase phase);
FL_MUST int fl_cluster_pod_delete(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name);

/* New pods of the service are of another template from now on, which their names show. */
void fl_cluster_template(struct fl_cluster *cluster, struct fl_str ns, struct fl_str service);
/* How far the service's Deployment is; a new version only if that changes. FL_ENOMEM. */
FL_MUST int fl_cluster_deployment(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                                  const struct fl_rollout *rollout);
/* Nodes, and a Namespace for each that a service is in. FL_ENOMEM (partly). */
FL_MUST int fl_cluster_furnish(struct fl_cluster *cluster);

uint64_t fl_cluster_version(const struct fl_cluster *cluster);
/* Forgets all history up to now: watches from older versions get 410. */
void fl_cluster_compact(struct fl_cluster *cluster);
/* Back to the state of `versions` ago, as far as history goes, as after restoring etcd's backup:
 * versions count from there and all history is forgotten. Services and pods that are there
 * nevertheless make themselves known when fl_cluster_reconcile is called or the next one of them
 * changes. */
void fl_cluster_restore(struct fl_cluster *cluster, uint64_t versions);
/* FL_ENOMEM: partly; to be called again. */
FL_MUST int fl_cluster_reconcile(struct fl_cluster *cluster);

#endif
