/* pair.h - two ends of a connection in a simulated world, which write down what they were told. */
#ifndef FL_TEST_PAIR_H
#define FL_TEST_PAIR_H

#include "support/alloc.h"

#include "sim/world.h"

#define PORT     7000
#define DEADLINE 3000 /* ms from the start of a world, whose clock starts at 1000 */

/* One end of a connection that writes down what it was told. */
struct end {
    struct fl_io *io;
    struct fl_sock *sock; /* NULL once on_close came */
    struct fl_buf got;
    int opens, eofs, closes, writables, datas;
    int code;
    bool in_call;       /* of ours: no callback may come */
    bool abort_on_data; /* closes from within its own callback */
};

struct pair {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_listener *listener;
    struct end client, server;
    int accepts;
    bool refuse; /* on_accept aborts */
};

extern const struct fl_sock_events events; /* arg: struct end */
/* arg: struct pair */
void on_accept(void *arg, struct fl_sock *sock);
void end_init(struct end *e, struct fl_io *io);
/* Listens; connects, too; gives everything back and finds nothing left open. */
void pair_open(struct pair *p, const struct fl_world_options *options);
void dial(struct pair *p, const char *host, uint16_t port, uint64_t deadline_ms);
void pair_connect(struct pair *p, const struct fl_world_options *options);
void pair_free(struct pair *p);
void end_write(struct end *e, struct fl_str bytes);
extern const struct fl_world_options pair_plain;
extern const struct fl_world_options pair_rough;

#endif
