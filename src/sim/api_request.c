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

/* --- resources --- */

struct resource {
    const char *name, *full_name;
    bool discovery; /* of discovery.k8s.io/v1, else core v1 */
};

static const struct resource resources[] = {
    [FL_K8S_ENDPOINTSLICE] = {"endpointslices", "endpointslices.discovery.k8s.io", true},
    [FL_K8S_SERVICE] = {"services", "services", false},
    [FL_K8S_ENDPOINTS] = {"endpoints", "endpoints", false},
    [FL_K8S_POD] = {"pods", "pods", false},
};

const char *fl_api_resource_name(enum fl_k8s_kind kind) { return resources[kind].full_name; }

static bool find_resource(struct fl_str name, bool discovery, enum fl_k8s_kind *out) {
    for (size_t i = 0; i < FL_COUNT(resources); i++) {
        if (!resources[i].name || resources[i].discovery != discovery) continue;
        if (!fl_str_eq(name, fl_str_of(resources[i].name))) continue;
        *out = (enum fl_k8s_kind)i;
        return true;
    }
    return false;
}

static bool strip(struct fl_str *s, struct fl_str prefix) {
    if (!fl_str_starts(*s, prefix)) return false;
    *s = fl_str_from(*s, prefix.n);
    return true;
}

/* [namespaces/NS/]RESOURCE[/NAME] below the group's version; anything else is a document. */
static void parse_path(struct fl_api_request *r, struct fl_str path) {
    struct fl_str rest = path, resource, name;
    bool discovery = strip(&rest, FL_STR("/apis/discovery.k8s.io/v1/"));
    r->target = FL_API_DOCUMENT;
    r->path = path;
    if (!discovery && !strip(&rest, FL_STR("/api/v1/"))) return;
    bool namespaced = strip(&rest, FL_STR("namespaces/"));
    if (namespaced) fl_str_split(rest, '/', &r->ns, &rest);
    fl_str_split(rest, '/', &resource, &name);
    if (!find_resource(resource, discovery, &r->kind)) return;
    if (name.n && (!namespaced || memchr(name.p, '/', name.n))) return;
    r->name = name;
    r->target = name.n ? FL_API_OBJECT : FL_API_LIST;
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

static int parse_term(struct fl_api_request *r, struct fl_str text, bool field,
                      struct fl_api_status *status) {
    if (r->term_count == FL_API_TERMS_MAX) return bad_request(status, "selector too long", text);
    struct fl_api_term *term = &r->terms[r->term_count++];
    *term = (struct fl_api_term){.field = field};
    if (memchr(text.p, '(', text.n))
        return bad_request(status, "set-based selectors are not supported here", text);
    term->exists_only = !fl_str_split(text, '=', &term->key, &term->value);
    if (term->exists_only) term->negated = strip(&term->key, FL_STR("!"));
    if (!term->exists_only && fl_str_ends(term->key, FL_STR("!"))) {
        term->negated = true;
        term->key.n--;
    }
    strip(&term->value, FL_STR("="));
    term->key = fl_str_trim(term->key);
    term->value = fl_str_trim(term->value);
    if (!term->key.n) return bad_request(status, "unable to parse requirement", text);
    if (!field) return 0;
    if (!term->exists_only && (fl_str_eq(term->key, FL_STR("metadata.name")) ||
                               fl_str_eq(term->key, FL_STR("metadata.namespace"))))
        return 0;
    return bad_request(status, "field label not supported", term->key);
}

static int parse_selector(struct fl_api_request *r, struct fl_str text, bool field,
                          struct fl_api_status *status) {
    struct fl_str term;
    int code = 0;
    while (text.n && !code) {
        fl_str_split(text, ',', &term, &text);
        term = fl_str_trim(term);
        if (term.n) code = parse_term(r, term, field, status);
    }
    return code;
}

static struct fl_str label_of(const struct fl_object *object, struct fl_str key, bool *found) {
    struct fl_k8s_label labels[FL_OBJECT_LABELS_MAX];
    size_t n = fl_object_labels(object, labels);
    *found = false;
    for (size_t i = 0; i < n; i++)
        if (fl_str_eq(labels[i].key, key)) {
            *found = true;
            return labels[i].value;
        }
    return FL_STR_NONE;
}

static bool term_holds(const struct fl_api_term *term, const struct fl_object *object) {
    bool found = true;
    struct fl_str value = !term->field ? label_of(object, term->key, &found)
                          : fl_str_eq(term->key, FL_STR("metadata.name")) ? object->identity->name
                                                                          : object->identity->ns;
    bool holds = found && (term->exists_only || fl_str_eq(value, term->value));
    return holds != term->negated;
}

bool fl_api_request_selects(const struct fl_api_request *request, const struct fl_object *object) {
    if (object->kind != request->kind) return false;
    if (request->ns.n && !fl_str_eq(request->ns, object->identity->ns)) return false;
    for (size_t i = 0; i < request->term_count; i++)
        if (!term_holds(&request->terms[i], object)) return false;
    return true;
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
    if (fl_str_eq(key, FL_STR("watch")) && is_true(value) && r->target == FL_API_LIST)
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

/* One media range: true if we can write it. */
static bool accepts(struct fl_str range, bool json_only, enum fl_k8s_format *out, bool *metadata) {
    struct fl_str type, parameters, parameter;
    fl_str_split(range, ';', &type, &parameters);
    *metadata = false;
    while (parameters.n) { /* as=Table: a shape that we do not make */
        fl_str_split(parameters, ';', &parameter, &parameters);
        parameter = fl_str_trim(parameter);
        *metadata |= fl_str_eq(parameter, FL_STR("as=PartialObjectMetadataList"));
        if (fl_str_starts(parameter, FL_STR("as=")) && !*metadata) return false;
    }
    type = fl_str_trim(type);
    bool protobuf = fl_str_eq(type, FL_STR("application/vnd.kubernetes.protobuf"));
    *out = protobuf ? FL_K8S_PROTOBUF : FL_K8S_JSON;
    return (protobuf && !json_only) || fl_str_eq(type, FL_STR("application/json")) ||
           fl_str_eq(type, FL_STR("application/*")) || fl_str_eq(type, FL_STR("*/*"));
}

static int not_acceptable(struct fl_api_status *status, bool json_only) {
    return fl_api_fail(status, 406, "NotAcceptable",
                       "only the following media types are accepted: application/json%s",
                       json_only ? "" : ", application/vnd.kubernetes.protobuf");
}

static int parse_accept(struct fl_api_request *r, struct fl_str accept, bool json_only,
                        struct fl_api_status *status) {
    struct fl_str range, rest = accept;
    if (!fl_str_trim(accept).n) return 0;
    while (rest.n) {
        fl_str_split(rest, ',', &range, &rest);
        if (accepts(range, json_only, &r->format, &r->metadata)) return 0;
    }
    r->format = FL_K8S_JSON;
    r->metadata = false;
    return not_acceptable(status, json_only);
}

/* --- all --- */

int fl_api_request_parse(struct fl_api_request *out, const struct fl_http_request *head,
                         bool json_only, struct fl_api_status *status) {
    struct fl_str path, query, pair, key, value;
    *out = (struct fl_api_request){.format = FL_K8S_JSON};
    int code =
        parse_accept(out, fl_http_header_get(head->headers, FL_STR("accept")), json_only, status);
    if (code) return code;
    if (head->path.n > URL_MAX)
        return fl_api_fail(status, 414, "RequestURITooLong", "the URL is too long");
    out->text = fl_str_dup(head->path);
    if (!out->text) return fl_api_fail(status, 500, "InternalError", "out of memory");
    fl_str_split((struct fl_str){out->text, head->path.n}, '?', &path, &query);
    parse_path(out, path);
    while (query.n && !code) {
        fl_str_split(query, '&', &pair, &query);
        fl_str_split(pair, '=', &key, &value);
        code = parse_option(out, decode(key), decode(value), status);
    }
    if (!code && out->metadata && out->target != FL_API_LIST)
        code = not_acceptable(status, json_only);
    return code ? code : check_options(out, status);
}

void fl_api_request_deinit(struct fl_api_request *request) {
    fl_free(request->text);
    request->text = NULL;
}
