/* k8s_encode.h - what the two encoders offer to k8s_encode.c. Private to wire/. */
#ifndef FL_WIRE_K8S_ENCODE_H
#define FL_WIRE_K8S_ENCODE_H

#include "wire/k8s_names.h"

struct fl_k8s_list_spec {
    enum fl_k8s_kind kind;
    const struct fl_str *objects;
    size_t count;
    struct fl_str resource_version, continue_token;
};

struct fl_k8s_encoder {
    int (*slice)(struct fl_buf *out, const struct fl_k8s_slice_spec *slice);
    int (*endpoints)(struct fl_buf *out, const struct fl_k8s_slice_spec *slice);
    int (*service)(struct fl_buf *out, const struct fl_k8s_service_spec *service);
    int (*status)(struct fl_buf *out, const struct fl_k8s_status *status);
    /* An object of metadata alone. */
    int (*meta)(struct fl_buf *out, enum fl_k8s_kind kind, const struct fl_k8s_meta *meta);
    int (*event)(struct fl_buf *out, enum fl_k8s_event event, enum fl_k8s_kind kind,
                 struct fl_str object);
    int (*list)(struct fl_buf *out, const struct fl_k8s_list_spec *list);
    int (*object)(struct fl_buf *out, enum fl_k8s_kind kind, struct fl_str object);
};

extern const struct fl_k8s_encoder fl_k8s_encoder_pb, fl_k8s_encoder_json;

#endif
