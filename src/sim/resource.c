/* resource.c - the table of resources. See resource.h. */
#include "sim/resource.h"

#include <stdio.h>

const struct fl_resource fl_resources[FL_RESOURCES] = {
    {.kind = FL_K8S_ENDPOINTSLICE,
     .plural = "endpointslices",
     .singular = "endpointslice",
     .kind_name = "EndpointSlice",
     .group = "discovery.k8s.io",
     .namespaced = true,
     .has_protobuf = true},
    {.kind = FL_K8S_SERVICE,
     .plural = "services",
     .singular = "service",
     .kind_name = "Service",
     .short_name = "svc",
     .group = "",
     .namespaced = true,
     .in_all = true,
     .has_status = true,
     .has_protobuf = true},
    {.kind = FL_K8S_ENDPOINTS,
     .plural = "endpoints",
     .singular = "endpoints",
     .kind_name = "Endpoints",
     .short_name = "ep",
     .group = "",
     .namespaced = true,
     .has_protobuf = true},
    {.kind = FL_K8S_POD,
     .plural = "pods",
     .singular = "pod",
     .kind_name = "Pod",
     .short_name = "po",
     .group = "",
     .namespaced = true,
     .in_all = true,
     .has_status = true,
     .has_protobuf = true},
    {.kind = FL_K8S_NODE,
     .plural = "nodes",
     .singular = "node",
     .kind_name = "Node",
     .short_name = "no",
     .group = "",
     .has_status = true},
    {.kind = FL_K8S_NAMESPACE,
     .plural = "namespaces",
     .singular = "namespace",
     .kind_name = "Namespace",
     .short_name = "ns",
     .group = "",
     .has_status = true},
    {.kind = FL_K8S_LEASE,
     .plural = "leases",
     .singular = "lease",
     .kind_name = "Lease",
     .group = "coordination.k8s.io",
     .namespaced = true},
    {.kind = FL_K8S_DEPLOYMENT,
     .plural = "deployments",
     .singular = "deployment",
     .kind_name = "Deployment",
     .short_name = "deploy",
     .group = "apps",
     .namespaced = true,
     .in_all = true,
     .has_status = true,
     .has_scale = true},
};

const struct fl_resource *fl_resource_of(enum fl_k8s_kind kind) {
    for (size_t i = 0; i < FL_RESOURCES; i++)
        if (fl_resources[i].kind == kind) return &fl_resources[i];
    return NULL;
}

const struct fl_resource *fl_resource_find(struct fl_str group, struct fl_str plural) {
    for (size_t i = 0; i < FL_RESOURCES; i++)
        if (fl_str_eq(plural, fl_str_of(fl_resources[i].plural)) &&
            fl_str_eq(group, fl_str_of(fl_resources[i].group)))
            return &fl_resources[i];
    return NULL;
}

const char *fl_resource_api_version(const struct fl_resource *resource, char out[64]) {
    snprintf(out, 64, "%s%sv1", resource->group, resource->group[0] ? "/" : "");
    return out;
}

const char *fl_resource_full_name(const struct fl_resource *resource, char out[64]) {
    snprintf(out, 64, "%s%s%s", resource->plural, resource->group[0] ? "." : "", resource->group);
    return out;
}
