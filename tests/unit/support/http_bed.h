/* http_bed.h - a simulated world with an HTTP server that the test drives, a client connection or a
 * pool, and bare socks for peers that misbehave. Whatever an owner is told is written down and
 * checked against the contract as it comes: nothing before the starting call returned, nothing
 * after on_close, on_close once, a connection's last. */
#ifndef FL_TEST_HTTP_BED_H
#define FL_TEST_HTTP_BED_H

#include "support/alloc.h"

#include "http/conn.h"
#include "sim/world.h"

#define BED_PORT      7000
#define BED_HEARD_MAX 512
#define BED_CONNS_MAX 64

/* One exchange, as its owner on either side heard it. */
struct heard {
    struct bed *bed;
    struct fl_http_stream *stream; /* NULL after on_close */
    bool hoard;                    /* does not consume */
    bool late;                     /* consumes only in on_close */
    bool echo;                     /* answers at the end with what it got */
    int heads, trailers, ends, closes, writables;
    int status;
    char method[16], path[64], authority[64];
    char text[256]; /* "name=value;" of the head, then of the trailers */
    struct fl_buf body;
    struct fl_error why;
    uint32_t h2_code;
    void (*on_close)(struct heard *h); /* the test's own, after all this */
    void (*on_writable)(struct heard *h);
    void (*on_data)(struct heard *h);
};

struct conn_end {
    struct bed *bed;
    struct fl_http_conn *conn; /* NULL after on_close */
    int readies, goaways, rooms, closes, streams_open;
    uint32_t goaway_code;
    char goaway_debug[64];
    struct fl_error why;
    void (*on_ready)(struct conn_end *e);
};

/* A peer that is only a sock. */
struct raw {
    struct bed *bed;
    struct fl_sock *sock;
    bool open;
    int eofs, closes, code;
    struct fl_buf got;
    struct fl_str greeting; /* sent as soon as it is open */
};

struct bed {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_listener *listener;
    struct fl_http_options client_options, server_options;
    struct conn_end client;
    struct conn_end servers[BED_CONNS_MAX];
    size_t server_count;
    bool raw_server; /* accepted socks go to `raw` */
    bool refuse;     /* the server resets each request with REFUSED_STREAM */
    bool abort;      /* the server aborts the connection at a request */
    struct raw raw;
    struct heard *asked[BED_HEARD_MAX];    /* client side, in order */
    struct heard *requests[BED_HEARD_MAX]; /* server side, in order */
    size_t asked_count, request_count;
    bool echo, hoard; /* of new requests */
    bool tolerant;    /* allocations fail: calls may return FL_ENOMEM, exchanges may end early */
    bool in_call;     /* of ours: no callback may come */
};

void bed_init(struct bed *b, const struct fl_world_options *world);
/* Everything is closed and nothing left behind. */
void bed_deinit(struct bed *b);
/* Both sides of that version. */
void bed_version(struct bed *b, enum fl_http_version version);
/* Bytes come whole and in order. */
extern const struct fl_world_options bed_plain;
/* Of that version; connected, too, and the server echoes; or connected and plain, and the request
 * GET / has come. */
void bed_open_h1(struct bed *b, const struct fl_world_options *world);
void bed_open_h2(struct bed *b, const struct fl_world_options *world);
void bed_echo_h1(struct bed *b, const struct fl_world_options *world);
void bed_echo_h2(struct bed *b, const struct fl_world_options *world);
struct heard *bed_asked_h1(struct bed *b);
struct heard *bed_asked_h2(struct bed *b);
/* A client that has asked, and a bare server that has said nothing but its SETTINGS. */
struct heard *bed_asked_bare_h2(struct bed *b);

void bed_dial(struct bed *b);
int bed_try_dial(struct bed *b);
/* POSTs a body and ends it with trailers, as far as memory goes. */
void bed_try_exchange(struct bed *b);
/* Dials and runs until the client is ready. */
void bed_connect(struct bed *b);
void bed_run(struct bed *b, uint64_t ms);
/* Runs until h's on_close came. */
void bed_run_closed(struct bed *b, const struct heard *h);

/* A raw client, or with bed.raw_server set the raw side of the next accepted sock. */
void bed_raw_dial(struct bed *b, struct fl_str greeting);
void bed_raw_send(struct bed *b, struct fl_str bytes);
bool bed_raw_got(const struct bed *b, const char *text);

struct heard *bed_ask(struct bed *b, const char *method, const char *path);      /* no body */
struct heard *bed_ask_open(struct bed *b, const char *method, const char *path); /* body follows */
struct heard *bed_ask_with(struct bed *b, struct fl_http_headers headers);
int bed_try_ask(struct bed *b, const char *method, const char *path, struct heard **out);
struct heard *bed_request(struct bed *b, size_t i); /* on the server; it must have come */
/* A record for a pool's exchange; its events are bed_events. */
struct heard *bed_heard(struct bed *b);
extern const struct fl_http_stream_events bed_events;

void bed_write(struct heard *h, struct fl_str bytes, bool end);
void bed_fill(struct heard *h, size_t n, bool end); /* n bytes of a pattern */
/* The same in one write, from memory that is gone right after it; gives fl_http_stream_write's. */
int bed_write_whole(struct heard *h, size_t n, bool end);
void bed_respond(struct heard *h, int status, bool end);
/* The whole response to the request r, which h asked. */
void bed_answer(struct heard *r, int status, const struct heard *h);
void bed_trailer(struct heard *h, const char *name, const char *value);
void bed_consume(struct heard *h, size_t n);
void bed_reset(struct heard *h, uint32_t h2_code);

void assert_body(const struct heard *h, const char *text);
void assert_pattern(const struct heard *h, size_t n);
/* A whole exchange. */
void assert_complete(const struct heard *h, int status);
void assert_closed(const struct heard *h, int code);
void assert_conn_closed(const struct conn_end *e, int code);

/* What bare peers say, in HTTP/1.1, */
#define REQUEST  "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
#define RESPONSE "HTTP/1.1 200 OK\r\n"
/* and in frames of HTTP/2. */
#define PREFACE        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS       "\0\0\0\4\0\0\0\0\0"
#define BYTES(literal) ((struct fl_str){(literal), sizeof(literal) - 1})
/* HEADERS for stream 1: GET / http with :authority x, END_STREAM, END_HEADERS. */
#define GET_HEADERS "\0\0\6\1\5\0\0\0\1\x82\x86\x84\x41\x01x"

/* An exchange without trouble but that each allocation fails in turn: it ends once, and everything
 * is given back. */
void bed_each_failure(enum fl_http_version version);
/* A request and a response, each with a body and trailers. */
void bed_trailers_both_ways(enum fl_http_version version);
/* A response whose pieces come minutes apart, each as it was written. */
void bed_body_over_time(enum fl_http_version version);

#endif
