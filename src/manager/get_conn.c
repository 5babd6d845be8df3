/* get_conn.c - the channel of a service, awaited until it is READY.
 *
 * What heals by itself does not fail a request: after its time the channel is given as it is, with
 * a warning, since it goes on by itself and calls may wait on it. */
#include "manager/conn.h"
#include "manager/wait.h"

static void give(struct fl_conn *conn, struct fl_connmgr_request *request) {
    FL_JOURNAL(&conn->mgr->journal, GOT_CONN, conn->name);
    fl_connmgr_request_end(request, NULL, fl_conn_ref(conn));
}

void fl_conn_settle_unready(struct fl_conn *conn) {
    struct fl_list *unready = &conn->loop_data.unready;
    const struct fl_error *trouble = &conn->loop_data.trouble;
    bool hopeless = fl_error_reaction(trouble->code) == FL_REACT_FIX;
    if (fl_list_empty(unready) || !conn->channel) return;
    if (hopeless) {
        FL_JOURNAL(&conn->mgr->journal, FAILED, conn->name, FL_LOG_TEXT_OF("name", conn->name),
                   FL_LOG_ERROR_OF(trouble));
        const struct fl_error why = *trouble;
        fl_connmgr_request_end_all(unready, &why);
        return;
    }
    while (conn->loop_data.state == FL_CHANNEL_READY && !fl_list_empty(unready))
        give(conn, FL_CONTAINER(unready->next, struct fl_connmgr_request, link));
}

static void tell_target(const struct fl_conn *conn, bool dns) {
    const struct fl_journal *journal = &conn->mgr->journal;
    const struct fl_log_field target = FL_LOG_TEXT_OF("target", conn->target);
    if (dns) {
        FL_JOURNAL(journal, DNS_TARGET, conn->name, target);
        FL_JOURNAL(journal, DIALING, conn->name, target);
    } else {
        FL_JOURNAL(journal, CUSTOM_TARGET, conn->name, target);
    }
    FL_JOURNAL(journal, CONN_CREATED, conn->name,
               FL_LOG_TEXT_OF("state", fl_journal_state(journal, conn->loop_data.state)));
}

static void begin(struct fl_connmgr_request *request) {
    struct fl_connmgr *mgr = request->mgr;
    const struct fl_journal *journal = &mgr->journal;
    struct fl_conn *conn;
    struct fl_error err;
    fl_journal_write(journal, mgr->dns ? FL_JOURNAL_GET_CONN_DNS : FL_JOURNAL_GET_CONN,
                     request->name, NULL, 0);
    int rc = fl_conn_find(mgr, request->name, mgr->dns, &conn, &err);
    if (rc != 0) {
        FL_JOURNAL(journal, FAILED, request->name, FL_LOG_TEXT_OF("name", request->name),
                   FL_LOG_ERROR_OF(&err));
        fl_connmgr_request_end(request, &err, NULL);
        return;
    }
    request->data = conn;
    fl_connmgr_request_wait(request, &conn->loop_data.unready);
    if (!conn->channel) return; /* fl_conn_opened follows */
    tell_target(conn, fl_conn_is_dns(conn));
    if (conn->loop_data.state != FL_CHANNEL_READY) {
        FL_JOURNAL(journal, NOT_READY, conn->name);
        fl_channel_connect(conn->channel);
    }
    fl_conn_ref(conn); /* callbacks may let go of everything */
    fl_conn_settle_unready(conn);
    fl_conn_unref(conn);
}

void fl_conn_opened(struct fl_conn *conn) {
    tell_target(conn, true);
    FL_JOURNAL(&conn->mgr->journal, NOT_READY, conn->name);
}

static void late(struct fl_connmgr_request *request) {
    struct fl_conn *conn = request->data;
    struct fl_error err;
    if (!conn->channel) {
        fl_fail(&err, FL_EUNKNOWN, "the port of %s is not known after %u ms", conn->name,
                (unsigned)request->timeout_ms);
        fl_connmgr_request_end(request, &err, NULL);
        return;
    }
    FL_JOURNAL(&conn->mgr->journal, STATE_TIMEOUT, conn->name);
    give(conn, request);
}

static void tell(struct fl_connmgr_request *request, const struct fl_error *why, void *result) {
    ((fl_conn_cb *)request->cb)(request->arg, why, result);
}

int fl_connmgr_get_conn_async(struct fl_connmgr *mgr, const char *service, uint32_t timeout_ms,
                              fl_conn_cb *cb, void *arg, struct fl_error *err) {
    static const struct fl_connmgr_request_kind kind = {begin, late, tell};
    return fl_connmgr_request_start(mgr, &kind, service, timeout_ms, (void (*)(void))cb, arg, err);
}

static void keep(void *arg, const struct fl_error *why, struct fl_conn *conn) {
    struct fl_wait *wait = arg;
    *(struct fl_conn **)wait->out = conn;
    fl_wait_over(wait, why);
}

int fl_connmgr_get_conn(struct fl_connmgr *mgr, const char *service, uint32_t timeout_ms,
                        struct fl_conn **out, struct fl_error *err) {
    struct fl_wait wait;
    *out = NULL;
    int rc = fl_wait_init(&wait, mgr, out, err);
    if (rc != 0) return rc;
    rc = fl_connmgr_get_conn_async(mgr, service, timeout_ms, keep, &wait, err);
    return fl_wait_finish(&wait, rc, err);
}
