/* api_list.c - answers a single object and lists, whole, in pages and of the past.
 *
 * Which state a list shows: without a version the newest; version 0 and NotOlderThan any that is
 * new enough, which here is the newest too; Exact, a limit with a version, and the later pages of a
 * list the state at that version, which history gives back or has forgotten (410). */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "sim/api_reply.h"

#define OLDER_VERSIONS 10 /* how far a lagging server is behind */

void fl_api_reply_object(const struct fl_api_call *call, const struct fl_store *store) {
    const struct fl_api_request *request = &call->request;
    struct fl_object *object = fl_store_find(store, request->kind, request->ns, request->name);
    struct fl_api_status status;
    struct fl_buf bare, body;
    if (!object) {
        fl_api_fail(&status, 404, "NotFound", "%s \"%.*s\" not found",
                    fl_api_resource_name(request->kind), FL_STR_ARG(request->name));
        fl_api_reply_status(call, &status);
        return;
    }
    fl_buf_init(&bare, FL_API_BODY_MAX);
    fl_buf_init(&body, FL_API_BODY_MAX);
    if (fl_object_encode(object, request->format, &bare) ||
        fl_k8s_encode_object(&body, request->format, request->kind, fl_buf_str(&bare))) {
        fl_api_fail(&status, 500, "InternalError", "out of memory");
        fl_api_reply_status(call, &status);
        fl_buf_deinit(&body);
    } else {
        fl_api_reply_take(call, 200, fl_api_content_type(request->format, false), 0, &body);
    }
    fl_buf_deinit(&bare);
}

static bool is_exact(const struct fl_api_request *r) {
    return r->match == FL_API_MATCH_EXACT || (!r->match && r->limit && r->version);
}

/* The version whose state is asked for. */
static int choose_version(const struct fl_api_request *r, const struct fl_store *store, bool older,
                          uint64_t *out, struct fl_api_status *status) {
    uint64_t asked = r->goes_on ? r->page_version : r->version;
    bool exact = r->goes_on || is_exact(r);
    int code = fl_api_check_reached(store, asked, status);
    if (code) return code;
    if (exact && asked < store->oldest) return fl_api_expired(status, asked, store->oldest);
    *out = exact ? asked : store->version;
    if (older && r->has_version && !r->version && !exact)
        *out = FL_MAX(store->oldest, store->version - FL_MIN(store->version, OLDER_VERSIONS));
    return 0;
}

static int encode_metadata(const struct fl_object *object, enum fl_k8s_format format,
                           struct fl_buf *out) {
    char version[24];
    int n = snprintf(version, sizeof version, "%" PRIu64, object->version);
    const struct fl_k8s_meta meta = {.name = object->identity->name,
                                     .ns = object->identity->ns,
                                     .uid = fl_str_of(object->identity->uid),
                                     .resource_version = fl_str_n(version, (size_t)n),
                                     .created_s = object->identity->created_s};
    return fl_k8s_encode_metadata(out, format, &meta);
}

static int encode(struct fl_object *object, const struct fl_api_request *r, struct fl_buf *out) {
    return r->metadata ? encode_metadata(object, r->format, out)
                       : fl_object_encode(object, r->format, out);
}

struct page {
    struct fl_buf bytes;    /* bare objects, one after the other */
    struct fl_str *objects; /* their lengths, then also their places */
    size_t count;
    const struct fl_object *last; /* of this page when there are more */
};

static bool is_behind(const struct fl_api_request *r, const struct fl_object *object) {
    return r->goes_on && fl_object_cmp(object, r->page_ns, r->page_name) <= 0;
}

static int page_fill(struct page *page, const struct fl_api_request *r,
                     const struct fl_object_list *list) {
    uint64_t limit = r->limit && !(r->has_version && !r->version) ? r->limit : UINT64_MAX;
    const struct fl_object *last = NULL;
    page->objects = fl_calloc(list->count + 1, sizeof *page->objects);
    if (!page->objects) return FL_ENOMEM;
    for (size_t i = 0; i < list->count; i++) {
        struct fl_object *object = list->items[i];
        if (is_behind(r, object) || !fl_api_request_selects(r, object)) continue;
        if (page->count == limit) {
            page->last = last;
            break;
        }
        size_t before = page->bytes.len;
        int rc = encode(object, r, &page->bytes);
        if (rc) return rc;
        page->objects[page->count++].n = page->bytes.len - before;
        last = object;
    }
    const char *at = fl_buf_str(&page->bytes).p;
    for (size_t i = 0; i < page->count; at += page->objects[i++].n) page->objects[i].p = at;
    return 0;
}

static int page_write(const struct page *page, const struct fl_api_request *r, uint64_t version,
                      struct fl_buf *body) {
    char version_text[24];
    struct fl_buf token;
    int n = snprintf(version_text, sizeof version_text, "%" PRIu64, version), rc = 0;
    fl_buf_init(&token, 1024);
    if (page->last)
        rc = fl_buf_printf(&token, "v1.%" PRIu64 ".%.*s/%.*s", version,
                           FL_STR_ARG(page->last->identity->ns),
                           FL_STR_ARG(page->last->identity->name));
    if (!rc)
        rc = fl_k8s_encode_list(body, r->format, r->metadata ? FL_K8S_METADATA : r->kind,
                                page->objects, page->count, fl_str_n(version_text, (size_t)n),
                                fl_buf_str(&token));
    fl_buf_deinit(&token);
    return rc;
}

static int make_list(const struct fl_api_request *r, const struct fl_store *store, bool older,
                     struct fl_buf *body, struct fl_api_status *status) {
    struct fl_object_list list = {NULL, 0, 0};
    struct page page = {.count = 0};
    uint64_t version = 0;
    int code = choose_version(r, store, older, &version, status);
    if (code) return code;
    fl_buf_init(&page.bytes, FL_API_BODY_MAX);
    int rc = fl_store_state_at(store, r->kind, version, &list);
    if (!rc) rc = page_fill(&page, r, &list);
    if (!rc) rc = page_write(&page, r, version, body);
    fl_object_list_deinit(&list);
    fl_buf_deinit(&page.bytes);
    fl_free(page.objects);
    return rc ? fl_api_fail(status, 500, "InternalError", "%s", fl_error_text(rc)) : 0;
}

void fl_api_reply_list(const struct fl_api_call *call, const struct fl_store *store, bool older) {
    const struct fl_api_request *request = &call->request;
    struct fl_api_status status;
    struct fl_buf body;
    fl_buf_init(&body, FL_API_BODY_MAX);
    if (make_list(request, store, older, &body, &status))
        fl_api_reply_status(call, &status);
    else
        fl_api_reply_take(call, 200, fl_api_content_type(request->format, false), 0, &body);
    fl_buf_deinit(&body);
}
