/* cluster_inner.h - what the files of the simulated cluster know of one another.
 *
 * A service's Endpoints object holds its slices, so it is also where the model finds them. Every
 * change is staged as new objects first (cluster_stage.c, cluster_slices.c) and stored when none
 * can fail any more: the object itself, the slice it touches, the Endpoints made of all slices. */
#ifndef FL_SIM_CLUSTER_INNER_H
#define FL_SIM_CLUSTER_INNER_H

#include "base/map.h"
#include "base/random.h"
#include "sim/cluster.h"
#include "sim/store.h"

#define FL_CLUSTER_NAME_MAX 253
#define FL_CLUSTER_NODES    5
#define FL_CLUSTER_ZONES    3

struct fl_cluster_service {
    struct fl_identity *identity;
    struct fl_facts *facts;
    struct fl_identity *endpoints_identity;
    struct fl_object *endpoints; /* borrowed from the store; NULL: external */
    char template_hash[11];
};

struct fl_cluster_pod {
    struct fl_identity *identity;
    struct fl_cluster_service *service; /* NULL: deleted */
    enum fl_pod_phase phase;
    bool has_address; /* it ran */
    bool was_ready;
};

struct fl_staged {
    enum fl_k8s_event event;
    struct fl_object *object;
};

struct fl_cluster {
    struct fl_store store;
    struct fl_random random;
    struct fl_map services, pods; /* by "ns/name" */
    struct fl_staged *staged;
    size_t staged_count, staged_cap;
    size_t slice_max;
    int64_t now_s;
    unsigned pods_made;
    bool restored; /* the store is older than what services and pods say */
};

/* --- cluster_stage.c --- */

struct fl_cluster_key {
    char text[2 * FL_CLUSTER_NAME_MAX + 2];
};
struct fl_str fl_cluster_key(struct fl_cluster_key *key, struct fl_str ns, struct fl_str name);
void *fl_cluster_find(const struct fl_map *map, struct fl_str ns, struct fl_str name);
/* `n` letters and a NUL, as Kubernetes makes names up. */
void fl_cluster_letters(struct fl_cluster *cluster, char *out, size_t n);
void fl_cluster_uid(struct fl_cluster *cluster, char out[FL_UID_TEXT + 1]);
FL_MUST int fl_cluster_identity(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                                struct fl_str service, struct fl_identity **out);
/* Takes the object, even on failure. */
FL_MUST int fl_stage_take(struct fl_cluster *cluster, enum fl_k8s_event event,
                          struct fl_object *object);
/* A copy of an object for the same name: changed by the caller, or as it was for DELETED. */
FL_MUST int fl_stage_copy(struct fl_cluster *cluster, enum fl_k8s_event event,
                          const struct fl_object *of, size_t more, struct fl_object **out);
void fl_stage_drop(struct fl_cluster *cluster);
/* Stores what is staged if `staged` is 0, or nothing; then the service (may be NULL) knows its new
 * Endpoints. Returns `staged` or FL_ENOMEM. */
FL_MUST int fl_stage_commit(struct fl_cluster *cluster, struct fl_cluster_service *service,
                            int staged);

/* --- cluster_slices.c --- */

/* Brings the service's slices to what the pod is now. */
FL_MUST int fl_stage_place(struct fl_cluster *cluster, const struct fl_cluster_pod *pod,
                           bool stands);
/* The slices with the service's new facts; the first one if there is none. */
FL_MUST int fl_stage_all_slices(struct fl_cluster *cluster, struct fl_cluster_service *service);
/* Deletes the slices and Endpoints: the service is external now, or gone. */
FL_MUST int fl_stage_no_slices(struct fl_cluster *cluster, struct fl_cluster_service *service);
/* Removes the endpoints of pods that are no more. */
FL_MUST int fl_stage_stray(struct fl_cluster *cluster, struct fl_cluster_service *service,
                           bool *found);

/* --- cluster.c --- */

bool fl_cluster_is_taken(const struct fl_cluster *cluster, struct fl_str ns, struct fl_str name);
FL_MUST int fl_stage_service(struct fl_cluster *cluster, enum fl_k8s_event event,
                             struct fl_cluster_service *service);
FL_MUST int fl_stage_pod(struct fl_cluster *cluster, enum fl_k8s_event event,
                         const struct fl_cluster_pod *pod);
/* A service that gets slices, for the first time or again, gets its pods into them. */
FL_MUST int fl_cluster_place_pods(struct fl_cluster *cluster, struct fl_cluster_service *service);

#endif
