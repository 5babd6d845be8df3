/* api_samples.h - paths of the simulated API server, and what users write there. */
#ifndef FL_TEST_API_SAMPLES_H
#define FL_TEST_API_SAMPLES_H

#define NS        "/api/v1/namespaces/default"
#define SERVICES  NS "/services"
#define PODS      NS "/pods"
#define MERGE     "application/merge-patch+json"
#define PATCH     "application/json-patch+json"
#define SMART     "application/strategic-merge-patch+json"
#define METADATA  "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
#define TABLE     "application/json;as=Table;g=meta.k8s.io;v=v1"
#define SLICES_NS "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"

/* A Service, a pod of it, and what a kubelet says of a pod. */
#define WEB                                                                                        \
    "{\"metadata\":{\"name\":\"web\",\"labels\":{\"tier\":\"front\"}},\"spec\":{\"selector\":"     \
    "{\"app\":\"web\"},\"ports\":[{\"port\":80,\"targetPort\":8080}],\"unknownField\":{\"x\":[1]}" \
    "}}"
#define POD(name)                                                                                  \
    "{\"metadata\":{\"name\":\"" name "\",\"labels\":{\"app\":\"web\"}},\"spec\":{\"nodeName\":"   \
    "\"node-1\",\"containers\":[{\"name\":\"c\"}]}}"
#define RUNNING(ip, ready)                                                                         \
    "{\"status\":{\"phase\":\"Running\",\"podIP\":\"" ip "\",\"conditions\":[{\"type\":\"Ready\"," \
    "\"status\":\"" ready "\"}]}}"

#endif
