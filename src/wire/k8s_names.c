/* k8s_names.c - names of kinds and events. Pure; any thread. */
#include "wire/k8s_names.h"

static const struct fl_k8s_name names[] = {
    [FL_K8S_ENDPOINTSLICE] = {{"discovery.k8s.io/v1", 19},
                              {"EndpointSlice", 13},
                              {"EndpointSliceList", 17}},
    [FL_K8S_SERVICE] = {{"v1", 2}, {"Service", 7}, {"ServiceList", 11}},
    [FL_K8S_ENDPOINTS] = {{"v1", 2}, {"Endpoints", 9}, {"EndpointsList", 13}},
    [FL_K8S_STATUS] = {{"v1", 2}, {"Status", 6}, {"StatusList", 10}},
    [FL_K8S_POD] = {{"v1", 2}, {"Pod", 3}, {"PodList", 7}},
    [FL_K8S_METADATA] = {{"meta.k8s.io/v1", 14},
                         {"PartialObjectMetadata", 21},
                         {"PartialObjectMetadataList", 25}},
    [FL_K8S_NODE] = {{"v1", 2}, {"Node", 4}, {"NodeList", 8}},
    [FL_K8S_NAMESPACE] = {{"v1", 2}, {"Namespace", 9}, {"NamespaceList", 13}},
    [FL_K8S_LEASE] = {{"coordination.k8s.io/v1", 22}, {"Lease", 5}, {"LeaseList", 9}},
    [FL_K8S_DEPLOYMENT] = {{"apps/v1", 7}, {"Deployment", 10}, {"DeploymentList", 14}},
};

static const char *const events[] = {
    [FL_K8S_ADDED] = "ADDED",       [FL_K8S_MODIFIED] = "MODIFIED", [FL_K8S_DELETED] = "DELETED",
    [FL_K8S_BOOKMARK] = "BOOKMARK", [FL_K8S_ERROR] = "ERROR",
};

const struct fl_k8s_name *fl_k8s_name(enum fl_k8s_kind kind) { return &names[kind]; }

struct fl_str fl_k8s_event_name(enum fl_k8s_event event) {
    FL_ASSERT(event <= FL_K8S_ERROR);
    return fl_str_of(events[event]);
}

bool fl_k8s_event_of(struct fl_str name, enum fl_k8s_event *out) {
    for (size_t i = 0; i < FL_COUNT(events); i++)
        if (fl_str_eq(name, fl_str_of(events[i]))) {
            *out = (enum fl_k8s_event)i;
            return true;
        }
    return false;
}
