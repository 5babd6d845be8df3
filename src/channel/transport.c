/* transport.c - what happens to a connection, told to its subchannel and counted. */
#include "channel/transport.h"

#include <stdio.h>

#include "base/alloc.h"
#include "channel/drain.h"

static void count(const struct fl_transport *transport, const char *name, const char *help,
                  const char *cause) {
    char labels[64];
    snprintf(labels, sizeof(labels), "cause=%s", cause);
    fl_metric_add(fl_metrics_get(transport->sub->connector->io->metrics, FL_METRIC_COUNTER, name,
                                 help, labels),
                  1);
}

static void count_open(struct fl_io *io, int n) {
    fl_metric_add(fl_metrics_get(io->metrics, FL_METRIC_GAUGE, "fairlead_channel_connections",
                                 "Connections of channels that are ready.", ""),
                  n);
}

static void on_ready(void *arg, struct fl_http_conn *conn) {
    FL_UNUSED(conn);
    struct fl_transport *transport = arg;
    transport->ready = true;
    count_open(transport->sub->connector->io, 1);
    count(transport, "fairlead_channel_connects_total", "Attempts to connect, by result.", "OK");
    fl_subchannel_on_ready(transport->sub, transport);
}

static void on_goaway(void *arg, struct fl_http_conn *conn, uint32_t h2_code, struct fl_str debug) {
    struct fl_transport *transport = arg;
    struct fl_error why;
    fl_fail(&why, FL_EGOAWAY, "GOAWAY with code %u%s%.*s", (unsigned)h2_code, debug.n ? ": " : "",
            FL_STR_ARG(debug));
    if (!transport->end) transport->end = fl_error_name(FL_EGOAWAY);
    fl_http_conn_drain(conn); /* closes after the last stream */
    fl_subchannel_on_lost(transport->sub, transport, &why);
}

static void on_room(void *arg, struct fl_http_conn *conn) {
    FL_UNUSED(conn);
    struct fl_transport *transport = arg;
    transport->sub->connector->on_room(transport->sub->connector->arg);
}

static void on_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(conn);
    struct fl_transport *transport = arg;
    struct fl_connector *connector = transport->sub->connector;
    const char *cause = transport->end ? transport->end : fl_error_name(why->code);
    if (transport->ready) {
        count_open(connector->io, -1);
        count(transport, "fairlead_channel_disconnects_total", "Connections that ended, by cause.",
              cause);
    } else {
        count(transport, "fairlead_channel_connects_total", "Attempts to connect, by result.",
              cause);
    }
    fl_list_remove(&transport->sub_link);
    struct fl_error closed = {FL_ECLOSED, "connection closed by the peer"};
    fl_subchannel_on_lost(transport->sub, transport, why->code == FL_OK ? &closed : why);
    FL_ASSERT(fl_list_empty(&transport->attempts));
    fl_list_remove(&transport->link);
    fl_io_timer_deinit(connector->io, &transport->drain);
    fl_subchannel_unref(transport->sub);
    fl_free(transport);
    if (fl_list_empty(&connector->transports)) connector->on_empty(connector->arg);
}

static const struct fl_http_conn_events events = {
    .on_ready = on_ready,
    .on_goaway = on_goaway,
    .on_room = on_room,
    .on_close = on_close,
};

int fl_transport_new(struct fl_subchannel *sub, struct fl_transport **out, struct fl_error *err) {
    struct fl_connector *connector = sub->connector;
    struct fl_dial dial = {.host = fl_str_of(sub->host), .port = sub->port};
    struct fl_http_options options = {
        .version = FL_HTTP_2,
        .ready_timeout_ms = connector->connect_timeout_ms,
    };
    int rc = FL_ENOMEM;
    struct fl_transport *transport = FL_NEW(struct fl_transport);
    if (!transport) return fl_fail_nomem(err);
    if (fl_io_timer_init(connector->io, &transport->drain, fl_drain_expired) != 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    rc = fl_http_conn_dial(connector->io, &dial, &options, &events, transport, &transport->conn,
                           err);
    if (rc != 0) goto fail;
    transport->sub = sub;
    fl_subchannel_ref(sub);
    fl_list_init(&transport->attempts);
    fl_list_push(&connector->transports, &transport->link);
    fl_list_push(&sub->transports, &transport->sub_link);
    *out = transport;
    return 0;
fail:
    fl_io_timer_deinit(connector->io, &transport->drain);
    fl_free(transport);
    return rc;
}

void fl_transport_close(struct fl_transport *transport) {
    if (!transport->end) transport->end = fl_error_name(FL_ESHUTDOWN);
    fl_http_conn_close(transport->conn);
}
