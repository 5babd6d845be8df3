/* inner.h - what the files of this folder know of one another's connections and streams.
 *
 * conn.c owns the sock, the state and the turn; h2.c and h1.c are the two protocols behind struct
 * fl_http_proto; stream.c is what a stream is in both. Protocols call the owner's stream events as
 * bytes arrive; ends of streams and events of the connection are only noted and reported in the
 * turn, a deferred task, so that nothing is called back before the starting call returned and
 * nothing is freed beneath a parser. One turn: report, then one pump of what there is to send.
 *
 * A stream ends once, by fl_http_stream_end; from then on its owner hears nothing but on_close. */
#ifndef FL_HTTP_INNER_H
#define FL_HTTP_INNER_H

#include "base/list.h"
#include "http/conn.h"
#include "http/fields.h"
#include "http/limits.h"

struct fl_http_proto;
struct fl_h2;
struct fl_h1;

enum fl_http_conn_state {
    FL_HTTP_OPENING,  /* client: the dial; server: which version the first bytes speak */
    FL_HTTP_GREETING, /* version known; HTTP/2: SETTINGS are awaited; HTTP/1.1 server: a head */
    FL_HTTP_READY,
    FL_HTTP_LEAVING, /* no new streams; closes when the last one is done */
    FL_HTTP_CLOSING, /* streams have ended; the sock's on_close is awaited */
    FL_HTTP_CLOSED,
};

#define FL_HTTP_DEBUG_MAX 128 /* of a GOAWAY's debug data handed on */

struct fl_http_conn {
    struct fl_io *io;
    struct fl_http_memory *memory; /* that it lies in, and what is its own; NULL: the common heap */
    struct fl_sock *sock;          /* NULL once it said on_close */
    const struct fl_http_proto *proto; /* NULL until the version is known */
    union {
        struct fl_h2 *h2;
        struct fl_h1 *h1;
    };
    const struct fl_http_conn_events *events;
    void *arg;
    struct fl_http_options options; /* defaults filled in */
    int state;
    bool server, tls;
    bool sock_ended;  /* it was told to close */
    bool quiet;       /* nothing more is said to the peer */
    bool say_goodbye; /* before closing, GOAWAY */
    bool ready_noted, goaway_noted, answer_noted, had_room;
    bool at_rest; /* HTTP/2: nghttp2 is not running, so that it may be asked to send */
    uint32_t goaway_code;
    size_t goaway_debug_n;
    char goaway_debug[FL_HTTP_DEBUG_MAX];
    struct fl_list open, ended, spare, writable; /* streams, by `link`; writable by `wlink` */
    size_t open_count, spare_count;
    struct fl_task turn;
    struct fl_timer phase; /* until ready: ready_timeout; then idle_timeout */
    uint64_t idle_since_ms, last_read_ms;
    struct fl_buf sniffed;                          /* server: bytes until the version is known */
    struct fl_fields fields;                        /* the header list being received */
    struct fl_metric *limited[FL_HTTP_LIMIT_COUNT]; /* NULL until one is first reached */
    struct fl_error why;
};

/* What a stream is anew with each exchange; the rest of it is kept in the connection's spare list.
 */
struct fl_http_stream_now {
    const struct fl_http_stream_events *events; /* NULL: nobody attached */
    void *arg;
    int32_t id;         /* HTTP/2 */
    uint32_t h2_code;   /* of the peer's RST_STREAM */
    bool sent;          /* client: the head was handed to the sock */
    bool head_out;      /* server: respond was called */
    bool head_in;       /* client: the final response's head came */
    bool local_end;     /* nothing more is queued after what is */
    bool has_trailers;  /* after the body */
    bool remote_end;    /* the peer's side is complete */
    bool ended;         /* only on_close is left */
    bool reported;      /* on_close is being called */
    bool forgotten;     /* HTTP/2: nghttp2 does not know it any more */
    bool deferred;      /* HTTP/2: nghttp2 waits to be told that there is more */
    bool was_reset;     /* HTTP/2: the peer sent RST_STREAM */
    bool full;          /* the owner was refused */
    struct fl_str lent; /* behind `out`: body bytes that are the caller's, while he writes them */
    size_t unconsumed;  /* received body bytes that the owner still has */
    size_t held;        /* of these, what is given back to the connection */
};

struct fl_http_stream {
    struct fl_http_conn *conn;
    struct fl_list link, wlink;
    struct fl_buf out;  /* body bytes queued */
    size_t out_counted; /* of its memory */
    struct fl_fields trailers;
    struct fl_timer deadline;
    struct fl_error why;
    struct fl_http_stream_now now;
};

/* One protocol. None of these calls an owner back but feed and eof. */
struct fl_http_proto {
    void (*feed)(struct fl_http_conn *conn, struct fl_str bytes);
    void (*eof)(struct fl_http_conn *conn);
    int (*request)(struct fl_http_stream *stream, const struct fl_http_request *head,
                   struct fl_error *err);
    int (*respond)(struct fl_http_stream *stream, const struct fl_http_response *head);
    int (*more)(struct fl_http_stream *stream); /* body, its end or trailers were queued */
    /* `n` bytes, of which `held` were held before. */
    void (*consumed)(struct fl_http_stream *stream, size_t n, size_t held);
    void (*held)(struct fl_http_stream *stream, size_t n);          /* NULL: one stream at a time */
    void (*reset)(struct fl_http_stream *stream, uint32_t h2_code); /* it has ended */
    void (*forget)(struct fl_http_stream *stream);                  /* its memory goes */
    size_t (*room)(const struct fl_http_conn *conn);
    void (*pump)(struct fl_http_conn *conn);          /* bytes to the sock, up to its bound */
    void (*drain)(struct fl_http_conn *conn);         /* server: the first step */
    bool (*settled)(const struct fl_http_conn *conn); /* leaving: nothing but streams is awaited */
    void (*goodbye)(struct fl_http_conn *conn);       /* NULL: nothing is said before closing */
    void (*free)(struct fl_http_conn *conn);
};

extern const struct fl_http_proto fl_http_proto_h2, fl_http_proto_h1;
FL_MUST int fl_h2_new(struct fl_http_conn *conn); /* sets conn->h2; FL_ENOMEM */
FL_MUST int fl_h1_new(struct fl_http_conn *conn); /* sets conn->h1; FL_ENOMEM */

/* conn.c */
static inline bool fl_http_conn_alive(const struct fl_http_conn *conn) {
    return conn->state < FL_HTTP_CLOSING;
}
void fl_http_conn_dirty(struct fl_http_conn *conn); /* a turn is wanted */
void fl_http_conn_pump(struct fl_http_conn *conn);  /* sends what there is, as far as it goes */
void fl_http_conn_ready(struct fl_http_conn *conn);
/* Counts a bound that was reached. */
void fl_http_conn_limited(struct fl_http_conn *conn, enum fl_http_limit limit);
/* No new streams from now on; client: noted for on_goaway. */
void fl_http_conn_leave(struct fl_http_conn *conn, uint32_t h2_code, struct fl_str debug);
/* It cannot go on: streams end with *why (client: those never sent with FL_EGOAWAY), what the
 * protocol has to say is said, the sock closes. */
void fl_http_conn_fail(struct fl_http_conn *conn, const struct fl_error *why);
void fl_http_conn_failf(struct fl_http_conn *conn, int code, const char *format, ...)
    FL_PRINTF(3, 4);
void fl_http_conn_fail_nomem(struct fl_http_conn *conn);

/* stream.c */
FL_MUST struct fl_http_stream *fl_http_stream_new(struct fl_http_conn *conn); /* open; NULL */
void fl_http_stream_discard(struct fl_http_stream *stream); /* it could not be opened after all */
void fl_http_stream_end(struct fl_http_stream *stream, const struct fl_error *why);
void fl_http_stream_endf(struct fl_http_stream *stream, int code, const char *format, ...)
    FL_PRINTF(3, 4);
void fl_http_stream_complete(struct fl_http_stream *stream); /* ends it with FL_OK */
/* What the protocol tells a stream's owner, if it still hears. */
void fl_http_stream_got_data(struct fl_http_stream *stream, struct fl_str bytes);
void fl_http_stream_got_trailers(struct fl_http_stream *stream, struct fl_http_headers trailers);
void fl_http_stream_got_end(struct fl_http_stream *stream);
/* `n` queued bytes were handed to the sock. */
void fl_http_stream_sent(struct fl_http_stream *stream, size_t n);
void fl_http_streams_end(struct fl_http_conn *conn, const struct fl_error *why, bool as_peer);
void fl_http_streams_report(struct fl_http_conn *conn); /* on_writable, on_close */
void fl_http_streams_free(struct fl_http_conn *conn);   /* the spare ones */

#endif
