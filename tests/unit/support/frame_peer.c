/* frame_peer.c - see frame_peer.h. */
#include "support/frame_peer.h"

#include "support/alloc.h"

#include <string.h>

#define PREFACE_LEN 24
#define HEAD_LEN    9

static void put_u32(uint8_t *out, uint32_t value) {
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_u32(const char *in) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) value = value << 8 | (uint8_t)in[i];
    return value;
}

/* What the other side has closed meanwhile is nothing to the test. */
void fl_frame_raw(struct fl_frame_conn *conn, struct fl_str bytes) {
    if (!conn->sock) return;
    int rc = fl_sock_write(conn->peer->io, conn->sock, bytes);
    assert_true(rc == 0 || rc == FL_ESHUTDOWN || rc == FL_EFULL);
}

void fl_frame_send(struct fl_frame_conn *conn, uint8_t type, uint8_t flags, uint32_t id,
                   struct fl_str payload) {
    uint8_t head[HEAD_LEN] = {(uint8_t)(payload.n >> 16), (uint8_t)(payload.n >> 8),
                              (uint8_t)payload.n, type, flags};
    put_u32(head + 5, id);
    fl_frame_raw(conn, fl_str_n(head, sizeof(head)));
    if (payload.n) fl_frame_raw(conn, payload);
}

void fl_frame_goaway(struct fl_frame_conn *conn, uint32_t last, uint32_t code, const char *debug) {
    uint8_t payload[64];
    size_t n = strlen(debug);
    assert_true(8 + n <= sizeof(payload));
    put_u32(payload, last);
    put_u32(payload + 4, code);
    memcpy(payload + 8, debug, n);
    fl_frame_send(conn, FRAME_GOAWAY, 0, 0, fl_str_n(payload, 8 + n));
}

void fl_frame_reset(struct fl_frame_conn *conn, uint32_t id, uint32_t code) {
    uint8_t payload[4];
    put_u32(payload, code);
    fl_frame_send(conn, FRAME_RST_STREAM, 0, id, fl_str_n(payload, sizeof(payload)));
}

void fl_frame_close(struct fl_frame_conn *conn) {
    if (conn->sock) fl_sock_close(conn->peer->io, conn->sock);
}

/* :status 200 by index; content-type by its index as a literal. */
void fl_frame_head(struct fl_frame_conn *conn, uint32_t id) {
    fl_frame_send(conn, FRAME_HEADERS, FRAME_END_HEADERS, id,
                  FRAME_BYTES("\x88\x0f\x10\x10"
                              "application/grpc"));
}

void fl_frame_message(struct fl_frame_conn *conn, uint32_t id, struct fl_str message) {
    uint8_t payload[256] = {0};
    assert_true(message.n + 5 <= sizeof(payload));
    put_u32(payload + 1, (uint32_t)message.n);
    memcpy(payload + 5, message.p, message.n);
    fl_frame_send(conn, FRAME_DATA, 0, id, fl_str_n(payload, 5 + message.n));
}

void fl_frame_status_ok(struct fl_frame_conn *conn, uint32_t id) {
    fl_frame_send(conn, FRAME_HEADERS, FRAME_END_HEADERS | FRAME_END_STREAM, id,
                  FRAME_BYTES("\0\x0bgrpc-status\1"
                              "0"));
}

static void got_frame(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    struct fl_frame_peer *peer = conn->peer;
    bool ack = (frame->type == FRAME_SETTINGS || frame->type == FRAME_PING) &&
               (frame->flags & FRAME_ACK) != 0;
    if (ack) {
        peer->acks++;
    } else if (frame->type < FRAME_TYPES) {
        if (frame->type == FRAME_PING && peer->got[FRAME_PING] < FL_COUNT(peer->ping_at_ms))
            peer->ping_at_ms[peer->got[FRAME_PING]] = fl_io_now_ms(peer->io);
        peer->got[frame->type]++;
        if (frame->type == FRAME_SETTINGS)
            fl_frame_send(conn, FRAME_SETTINGS, FRAME_ACK, 0, FL_STR_NONE);
        if (frame->type == FRAME_PING && !peer->mute)
            fl_frame_send(conn, FRAME_PING, FRAME_ACK, 0, frame->payload);
        if (frame->type == FRAME_GOAWAY) peer->goaway_code = get_u32(frame->payload.p + 4);
    }
    if (peer->on_frame && !ack) peer->on_frame(conn, frame);
}

/* True: a frame was there. */
static bool next_frame(struct fl_frame_conn *conn) {
    struct fl_str in = fl_buf_str(&conn->in);
    if (!conn->greeted) {
        if (in.n < PREFACE_LEN) return false;
        conn->greeted = true;
        fl_buf_consume(&conn->in, PREFACE_LEN);
        return true;
    }
    if (in.n < HEAD_LEN) return false;
    size_t n = (size_t)(uint8_t)in.p[0] << 16 | (size_t)(uint8_t)in.p[1] << 8 | (uint8_t)in.p[2];
    if (in.n < HEAD_LEN + n) return false;
    struct fl_frame frame = {.type = (uint8_t)in.p[3],
                             .flags = (uint8_t)in.p[4],
                             .id = get_u32(in.p + 5),
                             .payload = fl_str_n(in.p + HEAD_LEN, n)};
    got_frame(conn, &frame);
    fl_buf_consume(&conn->in, HEAD_LEN + n);
    return true;
}

static void on_data(void *arg, struct fl_str bytes) {
    struct fl_frame_conn *conn = arg;
    int rc = fl_buf_append(&conn->in, bytes);
    assert_int_equal(rc, 0);
    while (next_frame(conn)) {
    }
}

static void on_eof(void *arg) { fl_frame_close(arg); }

static void on_close(void *arg, const struct fl_error *why) {
    FL_UNUSED(why);
    struct fl_frame_conn *conn = arg;
    conn->peer->open--;
    fl_list_remove(&conn->link);
    fl_buf_deinit(&conn->in);
    fl_free(conn);
}

static const struct fl_sock_events events = {
    .on_data = on_data, .on_eof = on_eof, .on_close = on_close};

static void greet(struct fl_frame_conn *conn) {
    uint8_t streams[6] = {0, 3};
    put_u32(streams + 2, conn->peer->streams_max);
    fl_frame_send(conn, FRAME_SETTINGS, 0, 0,
                  fl_str_n(streams, conn->peer->streams_max ? sizeof(streams) : 0));
}

static void on_accept(void *arg, struct fl_sock *sock) {
    struct fl_frame_peer *peer = arg;
    struct fl_frame_conn *conn = FL_NEW(struct fl_frame_conn);
    assert_non_null(conn);
    conn->peer = peer;
    conn->sock = sock;
    conn->number = peer->accepted++;
    peer->open++;
    fl_buf_init(&conn->in, (size_t)64 * 1024 * 1024);
    fl_list_push(&peer->conns, &conn->link);
    fl_sock_attach(peer->io, sock, &events, conn);
    greet(conn);
    if (peer->on_open) peer->on_open(conn);
}

void fl_frame_peer_start(struct fl_frame_peer *peer, struct fl_io *io, const char *host,
                         uint16_t port) {
    *peer = (struct fl_frame_peer){.io = io};
    fl_list_init(&peer->conns);
    struct fl_error err;
    int rc = fl_io_listen(io, fl_str_of(host), port, NULL, on_accept, peer, &peer->listener, &err);
    assert_int_equal(rc, 0);
}

void fl_frame_peer_stop(struct fl_frame_peer *peer) {
    fl_listener_close(peer->io, peer->listener);
    FL_LIST_EACH (&peer->conns, item, next) {
        fl_sock_abort(peer->io, FL_CONTAINER(item, struct fl_frame_conn, link)->sock);
    }
}
