/* api_access.c - see api_access.h. */
#include "sim/api_access.h"

#include <jansson.h>

#include "base/alloc.h"
#include "base/secret.h"
#include "sim/json_patch.h"

static int copy(char **out, struct fl_str text) {
    return text.n && !(*out = fl_str_dup(text)) ? FL_ENOMEM : 0;
}

int fl_api_access_init(struct fl_api_access *access, const struct fl_apiserver_options *options) {
    *access = (struct fl_api_access){NULL, NULL, NULL};
    int rc = copy(&access->token, options->token);
    if (!rc) rc = copy(&access->reader_token, options->reader_token);
    return rc ? rc : copy(&access->reader_namespace, options->reader_namespace);
}

void fl_api_access_deinit(struct fl_api_access *access) {
    fl_secret_free(access->token);
    fl_secret_free(access->reader_token);
    fl_free(access->reader_namespace);
}

/* In constant time for equal lengths: a token is a secret. */
static bool is_secret(struct fl_str given, const char *secret) {
    unsigned char difference = 0;
    if (!secret || given.n != strlen(secret)) return false;
    for (size_t i = 0; i < given.n; i++) difference |= (unsigned char)(given.p[i] ^ secret[i]);
    return difference == 0;
}

static bool reader_may(const struct fl_api_access *access, const char *verb, struct fl_str ns) {
    static const char *const reading[] = {"get", "list", "watch"};
    const char *only = access->reader_namespace;
    if (only && !fl_str_eq(ns, fl_str_of(only))) return false;
    for (size_t i = 0; i < FL_COUNT(reading); i++)
        if (strcmp(verb, reading[i]) == 0) return true;
    return false;
}

int fl_api_access_check(const struct fl_api_access *access, const struct fl_http_request *head,
                        struct fl_api_request *request, struct fl_api_status *status) {
    struct fl_str value = fl_http_header_get(head->headers, FL_STR("authorization"));
    struct fl_str prefix = FL_STR("Bearer "), given = fl_str_from(value, prefix.n);
    bool document = request->target == FL_API_DOCUMENT;
    if (!access->token && !access->reader_token) return 0;
    if (document && fl_str_ends(request->path, FL_STR("z"))) return 0;
    if (!fl_str_starts(value, prefix)) given = FL_STR_NONE;
    if (is_secret(given, access->token)) return 0;
    if (!is_secret(given, access->reader_token))
        return fl_api_fail(status, 401, "Unauthorized", "Unauthorized");
    request->is_reader = true;
    if (document || reader_may(access, fl_api_request_verb(request), request->ns)) return 0;
    return fl_api_forbidden(status, request, FL_API_READER);
}

/* --- reviews --- */

bool fl_api_is_review(const struct fl_api_request *request) {
    return request->target == FL_API_DOCUMENT && request->verb == FL_API_CREATE &&
           fl_str_eq(request->path,
                     FL_STR("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"));
}

void fl_api_reply_review(const struct fl_api_call *call, const struct fl_api_access *access,
                         struct fl_str body) {
    struct fl_api_status status;
    json_t *review;
    int code = fl_api_parse_body(&call->request, body, &review, &status);
    const json_t *what = json_object_get(json_object_get(review, "spec"), "resourceAttributes");
    const char *verb = json_string_value(json_object_get(what, "verb"));
    const char *ns = json_string_value(json_object_get(what, "namespace"));
    bool allowed = !call->request.is_reader || reader_may(access, verb ? verb : "", fl_str_of(ns));
    struct fl_buf out;
    fl_buf_init(&out, FL_API_BODY_MAX);
    int rc = json_is_object(review) ? 0 : FL_EUSAGE;
    if (!rc && json_object_set_new(review, "status", json_pack("{s:b}", "allowed", allowed)))
        rc = FL_ENOMEM;
    if (!rc) rc = fl_json_print(review, &out);
    if (code) {
        fl_api_reply_status(call, &status);
    } else if (rc) {
        fl_api_fail(&status, rc == FL_EUSAGE ? 400 : 500,
                    rc == FL_EUSAGE ? "BadRequest" : "InternalError", "%s", fl_error_text(rc));
        fl_api_reply_status(call, &status);
    } else {
        fl_api_reply_take(call, 201, "application/json", 0, &out);
    }
    fl_buf_deinit(&out);
    json_decref(review);
}
