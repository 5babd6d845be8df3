/* k8s_encode_pb.c - Kubernetes objects to protobuf. Pure; any thread.
 *
 * Field numbers are those of generated.proto; fields are written in ascending order, as the API
 * server does, so that a decoder meets the metadata before the endpoints. */
#include "wire/k8s_encode.h"
#include "wire/pb.h"

enum { META = 1 };

static void put_labels(struct fl_pb_writer *w, unsigned number, const struct fl_k8s_label *labels,
                       size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t entry = fl_pb_open(w, number);
        fl_pb_put_bytes(w, 1, labels[i].key);
        fl_pb_put_bytes(w, 2, labels[i].value);
        fl_pb_close(w, entry);
    }
}

static void put_meta(struct fl_pb_writer *w, const struct fl_k8s_meta *meta) {
    size_t message = fl_pb_open(w, META);
    fl_pb_put_text(w, 1, meta->name);
    fl_pb_put_text(w, 3, meta->ns);
    fl_pb_put_text(w, 5, meta->uid);
    fl_pb_put_text(w, 6, meta->resource_version);
    if (meta->created_s) {
        size_t time = fl_pb_open(w, 8);
        fl_pb_put_varint(w, 1, (uint64_t)meta->created_s);
        fl_pb_close(w, time);
    }
    put_labels(w, 11, meta->labels, meta->label_count);
    put_labels(w, 12, meta->annotations, meta->annotation_count);
    fl_pb_close(w, message);
}

static void put_target(struct fl_pb_writer *w, unsigned number,
                       const struct fl_k8s_endpoint_spec *endpoint, struct fl_str ns) {
    if (!endpoint->pod.n) return;
    size_t message = fl_pb_open(w, number);
    fl_pb_put_bytes(w, 1, FL_STR("Pod"));
    fl_pb_put_text(w, 2, ns);
    fl_pb_put_bytes(w, 3, endpoint->pod);
    fl_pb_put_text(w, 4, endpoint->pod_uid);
    fl_pb_close(w, message);
}

static void put_condition(struct fl_pb_writer *w, unsigned number, int value) {
    if (value >= 0) fl_pb_put_varint(w, number, value > 0);
}

static void put_hint_list(struct fl_pb_writer *w, unsigned number, const struct fl_str *names,
                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t message = fl_pb_open(w, number);
        fl_pb_put_bytes(w, 1, names[i]);
        fl_pb_close(w, message);
    }
}

static void put_hints(struct fl_pb_writer *w, const struct fl_block_hints *hints) {
    if (!hints) return;
    size_t message = fl_pb_open(w, 8);
    put_hint_list(w, 1, hints->zones, hints->zone_count);
    put_hint_list(w, 2, hints->nodes, hints->node_count);
    fl_pb_close(w, message);
}

static void put_endpoint(struct fl_pb_writer *w, const struct fl_k8s_endpoint_spec *endpoint,
                         struct fl_str ns) {
    size_t message = fl_pb_open(w, 2);
    fl_pb_put_bytes(w, 1, endpoint->address);
    size_t conditions = fl_pb_open(w, 2);
    put_condition(w, 1, endpoint->ready);
    put_condition(w, 2, endpoint->serving);
    put_condition(w, 3, endpoint->terminating);
    fl_pb_close(w, conditions);
    put_target(w, 4, endpoint, ns);
    fl_pb_put_text(w, 6, endpoint->node);
    fl_pb_put_text(w, 7, endpoint->zone);
    put_hints(w, endpoint->hints);
    fl_pb_close(w, message);
}

static int encode_slice(struct fl_buf *out, const struct fl_k8s_slice_spec *slice) {
    struct fl_pb_writer w = fl_pb_writer_of(out);
    put_meta(&w, &slice->meta);
    for (size_t i = 0; i < slice->endpoint_count; i++)
        put_endpoint(&w, &slice->endpoints[i], slice->meta.ns);
    for (size_t i = 0; i < slice->port_count; i++) {
        const struct fl_block_port *port = &slice->ports[i];
        size_t message = fl_pb_open(&w, 3);
        fl_pb_put_bytes(&w, 1, port->name);
        fl_pb_put_bytes(&w, 2, port->protocol);
        if (port->port) fl_pb_put_varint(&w, 3, port->port);
        fl_pb_put_text(&w, 4, port->app_protocol);
        fl_pb_close(&w, message);
    }
    fl_pb_put_bytes(&w, 4, slice->address_type);
    return fl_pb_finish(&w);
}

/* The addresses of one list of a core/v1 EndpointSubset: 1 addresses, 2 notReadyAddresses. */
static void put_subset_addresses(struct fl_pb_writer *w, const struct fl_k8s_slice_spec *slice,
                                 bool ready) {
    for (size_t i = 0; i < slice->endpoint_count; i++) {
        const struct fl_k8s_endpoint_spec *endpoint = &slice->endpoints[i];
        if ((endpoint->ready != 0) != ready) continue;
        size_t message = fl_pb_open(w, ready ? 1 : 2);
        fl_pb_put_bytes(w, 1, endpoint->address);
        put_target(w, 2, endpoint, slice->meta.ns);
        fl_pb_put_text(w, 4, endpoint->node);
        fl_pb_close(w, message);
    }
}

static int encode_endpoints(struct fl_buf *out, const struct fl_k8s_slice_spec *slice) {
    struct fl_pb_writer w = fl_pb_writer_of(out);
    put_meta(&w, &slice->meta);
    size_t subset = fl_pb_open(&w, 2);
    put_subset_addresses(&w, slice, true);
    put_subset_addresses(&w, slice, false);
    for (size_t i = 0; i < slice->port_count; i++) {
        const struct fl_block_port *port = &slice->ports[i];
        size_t message = fl_pb_open(&w, 3);
        fl_pb_put_bytes(&w, 1, port->name);
        fl_pb_put_varint(&w, 2, port->port);
        fl_pb_put_bytes(&w, 3, port->protocol);
        fl_pb_put_text(&w, 4, port->app_protocol);
        fl_pb_close(&w, message);
    }
    fl_pb_close(&w, subset);
    return fl_pb_finish(&w);
}

static void put_service_port(struct fl_pb_writer *w, const struct fl_k8s_service_port *port) {
    size_t message = fl_pb_open(w, 1);
    fl_pb_put_bytes(w, 1, port->name);
    fl_pb_put_bytes(w, 2, port->protocol);
    fl_pb_put_varint(w, 3, port->port);
    size_t target = fl_pb_open(w, 4);
    fl_pb_put_varint(w, 1, port->target_name.n != 0);
    fl_pb_put_varint(w, 2, port->target_port);
    fl_pb_put_bytes(w, 3, port->target_name);
    fl_pb_close(w, target);
    fl_pb_put_text(w, 6, port->app_protocol);
    fl_pb_close(w, message);
}

static int encode_service(struct fl_buf *out, const struct fl_k8s_service_spec *service) {
    struct fl_pb_writer w = fl_pb_writer_of(out);
    put_meta(&w, &service->meta);
    size_t spec = fl_pb_open(&w, 2);
    for (size_t i = 0; i < service->port_count; i++) put_service_port(&w, &service->ports[i]);
    fl_pb_put_text(&w, 3, service->cluster_ip);
    fl_pb_put_text(&w, 4, service->type);
    fl_pb_put_text(&w, 10, service->external_name);
    if (service->publish_not_ready) fl_pb_put_varint(&w, 13, 1);
    fl_pb_close(&w, spec);
    return fl_pb_finish(&w);
}

static int encode_status(struct fl_buf *out, const struct fl_k8s_status *status) {
    struct fl_pb_writer w = fl_pb_writer_of(out);
    size_t meta = fl_pb_open(&w, META);
    fl_pb_close(&w, meta);
    fl_pb_put_bytes(&w, 2, status->code < 400 ? FL_STR("Success") : FL_STR("Failure"));
    fl_pb_put_bytes(&w, 3, status->message);
    fl_pb_put_bytes(&w, 4, status->reason);
    size_t details = fl_pb_open(&w, 5);
    if (status->version_too_large) {
        size_t cause = fl_pb_open(&w, 4);
        fl_pb_put_bytes(&w, 1, FL_K8S_CAUSE_TOO_LARGE);
        fl_pb_close(&w, cause);
    }
    fl_pb_put_varint(&w, 5, status->retry_after_s);
    fl_pb_close(&w, details);
    fl_pb_put_varint(&w, 6, (uint64_t)status->code);
    return fl_pb_finish(&w);
}

static int encode_meta(struct fl_buf *out, enum fl_k8s_kind kind, const struct fl_k8s_meta *meta) {
    FL_UNUSED(kind); /* the envelope names it */
    struct fl_pb_writer w = fl_pb_writer_of(out);
    put_meta(&w, meta);
    return fl_pb_finish(&w);
}

/* runtime.Unknown: the magic, typeMeta, and `raw` left open for the caller. */
static size_t open_envelope(struct fl_pb_writer *w, struct fl_str api_version, struct fl_str kind) {
    fl_pb_put_raw(w, FL_K8S_ENVELOPE);
    size_t type_meta = fl_pb_open(w, 1);
    fl_pb_put_bytes(w, 1, api_version);
    fl_pb_put_bytes(w, 2, kind);
    fl_pb_close(w, type_meta);
    return fl_pb_open(w, 2);
}

static int encode_event(struct fl_buf *out, enum fl_k8s_event event, enum fl_k8s_kind kind,
                        struct fl_str object) {
    const struct fl_k8s_name *name = fl_k8s_name(kind);
    struct fl_pb_writer w = fl_pb_writer_of(out);
    fl_pb_put_raw(&w, fl_str_n("\0\0\0\0", 4)); /* the frame's length */
    size_t frame = out->len;
    fl_pb_put_bytes(&w, 1, fl_k8s_event_name(event));
    size_t extension = fl_pb_open(&w, 2);
    size_t raw = fl_pb_open(&w, 1);
    size_t content = open_envelope(&w, name->api_version, name->kind);
    fl_pb_put_raw(&w, object);
    fl_pb_close(&w, content);
    fl_pb_close(&w, raw);
    fl_pb_close(&w, extension);
    if (!w.rc) {
        size_t length = out->len - frame;
        char *at = out->data + out->start + frame - 4;
        for (int i = 0; i < 4; i++) at[i] = (char)(length >> (24 - 8 * i));
    }
    return fl_pb_finish(&w);
}

static int encode_list(struct fl_buf *out, const struct fl_k8s_list_spec *list) {
    const struct fl_k8s_name *name = fl_k8s_name(list->kind);
    struct fl_pb_writer w = fl_pb_writer_of(out);
    size_t content = open_envelope(&w, name->api_version, name->list);
    size_t meta = fl_pb_open(&w, META);
    fl_pb_put_text(&w, 2, list->resource_version);
    fl_pb_put_text(&w, 3, list->continue_token);
    fl_pb_close(&w, meta);
    for (size_t i = 0; i < list->count; i++) fl_pb_put_bytes(&w, 2, list->objects[i]);
    fl_pb_close(&w, content);
    return fl_pb_finish(&w);
}

static int encode_object(struct fl_buf *out, enum fl_k8s_kind kind, struct fl_str object) {
    const struct fl_k8s_name *name = fl_k8s_name(kind);
    struct fl_pb_writer w = fl_pb_writer_of(out);
    size_t content = open_envelope(&w, name->api_version, name->kind);
    fl_pb_put_raw(&w, object);
    fl_pb_close(&w, content);
    return fl_pb_finish(&w);
}

const struct fl_k8s_encoder fl_k8s_encoder_pb = {
    .slice = encode_slice,
    .endpoints = encode_endpoints,
    .service = encode_service,
    .status = encode_status,
    .meta = encode_meta,
    .event = encode_event,
    .list = encode_list,
    .object = encode_object,
};
