/* cluster_slices.c - how pods stand in the slices of their service. See cluster_inner.h. */
#include <stdio.h>

#include "sim/cluster_inner.h"

/* The Endpoints of the service with the slice at `at` replaced (NULL: removed), or one more. */
static int stage_endpoints(struct fl_cluster *cluster, struct fl_cluster_service *service,
                           size_t at, struct fl_object *slice, struct fl_object **out) {
    const struct fl_object *old = service->endpoints;
    size_t old_count = old ? old->slice_count : 0;
    int rc = fl_object_new(FL_K8S_ENDPOINTS, service->endpoints_identity, service->facts,
                           old_count + 1, out);
    if (rc) return rc;
    struct fl_object *endpoints = *out;
    for (size_t i = 0; i < old_count || i == at; i++) {
        struct fl_object *each = i == at ? slice : old->slices[i];
        if (each) endpoints->slices[endpoints->slice_count++] = fl_object_ref(each);
    }
    return fl_stage_take(cluster, old ? FL_K8S_MODIFIED : FL_K8S_ADDED, endpoints);
}

static int stage_new_slice(struct fl_cluster *cluster, struct fl_cluster_service *service,
                           struct fl_object **out) {
    char name[FL_CLUSTER_NAME_MAX + 8];
    struct fl_identity *identity;
    const struct fl_identity *who = service->identity;
    int n = snprintf(name, sizeof name, "%.*s-", FL_STR_ARG(who->name));
    do fl_cluster_letters(cluster, name + n, 5);
    while (fl_store_find(&cluster->store, FL_K8S_ENDPOINTSLICE, who->ns, fl_str_of(name)));
    int rc = fl_cluster_identity(cluster, who->ns, fl_str_of(name), who->name, &identity);
    if (rc) return rc;
    rc = fl_object_new(FL_K8S_ENDPOINTSLICE, identity, service->facts, 1, out);
    fl_identity_unref(identity);
    return rc ? rc : fl_stage_take(cluster, FL_K8S_ADDED, *out);
}

struct place {
    size_t slice, entry; /* entry == FL_SLICE_ENDPOINTS_MAX: it stands nowhere */
};

static struct place place_of(const struct fl_cluster_service *service,
                             const struct fl_identity *pod) {
    const struct fl_object *all = service->endpoints;
    for (size_t i = 0; i < all->slice_count; i++)
        for (size_t j = 0; j < all->slices[i]->entry_count; j++)
            if (all->slices[i]->entries[j].pod == pod) return (struct place){i, j};
    return (struct place){0, FL_SLICE_ENDPOINTS_MAX};
}

static size_t slice_with_room(const struct fl_cluster *cluster,
                              const struct fl_cluster_service *service) {
    const struct fl_object *all = service->endpoints;
    size_t i = 0;
    while (i < all->slice_count && all->slices[i]->entry_count >= cluster->slice_max) i++;
    return i;
}

static int stage_entry_added(struct fl_cluster *cluster, struct fl_cluster_service *service,
                             struct fl_identity *pod, unsigned flags) {
    const struct fl_object *all = service->endpoints;
    struct fl_object *slice, *endpoints;
    size_t at = slice_with_room(cluster, service);
    int rc = at < all->slice_count
                 ? fl_stage_copy(cluster, FL_K8S_MODIFIED, all->slices[at], 1, &slice)
                 : stage_new_slice(cluster, service, &slice);
    if (rc) return rc;
    slice->entries[slice->entry_count++] = (struct fl_entry){fl_identity_ref(pod), flags};
    return stage_endpoints(cluster, service, at, slice, &endpoints);
}

static int stage_entry_changed(struct fl_cluster *cluster, struct fl_cluster_service *service,
                               struct place place, unsigned flags) {
    struct fl_object *slice, *endpoints;
    int rc =
        fl_stage_copy(cluster, FL_K8S_MODIFIED, service->endpoints->slices[place.slice], 0, &slice);
    if (rc) return rc;
    slice->entries[place.entry].flags = flags;
    return stage_endpoints(cluster, service, place.slice, slice, &endpoints);
}

/* The last endpoint of a slice takes the slice with it, unless it is the last slice. */
static int stage_entry_removed(struct fl_cluster *cluster, struct fl_cluster_service *service,
                               struct place place) {
    const struct fl_object *all = service->endpoints, *old = all->slices[place.slice];
    struct fl_object *slice, *endpoints;
    bool whole = old->entry_count == 1 && all->slice_count > 1;
    int rc = fl_stage_copy(cluster, whole ? FL_K8S_DELETED : FL_K8S_MODIFIED, old, 0, &slice);
    if (rc) return rc;
    if (!whole) {
        struct fl_entry *entry = &slice->entries[place.entry];
        fl_identity_unref(entry->pod);
        memmove(entry, entry + 1, (--slice->entry_count - place.entry) * sizeof *entry);
    }
    return stage_endpoints(cluster, service, place.slice, whole ? NULL : slice, &endpoints);
}

static unsigned flags_of(const struct fl_cluster_pod *pod) {
    switch (pod->phase) {
    case FL_POD_READY:
        return FL_ENDPOINT_READY | FL_ENDPOINT_SERVING;
    case FL_POD_TERMINATING:
        return FL_ENDPOINT_TERMINATING | (pod->was_ready ? FL_ENDPOINT_SERVING : 0);
    default:
        return 0;
    }
}

/* Brings the service's slices to what the pod is now. */
int fl_stage_place(struct fl_cluster *cluster, const struct fl_cluster_pod *pod, bool stands) {
    struct fl_cluster_service *service = pod->service;
    if (!service || !service->endpoints) return 0;
    struct place place = place_of(service, pod->identity);
    bool stood = place.entry < FL_SLICE_ENDPOINTS_MAX;
    if (stands && !stood) return stage_entry_added(cluster, service, pod->identity, flags_of(pod));
    if (stands &&
        service->endpoints->slices[place.slice]->entries[place.entry].flags == flags_of(pod))
        return 0;
    if (stands) return stage_entry_changed(cluster, service, place, flags_of(pod));
    return stood ? stage_entry_removed(cluster, service, place) : 0;
}

/* Deletes the slices and Endpoints: the service is external now, or gone. */
int fl_stage_no_slices(struct fl_cluster *cluster, struct fl_cluster_service *service) {
    const struct fl_object *all = service->endpoints;
    struct fl_object *object;
    int rc = 0;
    for (size_t i = 0; all && i < all->slice_count && !rc; i++)
        rc = fl_stage_copy(cluster, FL_K8S_DELETED, all->slices[i], 0, &object);
    if (rc || !all) return rc;
    rc = fl_object_new(FL_K8S_ENDPOINTS, service->endpoints_identity, service->facts, 0, &object);
    return rc ? rc : fl_stage_take(cluster, FL_K8S_DELETED, object);
}

/* The slices with the service's new facts; the first one if there is none. */
int fl_stage_all_slices(struct fl_cluster *cluster, struct fl_cluster_service *service) {
    const struct fl_object *all = service->endpoints;
    struct fl_object *slice, *endpoints;
    int rc;
    if (!all) {
        rc = stage_new_slice(cluster, service, &slice);
        return rc ? rc : stage_endpoints(cluster, service, 0, slice, &endpoints);
    }
    rc = fl_object_new(FL_K8S_ENDPOINTS, service->endpoints_identity, service->facts,
                       all->slice_count, &endpoints);
    for (size_t i = 0; i < all->slice_count && !rc; i++) {
        rc = fl_stage_copy(cluster, FL_K8S_MODIFIED, all->slices[i], 0, &slice);
        if (rc) {
            fl_object_unref(endpoints);
            return rc;
        }
        fl_facts_unref(slice->facts);
        slice->facts = fl_facts_ref(service->facts);
        endpoints->slices[endpoints->slice_count++] = fl_object_ref(slice);
    }
    return rc ? rc : fl_stage_take(cluster, FL_K8S_MODIFIED, endpoints);
}

int fl_stage_stray(struct fl_cluster *cluster, struct fl_cluster_service *service, bool *found) {
    const struct fl_object *all = service->endpoints;
    *found = false;
    for (size_t i = 0; all && i < all->slice_count; i++)
        for (size_t j = 0; j < all->slices[i]->entry_count; j++) {
            const struct fl_identity *who = all->slices[i]->entries[j].pod;
            const struct fl_cluster_pod *pod = fl_cluster_find(&cluster->pods, who->ns, who->name);
            if (pod && pod->identity == who) continue;
            *found = true;
            return stage_entry_removed(cluster, service, (struct place){i, j});
        }
    return 0;
}
