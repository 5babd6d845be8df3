/* drain.c - a connection whose endpoint left.
 *
 * No new stream from now on, and it closes after its last one. Calls with a deadline end by it;
 * what has none is ended drain_ms after the endpoint was gone, so that no connection of a removed
 * server stays for ever (C21). */
#include "channel/drain.h"

#include "channel/call.h"

void fl_drain_start(struct fl_transport *transport) {
    struct fl_connector *connector = transport->sub->connector;
    if (fl_timer_is_set(&transport->drain)) return;
    transport->leaving = true;
    if (fl_list_empty(&transport->attempts)) {
        if (!transport->end) transport->end = "drained_idle";
        fl_http_conn_close(transport->conn);
        return;
    }
    if (!transport->end) transport->end = "drained";
    fl_connection_metrics_draining(transport);
    fl_http_conn_drain(transport->conn);
    fl_io_timer_set(connector->io, &transport->drain,
                    fl_io_now_ms(connector->io) + connector->drain_ms);
}

void fl_drain_rest(struct fl_transport *transport, const char *cause) {
    transport->leaving = true;
    if (!transport->end) transport->end = cause;
    if (fl_list_empty(&transport->attempts)) {
        fl_http_conn_close(transport->conn);
        return;
    }
    fl_connection_metrics_draining(transport);
    fl_http_conn_drain(transport->conn);
}

void fl_drain_expired(struct fl_timer *timer) {
    struct fl_transport *transport = FL_CONTAINER(timer, struct fl_transport, drain);
    struct fl_error why;
    fl_fail(&why, FL_ESHUTDOWN, "endpoint %s left the service; %u ms were not enough to finish",
            transport->sub->peer, (unsigned)transport->sub->connector->drain_ms);
    FL_LIST_EACH (&transport->attempts, item, next) {
        struct fl_attempt *attempt = FL_CONTAINER(item, struct fl_attempt, link);
        if (attempt->call->deadline_ms != 0) continue;
        transport->end = "drain_deadline";
        fl_attempt_cancel(attempt, &why); /* UNAVAILABLE */
    }
}
