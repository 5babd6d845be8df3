/* transport.c - what happens to a connection, told to its subchannel and counted.
 *
 * Before use after a long quiet it is asked by a PING: a node that died, or a NAT that forgot,
 * leaves connections that look READY until somebody needs them. HTTP/1.1 has no PING; there the
 * answer is a new connection. */
#include "channel/transport.h"

#include "base/alloc.h"
#include "base/log.h"
#include "channel/drain.h"
#include "channel/handle.h"

#define ANSWER_MS         1000                         /* for the PING before use */
#define ENHANCE_YOUR_CALM 11u                          /* RFC 9113 section 7 */
#define WINDOW_BYTES_MAX  ((uint32_t)16 * 1024 * 1024) /* gRPC's */

static void on_ready(void *arg, struct fl_http_conn *conn) {
    struct fl_transport *transport = arg;
    transport->ready = true;
    transport->multiplexes = fl_http_conn_is_h2(conn);
    fl_connection_metrics_ready(transport);
    fl_subchannel_on_ready(transport->sub, transport);
}

/* gRFC A8: the time between PINGs is doubled (C10). */
static void calm(struct fl_transport *transport) {
    struct fl_connector *connector = transport->sub->connector;
    fl_keepalive_calm(&connector->keepalive, &transport->keepalive);
    FL_LOG(connector->io, FL_LOG_WARN, "server finds keepalive pings too many, time is doubled",
           FL_LOG_TEXT_OF("peer", transport->sub->peer),
           FL_LOG_INT("keepalive_ms", connector->keepalive.after_ms),
           FL_LOG_INT("ping_before_use_ms", connector->keepalive.before_use_ms));
}

static void on_goaway(void *arg, struct fl_http_conn *conn, uint32_t h2_code, struct fl_str debug) {
    struct fl_transport *transport = arg;
    struct fl_error why;
    fl_fail(&why, FL_EGOAWAY, "GOAWAY with code %u%s%.*s", (unsigned)h2_code, debug.n ? ": " : "",
            FL_STR_ARG(debug));
    if (h2_code == ENHANCE_YOUR_CALM && fl_str_eq(debug, FL_STR("too_many_pings")) &&
        !transport->leaving)
        calm(transport);
    transport->leaving = true;
    if (!transport->end) transport->end = fl_error_name(FL_EGOAWAY);
    transport->goaway = true;
    transport->goaway_code = h2_code;
    fl_connection_metrics_draining(transport);
    fl_http_conn_drain(conn); /* closes after the last stream */
    fl_subchannel_on_lost(transport->sub, transport, &why);
}

static void on_room(void *arg, struct fl_http_conn *conn) {
    FL_UNUSED(conn);
    struct fl_transport *transport = arg;
    transport->sub->connector->on_room(transport->sub->connector->arg);
}

/* --- before use --- */

bool fl_transport_quiet(const struct fl_transport *transport, uint64_t now_ms) {
    return now_ms - fl_http_conn_last_read_ms(transport->conn) > transport->keepalive.before_use_ms;
}

/* Another one of the endpoint's takes the call, once there is one. */
static void replace(struct fl_transport *transport) {
    struct fl_subchannel *sub = transport->sub;
    struct fl_error why;
    fl_fail(&why, FL_ETIMEOUT, "quiet for too long to be used again");
    transport->leaving = true;
    if (!transport->end) transport->end = "quiet";
    fl_subchannel_on_lost(sub, transport, &why);
    fl_http_conn_close(transport->conn);
    sub->connector->on_room(sub->connector->arg);
}

void fl_transport_ask(struct fl_transport *transport) {
    struct fl_io *io = transport->sub->connector->io;
    if (!transport->multiplexes) {
        replace(transport);
        return;
    }
    if (fl_timer_is_set(&transport->answer)) return;
    transport->asked_ms = fl_io_now_ms(io);
    fl_io_timer_set(io, &transport->answer, transport->asked_ms + ANSWER_MS);
    fl_http_conn_ask(transport->conn);
}

static void on_answer(void *arg, struct fl_http_conn *conn) {
    struct fl_transport *transport = arg;
    fl_io_timer_clear(transport->sub->connector->io, &transport->answer);
    on_room(transport, conn);
}

static void give_up(struct fl_transport *transport) {
    struct fl_subchannel *sub = transport->sub;
    struct fl_error why;
    fl_fail(&why, FL_ETIMEOUT, "no answer within %u ms to a PING after a long quiet", ANSWER_MS);
    FL_LOG(sub->connector->io, FL_LOG_INFO, "quiet connection is given up",
           FL_LOG_TEXT_OF("peer", sub->peer), FL_LOG_ERROR_OF(&why));
    transport->leaving = true;
    if (!transport->end) transport->end = fl_error_name(FL_ETIMEOUT);
    fl_subchannel_on_lost(sub, transport, &why);
    if (fl_list_empty(&transport->attempts))
        fl_http_conn_abort(transport->conn, &why);
    else
        fl_http_conn_drain(transport->conn);
}

/* Any byte is an answer. */
static void answer_due(struct fl_timer *timer) {
    struct fl_transport *transport = FL_CONTAINER(timer, struct fl_transport, answer);
    if (fl_http_conn_last_read_ms(transport->conn) > transport->asked_ms)
        on_room(transport, transport->conn);
    else if (!transport->leaving)
        give_up(transport);
}

/* --- the end --- */

static void on_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(conn);
    struct fl_transport *transport = arg;
    struct fl_connector *connector = transport->sub->connector;
    const char *otherwise = why->code == FL_OK ? "idle" : fl_error_name(why->code);
    const char *cause = transport->end ? transport->end : otherwise;
    fl_connection_metrics_gone(transport, cause, why->code);
    fl_list_remove(&transport->sub_link);
    transport->leaving = true;
    struct fl_error closed = {FL_ECLOSED, "connection closed by the peer"};
    fl_subchannel_on_lost(transport->sub, transport, why->code == FL_OK ? &closed : why);
    FL_ASSERT(fl_list_empty(&transport->attempts));
    fl_list_remove(&transport->link);
    fl_io_timer_deinit(connector->io, &transport->drain);
    fl_io_timer_deinit(connector->io, &transport->answer);
    fl_subchannel_unref(transport->sub);
    if (transport->handle) atomic_fetch_sub(&transport->handle->connections, 1);
    fl_handle_unref(transport->handle);
    fl_free(transport);
    if (fl_list_empty(&connector->transports)) connector->on_empty(connector->arg);
}

static const struct fl_http_conn_events events = {
    .on_ready = on_ready,
    .on_goaway = on_goaway,
    .on_answer = on_answer,
    .on_room = on_room,
    .on_close = on_close,
};

static enum fl_http_version version_of(const struct fl_subchannel *sub) {
    const struct fl_connector *connector = sub->connector;
    bool by_port = connector->protocol == FL_PROTOCOL_BY_PORT;
    bool http1 = by_port && sub->http1 && !connector->credentials;
    return http1 || connector->protocol == FL_PROTOCOL_HTTP ? FL_HTTP_BY_ALPN : FL_HTTP_2;
}

int fl_transport_new(struct fl_subchannel *sub, uint32_t idle_ms, struct fl_transport **out,
                     struct fl_error *err) {
    struct fl_connector *connector = sub->connector;
    const struct fl_keepalive_times *keepalive = &connector->keepalive;
    struct fl_dial dial = {.host = fl_str_of(sub->host), .port = sub->port};
    if (connector->credentials) {
        dial.tls = fl_channel_credentials_peek_tls(connector->credentials);
        dial.server_name = fl_channel_credentials_server_name(connector->credentials);
    }
    struct fl_http_options options = {
        .version = version_of(sub),
        .ready_timeout_ms = connector->connect_timeout_ms,
        .idle_timeout_ms = idle_ms,
        .ping_after_ms = keepalive->after_ms,
        .ping_timeout_ms = keepalive->timeout_ms,
        .ping_without_streams = keepalive->without_calls,
        .user_timeout_ms = keepalive->timeout_ms,
        .window_bytes_max = WINDOW_BYTES_MAX,
    };
    int rc = FL_ENOMEM;
    struct fl_transport *transport = FL_NEW(struct fl_transport);
    if (!transport) return fl_fail_nomem(err);
    if (fl_io_timer_init(connector->io, &transport->drain, fl_drain_expired) != 0 ||
        fl_io_timer_init(connector->io, &transport->answer, answer_due) != 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    rc = fl_http_conn_dial(connector->io, &dial, &options, &events, transport, &transport->conn,
                           err);
    if (rc != 0) goto fail;
    transport->sub = sub;
    transport->keepalive = *keepalive;
    fl_subchannel_ref(sub);
    if (sub->handle) {
        transport->handle = fl_handle_ref(sub->handle);
        atomic_fetch_add(&sub->handle->connections, 1);
    }
    fl_list_init(&transport->attempts);
    fl_list_push(&connector->transports, &transport->link);
    fl_list_push(&sub->transports, &transport->sub_link);
    *out = transport;
    return 0;
fail:
    fl_io_timer_deinit(connector->io, &transport->drain);
    fl_io_timer_deinit(connector->io, &transport->answer);
    fl_free(transport);
    return rc;
}

void fl_transport_close(struct fl_transport *transport) {
    transport->leaving = true;
    if (!transport->end) transport->end = fl_error_name(FL_ESHUTDOWN);
    fl_http_conn_close(transport->conn);
}
