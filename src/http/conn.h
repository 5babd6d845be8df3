/* conn.h - the one connection object of HTTP/2 and HTTP/1.1, client and server side.
 *
 * Everybody's HTTP goes through it. A connection owns a sock; a stream is one exchange on it.
 * HTTP/2 is nghttp2, HTTP/1.1 is llhttp with one exchange at a time. One loop's thread; callbacks
 * are never called before the starting call returned, and a stream's on_close is its last, exactly
 * once. Tables of events are kept by address, not copied.
 *
 * Back-pressure: received body bytes count against the stream's window until
 * fl_http_stream_consume; fl_http_stream_write refuses (FL_EFULL) beyond FL_HTTP_QUEUE_MAX and
 * on_writable says when to go on. */
#ifndef FL_HTTP_CONN_H
#define FL_HTTP_CONN_H

#include "base/io.h"
#include "http/message.h"

struct fl_http_conn;
struct fl_http_stream;

#define FL_HTTP_QUEUE_MAX ((size_t)4 * 1024 * 1024) /* body bytes queued per stream */

/* What a stream tells its owner. Unwanted members may be NULL, except on_close. */
struct fl_http_stream_events {
    /* Client: the final response's head. */
    void (*on_response)(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head);
    /* Body bytes, borrowed; the owner says fl_http_stream_consume once it is done with them. */
    void (*on_data)(void *arg, struct fl_http_stream *stream, struct fl_str bytes);
    void (*on_trailers)(void *arg, struct fl_http_stream *stream, struct fl_http_headers trailers);
    /* The peer's side of the exchange is complete. */
    void (*on_end)(void *arg, struct fl_http_stream *stream);
    /* The queue has room again after FL_EFULL, or fell below a quarter of its bound. */
    void (*on_writable)(void *arg, struct fl_http_stream *stream);
    /* The exchange is over and the stream's memory is gone after this. `why` has code FL_OK after a
     * complete exchange; else FL_EGOAWAY or FL_ESTREAM_REFUSED (the peer did not process it), or
     * FL_ESTREAM_RESET, FL_EPROTO, FL_ETOO_LARGE, FL_EDEADLINE, FL_ECANCELLED, FL_ESHUTDOWN, or
     * what ended the sock. `h2_code` is the peer's RST_STREAM code, 0 without. */
    void (*on_close)(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code);
};

struct fl_http_conn_events {
    /* Client: may be used: HTTP/2: the peer's SETTINGS arrived; HTTP/1.1: connected. */
    void (*on_ready)(void *arg, struct fl_http_conn *conn);
    /* Server: a request's head arrived; the owner calls fl_http_stream_attach before it returns or
     * fl_http_stream_reset. */
    void (*on_request)(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head);
    /* The peer wants no new streams (GOAWAY, Connection: close). Streams it did not process have
     * already been closed with FL_EGOAWAY. May come again with a lower last stream. */
    void (*on_goaway)(void *arg, struct fl_http_conn *conn, uint32_t h2_code, struct fl_str debug);
    /* The peer answered fl_http_conn_ask. */
    void (*on_answer)(void *arg, struct fl_http_conn *conn);
    /* A change of what fl_http_conn_room says, upward from 0. */
    void (*on_room)(void *arg, struct fl_http_conn *conn);
    /* Last call, exactly once, after every stream's on_close; memory is gone after it. */
    void (*on_close)(void *arg, struct fl_http_conn *conn, const struct fl_error *why);
};

enum fl_http_version {
    FL_HTTP_BY_ALPN, /* with TLS: what was agreed; cleartext: HTTP/1.1; server: by the first bytes
                      */
    FL_HTTP_1,
    FL_HTTP_2, /* cleartext: prior knowledge */
};

/* Zero-initialised: the defaults in brackets. */
struct fl_http_options {
    enum fl_http_version version;
    /* [20000] Client: from dial to on_ready. Server: until the peer's SETTINGS (HTTP/2) or a whole
     * head, each of them (HTTP/1.1). */
    uint32_t ready_timeout_ms;
    uint32_t idle_timeout_ms; /* [0: none] without a stream: GOAWAY and close; server: drains */
    uint32_t
        ping_after_ms; /* [0: none] PING after so long without a byte read, with streams open */
    uint32_t ping_timeout_ms;  /* [15000] then the connection ends with FL_ETIMEOUT */
    bool ping_without_streams; /* PING without streams open as well */
    uint32_t user_timeout_ms;  /* as in fl_dial; client */
    uint32_t window_bytes; /* [1 MiB] receive window per stream; the connection's is four times */
    uint32_t window_bytes_max; /* [window_bytes] HTTP/2: grows to it by bandwidth and delay; the
                                  connection's at least as large */
    uint32_t header_bytes_max; /* [16 KiB] of one header list; beyond: the stream is refused */
    uint32_t streams_max;      /* [1000] server: concurrent streams allowed to the peer */
    /* [0: any rate] Server: PINGs sooner one behind the other than this, with and without streams
     * open, are strikes; behind two of them the connection ends with ENHANCE_YOUR_CALM (A8). */
    uint32_t ping_min_ms, ping_min_idle_ms;
};

/* Dials and speaks as client. `dial.deadline_ms` is set from ready_timeout_ms; with TLS the
 * configuration must offer the ALPN wanted. The owner ends it with fl_http_conn_close or _abort and
 * waits for on_close. Errors as fl_io_dial. */
FL_MUST int fl_http_conn_dial(struct fl_io *io, const struct fl_dial *dial,
                              const struct fl_http_options *options,
                              const struct fl_http_conn_events *events, void *arg,
                              struct fl_http_conn **out, struct fl_error *err);

/* Takes an accepted sock (even on failure) and speaks as server. FL_ENOMEM. */
FL_MUST int fl_http_conn_take_accepted(struct fl_io *io, struct fl_sock *sock,
                                       const struct fl_http_options *options,
                                       const struct fl_http_conn_events *events, void *arg,
                                       struct fl_http_conn **out, struct fl_error *err);

bool fl_http_conn_is_h2(const struct fl_http_conn *conn);     /* once ready */
size_t fl_http_conn_streams(const struct fl_http_conn *conn); /* open ones */
/* How many more streams may be opened now; 0 before ready, after GOAWAY and at the peer's limit. */
size_t fl_http_conn_room(const struct fl_http_conn *conn);
uint64_t fl_http_conn_last_read_ms(const struct fl_http_conn *conn); /* when the last byte came */
void fl_http_conn_peer(const struct fl_http_conn *conn, char *out, size_t size);
/* HTTP/2: asks the peer by a PING whether it is there; on_answer follows. Nothing on HTTP/1.1, and
 * while a question is under way. */
void fl_http_conn_ask(struct fl_http_conn *conn);

/* From now on without idle_timeout_ms. */
void fl_http_conn_keep(struct fl_http_conn *conn);

/* Opens a stream. The head is copied; `end`: no body follows. Errors: FL_EFULL (no room),
 * FL_EGOAWAY, FL_ESHUTDOWN, FL_ENOMEM. */
FL_MUST int fl_http_conn_request(struct fl_http_conn *conn, const struct fl_http_request *head,
                                 bool end, const struct fl_http_stream_events *events, void *arg,
                                 struct fl_http_stream **out, struct fl_error *err);

/* Server: first step of a graceful end: HTTP/2: GOAWAY with last stream 2^31-1 and a PING, on its
 * ack or after 5 s a second GOAWAY with the true last stream; HTTP/1.1: Connection: close on the
 * response in flight. When the last stream is done the connection closes. Client: no new streams,
 * closes after the last. Twice is allowed. */
void fl_http_conn_drain(struct fl_http_conn *conn);
/* GOAWAY, all streams end with FL_ESHUTDOWN, what is queued is sent, close. Twice is allowed. */
void fl_http_conn_close(struct fl_http_conn *conn);
/* The same at once and without a word; streams and connection end with *why. */
void fl_http_conn_abort(struct fl_http_conn *conn, const struct fl_error *why);

/* Server: who gets the stream's events from now on. */
void fl_http_stream_attach(struct fl_http_stream *stream,
                           const struct fl_http_stream_events *events, void *arg);
/* Server: the response's head, once. FL_ENOMEM, FL_EPROTO (second head). */
FL_MUST int fl_http_stream_respond(struct fl_http_stream *stream,
                                   const struct fl_http_response *head, bool end);
/* Queues a copy of body bytes. FL_EFULL (nothing was taken), FL_ENOMEM, FL_ESHUTDOWN; FL_EUSAGE:
 * more than FL_HTTP_QUEUE_MAX at once; FL_EPROTO: server, before fl_http_stream_respond. */
FL_MUST int fl_http_stream_write(struct fl_http_stream *stream, struct fl_str bytes, bool end);
/* The same with several runs of bytes, taken all or none. */
FL_MUST int fl_http_stream_write_parts(struct fl_http_stream *stream, const struct fl_str *parts,
                                       size_t count, bool end);
/* Ends the body with trailers (HTTP/1.1: chunked trailers). FL_ENOMEM, FL_ETOO_LARGE; FL_ESHUTDOWN
 * and FL_EPROTO as above. */
FL_MUST int fl_http_stream_trailers(struct fl_http_stream *stream, struct fl_http_headers trailers);
/* Client: its head has left this side. */
bool fl_http_stream_has_left(const struct fl_http_stream *stream);
/* Body bytes queued and not yet handed to the sock. */
size_t fl_http_stream_queued(const struct fl_http_stream *stream);
/* Gives `n` received bytes back to the peer's window. */
void fl_http_stream_consume(struct fl_http_stream *stream, size_t n);
/* `n` received bytes stay with the owner for a while: HTTP/2: the connection's window gets them
 * back, so that other streams go on; this stream's only with fl_http_stream_consume, which takes
 * held bytes first. */
void fl_http_stream_hold(struct fl_http_stream *stream, size_t n);
/* Ends the exchange from this side: RST_STREAM with `h2_code` (RFC 9113 section 7), HTTP/1.1:
 * closes the connection. on_close follows with *why. */
void fl_http_stream_reset(struct fl_http_stream *stream, uint32_t h2_code,
                          const struct fl_error *why);
/* The exchange ends with FL_EDEADLINE unless it is over by then; 0: no deadline. */
void fl_http_stream_deadline(struct fl_http_stream *stream, uint64_t at_ms);

#endif
