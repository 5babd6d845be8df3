/* conn.c - the life of a service's connection. See conn.h. */
#include "manager/conn.h"

#include "base/alloc.h"

#define KEY_MAX ((size_t)64 * 1024)

/* --- references, from any thread --- */

struct fl_conn *fl_conn_ref(struct fl_conn *conn) {
    atomic_fetch_add(&conn->refs, 1);
    return conn;
}

struct fl_conn *fl_conn_unref(struct fl_conn *conn) {
    if (conn && atomic_fetch_sub(&conn->refs, 1) == 1) fl_io_post(conn->mgr->io, &conn->drop);
    return NULL;
}

struct fl_channel *fl_conn_channel(const struct fl_conn *conn) {
    return conn->channel;
}

/* --- the end --- */

static void conn_free(struct fl_conn *conn) {
    struct fl_connmgr *mgr = conn->mgr;
    fl_handles_deinit(&conn->loop_data.endpoints);
    fl_handles_deinit(&conn->loop_data.held);
    fl_set_unref(conn->loop_data.set);
    fl_free(conn->key);
    fl_free(conn->name);
    fl_free(conn->target);
    fl_free(conn);
    mgr->loop_data.open--;
    fl_connmgr_release(mgr);
}

static void channel_closed(void *arg) { conn_free(arg); }

static void drop(struct fl_task *task) {
    struct fl_conn *conn = FL_CONTAINER(task, struct fl_conn, drop);
    FL_ASSERT(fl_list_empty(&conn->loop_data.waiting) && fl_list_empty(&conn->loop_data.unready));
    fl_dns_stop(conn->loop_data.dns);
    fl_channel_unwatch_state(conn->loop_data.watch, NULL, NULL);
    fl_departure_forget_all(conn);
    if (!conn->channel) {
        conn_free(conn);
        return;
    }
    static const struct fl_channel_watcher nobody;
    fl_channel_watch(conn->channel, &nobody);
    fl_channel_close(conn->channel, channel_closed, conn);
}

void fl_conn_forget(struct fl_conn *conn) {
    fl_map_remove(&conn->mgr->loop_data.conns, fl_str_of(conn->key));
    fl_list_remove(&conn->loop_data.link);
    fl_conn_unref(conn);
}

/* --- the beginning --- */

static void on_state(void *arg, enum fl_channel_state state, const struct fl_error *why) {
    FL_UNUSED(why); /* what ends a request is told with the set */
    struct fl_conn *conn = arg;
    const struct fl_journal *journal = &conn->mgr->journal;
    int before = conn->loop_data.state;
    conn->loop_data.state = (int)state;
    if (before == (int)state) return;
    if (!fl_list_empty(&conn->loop_data.unready))
        FL_JOURNAL(journal, STATE, conn->name,
                   FL_LOG_TEXT_OF("before", fl_journal_state(journal, before)),
                   FL_LOG_TEXT_OF("state", fl_journal_state(journal, (int)state)));
    fl_conn_settle_unready(conn);
}

int fl_conn_open(struct fl_conn *conn, const char *target, struct fl_error *err) {
    struct fl_connmgr *mgr = conn->mgr;
    const struct fl_channel_options options = fl_connmgr_options(mgr);
    char *copy = fl_strdup(target);
    if (!copy) return fl_fail_nomem(err);
    fl_free(conn->target);
    conn->target = copy;
    int rc = fl_channel_open(mgr->io, mgr->discovery, target, &options, &conn->channel, err);
    if (rc != 0) return rc;
    fl_channel_watch(conn->channel,
                     &(struct fl_channel_watcher){.on_set = fl_conn_on_set, .arg = conn});
    conn->loop_data.state = (int)fl_channel_state(conn->channel);
    rc = fl_channel_watch_state(conn->channel, on_state, conn, &conn->loop_data.watch, err);
    if (rc == 0) return 0;
    static const struct fl_channel_watcher nobody;
    fl_channel_watch(conn->channel, &nobody);
    fl_channel_close(conn->channel, NULL, NULL);
    conn->channel = NULL;
    return rc;
}

static struct fl_conn *conn_new(struct fl_connmgr *mgr, const char *key, const char *name) {
    struct fl_conn *conn = FL_NEW(struct fl_conn);
    if (!conn) return NULL;
    conn->mgr = mgr;
    atomic_init(&conn->refs, 1);
    fl_task_init(&conn->drop, drop);
    fl_list_init(&conn->loop_data.link);
    fl_list_init(&conn->loop_data.waiting);
    fl_list_init(&conn->loop_data.unready);
    fl_list_init(&conn->loop_data.departures);
    mgr->loop_data.open++;
    conn->key = fl_strdup(key);
    conn->name = fl_strdup(name);
    if (conn->key && conn->name) return conn;
    conn_free(conn);
    return NULL;
}

static int conn_make(struct fl_connmgr *mgr, const char *key, const char *name, bool dns,
                     struct fl_conn **out, struct fl_error *err) {
    if (fl_map_count(&mgr->loop_data.conns) == FL_CONNMGR_CONNS_MAX)
        return fl_fail(err, FL_EFULL, "%d services were asked for already", FL_CONNMGR_CONNS_MAX);
    struct fl_conn *conn = conn_new(mgr, key, name);
    if (!conn) return fl_fail_nomem(err);
    int rc = dns ? fl_dns_start(conn, key + 1, err) : fl_conn_open(conn, key + 1, err);
    if (rc == 0 && fl_map_set(&mgr->loop_data.conns, fl_str_of(key), conn, NULL) != 0)
        rc = fl_fail_nomem(err);
    if (rc != 0) {
        fl_conn_unref(conn);
        return rc;
    }
    fl_list_push(&mgr->loop_data.conn_list, &conn->loop_data.link);
    *out = conn;
    return 0;
}

int fl_conn_find(struct fl_connmgr *mgr, const char *name, bool dns, struct fl_conn **out,
                 struct fl_error *err) {
    struct fl_buf key;
    char *target, *text = NULL;
    bool custom;
    if (fl_connmgr_target(mgr, name, &target, &custom) != 0) return fl_fail_nomem(err);
    fl_buf_init(&key, KEY_MAX);
    dns = dns && !custom;
    int rc = fl_buf_printf(&key, "%c%s", dns ? 'd' : 'k', target);
    if (rc == 0) {
        *out = fl_map_get(&mgr->loop_data.conns, fl_buf_str(&key));
        text = *out ? NULL : fl_buf_steal_text(&key);
    }
    if (rc != 0 || (!*out && !text))
        rc = fl_fail_nomem(err);
    else if (!*out)
        rc = conn_make(mgr, text, name, dns, out, err);
    fl_free(text);
    fl_buf_deinit(&key);
    fl_free(target);
    return rc;
}
