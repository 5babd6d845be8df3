/* resource.h - which resources the simulated API server has, and what they are called. Pure. */
#ifndef FL_SIM_RESOURCE_H
#define FL_SIM_RESOURCE_H

#include "wire/k8s.h"

enum fl_subresource { FL_SUBRESOURCE_NONE, FL_SUBRESOURCE_STATUS, FL_SUBRESOURCE_SCALE };

struct fl_resource {
    enum fl_k8s_kind kind;
    const char *plural, *singular, *kind_name, *short_name; /* short_name: NULL without */
    const char *group;                                      /* "": core */
    bool namespaced;
    bool in_all; /* kubectl get all */
    bool has_status, has_scale;
    bool has_protobuf; /* else JSON only */
};

#define FL_RESOURCES 8
extern const struct fl_resource fl_resources[FL_RESOURCES];

const struct fl_resource *fl_resource_of(enum fl_k8s_kind kind);
/* NULL: no such resource. All groups are of version v1. */
const struct fl_resource *fl_resource_find(struct fl_str group, struct fl_str plural);
/* "v1", "apps/v1" … */
const char *fl_resource_api_version(const struct fl_resource *resource, char out[64]);
/* "endpointslices.discovery.k8s.io", "pods" … as messages name them. */
const char *fl_resource_full_name(const struct fl_resource *resource, char out[64]);

#endif
