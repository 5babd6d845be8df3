/* dns.c - a service dialled by its DNS name: service.namespace.svc.cluster.local:port.
 *
 * The name gives no port, so the Service is looked at once, and chosen from as for handles; the
 * name is resolved by whoever dials it. */
#include <stdio.h>

#include "base/alloc.h"
#include "discovery/set.h"
#include "manager/conn.h"

#define TARGET_MAX 512

struct fl_dns {
    struct fl_conn *conn;
    struct fl_subscription *subscription;
};

/* Ends who waits, and the conn with it: the next caller tries anew. */
static void give_up(struct fl_conn *conn, const struct fl_error *why) {
    const struct fl_log_field fields[] = {FL_LOG_TEXT_OF("name", conn->name), FL_LOG_ERROR_OF(why)};
    const struct fl_error copy = *why;
    fl_journal_write(&conn->mgr->journal, FL_JOURNAL_PORT_FAILED, conn->name, fields,
                     FL_COUNT(fields));
    fl_conn_ref(conn);
    fl_conn_forget(conn);
    fl_connmgr_request_end_all(&conn->loop_data.unready, &copy);
    fl_conn_unref(conn);
}

/* ns/name */
static int dial(struct fl_conn *conn, const struct fl_set *set, uint16_t port,
                struct fl_error *err) {
    struct fl_str ns, name;
    char target[TARGET_MAX];
    fl_str_split(fl_str_of(fl_set_service(set)), '/', &ns, &name);
    int n = snprintf(target, sizeof(target), "static:%.*s.%.*s.svc.cluster.local:%u",
                     FL_STR_ARG(name), FL_STR_ARG(ns), (unsigned)port);
    if (n < 0 || (size_t)n >= sizeof(target))
        return fl_fail(err, FL_EUSAGE, "the name of %s is too long", fl_set_service(set));
    return fl_conn_open(conn, target, err);
}

static int choose(struct fl_conn *conn, struct fl_set *set, struct fl_error *err) {
    struct fl_set *view;
    if (fl_set_state(set) == FL_SET_ABSENT)
        return fl_fail(err, FL_EABSENT, "service not found: %s does not exist",
                       fl_set_service(set));
    int rc =
        fl_set_select_first(set, fl_connmgr_options(conn->mgr).excluded_port, NULL, &view, err);
    if (rc != 0) return rc;
    uint16_t port = fl_set_port_number(view);
    fl_set_unref(view);
    if (port == 0) return fl_fail(err, FL_ENO_PORTS, "%s has no ports defined", conn->name);
    return dial(conn, set, port, err);
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    FL_UNUSED(previous);
    struct fl_dns *dns = arg;
    struct fl_conn *conn = dns->conn;
    struct fl_error err;
    bool fix = trouble && fl_error_reaction(trouble->code) == FL_REACT_FIX;
    if (fl_set_state(set) == FL_SET_UNKNOWN && !fix) return;
    int rc = fix ? fl_error_copy(&err, trouble) : choose(conn, set, &err);
    conn->loop_data.dns = NULL;
    fl_dns_stop(dns);
    if (rc != 0)
        give_up(conn, &err);
    else
        fl_conn_opened(conn);
}

int fl_dns_start(struct fl_conn *conn, const char *target, struct fl_error *err) {
    struct fl_dns *dns = FL_NEW(struct fl_dns);
    if (!dns) return fl_fail_nomem(err);
    dns->conn = conn;
    int rc = fl_discovery_subscribe_on(conn->mgr->discovery, conn->mgr->io, target, on_set, dns,
                                       &dns->subscription, err);
    if (rc != 0) {
        fl_free(dns);
        return rc;
    }
    conn->loop_data.dns = dns;
    return 0;
}

static void unsubscribed(void *arg) { fl_free(arg); }

void fl_dns_stop(struct fl_dns *dns) {
    if (dns) fl_subscription_close(dns->subscription, unsubscribed, dns);
}
