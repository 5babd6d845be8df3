/* h2_window.c - a receive window that grows with bandwidth and delay, as gRPC's BDP estimator does.
 *
 * A fixed window bounds a stream to one window per round trip, however fast the line. So when a
 * good part of a window has come, a PING is sent, and the body bytes until its answer are what the
 * line carried in one round trip. If they come near to the window, and faster than ever before, it
 * was the window that held them back: it becomes twice as many, up to window_bytes_max. If not, the
 * next measurement waits, longer each time. It never shrinks: it is a permission, not memory. */
#include "http/h2.h"

#include <string.h>

#define PAUSE_MS_MIN 100
#define PAUSE_MS_MAX 10000

static const uint8_t ping_window[8] = {'f', 'l', '-', 'w', 'i', 'n', 'd', 'w'};

int fl_h2_window_apply(struct fl_h2 *h2) {
    const struct fl_http_options *o = &h2->conn->options;
    uint32_t together = FL_MAX(h2->window.bytes, FL_H2_CONN_WINDOWS * o->window_bytes);
    return nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)together);
}

static void grow(struct fl_h2 *h2, uint64_t sample) {
    const struct fl_http_options *o = &h2->conn->options;
    h2->window.bytes = (uint32_t)FL_MIN(2 * sample, o->window_bytes_max);
    nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, h2->window.bytes};
    if (nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, &entry, 1) != 0 ||
        fl_h2_window_apply(h2) != 0)
        fl_http_conn_fail_nomem(h2->conn);
    else
        fl_http_conn_dirty(h2->conn);
}

void fl_h2_window_got(struct fl_h2 *h2, size_t n) {
    struct fl_h2_window *w = &h2->window;
    if (w->bytes >= h2->conn->options.window_bytes_max) return;
    w->got += n;
    if (w->measuring || w->got < w->bytes / 4) return;
    if (fl_io_now_ms(h2->conn->io) < w->next_ms) return;
    if (nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, ping_window) != 0) {
        fl_http_conn_fail_nomem(h2->conn);
        return;
    }
    w->measuring = true;
    w->asked_us = fl_io_now_us(h2->conn->io);
    w->got = n; /* the answer may overtake what the window lets through next */
}

static void measured(struct fl_h2 *h2) {
    struct fl_h2_window *w = &h2->window;
    uint64_t now_us = fl_io_now_us(h2->conn->io);
    uint64_t sample = w->got;
    uint64_t per_s = sample * 1000000 / FL_MAX(now_us - w->asked_us, 1);
    bool held_back = sample * 3 >= (uint64_t)w->bytes * 2 && per_s > w->per_s;
    w->measuring = false;
    w->got = 0;
    if (held_back) {
        w->per_s = per_s;
        w->pause_ms = 0;
        grow(h2, sample);
    } else {
        w->pause_ms = w->pause_ms ? FL_MIN(2 * w->pause_ms, PAUSE_MS_MAX) : PAUSE_MS_MIN;
        w->next_ms = now_us / 1000 + w->pause_ms;
    }
}

bool fl_h2_window_answered(struct fl_h2 *h2, const uint8_t data[8]) {
    if (memcmp(data, ping_window, sizeof ping_window) != 0) return false;
    if (h2->window.measuring) measured(h2);
    return true;
}
