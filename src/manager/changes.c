/* changes.c - what discovery tells of a service, and what its callers' handles make of it.
 *
 * The channel has applied the set when it comes here, so its handles are the truth; the difference
 * between those of before and those of now is what is told, and what leaves is followed until it is
 * closed. A service of which nothing is left keeps what was held: the next caller sees that it is
 * not live any more. */
#include "base/alloc.h"
#include "channel/handle.h"
#include "discovery/set.h"
#include "manager/conn.h"

/* --- lists of handles --- */

static void count_usable(void *arg, struct fl_handle *handle, const struct fl_error *why) {
    FL_UNUSED(why);
    if (atomic_load(&handle->usable)) (*(size_t *)arg)++;
}

static void take_usable(void *arg, struct fl_handle *handle, const struct fl_error *why) {
    FL_UNUSED(why);
    struct fl_handles *out = arg;
    if (atomic_load(&handle->usable)) out->list[out->count++] = fl_handle_ref(handle);
}

int fl_conn_usable(const struct fl_conn *conn, struct fl_handles *out) {
    size_t count = 0;
    *out = (struct fl_handles){NULL, 0};
    fl_channel_each_handle(conn->channel, count_usable, &count);
    if (count == 0) return 0;
    out->list = fl_alloc(count * sizeof(struct fl_handle *));
    if (!out->list) return FL_ENOMEM;
    fl_channel_each_handle(conn->channel, take_usable, out);
    return 0;
}

void fl_conn_hold(struct fl_handles *to, const struct fl_handles *from) {
    fl_handles_deinit(to);
    if (from->count == 0) return;
    to->list = fl_alloc(from->count * sizeof(struct fl_handle *));
    if (!to->list) return;
    for (size_t i = 0; i < from->count; i++) to->list[to->count++] = fl_handle_ref(from->list[i]);
}

/* Lists are compared by marks, in a step a handle: services have thousands. */
static void mark(const struct fl_handles *handles, bool on) {
    for (size_t i = 0; i < handles->count; i++) handles->list[i]->marked = on;
}

static size_t count_marked(const struct fl_handles *handles) {
    size_t count = 0;
    for (size_t i = 0; i < handles->count; i++) count += handles->list[i]->marked;
    return count;
}

static bool same(const struct fl_handles *a, const struct fl_handles *b) {
    mark(b, true);
    bool all = a->count == b->count && count_marked(a) == a->count;
    mark(b, false);
    return all;
}

/* Takes those without a mark out of *handles; they are the caller's then. */
static struct fl_handles steal_unmarked(struct fl_handles *handles) {
    struct fl_handles others = {NULL, 0};
    size_t stay = 0, count = handles->count - count_marked(handles);
    if (count == 0) return others;
    others.list = fl_alloc(count * sizeof(struct fl_handle *));
    if (!others.list) return others; /* only its end will not be told */
    for (size_t i = 0; i < handles->count; i++) {
        struct fl_handle *handle = handles->list[i];
        struct fl_handle **place =
            handle->marked ? &handles->list[stay++] : &others.list[others.count++];
        *place = handle;
    }
    handles->count = stay;
    return others;
}

/* --- what is told --- */

bool fl_conn_tell_created(const struct fl_conn *conn, const struct fl_handle *handle,
                          const struct fl_error *why) {
    const struct fl_journal *journal = &conn->mgr->journal;
    const struct fl_log_field peer = FL_LOG_TEXT_OF("peer", fl_handle_peer(handle));
    enum fl_channel_state state = fl_handle_state(handle);
    FL_JOURNAL(journal, CREATING, conn->name, peer);
    if (state == FL_CHANNEL_TRANSIENT_FAILURE && why) {
        FL_JOURNAL(journal, DIAL_FAILED, conn->name, peer, FL_LOG_ERROR_OF(why));
        return false;
    }
    FL_JOURNAL(journal, CREATED, conn->name, peer,
               FL_LOG_TEXT_OF("state", fl_journal_state(journal, (int)state)));
    return true;
}

/* Those of before are marked. */
static void tell_added(void *conn, struct fl_handle *handle, const struct fl_error *why) {
    if (atomic_load(&handle->usable) && !handle->marked) fl_conn_tell_created(conn, handle, why);
}

static void tell_name(const struct fl_conn *conn, enum fl_journal_event event) {
    const struct fl_log_field name = FL_LOG_TEXT_OF("name", conn->name);
    fl_journal_write(&conn->mgr->journal, event, conn->name, &name, 1);
}

/* --- following --- */

/* `now` has taken the place of conn's endpoints, which are *before. */
static void follow(struct fl_conn *conn, struct fl_handles *before) {
    const struct fl_journal *journal = &conn->mgr->journal;
    struct fl_handles *now = &conn->loop_data.endpoints;
    tell_name(conn, FL_JOURNAL_HANDLING);
    mark(before, true);
    fl_channel_each_handle(conn->channel, tell_added, conn);
    mark(before, false);
    FL_JOURNAL(journal, MAP_UPDATED, conn->name, FL_LOG_INT("old", before->count),
               FL_LOG_INT("new", now->count));
    if (now->count > 0) fl_conn_hold(&conn->loop_data.held, now);
    mark(now, true);
    struct fl_handles left = steal_unmarked(before);
    mark(now, false);
    if (left.count > 0) fl_departure_start(conn, &left);
    tell_name(conn, FL_JOURNAL_FOLLOWED);
}

static void tell_synced(struct fl_connmgr *mgr) {
    if (mgr->loop_data.synced) return;
    mgr->loop_data.synced = true;
    FL_JOURNAL(&mgr->journal, SYNCED, NULL);
}

/* `before`: the state that was known, FL_SET_UNKNOWN at first. */
static void change(struct fl_conn *conn, enum fl_set_state before) {
    enum fl_set_state state = fl_set_state(conn->loop_data.set);
    struct fl_handles old = conn->loop_data.endpoints, now;
    bool was_there = before == FL_SET_SOME || before == FL_SET_EMPTY;
    if (fl_conn_usable(conn, &now) != 0) return; /* seen with the next change */
    conn->loop_data.endpoints = now;
    bool moved = !same(&old, &now);
    tell_synced(conn->mgr);
    if (state == FL_SET_ABSENT) {
        if (was_there) tell_name(conn, FL_JOURNAL_DELETED);
    } else if (!was_there) {
        tell_name(conn, FL_JOURNAL_ADDED);
    } else {
        tell_name(conn, moved ? FL_JOURNAL_UPDATED : FL_JOURNAL_NO_CHANGE);
    }
    if (moved || (!was_there && state != FL_SET_ABSENT)) {
        FL_JOURNAL(&conn->mgr->journal, HAS, conn->name, FL_LOG_TEXT_OF("name", conn->name),
                   FL_LOG_INT("count", now.count));
        if (conn->loop_data.initialized) follow(conn, &old);
    }
    fl_handles_deinit(&old);
}

void fl_conn_on_set(void *arg, struct fl_set *set, const struct fl_error *trouble) {
    struct fl_conn *conn = arg;
    struct fl_set *old = conn->loop_data.set;
    conn->loop_data.trouble = trouble ? *trouble : (struct fl_error){FL_OK, ""};
    if (fl_set_state(set) != FL_SET_UNKNOWN && set != old) {
        enum fl_set_state before = old ? fl_set_state(old) : FL_SET_UNKNOWN;
        conn->loop_data.set = fl_set_ref(set);
        fl_set_unref(old);
        if (!fl_conn_is_dns(conn)) change(conn, before);
    }
    fl_conn_ref(conn); /* callbacks may let go of everything */
    fl_conn_settle_waiting(conn);
    fl_conn_settle_unready(conn);
    fl_conn_unref(conn);
}
