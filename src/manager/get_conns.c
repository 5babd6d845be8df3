/* get_conns.c - a handle for each endpoint of a service.
 *
 * A request waits while nothing is known of the service; then everybody who waits gets the same
 * handles. What callers saw last is checked first: an endpoint in backoff is hidden until it can be
 * reached again, one that left is gone; neither is closed under its holder. */
#include "channel/handle.h"
#include "discovery/set.h"
#include "manager/conn.h"
#include "manager/wait.h"

/* --- why there are none --- */

static bool is_of_ports(int code) {
    return code == FL_EPORT || code == FL_ENO_PORTS || code == FL_EPORTS_EXCLUDED;
}

/* Code FL_OK: the service is known and has a port. Only while it is known or must be fixed. */
static int failure_of(const struct fl_conn *conn, struct fl_error *err) {
    const struct fl_error *trouble = &conn->loop_data.trouble;
    const struct fl_set *set = conn->loop_data.set;
    if (!set || is_of_ports(trouble->code)) return fl_error_copy(err, trouble);
    if (fl_set_state(set) == FL_SET_ABSENT)
        return fl_fail(err, FL_EABSENT, "service not found: %s does not exist",
                       fl_set_service(set));
    if (fl_set_external_name(set))
        return fl_fail(err, FL_EUSAGE, "%s is only another name for %s", fl_set_service(set),
                       fl_set_external_name(set));
    return 0;
}

static void fail(struct fl_conn *conn, struct fl_connmgr_request *request,
                 const struct fl_error *why) {
    const struct fl_journal *journal = &conn->mgr->journal;
    const struct fl_log_field fields[] = {FL_LOG_ERROR_OF(why)};
    bool port = is_of_ports(why->code) || why->code == FL_EABSENT;
    fl_journal_write(journal, port ? FL_JOURNAL_PORT_FAILED : FL_JOURNAL_ENDPOINTS_FAILED,
                     conn->name, fields, FL_COUNT(fields));
    FL_JOURNAL(journal, FAILED, conn->name, FL_LOG_TEXT_OF("name", conn->name),
               FL_LOG_ERROR_OF(why));
    fl_connmgr_request_end(request, why, NULL);
}

/* --- the first use --- */

struct creating {
    const struct fl_conn *conn;
    size_t created;
};

static void create(void *arg, struct fl_handle *handle, const struct fl_error *why) {
    struct creating *creating = arg;
    if (atomic_load(&handle->usable) && fl_conn_tell_created(creating->conn, handle, why))
        creating->created++;
}

static void initialize(struct fl_conn *conn) {
    const struct fl_journal *journal = &conn->mgr->journal;
    struct creating creating = {conn, 0};
    size_t old = conn->loop_data.held.count;
    FL_JOURNAL(journal, PORT, conn->name,
               FL_LOG_INT("port", fl_set_port_number(conn->loop_data.set)));
    FL_JOURNAL(journal, ADDRESSES, conn->name,
               FL_LOG_INT("count", conn->loop_data.endpoints.count));
    fl_channel_each_handle(conn->channel, create, &creating);
    FL_JOURNAL(journal, CREATED_ALL, conn->name, FL_LOG_INT("count", creating.created));
    FL_JOURNAL(journal, MAP_UPDATED, conn->name, FL_LOG_INT("old", old),
               FL_LOG_INT("new", creating.created));
    FL_JOURNAL(journal, INITIALIZED, conn->name);
    conn->loop_data.initialized = true;
}

static void answer(struct fl_conn *conn, struct fl_connmgr_request *request) {
    struct fl_conns conns = {.conn = conn};
    struct fl_error err;
    int rc = failure_of(conn, &err);
    if (rc == 0 && !conn->loop_data.initialized) initialize(conn);
    if (rc == 0) rc = fl_channel_handles(conn->channel, &conns.handles, &err);
    if (rc != 0) {
        fail(conn, request, &err);
        return;
    }
    fl_conn_hold(&conn->loop_data.held, &conns.handles);
    FL_JOURNAL(&conn->mgr->journal, RETURNING, conn->name,
               FL_LOG_INT("count", conns.handles.count));
    fl_conn_ref(conn);
    fl_connmgr_request_end(request, NULL, &conns);
}

/* --- what callers saw last --- */

static bool is_dead(enum fl_channel_state state) {
    return state == FL_CHANNEL_TRANSIENT_FAILURE || state == FL_CHANNEL_SHUTDOWN;
}

static void check_held(struct fl_conn *conn) {
    const struct fl_journal *journal = &conn->mgr->journal;
    const struct fl_handles *held = &conn->loop_data.held;
    size_t dead = 0;
    FL_JOURNAL(journal, FOUND_CACHED, conn->name, FL_LOG_INT("count", held->count));
    for (size_t i = 0; i < held->count; i++) {
        enum fl_channel_state state = fl_handle_state(held->list[i]);
        if (!is_dead(state)) continue;
        dead++;
        FL_JOURNAL(journal, INVALID, conn->name, FL_LOG_INT("index", i + 1),
                   FL_LOG_TEXT_OF("state", fl_journal_state(journal, (int)state)));
    }
    if (dead == 0) {
        FL_JOURNAL(journal, HEALTHY, conn->name, FL_LOG_INT("count", held->count));
    } else if (dead < held->count) {
        FL_JOURNAL(journal, REMOVED, conn->name, FL_LOG_INT("removed", dead),
                   FL_LOG_INT("count", held->count - dead));
    } else {
        FL_JOURNAL(journal, ALL_INVALID, conn->name);
        FL_JOURNAL(journal, INITIALIZE, conn->name);
        fl_handles_deinit(&conn->loop_data.held);
        conn->loop_data.initialized = false;
    }
}

/* --- the request --- */

static bool is_known(const struct fl_conn *conn) {
    return conn->loop_data.set || fl_error_reaction(conn->loop_data.trouble.code) == FL_REACT_FIX;
}

void fl_conn_settle_waiting(struct fl_conn *conn) {
    if (!is_known(conn)) return;
    while (!fl_list_empty(&conn->loop_data.waiting))
        answer(conn, FL_CONTAINER(conn->loop_data.waiting.next, struct fl_connmgr_request, link));
}

static void begin(struct fl_connmgr_request *request) {
    struct fl_connmgr *mgr = request->mgr;
    struct fl_conn *conn;
    struct fl_error err;
    FL_JOURNAL(&mgr->journal, GET_CONNS, request->name);
    int rc = fl_conn_find(mgr, request->name, false, &conn, &err);
    if (rc != 0) {
        FL_JOURNAL(&mgr->journal, FAILED, request->name, FL_LOG_TEXT_OF("name", request->name),
                   FL_LOG_ERROR_OF(&err));
        fl_connmgr_request_end(request, &err, NULL);
        return;
    }
    if (conn->loop_data.held.count > 0) {
        check_held(conn);
    } else {
        FL_JOURNAL(&mgr->journal, NO_CACHE, conn->name);
        FL_JOURNAL(&mgr->journal, INITIALIZE, conn->name);
        conn->loop_data.initialized = false;
    }
    request->data = conn;
    fl_connmgr_request_wait(request, &conn->loop_data.waiting);
    fl_conn_ref(conn); /* callbacks may let go of everything */
    fl_conn_settle_waiting(conn);
    fl_conn_unref(conn);
}

static void late(struct fl_connmgr_request *request) {
    struct fl_conn *conn = request->data;
    const struct fl_error *trouble = &conn->loop_data.trouble;
    struct fl_error err;
    if (trouble->code != FL_OK)
        fl_fail(&err, FL_EUNKNOWN, "not known after %u ms: %s (%s)", (unsigned)request->timeout_ms,
                trouble->detail, fl_error_name(trouble->code));
    else
        fl_fail(&err, FL_EUNKNOWN, "not known after %u ms", (unsigned)request->timeout_ms);
    fail(conn, request, &err);
}

static void tell(struct fl_connmgr_request *request, const struct fl_error *why, void *result) {
    ((fl_conns_cb *)request->cb)(request->arg, why, result);
}

int fl_connmgr_get_conns_async(struct fl_connmgr *mgr, const char *service, uint32_t timeout_ms,
                               fl_conns_cb *cb, void *arg, struct fl_error *err) {
    static const struct fl_connmgr_request_kind kind = {begin, late, tell};
    return fl_connmgr_request_start(mgr, &kind, service, timeout_ms, (void (*)(void))cb, arg, err);
}

void fl_conns_deinit(struct fl_conns *conns) {
    fl_handles_deinit(&conns->handles);
    conns->conn = fl_conn_unref(conns->conn);
}

static void keep(void *arg, const struct fl_error *why, struct fl_conns *conns) {
    struct fl_wait *wait = arg;
    if (conns) *(struct fl_conns *)wait->out = *conns;
    fl_wait_over(wait, why);
}

int fl_connmgr_get_conns(struct fl_connmgr *mgr, const char *service, uint32_t timeout_ms,
                         struct fl_conns *out, struct fl_error *err) {
    struct fl_wait wait;
    *out = (struct fl_conns){.conn = NULL};
    int rc = fl_wait_init(&wait, mgr, out, err);
    if (rc != 0) return rc;
    rc = fl_connmgr_get_conns_async(mgr, service, timeout_ms, keep, &wait, err);
    return fl_wait_finish(&wait, rc, err);
}
