/* api_document.c - what kubectl and client libraries ask before anything else: version, health and
 * the discovery documents. */
#include "sim/api_reply.h"

#define RESOURCE(name, singular, kind, more)                                                       \
    "{\"name\":\"" name "\",\"singularName\":\"" singular                                          \
    "\",\"namespaced\":true,\"kind\":\"" kind "\",\"verbs\":[\"get\",\"list\",\"watch\"]" more "}"
#define SHORT_NAME(name) ",\"shortNames\":[\"" name "\"]"
#define OF_ALL           ",\"categories\":[\"all\"]" /* kubectl get all */
#define SLICES           RESOURCE("endpointslices", "endpointslice", "EndpointSlice", "")
#define ENDPOINTS        RESOURCE("endpoints", "endpoints", "Endpoints", SHORT_NAME("ep"))
#define PODS             RESOURCE("pods", "pod", "Pod", OF_ALL SHORT_NAME("po"))
#define SERVICES         RESOURCE("services", "service", "Service", OF_ALL SHORT_NAME("svc"))
#define GROUP                                                                                      \
    "\"name\":\"discovery.k8s.io\",\"versions\":[{\"groupVersion\":\"discovery.k8s.io/v1\","       \
    "\"version\":\"v1\"}],\"preferredVersion\":{\"groupVersion\":\"discovery.k8s.io/v1\","         \
    "\"version\":\"v1\"}}"

struct document {
    const char *path, *content_type, *text;
    enum { ALWAYS, WITH_SLICES, WITHOUT_SLICES } when;
};

static const char json[] = "application/json", plain[] = "text/plain; charset=utf-8";

static const struct document documents[] = {
    {"/healthz", plain, "ok", ALWAYS},
    {"/readyz", plain, "ok", ALWAYS},
    {"/livez", plain, "ok", ALWAYS},
    {"/version", json,
     "{\"major\":\"1\",\"minor\":\"36\",\"gitVersion\":\"v1.36.0+fairlead-sim\","
     "\"gitCommit\":\"\",\"gitTreeState\":\"clean\",\"buildDate\":\"2026-01-01T00:00:00Z\","
     "\"goVersion\":\"none\",\"compiler\":\"cc\",\"platform\":\"linux/amd64\"}",
     ALWAYS},
    {"/api", json,
     "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[]}", ALWAYS},
    {"/apis", json, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[{" GROUP "]}",
     WITH_SLICES},
    {"/apis", json, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[]}",
     WITHOUT_SLICES},
    {"/apis/discovery.k8s.io", json, "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\"," GROUP,
     WITH_SLICES},
    {"/apis/discovery.k8s.io/v1", json,
     "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\","
     "\"groupVersion\":\"discovery.k8s.io/v1\",\"resources\":[" SLICES "]}",
     WITH_SLICES},
    {"/api/v1", json,
     "{\"kind\":\"APIResourceList\",\"groupVersion\":\"v1\","
     "\"resources\":[" ENDPOINTS "," PODS "," SERVICES "]}",
     ALWAYS},
};

static const struct document *find(struct fl_str path, bool slices) {
    for (size_t i = 0; i < FL_COUNT(documents); i++) {
        const struct document *d = &documents[i];
        if (!fl_str_eq(path, fl_str_of(d->path))) continue;
        if (d->when == ALWAYS || (d->when == WITH_SLICES) == slices) return d;
    }
    return NULL;
}

void fl_api_reply_document(const struct fl_api_call *call, bool slices) {
    const struct document *document = find(call->request.path, slices);
    struct fl_api_status status;
    struct fl_buf body;
    fl_buf_init(&body, FL_API_BODY_MAX);
    if (!document) {
        fl_api_fail(&status, 404, "NotFound", "the server could not find the requested resource");
        fl_api_reply_status(call, &status);
    } else if (fl_buf_append(&body, fl_str_of(document->text))) {
        fl_api_fail(&status, 500, "InternalError", "out of memory");
        fl_api_reply_status(call, &status);
    } else {
        fl_api_reply_take(call, 200, document->content_type, 0, &body);
    }
}
