/* k8s_encode_json.c - Kubernetes objects to JSON. Pure; any thread.
 *
 * Keys come in the order of the API server: kind and metadata before what is long. */
#include <time.h>

#include "wire/json_write.h"
#include "wire/k8s_encode.h"

static void put_text(struct fl_json_writer *w, struct fl_str key, struct fl_str value) {
    fl_json_put_key(w, key);
    fl_json_put_string(w, value);
}

static void put_some(struct fl_json_writer *w, struct fl_str key, struct fl_str value) {
    if (value.n) put_text(w, key, value);
}

static void put_int(struct fl_json_writer *w, struct fl_str key, int64_t value) {
    fl_json_put_key(w, key);
    fl_json_put_int(w, value);
}

static void open_object(struct fl_json_writer *w, struct fl_str key) {
    fl_json_put_key(w, key);
    fl_json_put_begin(w, '{');
}

static void open_array(struct fl_json_writer *w, struct fl_str key) {
    fl_json_put_key(w, key);
    fl_json_put_begin(w, '[');
}

static void put_labels(struct fl_json_writer *w, struct fl_str key,
                       const struct fl_k8s_label *labels, size_t count) {
    if (count == 0) return;
    open_object(w, key);
    for (size_t i = 0; i < count; i++) put_text(w, labels[i].key, labels[i].value);
    fl_json_put_end(w, '}');
}

static void put_created(struct fl_json_writer *w, int64_t seconds) {
    char text[32];
    time_t time = (time_t)seconds;
    struct tm tm;
    if (!seconds || !gmtime_r(&time, &tm)) return;
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    put_text(w, FL_STR("creationTimestamp"), fl_str_n(text, n));
}

static void put_meta(struct fl_json_writer *w, const struct fl_k8s_meta *meta) {
    open_object(w, FL_STR("metadata"));
    put_some(w, FL_STR("name"), meta->name);
    put_some(w, FL_STR("namespace"), meta->ns);
    put_some(w, FL_STR("uid"), meta->uid);
    put_some(w, FL_STR("resourceVersion"), meta->resource_version);
    put_created(w, meta->created_s);
    put_labels(w, FL_STR("labels"), meta->labels, meta->label_count);
    put_labels(w, FL_STR("annotations"), meta->annotations, meta->annotation_count);
    fl_json_put_end(w, '}');
}

/* The object's opening, as far as the metadata. */
static void open_kind(struct fl_json_writer *w, enum fl_k8s_kind kind,
                      const struct fl_k8s_meta *meta) {
    const struct fl_k8s_name *name = fl_k8s_name(kind);
    fl_json_put_begin(w, '{');
    put_text(w, FL_STR("kind"), name->kind);
    put_text(w, FL_STR("apiVersion"), name->api_version);
    put_meta(w, meta);
}

static void put_condition(struct fl_json_writer *w, struct fl_str key, int value) {
    if (value < 0) return;
    fl_json_put_key(w, key);
    fl_json_put_bool(w, value > 0);
}

static void put_target(struct fl_json_writer *w, const struct fl_k8s_endpoint_spec *endpoint,
                       struct fl_str ns) {
    if (!endpoint->pod.n) return;
    open_object(w, FL_STR("targetRef"));
    put_text(w, FL_STR("kind"), FL_STR("Pod"));
    put_some(w, FL_STR("namespace"), ns);
    put_text(w, FL_STR("name"), endpoint->pod);
    put_some(w, FL_STR("uid"), endpoint->pod_uid);
    fl_json_put_end(w, '}');
}

static void put_hint_list(struct fl_json_writer *w, struct fl_str key, const struct fl_str *names,
                          size_t count) {
    if (count == 0) return;
    open_array(w, key);
    for (size_t i = 0; i < count; i++) {
        fl_json_put_begin(w, '{');
        put_text(w, FL_STR("name"), names[i]);
        fl_json_put_end(w, '}');
    }
    fl_json_put_end(w, ']');
}

static void put_hints(struct fl_json_writer *w, const struct fl_block_hints *hints) {
    if (!hints) return;
    open_object(w, FL_STR("hints"));
    put_hint_list(w, FL_STR("forZones"), hints->zones, hints->zone_count);
    put_hint_list(w, FL_STR("forNodes"), hints->nodes, hints->node_count);
    fl_json_put_end(w, '}');
}

static void put_endpoint(struct fl_json_writer *w, const struct fl_k8s_endpoint_spec *endpoint,
                         struct fl_str ns) {
    fl_json_put_begin(w, '{');
    open_array(w, FL_STR("addresses"));
    fl_json_put_string(w, endpoint->address);
    fl_json_put_end(w, ']');
    open_object(w, FL_STR("conditions"));
    put_condition(w, FL_STR("ready"), endpoint->ready);
    put_condition(w, FL_STR("serving"), endpoint->serving);
    put_condition(w, FL_STR("terminating"), endpoint->terminating);
    fl_json_put_end(w, '}');
    put_target(w, endpoint, ns);
    put_some(w, FL_STR("nodeName"), endpoint->node);
    put_some(w, FL_STR("zone"), endpoint->zone);
    put_hints(w, endpoint->hints);
    fl_json_put_end(w, '}');
}

static void put_ports(struct fl_json_writer *w, const struct fl_k8s_slice_spec *slice) {
    open_array(w, FL_STR("ports"));
    for (size_t i = 0; i < slice->port_count; i++) {
        const struct fl_block_port *port = &slice->ports[i];
        fl_json_put_begin(w, '{');
        put_text(w, FL_STR("name"), port->name);
        put_text(w, FL_STR("protocol"), port->protocol);
        if (port->port) put_int(w, FL_STR("port"), port->port);
        put_some(w, FL_STR("appProtocol"), port->app_protocol);
        fl_json_put_end(w, '}');
    }
    fl_json_put_end(w, ']');
}

static int encode_slice(struct fl_buf *out, const struct fl_k8s_slice_spec *slice) {
    struct fl_json_writer w = fl_json_writer_of(out);
    open_kind(&w, FL_K8S_ENDPOINTSLICE, &slice->meta);
    put_text(&w, FL_STR("addressType"), slice->address_type);
    open_array(&w, FL_STR("endpoints"));
    for (size_t i = 0; i < slice->endpoint_count; i++)
        put_endpoint(&w, &slice->endpoints[i], slice->meta.ns);
    fl_json_put_end(&w, ']');
    put_ports(&w, slice);
    fl_json_put_end(&w, '}');
    return fl_json_finish(&w);
}

static void put_subset_addresses(struct fl_json_writer *w, const struct fl_k8s_slice_spec *slice,
                                 bool ready) {
    open_array(w, ready ? FL_STR("addresses") : FL_STR("notReadyAddresses"));
    for (size_t i = 0; i < slice->endpoint_count; i++) {
        const struct fl_k8s_endpoint_spec *endpoint = &slice->endpoints[i];
        if ((endpoint->ready != 0) != ready) continue;
        fl_json_put_begin(w, '{');
        put_text(w, FL_STR("ip"), endpoint->address);
        put_some(w, FL_STR("nodeName"), endpoint->node);
        put_target(w, endpoint, slice->meta.ns);
        fl_json_put_end(w, '}');
    }
    fl_json_put_end(w, ']');
}

static int encode_endpoints(struct fl_buf *out, const struct fl_k8s_slice_spec *slice) {
    struct fl_json_writer w = fl_json_writer_of(out);
    open_kind(&w, FL_K8S_ENDPOINTS, &slice->meta);
    open_array(&w, FL_STR("subsets"));
    fl_json_put_begin(&w, '{');
    put_subset_addresses(&w, slice, true);
    put_subset_addresses(&w, slice, false);
    put_ports(&w, slice);
    fl_json_put_end(&w, '}');
    fl_json_put_end(&w, ']');
    fl_json_put_end(&w, '}');
    return fl_json_finish(&w);
}

static void put_service_port(struct fl_json_writer *w, const struct fl_k8s_service_port *port) {
    fl_json_put_begin(w, '{');
    put_some(w, FL_STR("name"), port->name);
    put_text(w, FL_STR("protocol"), port->protocol);
    put_some(w, FL_STR("appProtocol"), port->app_protocol);
    put_int(w, FL_STR("port"), port->port);
    if (port->target_name.n)
        put_text(w, FL_STR("targetPort"), port->target_name);
    else
        put_int(w, FL_STR("targetPort"), port->target_port);
    fl_json_put_end(w, '}');
}

static int encode_service(struct fl_buf *out, const struct fl_k8s_service_spec *service) {
    struct fl_json_writer w = fl_json_writer_of(out);
    open_kind(&w, FL_K8S_SERVICE, &service->meta);
    open_object(&w, FL_STR("spec"));
    if (service->port_count) {
        open_array(&w, FL_STR("ports"));
        for (size_t i = 0; i < service->port_count; i++) put_service_port(&w, &service->ports[i]);
        fl_json_put_end(&w, ']');
    }
    put_some(&w, FL_STR("clusterIP"), service->cluster_ip);
    put_some(&w, FL_STR("type"), service->type);
    put_some(&w, FL_STR("externalName"), service->external_name);
    if (service->publish_not_ready) {
        fl_json_put_key(&w, FL_STR("publishNotReadyAddresses"));
        fl_json_put_bool(&w, true);
    }
    fl_json_put_end(&w, '}');
    fl_json_put_end(&w, '}');
    return fl_json_finish(&w);
}

static int encode_status(struct fl_buf *out, const struct fl_k8s_status *status) {
    const struct fl_k8s_meta none = {0};
    struct fl_json_writer w = fl_json_writer_of(out);
    open_kind(&w, FL_K8S_STATUS, &none);
    put_text(&w, FL_STR("status"), status->code < 400 ? FL_STR("Success") : FL_STR("Failure"));
    put_some(&w, FL_STR("message"), status->message);
    put_some(&w, FL_STR("reason"), status->reason);
    open_object(&w, FL_STR("details"));
    if (status->version_too_large) {
        open_array(&w, FL_STR("causes"));
        fl_json_put_begin(&w, '{');
        put_text(&w, FL_STR("reason"), FL_K8S_CAUSE_TOO_LARGE);
        fl_json_put_end(&w, '}');
        fl_json_put_end(&w, ']');
    }
    if (status->retry_after_s) put_int(&w, FL_STR("retryAfterSeconds"), status->retry_after_s);
    fl_json_put_end(&w, '}');
    put_int(&w, FL_STR("code"), status->code);
    fl_json_put_end(&w, '}');
    return fl_json_finish(&w);
}

static int encode_meta(struct fl_buf *out, enum fl_k8s_kind kind, const struct fl_k8s_meta *meta) {
    struct fl_json_writer w = fl_json_writer_of(out);
    open_kind(&w, kind, meta);
    fl_json_put_end(&w, '}');
    return fl_json_finish(&w);
}

/* A line of its own, as the API server writes watches. */
static int encode_event(struct fl_buf *out, enum fl_k8s_event event, enum fl_k8s_kind kind,
                        struct fl_str object) {
    FL_UNUSED(kind); /* the object names it */
    struct fl_json_writer w = fl_json_writer_of(out);
    fl_json_put_begin(&w, '{');
    put_text(&w, FL_STR("type"), fl_k8s_event_name(event));
    fl_json_put_key(&w, FL_STR("object"));
    fl_json_put_raw(&w, object);
    fl_json_put_end(&w, '}');
    w.comma = false;
    fl_json_put_raw(&w, FL_STR("\n"));
    return fl_json_finish(&w);
}

static int encode_list(struct fl_buf *out, const struct fl_k8s_list_spec *list) {
    const struct fl_k8s_name *name = fl_k8s_name(list->kind);
    struct fl_json_writer w = fl_json_writer_of(out);
    fl_json_put_begin(&w, '{');
    put_text(&w, FL_STR("kind"), name->list);
    put_text(&w, FL_STR("apiVersion"), name->api_version);
    open_object(&w, FL_STR("metadata"));
    put_some(&w, FL_STR("resourceVersion"), list->resource_version);
    put_some(&w, FL_STR("continue"), list->continue_token);
    fl_json_put_end(&w, '}');
    open_array(&w, FL_STR("items"));
    for (size_t i = 0; i < list->count; i++) fl_json_put_raw(&w, list->objects[i]);
    fl_json_put_end(&w, ']');
    fl_json_put_end(&w, '}');
    return fl_json_finish(&w);
}

static int encode_object(struct fl_buf *out, enum fl_k8s_kind kind, struct fl_str object) {
    FL_UNUSED(kind); /* the object names it */
    return fl_buf_append(out, object);
}

const struct fl_k8s_encoder fl_k8s_encoder_json = {
    .slice = encode_slice,
    .endpoints = encode_endpoints,
    .service = encode_service,
    .status = encode_status,
    .meta = encode_meta,
    .event = encode_event,
    .list = encode_list,
    .object = encode_object,
};
