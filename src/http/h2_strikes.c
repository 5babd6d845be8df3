/* h2_strikes.c - a server's answer to a client that pings too often (gRFC A8).
 *
 * A PING that comes sooner behind the last one than the options allow is a strike, unless this side
 * has sent HEADERS or DATA in between; such a PING, and no other, clears the strikes. Behind the
 * second strike comes the end: GOAWAY with ENHANCE_YOUR_CALM and "too_many_pings", by which clients
 * know to ping less. */
#include "http/h2.h"

#define STRIKES_MAX 2

/* Having sent it, the pump ends the connection, as for every GOAWAY with an error. */
static void send_away(struct fl_h2 *h2) {
    static const uint8_t debug[] = {'t', 'o', 'o', '_', 'm', 'a', 'n',
                                    'y', '_', 'p', 'i', 'n', 'g', 's'};
    int32_t last = nghttp2_session_get_last_proc_stream_id(h2->session);
    if (nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_ENHANCE_YOUR_CALM,
                              debug, sizeof debug) != 0)
        fl_http_conn_fail_nomem(h2->conn);
    else
        fl_http_conn_dirty(h2->conn);
}

void fl_h2_strikes_ping(struct fl_h2 *h2) {
    const struct fl_http_conn *conn = h2->conn;
    struct fl_h2_strikes *strikes = &h2->strikes;
    uint32_t min_ms =
        conn->open_count > 0 ? conn->options.ping_min_ms : conn->options.ping_min_idle_ms;
    uint64_t now_ms = fl_io_now_ms(conn->io);
    bool soon = strikes->pinged && now_ms - strikes->last_ms < min_ms;
    if (!conn->server) return;
    strikes->pinged = true;
    strikes->last_ms = now_ms;
    if (strikes->sent)
        strikes->count = 0;
    else if (soon && ++strikes->count == STRIKES_MAX + 1)
        send_away(h2);
    strikes->sent = false;
}
