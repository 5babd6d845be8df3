/* load_fanout.h - a message to every endpoint of a service, again and again, by the connection
 * manager's handles. Tells whether an endpoint that stayed was given another handle. One thread. */
#ifndef FL_TEST_LOAD_FANOUT_H
#define FL_TEST_LOAD_FANOUT_H

#include <fairlead/connmgr.h>
#include <stdio.h>

struct load_fanout {
    struct fl_connmgr *mgr;
    const char *service;
    struct fl_conns conns; /* of the last round */
    bool asking;
    int64_t next_ms;
    uint64_t pending; /* messages under way */
    uint64_t rounds, told, failed, replaced;
    uint64_t left;   /* the endpoint left the service between the round's begin and its call */
    uint64_t errors; /* rounds without an answer */
};

void load_fanout_step(struct load_fanout *fanout);
/* Gives the handles back; nothing may be under way. */
void load_fanout_deinit(struct load_fanout *fanout);
bool load_fanout_ended(const struct load_fanout *fanout);
void load_fanout_print(const struct load_fanout *fanout, FILE *out);

#endif
