/* switchboard.h - the wires between the clients of a world and its API servers.
 *
 * Each client dials an address of its own, 10.0.0.NUMBER, and is connected to the server that it is
 * switched to. So it is known who dialled how often, what was asked, and when bytes of a server
 * last reached whom. It stands in place of the world's `dial` and lets all other dials through. One
 * world; its thread. */
#ifndef FL_TEST_SWITCHBOARD_H
#define FL_TEST_SWITCHBOARD_H

#include "base/list.h"
#include "sim/world.h"
#include "story.h"

#define SWITCHBOARD_LINES_MAX 16
#define SWITCHBOARD_PORT      6443

struct switchboard_line { /* of a client */
    char who[24];
    uint16_t server_port; /* at 127.0.0.1 */
    uint64_t dials, requests, refusals;
    uint64_t last_data_ms; /* bytes from a server; 0: never */
};

struct switchboard {
    struct fl_io *io;
    struct fl_io_ops ops; /* the world's, with our dial */
    const struct fl_io_ops *world_ops;
    struct story *story;
    struct fl_list wires;
    struct switchboard_line lines[SWITCHBOARD_LINES_MAX];
};

void switchboard_init(struct switchboard *board, struct fl_world *world, struct story *story);
/* All connections are closed. */
void switchboard_deinit(struct switchboard *board);
/* Client `number` is called `who` and reaches the server at this port. */
void switchboard_connect(struct switchboard *board, size_t number, const char *who, uint16_t port);
/* New connections of all clients go to this port. */
void switchboard_flip(struct switchboard *board, uint16_t port);

#endif
