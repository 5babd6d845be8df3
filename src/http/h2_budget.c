/* h2_budget.c - how many frames a peer may send that bring nothing.
 *
 * SETTINGS, PING, PRIORITY, WINDOW_UPDATE, GOAWAY, empty DATA, interim heads, RST_STREAM for what
 * is gone: each is allowed and cheap, and a peer that sends nothing else holds this side's
 * processor for ever. So each takes one of FRAMES_MAX from a bucket, which fills again with time,
 * and at once when something useful passes: a head or body bytes, in either direction. */
#include "http/h2.h"

#define FRAMES_MAX   10000
#define FRAMES_PER_S 100

static void refill(struct fl_h2_budget *budget, uint64_t now_ms) {
    uint64_t frames = (now_ms - budget->filled_ms) * FRAMES_PER_S / 1000;
    if (frames == 0) return;
    budget->spent -= (uint32_t)FL_MIN(frames, budget->spent);
    budget->filled_ms = now_ms;
}

void fl_h2_budget_spend(struct fl_h2 *h2) {
    struct fl_h2_budget *budget = &h2->budget;
    if (budget->spent++ == 0) budget->filled_ms = fl_io_now_ms(h2->conn->io);
    if (budget->spent <= FRAMES_MAX) return;
    refill(budget, fl_io_now_ms(h2->conn->io));
    if (budget->spent > FRAMES_MAX)
        fl_http_conn_failf(h2->conn, FL_EPROTO, "peer floods with frames that bring nothing");
}

void fl_h2_budget_frame(struct fl_h2 *h2, const nghttp2_frame_hd *hd) {
    bool useful = hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_CONTINUATION ||
                  (hd->type == NGHTTP2_DATA && (hd->length > 0 || hd->flags)) ||
                  (hd->type == NGHTTP2_RST_STREAM && fl_h2_stream(h2, hd->stream_id));
    if (!useful) fl_h2_budget_spend(h2);
}
