/* cluster_stage.c - names, identities and the staging of changes. See cluster_inner.h. */
#include <stdio.h>

#include "base/alloc.h"
#include "sim/cluster_inner.h"

/* --- names --- */

struct fl_str fl_cluster_key(struct fl_cluster_key *key, struct fl_str ns, struct fl_str name) {
    if (ns.n > FL_CLUSTER_NAME_MAX || name.n > FL_CLUSTER_NAME_MAX)
        return FL_STR_NONE; /* nobody has it */
    int n = snprintf(key->text, sizeof key->text, "%.*s/%.*s", FL_STR_ARG(ns), FL_STR_ARG(name));
    return fl_str_n(key->text, (size_t)n);
}

void *fl_cluster_find(const struct fl_map *map, struct fl_str ns, struct fl_str name) {
    struct fl_cluster_key key;
    return fl_map_get(map, fl_cluster_key(&key, ns, name));
}

/* Letters as Kubernetes makes names up: no vowels, nothing to misread. */
void fl_cluster_letters(struct fl_cluster *cluster, char *out, size_t n) {
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    for (size_t i = 0; i < n; i++)
        out[i] = letters[fl_random_below(&cluster->random, sizeof letters - 1)];
    out[n] = 0;
}

void fl_cluster_uid(struct fl_cluster *cluster, char out[FL_UID_TEXT + 1]) {
    uint64_t a = fl_random_u64(&cluster->random), b = fl_random_u64(&cluster->random);
    snprintf(out, FL_UID_TEXT + 1, "%08x-%04x-4%03x-a%03x-%012llx", (unsigned)(a >> 32),
             (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff), (unsigned)(b >> 52),
             (unsigned long long)(b & 0xffffffffffff));
}

int fl_cluster_identity(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                        struct fl_str service, struct fl_identity **out) {
    struct fl_identity of = {
        .ns = ns, .name = name, .service = service, .created_s = cluster->now_s};
    fl_cluster_uid(cluster, of.uid);
    return fl_identity_new(&of, out);
}

/* --- staging --- */

/* Takes the object, even on failure. */
int fl_stage_take(struct fl_cluster *cluster, enum fl_k8s_event event, struct fl_object *object) {
    if (cluster->staged_count == cluster->staged_cap) {
        size_t cap = cluster->staged_cap ? cluster->staged_cap * 2 : 8;
        struct fl_staged *staged = fl_realloc(cluster->staged, cap * sizeof *staged);
        if (!staged) {
            fl_object_unref(object);
            return FL_ENOMEM;
        }
        cluster->staged = staged;
        cluster->staged_cap = cap;
    }
    cluster->staged[cluster->staged_count++] = (struct fl_staged){event, object};
    return 0;
}

void fl_stage_drop(struct fl_cluster *cluster) {
    for (size_t i = 0; i < cluster->staged_count; i++) fl_object_unref(cluster->staged[i].object);
    cluster->staged_count = 0;
}

static int unstage(struct fl_cluster *cluster, int rc) {
    fl_stage_drop(cluster);
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
int fl_stage_copy(struct fl_cluster *cluster, enum fl_k8s_event event, const struct fl_object *of,
                  size_t more, struct fl_object **out) {
    int rc = fl_object_copy(of, more, out);
    return rc ? rc : fl_stage_take(cluster, event, *out);
}

/* After a commit: the Endpoints that stand in the store now. */
static void follow_store(struct fl_cluster *cluster, struct fl_cluster_service *service) {
    const struct fl_identity *who = service->identity;
    service->endpoints = fl_store_find(&cluster->store, FL_K8S_ENDPOINTS, who->ns, who->name);
}

int fl_stage_commit(struct fl_cluster *cluster, struct fl_cluster_service *service, int staged) {
    int rc = staged ? unstage(cluster, staged) : commit(cluster);
    if (!rc && service) follow_store(cluster, service);
    return rc;
}
