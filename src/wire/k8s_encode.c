/* k8s_encode.c - Kubernetes objects to bytes, in either format. Pure; any thread. */
#include "wire/k8s_encode.h"

static const struct fl_k8s_encoder *encoder_of(enum fl_k8s_format format) {
    return format == FL_K8S_PROTOBUF ? &fl_k8s_encoder_pb : &fl_k8s_encoder_json;
}

int fl_k8s_encode_slice(struct fl_buf *out, enum fl_k8s_format format,
                        const struct fl_k8s_slice_spec *slice) {
    return encoder_of(format)->slice(out, slice);
}

int fl_k8s_encode_endpoints(struct fl_buf *out, enum fl_k8s_format format,
                            const struct fl_k8s_slice_spec *slice) {
    return encoder_of(format)->endpoints(out, slice);
}

int fl_k8s_encode_service(struct fl_buf *out, enum fl_k8s_format format,
                          const struct fl_k8s_service_spec *service) {
    return encoder_of(format)->service(out, service);
}

int fl_k8s_encode_status(struct fl_buf *out, enum fl_k8s_format format,
                         const struct fl_k8s_status *status) {
    return encoder_of(format)->status(out, status);
}

int fl_k8s_encode_metadata(struct fl_buf *out, enum fl_k8s_format format,
                           const struct fl_k8s_meta *meta) {
    return encoder_of(format)->meta(out, FL_K8S_METADATA, meta);
}

int fl_k8s_encode_bookmark(struct fl_buf *out, enum fl_k8s_format format, enum fl_k8s_kind kind,
                           struct fl_str resource_version, bool initial_events_end) {
    const struct fl_k8s_label end = {FL_K8S_INITIAL_EVENTS_END, FL_STR("true")};
    const struct fl_k8s_meta meta = {.resource_version = resource_version,
                                     .annotations = &end,
                                     .annotation_count = initial_events_end ? 1 : 0};
    return encoder_of(format)->meta(out, kind, &meta);
}

int fl_k8s_encode_event(struct fl_buf *out, enum fl_k8s_format format, enum fl_k8s_event event,
                        enum fl_k8s_kind kind, struct fl_str object) {
    return encoder_of(format)->event(out, event, kind, object);
}

int fl_k8s_encode_list(struct fl_buf *out, enum fl_k8s_format format, enum fl_k8s_kind kind,
                       const struct fl_str *objects, size_t count, struct fl_str resource_version,
                       struct fl_str continue_token) {
    const struct fl_k8s_list_spec list = {kind, objects, count, resource_version, continue_token};
    return encoder_of(format)->list(out, &list);
}

int fl_k8s_encode_object(struct fl_buf *out, enum fl_k8s_format format, enum fl_k8s_kind kind,
                         struct fl_str object) {
    return encoder_of(format)->object(out, kind, object);
}
