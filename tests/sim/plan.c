/* plan.c - the seed's choices: network, deployment, callers, orders. */
#include "plan.h"

static const char *const order_names[ORDER_KINDS] = {
    "roll",      "scale",       "delete service", "api cut", "api refuse", "api black hole",
    "api fault", "end watches", "compact",        "kill",    "pod cut",
};

const char *plan_order_name(enum order_kind kind) { return order_names[kind]; }

static uint64_t draw(struct fl_random *r, uint64_t low, uint64_t high) {
    return low + fl_random_below(r, high - low + 1);
}

static void plan_network(struct plan *plan, struct fl_random *r, uint64_t seed) {
    static const uint32_t latencies[][2] = {{50, 500}, {50, 500}, {200, 5000}, {1000, 40000}};
    size_t i = fl_random_below(r, FL_COUNT(latencies));
    plan->world = (struct fl_world_options){.seed = seed,
                                            .latency_us_min = latencies[i][0],
                                            .latency_us_max = latencies[i][1],
                                            .chop = chance(r, 30),
                                            .reorder = chance(r, 60)};
}

static void plan_deployment(struct plan *plan, struct fl_random *r) {
    static const uint32_t delays[] = {0, 0, 1, 5, 20, 300};
    plan->service = (struct fl_sim_service){PLAN_SERVICE, (unsigned)draw(r, 0, 5)};
    plan->token = chance(r, 20);
    plan->sim = (struct fl_sim_options){
        .apiserver = {.host = FL_STR("127.0.0.1"),
                      .port = PLAN_API_PORT,
                      .bookmark_ms = (uint32_t)draw(r, 500, 60000),
                      .no_streaming_list = chance(r, 20),
                      .no_endpointslices = chance(r, 10),
                      .no_protobuf = chance(r, 30)},
        .service_count = 1,
        .seed = fl_random_u64(r),
        .start_ms = (uint32_t)draw(r, 50, 600),
        .grace_ms = (uint32_t)draw(r, 500, 5000),
        .echo_delay_ms = delays[fl_random_below(r, FL_COUNT(delays))],
        .address_count = chance(r, 50) ? (uint32_t)draw(r, 9, 14) : 0,
        .slice_max = chance(r, 60) ? (uint32_t)draw(r, 1, 3) : 0,
    };
}

static const enum fl_fault_kind faults[] = {
    FL_FAULT_GONE_STATUS, FL_FAULT_GONE_EVENT, FL_FAULT_UNAVAILABLE, FL_FAULT_THROTTLED,
    FL_FAULT_OLDER,       FL_FAULT_STALL,      FL_FAULT_GARBAGE,     FL_FAULT_SHORT,
};

static struct order plan_order(struct plan *plan, struct fl_random *r) {
    struct order order = {.at_ms = draw(r, 200, plan->faults_ms)};
    uint64_t kinds = plan->violence ? ORDER_KINDS : ORDER_KILL;
    /* What moves pods comes as often as all else together. */
    order.kind = chance(r, 50) ? (enum order_kind)fl_random_below(r, ORDER_SERVICE)
                               : (enum order_kind)draw(r, ORDER_SERVICE, kinds - 1);
    if (order.kind == ORDER_SCALE) order.number = (uint32_t)draw(r, 0, 6);
    if (order.kind == ORDER_POD_CUT) order.number = (uint32_t)draw(r, 1, 12);
    if (order.kind == ORDER_SERVICE) order.for_ms = (uint32_t)draw(r, 0, 1000);
    if (order.kind == ORDER_API_REFUSE || order.kind == ORDER_API_BLACKHOLE)
        order.for_ms = (uint32_t)draw(r, 50, 4000);
    if (order.kind == ORDER_API_FAULT) {
        order.number = (uint32_t)faults[fl_random_below(r, FL_COUNT(faults))];
        order.for_ms = (uint32_t)draw(r, 1, 3);
    }
    return order;
}

void plan_make(struct plan *plan, uint64_t seed) {
    struct fl_random r = {seed ^ UINT64_C(0x5eed0f0a1d7ea1a5)};
    *plan = (struct plan){.violence = chance(&r, 25)};
    plan_network(plan, &r, seed);
    plan_deployment(plan, &r);
    plan->callers = (unsigned)draw(&r, 1, CALLERS_MAX);
    plan->pause_ms_max = (uint32_t)draw(&r, 5, 100);
    plan->faults_ms = draw(&r, 2000, 8000);
    plan->order_count = draw(&r, 1, ORDERS_MAX);
    for (size_t i = 0; i < plan->order_count; i++) {
        struct order order = plan_order(plan, &r);
        size_t at = i;
        for (; at && plan->orders[at - 1].at_ms > order.at_ms; at--)
            plan->orders[at] = plan->orders[at - 1];
        plan->orders[at] = order;
    }
}
