/* endpoints_controller.c - see endpoints_controller.h.
 *
 * An endpoint keeps its slice as long as its pod matches; new ones go to the first slice with room.
 * The key of an endpoint is its pod's uid. Slices and Endpoints that the controller wrote carry its
 * name in a label; others are users' and left alone. */
#include "sim/endpoints_controller.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "sim/cluster_inner.h"

#define AGAIN_MS 200
#define MANAGER  "endpointslice-controller.k8s.io"

struct sync { /* of one Service */
    struct fl_cluster *cluster;
    struct fl_object *service;
    const json_t *spec, *selector;
    struct fl_object **pods; /* those that match and have an address, each NULL once placed */
    size_t pod_count;
    const struct fl_object *first; /* of the pods: whose ports have names */
    json_t *subset;                /* of the Endpoints: addresses, notReadyAddresses */
};

/* --- pods --- */

static bool matches(const json_t *selector, const struct fl_object *pod) {
    const char *key;
    json_t *value;
    struct fl_str label;
    json_object_foreach ((json_t *)selector, key, value) {
        struct fl_str wanted = fl_str_n(json_string_value(value), json_string_length(value));
        if (!fl_object_label(pod, fl_str_of(key), &label) || !fl_str_eq(label, wanted))
            return false;
    }
    return true;
}

static bool is_text(const json_t *object, const char *key, struct fl_str value) {
    return fl_str_eq(fl_str_of(json_string_value(json_object_get(object, key))), value);
}

static bool condition_holds(const json_t *pod, struct fl_str type) {
    size_t i;
    json_t *condition;
    json_array_foreach (json_object_get(json_object_get(pod, "status"), "conditions"), i, condition)
        if (is_text(condition, "type", type)) return is_text(condition, "status", FL_STR("True"));
    return false;
}

struct state {
    bool ready, terminating;
};

static struct state state_of(const struct fl_object *pod) {
    const json_t *meta = json_object_get(pod->body, "metadata");
    if (!pod->body) return (struct state){pod->phase == FL_OBJECT_READY, pod->terminating};
    return (struct state){condition_holds(pod->body, FL_STR("Ready")),
                          json_object_get(meta, "deletionTimestamp") != NULL};
}

static bool is_over(const struct fl_object *pod) {
    struct fl_str phase;
    return fl_object_field(pod, FL_STR("status.phase"), &phase) &&
           (fl_str_eq(phase, FL_STR("Succeeded")) || fl_str_eq(phase, FL_STR("Failed")));
}

static int find_pods(struct sync *s) {
    const struct fl_object_list *all = &s->cluster->store.kinds[FL_K8S_POD];
    struct fl_str address;
    s->pods = fl_calloc(all->count + 1, sizeof(struct fl_object *));
    if (!s->pods) return FL_ENOMEM;
    for (size_t i = 0; i < all->count; i++) {
        struct fl_object *pod = all->items[i];
        if (!fl_str_eq(pod->identity->ns, s->service->identity->ns)) continue;
        if (!matches(s->selector, pod) || is_over(pod)) continue;
        if (fl_object_field(pod, FL_STR("status.podIP"), &address) && address.n)
            s->pods[s->pod_count++] = pod;
    }
    s->first = s->pods[0];
    return 0;
}

/* --- trees --- */

static json_t *text(struct fl_str s) { return json_stringn(s.n ? s.p : "", s.n); }

static json_t *reference_to(const struct fl_object *pod) {
    return json_pack("{s:s, s:o, s:o, s:s}", "kind", "Pod", "namespace", text(pod->identity->ns),
                     "name", text(pod->identity->name), "uid", pod->identity->uid);
}

static int note_address(struct sync *s, const struct fl_object *pod, struct fl_str ip, bool ready) {
    const char *name = ready ? "addresses" : "notReadyAddresses";
    json_t *list = json_object_get(s->subset, name);
    if (!list && json_object_set_new(s->subset, name, list = json_array())) return FL_ENOMEM;
    return json_array_append_new(
               list, json_pack("{s:o, s:o}", "ip", text(ip), "targetRef", reference_to(pod)))
               ? FL_ENOMEM
               : 0;
}

/* Also notes the address for the Endpoints. NULL: no memory. */
static json_t *endpoint_of(struct sync *s, const struct fl_object *pod) {
    struct state state = state_of(pod);
    struct fl_str ip, node;
    bool all = json_is_true(json_object_get(s->spec, "publishNotReadyAddresses"));
    bool ready = (state.ready && !state.terminating) || all;
    (void)fl_object_field(pod, FL_STR("status.podIP"), &ip);
    if ((!state.terminating || all) && note_address(s, pod, ip, ready)) return NULL;
    json_t *endpoint = json_pack("{s:[o], s:{s:b, s:b, s:b}, s:o}", "addresses", text(ip),
                                 "conditions", "ready", ready, "serving", state.ready,
                                 "terminating", state.terminating, "targetRef", reference_to(pod));
    if (endpoint && fl_object_field(pod, FL_STR("spec.nodeName"), &node) && node.n &&
        json_object_set_new(endpoint, "nodeName", text(node))) {
        json_decref(endpoint);
        return NULL;
    }
    return endpoint;
}

/* A port's number on the pods: its targetPort, a name looked up in the first pod. */
static json_int_t target_of(const struct sync *s, const json_t *port) {
    const json_t *pod = s->first ? s->first->body : NULL;
    const json_t *target = json_object_get(port, "targetPort");
    json_int_t number = json_integer_value(json_object_get(port, "port"));
    size_t i, j;
    json_t *container, *item;
    if (json_is_integer(target)) return json_integer_value(target);
    if (!json_is_string(target) || !pod) return number;
    const json_t *spec = json_object_get(pod, "spec");
    json_array_foreach (json_object_get(spec, "containers"), i, container)
        json_array_foreach (json_object_get(container, "ports"), j, item)
            if (json_equal(json_object_get(item, "name"), target))
                return json_integer_value(json_object_get(item, "containerPort"));
    return number;
}

static json_t *ports_of(const struct sync *s) {
    static const char *const kept[] = {"protocol", "appProtocol"};
    json_t *ports = json_array(), *port;
    size_t i;
    json_array_foreach (json_object_get(s->spec, "ports"), i, port) {
        const char *name = json_string_value(json_object_get(port, "name"));
        json_t *out = json_pack("{s:s, s:I}", "name", name ? name : "", "port", target_of(s, port));
        for (size_t j = 0; out && j < FL_COUNT(kept); j++)
            if (json_object_get(port, kept[j]))
                (void)json_object_set(out, kept[j], json_object_get(port, kept[j]));
        if (json_array_append_new(ports, out)) {
            json_decref(ports);
            return NULL;
        }
    }
    return ports;
}

/* --- writing --- */

static int write_tree(struct sync *s, enum fl_k8s_kind kind, struct fl_object *old, json_t *tree,
                      struct fl_identity *identity) {
    struct fl_object *object;
    if (old && json_equal(old->body, tree)) {
        json_decref(tree);
        return 0;
    }
    int rc = fl_object_take_body(kind, identity, tree, &object);
    if (!rc) rc = fl_stage_take(s->cluster, old ? FL_K8S_MODIFIED : FL_K8S_ADDED, object);
    return fl_stage_commit(s->cluster, NULL, rc);
}

static int remove_object(struct fl_cluster *cluster, const struct fl_object *old) {
    struct fl_object *last;
    int rc = fl_object_copy(old, 0, &last);
    if (!rc) rc = fl_stage_take(cluster, FL_K8S_DELETED, last);
    return fl_stage_commit(cluster, NULL, rc);
}

static json_t *meta_of(const struct sync *s, const struct fl_identity *who, const char *manager) {
    char created[FL_TIME_TEXT_MAX];
    fl_time_format(who->created_s * 1000, created);
    char *dot = strchr(created, '.');
    if (dot) memcpy(dot, "Z", 2);
    return json_pack("{s:o, s:o, s:s, s:s, s:{s:s, s:o}}", "name", text(who->name), "namespace",
                     text(who->ns), "uid", who->uid, "creationTimestamp", created, "labels",
                     manager, MANAGER, "kubernetes.io/service-name",
                     text(s->service->identity->name));
}

/* Takes the endpoints. A new slice gets a name. */
static int write_slice(struct sync *s, struct fl_object *old, json_t *endpoints) {
    const struct fl_identity *who = s->service->identity;
    struct fl_identity *identity = old ? fl_identity_ref(old->identity) : NULL;
    char name[FL_CLUSTER_NAME_MAX + 8];
    int n = snprintf(name, sizeof name, "%.*s-", FL_STR_ARG(who->name)), rc = 0;
    if (!old) {
        fl_cluster_letters(s->cluster, name + n, 5);
        rc = fl_cluster_identity(s->cluster, who->ns, fl_str_of(name), who->name, &identity);
    }
    json_t *tree =
        rc ? NULL
           : json_pack("{s:s, s:s, s:o, s:s, s:O, s:o}", "kind", "EndpointSlice", "apiVersion",
                       "discovery.k8s.io/v1", "metadata",
                       meta_of(s, identity, "endpointslice.kubernetes.io/managed-by"),
                       "addressType", "IPv4", "endpoints", endpoints, "ports", ports_of(s));
    json_decref(endpoints);
    if (!rc) rc = tree ? write_tree(s, FL_K8S_ENDPOINTSLICE, old, tree, identity) : FL_ENOMEM;
    fl_identity_unref(identity);
    return rc;
}

static int write_endpoints(struct sync *s) {
    const struct fl_identity *who = s->service->identity;
    struct fl_object *old = fl_store_find(&s->cluster->store, FL_K8S_ENDPOINTS, who->ns, who->name);
    struct fl_identity *identity = old ? fl_identity_ref(old->identity) : NULL;
    struct fl_str manager;
    if (old && !fl_object_label(old, FL_STR("endpoints.kubernetes.io/managed-by"), &manager)) {
        fl_identity_unref(identity);
        return 0; /* a user's */
    }
    int rc = old ? 0 : fl_cluster_identity(s->cluster, who->ns, who->name, who->name, &identity);
    bool none = !json_object_size(s->subset);
    if (!rc && !none && json_object_set_new(s->subset, "ports", ports_of(s))) rc = FL_ENOMEM;
    json_t *tree =
        rc ? NULL
           : json_pack("{s:s, s:s, s:o, s:[O*]}", "kind", "Endpoints", "apiVersion", "v1",
                       "metadata", meta_of(s, identity, "endpoints.kubernetes.io/managed-by"),
                       "subsets", none ? NULL : s->subset);
    if (!rc) rc = tree ? write_tree(s, FL_K8S_ENDPOINTS, old, tree, identity) : FL_ENOMEM;
    fl_identity_unref(identity);
    return rc;
}

/* --- placing --- */

static bool is_managed(const struct fl_object *slice, const struct fl_identity *service) {
    struct fl_str manager;
    return slice->body && fl_str_eq(slice->identity->ns, service->ns) &&
           fl_str_eq(slice->identity->service, service->name) &&
           fl_object_label(slice, FL_STR("endpointslice.kubernetes.io/managed-by"), &manager) &&
           fl_str_eq(manager, FL_STR(MANAGER));
}

/* The pod of an endpoint, which is placed by that; NULL: it is gone, or does not match any more. */
static struct fl_object *take_pod(struct sync *s, const json_t *endpoint) {
    const char *uid =
        json_string_value(json_object_get(json_object_get(endpoint, "targetRef"), "uid"));
    for (size_t i = 0; i < s->pod_count; i++) {
        struct fl_object *pod = s->pods[i];
        if (!pod || !uid || strcmp(pod->identity->uid, uid) != 0) continue;
        s->pods[i] = NULL;
        return pod;
    }
    return NULL;
}

static int add_endpoint(struct sync *s, json_t *endpoints, const struct fl_object *pod) {
    return json_array_append_new(endpoints, endpoint_of(s, pod)) ? FL_ENOMEM : 0;
}

static int fill_up(struct sync *s, json_t *endpoints) {
    int rc = 0;
    for (size_t i = 0; i < s->pod_count && !rc; i++) {
        if (!s->pods[i] || json_array_size(endpoints) >= s->cluster->slice_max) continue;
        rc = add_endpoint(s, endpoints, s->pods[i]);
        s->pods[i] = NULL;
    }
    return rc;
}

static int sync_slice(struct sync *s, struct fl_object *old, bool keep_empty) {
    json_t *endpoints = json_array(), *endpoint;
    size_t i;
    int rc = endpoints ? 0 : FL_ENOMEM;
    json_array_foreach (json_object_get(old ? old->body : NULL, "endpoints"), i, endpoint) {
        struct fl_object *pod = rc ? NULL : take_pod(s, endpoint);
        if (pod) rc = add_endpoint(s, endpoints, pod);
    }
    if (!rc) rc = fill_up(s, endpoints);
    if (rc || (!json_array_size(endpoints) && !keep_empty)) {
        json_decref(endpoints);
        return rc ? rc : old ? remove_object(s->cluster, old) : 0;
    }
    return write_slice(s, old, endpoints);
}

static bool pods_are_left(const struct sync *s) {
    for (size_t i = 0; i < s->pod_count; i++)
        if (s->pods[i]) return true;
    return false;
}

static int sync_slices(struct sync *s) {
    struct fl_object_list slices;
    struct fl_store *store = &s->cluster->store;
    bool any = false;
    int rc = fl_store_state_at(store, FL_K8S_ENDPOINTSLICE, store->version, &slices);
    for (size_t i = 0; i < slices.count && !rc; i++) {
        if (!is_managed(slices.items[i], s->service->identity)) continue;
        rc = sync_slice(s, slices.items[i], !any);
        any = true;
    }
    while (!rc && (!any || pods_are_left(s))) {
        rc = sync_slice(s, NULL, !any);
        any = true;
    }
    fl_object_list_deinit(&slices);
    return rc;
}

static int sync_service(struct fl_cluster *cluster, struct fl_object *service) {
    struct sync s = {.cluster = cluster, .service = service};
    s.spec = json_object_get(service->body, "spec");
    s.selector = json_object_get(s.spec, "selector");
    const char *type = json_string_value(json_object_get(s.spec, "type"));
    if (!json_object_size(s.selector) || (type && strcmp(type, "ExternalName") == 0)) return 0;
    s.subset = json_object();
    int rc = s.subset ? find_pods(&s) : FL_ENOMEM;
    if (!rc) rc = sync_slices(&s);
    if (!rc) rc = write_endpoints(&s);
    fl_free(s.pods);
    json_decref(s.subset);
    return rc;
}

/* --- what has no Service any more --- */

static int remove_orphans(struct fl_cluster *cluster, enum fl_k8s_kind kind, const char *label) {
    struct fl_store *store = &cluster->store;
    struct fl_object_list list;
    struct fl_str manager;
    int rc = fl_store_state_at(store, kind, store->version, &list);
    for (size_t i = 0; i < list.count && !rc; i++) {
        const struct fl_object *o = list.items[i];
        struct fl_str service = FL_STR_NONE;
        if (!o->body || !fl_object_label(o, fl_str_of(label), &manager)) continue;
        if (!fl_str_eq(manager, FL_STR(MANAGER))) continue;
        if (!fl_object_label(o, FL_STR("kubernetes.io/service-name"), &service)) continue;
        if (!fl_store_find(store, FL_K8S_SERVICE, o->identity->ns, service))
            rc = remove_object(cluster, o);
    }
    fl_object_list_deinit(&list);
    return rc;
}

static int sync_all(struct fl_cluster *cluster) {
    struct fl_store *store = &cluster->store;
    struct fl_object_list services;
    int rc = fl_store_state_at(store, FL_K8S_SERVICE, store->version, &services);
    for (size_t i = 0; i < services.count && !rc; i++)
        if (services.items[i]->body) rc = sync_service(cluster, services.items[i]);
    fl_object_list_deinit(&services);
    if (!rc)
        rc =
            remove_orphans(cluster, FL_K8S_ENDPOINTSLICE, "endpointslice.kubernetes.io/managed-by");
    if (!rc) rc = remove_orphans(cluster, FL_K8S_ENDPOINTS, "endpoints.kubernetes.io/managed-by");
    return rc;
}

/* --- life --- */

static void run(struct fl_task *task) {
    struct fl_endpoints_controller *c = FL_CONTAINER(task, struct fl_endpoints_controller, run);
    if (sync_all(c->cluster)) fl_io_timer_set(c->io, &c->again, fl_io_now_ms(c->io) + AGAIN_MS);
}

static void run_again(struct fl_timer *timer) {
    struct fl_endpoints_controller *c = FL_CONTAINER(timer, struct fl_endpoints_controller, again);
    fl_io_defer(c->io, &c->run);
}

/* Only if there is a Service of a user's, or was one until now: else this costs nothing. */
static void on_event(struct fl_store_observer *observer, const struct fl_store_event *event) {
    struct fl_endpoints_controller *c =
        FL_CONTAINER(observer, struct fl_endpoints_controller, observer);
    enum fl_k8s_kind kind = event->object->kind;
    if (kind == FL_K8S_SERVICE && event->object->body) c->busy = true;
    if (!c->busy || kind == FL_K8S_ENDPOINTS || kind > FL_K8S_POD) return;
    fl_io_defer(c->io, &c->run);
}

int fl_endpoints_controller_init(struct fl_endpoints_controller *c, struct fl_io *io,
                                 struct fl_cluster *cluster) {
    *c = (struct fl_endpoints_controller){.io = io, .cluster = cluster};
    fl_task_init(&c->run, run);
    fl_list_init(&c->observer.link);
    if (fl_io_timer_init(io, &c->again, run_again)) return FL_ENOMEM;
    c->observer.on_event = on_event;
    fl_list_push(&fl_cluster_store(cluster)->observers, &c->observer.link);
    return 0;
}

void fl_endpoints_controller_stop(struct fl_endpoints_controller *c) {
    fl_list_remove(&c->observer.link);
    fl_io_timer_clear(c->io, &c->again);
}

void fl_endpoints_controller_deinit(struct fl_endpoints_controller *c) {
    if (!c->io) return;
    fl_list_remove(&c->observer.link);
    fl_io_timer_deinit(c->io, &c->again);
}
