/* api_request.c - takes paths, queries and Accept headers apart. See api_request.h. */
#include "sim/api_request.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

#define URL_MAX ((size_t)8 * 1024)

int fl_api_fail(struct fl_api_status *out, int code, const char *reason, const char *format, ...) {
    va_list args;
    *out = (struct fl_api_status){.code = code, .reason = reason};
    va_start(args, format);
    vsnprintf(out->message, sizeof out->message, format, args);
    va_end(args);
    return code;
}

static int bad_request(struct fl_api_status *status, const char *what, struct fl_str value) {
    return fl_api_fail(status, 400, "BadRequest", "%s: \"%.*s\"", what,
                       (int)FL_MIN(value.n, (size_t)100), value.n ? value.p : "");
}

static int forbidden_option(struct fl_api_status *status, const char *what) {
    return fl_api_fail(status, 422, "Invalid", "ListOptions.meta.k8s.io \"\" is invalid: %s", what);
}

/* --- paths --- */

static bool strip(struct fl_str *s, struct fl_str prefix) {
    if (!fl_str_starts(*s, prefix)) return false;
    *s = fl_str_from(*s, prefix.n);
    return true;
}

static bool parse_subresource(struct fl_api_request *r, const struct fl_resource *resource,
                              struct fl_str text) {
    if (!text.n) return true;
    if (resource->has_status && fl_str_eq(text, FL_STR("status")))
        r->subresource = FL_SUBRESOURCE_STATUS;
    else if (resource->has_scale && fl_str_eq(text, FL_STR("scale")))
        r->subresource = FL_SUBRESOURCE_SCALE;
    return r->subresource != FL_SUBRESOURCE_NONE;
}

/* [namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE]] below the group's version. */
static void parse_resource(struct fl_api_request *r, struct fl_str group, struct fl_str rest) {
    struct fl_str plural, name, subresource, inner = rest;
    bool namespaced =
        strip(&inner, FL_STR("namespaces/")) && inner.n && memchr(inner.p, '/', inner.n) != NULL;
    if (namespaced) {
        fl_str_split(inner, '/', &r->ns, &inner);
        fl_str_split(inner, '/', &plural, &name);
        namespaced = fl_resource_find(group, plural) != NULL;
    }
    if (!namespaced) { /* "namespaces/NAME" is an object itself */
        r->ns = FL_STR_NONE;
        fl_str_split(rest, '/', &plural, &name);
    }
    const struct fl_resource *resource = fl_resource_find(group, plural);
    fl_str_split(name, '/', &name, &subresource);
    if (!resource || (namespaced && !resource->namespaced)) return;
    if (name.n && resource->namespaced && !namespaced) return;
    if (!parse_subresource(r, resource, subresource) || (subresource.n && !name.n)) return;
    r->kind = resource->kind;
    r->name = name;
    r->target = name.n ? FL_API_OBJECT : FL_API_LIST;
}

/* What names no resource is a document. */
static void parse_path(struct fl_api_request *r, struct fl_str path) {
    struct fl_str group, rest = path;
    r->target = FL_API_DOCUMENT;
    r->path = path;
    if (strip(&rest, FL_STR("/api/v1/"))) {
        parse_resource(r, FL_STR_NONE, rest);
    } else if (strip(&rest, FL_STR("/apis/"))) {
        fl_str_split(rest, '/', &group, &rest);
        if (group.n && strip(&rest, FL_STR("v1/"))) parse_resource(r, group, rest);
    }
}

/* --- URLs --- */

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Decodes in place. */
static struct fl_str decode(struct fl_str s) {
    char *p = (char *)s.p; /* ours: request->text */
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int high = i + 2 < s.n && s.p[i] == '%' ? hex(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex(s.p[i + 2]) : -1;
        if (low >= 0) i += 2;
        p[n++] = low >= 0 ? (char)(high << 4 | low) : s.p[i] == '+' ? ' ' : s.p[i];
    }
    return (struct fl_str){s.p, n};
}

/* --- selectors --- */

static int parse_selector(struct fl_api_request *r, struct fl_str text, bool field,
                          struct fl_api_status *status) {
    struct fl_error err;
    if (!fl_selector_add(&r->selector, text, field, r->kind, &err)) return 0;
    return fl_api_fail(status, 400, "BadRequest", "%s", err.detail);
}

bool fl_api_request_selects(const struct fl_api_request *request, const struct fl_object *object) {
    const struct fl_identity *who = object->identity;
    if (object->kind != request->kind) return false;
    if (request->ns.n && !fl_str_eq(request->ns, who->ns)) return false;
    if (request->name.n && !fl_str_eq(request->name, who->name)) return false;
    return fl_selector_selects(&request->selector, object);
}

/* --- options --- */

static int parse_version(struct fl_api_request *r, struct fl_str value,
                         struct fl_api_status *status) {
    if (!value.n) return 0;
    r->has_version = true;
    return fl_str_u64(value, &r->version)
               ? 0
               : bad_request(status, "resourceVersion: Invalid value", value);
}

static int parse_match(struct fl_api_request *r, struct fl_str value,
                       struct fl_api_status *status) {
    if (fl_str_eq(value, FL_STR("NotOlderThan")))
        r->match = FL_API_MATCH_NOT_OLDER;
    else if (fl_str_eq(value, FL_STR("Exact")))
        r->match = FL_API_MATCH_EXACT;
    else if (value.n)
        return forbidden_option(status, "resourceVersionMatch: Unsupported value");
    return 0;
}

/* "v1.VERSION.NS/NAME", made by list answers, opaque to clients. */
static int parse_continue(struct fl_api_request *r, struct fl_str value,
                          struct fl_api_status *status) {
    struct fl_str version, key, rest = value;
    if (!value.n) return 0;
    r->goes_on = strip(&rest, FL_STR("v1.")) && fl_str_split(rest, '.', &version, &key) &&
                 fl_str_u64(version, &r->page_version) &&
                 fl_str_split(key, '/', &r->page_ns, &r->page_name);
    return r->goes_on ? 0 : bad_request(status, "continue key is not valid", value);
}

static int parse_number(uint64_t *out, struct fl_str value, struct fl_api_status *status) {
    if (!value.n || fl_str_u64(value, out)) return 0;
    return bad_request(status, "not a number", value);
}

static bool is_true(struct fl_str value) {
    return fl_str_eq(value, FL_STR("1")) || fl_str_eq(value, FL_STR("true"));
}

static int parse_option(struct fl_api_request *r, struct fl_str key, struct fl_str value,
                        struct fl_api_status *status) {
    if (fl_str_eq(key, FL_STR("watch")) && is_true(value) && r->target == FL_API_LIST &&
        r->verb == FL_API_READ)
        r->target = FL_API_WATCH;
    else if (fl_str_eq(key, FL_STR("allowWatchBookmarks")))
        r->bookmarks = is_true(value);
    else if (fl_str_eq(key, FL_STR("sendInitialEvents")))
        r->initial_events = is_true(value);
    else if (fl_str_eq(key, FL_STR("resourceVersion")))
        return parse_version(r, value, status);
    else if (fl_str_eq(key, FL_STR("resourceVersionMatch")))
        return parse_match(r, value, status);
    else if (fl_str_eq(key, FL_STR("continue")))
        return parse_continue(r, value, status);
    else if (fl_str_eq(key, FL_STR("dryRun")))
        r->dry_run = value.n != 0;
    else if (fl_str_eq(key, FL_STR("limit")))
        return parse_number(&r->limit, value, status);
    else if (fl_str_eq(key, FL_STR("timeoutSeconds")))
        return parse_number(&r->timeout_s, value, status);
    else if (fl_str_eq(key, FL_STR("labelSelector")))
        return parse_selector(r, value, false, status);
    else if (fl_str_eq(key, FL_STR("fieldSelector")))
        return parse_selector(r, value, true, status);
    return 0;
}

/* Which options go together (apimachinery, ValidateListOptions). */
static int check_options(const struct fl_api_request *r, struct fl_api_status *status) {
    bool watch = r->target == FL_API_WATCH;
    if (r->initial_events && !watch)
        return forbidden_option(status, "sendInitialEvents: Forbidden: it is for watches");
    if (r->initial_events && r->match != FL_API_MATCH_NOT_OLDER)
        return forbidden_option(status, "resourceVersionMatch: Forbidden: sendInitialEvents "
                                        "requires NotOlderThan");
    if (r->initial_events && !r->bookmarks)
        return forbidden_option(status, "allowWatchBookmarks: Forbidden: sendInitialEvents "
                                        "requires it");
    if (watch && !r->initial_events && r->match)
        return forbidden_option(status, "resourceVersionMatch: Forbidden: it is forbidden for "
                                        "watch unless sendInitialEvents is provided");
    if (!watch && r->match && !r->has_version)
        return forbidden_option(status, "resourceVersionMatch: Forbidden: it is forbidden unless "
                                        "resourceVersion is provided");
    if (!watch && r->match == FL_API_MATCH_EXACT && !r->version)
        return forbidden_option(status, "resourceVersionMatch: Forbidden: Exact is forbidden for "
                                        "resourceVersion 0");
    if (r->goes_on && r->has_version && r->version)
        return bad_request(status, "specifying resource version is not allowed when using continue",
                           FL_STR_NONE);
    return 0;
}

/* --- formats --- */

static enum fl_api_shape shape_of(struct fl_str as) {
    if (fl_str_eq(as, FL_STR("Table"))) return FL_API_TABLE;
    return fl_str_eq(as, FL_STR("PartialObjectMetadataList")) ||
                   fl_str_eq(as, FL_STR("PartialObjectMetadata"))
               ? FL_API_METADATA
               : FL_API_WHOLE;
}

/* "as=Table;g=meta.k8s.io;v=v1": true if it is a shape that we make. */
static bool parse_shape(struct fl_str parameters, enum fl_api_shape *out) {
    struct fl_str parameter, key, value, as = FL_STR_NONE, version = FL_STR_NONE;
    while (parameters.n) {
        fl_str_split(parameters, ';', &parameter, &parameters);
        fl_str_split(fl_str_trim(parameter), '=', &key, &value);
        if (fl_str_eq(key, FL_STR("as"))) as = value;
        if (fl_str_eq(key, FL_STR("v"))) version = value;
    }
    *out = shape_of(as);
    return !as.n || (*out != FL_API_WHOLE && fl_str_eq(version, FL_STR("v1")));
}

/* One media range: true if we can write it. */
static bool accepts(struct fl_api_request *r, struct fl_str range, bool json_only) {
    const struct fl_resource *resource = fl_resource_of(r->kind);
    struct fl_str type, parameters;
    fl_str_split(range, ';', &type, &parameters);
    if (!parse_shape(parameters, &r->shape)) return false;
    type = fl_str_trim(type);
    if (fl_str_eq(type, FL_STR("application/vnd.kubernetes.protobuf"))) {
        r->format = FL_K8S_PROTOBUF;
        if (r->target == FL_API_DOCUMENT) return false;
        return !json_only && r->shape != FL_API_TABLE && resource->has_protobuf;
    }
    r->format = FL_K8S_JSON;
    return fl_str_eq(type, FL_STR("application/json")) ||
           fl_str_eq(type, FL_STR("application/*")) || fl_str_eq(type, FL_STR("*/*"));
}

static int parse_accept(struct fl_api_request *r, struct fl_str accept, bool json_only,
                        struct fl_api_status *status) {
    struct fl_str range, rest = accept;
    if (!fl_str_trim(accept).n) return 0;
    while (rest.n) {
        fl_str_split(rest, ',', &range, &rest);
        if (accepts(r, range, json_only)) return 0;
    }
    r->format = FL_K8S_JSON;
    r->shape = FL_API_WHOLE;
    if (r->target == FL_API_DOCUMENT) return 0; /* health is text, whoever asks */
    return fl_api_fail(status, 406, "NotAcceptable",
                       "only the following media types are accepted: application/json%s",
                       json_only ? "" : ", application/vnd.kubernetes.protobuf");
}

/* --- verbs --- */

static int parse_patch(struct fl_api_request *r, struct fl_str type, struct fl_api_status *status) {
    static const char *const types[] = {
        [FL_API_PATCH_JSON] = "application/json-patch+json",
        [FL_API_PATCH_MERGE] = "application/merge-patch+json",
        [FL_API_PATCH_STRATEGIC] = "application/strategic-merge-patch+json",
    };
    struct fl_str media, parameters;
    fl_str_split(type, ';', &media, &parameters);
    for (size_t i = 0; i < FL_COUNT(types); i++)
        if (fl_str_eq(fl_str_trim(media), fl_str_of(types[i]))) {
            r->patch = (enum fl_api_patch)i;
            return 0;
        }
    return fl_api_fail(status, 415, "UnsupportedMediaType",
                       "the body of the request was in an unknown format - accepted media types "
                       "include: application/json-patch+json, application/merge-patch+json, "
                       "application/strategic-merge-patch+json");
}

static int parse_verb(struct fl_api_request *r, const struct fl_http_request *head,
                      struct fl_api_status *status) {
    struct fl_str type = fl_http_header_get(head->headers, FL_STR("content-type")), media, rest;
    struct fl_str method = head->method;
    bool object = r->target == FL_API_OBJECT, document = r->target == FL_API_DOCUMENT;
    if (fl_str_eq(method, FL_STR("GET"))) return 0;
    if (fl_str_eq(method, FL_STR("POST")) && !object)
        r->verb = FL_API_CREATE;
    else if (fl_str_eq(method, FL_STR("PUT")) && object)
        r->verb = FL_API_UPDATE;
    else if (fl_str_eq(method, FL_STR("PATCH")) && object)
        r->verb = FL_API_PATCH;
    else if (fl_str_eq(method, FL_STR("DELETE")) && !document && !r->subresource)
        r->verb = FL_API_DELETE;
    else
        return fl_api_fail(status, 405, "MethodNotAllowed",
                           "the server does not allow this method on the requested resource");
    if (r->verb == FL_API_PATCH) return parse_patch(r, type, status);
    fl_str_split(type, ';', &media, &rest);
    media = fl_str_trim(media);
    r->protobuf_body = fl_str_eq(media, FL_STR("application/vnd.kubernetes.protobuf"));
    if (!media.n || r->protobuf_body || fl_str_eq(media, FL_STR("application/json"))) return 0;
    return fl_api_fail(status, 415, "UnsupportedMediaType",
                       "the body of the request was in an unknown format - accepted media types "
                       "include: application/json, application/vnd.kubernetes.protobuf");
}

const char *fl_api_request_verb(const struct fl_api_request *r) {
    switch (r->verb) {
    case FL_API_CREATE:
        return "create";
    case FL_API_UPDATE:
        return "update";
    case FL_API_PATCH:
        return "patch";
    case FL_API_DELETE:
        return r->target == FL_API_OBJECT ? "delete" : "deletecollection";
    case FL_API_READ:
        break;
    }
    return r->target == FL_API_WATCH ? "watch" : r->target == FL_API_OBJECT ? "get" : "list";
}

/* --- shapes --- */

enum fl_k8s_kind fl_api_request_shown_kind(const struct fl_api_request *request) {
    return request->shape == FL_API_METADATA ? FL_K8S_METADATA : request->kind;
}

int fl_api_request_encode(const struct fl_api_request *request, struct fl_object *object,
                          struct fl_buf *out) {
    return request->shape == FL_API_METADATA
               ? fl_object_encode_metadata(object, request->format, out)
               : fl_object_encode(object, request->format, out);
}

/* --- all --- */

int fl_api_request_parse(struct fl_api_request *out, const struct fl_http_request *head,
                         bool json_only, struct fl_api_status *status) {
    struct fl_str path, query, pair, key, value;
    *out = (struct fl_api_request){.format = FL_K8S_JSON};
    if (head->path.n > URL_MAX)
        return fl_api_fail(status, 414, "RequestURITooLong", "the URL is too long");
    out->text = fl_str_dup(head->path);
    if (!out->text) return fl_api_fail(status, 500, "InternalError", "out of memory");
    fl_str_split((struct fl_str){out->text, head->path.n}, '?', &path, &query);
    parse_path(out, path);
    int code =
        parse_accept(out, fl_http_header_get(head->headers, FL_STR("accept")), json_only, status);
    if (!code) code = parse_verb(out, head, status);
    while (query.n && !code) {
        fl_str_split(query, '&', &pair, &query);
        fl_str_split(pair, '=', &key, &value);
        code = parse_option(out, decode(key), decode(value), status);
    }
    return code ? code : check_options(out, status);
}

void fl_api_request_deinit(struct fl_api_request *request) {
    fl_free(request->text);
    request->text = NULL;
}
