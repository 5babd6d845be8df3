/* pipe.c - the bytes between the two socks of a simulated connection.
 *
 * What one side sends stands in the other side's inbox: the bytes in `in`, and a ring of segments
 * that say when how many of them arrive, and what arrives besides (SYN, OPEN, FIN, RST). Segments
 * of one inbox arrive in order, each as an event of its own. At most NET_WINDOW bytes are in an
 * inbox: a reader that is paused takes none, so its peer's queue fills, and the window that opens
 * when it takes some is told to the peer one latency later.
 *
 * A side that is closed answers data with a reset, as a kernel does. In a black hole a segment that
 * is due stays where it is and net_sock_retry schedules it again (retransmission); resets, which
 * nobody repeats, are lost.
 *
 *     side 0: DIALLING -> UP -> CLOSING -> ENDED -> GONE         side 1: NEW -> PENDING -> UP …
 *     ENDED: on_close is scheduled; GONE: it was called, or nobody was there to be told. */
#include "base/alloc.h"
#include "sim/net.h"

#define IN_KEPT           ((size_t)4096) /* a larger buffer gives its memory back once it is empty */
#define CLOSE_PATIENCE_US ((uint64_t)1000 * 1000) /* io.h: gives up after one second */
#define RETRANSMIT_US_MAX ((uint64_t)200 * 1000)
#define OUTSIDE           0xdd /* what borrowed bytes read as once the callback is over */

static const uint32_t moves[] = {
    [NET_NEW] = FL_TO(NET_PENDING) | FL_TO(NET_GONE),
    [NET_DIALLING] = FL_TO(NET_UP) | FL_TO(NET_ENDED),
    [NET_PENDING] = FL_TO(NET_UP) | FL_TO(NET_GONE),
    [NET_UP] = FL_TO(NET_CLOSING) | FL_TO(NET_ENDED),
    [NET_CLOSING] = FL_TO(NET_ENDED),
    [NET_ENDED] = FL_TO(NET_GONE),
    [NET_GONE] = 0,
};

void net_sock_move(struct fl_sock *sock, enum net_state to) { fl_sm_move(&sock->state, moves, to); }

static struct fl_world *world_of(const struct fl_sock *sock) { return sock->conn->world; }

static bool is_open(const struct fl_sock *sock) {
    return sock->state == NET_UP || sock->state == NET_CLOSING;
}

static void trace(struct fl_sock *sock, enum net_entry entry) {
    net_trace(world_of(sock), entry, net_sock_id(sock), FL_STR_NONE);
}

static struct net_segment *segment_at(struct fl_sock *sock, size_t i) {
    return &sock->segments[(sock->segment_first + i) % sock->segment_cap];
}

/* --- ends --- */

/* on_close becomes due; `code` 0: this side wanted it. */
static void end(struct fl_sock *sock, int code, const char *detail) {
    if (code) fl_fail(&sock->why, code, "%s", detail);
    fl_buf_consume(&sock->out, sock->out.len);
    net_sock_move(sock, NET_ENDED);
    net_schedule(world_of(sock), &sock->ending, world_of(sock)->now_us);
}

/* The peer is told that nobody is here any more. */
static void send_reset(struct fl_sock *sock) {
    struct fl_sock *other = net_sock_other(sock);
    if (other->state == NET_GONE || other->state == NET_NEW) return;
    if (other->segment_count && segment_at(other, other->segment_count - 1)->kind == SEGMENT_RST)
        return; /* one is on its way */
    net_segment_send(other, SEGMENT_RST, 0);
}

static void give_up(struct fl_sock *sock, int code, const char *detail) {
    send_reset(sock);
    end(sock, code, detail);
}

static void tell_closed(struct fl_sock *sock) {
    net_sock_move(sock, NET_GONE);
    if (!sock->events) return;
    trace(sock, NET_CLOSE);
    world_of(sock)->open_socks--;
    sock->events->on_close(sock->arg, &sock->why);
}

static void run_ending(struct fl_timer *timer) {
    struct fl_sock *sock = FL_CONTAINER(timer, struct fl_sock, ending);
    struct net_conn *conn = sock->conn;
    if (sock->state == NET_DIALLING)
        give_up(sock, FL_ETIMEOUT, "no connection before the deadline");
    else if (sock->state == NET_CLOSING)
        give_up(sock, FL_OK, NULL);
    else
        tell_closed(sock);
    net_conn_release(conn);
}

/* --- segments --- */

static int segments_grow(struct fl_sock *sock) {
    size_t cap = sock->segment_cap * 2;
    struct net_segment *ring = fl_alloc(cap * sizeof *ring);
    if (!ring) return FL_ENOMEM;
    for (size_t i = 0; i < sock->segment_count; i++) ring[i] = *segment_at(sock, i);
    fl_free(sock->segments);
    sock->segments = ring;
    sock->segment_first = 0;
    sock->segment_cap = cap;
    return 0;
}

static uint64_t arrival_us(struct fl_world *world) {
    uint64_t at = world->now_us + net_latency_us(world);
    if (world->options.reorder) return at;
    return world->last_arrival_us = FL_MAX(at, world->last_arrival_us);
}

/* When the next thing in this inbox happens. */
static void schedule_arrival(struct fl_sock *sock) {
    struct fl_world *world = world_of(sock);
    if (fl_timer_is_set(&sock->arrive) || sock->held || !sock->segment_count) return;
    net_schedule(world, &sock->arrive, FL_MAX(segment_at(sock, 0)->at_us, world->now_us));
}

/* A place is free: NET_SPARE for what is no data, segments_grow before data. */
void net_segment_send(struct fl_sock *to, enum net_segment_kind kind, size_t len) {
    FL_ASSERT(to->segment_count < to->segment_cap);
    to->last_us = FL_MAX(arrival_us(world_of(to)), to->last_us);
    *segment_at(to, to->segment_count++) = (struct net_segment){to->last_us, len, kind};
    schedule_arrival(to);
}

void net_sock_retry(struct fl_sock *sock) {
    struct fl_world *world = world_of(sock);
    if (!sock->held) return;
    sock->held = false;
    net_schedule(world, &sock->arrive,
                 world->now_us + fl_random_below(&world->random, RETRANSMIT_US_MAX));
}

/* The connection breaks now, whatever the network is like: what is on its way is lost, and each
 * side finds out a little later. */
void net_sock_cut(struct fl_sock *sock) {
    struct fl_world *world = world_of(sock);
    sock->segment_count = 0;
    sock->arrived = 0;
    sock->held = false;
    fl_timer_clear(&world->events, &sock->arrive);
    fl_buf_consume(&sock->in, sock->in.len);
    if (!is_open(sock) && sock->state != NET_DIALLING) return;
    trace(sock, NET_RESET);
    end(sock, sock->state == NET_CLOSING ? FL_OK : FL_ERESET, "connection reset by the peer");
    net_schedule(world, &sock->ending, world->now_us + net_latency_us(world));
}

/* --- sending --- */

static void mark_dirty(struct fl_sock *sock) {
    if (fl_list_empty(&sock->dirty_link)) fl_list_push(&world_of(sock)->dirty, &sock->dirty_link);
}

/* How much of `n` bytes comes in the next piece. */
static size_t piece_of(struct fl_world *world, size_t n) {
    if (!world->options.chop) return n;
    uint64_t few = 1 + fl_random_below(&world->random, 16);
    switch (fl_random_below(&world->random, 4)) {
    case 0:
        return 1;
    case 1:
        return FL_MIN(n, few);
    case 2:
        return 1 + fl_random_below(&world->random, n);
    default:
        return n;
    }
}

/* Moves queued bytes into the peer's inbox, as far as its window allows. */
static int transmit(struct fl_sock *sock) {
    struct fl_sock *to = net_sock_other(sock);
    size_t left = FL_MIN(sock->out.len, NET_WINDOW - to->in.len);
    while (left) {
        size_t n = piece_of(world_of(sock), left);
        struct fl_str bytes = {fl_buf_str(&sock->out).p, n};
        if (to->segment_count + NET_SPARE >= to->segment_cap && segments_grow(to)) return FL_ENOMEM;
        if (fl_buf_append(&to->in, bytes)) return FL_ENOMEM;
        net_segment_send(to, SEGMENT_DATA, n);
        fl_buf_consume(&sock->out, n);
        left -= n;
    }
    return 0;
}

static void flush(struct fl_sock *sock) {
    if (!is_open(sock)) return;
    if (transmit(sock)) {
        give_up(sock, sock->state == NET_CLOSING ? FL_OK : FL_ENOMEM, "out of memory");
        return;
    }
    if (sock->state == NET_CLOSING && !sock->out.len) {
        if (net_sock_other(sock)->state != NET_GONE)
            net_segment_send(net_sock_other(sock), SEGMENT_FIN, 0);
        end(sock, FL_OK, NULL);
    }
    if (!sock->out.len) fl_buf_release(&sock->out);
}

void net_flush(struct fl_world *world) {
    while (!fl_list_empty(&world->dirty)) {
        struct fl_sock *sock = FL_CONTAINER(world->dirty.next, struct fl_sock, dirty_link);
        fl_list_remove(&sock->dirty_link);
        flush(sock);
    }
}

static void run_push(struct fl_timer *timer) {
    struct fl_sock *sock = FL_CONTAINER(timer, struct fl_sock, push);
    flush(sock);
    if (sock->state != NET_UP || !sock->was_high || sock->out.len >= FL_SOCK_QUEUE_HIGH / 2) return;
    sock->was_high = false;
    sock->events->on_writable(sock->arg);
}

/* This side took bytes out of its inbox: who writes to it hears of it a little later. */
static void open_window(struct fl_sock *sock) {
    struct fl_sock *writer = net_sock_other(sock);
    if (!is_open(writer) || !writer->out.len || fl_timer_is_set(&writer->push)) return;
    net_schedule(world_of(sock), &writer->push,
                 world_of(sock)->now_us + net_latency_us(world_of(sock)));
}

/* --- receiving --- */

static void deliver_data(struct fl_sock *sock) {
    struct fl_str bytes = {fl_buf_str(&sock->in).p, sock->arrived};
    net_trace(world_of(sock), NET_DATA, net_sock_id(sock), bytes);
    sock->arrived = 0;
    sock->events->on_data(sock->arg, bytes);
    size_t n = FL_MIN(bytes.n, sock->in.len); /* less if the callback cut the connection */
    if (n) memset(sock->in.data + sock->in.start, OUTSIDE, n);
    fl_buf_consume(&sock->in, n);
    if (sock->in.len == 0 && sock->in.cap > IN_KEPT) fl_buf_release(&sock->in);
    open_window(sock);
}

/* Gives the owner what has arrived, unless it does not want it now. */
static void deliver(struct fl_sock *sock) {
    if (sock->state == NET_UP && !sock->paused && sock->arrived) deliver_data(sock);
    if (sock->state != NET_UP || sock->paused || !sock->fin || sock->eof_told) return;
    sock->eof_told = true;
    trace(sock, NET_EOF);
    sock->events->on_eof(sock->arg);
}

static void take_syn(struct fl_sock *sock, size_t len) {
    struct net_conn *conn = sock->conn;
    struct fl_sock *client = &conn->side[0];
    FL_UNUSED(len);
    conn->listener = client->state == NET_DIALLING ? net_listener_find(conn) : NULL;
    net_sock_move(sock, conn->listener ? NET_PENDING : NET_GONE);
    if (client->state != NET_DIALLING) return;
    net_segment_send(client, conn->listener ? SEGMENT_OPEN : SEGMENT_REFUSED, 0);
    if (conn->listener) net_segment_send(sock, SEGMENT_ACCEPT, 0);
}

static void take_accept(struct fl_sock *sock, size_t len) {
    struct fl_listener *listener = sock->conn->listener;
    FL_UNUSED(len);
    sock->conn->listener = NULL;
    if (!listener) {
        send_reset(sock);
        net_sock_move(sock, NET_GONE);
        return;
    }
    trace(sock, NET_ACCEPT);
    net_sock_move(sock, NET_UP);
    listener->on_accept(listener->arg, sock);
    FL_ASSERT(sock->events || sock->state == NET_ENDED); /* attached or aborted, says io.h */
}

static void take_open(struct fl_sock *sock, size_t len) {
    FL_UNUSED(len);
    if (sock->state != NET_DIALLING) return;
    fl_timer_clear(&world_of(sock)->events, &sock->ending);
    trace(sock, NET_OPEN);
    net_sock_move(sock, NET_UP);
    sock->events->on_open(sock->arg, FL_STR(""));
}

static void take_refused(struct fl_sock *sock, size_t len) {
    char peer[FL_ADDRESS_TEXT_MAX];
    FL_UNUSED(len);
    if (sock->state != NET_DIALLING) return;
    trace(sock, NET_REFUSED);
    fl_address_format(&sock->conn->address, peer);
    fl_fail(&sock->why, FL_EREFUSED, "%s port %u refused the connection", peer, sock->conn->port);
    end(sock, 0, NULL);
}

static void take_data(struct fl_sock *sock, size_t len) {
    if (sock->state == NET_UP) {
        sock->arrived += len;
        return;
    }
    fl_buf_consume(&sock->in, len);
    open_window(sock);
    if (sock->state == NET_ENDED || sock->state == NET_GONE) send_reset(sock);
}

static void take_fin(struct fl_sock *sock, size_t len) {
    FL_UNUSED(len);
    sock->fin = true;
}

static void take_reset(struct fl_sock *sock, size_t len) {
    FL_UNUSED(len);
    if (sock->state != NET_UP && sock->state != NET_CLOSING && sock->state != NET_DIALLING) return;
    trace(sock, NET_RESET);
    end(sock, sock->state == NET_CLOSING ? FL_OK : FL_ERESET, "connection reset by the peer");
}

static void (*const takers[])(struct fl_sock *sock, size_t len) = {
    [SEGMENT_SYN] = take_syn,         [SEGMENT_ACCEPT] = take_accept, [SEGMENT_OPEN] = take_open,
    [SEGMENT_REFUSED] = take_refused, [SEGMENT_DATA] = take_data,     [SEGMENT_FIN] = take_fin,
    [SEGMENT_RST] = take_reset,
};

static struct net_segment pop_segment(struct fl_sock *sock) {
    struct net_segment segment = *segment_at(sock, 0);
    sock->segment_first = (sock->segment_first + 1) % sock->segment_cap;
    sock->segment_count--;
    return segment;
}

static void run_arrive(struct fl_timer *timer) {
    struct fl_sock *sock = FL_CONTAINER(timer, struct fl_sock, arrive);
    struct net_conn *conn = sock->conn;
    bool due = sock->segment_count && segment_at(sock, 0)->at_us <= conn->world->now_us;
    if (due && conn->blackholed && segment_at(sock, 0)->kind != SEGMENT_ACCEPT) {
        if (segment_at(sock, 0)->kind == SEGMENT_RST)
            (void)pop_segment(sock);
        else
            sock->held = true;
    } else if (due) {
        struct net_segment segment = pop_segment(sock);
        takers[segment.kind](sock, segment.len);
    }
    deliver(sock);
    schedule_arrival(sock);
    net_conn_release(conn);
}

/* --- fl_io_ops --- */

int net_sock_init(struct fl_sock *sock, struct net_conn *conn, enum net_state state) {
    struct fl_timers *events = &conn->world->events;
    sock->conn = conn;
    sock->state = (int)state;
    sock->segment_cap = 2 * NET_SPARE;
    fl_list_init(&sock->dirty_link);
    fl_buf_init(&sock->out, FL_SOCK_QUEUE_MAX);
    fl_buf_init(&sock->in, NET_WINDOW);
    sock->segments = fl_alloc(sock->segment_cap * sizeof *sock->segments);
    if (!sock->segments || fl_timer_init(events, &sock->push, run_push) ||
        fl_timer_init(events, &sock->arrive, run_arrive) ||
        fl_timer_init(events, &sock->ending, run_ending))
        return FL_ENOMEM;
    return 0;
}

void net_sock_deinit(struct fl_sock *sock) {
    if (!sock->conn) return; /* never initialised */
    struct fl_timers *events = &world_of(sock)->events;
    fl_timer_deinit(events, &sock->push);
    fl_timer_deinit(events, &sock->arrive);
    fl_timer_deinit(events, &sock->ending);
    fl_list_remove(&sock->dirty_link);
    fl_buf_deinit(&sock->out);
    fl_buf_deinit(&sock->in);
    fl_free(sock->segments);
}

void net_sock_attach(struct fl_sock *sock, const struct fl_sock_events *events, void *arg) {
    if (!sock->events) world_of(sock)->open_socks++;
    sock->events = events;
    sock->arg = arg;
}

int net_sock_write(struct fl_sock *sock, struct fl_str bytes) {
    if (sock->state != NET_UP) return FL_ESHUTDOWN;
    int rc = fl_buf_append(&sock->out, bytes);
    if (rc) {
        give_up(sock, rc, fl_error_text(rc));
        return rc;
    }
    if (sock->out.len >= FL_SOCK_QUEUE_HIGH) sock->was_high = true;
    if (sock->out.len) mark_dirty(sock);
    return 0;
}

size_t net_sock_queued(const struct fl_sock *sock) { return sock->out.len; }

void net_sock_pause(struct fl_sock *sock, bool paused) {
    struct fl_world *world = world_of(sock);
    if (sock->paused == paused) return;
    sock->paused = paused;
    if (!paused && (sock->arrived || (sock->fin && !sock->eof_told)))
        net_schedule(world, &sock->arrive, world->now_us);
}

void net_sock_close(struct fl_sock *sock) {
    struct fl_world *world = world_of(sock);
    if (sock->state == NET_DIALLING) {
        net_sock_abort(sock);
    } else if (sock->state == NET_UP) {
        net_sock_move(sock, NET_CLOSING);
        fl_buf_consume(&sock->in, sock->arrived);
        sock->arrived = 0;
        open_window(sock);
        net_schedule(world, &sock->ending, world->now_us + CLOSE_PATIENCE_US);
        mark_dirty(sock);
    }
}

void net_sock_abort(struct fl_sock *sock) {
    if (sock->state == NET_DIALLING || is_open(sock)) give_up(sock, FL_OK, NULL);
}
