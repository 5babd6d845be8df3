/* plan.h - what a seed decides before its world begins. */
#ifndef FL_TEST_PLAN_H
#define FL_TEST_PLAN_H

#include "sim/sim.h"
#include "sim/world.h"

#define PLAN_SERVICE  "echo"
#define PLAN_API_PORT 6443
#define CALLERS_MAX   6
#define ORDERS_MAX    12

enum order_kind {
    ORDER_ROLL,
    ORDER_SCALE,
    ORDER_SERVICE, /* deleted, and made again a little later */
    ORDER_API_CUT,
    ORDER_API_REFUSE,
    ORDER_API_BLACKHOLE,
    ORDER_API_FAULT,
    ORDER_END_WATCHES,
    ORDER_COMPACT,
    ORDER_KILL, /* from here on: violence */
    ORDER_POD_CUT,
    ORDER_KINDS
};

struct order {
    enum order_kind kind;
    uint64_t at_ms;  /* from the start */
    uint32_t number; /* pods, fault, address */
    uint32_t for_ms; /* service, refuse, black hole; API fault: so many times */
};

struct plan {
    struct fl_world_options world;
    struct fl_sim_options sim;
    struct fl_sim_service service;
    bool token;
    unsigned callers;
    uint32_t pause_ms_max; /* between two calls */
    uint64_t faults_ms;    /* how long orders come */
    struct order orders[ORDERS_MAX];
    size_t order_count;
    bool violence;
};

void plan_make(struct plan *plan, uint64_t seed);
const char *plan_order_name(enum order_kind kind);

static inline bool chance(struct fl_random *r, unsigned percent) {
    return fl_random_below(r, 100) < percent;
}

#endif
