/* reflector_query.c - what is asked of the server: path, query and Accept.
 *
 * Source: kubernetes.io/docs/reference/using-api/api-concepts, KEP-3157 for streaming lists. */
#include "kube/reflector_inside.h"
#include "kube/resource.h"

#define WATCH_TIMEOUT_S_MIN 300
#define WATCH_TIMEOUT_S_MAX 600
#define PAGE_LIMIT          500

static struct fl_str list_version(const struct fl_reflector *r) {
    switch (r->mode) {
    case REFLECTOR_CACHED:
        return FL_STR("0");
    case REFLECTOR_NOT_OLDER:
        return reflector_position(r);
    default:
        return FL_STR_NONE;
    }
}

static int write_pages(struct fl_reflector *r) {
    struct fl_str token = fl_buf_str(&r->continue_token);
    int rc = r->unpaged ? FL_OK : fl_query_add_number(&r->path, "limit", PAGE_LIMIT);
    if (rc < 0) return rc;
    if (token.n) return fl_query_add(&r->path, "continue", token);
    if ((rc = fl_query_add(&r->path, "resourceVersion", list_version(r))) < 0) return rc;
    if (r->mode != REFLECTOR_NOT_OLDER) return FL_OK;
    return fl_query_add(&r->path, "resourceVersionMatch", FL_STR("NotOlderThan"));
}

/* What a watch asks for, of a stream that begins with a list too. */
static int write_watch(struct fl_reflector *r, struct fl_str version) {
    uint64_t seconds = WATCH_TIMEOUT_S_MIN +
                       fl_random_below(&r->random, WATCH_TIMEOUT_S_MAX - WATCH_TIMEOUT_S_MIN + 1);
    r->watch_timeout_ms = seconds * 1000;
    int rc;
    if ((rc = fl_query_add(&r->path, "watch", FL_STR("1"))) < 0 ||
        (rc = fl_query_add(&r->path, "allowWatchBookmarks", FL_STR("true"))) < 0 ||
        (rc = fl_query_add(&r->path, "resourceVersion", version)) < 0)
        return rc;
    return fl_query_add_number(&r->path, "timeoutSeconds", seconds);
}

static int write_stream(struct fl_reflector *r) {
    int rc = write_watch(r, list_version(r));
    if (rc < 0 || (rc = fl_query_add(&r->path, "sendInitialEvents", FL_STR("true"))) < 0) return rc;
    return fl_query_add(&r->path, "resourceVersionMatch", FL_STR("NotOlderThan"));
}

static int write_path(struct fl_reflector *r) {
    const struct fl_resource_scope scope = {
        .kind = r->kind,
        .ns = fl_str_of(r->ns),
        .label_selector = fl_str_of(r->label_selector),
        .field_selector = fl_str_of(r->field_selector),
    };
    fl_buf_truncate(&r->path, 0);
    int rc = fl_resource_path(&r->path, &scope);
    if (rc < 0) return rc;
    if (r->work == REFLECTOR_WATCH) return write_watch(r, reflector_position(r));
    return r->streamed ? write_stream(r) : write_pages(r);
}

int reflector_query(struct fl_reflector *r, struct fl_reflector_request *request) {
    int rc = write_path(r);
    if (rc < 0) return rc;
    bool list = r->work == REFLECTOR_LIST && !r->streamed;
    r->asked_protobuf = fl_server_traits_may_protobuf(&r->server->traits, r->now_ms);
    request->path = fl_buf_str(&r->path);
    request->accept = !r->asked_protobuf ? FL_STR(FL_K8S_ACCEPT_JSON)
                      : list             ? FL_STR(FL_K8S_ACCEPT)
                                         : FL_STR(FL_K8S_ACCEPT_WATCH);
    return FL_OK;
}
