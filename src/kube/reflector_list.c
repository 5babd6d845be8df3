/* reflector_list.c - lists: how one is asked, and whether its answer is believed.
 *
 * A list is streamed (as the beginning of a watch) where the server can, else read in pages. Items
 * are applied as they arrive; what vanished is deleted when the list is known to be whole. A stream
 * says so by a bookmark, and goes on as a watch. It must get on: END_MS after its last new object
 * it is given up, and for an hour nobody asks this server for another (W10). Where a right is
 * missing the next hour's lists of this collection are read in pages.
 *
 * A list whose own version is older than the position is refused: a cached one is asked again
 * consistently; a consistent one is asked once more after a pause, and if it is still older etcd
 * was restored and the list is the truth (W4). So is a consistent one that is older than an object
 * which it does not know: a list that was not read whole may have brought it. */
#include "kube/reflector_inside.h"

#define STREAM_CUTS_MAX 2 /* then pages: smaller answers may come through */

/* --- asking --- */

void reflector_list_start_over(struct fl_reflector *r, enum reflector_mode mode) {
    fl_buf_truncate(&r->continue_token, 0);
    fl_buf_release(&r->continue_token);
    r->mode = mode;
    r->unpaged = false;
}

void reflector_list_again(struct fl_reflector *r, enum reflector_mode mode,
                          enum fl_reflector_note why) {
    uint32_t retry_after_s = r->refusal.retry_after_s;
    reflector_list_start_over(r, mode);
    reflector_wait_after_failure(r, REFLECTOR_LIST, retry_after_s);
    r->relists++;
    reflector_note(r, why);
}

/* Without a version a stream is as new as etcd. */
void reflector_list_choose(struct fl_reflector *r) {
    r->streamed = !r->continue_token.len && !r->unpaged && r->stream_cuts < STREAM_CUTS_MAX &&
                  r->now_ms >= r->stream_forbidden_until_ms &&
                  fl_server_traits_may_stream(&r->server->traits, r->now_ms);
    if (r->streamed && r->mode == REFLECTOR_CACHED) r->mode = REFLECTOR_CONSISTENT;
}

void reflector_list_begin(struct fl_reflector *r) {
    if (r->continue_token.len) return;
    fl_kube_store_list_begin(r->store, fl_kube_store_version(reflector_position(r)));
    r->list_began_ms = r->now_ms;
    r->list_events_before = r->event_count;
    r->list_seen = 0;
    r->empty_pages = 0;
    if (!r->listed) reflector_note(r, FL_REFLECTOR_LIST_FIRST);
    r->listed = true;
}

void reflector_stream_refused(struct fl_reflector *r, bool by_server) {
    if (by_server)
        fl_server_traits_stream_refused(&r->server->traits, r->now_ms);
    else
        r->stream_forbidden_until_ms = r->now_ms + FL_SERVER_TRAITS_MS;
    reflector_wait(r, REFLECTOR_LIST, r->now_ms);
    reflector_note(r, FL_REFLECTOR_STREAM_REFUSED);
}

void reflector_stream_unended(struct fl_reflector *r) {
    fl_server_traits_stream_unended(&r->server->traits, r->now_ms);
    r->cancel = true;
    reflector_wait(r, REFLECTOR_LIST, r->now_ms);
    reflector_note(r, FL_REFLECTOR_STREAM_UNENDED);
}

/* --- believing --- */

static void measure(struct fl_reflector *r, bool complete) {
    const struct fl_reflector_round round = {
        .complete = complete,
        .ms = r->now_ms - r->list_began_ms,
        .items = r->event_count - r->list_events_before,
    };
    r->events->on_round(r->arg, &round);
}

static void complete(struct fl_reflector *r, enum fl_kube_trust trust) {
    struct fl_str version = fl_str_of(r->list_version);
    int rc = fl_kube_store_list_end(r->store, fl_kube_store_version(version), trust);
    measure(r, rc == FL_OK);
    reflector_list_start_over(r, REFLECTOR_NOT_OLDER);
    r->older_seen = 0;
    if (rc < 0) {
        struct fl_error why;
        fl_fail(&why, rc, "the list could not be kept");
        if (!r->position[0]) r->mode = REFLECTOR_CACHED;
        reflector_retry(r, &why);
        return;
    }
    memcpy(r->position, r->list_version, sizeof(r->position));
    r->synced = true;
    r->stream_cuts = 0;
    r->proof_ms = FL_MAX(r->proof_ms, r->list_began_ms);
    if (r->streamed)
        reflector_watch_begin(r);
    else
        reflector_wait(r, REFLECTOR_WATCH, r->now_ms);
    fl_backoff_success(&r->backoff, r->now_ms);
    if (trust == FL_KUBE_REPLACE) reflector_note(r, FL_REFLECTOR_RESTORED);
    if (!reflector_goes_in_circles(r)) reflector_trouble_over(r);
    r->events->on_synced(r->arg);
}

static bool contradicts(const struct fl_reflector *r) {
    uint64_t version = fl_kube_store_version(fl_str_of(r->list_version));
    return fl_kube_store_list_contradicts(r->store, version);
}

/* A whole list was read: is it newer than what is held? */
static void judge(struct fl_reflector *r) {
    bool consistent = r->mode == REFLECTOR_CONSISTENT;
    bool older = r->position[0] &&
                 fl_k8s_version_cmp(fl_str_of(r->list_version), reflector_position(r)) == -1;
    if (!older && !(consistent && contradicts(r))) {
        complete(r, FL_KUBE_ADVANCE);
    } else if (consistent && r->older_seen > 0) {
        complete(r, FL_KUBE_REPLACE);
    } else {
        measure(r, false);
        if (consistent) {
            r->older_seen++;
            reflector_list_again(r, REFLECTOR_CONSISTENT, FL_REFLECTOR_RELIST_DOUBTED);
            return;
        }
        reflector_list_start_over(r, REFLECTOR_CONSISTENT);
        reflector_wait(r, REFLECTOR_LIST, r->now_ms);
        reflector_note(r, FL_REFLECTOR_RELIST_OLDER);
    }
}

void reflector_list_meta(struct fl_reflector *r, struct fl_str version, struct fl_str token) {
    fl_buf_truncate(&r->continue_token, 0);
    r->list_read = version.n && fl_str_copy(r->list_version, sizeof(r->list_version), version) &&
                   fl_buf_append(&r->continue_token, token) == FL_OK;
}

/* The list goes on behind this page. It must get on: a server that gives the same page, or an empty
 * one, with a token for ever is asked for the list anew. */
static void next_page(struct fl_reflector *r) {
    size_t seen = fl_kube_store_list_seen(r->store);
    r->empty_pages = seen == r->list_seen ? r->empty_pages + 1 : 0;
    r->list_seen = seen;
    if (r->empty_pages < FL_KUBE_EMPTY_PAGES_MAX) {
        reflector_wait(r, REFLECTOR_LIST, r->now_ms);
        return;
    }
    struct fl_error why;
    fl_fail(&why, FL_EPROTO, "%u pages of the list in a row brought nothing new", r->empty_pages);
    measure(r, false);
    reflector_list_start_over(r, r->mode);
    reflector_retry(r, &why);
}

void reflector_list_ended(struct fl_reflector *r) {
    struct fl_error why;
    if (fl_k8s_decoder_end(r->decoder, &why) < 0) {
        reflector_retry(r, &why);
    } else if (!r->list_read) {
        fl_fail(&why, FL_EPROTO, "the list has no resource version");
        reflector_retry(r, &why);
    } else if (r->continue_token.len) {
        next_page(r);
    } else {
        judge(r);
    }
}

/* The stream's list is whole. A code ends the decoding: the reflector has moved on to another
 * request. */
static int stream_ended(struct fl_reflector *r, struct fl_str version) {
    if (!version.n || !fl_str_copy(r->list_version, sizeof(r->list_version), version))
        return FL_EPROTO;
    fl_server_traits_bookmark(&r->server->traits, r->kind, true);
    judge(r);
    if (r->state == REFLECTOR_WATCHING) return FL_OK;
    r->cancel = true;
    return FL_ECANCELLED;
}

int reflector_list_object(struct fl_reflector *r, enum fl_k8s_event event,
                          struct fl_k8s_object *object) {
    if (event == FL_K8S_BOOKMARK)
        return object->initial_events_end ? stream_ended(r, object->resource_version) : FL_OK;
    if (event == FL_K8S_DELETED) return fl_kube_store_list_delete(r->store, object);
    return fl_kube_store_list_item(r->store, object);
}
