/* hub_bed.h - a discovery hub with a provider that a test drives, and subscribers that write down
 * what they were told, on virtual time. */
#ifndef FL_TEST_HUB_BED_H
#define FL_TEST_HUB_BED_H

#include "support/alloc.h"

#include "discovery/discovery.h"
#include "sim/world.h"
#include "support/fake_provider.h"
#include "support/sets.h"

struct hub_bed {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_fake fake;
    struct fl_discovery *hub;
    int closed;
};

/* A subscriber that writes down what it was told. */
struct sub {
    struct hub_bed *bed;
    struct fl_subscription *handle;
    int calls, dones;
    struct fl_set *set; /* the last one given */
    int trouble;        /* its code */
    bool same;          /* set and previous were the same pointer */
    bool in_call;       /* of ours: no callback may come */
    bool close_in_callback;
};

void end(struct sub *sub);
void on_set(void *arg, struct fl_set *set, struct fl_set *previous, const struct fl_error *trouble);
int try_subscribe(struct hub_bed *bed, struct sub *sub, const char *target);
void subscribe(struct hub_bed *bed, struct sub *sub, const char *target);
/* Lets everything happen that is due now. */
void settle(struct hub_bed *bed);
/* Closes it and lets it hear so. */
void end_settled(struct sub *sub);
/* The hub on its own, in the world that setup has made. */
int bed_open(struct hub_bed *bed);
void bed_close(struct hub_bed *bed);
int setup(void **state);
int teardown(void **state);
/* Of port http:8080. */
struct fl_block *block(const char *endpoints);

#endif
