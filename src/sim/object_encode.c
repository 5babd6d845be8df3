/* object_encode.c - the simulated cluster's objects as bytes. One thread.
 *
 * What the cluster makes goes through the encoders of wire/ and never through a tree; what users
 * wrote, or changed, is a tree, which JSON shows as it is and protobuf as far as its fields are
 * known (object_schema.h). */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "sim/json_patch.h"
#include "sim/object_schema.h"
#include "sim/pod_encode.h"

void fl_object_meta(const struct fl_object *object, struct fl_object_meta_text *text,
                    struct fl_k8s_meta *meta) {
    const struct fl_identity *who = object->identity;
    int n = snprintf(text->version, sizeof text->version, "%" PRIu64, object->version);
    *meta = (struct fl_k8s_meta){.name = who->name,
                                 .ns = who->ns,
                                 .uid = fl_str_of(who->uid),
                                 .resource_version = fl_str_n(text->version, (size_t)n),
                                 .created_s = who->created_s,
                                 .labels = text->labels};
    meta->label_count = fl_object_labels(object, text->labels);
}

/* --- slices and Endpoints --- */

static struct fl_k8s_endpoint_spec endpoint_of(const struct fl_entry *entry) {
    return (struct fl_k8s_endpoint_spec){
        .address = entry->pod->address,
        .ready = (entry->flags & FL_ENDPOINT_READY) != 0,
        .serving = (entry->flags & FL_ENDPOINT_SERVING) != 0,
        .terminating = (entry->flags & FL_ENDPOINT_TERMINATING) != 0,
        .node = entry->pod->node,
        .zone = entry->pod->zone,
        .pod = entry->pod->name,
        .pod_uid = fl_str_of(entry->pod->uid),
    };
}

static size_t count_entries(const struct fl_object *object) {
    size_t n = object->entry_count;
    for (size_t i = 0; i < object->slice_count; i++) n += object->slices[i]->entry_count;
    return n;
}

static void fill_ports(const struct fl_facts *facts, struct fl_block_port *out) {
    for (size_t i = 0; i < facts->port_count; i++) {
        const struct fl_k8s_service_port *p = &facts->ports[i];
        out[i] = (struct fl_block_port){p->name, p->protocol, p->app_protocol,
                                        p->target_port ? p->target_port : p->port};
    }
}

static int encode_slice(const struct fl_object *object, enum fl_k8s_format format,
                        struct fl_buf *out) {
    struct fl_k8s_endpoint_spec *endpoints = fl_calloc(object->entry_count + 1, sizeof *endpoints);
    struct fl_block_port *ports = fl_calloc(object->facts->port_count + 1, sizeof *ports);
    struct fl_object_meta_text text;
    struct fl_k8s_slice_spec spec = {.address_type = FL_STR("IPv4"),
                                     .endpoints = endpoints,
                                     .endpoint_count = object->entry_count,
                                     .ports = ports,
                                     .port_count = object->facts->port_count};
    int rc = FL_ENOMEM;
    if (endpoints && ports) {
        fl_object_meta(object, &text, &spec.meta);
        fill_ports(object->facts, ports);
        for (size_t i = 0; i < object->entry_count; i++)
            endpoints[i] = endpoint_of(&object->entries[i]);
        rc = fl_k8s_encode_slice(out, format, &spec);
    }
    fl_free(endpoints);
    fl_free(ports);
    return rc;
}

/* The first FL_ENDPOINTS_ADDRESSES_MAX; terminating pods are left out, as the controller does. */
static size_t fill_endpoints(const struct fl_object *object, struct fl_k8s_endpoint_spec *out) {
    size_t n = 0;
    for (size_t i = 0; i < object->slice_count; i++) {
        const struct fl_object *slice = object->slices[i];
        for (size_t j = 0; j < slice->entry_count && n < FL_ENDPOINTS_ADDRESSES_MAX; j++)
            if (!(slice->entries[j].flags & FL_ENDPOINT_TERMINATING))
                out[n++] = endpoint_of(&slice->entries[j]);
    }
    return n;
}

static int encode_endpoints(const struct fl_object *object, enum fl_k8s_format format,
                            struct fl_buf *out) {
    size_t count = count_entries(object);
    struct fl_k8s_endpoint_spec *endpoints = fl_calloc(count + 1, sizeof *endpoints);
    struct fl_block_port *ports = fl_calloc(object->facts->port_count + 1, sizeof *ports);
    struct fl_object_meta_text text;
    struct fl_k8s_slice_spec spec = {
        .endpoints = endpoints, .ports = ports, .port_count = object->facts->port_count};
    int rc = FL_ENOMEM;
    if (endpoints && ports) {
        fl_object_meta(object, &text, &spec.meta);
        fill_ports(object->facts, ports);
        spec.endpoint_count = fill_endpoints(object, endpoints);
        text.truncated = (struct fl_k8s_label){FL_STR("endpoints.kubernetes.io/over-capacity"),
                                               FL_STR("truncated")};
        spec.meta.annotations = &text.truncated;
        spec.meta.annotation_count = count > FL_ENDPOINTS_ADDRESSES_MAX;
        rc = fl_k8s_encode_endpoints(out, format, &spec);
    }
    fl_free(endpoints);
    fl_free(ports);
    return rc;
}

static int encode_service(const struct fl_object *object, enum fl_k8s_format format,
                          struct fl_buf *out) {
    const struct fl_facts *facts = object->facts;
    bool external = facts->external_name.n != 0;
    struct fl_object_meta_text text;
    struct fl_k8s_service_spec spec = {.type =
                                           external ? FL_STR("ExternalName") : FL_STR("ClusterIP"),
                                       .cluster_ip = facts->cluster_ip,
                                       .external_name = facts->external_name,
                                       .ports = facts->ports,
                                       .port_count = facts->port_count};
    fl_object_meta(object, &text, &spec.meta);
    return fl_k8s_encode_service(out, format, &spec);
}

/* --- all --- */

static int encode_made(const struct fl_object *object, enum fl_k8s_format format,
                       struct fl_buf *out) {
    switch (object->kind) {
    case FL_K8S_ENDPOINTSLICE:
        return encode_slice(object, format, out);
    case FL_K8S_ENDPOINTS:
        return encode_endpoints(object, format, out);
    case FL_K8S_SERVICE:
        return encode_service(object, format, out);
    case FL_K8S_DEPLOYMENT:
        return format == FL_K8S_JSON ? fl_object_encode_deployment(object, out) : FL_EUSAGE;
    default:
        return format == FL_K8S_JSON ? fl_object_encode_pod_json(object, out)
                                     : fl_object_encode_pod_pb(object, out);
    }
}

static int encode(struct fl_object *object, enum fl_k8s_format format, struct fl_buf *out) {
    if (!object->body && !object->overlay) return encode_made(object, format, out);
    json_t *tree = fl_object_json(object);
    if (!tree) return FL_ENOMEM;
    int rc = format == FL_K8S_JSON ? fl_json_print(tree, out)
                                   : fl_schema_encode(object->kind, tree, out);
    json_decref(tree);
    return rc;
}

int fl_object_encode(struct fl_object *object, enum fl_k8s_format format, struct fl_buf *out) {
    struct fl_buf *kept = &object->bytes[format];
    if (!object->newest) return encode(object, format, out);
    if (!kept->len) {
        int rc = encode(object, format, kept);
        if (rc) return rc;
    }
    return fl_buf_append(out, fl_buf_str(kept));
}

/* --- trees --- */

static int set_version(const struct fl_object *object, json_t *tree) {
    char version[24];
    snprintf(version, sizeof version, "%" PRIu64, object->version);
    json_t *text = json_string(version);
    return text ? json_object_set_new(json_object_get(tree, "metadata"), "resourceVersion", text)
                : -1;
}

static json_t *made_json(const struct fl_object *object) {
    struct fl_buf text;
    fl_buf_init(&text, FL_K8S_FRAME_MAX);
    json_t *tree = NULL;
    if (!encode_made(object, FL_K8S_JSON, &text))
        tree = json_loadb(fl_buf_str(&text).p, text.len, 0, NULL);
    fl_buf_deinit(&text);
    if (tree && object->overlay && fl_json_merge(tree, object->overlay)) {
        json_decref(tree);
        return NULL;
    }
    return tree;
}

json_t *fl_object_json(struct fl_object *object) {
    json_t *tree = object->body ? json_deep_copy(object->body) : made_json(object);
    if (tree && !set_version(object, tree)) return tree;
    json_decref(tree);
    return NULL;
}

/* --- metadata alone --- */

static int encode_tree_metadata(struct fl_object *object, enum fl_k8s_format format,
                                struct fl_buf *out) {
    json_t *tree = fl_object_json(object);
    json_t *alone =
        tree ? json_pack("{s:s, s:s, s:O}", "kind", "PartialObjectMetadata", "apiVersion",
                         "meta.k8s.io/v1", "metadata", json_object_get(tree, "metadata"))
             : NULL;
    int rc = !alone                  ? FL_ENOMEM
             : format == FL_K8S_JSON ? fl_json_print(alone, out)
                                     /* metadata is field 1 of every kind */
                                     : fl_schema_encode(FL_K8S_SERVICE, alone, out);
    json_decref(alone);
    json_decref(tree);
    return rc;
}

int fl_object_encode_metadata(struct fl_object *object, enum fl_k8s_format format,
                              struct fl_buf *out) {
    struct fl_object_meta_text text;
    struct fl_k8s_meta meta;
    if (object->body || object->overlay) return encode_tree_metadata(object, format, out);
    fl_object_meta(object, &text, &meta);
    return fl_k8s_encode_metadata(out, format, &meta);
}
