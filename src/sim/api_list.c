/* api_list.c - answers a single object and lists, whole, in pages and of the past.
 *
 * Which state a list shows: without a version the newest; version 0 and NotOlderThan any that is
 * new enough, which here is the newest too; Exact, a limit with a version, and the later pages of a
 * list the state at that version, which history gives back or has forgotten (410). */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "sim/api_reply.h"
#include "sim/api_scale.h"
#include "sim/api_table.h"

#define OLDER_VERSIONS 10 /* how far a lagging server is behind */

void fl_api_reply_made(const struct fl_api_call *call, int http_status, struct fl_object *object) {
    const struct fl_api_request *request = &call->request;
    struct fl_api_status status;
    struct fl_buf bare, body;
    fl_buf_init(&bare, FL_API_BODY_MAX);
    fl_buf_init(&body, FL_API_BODY_MAX);
    int rc = request->shape == FL_API_TABLE
                 ? fl_api_table_encode(request, &object, 1, object->version, FL_STR_NONE, &body)
                 : fl_api_request_encode(request, object, &bare);
    if (!rc && request->shape != FL_API_TABLE)
        rc = fl_k8s_encode_object(&body, request->format, fl_api_request_shown_kind(request),
                                  fl_buf_str(&bare));
    if (rc) {
        fl_api_fail(&status, 500, "InternalError", "%s", fl_error_text(rc));
        fl_api_reply_status(call, &status);
    } else {
        fl_api_reply_take(call, http_status, fl_api_content_type(request->format, false), 0, &body);
    }
    fl_buf_deinit(&body);
    fl_buf_deinit(&bare);
}

int fl_api_not_found(struct fl_api_status *status, const struct fl_api_request *request) {
    char name[64];
    return fl_api_fail(status, 404, "NotFound", "%s \"%.*s\" not found",
                       fl_resource_full_name(fl_resource_of(request->kind), name),
                       FL_STR_ARG(request->name));
}

void fl_api_reply_object(const struct fl_api_call *call, const struct fl_store *store) {
    const struct fl_api_request *request = &call->request;
    struct fl_object *object = fl_store_find(store, request->kind, request->ns, request->name);
    struct fl_api_status status;
    if (object && request->subresource == FL_SUBRESOURCE_SCALE) {
        fl_api_reply_scale(call, object);
    } else if (object) {
        fl_api_reply_made(call, 200, object);
    } else {
        fl_api_not_found(&status, request);
        fl_api_reply_status(call, &status);
    }
}

static bool is_exact(const struct fl_api_request *r) {
    return r->match == FL_API_MATCH_EXACT || (!r->match && r->limit && r->version);
}

/* In mid-paging: with a token to go on from the same place in the state of now, which makes an
 * inconsistent list (apiserver, inconsistentContinue). */
static int expired(const struct fl_api_request *r, const struct fl_store *store, uint64_t asked,
                   struct fl_api_status *status) {
    if (!r->goes_on) return fl_api_expired(status, asked, store->oldest);
    fl_api_fail(status, 410, "Expired",
                "The provided continue parameter is too old to display a consistent list result. "
                "You can start a new list without the continue parameter, or use the continue "
                "token in this response to retrieve the remainder of the results.");
    snprintf(status->continue_token, sizeof status->continue_token, "v1.0.%.*s/%.*s",
             FL_STR_ARG(r->page_ns), FL_STR_ARG(r->page_name));
    return status->code;
}

/* The version whose state is asked for. */
static int choose_version(const struct fl_api_request *r, const struct fl_store *store, bool older,
                          uint64_t *out, struct fl_api_status *status) {
    uint64_t asked = r->goes_on ? r->page_version : r->version;
    bool exact = r->goes_on || is_exact(r);
    int code = fl_api_check_reached(store, asked, status);
    if (code) return code;
    if (exact && asked && asked < store->oldest) return expired(r, store, asked, status);
    *out = exact && asked ? asked : store->version;
    if (older && r->has_version && !r->version && !exact)
        *out = FL_MAX(store->oldest, store->version - FL_MIN(store->version, OLDER_VERSIONS));
    return 0;
}

struct page {
    struct fl_object **objects; /* borrowed from the list */
    size_t count;
    const struct fl_object *last; /* of this page when there are more */
};

static bool is_behind(const struct fl_api_request *r, const struct fl_object *object) {
    return r->goes_on && fl_object_cmp(object, r->page_ns, r->page_name) <= 0;
}

static int page_fill(struct page *page, const struct fl_api_request *r,
                     const struct fl_object_list *list) {
    uint64_t limit = r->limit && !(r->has_version && !r->version) ? r->limit : UINT64_MAX;
    page->objects = fl_calloc(list->count + 1, sizeof(struct fl_object *));
    if (!page->objects) return FL_ENOMEM;
    for (size_t i = 0; i < list->count; i++) {
        struct fl_object *object = list->items[i];
        if (is_behind(r, object) || !fl_api_request_selects(r, object)) continue;
        if (page->count == limit) {
            page->last = page->objects[page->count - 1];
            break;
        }
        page->objects[page->count++] = object;
    }
    return 0;
}

static int write_objects(const struct page *page, const struct fl_api_request *r, uint64_t version,
                         struct fl_str token, struct fl_buf *body) {
    char text[24];
    struct fl_buf bytes;
    struct fl_str *objects = fl_calloc(page->count + 1, sizeof *objects);
    int n = snprintf(text, sizeof text, "%" PRIu64, version), rc = objects ? 0 : FL_ENOMEM;
    fl_buf_init(&bytes, FL_API_BODY_MAX);
    for (size_t i = 0; i < page->count && !rc; i++) {
        size_t before = bytes.len;
        rc = fl_api_request_encode(r, page->objects[i], &bytes);
        objects[i].n = bytes.len - before;
    }
    const char *at = fl_buf_str(&bytes).p;
    for (size_t i = 0; i < page->count && !rc; at += objects[i++].n) objects[i].p = at;
    if (!rc)
        rc = fl_k8s_encode_list(body, r->format, fl_api_request_shown_kind(r), objects, page->count,
                                fl_str_n(text, (size_t)n), token);
    fl_buf_deinit(&bytes);
    fl_free(objects);
    return rc;
}

static int page_write(const struct page *page, const struct fl_api_request *r, uint64_t version,
                      struct fl_buf *body) {
    struct fl_buf token;
    int rc = 0;
    fl_buf_init(&token, FL_API_TOKEN_MAX);
    if (page->last)
        rc = fl_buf_printf(&token, "v1.%" PRIu64 ".%.*s/%.*s", version,
                           FL_STR_ARG(page->last->identity->ns),
                           FL_STR_ARG(page->last->identity->name));
    if (!rc && r->shape == FL_API_TABLE)
        rc = fl_api_table_encode(r, page->objects, page->count, version, fl_buf_str(&token), body);
    else if (!rc)
        rc = write_objects(page, r, version, fl_buf_str(&token), body);
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
    int rc = fl_store_state_at(store, r->kind, version, &list);
    if (!rc) rc = page_fill(&page, r, &list);
    if (!rc) rc = page_write(&page, r, version, body);
    fl_free(page.objects);
    fl_object_list_deinit(&list);
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
