/* scenario.c - see scenario.h.
 *
 * The seed makes a plan first (plan.h). While its orders run, each caller calls, waits a little,
 * calls again; some calls are cancelled. After the last order everything works again, and within
 * SETTLE_MS the subscriber must know the truth and calls must succeed. */
#include "scenario.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "channel/channel.h"
#include "oracle.h"
#include "plan.h"
#include "registry/discovery.h"

#define TARGET    "kubernetes:///default/echo:grpc"
#define POD_PORT  50051
#define API       "127.0.0.1:6443"
#define METHOD    "/grpc.examples.echo.Echo/UnaryEcho"
#define CHANNELS  2
#define PEERS_MAX 16
#define SETTLE_MS 180000 /* within which everything is well again; see reflector backoff, pings */
#define CLOSE_MS  30000
#define END_MS    30000 /* within which the last calls end */
#define QUIET_MS  2000  /* the truth must stay known for so long */

struct caller {
    struct scenario *scenario;
    unsigned number, round;
    struct fl_timer timer; /* the next call, or the cancelling of this one */
    struct fl_call *call;
    struct oracle_call judged;
    char request[32];
    size_t request_len;
};

/* A channel and, in peace, who takes its calls. */
struct watched {
    struct scenario *scenario;
    struct fl_channel *channel;
    char peers[PEERS_MAX][32];
    size_t peer_count;
};

struct scenario {
    struct plan plan;
    struct fl_random random;
    struct fl_world *world;
    struct fl_io *io;
    struct fl_sim *sim;
    struct fl_discovery *discovery;
    struct fl_subscription *subscription;
    struct watched channels[CHANNELS];
    struct oracle oracle;
    struct caller callers[CALLERS_MAX];
    struct fl_timer order_timer, heal_timer, service_timer;
    size_t next_order;
    uint64_t start_ms;
    uint32_t pause_ms_max;
    bool calling, peace;
    unsigned closes; /* close callbacks still to come */
};

/* --- notes --- */

static FL_PRINTF(2, 3) void note(struct scenario *s, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fl_world_note(s->world, fl_str_of(text));
}

/* --- orders --- */

static void heal(struct scenario *s) {
    fl_io_timer_clear(s->io, &s->heal_timer);
    fl_world_fault(s->world, FL_STR(API), FL_WORLD_OK);
}

static void run_heal(struct fl_timer *timer) {
    heal(FL_CONTAINER(timer, struct scenario, heal_timer));
}

static void api_fault(struct scenario *s, enum fl_world_fault fault, uint32_t for_ms) {
    fl_world_fault(s->world, FL_STR(API), fault);
    fl_io_timer_set(s->io, &s->heal_timer, fl_io_now_ms(s->io) + for_ms);
}

static void make_service(struct scenario *s) {
    const struct fl_k8s_service_port port = {.name = FL_STR("grpc"),
                                             .protocol = FL_STR("TCP"),
                                             .port = FL_SIM_SERVICE_PORT,
                                             .target_port = POD_PORT};
    fl_io_timer_clear(s->io, &s->service_timer);
    int rc = fl_cluster_service(fl_sim_cluster(s->sim), FL_STR("default"), FL_STR(PLAN_SERVICE),
                                &port, 1);
    FL_ASSERT(rc == 0);
}

static void run_service(struct fl_timer *timer) {
    make_service(FL_CONTAINER(timer, struct scenario, service_timer));
}

static void delete_service(struct scenario *s, uint32_t for_ms) {
    int rc =
        fl_cluster_service_delete(fl_sim_cluster(s->sim), FL_STR("default"), FL_STR(PLAN_SERVICE));
    FL_ASSERT(rc == 0 || rc == FL_ENOT_FOUND); /* it is gone already */
    fl_io_timer_set(s->io, &s->service_timer, fl_io_now_ms(s->io) + for_ms);
}

static void obey(struct scenario *s, const struct order *order) {
    char address[32];
    int rc = 0;
    note(s, "order: %s %u %u", plan_order_name(order->kind), order->number, order->for_ms);
    switch (order->kind) {
    case ORDER_ROLL:
        rc = fl_sim_roll(s->sim, PLAN_SERVICE, NULL);
        break;
    case ORDER_SCALE:
        rc = fl_sim_scale(s->sim, PLAN_SERVICE, order->number, NULL);
        break;
    case ORDER_SERVICE:
        delete_service(s, order->for_ms);
        break;
    case ORDER_API_CUT:
        fl_world_cut(s->world, FL_STR(API));
        break;
    case ORDER_API_REFUSE:
        fl_world_cut(s->world, FL_STR(API));
        api_fault(s, FL_WORLD_REFUSE, order->for_ms);
        break;
    case ORDER_API_BLACKHOLE:
        api_fault(s, FL_WORLD_BLACKHOLE, order->for_ms);
        break;
    case ORDER_API_FAULT:
        fl_apiserver_fault(fl_sim_apiserver(s->sim), (enum fl_fault_kind)order->number,
                           order->for_ms);
        break;
    case ORDER_END_WATCHES:
        fl_apiserver_end_watches(fl_sim_apiserver(s->sim));
        break;
    case ORDER_COMPACT:
        fl_cluster_compact(fl_sim_cluster(s->sim));
        break;
    case ORDER_KILL:
        rc = fl_sim_kill(s->sim, PLAN_SERVICE, NULL);
        if (rc == FL_EEMPTY) rc = 0; /* nobody to kill */
        break;
    case ORDER_POD_CUT:
        snprintf(address, sizeof address, "127.1.0.%u", order->number);
        fl_world_cut(s->world, fl_str_of(address));
        break;
    case ORDER_KINDS:
        break;
    }
    FL_ASSERT(rc == 0);
}

static void run_orders(struct fl_timer *timer) {
    struct scenario *s = FL_CONTAINER(timer, struct scenario, order_timer);
    const struct plan *plan = &s->plan;
    uint64_t now = fl_io_now_ms(s->io) - s->start_ms;
    while (s->next_order < plan->order_count && plan->orders[s->next_order].at_ms <= now)
        obey(s, &plan->orders[s->next_order++]);
    if (s->next_order < plan->order_count)
        fl_io_timer_set(s->io, timer, s->start_ms + plan->orders[s->next_order].at_ms);
}

/* --- callers --- */

static void pause_caller(struct caller *caller) {
    struct scenario *s = caller->scenario;
    if (!s->calling) return;
    fl_io_timer_set(s->io, &caller->timer,
                    fl_io_now_ms(s->io) + fl_random_below(&s->random, s->pause_ms_max + 1));
}

static void on_result(void *arg, const struct fl_call_result *result) {
    struct caller *caller = arg;
    struct scenario *s = caller->scenario;
    note(s, "caller %u round %u: %s %s %s", caller->number, caller->round,
         fl_status_name(result->status), result->peer, result->message);
    if (result->status == FL_STATUS_OK &&
        !fl_str_eq(fl_str_n(result->response, result->response_len),
                   fl_str_n(caller->request, caller->request_len)))
        oracle_violated(&s->oracle, "an answer belongs to another call");
    oracle_call_ended(&s->oracle, &caller->judged, result);
    caller->call = NULL;
    fl_io_timer_clear(s->io, &caller->timer);
    pause_caller(caller);
}

static void start_call(struct caller *caller) {
    struct scenario *s = caller->scenario;
    bool patient = chance(&s->random, 20), fickle = chance(&s->random, 3);
    struct fl_call_options options = {.timeout_ms = patient ? 10000 : 5000,
                                      .wait_for_ready = patient};
    struct fl_channel *channel = s->channels[caller->number % CHANNELS].channel;
    int n = snprintf(caller->request + 2, sizeof caller->request - 2, "caller %u round %u",
                     caller->number, ++caller->round);
    caller->request[0] = 0x0a; /* EchoRequest {string message = 1} */
    caller->request[1] = (char)n;
    caller->request_len = (size_t)n + 2;
    oracle_call_started(&s->oracle, &caller->judged);
    int rc = fl_call_unary(channel, METHOD, caller->request, caller->request_len, &options,
                           on_result, caller, &caller->call, NULL);
    FL_ASSERT(rc == 0);
    if (fickle)
        fl_io_timer_set(s->io, &caller->timer,
                        fl_io_now_ms(s->io) + fl_random_below(&s->random, 10));
}

static void run_caller(struct fl_timer *timer) {
    struct caller *caller = FL_CONTAINER(timer, struct caller, timer);
    if (!caller->judged.active) {
        start_call(caller);
    } else {
        caller->judged.cancelled = true;
        fl_call_cancel(caller->call);
    }
}

static void call_from_now_on(struct scenario *s, uint32_t pause_ms_max) {
    s->calling = true;
    s->pause_ms_max = pause_ms_max;
    for (unsigned i = 0; i < s->plan.callers; i++)
        if (!s->callers[i].judged.active) pause_caller(&s->callers[i]);
}

static bool all_ended(void *arg) {
    struct scenario *s = arg;
    return s->oracle.calls == s->oracle.ended;
}

static void stop_calling(struct scenario *s) {
    s->calling = false;
    for (unsigned i = 0; i < s->plan.callers; i++)
        if (!s->callers[i].judged.active) fl_io_timer_clear(s->io, &s->callers[i].timer);
    if (!fl_world_run_until(s->world, all_ended, s, END_MS))
        oracle_violated(&s->oracle, "%u calls never ended",
                        (unsigned)(s->oracle.calls - s->oracle.ended));
}

/* --- what the oracle hears --- */

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct scenario *s = arg;
    FL_UNUSED(previous);
    note(s, "set %u: %s%s%s", (unsigned)fl_set_version(set), fl_set_state_name(fl_set_state(set)),
         trouble ? ", trouble: " : "", trouble ? trouble->detail : "");
    oracle_set(&s->oracle, set, trouble);
}

static void on_pick(void *arg, uint64_t version, const char *peer) {
    struct watched *w = arg;
    oracle_pick(&w->scenario->oracle, version, peer);
    if (!w->scenario->peace) return;
    for (size_t i = 0; i < w->peer_count; i++)
        if (strcmp(w->peers[i], peer) == 0) return;
    if (w->peer_count < PEERS_MAX)
        fl_str_copy(w->peers[w->peer_count++], sizeof w->peers[0], fl_str_of(peer));
}

/* --- life --- */

static int write_kubeconfig(struct scenario *s) {
    char text[512];
    snprintf(text, sizeof text,
             "apiVersion: v1\nkind: Config\ncurrent-context: sim\n"
             "clusters: [{name: sim, cluster: {server: \"http://" API "\"}}]\n"
             "users: [{name: sim, user: {%s}}]\n"
             "contexts: [{name: sim, context: {cluster: sim, user: sim}}]\n",
             s->plan.token ? "token: secret" : "");
    int rc = fl_world_file(s->world, "/kubeconfig", fl_str_of(text));
    return rc ? rc : fl_world_env(s->world, "KUBECONFIG", "/kubeconfig");
}

static int start_client(struct scenario *s) {
    struct fl_channel_options options = {0};
    int rc = fl_discovery_new_on(s->io, NULL, &s->discovery, NULL);
    s->oracle.subscribed = true;
    if (!rc)
        rc = fl_discovery_subscribe_on(s->discovery, s->io, TARGET, on_set, s, &s->subscription,
                                       NULL);
    for (int i = 0; i < CHANNELS && !rc; i++) {
        struct watched *w = &s->channels[i];
        struct fl_channel_watcher watcher = {.on_pick = on_pick, .arg = w};
        w->scenario = s;
        rc = fl_channel_open(s->io, s->discovery, TARGET, &options, &w->channel, NULL);
        if (!rc) fl_channel_watch(w->channel, &watcher);
    }
    return rc;
}

static int start_timers(struct scenario *s) {
    int rc = fl_io_timer_init(s->io, &s->order_timer, run_orders);
    if (!rc) rc = fl_io_timer_init(s->io, &s->heal_timer, run_heal);
    if (!rc) rc = fl_io_timer_init(s->io, &s->service_timer, run_service);
    for (unsigned i = 0; i < CALLERS_MAX && !rc; i++) {
        s->callers[i].scenario = s;
        s->callers[i].number = i;
        rc = fl_io_timer_init(s->io, &s->callers[i].timer, run_caller);
    }
    return rc;
}

static void start(struct scenario *s, uint64_t seed, void (*line)(void *arg, const char *text),
                  void *arg) {
    struct fl_error err;
    *s = (struct scenario){.random = {seed + 1}};
    plan_make(&s->plan, seed);
    int rc = fl_world_new(&s->plan.world, &s->world);
    FL_ASSERT(rc == 0);
    s->io = fl_world_io(s->world);
    fl_world_observe(s->world, line, arg);
    if (s->plan.token) s->plan.sim.apiserver.token = FL_STR("secret");
    s->plan.sim.services = &s->plan.service;
    rc = fl_sim_new(s->io, &s->plan.sim, &s->sim, &err);
    FL_ASSERT(rc == 0);
    oracle_init(&s->oracle, s->world, s->sim, PLAN_SERVICE);
    s->oracle.violence = s->plan.violence;
    rc = write_kubeconfig(s);
    if (!rc) rc = start_timers(s);
    if (!rc) rc = start_client(s);
    FL_ASSERT(rc == 0);
    s->start_ms = fl_io_now_ms(s->io);
}

static void on_closed(void *arg) { ((struct scenario *)arg)->closes--; }

static bool is_closed(void *arg) { return ((struct scenario *)arg)->closes == 0; }

static void wait_closed(struct scenario *s, const char *what) {
    if (!fl_world_run_until(s->world, is_closed, s, CLOSE_MS))
        oracle_violated(&s->oracle, "%s did not close", what);
    FL_ASSERT(s->closes == 0); /* what is still open cannot be freed */
}

static void finish(struct scenario *s) {
    s->closes = CHANNELS;
    for (int i = 0; i < CHANNELS; i++) fl_channel_close(s->channels[i].channel, on_closed, s);
    wait_closed(s, "a channel");
    s->closes = 1;
    fl_subscription_close(s->subscription, on_closed, s);
    wait_closed(s, "the subscription");
    s->oracle.subscribed = false;
    s->closes = 1;
    fl_discovery_close(s->discovery, on_closed, s);
    wait_closed(s, "discovery");
    oracle_deinit(&s->oracle);
    s->closes = 1;
    fl_sim_close(s->sim, on_closed, s);
    wait_closed(s, "the deployment");
    fl_world_run_ms(s->world, 1000); /* the network's last words */
    if (fl_world_open_socks(s->world)) oracle_violated(&s->oracle, "socks were left open");
    fl_io_timer_deinit(s->io, &s->order_timer);
    fl_io_timer_deinit(s->io, &s->heal_timer);
    fl_io_timer_deinit(s->io, &s->service_timer);
    for (unsigned i = 0; i < CALLERS_MAX; i++) fl_io_timer_deinit(s->io, &s->callers[i].timer);
}

/* --- the story --- */

static bool is_well(void *arg) {
    struct scenario *s = arg;
    char why[FL_ORACLE_TEXT_MAX];
    return fl_sim_settled(s->sim) && oracle_converged(&s->oracle, why);
}

static void live_through_orders(struct scenario *s) {
    if (s->plan.order_count)
        fl_io_timer_set(s->io, &s->order_timer, s->start_ms + s->plan.orders[0].at_ms);
    call_from_now_on(s, s->plan.pause_ms_max);
    fl_world_run_ms(s->world, s->plan.faults_ms);
    heal(s);
    if (fl_timer_is_set(&s->service_timer)) make_service(s);
    fl_apiserver_heal(fl_sim_apiserver(s->sim));
    note(s, "no more orders");
}

static bool is_ill(void *arg) { return !is_well(arg); }

/* Returns how long it took. An old trouble may be heard of late: well means to stay well. */
static uint64_t become_quiet(struct scenario *s) {
    char why[FL_ORACLE_TEXT_MAX];
    uint64_t from = fl_io_now_ms(s->io), took = 0;
    s->pause_ms_max = 500;
    for (bool quiet = false; !quiet;) {
        uint64_t gone = fl_io_now_ms(s->io) - from;
        if (gone >= SETTLE_MS || !fl_world_run_until(s->world, is_well, s, SETTLE_MS - gone)) {
            (void)oracle_converged(&s->oracle, why);
            oracle_violated(&s->oracle, "%u s after the last order: %s", SETTLE_MS / 1000,
                            fl_sim_settled(s->sim) ? why : "the deployment has not settled");
            return gone;
        }
        took = fl_io_now_ms(s->io) - from;
        quiet = !fl_world_run_until(s->world, is_ill, s, QUIET_MS);
    }
    return took;
}

/* Everybody takes calls of every channel that has callers. */
static bool is_shared(void *arg) {
    struct scenario *s = arg;
    size_t usable = oracle_usable(&s->oracle);
    for (unsigned i = 0; i < CHANNELS && i < s->plan.callers; i++)
        if (s->channels[i].peer_count < usable) return false;
    return true;
}

/* All is well: every call succeeds, however many pods were killed before. */
static void call_in_peace(struct scenario *s) {
    if (!fl_sim_ready(s->sim, PLAN_SERVICE)) return;
    uint64_t bad = s->oracle.failed;
    s->peace = true;
    call_from_now_on(s, s->plan.pause_ms_max);
    if (!fl_world_run_until(s->world, is_shared, s, FL_ORACLE_SHARE_MS))
        oracle_violated(&s->oracle, "an endpoint gets no calls in peace");
    stop_calling(s);
    if (s->oracle.failed != bad)
        oracle_violated(&s->oracle, "%u calls failed in peace", (unsigned)(s->oracle.failed - bad));
}

void scenario_run(uint64_t seed, void (*line)(void *arg, const char *text), void *arg,
                  struct scenario_result *out) {
    struct scenario s;
    *out = (struct scenario_result){.trace = 0};
    start(&s, seed, line, arg);
    live_through_orders(&s);
    out->converged_ms = become_quiet(&s);
    stop_calling(&s);
    call_in_peace(&s);
    out->virtual_ms = fl_io_now_ms(s.io) - s.start_ms;
    out->sets = s.oracle.set_count;
    finish(&s);
    out->calls = s.oracle.calls;
    out->succeeded = s.oracle.succeeded;
    out->failed = s.oracle.failed;
    out->cancelled = s.oracle.cancelled;
    out->picks = s.oracle.picks;
    out->unjudged = s.oracle.unjudged;
    out->trace = fl_world_trace(s.world);
    snprintf(out->violation, sizeof out->violation, "%s", s.oracle.violation);
    fl_world_free(s.world);
}
