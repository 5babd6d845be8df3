/* cluster.c - the simulated cluster as a model: what changes when a service or a pod does. See
 * cluster_inner.h for how. */
#include "sim/cluster.h"

#include <stdio.h>

#include "base/alloc.h"
#include "sim/cluster_inner.h"

#define FIRST_VERSION 990 /* soon four digits: versions do not compare as text */

/* --- services --- */

static void service_free(struct fl_cluster_service *service) {
    if (!service) return;
    fl_identity_unref(service->identity);
    fl_identity_unref(service->endpoints_identity);
    fl_facts_unref(service->facts);
    fl_free(service);
}

static int service_new(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                       struct fl_cluster_service **out) {
    struct fl_cluster_key key;
    struct fl_cluster_service *service = FL_NEW(struct fl_cluster_service);
    if (!service || fl_cluster_identity(cluster, ns, name, name, &service->identity) ||
        fl_cluster_identity(cluster, ns, name, name, &service->endpoints_identity) ||
        fl_map_set(&cluster->services, fl_cluster_key(&key, ns, name), service, NULL)) {
        service_free(service);
        return FL_ENOMEM;
    }
    fl_cluster_letters(cluster, service->template_hash, 10);
    *out = service;
    return 0;
}

static void service_forget(struct fl_cluster *cluster, struct fl_cluster_service *service) {
    struct fl_cluster_key key;
    size_t cursor = 0;
    struct fl_str name;
    void *value;
    while (fl_map_next(&cluster->pods, &cursor, &name, &value)) {
        struct fl_cluster_pod *pod = value;
        if (pod->service == service) pod->service = NULL;
    }
    fl_map_remove(&cluster->services,
                  fl_cluster_key(&key, service->identity->ns, service->identity->name));
    service_free(service);
}

int fl_stage_service(struct fl_cluster *cluster, enum fl_k8s_event event,
                     struct fl_cluster_service *service) {
    struct fl_object *object;
    int rc = fl_object_new(FL_K8S_SERVICE, service->identity, service->facts, 0, &object);
    return rc ? rc : fl_stage_take(cluster, event, object);
}

static bool is_of(const struct fl_cluster_pod *pod, const struct fl_cluster_service *service) {
    return fl_str_eq(pod->identity->ns, service->identity->ns) &&
           fl_str_eq(pod->identity->service, service->identity->name);
}

/* A service that gets slices, for the first time or again, gets its pods into them. */
int fl_cluster_place_pods(struct fl_cluster *cluster, struct fl_cluster_service *service) {
    size_t cursor = 0;
    struct fl_str name;
    void *value;
    int rc = 0;
    while (!rc && fl_map_next(&cluster->pods, &cursor, &name, &value)) {
        struct fl_cluster_pod *pod = value;
        if (!is_of(pod, service)) continue;
        pod->service = service;
        if (!pod->has_address) continue;
        rc = fl_stage_commit(cluster, service, fl_stage_place(cluster, pod, true));
    }
    return rc;
}

/* The service now says `facts`, whose reference it takes. A new one that cannot is forgotten. */
static int service_say(struct fl_cluster *cluster, struct fl_cluster_service *service, bool is_new,
                       struct fl_facts *facts) {
    struct fl_facts *old = service->facts;
    bool had_slices = service->endpoints != NULL;
    service->facts = facts;
    int rc = fl_stage_service(cluster, is_new ? FL_K8S_ADDED : FL_K8S_MODIFIED, service);
    if (!rc)
        rc = facts->external_name.n ? fl_stage_no_slices(cluster, service)
                                    : fl_stage_all_slices(cluster, service);
    rc = fl_stage_commit(cluster, service, rc);
    if (rc) {
        service->facts = old;
        fl_facts_unref(facts);
        if (is_new) service_forget(cluster, service);
        return rc;
    }
    fl_facts_unref(old);
    return had_slices || !service->endpoints ? 0 : fl_cluster_place_pods(cluster, service);
}

/* A user wrote a Service or Endpoints of this name: they are not the cluster's to change. */
bool fl_cluster_is_taken(const struct fl_cluster *cluster, struct fl_str ns, struct fl_str name) {
    return fl_store_find(&cluster->store, FL_K8S_SERVICE, ns, name) ||
           fl_store_find(&cluster->store, FL_K8S_ENDPOINTS, ns, name);
}

static int service_put(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                       const struct fl_facts *say) {
    if (!ns.n || !name.n || ns.n > FL_CLUSTER_NAME_MAX || name.n > FL_CLUSTER_NAME_MAX)
        return FL_EUSAGE;
    if (fl_cluster_reconcile(cluster)) return FL_ENOMEM;
    struct fl_cluster_service *service = fl_cluster_find(&cluster->services, ns, name);
    struct fl_facts *facts;
    char ip[32];
    struct fl_facts of = *say;
    bool is_new = !service;
    if (is_new && fl_cluster_is_taken(cluster, ns, name)) return FL_EFULL;
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
    struct fl_cluster_service *service = fl_cluster_find(&cluster->services, ns, name);
    if (!service) return FL_ENOT_FOUND;
    if (fl_cluster_reconcile(cluster)) return FL_ENOMEM;
    int rc = fl_stage_service(cluster, FL_K8S_DELETED, service);
    if (!rc) rc = fl_stage_no_slices(cluster, service);
    rc = fl_stage_commit(cluster, NULL, rc);
    if (!rc) service_forget(cluster, service);
    return rc;
}

/* --- pods --- */

static void pod_free(struct fl_cluster_pod *pod) {
    if (!pod) return;
    fl_identity_unref(pod->identity);
    fl_free(pod);
}

static int pod_identity(struct fl_cluster *cluster, const struct fl_cluster_service *service,
                        struct fl_str address, struct fl_identity **out) {
    const struct fl_identity *who = service->identity;
    char name[FL_CLUSTER_NAME_MAX + 32], node[16], zone[16];
    int n = snprintf(name, sizeof name, "%.*s-%s-", FL_STR_ARG(who->name), service->template_hash);
    do fl_cluster_letters(cluster, name + n, 5);
    while (fl_store_find(&cluster->store, FL_K8S_POD, who->ns, fl_str_of(name)));
    unsigned number = cluster->pods_made++;
    snprintf(node, sizeof node, "node-%u", number % FL_CLUSTER_NODES + 1);
    snprintf(zone, sizeof zone, "zone-%c",
             'a' + (int)(number % FL_CLUSTER_NODES % FL_CLUSTER_ZONES));
    struct fl_identity of = {.ns = who->ns,
                             .name = fl_str_of(name),
                             .service = who->name,
                             .address = address,
                             .node = fl_str_of(node),
                             .zone = fl_str_of(zone),
                             .created_s = cluster->now_s};
    fl_cluster_uid(cluster, of.uid);
    return fl_identity_new(&of, out);
}

int fl_stage_pod(struct fl_cluster *cluster, enum fl_k8s_event event,
                 const struct fl_cluster_pod *pod) {
    struct fl_object *object;
    int rc = fl_object_new(FL_K8S_POD, pod->identity, NULL, 0, &object);
    if (rc) return rc;
    object->terminating = pod->phase == FL_POD_TERMINATING;
    object->phase = pod->phase == FL_POD_PENDING   ? FL_OBJECT_PENDING
                    : pod->phase == FL_POD_RUNNING ? FL_OBJECT_RUNNING
                                                   : FL_OBJECT_READY;
    if (object->terminating && !pod->was_ready)
        object->phase = pod->has_address ? FL_OBJECT_RUNNING : FL_OBJECT_PENDING;
    return fl_stage_take(cluster, event, object);
}

int fl_cluster_pod_add(struct fl_cluster *cluster, struct fl_str ns, struct fl_str service_name,
                       struct fl_str address, struct fl_str *name) {
    struct fl_cluster_service *service = fl_cluster_find(&cluster->services, ns, service_name);
    struct fl_cluster_key key;
    if (!service) return FL_ENOT_FOUND;
    if (fl_cluster_reconcile(cluster)) return FL_ENOMEM;
    struct fl_cluster_pod *pod = FL_NEW(struct fl_cluster_pod);
    if (!pod || pod_identity(cluster, service, address, &pod->identity)) goto fail;
    pod->service = service;
    struct fl_str id = fl_cluster_key(&key, ns, pod->identity->name);
    if (fl_map_set(&cluster->pods, id, pod, NULL)) goto fail;
    if (fl_stage_commit(cluster, NULL, fl_stage_pod(cluster, FL_K8S_ADDED, pod))) {
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
    struct fl_cluster_pod *pod = fl_cluster_find(&cluster->pods, ns, name);
    if (!pod) return FL_ENOT_FOUND;
    if (fl_cluster_reconcile(cluster)) return FL_ENOMEM;
    struct fl_cluster_pod old = *pod;
    pod->phase = phase;
    if (phase != FL_POD_TERMINATING) pod->was_ready = phase == FL_POD_READY;
    if (phase == FL_POD_RUNNING || phase == FL_POD_READY) pod->has_address = true;
    int rc = fl_stage_pod(cluster, FL_K8S_MODIFIED, pod);
    if (!rc) rc = fl_stage_place(cluster, pod, pod->has_address);
    rc = fl_stage_commit(cluster, pod->service, rc);
    if (rc) *pod = old;
    return rc;
}

int fl_cluster_pod_delete(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name) {
    struct fl_cluster_pod *pod = fl_cluster_find(&cluster->pods, ns, name);
    struct fl_cluster_key key;
    if (!pod) return FL_ENOT_FOUND;
    if (fl_cluster_reconcile(cluster)) return FL_ENOMEM;
    int rc = fl_stage_pod(cluster, FL_K8S_DELETED, pod);
    if (!rc) rc = fl_stage_place(cluster, pod, false);
    rc = fl_stage_commit(cluster, pod->service, rc);
    if (rc) return rc;
    fl_map_remove(&cluster->pods, fl_cluster_key(&key, ns, name));
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
