/* api_request.h - what a request to the simulated API server asks for. Pure; one thread.
 *
 * Source: kubernetes.io/docs/reference/using-api/api-concepts, metav1.ListOptions. */
#ifndef FL_SIM_API_REQUEST_H
#define FL_SIM_API_REQUEST_H

#include "http/message.h"
#include "sim/object.h"

/* An answer that is no success: a metav1.Status to be. */
struct fl_api_status {
    int code; /* of HTTP */
    const char *reason;
    char message[FL_ERROR_DETAIL_MAX];
    uint32_t retry_after_s;
    bool version_too_large;
};

/* Fills *out and returns `code`. */
int fl_api_fail(struct fl_api_status *out, int code, const char *reason, const char *format, ...)
    FL_PRINTF(4, 5);

enum fl_api_target { FL_API_DOCUMENT, FL_API_LIST, FL_API_WATCH, FL_API_OBJECT };

#define FL_API_TERMS_MAX 16

/* A requirement of a selector: key=value, key!=value, key (exists), !key. */
struct fl_api_term {
    struct fl_str key, value;
    bool field; /* metadata.name, metadata.namespace; else a label */
    bool exists_only, negated;
};

struct fl_api_request {
    char *text; /* decoded: what all strings point into */
    enum fl_api_target target;
    struct fl_str path; /* DOCUMENT */
    enum fl_k8s_kind kind;
    struct fl_str ns, name; /* ns empty: everywhere */
    enum fl_k8s_format format;
    bool metadata; /* LIST: of PartialObjectMetadata */
    struct fl_api_term terms[FL_API_TERMS_MAX];
    size_t term_count;
    uint64_t limit, timeout_s; /* 0: none */
    bool has_version;          /* resourceVersion given, perhaps 0 */
    uint64_t version;
    enum { FL_API_MATCH_NONE, FL_API_MATCH_NOT_OLDER, FL_API_MATCH_EXACT } match;
    bool bookmarks, initial_events;
    bool goes_on; /* continue: version and the key of the last object */
    uint64_t page_version;
    struct fl_str page_ns, page_name;
};

/* 0, or the HTTP code in *status; *out is initialised in any case, its format is known. */
FL_MUST int fl_api_request_parse(struct fl_api_request *out, const struct fl_http_request *head,
                                 bool json_only, struct fl_api_status *status);
void fl_api_request_deinit(struct fl_api_request *request);

/* Does the request mean this object? */
bool fl_api_request_selects(const struct fl_api_request *request, const struct fl_object *object);

/* "endpointslices.discovery.k8s.io", "pods" … as messages name them. */
const char *fl_api_resource_name(enum fl_k8s_kind kind);

#endif
