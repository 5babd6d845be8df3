/* peer.h - a server that does what a test tells it to, also what no good server does. */
#ifndef FL_TEST_PEER_H
#define FL_TEST_PEER_H

#include "base/io.h"
#include "base/list.h"
#include "http/conn.h"

enum fl_peer_manner {
    FL_PEER_HTTP,    /* speaks HTTP/2; requests go to on_request */
    FL_PEER_SILENT,  /* accepts and says nothing */
    FL_PEER_GARBAGE, /* accepts and says nonsense */
    FL_PEER_CLOSES,  /* accepts and closes */
    FL_PEER_GREETS,  /* speaks HTTP/2 until its SETTINGS are out, then drains */
};

struct fl_peer {
    struct fl_io *io;
    struct fl_listener *listener;
    enum fl_peer_manner manner;
    uint32_t streams_max; /* 0: as http/ has it */
    /* FL_PEER_HTTP: must answer or reset; NULL: leaves every request unanswered. */
    void (*on_request)(struct fl_peer *peer, struct fl_http_stream *stream,
                       const struct fl_http_request *head);
    struct fl_list conns;
    unsigned accepted, requests, open;
    bool content_types_ok; /* every request was a gRPC POST with te: trailers */
    uint64_t accepted_at_ms[64];
    char order[64]; /* the last letter of each request's path */
    char last_authority[64], last_path[64], last_timeout[32], last_agent[64];
};

void fl_peer_start(struct fl_peer *peer, struct fl_io *io, const char *host, uint16_t port,
                   enum fl_peer_manner manner);
void fl_peer_drain(struct fl_peer *peer); /* every connection: GOAWAY in two steps */
void fl_peer_close(struct fl_peer *peer); /* every connection: one GOAWAY and the end */
void fl_peer_stop(struct fl_peer *peer);  /* and cuts every connection; run the world after it */
void fl_peer_deny(struct fl_peer *peer);  /* stops listening only */

/* Answers for on_request. */
void fl_peer_answer(struct fl_http_stream *stream, int status, const char *content_type,
                    const char *body, size_t len, const char *grpc_status);
/* on_request: what an echo server answers to a bed's call. */
void fl_peer_answer_echo(struct fl_peer *peer, struct fl_http_stream *stream,
                         const struct fl_http_request *head);

#endif
