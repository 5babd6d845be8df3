/* api_document.c - what kubectl and client libraries ask before anything else: version, health and
 * the discovery documents, made from the table of resources; and of OpenAPI v3 as much as tells
 * kubectl that the server checks fields itself. */
#include <stdio.h>

#include "sim/api_reply.h"

#define VERSION_TEXT                                                                               \
    "{\"major\":\"1\",\"minor\":\"36\",\"gitVersion\":\"v1.36.0+fairlead-sim\",\"gitCommit\":"     \
    "\"\","                                                                                        \
    "\"gitTreeState\":\"clean\",\"buildDate\":\"2026-01-01T00:00:00Z\",\"goVersion\":\"none\","    \
    "\"compiler\":\"cc\",\"platform\":\"linux/amd64\"}"

static const char *const groups[] = {"discovery.k8s.io", "apps", "coordination.k8s.io"};

struct document {
    struct fl_buf *out;
    bool slices; /* EndpointSlices are served */
};

static bool is_served(const struct document *d, const char *group) {
    return d->slices || strcmp(group, "discovery.k8s.io") != 0;
}

static int write_resource(struct fl_buf *out, const struct fl_resource *r, bool comma) {
    int rc = fl_buf_printf(
        out,
        "%s{\"name\":\"%s\",\"singularName\":\"%s\",\"namespaced\":%s,\"kind\":\"%s\",\"verbs\":["
        "\"create\",\"delete\",\"deletecollection\",\"get\",\"list\",\"patch\",\"update\","
        "\"watch\"]",
        comma ? "," : "", r->plural, r->singular, r->namespaced ? "true" : "false", r->kind_name);
    if (!rc && r->short_name) rc = fl_buf_printf(out, ",\"shortNames\":[\"%s\"]", r->short_name);
    if (!rc && r->in_all) rc = fl_buf_printf(out, ",\"categories\":[\"all\"]");
    return rc ? rc : fl_buf_byte(out, '}');
}

static int write_subresource(struct fl_buf *out, const struct fl_resource *r, const char *name,
                             const char *more, const char *kind) {
    return fl_buf_printf(out,
                         ",{\"name\":\"%s/%s\",\"singularName\":\"\",\"namespaced\":%s,%s"
                         "\"kind\":\"%s\",\"verbs\":[\"get\",\"patch\",\"update\"]}",
                         r->plural, name, r->namespaced ? "true" : "false", more, kind);
}

static int write_resources(const struct document *d, const char *group) {
    struct fl_buf *out = d->out;
    bool comma = false;
    int rc = fl_buf_printf(out,
                           "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":"
                           "\"%s%sv1\",\"resources\":[",
                           group, group[0] ? "/" : "");
    for (size_t i = 0; i < FL_RESOURCES && !rc; i++) {
        const struct fl_resource *r = &fl_resources[i];
        if (strcmp(r->group, group) != 0) continue;
        rc = write_resource(out, r, comma);
        comma = true;
        if (!rc && r->has_status) rc = write_subresource(out, r, "status", "", r->kind_name);
        if (!rc && r->has_scale)
            rc = write_subresource(out, r, "scale", "\"group\":\"autoscaling\",\"version\":\"v1\",",
                                   "Scale");
    }
    return rc ? rc : fl_buf_append(out, FL_STR("]}"));
}

static int write_group(struct fl_buf *out, const char *group) {
    return fl_buf_printf(out,
                         "\"name\":\"%s\",\"versions\":[{\"groupVersion\":\"%s/v1\",\"version\":"
                         "\"v1\"}],\"preferredVersion\":{\"groupVersion\":\"%s/v1\",\"version\":"
                         "\"v1\"}}",
                         group, group, group);
}

static int write_groups(const struct document *d) {
    bool comma = false;
    int rc = fl_buf_append(d->out, FL_STR("{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\","
                                          "\"groups\":["));
    for (size_t i = 0; i < FL_COUNT(groups) && !rc; i++) {
        if (!is_served(d, groups[i])) continue;
        rc = fl_buf_append(d->out, comma ? FL_STR(",{") : FL_STR("{"));
        if (!rc) rc = write_group(d->out, groups[i]);
        comma = true;
    }
    return rc ? rc : fl_buf_append(d->out, FL_STR("]}"));
}

/* --- OpenAPI --- */

static int write_openapi_index(const struct document *d) {
    int rc = fl_buf_append(
        d->out, FL_STR("{\"paths\":{\"api/v1\":{\"serverRelativeURL\":\"/openapi/v3/api/v1\"}"));
    for (size_t i = 0; i < FL_COUNT(groups) && !rc; i++)
        if (is_served(d, groups[i]))
            rc = fl_buf_printf(d->out,
                               ",\"apis/%s/v1\":{\"serverRelativeURL\":\"/openapi/v3/apis/%s/v1\"}",
                               groups[i], groups[i]);
    return rc ? rc : fl_buf_append(d->out, FL_STR("}}"));
}

/* Of each kind its PATCH with the parameter that kubectl looks for. */
static int write_openapi(const struct document *d, const char *group) {
    bool comma = false;
    int rc =
        fl_buf_append(d->out, FL_STR("{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"Kubernetes\","
                                     "\"version\":\"v1.36.0\"},\"paths\":{"));
    for (size_t i = 0; i < FL_RESOURCES && !rc; i++) {
        const struct fl_resource *r = &fl_resources[i];
        if (strcmp(r->group, group) != 0) continue;
        rc = fl_buf_printf(
            d->out,
            "%s\"/%s/%s\":{\"patch\":{\"parameters\":[{\"name\":\"fieldValidation\","
            "\"in\":\"query\",\"schema\":{\"type\":\"string\"}}],\"responses\":{},"
            "\"x-kubernetes-group-version-kind\":{\"group\":\"%s\",\"version\":\"v1\","
            "\"kind\":\"%s\"}}}",
            comma ? "," : "", group, r->plural, group, r->kind_name);
        comma = true;
    }
    return rc ? rc : fl_buf_append(d->out, FL_STR("}}"));
}

/* --- paths --- */

#define UNKNOWN_PATH 1

/* "/apis/GROUP", "/apis/GROUP/v1"; below `prefix`. */
static int write_of_group(const struct document *d, struct fl_str rest, bool openapi) {
    for (size_t i = 0; i < FL_COUNT(groups); i++) {
        struct fl_str name = fl_str_of(groups[i]), after = fl_str_from(rest, name.n);
        if (!fl_str_starts(rest, name) || !is_served(d, groups[i])) continue;
        if (fl_str_eq(after, FL_STR("/v1")))
            return openapi ? write_openapi(d, groups[i]) : write_resources(d, groups[i]);
        if (after.n || openapi) continue;
        int rc = fl_buf_append(d->out, FL_STR("{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\","));
        return rc ? rc : write_group(d->out, groups[i]);
    }
    return UNKNOWN_PATH;
}

static int write_document(const struct document *d, struct fl_str path) {
    static const struct {
        const char *path, *text;
    } fixed[] = {
        {"/healthz", "ok"},
        {"/readyz", "ok"},
        {"/livez", "ok"},
        {"/version", VERSION_TEXT},
        {"/api",
         "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[]}"},
    };
    const struct fl_str apis = FL_STR("/apis/"), openapi = FL_STR("/openapi/v3/apis/");
    for (size_t i = 0; i < FL_COUNT(fixed); i++)
        if (fl_str_eq(path, fl_str_of(fixed[i].path)))
            return fl_buf_append(d->out, fl_str_of(fixed[i].text));
    if (fl_str_eq(path, FL_STR("/api/v1"))) return write_resources(d, "");
    if (fl_str_eq(path, FL_STR("/apis"))) return write_groups(d);
    if (fl_str_starts(path, apis)) return write_of_group(d, fl_str_from(path, apis.n), false);
    if (fl_str_eq(path, FL_STR("/openapi/v3"))) return write_openapi_index(d);
    if (fl_str_eq(path, FL_STR("/openapi/v3/api/v1"))) return write_openapi(d, "");
    if (fl_str_starts(path, openapi)) return write_of_group(d, fl_str_from(path, openapi.n), true);
    return UNKNOWN_PATH;
}

void fl_api_reply_document(const struct fl_api_call *call, bool slices) {
    struct fl_str path = call->request.path;
    struct fl_api_status status;
    struct fl_buf body;
    fl_buf_init(&body, FL_API_BODY_MAX);
    int rc = write_document(&(struct document){&body, slices}, path);
    if (rc == UNKNOWN_PATH) {
        fl_api_fail(&status, 404, "NotFound", "the server could not find the requested resource");
        fl_api_reply_status(call, &status);
    } else if (rc) {
        fl_api_fail(&status, 500, "InternalError", "%s", fl_error_text(rc));
        fl_api_reply_status(call, &status);
    } else {
        bool health = fl_str_ends(path, FL_STR("z"));
        fl_api_reply_take(call, 200, health ? "text/plain; charset=utf-8" : "application/json", 0,
                          &body);
    }
    fl_buf_deinit(&body);
}
