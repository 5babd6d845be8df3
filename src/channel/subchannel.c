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
 * count as a failure. */
#include "channel/subchannel.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/sm.h"
#include "channel/drain.h"
#include "channel/transport.h"

static const uint32_t moves[] = {
    [FL_CHANNEL_IDLE] = FL_TO(FL_CHANNEL_CONNECTING) | FL_TO(FL_CHANNEL_SHUTDOWN),
    [FL_CHANNEL_CONNECTING] = FL_TO(FL_CHANNEL_READY) | FL_TO(FL_CHANNEL_TRANSIENT_FAILURE) |
                              FL_TO(FL_CHANNEL_IDLE) | FL_TO(FL_CHANNEL_SHUTDOWN),
    [FL_CHANNEL_READY] =
        FL_TO(FL_CHANNEL_IDLE) | FL_TO(FL_CHANNEL_TRANSIENT_FAILURE) | FL_TO(FL_CHANNEL_SHUTDOWN),
    [FL_CHANNEL_TRANSIENT_FAILURE] = FL_TO(FL_CHANNEL_IDLE) | FL_TO(FL_CHANNEL_SHUTDOWN),
    [FL_CHANNEL_SHUTDOWN] = 0,
};

static void move(struct fl_subchannel *sub, enum fl_channel_state to) {
    fl_sm_move(&sub->state, moves, to);
    FL_ASSERT((sub->current != NULL) == (to == FL_CHANNEL_CONNECTING || to == FL_CHANNEL_READY));
    FL_ASSERT(fl_timer_is_set(&sub->timer) == (to == FL_CHANNEL_TRANSIENT_FAILURE));
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
    sub->why = *why;
    sub->failed = true;
    fl_io_timer_set(io, &sub->timer, now + delay);
    move(sub, FL_CHANNEL_TRANSIENT_FAILURE);
}

static void connect(struct fl_subchannel *sub) {
    struct fl_error err = {FL_OK, ""};
    if (fl_transport_new(sub, &sub->current, &err) == 0) {
        move(sub, FL_CHANNEL_CONNECTING);
        return;
    }
    /* The state table knows no failure that was not an attempt. */
    fl_sm_move(&sub->state, moves, FL_CHANNEL_CONNECTING);
    fail(sub, &err);
}

static void connect_if_wanted(struct fl_subchannel *sub) {
    if (sub->wanted && sub->state == FL_CHANNEL_IDLE) connect(sub);
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
    sub->state = FL_CHANNEL_IDLE;
    sub->port = port;
    fl_list_init(&sub->link);
    fl_list_init(&sub->transports);
    reset_backoff(sub);
    sub->host = fl_strdup(host);
    sub->peer = fl_strdup(peer);
    if (!sub->host || !sub->peer) goto fail;
    if (fl_io_timer_init(connector->io, &sub->timer, backoff_over) != 0) goto fail;
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
    fl_io_timer_deinit(sub->connector->io, &sub->timer);
    fl_free(sub->host);
    fl_free(sub->peer);
    fl_free(sub);
    return NULL;
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
    if (again && sub->state == FL_CHANNEL_TRANSIENT_FAILURE) {
        fl_io_timer_clear(sub->connector->io, &sub->timer);
        move(sub, FL_CHANNEL_IDLE);
    }
    connect_if_wanted(sub);
}

/* Gives the current connection up; the caller moves on from CONNECTING or READY. */
static void let_go(struct fl_subchannel *sub) {
    struct fl_transport *transport = sub->current;
    sub->current = NULL;
    if (sub->state == FL_CHANNEL_CONNECTING)
        fl_transport_close(transport);
    else
        fl_drain_start(transport);
}

void fl_subchannel_rest(struct fl_subchannel *sub) {
    sub->wanted = false;
    if (!sub->current) return;
    sub->current = NULL;
    FL_LIST_EACH (&sub->transports, item, next) {
        struct fl_transport *transport = FL_CONTAINER(item, struct fl_transport, sub_link);
        if (transport->ready)
            fl_drain_rest(transport);
        else
            fl_transport_close(transport);
    }
    move(sub, FL_CHANNEL_IDLE);
}

void fl_subchannel_renew(struct fl_subchannel *sub) {
    forget_failures(sub);
    if (sub->state == FL_CHANNEL_IDLE) return;
    fl_io_timer_clear(sub->connector->io, &sub->timer);
    if (sub->current) let_go(sub);
    move(sub, FL_CHANNEL_IDLE);
    connect_if_wanted(sub);
}

void fl_subchannel_leave(struct fl_subchannel *sub) {
    fl_io_timer_clear(sub->connector->io, &sub->timer);
    sub->wanted = false;
    if (sub->current) let_go(sub);
    FL_LIST_EACH (&sub->transports, item, next) {
        fl_drain_start(FL_CONTAINER(item, struct fl_transport, sub_link));
    }
    move(sub, FL_CHANNEL_SHUTDOWN);
}

struct fl_transport *fl_subchannel_usable(const struct fl_subchannel *sub) {
    if (sub->state != FL_CHANNEL_READY) return NULL;
    return fl_http_conn_room(sub->current->conn) > 0 ? sub->current : NULL;
}

void fl_subchannel_on_ready(struct fl_subchannel *sub, struct fl_transport *transport) {
    if (sub->current != transport) return;
    struct fl_io *io = sub->connector->io;
    FL_LOG(io, sub->failed ? FL_LOG_INFO : FL_LOG_DEBUG, "endpoint is connected",
           FL_LOG_TEXT_OF("peer", sub->peer));
    sub->failed = false;
    sub->ready_at_ms = fl_io_now_ms(io);
    fl_backoff_success(&sub->backoff, sub->ready_at_ms);
    move(sub, FL_CHANNEL_READY);
}

void fl_subchannel_on_lost(struct fl_subchannel *sub, struct fl_transport *transport,
                           const struct fl_error *why) {
    if (sub->current != transport) return;
    sub->current = NULL;
    if (sub->state == FL_CHANNEL_CONNECTING) {
        fail(sub, why);
        return;
    }
    uint64_t lasted = fl_io_now_ms(sub->connector->io) - sub->ready_at_ms;
    bool hasty = lasted < sub->connector->backoff_ms_min;
    if (hasty && sub->hasty) {
        fail(sub, why);
        return;
    }
    sub->hasty = hasty;
    move(sub, FL_CHANNEL_IDLE);
    connect_if_wanted(sub);
}
