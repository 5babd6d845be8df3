/* h2.h - HTTP/2 over nghttp2: what h2.c (the session's life), h2_ping.c (keepalive), h2_recv.c
 * (frames from the peer) and h2_send.c (frames to the peer) share. nghttp2 knows a stream by its
 * id; the stream object is its user data and is looked up at each use, so that a stream whose owner
 * is gone is simply not found. No function here frees anything while nghttp2 runs. */
#ifndef FL_HTTP_H2_H
#define FL_HTTP_H2_H

#include <nghttp2/nghttp2.h>

#include "http/inner.h"

enum fl_h2_drain { FL_H2_DRAIN_NONE, FL_H2_DRAIN_NOTICE, FL_H2_DRAIN_FINAL };

/* PINGs that came too soon; see h2_strikes.c. */
struct fl_h2_strikes {
    uint64_t last_ms; /* when the last PING came */
    unsigned count;
    bool pinged; /* one has come */
    bool sent;   /* HEADERS or DATA, since then */
};

/* Frames that brought nothing; see h2_budget.c. */
struct fl_h2_budget {
    uint32_t spent;
    uint64_t filled_ms; /* when time was last taken into account */
};

/* The receive window of a stream, and its growth; see h2_window.c. */
struct fl_h2_window {
    uint32_t bytes;
    bool measuring;    /* its PING is not answered yet */
    size_t got;        /* body bytes since it was sent, or since the last answer */
    uint64_t asked_us; /* when it was sent */
    uint64_t per_s;    /* the most that was measured */
    uint64_t next_ms;  /* not measured before */
    uint32_t pause_ms;
};

struct fl_h2_batch;

struct fl_h2 {
    struct fl_http_conn *conn;
    nghttp2_session *session;
    struct fl_h2_batch *batch; /* of the pump that is running; see h2_send.c */
    struct fl_str chunk;       /* body bytes that wait until nghttp2 is at rest; see h2_recv.c */
    int32_t chunk_id;          /* their stream */
    bool goaway_in;            /* the peer's GOAWAY came */
    bool ping_out;             /* a keepalive PING is not answered yet */
    bool ask_out;              /* the owner's question is not answered yet */
    bool violation;            /* nghttp2 has queued a GOAWAY with an error for the peer's fault */
    int32_t goaway_last;       /* the last stream that the peer processes */
    uint32_t violation_code;
    int invalid_lib_error;  /* nghttp2's own reason for refusing the last invalid frame */
    enum fl_h2_drain drain; /* server */
    struct fl_timer drain_timer, ping_timer;
    struct fl_h2_strikes strikes; /* server */
    struct fl_h2_budget budget;
    struct fl_h2_window window;
    uint64_t busy_since_ms, ping_out_ms;
};

/* The stream of that id whose owner still hears, or is to hear on_close; NULL. */
struct fl_http_stream *fl_h2_stream(const struct fl_h2 *h2, int32_t id);
void fl_h2_drain_step(struct fl_h2 *h2); /* the peer knows the notice, or had the time to */

extern const uint8_t fl_h2_ping_drain[8];

/* h2_ping.c */
FL_MUST int fl_h2_ping_init(struct fl_h2 *h2); /* FL_ENOMEM */
void fl_h2_ping_deinit(struct fl_h2 *h2);
/* The connection is ready, or a stream was opened, by either side: keepalive watches. */
void fl_h2_ping_watch(struct fl_h2 *h2);
void fl_h2_ping_answered(struct fl_h2 *h2, const uint8_t data[8]);

/* h2_strikes.c */
void fl_h2_strikes_ping(struct fl_h2 *h2); /* a PING came */

/* h2_budget.c. Both may fail the connection. */
void fl_h2_budget_frame(struct fl_h2 *h2, const nghttp2_frame_hd *hd); /* one begins */
void fl_h2_budget_spend(struct fl_h2 *h2); /* one brought nothing after all */
static inline void fl_h2_budget_restore(struct fl_h2 *h2) { h2->budget.spent = 0; }

/* h2_window.c */
#define FL_H2_CONN_WINDOWS 4 /* the connection's window, in first windows of a stream */
FL_MUST int fl_h2_window_apply(struct fl_h2 *h2);  /* to the connection; nghttp2's error */
void fl_h2_window_got(struct fl_h2 *h2, size_t n); /* body bytes */
/* True: that PING was its own. */
bool fl_h2_window_answered(struct fl_h2 *h2, const uint8_t data[8]);

/* h2_recv.c */
void fl_h2_set_recv_callbacks(nghttp2_session_callbacks *callbacks);
void fl_h2_feed(struct fl_http_conn *conn, struct fl_str bytes);

/* h2_send.c */
void fl_h2_set_send_callbacks(nghttp2_session_callbacks *callbacks);
int fl_h2_request(struct fl_http_stream *stream, const struct fl_http_request *head,
                  struct fl_error *err);
int fl_h2_respond(struct fl_http_stream *stream, const struct fl_http_response *head);
int fl_h2_more(struct fl_http_stream *stream);
void fl_h2_pump(struct fl_http_conn *conn);

#endif
