/* k8s_names.h - what Kubernetes calls the kinds and events that we know. Private to wire/. */
#ifndef FL_WIRE_K8S_NAMES_H
#define FL_WIRE_K8S_NAMES_H

#include "wire/k8s.h"

struct fl_k8s_name {
    struct fl_str api_version, kind, list;
};

const struct fl_k8s_name *fl_k8s_name(enum fl_k8s_kind kind);
struct fl_str fl_k8s_event_name(enum fl_k8s_event event); /* a watch's "type" */
/* False: a type that we do not know. */
FL_MUST bool fl_k8s_event_of(struct fl_str name, enum fl_k8s_event *out);

#define FL_K8S_ENVELOPE           ((struct fl_str){"k8s\0", 4})
#define FL_K8S_LABEL_SERVICE      FL_STR("kubernetes.io/service-name")
#define FL_K8S_INITIAL_EVENTS_END FL_STR("k8s.io/initial-events-end")
#define FL_K8S_OVER_CAPACITY      FL_STR("endpoints.kubernetes.io/over-capacity")
#define FL_K8S_CAUSE_TOO_LARGE    FL_STR("ResourceVersionTooLarge")

#endif
