/* frame_peer.h - an HTTP/2 server made of frames by hand, for what no library would send.
 *
 * By itself it greets with SETTINGS and answers SETTINGS and PING; everything else is the test's.
 * What it is sent it counts by type. Allocation failures are the test's failures. */
#ifndef FL_TEST_FRAME_PEER_H
#define FL_TEST_FRAME_PEER_H

#include "base/io.h"
#include "base/list.h"

enum {
    FRAME_DATA,
    FRAME_HEADERS,
    FRAME_PRIORITY,
    FRAME_RST_STREAM,
    FRAME_SETTINGS,
    FRAME_PUSH_PROMISE,
    FRAME_PING,
    FRAME_GOAWAY,
    FRAME_WINDOW_UPDATE,
    FRAME_CONTINUATION,
    FRAME_TYPES,
};
enum { FRAME_ACK = 1, FRAME_END_STREAM = 1, FRAME_END_HEADERS = 4, FRAME_PADDED = 8 };

#define FRAME_BYTES(literal) ((struct fl_str){(literal), sizeof(literal) - 1})

struct fl_frame {
    uint8_t type, flags;
    uint32_t id;
    struct fl_str payload;
};

struct fl_frame_peer;

struct fl_frame_conn {
    struct fl_list link;
    struct fl_frame_peer *peer;
    struct fl_sock *sock;
    struct fl_buf in;
    unsigned number; /* 0: the first that was accepted */
    bool greeted;    /* the preface came */
};

struct fl_frame_peer {
    struct fl_io *io;
    struct fl_listener *listener;
    struct fl_list conns;
    unsigned accepted, open;
    unsigned got[FRAME_TYPES]; /* without ACKs */
    unsigned acks;             /* of SETTINGS and PING */
    uint64_t ping_at_ms[64];   /* of those that are no ACK */
    uint32_t goaway_code;      /* of the last GOAWAY that came */
    uint32_t streams_max;      /* 0: not said */
    bool mute;                 /* answers no PING */
    /* The test's own; may be NULL. */
    void (*on_open)(struct fl_frame_conn *conn); /* after its SETTINGS were sent */
    void (*on_frame)(struct fl_frame_conn *conn, const struct fl_frame *frame);
    void *arg;
};

void fl_frame_peer_start(struct fl_frame_peer *peer, struct fl_io *io, const char *host,
                         uint16_t port);
void fl_frame_peer_stop(struct fl_frame_peer *peer); /* and cuts every connection */

void fl_frame_send(struct fl_frame_conn *conn, uint8_t type, uint8_t flags, uint32_t id,
                   struct fl_str payload);
void fl_frame_raw(struct fl_frame_conn *conn, struct fl_str bytes);
void fl_frame_goaway(struct fl_frame_conn *conn, uint32_t last, uint32_t code, const char *debug);
void fl_frame_reset(struct fl_frame_conn *conn, uint32_t id, uint32_t code);
void fl_frame_close(struct fl_frame_conn *conn);
/* The pieces of a gRPC answer. */
void fl_frame_head(struct fl_frame_conn *conn, uint32_t id);
void fl_frame_message(struct fl_frame_conn *conn, uint32_t id, struct fl_str message);
void fl_frame_status_ok(struct fl_frame_conn *conn, uint32_t id);

#endif
