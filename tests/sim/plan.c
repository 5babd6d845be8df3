/* plan.c - the seed's choices: traits of the world, what is set up, orders. */
#include "plan.h"

#include <inttypes.h>
#include <stdio.h>

#include "kube/audit.h"

/* How long things may take: the backoff's cap and a request's deadline; a watch that is silent, to
 * its end; a difference that only the audit finds. */
#define SETTLE_MS UINT64_C(180000)
#define WATCH_MS  UINT64_C(900000)
#define AUDIT_MS  (3 * FL_AUDIT_INTERVAL_MS) /* twice the longest: one may be superseded */

static const char *const trait_texts[] = {
#define PLAN_X(name, text) text,
    PLAN_TRAIT_MAP(PLAN_X)
#undef PLAN_X
};

static const char *const order_texts[] = {
#define PLAN_X(name, text) text,
    PLAN_ORDER_MAP(PLAN_X)
#undef PLAN_X
};

static void add(struct plan *plan, struct order order) {
    size_t at = plan->order_count;
    if (at == PLAN_ORDERS_MAX) return;
    order.kept = true;
    for (; at && plan->orders[at - 1].at_ms > order.at_ms; at--)
        plan->orders[at] = plan->orders[at - 1];
    plan->orders[at] = order;
    plan->order_count++;
}

static void make_traits(struct plan *plan, struct fl_random *r) {
    static const uint8_t percents[PLAN_TRAITS] = {
        [PLAN_TRAIT_CHOP] = 20,          [PLAN_TRAIT_REORDER] = 60,
        [PLAN_TRAIT_SLOW] = 25,          [PLAN_TRAIT_NO_STREAMING] = 20,
        [PLAN_TRAIT_NO_SLICES] = 10,     [PLAN_TRAIT_NO_PROTOBUF] = 30,
        [PLAN_TRAIT_TOKEN] = 20,         [PLAN_TRAIT_HTTP2] = 50,
        [PLAN_TRAIT_SNAPSHOT] = 60,      [PLAN_TRAIT_SMALL_SLICES] = 60,
        [PLAN_TRAIT_FEW_ADDRESSES] = 50, [PLAN_TRAIT_VIOLENCE] = 25,
        [PLAN_TRAIT_IDLE] = 50,          [PLAN_TRAIT_STREAMS] = 40,
    };
    for (int i = 0; i < PLAN_TRAIT_MANAGER; i++) plan->traits[i] = plan_chance(r, percents[i]);
    if (plan->kind == PLAN_DISCOVERY)
        plan->traits[PLAN_TRAIT_VIOLENCE] = plan->traits[PLAN_TRAIT_IDLE] =
            plan->traits[PLAN_TRAIT_STREAMS] = false;
    if (plan->kind == PLAN_WHOLE)
        plan->traits[PLAN_TRAIT_SNAPSHOT] = plan->traits[PLAN_TRAIT_HTTP2] = false;
}

/* From MANAGER on traits are drawn from a source of their own: what else happens in a world does
 * not depend on them. */
static void make_manager(struct plan *plan) {
    struct fl_random r = {plan->seed ^ UINT64_C(0x6d616e6167657273)};
    bool whole = plan->kind == PLAN_WHOLE;
    bool *traits = plan->traits;
    traits[PLAN_TRAIT_MANAGER] = plan_chance(&r, whole ? 60 : 20);
    traits[PLAN_TRAIT_HEALTH] = plan_chance(&r, 35) && whole;
    traits[PLAN_TRAIT_RETRIES] = plan_chance(&r, 35) && whole;
    traits[PLAN_TRAIT_PLAIN] = plan_chance(&r, 35) && whole;
    traits[PLAN_TRAIT_RESTLESS] = plan_chance(&r, 50) && traits[PLAN_TRAIT_IDLE];
    if (!traits[PLAN_TRAIT_MANAGER]) return;
    for (uint64_t n = plan_draw(&r, 0, 2); n > 0; n--)
        add(plan, (struct order){.kind = ORDER_RENEW,
                                 .at_ms = plan_draw(&r, 100, plan->faults_ms),
                                 .client = (unsigned)fl_random_below(&r, plan->clients)});
    if (whole && plan_chance(&r, 40))
        add(plan, (struct order){.kind = ORDER_PORTS,
                                 .at_ms = plan_draw(&r, 100, plan->faults_ms),
                                 .for_ms = (uint32_t)plan_draw(&r, 0, 1500)});
}

/* --- what goes wrong with the API server, in both kinds --- */

static struct order make_trouble(struct plan *plan, struct fl_random *r, uint64_t at_ms) {
    static const enum order_kind kinds[] = {ORDER_CUT,         ORDER_REFUSE, ORDER_BLACKHOLE,
                                            ORDER_FAULT,       ORDER_FAULT,  ORDER_FAULT,
                                            ORDER_END_WATCHES, ORDER_COMPACT};
    struct order order = {.kind = kinds[fl_random_below(r, FL_COUNT(kinds))], .at_ms = at_ms};
    FL_UNUSED(plan);
    if (order.kind == ORDER_REFUSE || order.kind == ORDER_BLACKHOLE)
        order.for_ms = (uint32_t)plan_draw(r, 50, 4000);
    if (order.kind == ORDER_FAULT) {
        order.fault = (enum fl_fault_kind)fl_random_below(r, FL_FAULT_KINDS);
        order.count = (unsigned)plan_draw(r, 1, 3);
    }
    return order;
}

/* --- whole worlds --- */

static struct order make_whole_order(struct plan *plan, struct fl_random *r) {
    uint64_t at_ms = plan_draw(r, 200, plan->faults_ms);
    struct order order = {.at_ms = at_ms};
    /* What moves pods comes as often as all else together. */
    if (plan_chance(r, 50)) {
        order.kind = plan_chance(r, 50) ? ORDER_ROLL : ORDER_SCALE;
        if (order.kind == ORDER_SCALE) order.count = (unsigned)plan_draw(r, 0, 6);
        return order;
    }
    if (plan->traits[PLAN_TRAIT_VIOLENCE] && plan_chance(r, 30)) {
        static const enum order_kind kinds[] = {ORDER_KILL, ORDER_POD_CUT, ORDER_POD_SILENT};
        order.kind = kinds[fl_random_below(r, FL_COUNT(kinds))];
        order.count = (unsigned)plan_draw(r, 1, 12);
        if (order.kind == ORDER_POD_SILENT) order.for_ms = (uint32_t)plan_draw(r, 100, 6000);
        return order;
    }
    if (plan->traits[PLAN_TRAIT_IDLE] && plan_chance(r, 40)) {
        order.kind = ORDER_REST;
        order.for_ms = (uint32_t)plan_draw(r, 200, 4000);
        return order;
    }
    if (plan_chance(r, 12)) {
        order.kind = ORDER_SERVICE_DELETE;
        order.for_ms = (uint32_t)plan_draw(r, 0, 1000);
        return order;
    }
    return make_trouble(plan, r, at_ms);
}

static void make_whole(struct plan *plan, struct fl_random *r) {
    plan->services = plan->clients = 1;
    plan->callers = (unsigned)plan_draw(r, 1, PLAN_CALLERS_MAX);
    plan->pause_ms_max = (uint32_t)plan_draw(r, 5, 100);
    plan->faults_ms = plan_draw(r, 2000, 8000);
    plan->idle_ms = (uint32_t)plan_draw(r, 20, 1500);
    add(plan, (struct order){.kind = ORDER_SCALE, .count = (unsigned)plan_draw(r, 0, 5)});
    for (uint64_t n = plan_draw(r, 1, 12); n > 0; n--) add(plan, make_whole_order(plan, r));
}

/* --- worlds of discovery alone --- */

static struct order make_change(struct plan *plan, struct fl_random *r, uint64_t at_ms) {
    static const enum order_kind kinds[] = {
        ORDER_PODS_ADD,       ORDER_PODS_READY, ORDER_PODS_READY,  ORDER_PODS_UNREADY,
        ORDER_PODS_LEAVE,     ORDER_PODS_LEAVE, ORDER_PODS_DELETE, ORDER_SCALE_TO_0,
        ORDER_SERVICE_DELETE, ORDER_EXTERNAL,   ORDER_PODS_ADD};
    struct order order = {.kind = kinds[fl_random_below(r, FL_COUNT(kinds))], .at_ms = at_ms};
    order.service = (unsigned)fl_random_below(r, plan->services);
    order.count = (unsigned)plan_draw(r, 1, 3);
    if (order.kind == ORDER_SERVICE_DELETE || order.kind == ORDER_EXTERNAL)
        order.for_ms = (uint32_t)plan_draw(r, 0, 3000);
    return order;
}

static struct order make_coming(struct plan *plan, struct fl_random *r, uint64_t at_ms) {
    struct order order = {.at_ms = at_ms};
    order.kind = plan_chance(r, 15)   ? ORDER_RESTART
                 : plan_chance(r, 60) ? ORDER_SUBSCRIBE
                                      : ORDER_UNSUBSCRIBE;
    order.client = (unsigned)fl_random_below(r, plan->clients);
    order.service = (unsigned)fl_random_below(r, plan->services);
    order.for_ms = plan_chance(r, 50) ? (uint32_t)plan_draw(r, 0, 3000) : 0;
    return order;
}

static void make_start(struct plan *plan, struct fl_random *r) {
    unsigned interest = (unsigned)plan_draw(r, 30, 100);
    for (unsigned i = 0; i < plan->services; i++)
        if (plan_chance(r, 90))
            add(plan, (struct order){.kind = ORDER_SERVICE,
                                     .service = i,
                                     .count = (unsigned)plan_draw(r, 0, 4)});
    for (unsigned c = 0; c < plan->clients; c++)
        for (unsigned i = 0; i < plan->services; i++)
            if (plan_chance(r, interest))
                add(plan, (struct order){.kind = ORDER_SUBSCRIBE, .client = c, .service = i});
}

static void make_discovery(struct plan *plan, struct fl_random *r) {
    uint64_t size = fl_random_below(r, 100);
    plan->services = (unsigned)(size < 60   ? plan_draw(r, 1, 3)
                                : size < 85 ? plan_draw(r, 4, 15)
                                            : plan_draw(r, 16, PLAN_SERVICES_MAX));
    plan->clients = (unsigned)plan_draw(r, 1, plan->services > 3 ? 2 : PLAN_CLIENTS_MAX);
    plan->faults_ms = plan_draw(r, 2000, 15000);
    make_start(plan, r);
    for (uint64_t n = plan_draw(r, 2, 24); n > 0; n--) {
        uint64_t at_ms = plan_draw(r, 100, plan->faults_ms);
        uint64_t what = fl_random_below(r, 100);
        if (what < 50)
            add(plan, make_change(plan, r, at_ms));
        else if (what < 80)
            add(plan, make_trouble(plan, r, at_ms));
        else if (what < 95)
            add(plan, make_coming(plan, r, at_ms));
        else
            add(plan, (struct order){.kind = ORDER_FLIP,
                                     .at_ms = at_ms,
                                     .count = (unsigned)fl_random_below(r, 2)});
    }
    if (!plan_chance(r, 12)) return;
    struct order outage = {.kind = plan_chance(r, 70) ? ORDER_REFUSE : ORDER_BLACKHOLE,
                           .at_ms = plan->faults_ms,
                           .for_ms = (uint32_t)plan_draw(r, 2 * PLAN_LONG_MS, 5 * PLAN_LONG_MS)};
    add(plan, outage);
    plan->faults_ms = outage.at_ms + outage.for_ms;
}

void plan_make(struct plan *plan, uint64_t seed, enum plan_choice choice) {
    struct fl_random r = {seed ^ UINT64_C(0x5eed0f0a1d7ea1a5)};
    *plan = (struct plan){.seed = seed};
    bool whole = plan_chance(&r, 15);
    plan->kind = choice == PLAN_ANY          ? (whole ? PLAN_WHOLE : PLAN_DISCOVERY)
                 : choice == PLAN_ONLY_WHOLE ? PLAN_WHOLE
                                             : PLAN_DISCOVERY;
    plan->bookmark_ms =
        (uint32_t)(plan_chance(&r, 20) ? plan_draw(&r, 500, 5000) : plan_draw(&r, 5000, 60000));
    make_traits(plan, &r);
    if (plan->kind == PLAN_WHOLE)
        make_whole(plan, &r);
    else
        make_discovery(plan, &r);
    make_manager(plan);
}

/* --- parts --- */

bool plan_has(const struct plan *plan, size_t part) {
    return part <= PLAN_TRAITS ? plan->traits[part - 1] : plan->orders[part - 1 - PLAN_TRAITS].kept;
}

void plan_set(struct plan *plan, size_t part, bool kept) {
    if (part <= PLAN_TRAITS)
        plan->traits[part - 1] = kept;
    else
        plan->orders[part - 1 - PLAN_TRAITS].kept = kept;
}

static size_t say_number(char *out, size_t size, const char *what, uint64_t number) {
    int n = snprintf(out, size, "%s%" PRIu64, what, number);
    return FL_MIN((size_t)n, size - 1);
}

void plan_say(const struct plan *plan, size_t part, char *out, size_t size) {
    if (part <= PLAN_TRAITS) {
        snprintf(out, size, "%s", trait_texts[part - 1]);
        return;
    }
    const struct order *o = &plan->orders[part - 1 - PLAN_TRAITS];
    bool of_client = o->kind == ORDER_SUBSCRIBE || o->kind == ORDER_UNSUBSCRIBE ||
                     o->kind == ORDER_RESTART || o->kind == ORDER_RENEW;
    size_t n =
        (size_t)snprintf(out, size, "%7.3f s  %s", (double)o->at_ms / 1000, order_texts[o->kind]);
    if (o->kind == ORDER_FAULT)
        n += (size_t)snprintf(out + n, size - n, ": %s", fl_fault_name(o->fault));
    if (of_client) n += say_number(out + n, size - n, ", client ", o->client);
    if (o->kind <= ORDER_UNSUBSCRIBE) n += say_number(out + n, size - n, ", service ", o->service);
    if (o->count && !of_client) n += say_number(out + n, size - n, ", count ", o->count);
    if (o->for_ms) say_number(out + n, size - n, ", ms ", o->for_ms);
}

bool plan_has_fault(const struct plan *plan, enum fl_fault_kind fault) {
    for (size_t i = 0; i < plan->order_count; i++) {
        const struct order *o = &plan->orders[i];
        if (o->kept && o->kind == ORDER_FAULT && o->fault == fault) return true;
    }
    return false;
}

bool plan_has_order(const struct plan *plan, enum order_kind kind) {
    for (size_t i = 0; i < plan->order_count; i++)
        if (plan->orders[i].kept && plan->orders[i].kind == kind) return true;
    return false;
}

uint64_t plan_settle_ms(const struct plan *plan) {
    uint64_t settle_ms = SETTLE_MS;
    static const struct {
        enum fl_fault_kind kind;
        uint64_t settle_ms;
    } slow[] = {
        {FL_FAULT_STALL, WATCH_MS},      {FL_FAULT_NO_BOOKMARK, WATCH_MS},
        {FL_FAULT_NO_END, WATCH_MS},     {FL_FAULT_SLOW, WATCH_MS},
        {FL_FAULT_FORBIDDEN, WATCH_MS},  {FL_FAULT_HUGE, WATCH_MS},
        {FL_FAULT_LOST_EVENT, AUDIT_MS}, {FL_FAULT_RESTORED, AUDIT_MS},
        {FL_FAULT_REORDER, AUDIT_MS},    {FL_FAULT_DUPLICATE, AUDIT_MS},
        {FL_FAULT_OLDER, AUDIT_MS},
    };
    for (size_t i = 0; i < FL_COUNT(slow); i++)
        if (plan_has_fault(plan, slow[i].kind)) settle_ms = FL_MAX(settle_ms, slow[i].settle_ms);
    if (plan_has_order(plan, ORDER_BLACKHOLE)) settle_ms = FL_MAX(settle_ms, WATCH_MS);
    return settle_ms;
}

bool plan_has_silence(const struct plan *plan) {
    static const enum fl_fault_kind kinds[] = {
        FL_FAULT_STALL, FL_FAULT_NO_BOOKMARK, FL_FAULT_NO_END,
        FL_FAULT_SLOW,  FL_FAULT_HUGE,        FL_FAULT_RESTORED}; /* a watch from the future */
    for (size_t i = 0; i < FL_COUNT(kinds); i++)
        if (plan_has_fault(plan, kinds[i])) return true;
    return plan_has_order(plan, ORDER_BLACKHOLE);
}
