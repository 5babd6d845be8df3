/* cluster_furniture.c - what a cluster has beside services and pods, for people and kubectl: Nodes,
 * Namespaces, Deployments. See cluster_inner.h. */
#include <stdio.h>

#include "base/log.h"
#include "sim/cluster_inner.h"

void fl_cluster_template(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name) {
    struct fl_cluster_service *service = fl_cluster_find(&cluster->services, ns, name);
    if (service) fl_cluster_letters(cluster, service->template_hash, 10);
}

static bool is_same(const struct fl_rollout *a, const struct fl_rollout *b) {
    return a->wanted == b->wanted && a->all == b->all && a->updated == b->updated &&
           a->ready == b->ready && a->generation == b->generation &&
           a->restarted_s == b->restarted_s;
}

int fl_cluster_deployment(struct fl_cluster *cluster, struct fl_str ns, struct fl_str name,
                          const struct fl_rollout *rollout) {
    struct fl_object *old = fl_store_find(&cluster->store, FL_K8S_DEPLOYMENT, ns, name), *object;
    struct fl_identity *identity = old ? fl_identity_ref(old->identity) : NULL;
    if (old && (old->body || is_same(&old->rollout, rollout))) {
        fl_identity_unref(identity);
        return 0;
    }
    int rc = old ? 0 : fl_cluster_identity(cluster, ns, name, name, &identity);
    if (rc) return rc;
    rc = fl_object_new(FL_K8S_DEPLOYMENT, identity, NULL, 0, &object);
    fl_identity_unref(identity);
    if (rc) return rc;
    object->rollout = *rollout;
    rc = fl_stage_take(cluster, old ? FL_K8S_MODIFIED : FL_K8S_ADDED, object);
    return fl_stage_commit(cluster, NULL, rc);
}

/* --- objects that nothing changes --- */

/* Takes the tree. */
static int put(struct fl_cluster *cluster, enum fl_k8s_kind kind, const char *name, json_t *tree) {
    char created[FL_TIME_TEXT_MAX];
    struct fl_identity *identity = NULL;
    struct fl_object *object;
    int rc = tree ? fl_cluster_identity(cluster, FL_STR_NONE, fl_str_of(name), fl_str_of(name),
                                        &identity)
                  : FL_ENOMEM;
    if (rc) {
        json_decref(tree);
        return rc;
    }
    fl_time_format(cluster->now_s * 1000, created);
    char *dot = strchr(created, '.');
    if (dot) memcpy(dot, "Z", 2);
    json_t *meta = json_object_get(tree, "metadata");
    if (json_object_set_new(meta, "uid", json_string(identity->uid)) ||
        json_object_set_new(meta, "creationTimestamp", json_string(created))) {
        json_decref(tree);
        fl_identity_unref(identity);
        return FL_ENOMEM;
    }
    rc = fl_object_take_body(kind, identity, tree, &object);
    fl_identity_unref(identity);
    if (!rc) rc = fl_stage_take(cluster, FL_K8S_ADDED, object);
    return fl_stage_commit(cluster, NULL, rc);
}

static int put_namespace(struct fl_cluster *cluster, const char *name) {
    if (fl_store_find(&cluster->store, FL_K8S_NAMESPACE, FL_STR_NONE, fl_str_of(name))) return 0;
    return put(cluster, FL_K8S_NAMESPACE, name,
               json_pack("{s:s, s:s, s:{s:s, s:{s:s}}, s:{}, s:{s:s}}", "kind", "Namespace",
                         "apiVersion", "v1", "metadata", "name", name, "labels",
                         "kubernetes.io/metadata.name", name, "spec", "status", "phase", "Active"));
}

static int put_node(struct fl_cluster *cluster, unsigned number) {
    char name[16], zone[16];
    snprintf(name, sizeof name, "node-%u", number + 1);
    snprintf(zone, sizeof zone, "zone-%c", 'a' + (int)(number % FL_CLUSTER_ZONES));
    return put(cluster, FL_K8S_NODE, name,
               json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s}}, s:{}, s:{s:[{s:s, s:s}]}}", "kind",
                         "Node", "apiVersion", "v1", "metadata", "name", name, "labels",
                         "kubernetes.io/hostname", name, "topology.kubernetes.io/zone", zone,
                         "spec", "status", "conditions", "type", "Ready", "status", "True"));
}

int fl_cluster_furnish(struct fl_cluster *cluster) {
    struct fl_str key, ns, name;
    void *value;
    size_t cursor = 0;
    char text[FL_CLUSTER_NAME_MAX + 1];
    int rc = put_namespace(cluster, "default");
    while (!rc && fl_map_next(&cluster->services, &cursor, &key, &value)) {
        fl_str_split(key, '/', &ns, &name);
        fl_str_copy(text, sizeof text, ns);
        rc = put_namespace(cluster, text);
    }
    for (unsigned i = 0; i < FL_CLUSTER_NODES && !rc; i++) rc = put_node(cluster, i);
    return rc;
}
