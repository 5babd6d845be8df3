/* resource.c - see resource.h. Source: RFC 3986 for the encoding. */
#include "kube/resource.h"

#include <stdio.h>

struct resource {
    const char *group_path, *name;
};

static const struct resource resources[] = {
    [FL_K8S_ENDPOINTSLICE] = {"/apis/discovery.k8s.io/v1", "endpointslices"},
    [FL_K8S_SERVICE] = {"/api/v1", "services"},
    [FL_K8S_ENDPOINTS] = {"/api/v1", "endpoints"},
};

static const struct resource *resource_of(enum fl_k8s_kind kind) {
    FL_ASSERT((size_t)kind < FL_COUNT(resources));
    return &resources[kind];
}

const char *fl_resource_name(enum fl_k8s_kind kind) { return resource_of(kind)->name; }

static bool unreserved(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static int encode(struct fl_buf *out, struct fl_str value) {
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        char escaped[3] = {'%', hex[c >> 4], hex[c & 15]};
        struct fl_str piece = unreserved(c) ? fl_str_n(value.p + i, 1) : fl_str_n(escaped, 3);
        int rc = fl_buf_append(out, piece);
        if (rc < 0) return rc;
    }
    return FL_OK;
}

int fl_query_add(struct fl_buf *out, const char *key, struct fl_str value) {
    if (value.n == 0) return FL_OK;
    struct fl_str url = fl_buf_str(out);
    char separator = url.n && memchr(url.p, '?', url.n) ? '&' : '?';
    int rc = fl_buf_printf(out, "%c%s=", separator, key);
    return rc < 0 ? rc : encode(out, value);
}

int fl_query_add_number(struct fl_buf *out, const char *key, uint64_t value) {
    char text[24];
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    return fl_query_add(out, key, fl_str_n(text, (size_t)n));
}

static int collection_path(struct fl_buf *out, const struct resource *resource, struct fl_str ns) {
    if (ns.n == 0) return fl_buf_printf(out, "%s/%s", resource->group_path, resource->name);
    return fl_buf_printf(out, "%s/namespaces/%.*s/%s", resource->group_path, FL_STR_ARG(ns),
                         resource->name);
}

int fl_resource_path(struct fl_buf *out, const struct fl_resource_scope *scope) {
    int rc = collection_path(out, resource_of(scope->kind), scope->ns);
    if (rc < 0 || (rc = fl_query_add(out, "labelSelector", scope->label_selector)) < 0) return rc;
    return fl_query_add(out, "fieldSelector", scope->field_selector);
}

bool fl_resource_format(struct fl_str content_type, enum fl_k8s_format *format) {
    struct fl_str type, parameters;
    fl_str_split(content_type, ';', &type, &parameters);
    type = fl_str_trim(type);
    *format = FL_K8S_PROTOBUF;
    if (fl_str_eq_nocase(type, FL_STR("application/vnd.kubernetes.protobuf"))) return true;
    *format = FL_K8S_JSON;
    return fl_str_eq_nocase(type, FL_STR("application/json"));
}
