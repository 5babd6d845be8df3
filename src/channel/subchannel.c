/* subchannel.c - the state machine of one endpoint.
 *
 *            wanted                SETTINGS
 *     IDLE ─────────> CONNECTING ────────────> READY
 *      ^ ^                │ failed, deadline     │ GOAWAY, connection ended
 *      │ └─ backoff over ─┴─> TRANSIENT_FAILURE  │
 *      └─────────────────────────────────────────┘
 *
 * After a READY connection ended it connects again at once, without backoff: the server is most
 * likely there (a maximum age, a restart). A server that accepts and leaves again and again would
 * make that a busy loop: two READY connections in a row that lasted less than the smallest backoff
 * count as a failure; a tenth of it where it took leave by GOAWAY, as at a maximum age of 1 s.
 *
 * That is the raw state, of the current connection. Others see READY as CONNECTING until the
 * endpoint said that it is healthy, and as TRANSIENT_FAILURE while it is not: the connection stays,
 * for it will say when it is again. A READY endpoint may have further ones, opened when
 * calls wait at the peer's limit of streams (C13); one of them takes the place of a current one
 * that ends, and each closes when it was not needed for a while. */
#include "channel/subchannel.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/sm.h"
#include "channel/drain.h"
#include "channel/transport.h"

#define FURTHER_IDLE_MS 60000 /* of a connection beside the current one */
#define NO_ERROR        0     /* RFC 9113, 7 */

static const uint32_t moves[] = {
    [FL_CHANNEL_IDLE] = FL_TO(FL_CHANNEL_CONNECTING) | FL_TO(FL_CHANNEL_SHUTDOWN),
    [FL_CHANNEL_CONNECTING] = FL_TO(FL_CHANNEL_READY) | FL_TO(FL_CHANNEL_TRANSIENT_FAILURE) |
                              FL_TO(FL_CHANNEL_IDLE) | FL_TO(FL_CHANNEL_SHUTDOWN),
    [FL_CHANNEL_READY] =
        FL_TO(FL_CHANNEL_IDLE) | FL_TO(FL_CHANNEL_TRANSIENT_FAILURE) | FL_TO(FL_CHANNEL_SHUTDOWN),
    [FL_CHANNEL_TRANSIENT_FAILURE] = FL_TO(FL_CHANNEL_IDLE) | FL_TO(FL_CHANNEL_SHUTDOWN),
    [FL_CHANNEL_SHUTDOWN] = 0,
};

/* Who is both asked and checked must pass both. */
static int healthy_state(const struct fl_subchannel *sub) {
    if (sub->check && fl_health_check_unhealthy(sub->check)) return FL_CHANNEL_TRANSIENT_FAILURE;
    return sub->watch ? (int)fl_health_watch_verdict(sub->watch) : FL_CHANNEL_READY;
}

static bool is_unhealthy(const struct fl_subchannel *sub) {
    return sub->raw_state == FL_CHANNEL_READY && sub->state == FL_CHANNEL_TRANSIENT_FAILURE;
}

static const struct fl_error *unhealthy_why(const struct fl_subchannel *sub) {
    const struct fl_error *why = sub->check ? fl_health_check_unhealthy(sub->check) : NULL;
    return why ? why : fl_health_watch_why(sub->watch);
}

/* A connection says nothing of its endpoint's health (gRFC A17). */
static void show(struct fl_subchannel *sub) {
    int state = sub->raw_state == FL_CHANNEL_READY ? healthy_state(sub) : sub->raw_state;
    fl_connection_metrics_state(&sub->connector->metrics, sub->state, state);
    sub->state = state;
    if (state == FL_CHANNEL_READY) {
        sub->failed = false;
        fl_kept_error_set(&sub->why, NULL);
    }
    if (!is_unhealthy(sub)) return;
    sub->failed = true;
    fl_kept_error_set(&sub->why, unhealthy_why(sub));
}

static void on_verdict(void *arg) {
    struct fl_subchannel *sub = arg;
    show(sub);
    sub->connector->on_state(sub->connector->arg, sub);
}

/* Who gets no calls anyway is not checked. */
static void check_if_used(struct fl_subchannel *sub) {
    if (!sub->check) return;
    if (sub->wanted && sub->raw_state == FL_CHANNEL_READY)
        fl_health_check_start(sub->check);
    else
        fl_health_check_stop(sub->check);
}

static void shift(struct fl_subchannel *sub, enum fl_channel_state to) {
    fl_sm_move(&sub->raw_state, moves, to);
    show(sub);
}

static void move(struct fl_subchannel *sub, enum fl_channel_state to) {
    shift(sub, to);
    FL_ASSERT((sub->current != NULL) == (to == FL_CHANNEL_CONNECTING || to == FL_CHANNEL_READY));
    FL_ASSERT(fl_timer_is_set(&sub->timer) == (to == FL_CHANNEL_TRANSIENT_FAILURE));
    check_if_used(sub);
    sub->connector->on_state(sub->connector->arg, sub);
}

static void reset_backoff(struct fl_subchannel *sub) {
    const struct fl_connector *connector = sub->connector;
    sub->backoff_policy = (struct fl_backoff_policy){
        .min_ms = connector->backoff_ms_min,
        .max_ms = connector->backoff_ms_max,
        .factor_percent = 160,
        .jitter_percent = 20,
        .reset_ms = connector->backoff_ms_min,
    };
    fl_backoff_init(&sub->backoff, &sub->backoff_policy);
}

static void fail(struct fl_subchannel *sub, const struct fl_error *why) {
    struct fl_io *io = sub->connector->io;
    uint64_t now = fl_io_now_ms(io);
    uint64_t delay = fl_backoff_failure(&sub->backoff, now, &io->jitter);
    FL_LOG(io, sub->failed ? FL_LOG_DEBUG : FL_LOG_INFO, "endpoint cannot be reached",
           FL_LOG_TEXT_OF("peer", sub->peer), FL_LOG_INT("retry_ms", delay), FL_LOG_ERROR_OF(why));
    fl_kept_error_set(&sub->why, why);
    sub->failed = true;
    fl_io_timer_set(io, &sub->timer, now + delay);
    move(sub, FL_CHANNEL_TRANSIENT_FAILURE);
}

static void connect(struct fl_subchannel *sub) {
    struct fl_error err = {FL_OK, ""};
    if (fl_transport_new(sub, 0, &sub->current, &err) == 0) {
        move(sub, FL_CHANNEL_CONNECTING);
        return;
    }
    /* The state table knows no failure that was not an attempt. */
    shift(sub, FL_CHANNEL_CONNECTING);
    fail(sub, &err);
}

static void connect_if_wanted(struct fl_subchannel *sub) {
    if (sub->wanted && sub->raw_state == FL_CHANNEL_IDLE) connect(sub);
}

static void backoff_over(struct fl_timer *timer) {
    struct fl_subchannel *sub = FL_CONTAINER(timer, struct fl_subchannel, timer);
    move(sub, FL_CHANNEL_IDLE);
    connect_if_wanted(sub);
}

int fl_subchannel_new(struct fl_connector *connector, const char *host, uint16_t port,
                      const char *peer, struct fl_subchannel **out) {
    struct fl_subchannel *sub = FL_NEW(struct fl_subchannel);
    if (!sub) return FL_ENOMEM;
    sub->connector = connector;
    sub->refs = 1;
    sub->raw_state = sub->state = FL_CHANNEL_IDLE;
    fl_connection_metrics_state(&connector->metrics, FL_CHANNEL_SHUTDOWN, sub->state);
    sub->port = port;
    fl_list_init(&sub->link);
    fl_list_init(&sub->transports);
    reset_backoff(sub);
    sub->host = fl_strdup(host);
    sub->peer = fl_strdup(peer);
    if (!sub->host || !sub->peer) goto fail;
    if (fl_io_timer_init(connector->io, &sub->timer, backoff_over) != 0) goto fail;
    if (connector->checker && fl_health_check_new(connector->checker, sub->host, port, sub->peer,
                                                  on_verdict, sub, &sub->check) != 0)
        goto fail;
    if (connector->health &&
        fl_health_watch_new(connector->health, sub->peer, on_verdict, sub, &sub->watch) != 0)
        goto fail;
    *out = sub;
    return 0;
fail:
    fl_subchannel_unref(sub);
    return FL_ENOMEM;
}

void fl_subchannel_ref(struct fl_subchannel *sub) { sub->refs++; }

struct fl_subchannel *fl_subchannel_unref(struct fl_subchannel *sub) {
    if (!sub || --sub->refs > 0) return NULL;
    FL_ASSERT(fl_list_empty(&sub->transports) && !sub->pick.in);
    fl_connection_metrics_state(&sub->connector->metrics, sub->state, FL_CHANNEL_SHUTDOWN);
    fl_io_timer_deinit(sub->connector->io, &sub->timer);
    fl_health_watch_free(sub->watch);
    fl_health_check_free(sub->check);
    fl_kept_error_deinit(&sub->why);
    fl_free(sub->host);
    fl_free(sub->peer);
    fl_free(sub);
    return NULL;
}

void fl_subchannel_connect(struct fl_subchannel *sub) {
    if (sub->raw_state == FL_CHANNEL_IDLE) connect(sub);
}

static void forget_failures(struct fl_subchannel *sub) {
    reset_backoff(sub);
    sub->failed = false;
    sub->hasty = false;
}

void fl_subchannel_want(struct fl_subchannel *sub, bool wanted) {
    bool again = wanted && !sub->wanted;
    sub->wanted = wanted;
    if (again) forget_failures(sub);
    if (is_unhealthy(sub)) sub->failed = true;
    check_if_used(sub);
    if (again && sub->raw_state == FL_CHANNEL_TRANSIENT_FAILURE) {
        fl_io_timer_clear(sub->connector->io, &sub->timer);
        move(sub, FL_CHANNEL_IDLE);
    }
    connect_if_wanted(sub);
}

/* There is none to be asked on any more: a watch would keep a connection that drains. */
static void leave_current(struct fl_subchannel *sub) {
    sub->current = NULL;
    if (sub->watch) fl_health_watch_stop(sub->watch);
}

/* By our own will: what is known of its health will be old when it is connected again. */
static void give_up_current(struct fl_subchannel *sub) {
    leave_current(sub);
    if (sub->check) fl_health_check_forget(sub->check);
}

/* Gives every connection up; the caller moves on from CONNECTING or READY. */
static void let_go(struct fl_subchannel *sub) {
    give_up_current(sub);
    FL_LIST_EACH (&sub->transports, item, next) {
        struct fl_transport *transport = FL_CONTAINER(item, struct fl_transport, sub_link);
        if (transport->ready)
            fl_drain_start(transport);
        else
            fl_transport_close(transport);
    }
}

void fl_subchannel_rest(struct fl_subchannel *sub, const char *cause) {
    bool connected = sub->current != NULL;
    sub->wanted = false;
    give_up_current(sub);
    FL_LIST_EACH (&sub->transports, item, next) {
        struct fl_transport *transport = FL_CONTAINER(item, struct fl_transport, sub_link);
        if (transport->ready)
            fl_drain_rest(transport, cause);
        else
            fl_transport_close(transport);
    }
    if (connected) move(sub, FL_CHANNEL_IDLE);
}

void fl_subchannel_renew(struct fl_subchannel *sub) {
    forget_failures(sub);
    if (sub->raw_state == FL_CHANNEL_IDLE) return;
    fl_io_timer_clear(sub->connector->io, &sub->timer);
    let_go(sub);
    move(sub, FL_CHANNEL_IDLE);
    connect_if_wanted(sub);
}

void fl_subchannel_leave(struct fl_subchannel *sub) {
    fl_io_timer_clear(sub->connector->io, &sub->timer);
    sub->wanted = false;
    let_go(sub);
    move(sub, FL_CHANNEL_SHUTDOWN);
}

/* A connection may have room before it has said that it is ready. */
static bool has_room(const struct fl_transport *transport) {
    return transport->ready && fl_http_conn_room(transport->conn) > 0;
}

/* A connection that `fits`, the oldest first, so that those not needed go idle; NULL: none. */
static struct fl_transport *find(const struct fl_subchannel *sub,
                                 bool (*fits)(const struct fl_transport *transport)) {
    FL_LIST_EACH (&sub->transports, item, next) {
        struct fl_transport *transport = FL_CONTAINER(item, struct fl_transport, sub_link);
        if (!transport->leaving && fits(transport)) return transport;
    }
    return NULL;
}

struct fl_transport *fl_subchannel_usable(const struct fl_subchannel *sub) {
    if (sub->state != FL_CHANNEL_READY) return NULL;
    return has_room(sub->current) ? sub->current : find(sub, has_room);
}

/* --- further connections --- */

static bool is_ready(const struct fl_transport *transport) { return transport->ready; }
static bool is_on_its_way(const struct fl_transport *transport) { return !transport->ready; }

size_t fl_subchannel_width(const struct fl_subchannel *sub) {
    size_t width = 0;
    FL_LIST_EACH (&sub->transports, item, next) {
        if (!FL_CONTAINER(item, struct fl_transport, sub_link)->leaving) width++;
    }
    return width;
}

bool fl_subchannel_may_widen(const struct fl_subchannel *sub) {
    return sub->state == FL_CHANNEL_READY && !find(sub, is_on_its_way) &&
           fl_subchannel_width(sub) < sub->connector->connections_max &&
           fl_io_now_ms(sub->connector->io) >= sub->widen_at_ms;
}

static void widen_failed(struct fl_subchannel *sub, const struct fl_error *why) {
    struct fl_io *io = sub->connector->io;
    FL_LOG(io, FL_LOG_DEBUG, "another connection cannot be opened",
           FL_LOG_TEXT_OF("peer", sub->peer), FL_LOG_ERROR_OF(why));
    sub->widen_at_ms = fl_io_now_ms(io) + sub->connector->backoff_ms_min;
}

void fl_subchannel_widen(struct fl_subchannel *sub) {
    struct fl_transport *transport;
    struct fl_error err = {FL_OK, ""};
    if (!fl_subchannel_may_widen(sub)) return;
    FL_LOG(sub->connector->io, FL_LOG_DEBUG, "another connection is opened",
           FL_LOG_TEXT_OF("peer", sub->peer), FL_LOG_INT("connections", fl_subchannel_width(sub)));
    if (fl_transport_new(sub, FURTHER_IDLE_MS, &transport, &err) != 0) widen_failed(sub, &err);
}

/* --- what the connections tell --- */

void fl_subchannel_on_ready(struct fl_subchannel *sub, struct fl_transport *transport) {
    struct fl_io *io = sub->connector->io;
    if (sub->current != transport) {
        sub->connector->on_room(sub->connector->arg);
        return;
    }
    FL_LOG(io, sub->failed ? FL_LOG_INFO : FL_LOG_DEBUG, "endpoint is connected",
           FL_LOG_TEXT_OF("peer", sub->peer));
    sub->ready_at_ms = fl_io_now_ms(io);
    fl_backoff_success(&sub->backoff, sub->ready_at_ms);
    move(sub, FL_CHANNEL_READY);
    if (sub->watch) fl_health_watch_start(sub->watch, transport->conn);
}

/* A READY connection that lasted less than this was short-lived. */
static uint32_t lasting_ms(const struct fl_subchannel *sub, const struct fl_transport *transport) {
    bool orderly = transport->goaway && transport->goaway_code == NO_ERROR;
    return orderly ? sub->connector->backoff_ms_min / 10 : sub->connector->backoff_ms_min;
}

void fl_subchannel_on_lost(struct fl_subchannel *sub, struct fl_transport *transport,
                           const struct fl_error *why) {
    if (sub->current != transport) {
        if (!transport->ready && !transport->end) widen_failed(sub, why);
        return;
    }
    struct fl_transport *next = sub->raw_state == FL_CHANNEL_READY ? find(sub, is_ready) : NULL;
    if (next) {
        sub->current = next;
        fl_http_conn_keep(next->conn);
        if (sub->watch) fl_health_watch_start(sub->watch, next->conn);
        return;
    }
    leave_current(sub);
    if (sub->raw_state == FL_CHANNEL_CONNECTING) {
        fail(sub, why);
        return;
    }
    uint64_t lasted = fl_io_now_ms(sub->connector->io) - sub->ready_at_ms;
    bool hasty = lasted < lasting_ms(sub, transport);
    if (hasty && sub->hasty) {
        fail(sub, why);
        return;
    }
    sub->hasty = hasty;
    move(sub, FL_CHANNEL_IDLE);
    connect_if_wanted(sub);
}
