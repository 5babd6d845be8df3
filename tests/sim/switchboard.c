/* switchboard.c - see switchboard.h.
 *
 * A wire stands between a dialled sock and its owner: it forwards the sock's events and looks at
 * the bytes that pass, whose first line is a request's or an answer's in HTTP/1.1. Of a write it
 * knows the sock alone, so the board of the world that runs is kept here. */
#include "switchboard.h"

#include <stdio.h>

#include "base/alloc.h"

static struct switchboard *current;

struct wire {
    struct fl_list link;
    struct switchboard *board;
    struct switchboard_line *line;
    const struct fl_sock_events *events; /* the owner's */
    void *arg;
    struct fl_sock *sock;
};

/* "10.0.0.NUMBER" */
static struct switchboard_line *line_of(struct switchboard *board, struct fl_str host) {
    struct fl_str prefix = FL_STR("10.0.0.");
    uint64_t number;
    if (!fl_str_starts(host, prefix) || !fl_str_u64(fl_str_from(host, prefix.n), &number))
        return NULL;
    return number < SWITCHBOARD_LINES_MAX ? &board->lines[number] : NULL;
}

/* --- what passes --- */

static struct fl_str first_line(struct fl_str bytes) {
    const char *end = bytes.n ? memchr(bytes.p, '\r', bytes.n) : NULL;
    return fl_str_n(bytes.p, end ? (size_t)(end - bytes.p) : FL_MIN(bytes.n, (size_t)200));
}

static void tell(struct wire *wire, const char *arrow, struct fl_str line) {
    struct switchboard *board = wire->board;
    if (!story_is_heard(board->story)) return;
    story_tell(board->story, wire->line->who, "%s %.*s", arrow, FL_STR_ARG(line));
}

static void on_open(void *arg, struct fl_str alpn) {
    struct wire *wire = arg;
    wire->events->on_open(wire->arg, alpn);
}

static void on_data(void *arg, struct fl_str bytes) {
    struct wire *wire = arg;
    wire->line->last_data_ms = fl_io_now_ms(wire->board->io);
    if (fl_str_starts(bytes, FL_STR("HTTP/1.1 ")))
        tell(wire, "<-", fl_str_from(first_line(bytes), 9));
    wire->events->on_data(wire->arg, bytes);
}

static void on_writable(void *arg) {
    struct wire *wire = arg;
    wire->events->on_writable(wire->arg);
}

static void on_eof(void *arg) {
    struct wire *wire = arg;
    wire->line->last_data_ms = fl_io_now_ms(wire->board->io);
    wire->events->on_eof(wire->arg);
}

static void on_close(void *arg, const struct fl_error *why) {
    struct wire *wire = arg;
    const struct fl_sock_events *events = wire->events;
    void *owner = wire->arg;
    if (why->code) tell(wire, "--", fl_str_of(fl_error_text(why->code)));
    wire->line->refusals += why->code == FL_EREFUSED;
    fl_list_remove(&wire->link);
    fl_free(wire);
    events->on_close(owner, why);
}

static const struct fl_sock_events wire_events = {.on_open = on_open,
                                                  .on_data = on_data,
                                                  .on_writable = on_writable,
                                                  .on_eof = on_eof,
                                                  .on_close = on_close};

/* --- in place of the world's operations --- */

static int dial(struct fl_io *io, const struct fl_dial *what, const struct fl_sock_events *events,
                void *arg, struct fl_sock **out, struct fl_error *err) {
    struct switchboard *board = current;
    struct switchboard_line *line = line_of(board, what->host);
    struct fl_dial there = *what;
    if (!line) return board->world_ops->dial(io, what, events, arg, out, err);
    struct wire *wire = FL_NEW(struct wire);
    if (!wire) return fl_fail_nomem(err);
    *wire = (struct wire){.board = board, .line = line, .events = events, .arg = arg};
    there.host = FL_STR("127.0.0.1");
    there.port = line->server_port;
    int rc = board->world_ops->dial(io, &there, &wire_events, wire, &wire->sock, err);
    if (rc < 0) {
        fl_free(wire);
        return rc;
    }
    line->dials++;
    *out = wire->sock;
    fl_list_push(&board->wires, &wire->link);
    return 0;
}

static struct wire *wire_of(struct switchboard *board, const struct fl_sock *sock) {
    FL_LIST_EACH (&board->wires, item, next) {
        struct wire *wire = FL_CONTAINER(item, struct wire, link);
        if (wire->sock == sock) return wire;
    }
    return NULL;
}

static int sock_write(struct fl_sock *sock, struct fl_str bytes) {
    struct wire *wire = fl_str_starts(bytes, FL_STR("GET /")) ? wire_of(current, sock) : NULL;
    if (wire) {
        struct fl_str line = first_line(bytes);
        wire->line->requests++;
        if (fl_str_ends(line, FL_STR(" HTTP/1.1"))) line.n -= 9;
        tell(wire, "->", line);
    }
    return current->world_ops->sock_write(sock, bytes);
}

/* --- life --- */

void switchboard_init(struct switchboard *board, struct fl_world *world, struct story *story) {
    FL_ASSERT(!current);
    *board = (struct switchboard){.io = fl_world_io(world), .story = story};
    board->world_ops = board->io->ops;
    board->ops = *board->world_ops;
    board->ops.dial = dial;
    board->ops.sock_write = sock_write;
    board->io->ops = &board->ops;
    fl_list_init(&board->wires);
    current = board;
}

void switchboard_deinit(struct switchboard *board) {
    FL_ASSERT(fl_list_empty(&board->wires));
    board->io->ops = board->world_ops;
    current = NULL;
}

void switchboard_connect(struct switchboard *board, size_t number, const char *who, uint16_t port) {
    FL_ASSERT(number < SWITCHBOARD_LINES_MAX);
    struct switchboard_line *line = &board->lines[number];
    snprintf(line->who, sizeof line->who, "%s", who);
    line->server_port = port;
}

void switchboard_flip(struct switchboard *board, uint16_t port) {
    for (size_t i = 0; i < SWITCHBOARD_LINES_MAX; i++) board->lines[i].server_port = port;
}
