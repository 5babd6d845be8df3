/* api_request.h - what a request to the simulated API server asks for. Pure; one thread.
 *
 * Source: kubernetes.io/docs/reference/using-api/api-concepts, metav1.ListOptions. */
#ifndef FL_SIM_API_REQUEST_H
#define FL_SIM_API_REQUEST_H

#include "http/message.h"
#include "sim/resource.h"
#include "sim/selector.h"

#define FL_API_TOKEN_MAX 600

/* An answer that is no success: a metav1.Status to be. */
struct fl_api_status {
    int code; /* of HTTP */
    const char *reason;
    char message[FL_ERROR_DETAIL_MAX];
    uint32_t retry_after_s;
    bool version_too_large;
    char continue_token[FL_API_TOKEN_MAX]; /* 410 in mid-paging: how to go on all the same */
};

/* Fills *out and returns `code`. */
int fl_api_fail(struct fl_api_status *out, int code, const char *reason, const char *format, ...)
    FL_PRINTF(4, 5);

enum fl_api_target { FL_API_DOCUMENT, FL_API_LIST, FL_API_WATCH, FL_API_OBJECT };

enum fl_api_verb { /* beside the target: what is to be done with it */
                   FL_API_READ,
                   FL_API_CREATE,
                   FL_API_UPDATE,
                   FL_API_PATCH,
                   FL_API_DELETE,
};

/* In which shape objects are shown. */
enum fl_api_shape { FL_API_WHOLE, FL_API_METADATA, FL_API_TABLE };

enum fl_api_patch { FL_API_PATCH_JSON, FL_API_PATCH_MERGE, FL_API_PATCH_STRATEGIC };

struct fl_api_request {
    char *text; /* decoded: what all strings point into */
    enum fl_api_target target;
    enum fl_api_verb verb;
    enum fl_api_patch patch;
    enum fl_subresource subresource;
    struct fl_str path; /* DOCUMENT */
    enum fl_k8s_kind kind;
    struct fl_str ns, name; /* ns empty: everywhere */
    enum fl_k8s_format format;
    enum fl_api_shape shape;
    struct fl_selector selector;
    uint64_t limit, timeout_s; /* 0: none */
    bool has_version;          /* resourceVersion given, perhaps 0 */
    uint64_t version;
    enum { FL_API_MATCH_NONE, FL_API_MATCH_NOT_OLDER, FL_API_MATCH_EXACT } match;
    int64_t now_s; /* since 1970: what ages are counted from */
    bool bookmarks, initial_events, dry_run;
    bool protobuf_body;
    bool is_reader;        /* the bearer may only read */
    bool goes_on;          /* continue: version and the key of the last object */
    uint64_t page_version; /* 0: of now, after what a 410 said */
    struct fl_str page_ns, page_name;
};

/* 0, or the HTTP code in *status; *out is initialised in any case, its format is known. */
FL_MUST int fl_api_request_parse(struct fl_api_request *out, const struct fl_http_request *head,
                                 bool json_only, struct fl_api_status *status);
void fl_api_request_deinit(struct fl_api_request *request);

/* Does the request mean this object? */
bool fl_api_request_selects(const struct fl_api_request *request, const struct fl_object *object);
/* What the request may write its answer in; a Status and a document are always whole. */
enum fl_k8s_kind fl_api_request_shown_kind(const struct fl_api_request *request);
/* Appends the object as the request wants to see it: bare, as wire/ frames it. FL_ENOMEM, FL_EFULL.
 */
FL_MUST int fl_api_request_encode(const struct fl_api_request *request, struct fl_object *object,
                                  struct fl_buf *out);
/* "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection" */
const char *fl_api_request_verb(const struct fl_api_request *request);

#endif
