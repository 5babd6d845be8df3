/* object.c - life of the simulated cluster's objects: counting, copying, labels. One thread. */
#include "sim/object.h"

#include "base/alloc.h"

/* --- strings of one allocation --- */

static struct fl_str put(char **at, struct fl_str text) {
    struct fl_str copy = {*at, text.n};
    if (text.n) memcpy(*at, text.p, text.n);
    *at += text.n;
    return copy;
}

int fl_identity_new(const struct fl_identity *of, struct fl_identity **out) {
    size_t text = of->ns.n + of->name.n + of->service.n + of->address.n + of->node.n + of->zone.n;
    struct fl_identity *identity = fl_alloc(sizeof *identity + text);
    *out = identity;
    if (!identity) return FL_ENOMEM;
    char *at = (char *)(identity + 1);
    *identity = *of;
    identity->refs = 1;
    identity->ns = put(&at, of->ns);
    identity->name = put(&at, of->name);
    identity->service = put(&at, of->service);
    identity->address = put(&at, of->address);
    identity->node = put(&at, of->node);
    identity->zone = put(&at, of->zone);
    return 0;
}

struct fl_identity *fl_identity_ref(struct fl_identity *identity) {
    identity->refs++;
    return identity;
}

struct fl_identity *fl_identity_unref(struct fl_identity *identity) {
    if (identity && --identity->refs == 0) fl_free(identity);
    return NULL;
}

static size_t facts_text(const struct fl_facts *f) {
    size_t n = f->external_name.n + f->cluster_ip.n;
    for (size_t i = 0; i < f->port_count; i++) {
        const struct fl_k8s_service_port *p = &f->ports[i];
        n += p->name.n + p->protocol.n + p->app_protocol.n + p->target_name.n;
    }
    return n;
}

int fl_facts_new(const struct fl_facts *of, struct fl_facts **out) {
    size_t ports = of->port_count * sizeof *of->ports;
    struct fl_facts *facts = fl_alloc(sizeof *facts + ports + facts_text(of));
    *out = facts;
    if (!facts) return FL_ENOMEM;
    struct fl_k8s_service_port *copy = (struct fl_k8s_service_port *)(facts + 1);
    char *at = (char *)(copy + of->port_count);
    *facts = (struct fl_facts){.refs = 1, .ports = copy, .port_count = of->port_count};
    facts->external_name = put(&at, of->external_name);
    facts->cluster_ip = put(&at, of->cluster_ip);
    for (size_t i = 0; i < of->port_count; i++) {
        copy[i] = of->ports[i];
        copy[i].name = put(&at, of->ports[i].name);
        copy[i].protocol = put(&at, of->ports[i].protocol);
        copy[i].app_protocol = put(&at, of->ports[i].app_protocol);
        copy[i].target_name = put(&at, of->ports[i].target_name);
    }
    return 0;
}

struct fl_facts *fl_facts_ref(struct fl_facts *facts) {
    facts->refs++;
    return facts;
}

struct fl_facts *fl_facts_unref(struct fl_facts *facts) {
    if (facts && --facts->refs == 0) fl_free(facts);
    return NULL;
}

/* --- objects --- */

int fl_object_new(enum fl_k8s_kind kind, struct fl_identity *identity, struct fl_facts *facts,
                  size_t room, struct fl_object **out) {
    struct fl_object *object = fl_alloc(sizeof *object);
    *out = NULL;
    if (!object) return FL_ENOMEM;
    *object = (struct fl_object){.refs = 1, .kind = kind, .identity = fl_identity_ref(identity)};
    if (facts) object->facts = fl_facts_ref(facts);
    if (room && kind == FL_K8S_ENDPOINTSLICE)
        object->entries = fl_calloc(room, sizeof *object->entries);
    if (room && kind == FL_K8S_ENDPOINTS) object->slices = fl_calloc(room, sizeof *object->slices);
    if (room && !object->entries && !object->slices) {
        fl_object_unref(object);
        return FL_ENOMEM;
    }
    for (int i = 0; i < 2; i++) fl_buf_init(&object->bytes[i], FL_K8S_FRAME_MAX);
    *out = object;
    return 0;
}

int fl_object_copy(const struct fl_object *of, size_t more, struct fl_object **out) {
    FL_ASSERT(of->kind != FL_K8S_ENDPOINTS || of->body); /* those are made anew each time */
    int rc = fl_object_new(of->kind, of->identity, of->facts, of->entry_count + more, out);
    if (rc) return rc;
    struct fl_object *copy = *out;
    copy->phase = of->phase;
    copy->terminating = of->terminating;
    copy->rollout = of->rollout;
    copy->overlay = json_incref(of->overlay);
    if (of->body && !(copy->body = json_deep_copy(of->body))) {
        fl_object_unref(copy);
        return FL_ENOMEM;
    }
    copy->entry_count = of->entry_count;
    for (size_t i = 0; i < of->entry_count; i++) {
        copy->entries[i] = of->entries[i];
        fl_identity_ref(copy->entries[i].pod);
    }
    return 0;
}

int fl_object_take_body(enum fl_k8s_kind kind, struct fl_identity *identity, json_t *body,
                        struct fl_object **out) {
    int rc = fl_object_new(kind, identity, NULL, 0, out);
    if (rc)
        json_decref(body);
    else
        (*out)->body = body;
    return rc;
}

struct fl_object *fl_object_ref(struct fl_object *object) {
    object->refs++;
    return object;
}

struct fl_object *fl_object_unref(struct fl_object *object) {
    if (!object || --object->refs) return NULL;
    for (size_t i = 0; i < object->entry_count; i++) fl_identity_unref(object->entries[i].pod);
    for (size_t i = 0; i < object->slice_count; i++) fl_object_unref(object->slices[i]);
    for (int i = 0; i < 2; i++) fl_buf_deinit(&object->bytes[i]);
    fl_free(object->entries);
    fl_free(object->slices);
    fl_facts_unref(object->facts);
    fl_identity_unref(object->identity);
    json_decref(object->body);
    json_decref(object->overlay);
    fl_free(object);
    return NULL;
}

int fl_object_cmp(const struct fl_object *object, struct fl_str ns, struct fl_str name) {
    int order = fl_str_cmp(object->identity->ns, ns);
    return order ? order : fl_str_cmp(object->identity->name, name);
}

size_t fl_object_labels(const struct fl_object *object,
                        struct fl_k8s_label out[FL_OBJECT_LABELS_MAX]) {
    struct fl_str service = object->identity->service;
    switch (object->kind) {
    case FL_K8S_ENDPOINTSLICE:
        out[0] = (struct fl_k8s_label){FL_STR("endpointslice.kubernetes.io/managed-by"),
                                       FL_STR("endpointslice-controller.k8s.io")};
        out[1] = (struct fl_k8s_label){FL_STR("kubernetes.io/service-name"), service};
        return 2;
    case FL_K8S_POD:
    case FL_K8S_SERVICE:
    case FL_K8S_DEPLOYMENT:
        out[0] = (struct fl_k8s_label){FL_STR("app"), service};
        return 1;
    default:
        return 0;
    }
}

/* A string of a tree, by its path. */
static bool text_at(const json_t *tree, const char *one, const char *two, struct fl_str key,
                    struct fl_str *value) {
    const json_t *at = json_object_get(json_object_get(tree, one), two);
    at = key.n ? json_object_getn(at, key.p, key.n) : at;
    if (!json_is_string(at)) return false;
    *value = fl_str_n(json_string_value(at), json_string_length(at));
    return true;
}

/* What users said about a label of an object that the cluster made: a null removed it. */
static bool is_label_changed(const struct fl_object *object, struct fl_str key) {
    const json_t *labels = json_object_get(json_object_get(object->overlay, "metadata"), "labels");
    return json_object_getn(labels, key.p, key.n) != NULL;
}

bool fl_object_label(const struct fl_object *object, struct fl_str key, struct fl_str *value) {
    struct fl_k8s_label labels[FL_OBJECT_LABELS_MAX];
    *value = FL_STR_NONE;
    if (!key.n) return false;
    if (object->body) return text_at(object->body, "metadata", "labels", key, value);
    if (object->overlay && is_label_changed(object, key))
        return text_at(object->overlay, "metadata", "labels", key, value);
    size_t n = fl_object_labels(object, labels);
    for (size_t i = 0; i < n; i++) {
        if (!fl_str_eq(labels[i].key, key)) continue;
        *value = labels[i].value;
        return true;
    }
    return false;
}

bool fl_object_field(const struct fl_object *object, struct fl_str key, struct fl_str *value) {
    const struct fl_identity *who = object->identity;
    const json_t *body = object->body;
    *value = FL_STR_NONE;
    if (fl_str_eq(key, FL_STR("metadata.name")))
        *value = who->name;
    else if (fl_str_eq(key, FL_STR("metadata.namespace")))
        *value = who->ns;
    else if (fl_str_eq(key, FL_STR("spec.nodeName")))
        return body ? text_at(body, "spec", "nodeName", FL_STR_NONE, value)
                    : (*value = who->node, true);
    else if (fl_str_eq(key, FL_STR("status.podIP")))
        return body ? text_at(body, "status", "podIP", FL_STR_NONE, value)
                    : (*value = who->address, object->phase != FL_OBJECT_PENDING);
    else if (fl_str_eq(key, FL_STR("status.phase")) && body)
        return text_at(body, "status", "phase", FL_STR_NONE, value);
    else if (fl_str_eq(key, FL_STR("status.phase")))
        *value = object->phase == FL_OBJECT_PENDING ? FL_STR("Pending") : FL_STR("Running");
    else
        return false;
    return true;
}

void fl_object_superseded(struct fl_object *object) {
    object->newest = false;
    for (int i = 0; i < 2; i++) {
        fl_buf_truncate(&object->bytes[i], 0);
        fl_buf_release(&object->bytes[i]);
    }
}
