/* cluster_restore.c - etcd comes back from a backup, and the cluster makes it true again.
 *
 * The store goes back; the model (services, pods) does not, as kubelets and processes do not. What
 * the store then lacks, has too much, or says otherwise, is put right object by object, as
 * controllers do. */
#include "sim/cluster_inner.h"

void fl_cluster_restore(struct fl_cluster *cluster, uint64_t versions) {
    struct fl_str key;
    void *value;
    size_t cursor = 0;
    fl_store_rewind(&cluster->store, versions);
    while (fl_map_next(&cluster->services, &cursor, &key, &value)) {
        struct fl_cluster_service *service = value;
        const struct fl_identity *who = service->identity;
        service->endpoints = fl_store_find(&cluster->store, FL_K8S_ENDPOINTS, who->ns, who->name);
    }
    cluster->restored = true;
}

/* --- what the store has too much --- */

static struct fl_cluster_service *service_of(const struct fl_cluster *cluster,
                                             const struct fl_object *object) {
    const struct fl_identity *who = object->identity;
    return fl_cluster_find(&cluster->services, who->ns, who->service);
}

/* A slice that the service's Endpoints know of. */
static bool is_listed(const struct fl_cluster_service *service, const struct fl_object *slice) {
    const struct fl_object *all = service ? service->endpoints : NULL;
    for (size_t i = 0; all && i < all->slice_count; i++)
        if (all->slices[i] == slice) return true;
    return false;
}

/* The backup may be from the middle of a change: then the slices are made anew. */
static bool is_whole(const struct fl_cluster *cluster, const struct fl_object *endpoints) {
    for (size_t i = 0; i < endpoints->slice_count; i++) {
        const struct fl_identity *who = endpoints->slices[i]->identity;
        if (fl_store_find(&cluster->store, FL_K8S_ENDPOINTSLICE, who->ns, who->name) !=
            endpoints->slices[i])
            return false;
    }
    return true;
}

static bool is_ours(const struct fl_cluster *cluster, const struct fl_object *object) {
    const struct fl_identity *who = object->identity;
    const struct fl_cluster_service *service = service_of(cluster, object);
    const struct fl_cluster_pod *pod;
    if (object->body) return true; /* a user's: it is what the backup says */
    switch (object->kind) {
    case FL_K8S_POD:
        pod = fl_cluster_find(&cluster->pods, who->ns, who->name);
        return pod && pod->identity == who;
    case FL_K8S_SERVICE:
        return service && service->identity == who;
    case FL_K8S_ENDPOINTS:
        return service && !service->facts->external_name.n && is_whole(cluster, object);
    default:
        return is_listed(service, object);
    }
}

static int delete_object(struct fl_cluster *cluster, const struct fl_object *object) {
    struct fl_cluster_service *service = service_of(cluster, object);
    struct fl_object *last;
    int rc = object->kind == FL_K8S_ENDPOINTS
                 ? fl_object_new(object->kind, object->identity, object->facts, 0, &last)
                 : fl_object_copy(object, 0, &last);
    if (!rc) rc = fl_stage_take(cluster, FL_K8S_DELETED, last);
    return fl_stage_commit(cluster, service, rc);
}

static int delete_strangers(struct fl_cluster *cluster, enum fl_k8s_kind kind) {
    const struct fl_object_list *all = &cluster->store.kinds[kind];
    int rc = 0;
    for (size_t i = 0; i < all->count && !rc;) {
        if (is_ours(cluster, all->items[i]))
            i++;
        else
            rc = delete_object(cluster, all->items[i]);
    }
    return rc;
}

/* --- what it lacks, or says otherwise --- */

static int renew_service(struct fl_cluster *cluster, struct fl_cluster_service *service) {
    const struct fl_identity *who = service->identity;
    struct fl_object *now = fl_store_find(&cluster->store, FL_K8S_SERVICE, who->ns, who->name);
    bool stray = true;
    int rc = 0;
    bool same = now && now->facts == service->facts;
    bool external = service->facts->external_name.n != 0;
    if (!same) rc = fl_stage_service(cluster, now ? FL_K8S_MODIFIED : FL_K8S_ADDED, service);
    if (!rc && !external && (!same || !service->endpoints))
        rc = fl_stage_all_slices(cluster, service);
    rc = fl_stage_commit(cluster, service, rc);
    while (!rc && stray) {
        rc = fl_stage_stray(cluster, service, &stray);
        rc = fl_stage_commit(cluster, service, rc);
    }
    return rc ? rc : fl_cluster_place_pods(cluster, service);
}

static bool says_the_same(const struct fl_object *a, const struct fl_object *b) {
    return a->identity == b->identity && a->phase == b->phase && a->terminating == b->terminating;
}

static int renew_pod(struct fl_cluster *cluster, const struct fl_cluster_pod *pod) {
    const struct fl_identity *who = pod->identity;
    struct fl_object *now = fl_store_find(&cluster->store, FL_K8S_POD, who->ns, who->name);
    int rc = fl_stage_pod(cluster, now ? FL_K8S_MODIFIED : FL_K8S_ADDED, pod);
    if (!rc && now && says_the_same(now, cluster->staged->object)) {
        fl_stage_drop(cluster);
        return 0;
    }
    return fl_stage_commit(cluster, NULL, rc);
}

static int renew_all(struct fl_cluster *cluster) {
    struct fl_str key;
    void *value;
    int rc = 0;
    for (size_t cursor = 0; !rc && fl_map_next(&cluster->pods, &cursor, &key, &value);)
        rc = renew_pod(cluster, value);
    for (size_t cursor = 0; !rc && fl_map_next(&cluster->services, &cursor, &key, &value);)
        rc = renew_service(cluster, value);
    return rc;
}

int fl_cluster_reconcile(struct fl_cluster *cluster) {
    static const enum fl_k8s_kind kinds[] = {FL_K8S_ENDPOINTS, FL_K8S_ENDPOINTSLICE, FL_K8S_SERVICE,
                                             FL_K8S_POD};
    int rc = 0;
    if (!cluster->restored) return 0;
    for (size_t i = 0; i < FL_COUNT(kinds) && !rc; i++) rc = delete_strangers(cluster, kinds[i]);
    if (!rc) rc = renew_all(cluster);
    if (!rc) cluster->restored = false;
    return rc;
}
