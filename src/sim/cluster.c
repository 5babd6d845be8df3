/* cluster.c - the simulated cluster as a model: what changes when a service or a pod does.
 *
 * A service's Endpoints object holds its slices, so it is also where the model finds them. Every
 * change is staged as new objects first and stored when none can fail any more: the object itself,
 * the slice it touches, the Endpoints made of all slices. */
#include "sim/cluster.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/random.h"
#include "sim/store.h"

#define NAME_MAX_LEN  253
#define FIRST_VERSION 990 /* soon four digits: versions do not compare as text */
#define NODES         5
#define ZONES         3

struct service {
    struct fl_identity *identity;
    struct fl_facts *facts;
    struct fl_identity *endpoints_identity;
    struct fl_object *endpoints; /* borrowed from the store; NULL: external */
    char template_hash[11];
};

struct pod {
    struct fl_identity *identity;
    struct service *service; /* NULL: deleted */
    enum fl_pod_phase phase;
    bool has_address; /* it ran */
    bool was_ready;
};

struct staged {
    enum fl_k8s_event event;
    struct fl_object *object;
};

struct fl_cluster {
    struct fl_store store;
    struct fl_random random;
    struct fl_map services, pods; /* by "ns/name" */
    struct staged *staged;
    size_t staged_count, staged_cap;
    size_t slice_max;
    int64_t now_s;
    unsigned pods_made;
};

/* --- names --- */

struct key {
    char text[2 * NAME_MAX_LEN + 2];
};

static struct fl_str key_of(struct key *key, struct fl_str ns, struct fl_str name) {
    if (ns.n > NAME_MAX_LEN || name.n > NAME_MAX_LEN) return FL_STR_NONE; /* nobody has it */
    int n = snprintf(key->text, sizeof key->text, "%.*s/%.*s", FL_STR_ARG(ns), FL_STR_ARG(name));
    return fl_str_n(key->text, (size_t)n);
}

static void *find(const struct fl_map *map, struct fl_str ns, struct fl_str name) {
    struct key key;
    return fl_map_get(map, key_of(&key, ns, name));
}

/* Letters as Kubernetes makes names up: no vowels, nothing to misread. */
static void make_letters(struct fl_cluster *cluster, char *out, size_t n) {
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    for (size_t i = 0; i < n; i++)
        out[i] = letters[fl_random_below(&cluster->random, sizeof letters - 1)];
    out[n] = 0;
}

static void make_uid(struct fl_cluster *cluster, char out[FL_UID_TEXT + 1]) {
    uint64_t a = fl_random_u64(&cluster->random), b = fl_random_u64(&cluster->random);
    snprintf(out, FL_UID_TEXT + 1, "%08x-%04x-4%03x-a%03x-%012llx", (unsigned)(a >> 32),
             (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff), (unsigned)(b >> 52),
             (unsigned long long)(b & 0xffffffffffff));
}

static int make_identity(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                         struct fl_str service, struct fl_identity **out) {
    struct fl_identity of = {
        .ns = ns, .name = name, .service = service, .created_s = cluster->now_s};
    make_uid(cluster, of.uid);
    return fl_identity_new(&of, out);
}

/* --- staging --- */

/* Takes the object, even on failure. */
static int stage_take(struct fl_cluster *cluster, enum fl_k8s_event event,
                      struct fl_object *object) {
    if (cluster->staged_count == cluster->staged_cap) {
        size_t cap = cluster->staged_cap ? cluster->staged_cap * 2 : 8;
        struct staged *staged = fl_realloc(cluster->staged, cap * sizeof *staged);
        if (!staged) {
            fl_object_unref(object);
            return FL_ENOMEM;
        }
        cluster->staged = staged;
        cluster->staged_cap = cap;
    }
    cluster->staged[cluster->staged_count++] = (struct staged){event, object};
    return 0;
}

static int unstage(struct fl_cluster *cluster, int rc) {
    for (size_t i = 0; i < cluster->staged_count; i++) fl_object_unref(cluster->staged[i].object);
    cluster->staged_count = 0;
    return rc;
}

/* Stores what is staged, or nothing. */
static int commit(struct fl_cluster *cluster) {
    for (size_t i = 0; i < cluster->staged_count; i++)
        if (fl_store_reserve(&cluster->store, cluster->staged[i].object->kind,
                             cluster->staged_count))
            return unstage(cluster, FL_ENOMEM);
    for (size_t i = 0; i < cluster->staged_count; i++)
        fl_store_take_put(&cluster->store, cluster->staged[i].event, cluster->staged[i].object);
    cluster->staged_count = 0;
    return 0;
}

/* A copy of an object for the same name: changed by the caller, or as it was for DELETED. */
static int stage_copy(struct fl_cluster *cluster, enum fl_k8s_event event,
                      const struct fl_object *of, size_t more, struct fl_object **out) {
    int rc = fl_object_copy(of, more, out);
    return rc ? rc : stage_take(cluster, event, *out);
}

/* --- slices --- */

/* The Endpoints of the service with the slice at `at` replaced (NULL: removed), or one more. */
static int stage_endpoints(struct fl_cluster *cluster, struct service *service, size_t at,
                           struct fl_object *slice, struct fl_object **out) {
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
    return stage_take(cluster, old ? FL_K8S_MODIFIED : FL_K8S_ADDED, endpoints);
}

static int stage_new_slice(struct fl_cluster *cluster, struct service *service,
                           struct fl_object **out) {
    char name[NAME_MAX_LEN + 8];
    struct fl_identity *identity;
    const struct fl_identity *who = service->identity;
    int n = snprintf(name, sizeof name, "%.*s-", FL_STR_ARG(who->name));
    do make_letters(cluster, name + n, 5);
    while (fl_store_find(&cluster->store, FL_K8S_ENDPOINTSLICE, who->ns, fl_str_of(name)));
    int rc = make_identity(cluster, who->ns, fl_str_of(name), who->name, &identity);
    if (rc) return rc;
    rc = fl_object_new(FL_K8S_ENDPOINTSLICE, identity, service->facts, 1, out);
    fl_identity_unref(identity);
    return rc ? rc : stage_take(cluster, FL_K8S_ADDED, *out);
}

struct place {
    size_t slice, entry; /* entry == FL_SLICE_ENDPOINTS_MAX: it stands nowhere */
};

static struct place place_of(const struct service *service, const struct fl_identity *pod) {
    const struct fl_object *all = service->endpoints;
    for (size_t i = 0; i < all->slice_count; i++)
        for (size_t j = 0; j < all->slices[i]->entry_count; j++)
            if (all->slices[i]->entries[j].pod == pod) return (struct place){i, j};
    return (struct place){0, FL_SLICE_ENDPOINTS_MAX};
}

static size_t slice_with_room(const struct fl_cluster *cluster, const struct service *service) {
    const struct fl_object *all = service->endpoints;
    size_t i = 0;
    while (i < all->slice_count && all->slices[i]->entry_count >= cluster->slice_max) i++;
    return i;
}

static int stage_entry_added(struct fl_cluster *cluster, struct service *service,
                             struct fl_identity *pod, unsigned flags) {
    const struct fl_object *all = service->endpoints;
    struct fl_object *slice, *endpoints;
    size_t at = slice_with_room(cluster, service);
    int rc = at < all->slice_count
                 ? stage_copy(cluster, FL_K8S_MODIFIED, all->slices[at], 1, &slice)
                 : stage_new_slice(cluster, service, &slice);
    if (rc) return rc;
    slice->entries[slice->entry_count++] = (struct fl_entry){fl_identity_ref(pod), flags};
    return stage_endpoints(cluster, service, at, slice, &endpoints);
}

static int stage_entry_changed(struct fl_cluster *cluster, struct service *service,
                               struct place place, unsigned flags) {
    struct fl_object *slice, *endpoints;
    int rc =
        stage_copy(cluster, FL_K8S_MODIFIED, service->endpoints->slices[place.slice], 0, &slice);
    if (rc) return rc;
    slice->entries[place.entry].flags = flags;
    return stage_endpoints(cluster, service, place.slice, slice, &endpoints);
}

/* The last endpoint of a slice takes the slice with it, unless it is the last slice. */
static int stage_entry_removed(struct fl_cluster *cluster, struct service *service,
                               struct place place) {
    const struct fl_object *all = service->endpoints, *old = all->slices[place.slice];
    struct fl_object *slice, *endpoints;
    bool whole = old->entry_count == 1 && all->slice_count > 1;
    int rc = stage_copy(cluster, whole ? FL_K8S_DELETED : FL_K8S_MODIFIED, old, 0, &slice);
    if (rc) return rc;
    if (!whole) {
        struct fl_entry *entry = &slice->entries[place.entry];
        fl_identity_unref(entry->pod);
        memmove(entry, entry + 1, (--slice->entry_count - place.entry) * sizeof *entry);
    }
    return stage_endpoints(cluster, service, place.slice, whole ? NULL : slice, &endpoints);
}

static unsigned flags_of(const struct pod *pod) {
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
static int stage_place(struct fl_cluster *cluster, const struct pod *pod, bool stands) {
    struct service *service = pod->service;
    if (!service || !service->endpoints) return 0;
    struct place place = place_of(service, pod->identity);
    bool stood = place.entry < FL_SLICE_ENDPOINTS_MAX;
    if (stands && !stood) return stage_entry_added(cluster, service, pod->identity, flags_of(pod));
    if (stands) return stage_entry_changed(cluster, service, place, flags_of(pod));
    return stood ? stage_entry_removed(cluster, service, place) : 0;
}

/* After a commit: the Endpoints that stand in the store now. */
static void follow_store(struct fl_cluster *cluster, struct service *service) {
    const struct fl_identity *who = service->identity;
    service->endpoints = fl_store_find(&cluster->store, FL_K8S_ENDPOINTS, who->ns, who->name);
}

static int commit_for(struct fl_cluster *cluster, struct service *service, int staged) {
    int rc = staged ? unstage(cluster, staged) : commit(cluster);
    if (!rc && service) follow_store(cluster, service);
    return rc;
}

/* --- services --- */

static void service_free(struct service *service) {
    if (!service) return;
    fl_identity_unref(service->identity);
    fl_identity_unref(service->endpoints_identity);
    fl_facts_unref(service->facts);
    fl_free(service);
}

static int service_new(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                       struct service **out) {
    struct key key;
    struct service *service = FL_NEW(struct service);
    if (!service || make_identity(cluster, ns, name, name, &service->identity) ||
        make_identity(cluster, ns, name, name, &service->endpoints_identity) ||
        fl_map_set(&cluster->services, key_of(&key, ns, name), service, NULL)) {
        service_free(service);
        return FL_ENOMEM;
    }
    make_letters(cluster, service->template_hash, 10);
    *out = service;
    return 0;
}

static void service_forget(struct fl_cluster *cluster, struct service *service) {
    struct key key;
    size_t cursor = 0;
    struct fl_str name;
    void *value;
    while (fl_map_next(&cluster->pods, &cursor, &name, &value)) {
        struct pod *pod = value;
        if (pod->service == service) pod->service = NULL;
    }
    fl_map_remove(&cluster->services, key_of(&key, service->identity->ns, service->identity->name));
    service_free(service);
}

static int stage_service(struct fl_cluster *cluster, enum fl_k8s_event event,
                         struct service *service) {
    struct fl_object *object;
    int rc = fl_object_new(FL_K8S_SERVICE, service->identity, service->facts, 0, &object);
    return rc ? rc : stage_take(cluster, event, object);
}

/* Deletes the slices and Endpoints: the service is external now, or gone. */
static int stage_no_slices(struct fl_cluster *cluster, struct service *service) {
    const struct fl_object *all = service->endpoints;
    struct fl_object *object;
    int rc = 0;
    for (size_t i = 0; all && i < all->slice_count && !rc; i++)
        rc = stage_copy(cluster, FL_K8S_DELETED, all->slices[i], 0, &object);
    if (rc || !all) return rc;
    rc = fl_object_new(FL_K8S_ENDPOINTS, service->endpoints_identity, service->facts, 0, &object);
    return rc ? rc : stage_take(cluster, FL_K8S_DELETED, object);
}

/* The slices with the service's new facts; the first one if there is none. */
static int stage_all_slices(struct fl_cluster *cluster, struct service *service) {
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
        rc = stage_copy(cluster, FL_K8S_MODIFIED, all->slices[i], 0, &slice);
        if (rc) {
            fl_object_unref(endpoints);
            return rc;
        }
        fl_facts_unref(slice->facts);
        slice->facts = fl_facts_ref(service->facts);
        endpoints->slices[endpoints->slice_count++] = fl_object_ref(slice);
    }
    return rc ? rc : stage_take(cluster, FL_K8S_MODIFIED, endpoints);
}

static bool is_of(const struct pod *pod, const struct service *service) {
    return fl_str_eq(pod->identity->ns, service->identity->ns) &&
           fl_str_eq(pod->identity->service, service->identity->name);
}

/* A service that gets slices, for the first time or again, gets its pods into them. */
static int place_pods(struct fl_cluster *cluster, struct service *service) {
    size_t cursor = 0;
    struct fl_str name;
    void *value;
    int rc = 0;
    while (!rc && fl_map_next(&cluster->pods, &cursor, &name, &value)) {
        struct pod *pod = value;
        if (!is_of(pod, service)) continue;
        pod->service = service;
        if (!pod->has_address) continue;
        rc = commit_for(cluster, service, stage_place(cluster, pod, true));
    }
    return rc;
}

/* The service now says `facts`, whose reference it takes. A new one that cannot is forgotten. */
static int service_say(struct fl_cluster *cluster, struct service *service, bool is_new,
                       struct fl_facts *facts) {
    struct fl_facts *old = service->facts;
    bool had_slices = service->endpoints != NULL;
    service->facts = facts;
    int rc = stage_service(cluster, is_new ? FL_K8S_ADDED : FL_K8S_MODIFIED, service);
    if (!rc)
        rc = facts->external_name.n ? stage_no_slices(cluster, service)
                                    : stage_all_slices(cluster, service);
    rc = commit_for(cluster, service, rc);
    if (rc) {
        service->facts = old;
        fl_facts_unref(facts);
        if (is_new) service_forget(cluster, service);
        return rc;
    }
    fl_facts_unref(old);
    return had_slices || !service->endpoints ? 0 : place_pods(cluster, service);
}

static int service_put(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                       const struct fl_facts *say) {
    if (!ns.n || !name.n || ns.n > NAME_MAX_LEN || name.n > NAME_MAX_LEN) return FL_EUSAGE;
    struct service *service = find(&cluster->services, ns, name);
    struct fl_facts *facts;
    char ip[32];
    struct fl_facts of = *say;
    bool is_new = !service;
    if (!of.external_name.n) {
        uint64_t bits = fl_random_u64(&cluster->random);
        snprintf(ip, sizeof ip, "10.96.%u.%u", (unsigned)(bits % 256), (unsigned)(bits >> 8) % 256);
        of.cluster_ip =
            service && service->facts->cluster_ip.n ? service->facts->cluster_ip : fl_str_of(ip);
    }
    if (fl_facts_new(&of, &facts)) return FL_ENOMEM;
    if (is_new && service_new(cluster, ns, name, &service)) {
        fl_facts_unref(facts);
        return FL_ENOMEM;
    }
    return service_say(cluster, service, is_new, facts);
}

int fl_cluster_service(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                       const struct fl_k8s_service_port *ports, size_t port_count) {
    struct fl_facts facts = {.ports = (struct fl_k8s_service_port *)ports,
                             .port_count = port_count};
    return service_put(cluster, ns, name, &facts);
}

int fl_cluster_external(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                        struct fl_str external_name) {
    struct fl_facts facts = {.external_name = external_name};
    return service_put(cluster, ns, name, &facts);
}

int fl_cluster_service_delete(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name) {
    struct service *service = find(&cluster->services, ns, name);
    if (!service) return FL_ENOT_FOUND;
    int rc = stage_service(cluster, FL_K8S_DELETED, service);
    if (!rc) rc = stage_no_slices(cluster, service);
    rc = commit_for(cluster, NULL, rc);
    if (!rc) service_forget(cluster, service);
    return rc;
}

/* --- pods --- */

static void pod_free(struct pod *pod) {
    if (!pod) return;
    fl_identity_unref(pod->identity);
    fl_free(pod);
}

static int pod_identity(struct fl_cluster *cluster, const struct service *service,
                        struct fl_str address, struct fl_identity **out) {
    const struct fl_identity *who = service->identity;
    char name[NAME_MAX_LEN + 32], node[16], zone[16];
    int n = snprintf(name, sizeof name, "%.*s-%s-", FL_STR_ARG(who->name), service->template_hash);
    do make_letters(cluster, name + n, 5);
    while (find(&cluster->pods, who->ns, fl_str_of(name)));
    unsigned number = cluster->pods_made++;
    snprintf(node, sizeof node, "node-%u", number % NODES + 1);
    snprintf(zone, sizeof zone, "zone-%c", 'a' + (int)(number % NODES % ZONES));
    struct fl_identity of = {.ns = who->ns,
                             .name = fl_str_of(name),
                             .service = who->name,
                             .address = address,
                             .node = fl_str_of(node),
                             .zone = fl_str_of(zone),
                             .created_s = cluster->now_s};
    make_uid(cluster, of.uid);
    return fl_identity_new(&of, out);
}

static int stage_pod(struct fl_cluster *cluster, enum fl_k8s_event event, const struct pod *pod) {
    struct fl_object *object;
    int rc = fl_object_new(FL_K8S_POD, pod->identity, NULL, 0, &object);
    if (rc) return rc;
    object->terminating = pod->phase == FL_POD_TERMINATING;
    object->phase = pod->phase == FL_POD_PENDING   ? FL_OBJECT_PENDING
                    : pod->phase == FL_POD_RUNNING ? FL_OBJECT_RUNNING
                                                   : FL_OBJECT_READY;
    if (object->terminating && !pod->was_ready)
        object->phase = pod->has_address ? FL_OBJECT_RUNNING : FL_OBJECT_PENDING;
    return stage_take(cluster, event, object);
}

int fl_cluster_pod_add(struct fl_cluster *cluster, struct fl_str ns, struct fl_str service_name,
                       struct fl_str address, struct fl_str *name) {
    struct service *service = find(&cluster->services, ns, service_name);
    struct key key;
    if (!service) return FL_ENOT_FOUND;
    struct pod *pod = FL_NEW(struct pod);
    if (!pod || pod_identity(cluster, service, address, &pod->identity)) goto fail;
    pod->service = service;
    struct fl_str id = key_of(&key, ns, pod->identity->name);
    if (fl_map_set(&cluster->pods, id, pod, NULL)) goto fail;
    if (commit_for(cluster, NULL, stage_pod(cluster, FL_K8S_ADDED, pod))) {
        fl_map_remove(&cluster->pods, id);
        goto fail;
    }
    *name = pod->identity->name;
    return 0;
fail:
    pod_free(pod);
    return FL_ENOMEM;
}

int fl_cluster_pod_phase(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                         enum fl_pod_phase phase) {
    struct pod *pod = find(&cluster->pods, ns, name);
    if (!pod) return FL_ENOT_FOUND;
    struct pod old = *pod;
    pod->phase = phase;
    if (phase != FL_POD_TERMINATING) pod->was_ready = phase == FL_POD_READY;
    if (phase == FL_POD_RUNNING || phase == FL_POD_READY) pod->has_address = true;
    int rc = stage_pod(cluster, FL_K8S_MODIFIED, pod);
    if (!rc) rc = stage_place(cluster, pod, pod->has_address);
    rc = commit_for(cluster, pod->service, rc);
    if (rc) *pod = old;
    return rc;
}

int fl_cluster_pod_delete(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name) {
    struct pod *pod = find(&cluster->pods, ns, name);
    struct key key;
    if (!pod) return FL_ENOT_FOUND;
    int rc = stage_pod(cluster, FL_K8S_DELETED, pod);
    if (!rc) rc = stage_place(cluster, pod, false);
    rc = commit_for(cluster, pod->service, rc);
    if (rc) return rc;
    fl_map_remove(&cluster->pods, key_of(&key, ns, name));
    pod_free(pod);
    return 0;
}

/* --- life --- */

int fl_cluster_new(uint64_t seed, size_t history_max, struct fl_cluster **out) {
    struct fl_cluster *cluster = FL_NEW(struct fl_cluster);
    *out = NULL;
    if (!cluster) return FL_ENOMEM;
    cluster->random.state = seed;
    cluster->slice_max = FL_SLICE_ENDPOINTS_MAX;
    fl_map_init(&cluster->services, fl_random_u64(&cluster->random));
    fl_map_init(&cluster->pods, fl_random_u64(&cluster->random));
    if (fl_store_init(&cluster->store, FIRST_VERSION, history_max)) {
        fl_cluster_free(cluster);
        return FL_ENOMEM;
    }
    *out = cluster;
    return 0;
}

void fl_cluster_free(struct fl_cluster *cluster) {
    size_t cursor = 0;
    struct fl_str name;
    void *value;
    if (!cluster) return;
    while (fl_map_next(&cluster->pods, &cursor, &name, &value)) pod_free(value);
    cursor = 0;
    while (fl_map_next(&cluster->services, &cursor, &name, &value)) service_free(value);
    fl_map_deinit(&cluster->pods);
    fl_map_deinit(&cluster->services);
    fl_store_deinit(&cluster->store);
    fl_free(cluster->staged);
    fl_free(cluster);
}

void fl_cluster_slice_max(struct fl_cluster *cluster, size_t max) {
    FL_ASSERT(max >= 1 && max <= FL_SLICE_ENDPOINTS_MAX);
    cluster->slice_max = max;
}

struct fl_store *fl_cluster_store(struct fl_cluster *cluster) {
    return &cluster->store;
}

void fl_cluster_time(struct fl_cluster *cluster, int64_t now_s) { cluster->now_s = now_s; }

uint64_t fl_cluster_version(const struct fl_cluster *cluster) { return cluster->store.version; }

void fl_cluster_compact(struct fl_cluster *cluster) { fl_store_compact(&cluster->store); }
