/* api_write.c - see api_write.h.
 *
 * Every change ends in one new tree, which is checked, given what only the server may say (uid,
 * time, version) and stored. Optimistic concurrency: a version that stands in the new tree must be
 * the object's. */
#include "sim/api_write.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "sim/api_scale.h"
#include "sim/api_validate.h"
#include "sim/cluster_inner.h"
#include "sim/json_patch.h"

struct write {
    const struct fl_api_call *call;
    const struct fl_api_request *request;
    const struct fl_resource *resource;
    struct fl_cluster *cluster;
    const struct fl_api_hooks *hooks;
    struct fl_api_status status;
    char full_name[64];
};

/* --- failures --- */

static int nomem(struct write *w) {
    return fl_api_fail(&w->status, 500, "InternalError", "out of memory");
}

static int conflict(struct write *w, struct fl_str name, const char *why) {
    return fl_api_fail(&w->status, 409, "Conflict",
                       "Operation cannot be fulfilled on %s \"%.*s\": %s", w->full_name,
                       FL_STR_ARG(name), why);
}

static int is_the_clusters(struct write *w) {
    return fl_api_fail(
        &w->status, 403, "Forbidden",
        "%s \"%.*s\" is made by the simulated controllers: change its Service or its "
        "pods instead",
        w->full_name, FL_STR_ARG(w->request->name));
}

/* --- trees --- */

static json_t *meta_of(const json_t *tree) { return json_object_get(tree, "metadata"); }

static struct fl_str meta_text(const json_t *tree, const char *key) {
    return fl_str_of(json_string_value(json_object_get(meta_of(tree), key)));
}

static int set_text(json_t *object, const char *key, const char *value) {
    return json_object_set_new(object, key, json_string(value)) ? FL_ENOMEM : 0;
}

static void time_text(const struct fl_cluster *cluster, char out[FL_TIME_TEXT_MAX]) {
    fl_time_format(cluster->now_s * 1000, out);
    char *dot = strchr(out, '.');
    if (dot) memcpy(dot, "Z", 2); /* metav1.Time has whole seconds */
}

/* kind, apiVersion and namespace are the request's, or absent. */
static int check_head(struct write *w, json_t *tree) {
    char version[64];
    const struct fl_api_request *r = w->request;
    fl_resource_api_version(w->resource, version);
    const char *kind = json_string_value(json_object_get(tree, "kind"));
    const char *api = json_string_value(json_object_get(tree, "apiVersion"));
    if (!json_is_object(tree) || (kind && strcmp(kind, w->resource->kind_name) != 0) ||
        (api && strcmp(api, version) != 0))
        return fl_api_fail(&w->status, 400, "BadRequest",
                           "the object provided is no %s of %s (kind %s, apiVersion %s)",
                           w->resource->kind_name, version, kind ? kind : "unset",
                           api ? api : "unset");
    if (!meta_of(tree) && json_object_set_new(tree, "metadata", json_object())) return nomem(w);
    struct fl_str ns = meta_text(tree, "namespace");
    if (w->resource->namespaced && ns.n && !fl_str_eq(ns, r->ns))
        return fl_api_fail(&w->status, 400, "BadRequest",
                           "the namespace of the provided object does not match the namespace sent "
                           "on the request");
    if (set_text(tree, "kind", w->resource->kind_name) || set_text(tree, "apiVersion", version))
        return nomem(w);
    return 0;
}

/* --- storing --- */

static struct fl_str service_of(enum fl_k8s_kind kind, const json_t *tree, struct fl_str name) {
    const json_t *labels = json_object_get(meta_of(tree), "labels");
    const char *service = json_string_value(json_object_get(labels, "kubernetes.io/service-name"));
    return kind == FL_K8S_ENDPOINTSLICE && service ? fl_str_of(service) : name;
}

static int make_identity(struct write *w, const json_t *tree, struct fl_identity **out) {
    struct fl_str name = meta_text(tree, "name");
    struct fl_identity of = {.ns = w->resource->namespaced ? w->request->ns : FL_STR_NONE,
                             .name = name,
                             .service = service_of(w->request->kind, tree, name),
                             .created_s = w->cluster->now_s};
    fl_str_copy(of.uid, sizeof of.uid, meta_text(tree, "uid"));
    return fl_identity_new(&of, out);
}

/* Stores the object; it stays the caller's to show. */
static int store(struct write *w, enum fl_k8s_event event, struct fl_object *object) {
    int rc = fl_stage_take(w->cluster, event, fl_object_ref(object));
    return fl_stage_commit(w->cluster, NULL, rc) ? nomem(w) : 0;
}

static int store_and_show(struct write *w, enum fl_k8s_event event, int http_status,
                          struct fl_object *object) {
    int code = w->request->dry_run ? 0 : store(w, event, object);
    if (!code) fl_api_reply_made(w->call, http_status, object);
    return code;
}

/* Takes the tree. */
static int take_tree(struct write *w, struct fl_identity *identity, json_t *tree,
                     struct fl_object **out) {
    if (json_dumpb(tree, NULL, 0, JSON_COMPACT) > FL_API_OBJECT_MAX) {
        json_decref(tree);
        return fl_api_fail(&w->status, 413, "RequestEntityTooLarge",
                           "etcdserver: request is too large");
    }
    return fl_object_take_body(w->request->kind, identity, tree, out) ? nomem(w) : 0;
}

/* --- create --- */

static int make_name(struct write *w, json_t *tree) {
    struct fl_str prefix = meta_text(tree, "generateName");
    char name[300];
    if (meta_text(tree, "name").n || !prefix.n || prefix.n > 248) return 0;
    fl_str_copy(name, sizeof name, prefix);
    fl_cluster_letters(w->cluster, name + prefix.n, 5);
    return set_text(meta_of(tree), "name", name) ? nomem(w) : 0;
}

/* What only the server may say. */
static int give_birth(struct write *w, json_t *tree) {
    char uid[FL_UID_TEXT + 1], created[FL_TIME_TEXT_MAX];
    json_t *meta = meta_of(tree);
    fl_cluster_uid(w->cluster, uid);
    time_text(w->cluster, created);
    json_object_del(meta, "resourceVersion");
    json_object_del(meta, "managedFields");
    int rc = set_text(meta, "uid", uid);
    if (!rc) rc = set_text(meta, "creationTimestamp", created);
    if (!rc && w->resource->namespaced) {
        char ns[64];
        fl_str_copy(ns, sizeof ns, w->request->ns);
        rc = set_text(meta, "namespace", ns);
    }
    return rc ? nomem(w) : 0;
}

static int create_tree(struct write *w, json_t *tree) {
    struct fl_identity *identity;
    struct fl_object *object;
    int code = check_head(w, tree);
    if (!code) code = make_name(w, tree);
    if (!code) code = fl_api_default(w->cluster, w->request->kind, tree, &w->status);
    if (!code) code = fl_api_validate(w->resource, tree, &w->status);
    if (!code) code = give_birth(w, tree);
    if (code) return code;
    struct fl_str name = meta_text(tree, "name"), ns = w->request->ns;
    const struct fl_object_list *all = &w->cluster->store.kinds[w->request->kind];
    if (fl_store_find(&w->cluster->store, w->request->kind, ns, name))
        return fl_api_fail(&w->status, 409, "AlreadyExists", "%s \"%.*s\" already exists",
                           w->full_name, FL_STR_ARG(name));
    if (all->count >= FL_STORE_OBJECTS_MAX)
        return fl_api_fail(&w->status, 507, "InsufficientStorage",
                           "the simulated cluster holds %d %s, which is the most that it takes",
                           FL_STORE_OBJECTS_MAX, w->full_name);
    if (make_identity(w, tree, &identity)) return nomem(w);
    code = take_tree(w, identity, json_incref(tree), &object);
    fl_identity_unref(identity);
    if (code) return code;
    code = store_and_show(w, FL_K8S_ADDED, 201, object);
    fl_object_unref(object);
    return code;
}

static int create(struct write *w, struct fl_str body) {
    json_t *tree;
    if (w->resource->namespaced && !w->request->ns.n)
        return fl_api_fail(&w->status, 405, "MethodNotAllowed", "%s are created in a namespace",
                           w->full_name);
    int code = fl_api_parse_body(w->request, body, &tree, &w->status);
    if (!code) code = create_tree(w, tree);
    json_decref(tree);
    return code;
}

/* --- update and patch --- */

/* The parts of an object that this request may not touch come from what is stored. */
static int keep(struct write *w, json_t *tree, const json_t *old) {
    static const char *const kept[] = {"uid", "creationTimestamp", "name", "namespace"};
    bool status = w->request->subresource == FL_SUBRESOURCE_STATUS;
    const char *key;
    json_t *value;
    int rc = 0;
    for (size_t i = 0; i < FL_COUNT(kept) && !rc; i++) {
        value = json_object_get(meta_of(old), kept[i]);
        if (value) rc = json_object_set(meta_of(tree), kept[i], value);
    }
    json_object_del(meta_of(tree), "managedFields");
    if (!rc && w->resource->has_status && !status) {
        value = json_object_get(old, "status");
        rc = value ? json_object_set(tree, "status", value) : (json_object_del(tree, "status"), 0);
    }
    json_object_foreach ((json_t *)old, key, value)
        if (status && !rc && strcmp(key, "status") != 0 && strcmp(key, "metadata") != 0)
            rc = json_object_set(tree, key, value);
    return rc ? nomem(w) : 0;
}

static int check_version(struct write *w, const json_t *tree, const struct fl_object *old) {
    struct fl_str version = meta_text(tree, "resourceVersion"), uid = meta_text(tree, "uid");
    uint64_t number;
    if (uid.n && !fl_str_eq(uid, fl_str_of(old->identity->uid)))
        return conflict(w, old->identity->name,
                        "the object has been replaced: another uid is precondition");
    if (!version.n || (fl_str_u64(version, &number) && number == old->version)) return 0;
    return conflict(w, old->identity->name,
                    "the object has been modified; please apply your changes to the latest version "
                    "and try again");
}

/* A Deployment of the simulation: its number of pods and its template are orders, labels and
 * annotations are kept. */
static int order(struct write *w, const json_t *tree, const json_t *old) {
    const struct fl_api_hooks *hooks = w->hooks;
    const struct fl_api_request *r = w->request;
    const json_t *spec = json_object_get(tree, "spec"), *was = json_object_get(old, "spec");
    json_int_t replicas = json_integer_value(json_object_get(spec, "replicas"));
    int rc = 0;
    if (!hooks) return is_the_clusters(w);
    if (replicas < 0 || replicas > FL_API_REPLICAS_MAX)
        return fl_api_fail(
            &w->status, 422, "Invalid",
            "Deployment.apps \"%.*s\" is invalid: spec.replicas: Invalid value: %lld: "
            "must be 0 to %d",
            FL_STR_ARG(r->name), (long long)replicas, FL_API_REPLICAS_MAX);
    if (r->dry_run) return 0;
    if (!json_equal(json_object_get(spec, "template"), json_object_get(was, "template")) &&
        r->subresource != FL_SUBRESOURCE_SCALE)
        rc = hooks->restart(hooks->arg, r->ns, r->name);
    if (!rc && replicas != json_integer_value(json_object_get(was, "replicas")))
        rc = hooks->scale(hooks->arg, r->ns, r->name, (unsigned)replicas);
    return rc ? nomem(w) : 0;
}

/* Of an object that the cluster makes: what is to be shown beside what it says itself. */
static int overlay(struct write *w, struct fl_object *old, json_t *tree, struct fl_object **out) {
    struct fl_object *plain;
    if (old->kind == FL_K8S_ENDPOINTSLICE || old->kind == FL_K8S_ENDPOINTS)
        return is_the_clusters(w);
    if (fl_object_copy(old, 0, &plain)) return nomem(w);
    json_decref(plain->overlay);
    plain->overlay = NULL;
    plain->version = old->version;
    json_t *made = fl_object_json(plain), *diff = made ? fl_json_diff(made, tree) : NULL;
    json_decref(made);
    plain->version = 0;
    plain->overlay = diff;
    if (!diff) {
        fl_object_unref(plain);
        return nomem(w);
    }
    *out = plain;
    return 0;
}

static int change_deployment(struct write *w, struct fl_object *old, json_t *tree,
                             const json_t *was) {
    int code = order(w, tree, was);
    if (code) return code;
    struct fl_object *now =
        fl_store_find(&w->cluster->store, old->kind, w->request->ns, w->request->name);
    if (w->request->subresource == FL_SUBRESOURCE_SCALE)
        fl_api_reply_scale(w->call, now ? now : old);
    else
        fl_api_reply_made(w->call, 200, now ? now : old);
    return 0;
}

/* The object as it is to be; `tree` is whole and checked. */
static int replace(struct write *w, struct fl_object *old, json_t *tree) {
    struct fl_object *object;
    if (old->body) json_object_del(meta_of(tree), "resourceVersion"); /* the object's own says it */
    int code = old->body ? take_tree(w, old->identity, json_incref(tree), &object)
                         : overlay(w, old, tree, &object);
    if (code) return code;
    code = store_and_show(w, FL_K8S_MODIFIED, 200, object);
    fl_object_unref(object);
    return code;
}

static int change(struct write *w, struct fl_object *old, json_t *tree, const json_t *was) {
    bool scale = w->request->subresource == FL_SUBRESOURCE_SCALE;
    int code = scale ? 0 : check_head(w, tree);
    if (!code) code = check_version(w, tree, old);
    if (code) return code;
    if (old->kind == FL_K8S_DEPLOYMENT && !old->body) return change_deployment(w, old, tree, was);
    if (!fl_str_eq(meta_text(tree, "name"), old->identity->name))
        return fl_api_fail(&w->status, 400, "BadRequest",
                           "the name of the object does not match the name on the URL");
    code = keep(w, tree, was);
    if (!code) code = fl_api_default(w->cluster, w->request->kind, tree, &w->status);
    if (!code) code = fl_api_validate(w->resource, tree, &w->status);
    if (code) return code;
    if (json_object_set(meta_of(tree), "resourceVersion",
                        json_object_get(meta_of(was), "resourceVersion")))
        return nomem(w);
    if (json_equal(tree, was)) { /* nothing changes, no new version */
        fl_api_reply_made(w->call, 200, old);
        return 0;
    }
    return replace(w, old, tree);
}

static int apply_patch(struct write *w, json_t *tree, const json_t *patch) {
    struct fl_error err = {0};
    int rc = FL_EUSAGE;
    if (w->request->patch != FL_API_PATCH_JSON && !json_is_object(patch))
        fl_fail(&err, rc, "a merge patch is an object");
    else if (w->request->patch == FL_API_PATCH_JSON)
        rc = fl_json_patch(tree, patch, &err);
    else if (w->request->patch == FL_API_PATCH_STRATEGIC)
        rc = fl_json_strategic(tree, patch, &err);
    else
        rc = fl_json_merge(tree, patch);
    if (!rc) return 0;
    if (rc == FL_ENOMEM) return nomem(w);
    if (rc == FL_ENOT_FOUND)
        return fl_api_fail(&w->status, 422, "Invalid",
                           "the server rejected our request due to an "
                           "error in our request: %s",
                           err.detail);
    return fl_api_fail(&w->status, 400, "BadRequest", "%s", err.detail);
}

static json_t *shown_tree(const struct write *w, struct fl_object *object) {
    return w->request->subresource == FL_SUBRESOURCE_SCALE ? fl_api_scale_json(object)
                                                           : fl_object_json(object);
}

static int update(struct write *w, struct fl_str body) {
    const struct fl_api_request *r = w->request;
    struct fl_object *old = fl_store_find(&w->cluster->store, r->kind, r->ns, r->name);
    json_t *given = NULL, *tree = NULL, *was = NULL;
    bool patch = r->verb == FL_API_PATCH;
    if (!old) return fl_api_not_found(&w->status, r);
    int code = fl_api_parse_body(w->request, body, &given, &w->status);
    if (!code) {
        was = shown_tree(w, old);
        tree = patch ? shown_tree(w, old) : json_incref(given);
        if (!was || !tree) code = nomem(w);
    }
    if (!code && patch) code = apply_patch(w, tree, given);
    fl_object_ref(old);
    if (!code) code = change(w, old, tree, was);
    fl_object_unref(old);
    json_decref(given);
    json_decref(tree);
    json_decref(was);
    return code;
}

/* --- delete --- */

static int remove_body(struct write *w, const struct fl_object *object) {
    struct fl_object *last;
    if (fl_object_copy(object, 0, &last)) return nomem(w);
    int rc = fl_stage_take(w->cluster, FL_K8S_DELETED, last);
    return fl_stage_commit(w->cluster, NULL, rc) ? nomem(w) : 0;
}

static int remove_pod(struct write *w, struct fl_str ns, struct fl_str name) {
    int rc = w->hooks ? w->hooks->pod_delete(w->hooks->arg, ns, name) : FL_ENOT_FOUND;
    if (rc == FL_ENOT_FOUND) rc = fl_cluster_pod_delete(w->cluster, ns, name);
    return rc ? nomem(w) : 0;
}

static int remove_object(struct write *w, struct fl_object *object) {
    const struct fl_identity *who = object->identity;
    if (object->body) return remove_body(w, object);
    switch (object->kind) {
    case FL_K8S_SERVICE:
        return fl_cluster_service_delete(w->cluster, who->ns, who->name) ? nomem(w) : 0;
    case FL_K8S_POD:
        return remove_pod(w, who->ns, who->name);
    default:
        return is_the_clusters(w);
    }
}

/* DeleteOptions.preconditions. */
static int check_preconditions(struct write *w, const json_t *options,
                               const struct fl_object *object) {
    const json_t *conditions = json_object_get(options, "preconditions");
    struct fl_str uid = fl_str_of(json_string_value(json_object_get(conditions, "uid")));
    struct fl_str version =
        fl_str_of(json_string_value(json_object_get(conditions, "resourceVersion")));
    uint64_t number;
    if (uid.n && !fl_str_eq(uid, fl_str_of(object->identity->uid)))
        return conflict(w, object->identity->name, "Precondition failed: UID in precondition");
    if (version.n && !(fl_str_u64(version, &number) && number == object->version))
        return conflict(w, object->identity->name,
                        "Precondition failed: resourceVersion in precondition");
    return 0;
}

static void reply_success(const struct write *w, const struct fl_identity *who) {
    struct fl_buf body;
    fl_buf_init(&body, FL_API_BODY_MAX);
    int rc =
        fl_buf_printf(&body,
                      "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
                      "\"status\":\"Success\",\"details\":{\"name\":\"%.*s\",\"group\":\"%s\","
                      "\"kind\":\"%s\",\"uid\":\"%s\"}}",
                      FL_STR_ARG(who->name), w->resource->group, w->resource->plural, who->uid);
    if (rc) fl_buf_consume(&body, body.len); /* the code alone must do */
    fl_api_reply_take(w->call, 200, "application/json", 0, &body);
    fl_buf_deinit(&body);
}

static int delete_one(struct write *w, const json_t *options) {
    const struct fl_api_request *r = w->request;
    struct fl_object *object = fl_store_find(&w->cluster->store, r->kind, r->ns, r->name);
    if (!object) return fl_api_not_found(&w->status, r);
    fl_object_ref(object);
    int code = check_preconditions(w, options, object);
    if (!code && !r->dry_run) code = remove_object(w, object);
    if (!code) reply_success(w, object->identity);
    fl_object_unref(object);
    return code;
}

static int delete_all(struct write *w) {
    const struct fl_identity nobody = {.name = FL_STR_NONE};
    struct fl_object_list list;
    int code = 0;
    if (fl_store_state_at(&w->cluster->store, w->request->kind, w->cluster->store.version, &list))
        code = nomem(w);
    for (size_t i = 0; i < list.count && !code; i++)
        if (fl_api_request_selects(w->request, list.items[i]) && !w->request->dry_run)
            code = remove_object(w, list.items[i]);
    fl_object_list_deinit(&list);
    if (!code) reply_success(w, &nobody);
    return code;
}

static int delete_what(struct write *w, struct fl_str body) {
    json_t *options = NULL;
    int code = body.n ? fl_api_parse_body(w->request, body, &options, &w->status) : 0;
    if (!code) code = w->request->name.n ? delete_one(w, options) : delete_all(w);
    json_decref(options);
    return code;
}

/* --- all --- */

void fl_api_write(const struct fl_api_call *call, struct fl_cluster *cluster,
                  const struct fl_api_hooks *hooks, struct fl_str body) {
    struct write w = {.call = call,
                      .request = &call->request,
                      .resource = fl_resource_of(call->request.kind),
                      .cluster = cluster,
                      .hooks = hooks};
    int code;
    fl_resource_full_name(w.resource, w.full_name);
    fl_cluster_time(cluster, call->request.now_s);
    if (fl_cluster_reconcile(cluster))
        code = nomem(&w);
    else if (call->request.verb == FL_API_CREATE)
        code = create(&w, body);
    else if (call->request.verb == FL_API_DELETE)
        code = delete_what(&w, body);
    else
        code = update(&w, body);
    if (code) fl_api_reply_status(call, &w.status);
}
