/* object_encode.c - the simulated cluster's objects as bytes, through wire/. One thread.
 *
 * Pods have no encoder in wire/, which nobody else needs: here are the few fields that kubectl
 * shows. Source: generated.proto of k8s.io/api core/v1. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "sim/object.h"
#include "wire/json_write.h"
#include "wire/pb.h"

struct meta_text { /* what a struct fl_k8s_meta borrows */
    struct fl_k8s_label labels[FL_OBJECT_LABELS_MAX], truncated;
    char version[24];
};

static void fill_meta(const struct fl_object *object, struct meta_text *text,
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
    struct meta_text text;
    struct fl_k8s_slice_spec spec = {.address_type = FL_STR("IPv4"),
                                     .endpoints = endpoints,
                                     .endpoint_count = object->entry_count,
                                     .ports = ports,
                                     .port_count = object->facts->port_count};
    int rc = FL_ENOMEM;
    if (endpoints && ports) {
        fill_meta(object, &text, &spec.meta);
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
    struct meta_text text;
    struct fl_k8s_slice_spec spec = {
        .endpoints = endpoints, .ports = ports, .port_count = object->facts->port_count};
    int rc = FL_ENOMEM;
    if (endpoints && ports) {
        fill_meta(object, &text, &spec.meta);
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
    struct meta_text text;
    struct fl_k8s_service_spec spec = {.type =
                                           external ? FL_STR("ExternalName") : FL_STR("ClusterIP"),
                                       .cluster_ip = facts->cluster_ip,
                                       .external_name = facts->external_name,
                                       .ports = facts->ports,
                                       .port_count = facts->port_count};
    fill_meta(object, &text, &spec.meta);
    return fl_k8s_encode_service(out, format, &spec);
}

/* --- pods --- */

static const char *phase_name(const struct fl_object *pod) {
    return pod->phase == FL_OBJECT_PENDING ? "Pending" : "Running";
}

static void time_text(int64_t seconds, char *out, size_t size) {
    time_t time = (time_t)seconds;
    struct tm tm;
    size_t n = gmtime_r(&time, &tm) ? strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) : 0;
    out[n] = 0;
}

static void json_text(struct fl_json_writer *w, const char *key, struct fl_str value) {
    fl_json_put_key(w, fl_str_of(key));
    fl_json_put_string(w, value);
}

static void json_meta(struct fl_json_writer *w, const struct fl_object *pod) {
    const struct fl_identity *who = pod->identity;
    struct meta_text text;
    struct fl_k8s_meta meta;
    char created[32];
    fill_meta(pod, &text, &meta);
    time_text(who->created_s, created, sizeof created);
    fl_json_put_key(w, FL_STR("metadata"));
    fl_json_put_begin(w, '{');
    json_text(w, "name", who->name);
    json_text(w, "namespace", who->ns);
    json_text(w, "uid", meta.uid);
    json_text(w, "resourceVersion", meta.resource_version);
    json_text(w, "creationTimestamp", fl_str_of(created));
    if (pod->terminating) json_text(w, "deletionTimestamp", fl_str_of(created));
    fl_json_put_key(w, FL_STR("labels"));
    fl_json_put_begin(w, '{');
    json_text(w, "app", who->service);
    fl_json_put_end(w, '}');
    fl_json_put_end(w, '}');
}

static void json_containers(struct fl_json_writer *w, const struct fl_object *pod) {
    fl_json_put_key(w, FL_STR("containerStatuses"));
    fl_json_put_begin(w, '[');
    fl_json_put_begin(w, '{');
    json_text(w, "name", FL_STR("echo"));
    fl_json_put_key(w, FL_STR("ready"));
    fl_json_put_bool(w, pod->phase == FL_OBJECT_READY);
    fl_json_put_key(w, FL_STR("restartCount"));
    fl_json_put_int(w, 0);
    json_text(w, "image", FL_STR("echo"));
    json_text(w, "imageID", FL_STR(""));
    fl_json_put_key(w, FL_STR("state"));
    fl_json_put_begin(w, '{');
    fl_json_put_key(w, pod->phase == FL_OBJECT_PENDING ? FL_STR("waiting") : FL_STR("running"));
    fl_json_put_begin(w, '{');
    fl_json_put_end(w, '}');
    fl_json_put_end(w, '}');
    fl_json_put_end(w, '}');
    fl_json_put_end(w, ']');
}

static void json_status(struct fl_json_writer *w, const struct fl_object *pod) {
    bool ready = pod->phase == FL_OBJECT_READY;
    fl_json_put_key(w, FL_STR("status"));
    fl_json_put_begin(w, '{');
    json_text(w, "phase", fl_str_of(phase_name(pod)));
    fl_json_put_key(w, FL_STR("conditions"));
    fl_json_put_begin(w, '[');
    fl_json_put_begin(w, '{');
    json_text(w, "type", FL_STR("Ready"));
    json_text(w, "status", ready ? FL_STR("True") : FL_STR("False"));
    fl_json_put_end(w, '}');
    fl_json_put_end(w, ']');
    if (pod->phase != FL_OBJECT_PENDING) json_text(w, "podIP", pod->identity->address);
    json_containers(w, pod);
    fl_json_put_end(w, '}');
}

static int encode_pod_json(const struct fl_object *pod, struct fl_buf *out) {
    struct fl_json_writer w = fl_json_writer_of(out);
    fl_json_put_begin(&w, '{');
    json_text(&w, "kind", FL_STR("Pod"));
    json_text(&w, "apiVersion", FL_STR("v1"));
    json_meta(&w, pod);
    fl_json_put_key(&w, FL_STR("spec"));
    fl_json_put_begin(&w, '{');
    json_text(&w, "nodeName", pod->identity->node);
    fl_json_put_key(&w, FL_STR("containers"));
    fl_json_put_begin(&w, '[');
    fl_json_put_begin(&w, '{');
    json_text(&w, "name", FL_STR("echo"));
    json_text(&w, "image", FL_STR("echo"));
    fl_json_put_end(&w, '}');
    fl_json_put_end(&w, ']');
    fl_json_put_end(&w, '}');
    json_status(&w, pod);
    fl_json_put_end(&w, '}');
    return fl_json_finish(&w);
}

static void pb_time(struct fl_pb_writer *w, unsigned number, int64_t seconds) {
    size_t time = fl_pb_open(w, number);
    fl_pb_put_varint(w, 1, (uint64_t)seconds);
    fl_pb_close(w, time);
}

static void pb_meta(struct fl_pb_writer *w, const struct fl_object *pod) {
    struct meta_text text;
    struct fl_k8s_meta meta;
    fill_meta(pod, &text, &meta);
    size_t message = fl_pb_open(w, 1);
    fl_pb_put_text(w, 1, meta.name);
    fl_pb_put_text(w, 3, meta.ns);
    fl_pb_put_text(w, 5, meta.uid);
    fl_pb_put_text(w, 6, meta.resource_version);
    pb_time(w, 8, meta.created_s);
    if (pod->terminating) pb_time(w, 9, meta.created_s);
    size_t label = fl_pb_open(w, 11);
    fl_pb_put_text(w, 1, FL_STR("app"));
    fl_pb_put_text(w, 2, pod->identity->service);
    fl_pb_close(w, label);
    fl_pb_close(w, message);
}

static int encode_pod_pb(const struct fl_object *pod, struct fl_buf *out) {
    struct fl_pb_writer w = fl_pb_writer_of(out);
    pb_meta(&w, pod);
    size_t spec = fl_pb_open(&w, 2);
    size_t container = fl_pb_open(&w, 2);
    fl_pb_put_text(&w, 1, FL_STR("echo"));
    fl_pb_close(&w, container);
    fl_pb_put_text(&w, 10, pod->identity->node);
    fl_pb_close(&w, spec);
    size_t status = fl_pb_open(&w, 3);
    fl_pb_put_text(&w, 1, fl_str_of(phase_name(pod)));
    size_t condition = fl_pb_open(&w, 2);
    fl_pb_put_text(&w, 1, FL_STR("Ready"));
    fl_pb_put_text(&w, 2, pod->phase == FL_OBJECT_READY ? FL_STR("True") : FL_STR("False"));
    fl_pb_close(&w, condition);
    if (pod->phase != FL_OBJECT_PENDING) fl_pb_put_text(&w, 6, pod->identity->address);
    fl_pb_close(&w, status);
    return fl_pb_finish(&w);
}

/* --- all --- */

static int encode(const struct fl_object *object, enum fl_k8s_format format, struct fl_buf *out) {
    switch (object->kind) {
    case FL_K8S_ENDPOINTSLICE:
        return encode_slice(object, format, out);
    case FL_K8S_ENDPOINTS:
        return encode_endpoints(object, format, out);
    case FL_K8S_SERVICE:
        return encode_service(object, format, out);
    default:
        return format == FL_K8S_JSON ? encode_pod_json(object, out) : encode_pod_pb(object, out);
    }
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
