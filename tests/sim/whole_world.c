/* whole_world.c - see whole_world.h.
 *
 * While the orders of its plan run, each caller calls, waits a little,
 * calls again; some calls are cancelled. After the last order everything works again, and within
 * SETTLE_MS the subscriber must know the truth and calls must succeed. */
#include "whole_world.h"

#include <stdio.h>

#include "caller.h"
#include "channel/channel.h"
#include "chatter.h"
#include "deployment.h"
#include "house.h"
#include "leftovers.h"
#include "oracle.h"
#include "plan.h"
#include "registry/discovery.h"
#include "switchboard.h"
#include "truth.h"

#define TARGET     "kubernetes:///default/echo:grpc"
#define DIALLED    "10.0.0.0:6443" /* by way of the switchboard */
#define CHANNELS   2
#define CHATTERS   2 /* where there are any */
#define PEERS_MAX  16
#define CLOSE_MS   30000
#define END_MS     30000 /* within which the last calls end */
#define LOST_CALL  50    /* planted: which one */
#define CALLING_MS 180000
#define QUIET_MS   2000 /* the truth must stay known for so long */
#define HEDGING                                                                                    \
    "{\"methodConfig\":[{\"name\":[{}],\"hedgingPolicy\":{\"maxAttempts\":3,\"hedgingDelay\":"     \
    "\"0.01s\",\"nonFatalStatusCodes\":[\"UNAVAILABLE\"]}}]}"

struct visitor {
    struct whole_world *in;
    struct caller caller;
};

struct talker {
    struct whole_world *in;
    struct chatter chatter;
    struct fl_timer timer; /* the next call */
};

/* A channel and, in peace, who takes its calls. */
struct watched {
    struct whole_world *in;
    struct fl_channel *channel;
    struct fl_state_watch *watch;
    enum fl_channel_state state;
    char peers[PEERS_MAX][32];
    size_t peer_count;
};

struct whole_world {
    const struct plan *plan;
    struct story story;
    struct verdict verdict;
    enum plant plant;
    struct fl_random random;
    struct fl_world *world;
    struct fl_io *io;
    struct switchboard board;
    struct deployment deployment;
    struct fl_discovery *discovery;
    struct fl_subscription *subscription;
    struct watched channels[CHANNELS];
    struct oracle oracle;
    struct truth truth; /* for its ambiguity alone */
    struct visitor visitors[PLAN_CALLERS_MAX];
    struct talker talkers[CHATTERS];
    struct house house;
    struct fl_timer order_timer, rest_timer;
    size_t next_order;
    uint64_t start_ms;
    uint32_t pause_ms_max;
    bool calling, peace;
    unsigned results;
    unsigned idles;  /* how often a channel became idle */
    unsigned closes; /* close callbacks still to come */
    size_t timers;   /* that the world itself keeps */
};

/* --- orders --- */

static bool has_manager(const struct whole_world *s) { return s->plan->traits[PLAN_TRAIT_MANAGER]; }

static void rest(struct whole_world *s, uint32_t for_ms);

static void obey(struct whole_world *s, const struct order *order) {
    char words[128];
    size_t part = PLAN_TRAITS + 1 + (size_t)(order - s->plan->orders);
    if (story_is_heard(&s->story)) {
        plan_say(s->plan, part, words, sizeof words);
        story_tell(&s->story, "ORDER", "(%zu) %s", part, words);
    }
    switch (order->kind) {
    case ORDER_REST:
        rest(s, order->for_ms);
        break;
    case ORDER_RENEW:
        if (order->at_ms % 2)
            house_renew(&s->house);
        else
            house_renew_soon(&s->house);
        break;
    default:
        deployment_obey(&s->deployment, order);
    }
}

static void run_orders(struct fl_timer *timer) {
    struct whole_world *s = FL_CONTAINER(timer, struct whole_world, order_timer);
    const struct plan *plan = s->plan;
    uint64_t now = fl_io_now_ms(s->io) - s->start_ms;
    for (; s->next_order < plan->order_count; s->next_order++) {
        if (plan->orders[s->next_order].at_ms > now) break;
        if (plan->orders[s->next_order].kept) obey(s, &plan->orders[s->next_order]);
    }
    if (s->next_order < plan->order_count)
        fl_io_timer_set(s->io, timer, s->start_ms + plan->orders[s->next_order].at_ms);
}

/* --- callers --- */

static void on_called(struct caller *caller, const struct fl_call_result *result) {
    struct whole_world *s = FL_CONTAINER(caller, struct visitor, caller)->in;
    story_tell(&s->story, "caller", "%u round %u: %s %s %s", caller->number, caller->round,
               fl_status_name(result->status), result->peer, result->message);
    if (s->plant == PLANT_LOST_CALL && ++s->results == LOST_CALL)
        caller->judged.active = false; /* and the oracle does not hear of it */
    else
        oracle_call_ended(&s->oracle, &caller->judged, result);
    if (s->calling) caller_go_on(caller, s->pause_ms_max);
}

static unsigned talkers(const struct whole_world *s) {
    return s->plan->traits[PLAN_TRAIT_STREAMS] ? CHATTERS : 0;
}

static void pause_talker(struct talker *talker) {
    struct whole_world *s = talker->in;
    if (!s->calling) return;
    fl_io_timer_set(s->io, &talker->timer,
                    fl_io_now_ms(s->io) + fl_random_below(&s->random, s->pause_ms_max + 1));
}

static void run_talker(struct fl_timer *timer) {
    chatter_start(&FL_CONTAINER(timer, struct talker, timer)->chatter);
}

static void on_talked(struct chatter *chatter, const struct fl_call_result *result) {
    struct talker *talker = FL_CONTAINER(chatter, struct talker, chatter);
    story_tell(&talker->in->story, "chatter", "%u round %u: %s %s %u of %u %s", chatter->number,
               chatter->round, fl_status_name(result->status), result->peer, chatter->heard,
               chatter->count, result->message);
    pause_talker(talker);
}

static void call_from_now_on(struct whole_world *s, uint32_t pause_ms_max) {
    s->calling = true;
    s->pause_ms_max = pause_ms_max;
    for (unsigned i = 0; i < s->plan->callers; i++)
        caller_go_on(&s->visitors[i].caller, pause_ms_max);
    for (unsigned i = 0; i < talkers(s); i++)
        if (!s->talkers[i].chatter.judged.active) pause_talker(&s->talkers[i]);
    if (has_manager(s)) house_go_on(&s->house, true);
}

/* Calls under way go on. */
static void call_no_more(struct whole_world *s) {
    s->calling = false;
    for (unsigned i = 0; i < s->plan->callers; i++) caller_stop(&s->visitors[i].caller);
    for (unsigned i = 0; i < talkers(s); i++) fl_io_timer_clear(s->io, &s->talkers[i].timer);
    house_go_on(&s->house, false);
}

static void rest(struct whole_world *s, uint32_t for_ms) {
    call_no_more(s);
    fl_io_timer_set(s->io, &s->rest_timer, fl_io_now_ms(s->io) + for_ms);
}

static void run_rest(struct fl_timer *timer) {
    struct whole_world *s = FL_CONTAINER(timer, struct whole_world, rest_timer);
    call_from_now_on(s, s->pause_ms_max);
}

static bool all_ended(void *arg) {
    struct whole_world *s = arg;
    return s->oracle.calls == s->oracle.ended && !house_has_request(&s->house);
}

static void stop_calling(struct whole_world *s) {
    call_no_more(s);
    if (!fl_world_run_until(s->world, all_ended, s, END_MS))
        verdict_broken(&s->verdict, BREACH_CALL, "%u calls never ended%s",
                       (unsigned)(s->oracle.calls - s->oracle.ended),
                       house_has_request(&s->house) ? ", nor a request to the manager" : "");
}

/* --- what the oracle hears --- */

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct whole_world *s = arg;
    FL_UNUSED(previous);
    story_tell(&s->story, "client", "sees version %u: %s%s%s", (unsigned)fl_set_version(set),
               fl_set_state_name(fl_set_state(set)), trouble ? ", trouble: " : "",
               trouble ? trouble->detail : "");
    oracle_set(&s->oracle, set, trouble);
}

static void on_pick(void *arg, uint64_t version, const char *peer) {
    struct watched *w = arg;
    struct oracle *oracle = &w->in->oracle;
    bool astray = w->in->plant == PLANT_ASTRAY && oracle->picks == LOST_CALL;
    oracle_pick(oracle, version, astray ? "127.9.9.9:50051" : peer);
    if (!w->in->peace) return;
    for (size_t i = 0; i < w->peer_count; i++)
        if (strcmp(w->peers[i], peer) == 0) return;
    if (w->peer_count < PEERS_MAX)
        fl_str_copy(w->peers[w->peer_count++], sizeof w->peers[0], fl_str_of(peer));
}

static bool has_call(const struct watched *w) {
    const struct whole_world *s = w->in;
    for (unsigned i = 0; i < s->plan->callers; i++)
        if (&s->channels[i % CHANNELS] == w && s->visitors[i].caller.judged.active) return true;
    for (unsigned i = 0; i < talkers(s); i++)
        if (&s->channels[i % CHANNELS] == w && s->talkers[i].chatter.judged.active) return true;
    return false;
}

/* What entering and leaving idle meets at its every step. */
static void disturb(struct whole_world *s) {
    int rc = 0;
    if (!s->plan->traits[PLAN_TRAIT_RESTLESS] || !plan_chance(&s->random, 40)) return;
    if (fl_io_now_ms(s->io) > s->start_ms + s->plan->faults_ms) return;
    if (plan_chance(&s->random, 50))
        rc = fl_sim_roll(s->deployment.sim, DEPLOYMENT_SERVICE, NULL);
    else
        rc = fl_sim_scale(s->deployment.sim, DEPLOYMENT_SERVICE,
                          (unsigned)plan_draw(&s->random, 0, 6), NULL);
    FL_ASSERT(rc == 0);
}

static void on_state(void *arg, enum fl_channel_state state, const struct fl_error *why) {
    struct watched *w = arg;
    struct whole_world *s = w->in;
    story_tell(&s->story, "channel", "%u is %s %s", (unsigned)(w - s->channels),
               fl_channel_state_name(state), why ? why->detail : "");
    if (state == FL_CHANNEL_IDLE && s->plant == PLANT_NEVER_IDLE) return;
    if (state == FL_CHANNEL_IDLE || w->state == FL_CHANNEL_IDLE) disturb(s);
    w->state = state;
    if (state != FL_CHANNEL_IDLE) return;
    s->idles++;
    if (has_call(w))
        verdict_broken(&s->verdict, BREACH_CALL, "a channel became idle while a call was open");
}

/* --- life --- */

static int write_kubeconfig(struct whole_world *s) {
    char text[512];
    snprintf(text, sizeof text,
             "apiVersion: v1\nkind: Config\ncurrent-context: sim\n"
             "clusters: [{name: sim, cluster: {server: \"http://" DIALLED "\"}}]\n"
             "users: [{name: sim, user: {%s}}]\n"
             "contexts: [{name: sim, context: {cluster: sim, user: sim}}]\n",
             s->plan->traits[PLAN_TRAIT_TOKEN] ? "token: secret" : "");
    int rc = fl_world_file(s->world, "/kubeconfig", fl_str_of(text));
    return rc ? rc : fl_world_env(s->world, "KUBECONFIG", "/kubeconfig");
}

static int start_client(struct whole_world *s) {
    const bool *traits = s->plan->traits;
    struct fl_channel_options options = {.idle_timeout_ms =
                                             traits[PLAN_TRAIT_IDLE] ? s->plan->idle_ms : 0};
    int rc = fl_discovery_new_on(s->io, NULL, &s->discovery, NULL);
    s->oracle.subscribed = true;
    if (!rc)
        rc = fl_discovery_subscribe_on(s->discovery, s->io, TARGET, on_set, s, &s->subscription,
                                       NULL);
    for (int i = 0; i < CHANNELS && !rc; i++) {
        struct watched *w = &s->channels[i];
        struct fl_channel_watcher watcher = {.on_pick = on_pick, .arg = w};
        w->in = s;
        options.service_config = !traits[PLAN_TRAIT_RETRIES] ? NULL
                                 : i == 0                    ? HOUSE_RETRIES
                                                             : HEDGING;
        options.health.grpc_service = traits[PLAN_TRAIT_HEALTH] && i == 0 ? "" : NULL;
        rc = fl_channel_open(s->io, s->discovery, TARGET, &options, &w->channel, NULL);
        if (!rc) fl_channel_watch(w->channel, &watcher);
        if (!rc) rc = fl_channel_watch_state(w->channel, on_state, w, &w->watch, NULL);
    }
    return rc;
}

static void start_house(struct whole_world *s) {
    static const struct house_name names[] = {{"echo:grpc", HOUSE_SERVICE},
                                              {"echo", HOUSE_SERVICE},
                                              {"default/echo:80", HOUSE_SERVICE},
                                              {"echo:9", HOUSE_NO_PORT},
                                              {"none", HOUSE_NO_SERVICE}};
    const struct house_world in = {.io = s->io,
                                   .plan = s->plan,
                                   .plant = s->plant,
                                   .verdict = &s->verdict,
                                   .story = &s->story,
                                   .oracle = &s->oracle,
                                   .idle_ms =
                                       s->plan->traits[PLAN_TRAIT_IDLE] ? s->plan->idle_ms : 0,
                                   .names = names,
                                   .name_count = FL_COUNT(names)};
    house_init(&s->house, &in);
    if (has_manager(s)) house_open(&s->house, s->discovery);
}

static int start_callers(struct whole_world *s) {
    int rc = 0;
    for (unsigned i = 0; i < PLAN_CALLERS_MAX && !rc; i++) {
        s->visitors[i].in = s;
        s->visitors[i].caller = (struct caller){.io = s->io,
                                                .random = &s->random,
                                                .oracle = &s->oracle,
                                                .channel = s->channels[i % CHANNELS].channel,
                                                .on_end = on_called,
                                                .number = i,
                                                .plain = s->plan->traits[PLAN_TRAIT_PLAIN]};
        rc = caller_init(&s->visitors[i].caller);
    }
    return rc;
}

static int start_talkers(struct whole_world *s) {
    int rc = 0;
    for (unsigned i = 0; i < CHATTERS && !rc; i++) {
        struct talker *talker = &s->talkers[i];
        talker->in = s;
        talker->chatter = (struct chatter){.io = s->io,
                                           .random = &s->random,
                                           .oracle = &s->oracle,
                                           .channel = s->channels[i % CHANNELS].channel,
                                           .on_end = on_talked,
                                           .number = i};
        rc = fl_io_timer_init(s->io, &talker->timer, run_talker);
        if (!rc) rc = chatter_init(&talker->chatter);
    }
    return rc;
}

static int start_timers(struct whole_world *s) {
    int rc = fl_io_timer_init(s->io, &s->order_timer, run_orders);
    if (!rc) rc = fl_io_timer_init(s->io, &s->rest_timer, run_rest);
    return rc;
}

static void start_world(struct whole_world *s, const struct world_watcher *watcher) {
    const bool *traits = s->plan->traits;
    const struct fl_world_options options = {.seed = s->plan->seed,
                                             .latency_us_min = traits[PLAN_TRAIT_SLOW] ? 1000 : 50,
                                             .latency_us_max =
                                                 traits[PLAN_TRAIT_SLOW] ? 40000 : 500,
                                             .chop = traits[PLAN_TRAIT_CHOP],
                                             .reorder = traits[PLAN_TRAIT_REORDER]};
    int rc = fl_world_new(&options, &s->world);
    FL_ASSERT(rc == 0);
    s->io = fl_world_io(s->world);
    s->timers = s->io->timers.reserved;
    s->story = (struct story){s->io, watcher->story, watcher->arg};
    s->verdict.story = &s->story;
    s->plant = watcher->plant;
    fl_world_observe(s->world, watcher->raw, watcher->arg);
    switchboard_init(&s->board, s->world, &s->story);
    switchboard_connect(&s->board, 0, "client", DEPLOYMENT_API_PORT);
}

static void start(struct whole_world *s, const struct plan *plan,
                  const struct world_watcher *watcher) {
    static const char *const names[] = {DEPLOYMENT_SERVICE};
    *s = (struct whole_world){.plan = plan, .random = {plan->seed + 1}};
    start_world(s, watcher);
    deployment_init(&s->deployment, s->world, plan);
    truth_init(&s->truth, fl_cluster_store(fl_sim_cluster(s->deployment.sim)), names, 1);
    oracle_init(&s->oracle, s->world, s->deployment.sim, DEPLOYMENT_SERVICE, &s->verdict);
    s->oracle.violence = plan->traits[PLAN_TRAIT_VIOLENCE];
    int rc = write_kubeconfig(s);
    if (!rc) rc = start_timers(s);
    if (!rc) rc = start_client(s);
    if (!rc) rc = start_callers(s);
    if (!rc) rc = start_talkers(s);
    FL_ASSERT(rc == 0);
    start_house(s);
    s->start_ms = fl_io_now_ms(s->io);
    run_orders(&s->order_timer);
}

static void on_closed(void *arg) { ((struct whole_world *)arg)->closes--; }

static bool is_closed(void *arg) {
    const struct whole_world *s = arg;
    return s->closes == 0 && (s->house.mgr || house_is_closed(&s->house));
}

static void wait_closed(struct whole_world *s, const char *what) {
    if (!fl_world_run_until(s->world, is_closed, s, CLOSE_MS))
        verdict_broken(&s->verdict, BREACH_LIFE, "%s did not close", what);
    FL_ASSERT(s->closes == 0); /* what is still open cannot be freed */
}

/* Everything is closed while calls are open: they end, with whatever status. */
static void finish(struct whole_world *s) {
    s->oracle.violence = true;
    call_from_now_on(s, s->plan->pause_ms_max);
    fl_world_run_ms(s->world, fl_random_below(&s->random, s->plan->pause_ms_max + 1));
    call_no_more(s);
    house_close(&s->house);
    s->closes = 2 * CHANNELS;
    for (int i = 0; i < CHANNELS; i++) fl_channel_close(s->channels[i].channel, on_closed, s);
    for (int i = 0; i < CHANNELS; i++) fl_channel_unwatch_state(s->channels[i].watch, on_closed, s);
    wait_closed(s, "a channel");
    if (!all_ended(s)) verdict_broken(&s->verdict, BREACH_CALL, "a call outlived its channel");
    s->closes = 1;
    fl_subscription_close(s->subscription, on_closed, s);
    wait_closed(s, "the subscription");
    s->oracle.subscribed = false;
    s->closes = 1;
    fl_discovery_close(s->discovery, on_closed, s);
    wait_closed(s, "discovery");
    oracle_deinit(&s->oracle);
    truth_deinit(&s->truth);
    s->closes = 1;
    fl_sim_close(s->deployment.sim, on_closed, s);
    wait_closed(s, "the deployment");
    fl_world_run_ms(s->world, 1000); /* the network's last words */
    house_deinit(&s->house);
    deployment_deinit(&s->deployment);
    fl_io_timer_deinit(s->io, &s->order_timer);
    fl_io_timer_deinit(s->io, &s->rest_timer);
    for (unsigned i = 0; i < CHATTERS; i++) {
        fl_io_timer_deinit(s->io, &s->talkers[i].timer);
        chatter_deinit(&s->talkers[i].chatter);
    }
    for (unsigned i = 0; i < PLAN_CALLERS_MAX; i++) caller_deinit(&s->visitors[i].caller);
    leftovers_judge(s->world, s->timers, s->plant, &s->verdict);
    switchboard_deinit(&s->board);
}

/* --- the story --- */

static bool is_well(void *arg) {
    struct whole_world *s = arg;
    char why[VERDICT_TEXT_MAX];
    if (s->truth.ambiguous) return true;
    if (!fl_sim_settled(s->deployment.sim) || !oracle_converged(&s->oracle, why)) return false;
    return !has_manager(s) ||
           (oracle_knows_ports(&s->oracle) && house_was_told(&s->house, DEPLOYMENT_SERVICE));
}

static void live_through_orders(struct whole_world *s) {
    call_from_now_on(s, s->plan->pause_ms_max);
    fl_world_run_ms(s->world, s->plan->faults_ms + 1);
    deployment_heal(&s->deployment);
    if (fl_timer_is_set(&s->rest_timer)) {
        fl_io_timer_clear(s->io, &s->rest_timer);
        run_rest(&s->rest_timer);
    }
    story_tell(&s->story, "ORDER", "no more orders; everything works again");
}

static bool is_ill(void *arg) { return !is_well(arg); }

/* Returns how long it took. An old trouble may be heard of late: well means to stay well. */
static uint64_t become_quiet(struct whole_world *s) {
    char why[VERDICT_TEXT_MAX];
    uint64_t from = fl_io_now_ms(s->io), took = 0, limit = plan_settle_ms(s->plan);
    s->pause_ms_max = 500;
    for (bool quiet = false; !quiet;) {
        uint64_t gone = fl_io_now_ms(s->io) - from;
        if (gone > CALLING_MS) stop_calling(s); /* an hour of calls tells no more than a minute */
        uint64_t limit_now = gone > CALLING_MS ? limit : FL_MIN(limit, CALLING_MS + 1);
        if (gone < limit_now && !fl_world_run_until(s->world, is_well, s, limit_now - gone) &&
            limit_now < limit)
            continue;
        gone = fl_io_now_ms(s->io) - from;
        if (!is_well(s)) {
            (void)oracle_converged(&s->oracle, why);
            verdict_broken(&s->verdict, BREACH_WAIT, "%u s after the last order: %s",
                           (unsigned)(limit / 1000),
                           !fl_sim_settled(s->deployment.sim) ? "the deployment has not settled"
                           : why[0]                           ? why
                                    : "the Service, its name or its ports, is not known");
            return gone;
        }
        took = gone;
        quiet = !fl_world_run_until(s->world, is_ill, s, QUIET_MS);
    }
    return took;
}

/* Everybody takes calls of every channel that has callers. */
static bool is_shared(void *arg) {
    struct whole_world *s = arg;
    size_t usable = oracle_usable(&s->oracle);
    for (unsigned i = 0; i < CHANNELS && i < s->plan->callers; i++)
        if (s->channels[i].peer_count < usable) return false;
    return true;
}

/* Then each call goes to whoever is connected first. */
static bool goes_idle_between_calls(const struct whole_world *s) {
    return s->plan->traits[PLAN_TRAIT_IDLE] && s->plan->idle_ms <= s->plan->pause_ms_max;
}

/* All is well: every call succeeds, however many pods were killed before. */
static void call_in_peace(struct whole_world *s) {
    if (!fl_sim_ready(s->deployment.sim, DEPLOYMENT_SERVICE) || s->truth.ambiguous) return;
    uint64_t bad = s->oracle.failed;
    s->peace = s->house.peace = true;
    call_from_now_on(s, s->plan->pause_ms_max);
    if (goes_idle_between_calls(s))
        fl_world_run_ms(s->world, 1000);
    else if (!fl_world_run_until(s->world, is_shared, s, FL_ORACLE_SHARE_MS))
        verdict_broken(&s->verdict, BREACH_CALL, "an endpoint gets no calls in peace");
    stop_calling(s);
    s->house.peace = false;
    if (s->oracle.failed != bad)
        verdict_broken(&s->verdict, BREACH_CALL, "%u calls failed in peace",
                       (unsigned)(s->oracle.failed - bad));
}

static int64_t connections(const struct whole_world *s) {
    return fl_metric_value(
        fl_metrics_get(s->io->metrics, FL_METRIC_GAUGE, "fairlead_channel_connections", "", ""));
}

/* All pods change while the channels are idle; then all is as well as before. */
static void change_while_idle(struct whole_world *s) {
    if (!s->plan->traits[PLAN_TRAIT_IDLE]) return;
    fl_world_run_ms(s->world, s->plan->idle_ms + 100);
    for (int i = 0; i < CHANNELS; i++)
        if (s->channels[i].state != FL_CHANNEL_IDLE)
            verdict_broken(&s->verdict, BREACH_CALL, "channel %d does not become idle", i);
    if (connections(s)) verdict_broken(&s->verdict, BREACH_CALL, "idle channels have connections");
    int rc = fl_sim_roll(s->deployment.sim, DEPLOYMENT_SERVICE, NULL);
    FL_ASSERT(rc == 0);
    fl_world_run_ms(s->world, 1000);
    (void)become_quiet(s);
    call_in_peace(s);
}

static void report(const struct whole_world *s, struct world_result *out) {
    out->sets = s->oracle.set_count;
    out->dials = s->board.lines[0].dials;
    out->requests = s->board.lines[0].requests;
    out->calls = s->oracle.calls;
    out->succeeded = s->oracle.succeeded;
    out->failed = s->oracle.failed;
    out->cancelled = s->oracle.cancelled;
    out->picks = s->oracle.picks;
    out->given = s->house.given;
    out->refused = s->oracle.refused;
    out->unjudged = s->oracle.unjudged;
    out->idles = s->idles;
    out->virtual_ms = fl_io_now_ms(s->io) - s->start_ms;
}

void whole_world_run(const struct plan *plan, const struct world_watcher *watcher,
                     struct world_result *out) {
    struct whole_world s;
    *out = (struct world_result){.breach = BREACH_NONE};
    start(&s, plan, watcher);
    live_through_orders(&s);
    out->converged_ms = become_quiet(&s);
    stop_calling(&s);
    call_in_peace(&s);
    change_while_idle(&s);
    report(&s, out);
    finish(&s);
    out->trace = fl_world_trace(s.world);
    out->breach = s.verdict.breach;
    snprintf(out->text, sizeof out->text, "%s", s.verdict.text);
    fl_world_free(s.world);
}
