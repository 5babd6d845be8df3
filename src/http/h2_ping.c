/* h2_ping.c - is the peer there? PINGs by the clock, and when the owner asks.
 *
 * Keepalive (gRFC A8): with streams open, or without if the options say so, and no byte read for
 * ping_after_ms a PING goes out; no byte within ping_timeout_ms after it ends the connection. The
 * timer is set once and looks, when it is due, at when the last byte came: reading costs nothing.
 *
 * The owner's question is a PING of its own, so that its answer is not taken for another's. */
#include "http/h2.h"

#include <string.h>

static const uint8_t ping_alive[8] = {'f', 'l', '-', 'a', 'l', 'i', 'v', 'e'};
static const uint8_t ping_asked[8] = {'f', 'l', '-', 'a', 's', 'k', 'e', 'd'};

static bool watches(const struct fl_h2 *h2) {
    const struct fl_http_conn *conn = h2->conn;
    return conn->options.ping_after_ms > 0 && fl_http_conn_alive(conn) &&
           (conn->open_count > 0 || conn->options.ping_without_streams);
}

static void ping_send(struct fl_h2 *h2, uint64_t now_ms) {
    if (nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, ping_alive) != 0) {
        fl_http_conn_fail_nomem(h2->conn);
        return; /* unwatched it might wait for ever */
    }
    h2->ping_out = true;
    h2->ping_out_ms = now_ms;
    fl_io_timer_set(h2->conn->io, &h2->ping_timer, now_ms + h2->conn->options.ping_timeout_ms);
    fl_http_conn_dirty(h2->conn);
}

static void ping_due(struct fl_timer *timer) {
    struct fl_h2 *h2 = FL_CONTAINER(timer, struct fl_h2, ping_timer);
    struct fl_http_conn *conn = h2->conn;
    uint64_t now_ms = fl_io_now_ms(conn->io);
    if (!watches(h2)) return;
    if (h2->ping_out && conn->last_read_ms <= h2->ping_out_ms) {
        conn->quiet = true;
        fl_http_conn_failf(conn, FL_ETIMEOUT, "no answer to an HTTP/2 PING within %u ms",
                           conn->options.ping_timeout_ms);
        return;
    }
    h2->ping_out = false;
    uint64_t quiet_since_ms = FL_MAX(conn->last_read_ms, h2->busy_since_ms);
    uint64_t at_ms = quiet_since_ms + conn->options.ping_after_ms;
    if (at_ms > now_ms)
        fl_io_timer_set(conn->io, &h2->ping_timer, at_ms);
    else
        ping_send(h2, now_ms);
}

void fl_h2_ping_watch(struct fl_h2 *h2) {
    if (!watches(h2) || fl_timer_is_set(&h2->ping_timer)) return;
    h2->ping_out = false;
    h2->busy_since_ms = fl_io_now_ms(h2->conn->io);
    fl_io_timer_set(h2->conn->io, &h2->ping_timer,
                    h2->busy_since_ms + h2->conn->options.ping_after_ms);
}

static void alive_answered(struct fl_h2 *h2) {
    if (!h2->ping_out) return;
    h2->ping_out = false;
    fl_io_timer_set(h2->conn->io, &h2->ping_timer,
                    h2->conn->last_read_ms + h2->conn->options.ping_after_ms);
}

static void ask_answered(struct fl_h2 *h2) {
    if (!h2->ask_out) return;
    h2->ask_out = false;
    h2->conn->answer_noted = true;
    fl_http_conn_dirty(h2->conn);
}

void fl_h2_ping_answered(struct fl_h2 *h2, const uint8_t data[8]) {
    if (memcmp(data, ping_alive, sizeof ping_alive) == 0)
        alive_answered(h2);
    else if (memcmp(data, ping_asked, sizeof ping_asked) == 0)
        ask_answered(h2);
}

void fl_http_conn_ask(struct fl_http_conn *conn) {
    if (!fl_http_conn_alive(conn) || conn->proto != &fl_http_proto_h2 || conn->h2->ask_out) return;
    if (nghttp2_submit_ping(conn->h2->session, NGHTTP2_FLAG_NONE, ping_asked) != 0) {
        fl_http_conn_fail_nomem(conn);
        return;
    }
    conn->h2->ask_out = true;
    fl_http_conn_dirty(conn);
}

int fl_h2_ping_init(struct fl_h2 *h2) {
    return fl_io_timer_init(h2->conn->io, &h2->ping_timer, ping_due);
}

void fl_h2_ping_deinit(struct fl_h2 *h2) { fl_io_timer_deinit(h2->conn->io, &h2->ping_timer); }
