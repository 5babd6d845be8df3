/* reflector_watch.c - watches: how they end, and silence.
 *
 * A watch that ends goes on at the position, however it ended; only the server's word that the
 * position is of no use makes a list (W13). One that ends at once and empty is asked again at the
 * pace of the backoff. A watch lasts at most for the time it asked for and a margin; where the
 * server is known to send bookmarks about once a minute, one that has said nothing for BOOKMARK_MS
 * is taken for dead and asked again (W8). If the next one is as silent, the position is in doubt: a
 * server whose etcd was restored answers a watch from a version that it has not reached with
 * silence, until it has (W4). A consistent list tells. */
#include "kube/reflector_inside.h"

#define MARGIN_MS    30000
#define SHORT_MS     1000  /* watches begin at least so far apart */
#define SETTLE_MS    1000  /* a watch open for so long shows that trouble is over */
#define BOOKMARK_MS  90000 /* a minute between two, and half of one for being late */
#define BARREN_QUIET 7     /* watches that end at once, before people are told */

void reflector_watch_begin(struct fl_reflector *r) {
    reflector_move(r, REFLECTOR_WATCHING);
    r->work = REFLECTOR_WATCH;
    r->watch_began_ms = r->watch_read_ms = r->proof_ms = r->now_ms;
    r->watch_events_before = r->event_count;
    fl_backoff_success(&r->backoff, r->now_ms);
}

static bool advance(struct fl_reflector *r, struct fl_str version) {
    if (version.n == 0) return true;
    int order = r->position[0] ? fl_k8s_version_cmp(version, reflector_position(r)) : 1;
    if (order != 1 && order != FL_K8S_VERSION_OPAQUE) return true;
    return fl_str_copy(r->position, sizeof(r->position), version);
}

int reflector_watch_object(struct fl_reflector *r, enum fl_k8s_event event,
                           struct fl_k8s_object *object) {
    int rc = FL_OK;
    if (event == FL_K8S_BOOKMARK)
        fl_server_traits_bookmark(&r->server->traits, r->kind, true);
    else
        rc = fl_kube_store_apply(r->store, event, object);
    if (rc < 0) return rc;
    return advance(r, object->resource_version) ? FL_OK : FL_EPROTO;
}

static bool has_said_something(const struct fl_reflector *r) {
    return r->event_count != r->watch_events_before;
}

/* The watch works. */
static void settle(struct fl_reflector *r) {
    r->relists = r->barren_watches = r->broken_watches = 0;
    reflector_trouble_over(r);
}

static bool is_unsettled(const struct fl_reflector *r) {
    return r->trouble_code || r->relists || r->barren_watches || r->broken_watches;
}

void reflector_watch_read(struct fl_reflector *r) {
    r->proof_ms = r->watch_read_ms = r->now_ms;
    if (!has_said_something(r)) return;
    r->bookmark_missed = false;
    settle(r);
}

void reflector_watch_over(struct fl_reflector *r) {
    const struct fl_reflector_round round = {
        .watch = true,
        .complete = true,
        .ms = r->now_ms - r->watch_began_ms,
        .items = r->event_count - r->watch_events_before,
    };
    r->events->on_round(r->arg, &round);
}

static void ended_at_once(struct fl_reflector *r) {
    struct fl_error why;
    char what[REFLECTOR_DESCRIPTION_MAX];
    reflector_wait_after_failure(r, REFLECTOR_WATCH, 0);
    if (++r->barren_watches <= BARREN_QUIET) return;
    fl_fail(&why, FL_ECLOSED, "%s: the server ends every watch at once",
            reflector_describe(r, what));
    reflector_trouble(r, &why);
}

void reflector_watch_ended(struct fl_reflector *r) {
    struct fl_error why;
    if (fl_k8s_decoder_end(r->decoder, &why) < 0) {
        reflector_retry(r, &why);
        return;
    }
    uint64_t next_ms = r->watch_began_ms + SHORT_MS;
    if (!has_said_something(r) && r->now_ms < next_ms)
        ended_at_once(r);
    else
        reflector_wait(r, REFLECTOR_WATCH, FL_MAX(next_ms, r->now_ms));
    reflector_note(r, FL_REFLECTOR_WATCH_RESUME);
}

static uint64_t bookmark_deadline_ms(const struct fl_reflector *r) {
    bool expected = fl_server_traits_sends_bookmarks(&r->server->traits, r->kind);
    return expected ? r->watch_read_ms + BOOKMARK_MS : UINT64_MAX;
}

static uint64_t end_deadline_ms(const struct fl_reflector *r) {
    return r->watch_began_ms + r->watch_timeout_ms + MARGIN_MS;
}

uint64_t reflector_watch_deadline_ms(const struct fl_reflector *r) {
    uint64_t ms = FL_MIN(end_deadline_ms(r), bookmark_deadline_ms(r));
    return is_unsettled(r) ? FL_MIN(ms, r->watch_began_ms + SETTLE_MS) : ms;
}

void reflector_watch_cut(struct fl_reflector *r, enum reflector_work next,
                         enum fl_reflector_note why) {
    r->cancel = true;
    reflector_watch_over(r);
    if (next == REFLECTOR_LIST) reflector_list_start_over(r, REFLECTOR_CONSISTENT);
    reflector_wait(r, next, r->now_ms);
    reflector_note(r, why);
}

/* The server may have stopped sending bookmarks rather than died: whoever has missed two does
 * without the deadline until the next one comes. */
static void silent(struct fl_reflector *r) {
    r->bookmark_missed = !r->bookmark_missed;
    if (r->bookmark_missed) {
        reflector_watch_cut(r, REFLECTOR_WATCH, FL_REFLECTOR_WATCH_STALLED);
        return;
    }
    fl_server_traits_bookmark(&r->server->traits, r->kind, false);
    reflector_watch_cut(r, REFLECTOR_LIST, FL_REFLECTOR_RELIST_SILENT);
}

void reflector_watch_late(struct fl_reflector *r) {
    if (r->now_ms >= end_deadline_ms(r)) {
        reflector_watch_cut(r, REFLECTOR_WATCH, FL_REFLECTOR_WATCH_RESUME);
    } else if (r->now_ms >= bookmark_deadline_ms(r)) {
        silent(r);
    } else if (r->now_ms >= r->watch_began_ms + SETTLE_MS) {
        settle(r);
    }
}
