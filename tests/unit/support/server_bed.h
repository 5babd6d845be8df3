/* server_bed.h - a virtual world with a bare HTTP/2 client that speaks to a gRPC server in it. */
#ifndef FL_TEST_SERVER_BED_H
#define FL_TEST_SERVER_BED_H

#include "support/alloc.h"

#include "http/conn.h"
#include "server/echo.h"
#include "sim/world.h"

#define HOST "10.0.0.1"
#define PORT 50051
#define GRPC "application/grpc"

/* One exchange, as its client saw it. */
struct exchange {
    struct fl_http_stream *stream;
    int http_status;
    char grpc_status[8], grpc_message[64];
    char encoding[16], accept[32];        /* of messages */
    char head_echo[64], trailer_echo[64]; /* of x-initial and x-trailing */
    bool head_in;
    char body[4096]; /* its first bytes */
    size_t body_len;
    bool reads; /* gives the window back */
    size_t unread;
    bool ended, closed;
    int why;
    uint32_t h2_code;
};

struct server_bed {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_http_conn *conn;
    uint32_t ping_after_ms; /* the client's keepalive; set before dialling */
    bool ready, closed;
    unsigned goaways;
    uint32_t goaway_code;
    char goaway_debug[32];
    unsigned done; /* servers that said so */
};

void server_bed_start(struct server_bed *bed, uint64_t seed);
struct fl_echo *server_bed_echo(struct server_bed *bed, uint32_t delay_ms);
struct fl_grpc_server *server_bed_serve(struct server_bed *bed,
                                        struct fl_grpc_server_options options);
FL_MUST int server_bed_try_dial(struct server_bed *bed);
void server_bed_dial(struct server_bed *bed); /* and 100 ms */
void server_bed_done(void *arg);              /* counts; `arg` is the bed */
void server_bed_kill_echo(struct server_bed *bed, struct fl_echo *echo);
void server_bed_kill(struct server_bed *bed, struct fl_grpc_server *server);
void server_bed_stop(struct server_bed *bed);

struct request {
    const char *method, *path, *type, *timeout;
    struct fl_str body;
    struct fl_http_header extra, more;
    bool open; /* more is written later */
    bool slow; /* the response is not read until server_bed_read */
};

FL_MUST int server_bed_try_send(struct server_bed *bed, struct exchange *x,
                                const struct request *request);
void server_bed_send(struct server_bed *bed, struct exchange *x, const struct request *request);
/* The same, and 200 ms. */
void server_bed_ask(struct server_bed *bed, struct exchange *x, const struct request *request);
void server_bed_write(struct exchange *x, struct fl_str bytes, bool end);
void server_bed_read(struct exchange *x);

#endif
