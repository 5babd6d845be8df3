/* discovery_world.c - see discovery_world.h. */
#include "discovery_world.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "client.h"
#include "leftovers.h"
#include "mirror.h"
#include "sim/apiserver.h"
#include "town.h"

#define API             "127.0.0.1"
#define SERVERS         2
#define SERVER_PORT     7000
#define MIRRORS         2
#define MIRROR_LINE     14 /* of the switchboard */
#define EAGER_LINE      15
#define EAGER_MS        100
#define LOOK_MS         2000   /* between two looks at the sets' ages */
#define QUIET_MS        2000   /* the truth must stay known for so long */
#define FRESH_MS        100000 /* and the sets fresh */
#define CLOSE_MS        60000
#define BOOKMARK_MS_MAX 40000 /* with rarer ones a set may be stale for a moment */
#define RAMP_MS         90000 /* of an outage, until the cap of all backoffs is reached */
#define CAP_MS          30000

/* A client's dials at the beginning of what is counted of an outage. */
struct count {
    uint64_t dials, requests, since_ms;
};

struct outage {
    uint64_t until_ms; /* 0: none */
    bool counted;
    bool silent; /* each watch finds out by itself, and asks once */
    struct count counts[PLAN_CLIENTS_MAX];
};

struct discovery_world {
    const struct plan *plan;
    enum plant plant;
    struct story story;
    struct verdict verdict;
    struct fl_world *world;
    struct fl_io *io;
    struct switchboard board;
    struct town town;
    struct truth truth;
    struct fl_apiserver *servers[SERVERS];
    struct client_world shared;
    struct client clients[PLAN_CLIENTS_MAX];
    struct fl_kube_client *mirror_client;
    struct mirror mirrors[MIRRORS];
    struct fl_timer order_timer, heal_timer, look_timer, eager_timer;
    struct fl_sock *eager; /* planted: its dial under way */
    size_t next_order;
    uint64_t start_ms;
    struct outage outage;
    uint64_t judged_at; /* happenings that `well` was said of, and 1 */
    bool well;
    unsigned closes;
    size_t timers; /* that the world itself keeps */
};

/* --- outages --- */

static void count_outage(struct discovery_world *w) {
    uint64_t now = fl_io_now_ms(w->io);
    w->outage.counted = true;
    for (unsigned i = 0; i < w->plan->clients; i++) {
        const struct switchboard_line *line = &w->board.lines[i];
        w->outage.counts[i] = (struct count){line->dials, line->requests, now};
    }
}

/* Every reflector, and every audit, makes one attempt per cap and no more; those of one client
 * share its circuit. */
static void judge_outage(struct discovery_world *w) {
    uint64_t now = fl_io_now_ms(w->io);
    for (unsigned i = 0; i < w->plan->clients; i++) {
        const struct count *count = &w->outage.counts[i];
        const struct switchboard_line *line = &w->board.lines[i];
        uint64_t dials = line->dials - count->dials, allowed = (now - count->since_ms) / CAP_MS + 2;
        if (w->outage.silent) allowed += 2 * client_subscriptions(&w->clients[i]);
        story_tell(&w->story, "outage",
                   "client %u dialled %" PRIu64 " times in %" PRIu64 " s, %" PRIu64 " are allowed",
                   i, dials, (now - count->since_ms) / 1000, allowed);
        /* Who asks a manager begins something new all the time. */
        if (client_subscriptions(&w->clients[i]) == 0 || w->plan->traits[PLAN_TRAIT_MANAGER] ||
            w->clients[i].disturbed_ms + RAMP_MS > count->since_ms)
            continue;
        if (dials > allowed)
            verdict_broken(&w->verdict, BREACH_REQUESTS,
                           "client %u dialled %" PRIu64 " times in %" PRIu64 " s of an outage", i,
                           dials, (now - count->since_ms) / 1000);
    }
}

static void heal(struct discovery_world *w) {
    if (!w->outage.until_ms) return;
    fl_io_timer_clear(w->io, &w->heal_timer);
    if (w->outage.counted) judge_outage(w);
    w->outage = (struct outage){0};
    fl_world_fault(w->world, FL_STR(API), FL_WORLD_OK);
    story_tell(&w->story, "network", "the API server can be reached again");
}

static void run_heal(struct fl_timer *timer) {
    struct discovery_world *w = FL_CONTAINER(timer, struct discovery_world, heal_timer);
    uint64_t left = w->outage.until_ms - fl_io_now_ms(w->io);
    if (!w->outage.counted && left) {
        count_outage(w);
        fl_io_timer_set(w->io, timer, w->outage.until_ms);
    } else {
        heal(w);
    }
}

static void begin_outage(struct discovery_world *w, enum fl_world_fault fault, uint32_t for_ms) {
    uint64_t now = fl_io_now_ms(w->io);
    if (w->outage.until_ms) return; /* it is gone already */
    w->outage = (struct outage){.until_ms = now + for_ms,
                                .counted = for_ms < PLAN_LONG_MS,
                                .silent = fault == FL_WORLD_BLACKHOLE};
    if (fault == FL_WORLD_REFUSE) fl_world_cut(w->world, FL_STR(API));
    fl_world_fault(w->world, FL_STR(API), fault);
    fl_io_timer_set(w->io, &w->heal_timer, now + (w->outage.counted ? for_ms : RAMP_MS));
    for (unsigned i = 0; w->outage.counted && i < w->plan->clients; i++)
        w->outage.counts[i].since_ms = now; /* too short to be judged: nothing is counted */
}

/* --- a planted client without patience --- */

static void eager_open(void *arg, struct fl_str alpn) {
    struct discovery_world *w = arg;
    FL_UNUSED(alpn);
    fl_sock_abort(w->io, w->eager); /* it wanted no more */
}

static void eager_close(void *arg, const struct fl_error *why) {
    FL_UNUSED(why);
    ((struct discovery_world *)arg)->eager = NULL;
}

static const struct fl_sock_events eager_events = {.on_open = eager_open, .on_close = eager_close};

static void run_eager(struct fl_timer *timer) {
    struct discovery_world *w = FL_CONTAINER(timer, struct discovery_world, eager_timer);
    const struct fl_dial dial = {.host = FL_STR("10.0.0.0"),
                                 .port = SWITCHBOARD_PORT,
                                 .deadline_ms = fl_io_now_ms(w->io) + EAGER_MS};
    fl_io_timer_set(w->io, timer, fl_io_now_ms(w->io) + EAGER_MS);
    if (!w->outage.until_ms || w->eager) return;
    int rc = fl_io_dial(w->io, &dial, &eager_events, w, &w->eager, NULL);
    FL_ASSERT(rc == 0);
}

/* --- orders --- */

static void misbehave(struct discovery_world *w, enum fl_fault_kind fault, unsigned times) {
    int servers = fault == FL_FAULT_RESTORED ? 1 : SERVERS; /* they have one etcd */
    for (int i = 0; i < servers; i++) fl_apiserver_fault(w->servers[i], fault, times);
}

static void flip(struct discovery_world *w, unsigned server) {
    switchboard_flip(&w->board, (uint16_t)(SERVER_PORT + server % SERVERS));
    fl_world_cut(w->world, FL_STR(API));
}

static void obey_for_client(struct discovery_world *w, const struct order *order) {
    struct client *client = &w->clients[order->client];
    if (order->kind == ORDER_SUBSCRIBE)
        client_subscribe(client, order->service);
    else if (order->kind == ORDER_UNSUBSCRIBE)
        client_unsubscribe(client, order->service);
    else if (order->kind == ORDER_RENEW)
        client_renew(client);
    else
        client_restart(client);
}

static void obey(struct discovery_world *w, const struct order *order) {
    char words[128];
    size_t part = PLAN_TRAITS + 1 + (size_t)(order - w->plan->orders);
    if (story_is_heard(&w->story)) {
        plan_say(w->plan, part, words, sizeof words);
        story_tell(&w->story, "ORDER", "(%zu) %s", part, words);
    }
    switch (order->kind) {
    case ORDER_SUBSCRIBE:
    case ORDER_UNSUBSCRIBE:
    case ORDER_RESTART:
    case ORDER_RENEW:
        obey_for_client(w, order);
        break;
    case ORDER_FLIP:
        if (!w->outage.until_ms) flip(w, order->count);
        break;
    case ORDER_CUT:
        fl_world_cut(w->world, FL_STR(API));
        break;
    case ORDER_REFUSE:
        begin_outage(w, FL_WORLD_REFUSE, order->for_ms);
        break;
    case ORDER_BLACKHOLE:
        begin_outage(w, FL_WORLD_BLACKHOLE, order->for_ms);
        break;
    case ORDER_FAULT:
        misbehave(w, order->fault, order->count);
        break;
    case ORDER_END_WATCHES:
        for (int i = 0; i < SERVERS; i++) fl_apiserver_end_watches(w->servers[i]);
        break;
    case ORDER_COMPACT:
        fl_cluster_compact(w->town.cluster);
        break;
    default:
        town_obey(&w->town, order);
    }
}

static void obey_due(struct discovery_world *w) {
    const struct plan *plan = w->plan;
    uint64_t now = fl_io_now_ms(w->io) - w->start_ms;
    for (; w->next_order < plan->order_count; w->next_order++) {
        const struct order *order = &plan->orders[w->next_order];
        if (order->at_ms > now) break;
        if (order->kept && (order->at_ms || !town_concerns(order))) obey(w, order);
    }
    if (w->next_order < plan->order_count)
        fl_io_timer_set(w->io, &w->order_timer, w->start_ms + plan->orders[w->next_order].at_ms);
}

static void run_orders(struct fl_timer *timer) {
    obey_due(FL_CONTAINER(timer, struct discovery_world, order_timer));
}

/* --- looking on --- */

static void run_look(struct fl_timer *timer) {
    struct discovery_world *w = FL_CONTAINER(timer, struct discovery_world, look_timer);
    for (unsigned i = 0; i < w->plan->clients; i++) client_judge_age(&w->clients[i]);
    fl_io_timer_set(w->io, timer, fl_io_now_ms(w->io) + LOOK_MS);
}

/* What is not as it should be, by the promise that it breaks if it stays so; NONE: all is well. */
static enum breach say_ill(const struct discovery_world *w, char *why) {
    enum breach breach = BREACH_NONE;
    if (w->truth.ambiguous) return BREACH_NONE;
    for (int i = 0; i < MIRRORS && !breach; i++) breach = mirror_say_ill(&w->mirrors[i], why);
    for (unsigned i = 0; i < w->plan->clients && !breach; i++)
        if (!client_is_well(&w->clients[i], why)) breach = BREACH_WAIT;
    return breach;
}

/* Changes whenever the answer of say_ill may. */
static uint64_t count_happenings(const struct discovery_world *w) {
    uint64_t n = fl_cluster_version(w->town.cluster);
    for (unsigned i = 0; i < w->plan->clients; i++) n += w->clients[i].happenings;
    for (int i = 0; i < MIRRORS; i++) n += w->mirrors[i].changes;
    return n;
}

static bool is_well(void *arg) {
    char why[VERDICT_TEXT_MAX];
    struct discovery_world *w = arg;
    uint64_t happenings = count_happenings(w) + 1;
    if (w->verdict.breach) return true;
    if (happenings != w->judged_at) w->well = !say_ill(w, why);
    w->judged_at = happenings;
    return w->well;
}

static bool is_ill(void *arg) { return !is_well(arg); }

/* --- the story --- */

static void live_through_orders(struct discovery_world *w) {
    for (unsigned i = 0; i < w->plan->clients; i++) client_ask(&w->clients[i], true);
    fl_world_run_ms(w->world, w->plan->faults_ms + 1);
    heal(w);
    for (unsigned i = 0; i < w->plan->clients; i++) client_ask(&w->clients[i], false);
    town_settle(&w->town);
    for (int i = 0; i < SERVERS; i++) fl_apiserver_heal(w->servers[i]);
    fl_io_timer_clear(w->io, &w->eager_timer);
    story_tell(&w->story, "ORDER", "no more orders; everything works again");
}

/* Returns how long it took. An old trouble may be heard of late: well means to stay well. */
static uint64_t become_well(struct discovery_world *w) {
    char why[VERDICT_TEXT_MAX];
    uint64_t from = fl_io_now_ms(w->io), took = 0;
    uint64_t limit = plan_settle_ms(w->plan);
    for (bool quiet = false; !quiet && !w->verdict.breach;) {
        uint64_t gone = fl_io_now_ms(w->io) - from;
        if (gone >= limit || !fl_world_run_until(w->world, is_well, w, limit - gone)) {
            verdict_broken(&w->verdict, say_ill(w, why), "%" PRIu64 " s after the last order: %s",
                           limit / 1000, why);
            return gone;
        }
        took = fl_io_now_ms(w->io) - from;
        quiet = !fl_world_run_until(w->world, is_ill, w, QUIET_MS);
    }
    return took;
}

/* Nothing happens, and the server answers: the sets are fresh all the time. */
static void stay_fresh(struct discovery_world *w) {
    if (w->plan->bookmark_ms > BOOKMARK_MS_MAX || plan_has_silence(w->plan)) return;
    for (uint64_t gone = 0; gone < FRESH_MS && !w->verdict.breach; gone += LOOK_MS) {
        fl_world_run_ms(w->world, LOOK_MS);
        if (gone < CLIENT_FRESH_MS)
            continue; /* watches that are silent by a fault have ended by now */
        for (unsigned i = 0; i < w->plan->clients; i++) client_judge_fresh(&w->clients[i]);
    }
}

/* --- life --- */

static void start_world(struct discovery_world *w, const struct world_watcher *watcher) {
    const struct plan *plan = w->plan;
    const struct fl_world_options options = {
        .seed = plan->seed,
        .latency_us_min = plan->traits[PLAN_TRAIT_SLOW] ? 1000 : 50,
        .latency_us_max = plan->traits[PLAN_TRAIT_SLOW] ? 40000 : 500,
        .chop = plan->traits[PLAN_TRAIT_CHOP],
        .reorder = plan->traits[PLAN_TRAIT_REORDER]};
    int rc = fl_world_new(&options, &w->world);
    FL_ASSERT(rc == 0);
    w->io = fl_world_io(w->world);
    w->timers = w->io->timers.reserved;
    w->story = (struct story){w->io, watcher->story, watcher->arg};
    w->verdict.story = &w->story;
    fl_world_observe(w->world, watcher->raw, watcher->arg);
    switchboard_init(&w->board, w->world, &w->story);
}

static void start_servers(struct discovery_world *w) {
    const struct plan *plan = w->plan;
    for (int i = 0; i < SERVERS; i++) {
        const struct fl_apiserver_options options = {
            .host = FL_STR(API),
            .port = (uint16_t)(SERVER_PORT + i),
            .bookmark_ms = plan->bookmark_ms,
            .no_streaming_list = plan->traits[PLAN_TRAIT_NO_STREAMING],
            .no_endpointslices = plan->traits[PLAN_TRAIT_NO_SLICES],
            .no_protobuf = plan->traits[PLAN_TRAIT_NO_PROTOBUF],
            .token = plan->traits[PLAN_TRAIT_TOKEN] ? FL_STR("secret") : FL_STR_NONE};
        int rc = fl_apiserver_new(w->io, w->town.cluster, &options, &w->servers[i], NULL);
        FL_ASSERT(rc == 0);
    }
}

static void start_mirrors(struct discovery_world *w) {
    char token[] = "secret", host[] = "10.0.0.14", path[] = "", ns[] = "default",
         source[] = "mirror";
    const struct fl_kube_client_options options = {.http2_cleartext =
                                                       w->plan->traits[PLAN_TRAIT_HTTP2]};
    const struct fl_kube_config config = {.host = host,
                                          .port = SWITCHBOARD_PORT,
                                          .path = path,
                                          .ns = ns,
                                          .token = w->plan->traits[PLAN_TRAIT_TOKEN] ? token : NULL,
                                          .source = source};
    bool slices = !w->plan->traits[PLAN_TRAIT_NO_SLICES];
    switchboard_connect(&w->board, MIRROR_LINE, "mirror", SERVER_PORT);
    int rc = fl_kube_client_new(w->io, &config, &options, &w->mirror_client, NULL);
    mirror_init(&w->mirrors[0], FL_K8S_SERVICE, &w->truth, &w->verdict, &w->story);
    mirror_init(&w->mirrors[1], slices ? FL_K8S_ENDPOINTSLICE : FL_K8S_ENDPOINTS, &w->truth,
                &w->verdict, &w->story);
    for (int i = 0; i < MIRRORS && !rc; i++) {
        w->mirrors[i].deaf_to_deletes = w->plant == PLANT_DROP_DELETE;
        rc = mirror_open(&w->mirrors[i], w->io, w->mirror_client);
    }
    FL_ASSERT(rc == 0);
}

static void start_clients(struct discovery_world *w) {
    char who[24];
    w->shared = (struct client_world){w->world,    w->io,     &w->board, &w->truth,
                                      &w->verdict, &w->story, w->plan,   w->plant};
    for (unsigned i = 0; i < w->plan->clients; i++) {
        snprintf(who, sizeof who, "client %u", i);
        switchboard_connect(&w->board, i, who, SERVER_PORT);
        client_init(&w->clients[i], &w->shared, i);
    }
}

static void start(struct discovery_world *w, const struct world_watcher *watcher) {
    start_world(w, watcher);
    int rc = town_init(&w->town, w->io, w->plan, &w->story);
    if (!rc) rc = fl_io_timer_init(w->io, &w->order_timer, run_orders);
    if (!rc) rc = fl_io_timer_init(w->io, &w->heal_timer, run_heal);
    if (!rc) rc = fl_io_timer_init(w->io, &w->look_timer, run_look);
    if (!rc) rc = fl_io_timer_init(w->io, &w->eager_timer, run_eager);
    FL_ASSERT(rc == 0);
    truth_init(&w->truth, fl_cluster_store(w->town.cluster), w->town.names, w->plan->services);
    start_servers(w);
    w->start_ms = fl_io_now_ms(w->io);
    for (size_t i = 0; i < w->plan->order_count && !w->plan->orders[i].at_ms; i++)
        if (w->plan->orders[i].kept && town_concerns(&w->plan->orders[i]))
            obey(w, &w->plan->orders[i]);
    start_clients(w);
    start_mirrors(w);
    obey_due(w);
    fl_io_timer_set(w->io, &w->look_timer, w->start_ms + LOOK_MS);
    if (w->plant == PLANT_EAGER) fl_io_timer_set(w->io, &w->eager_timer, w->start_ms + EAGER_MS);
}

static void on_closed(void *arg) { ((struct discovery_world *)arg)->closes--; }

static bool is_closed(void *arg) {
    const struct discovery_world *w = arg;
    for (unsigned i = 0; i < w->plan->clients; i++)
        if (!client_is_closed(&w->clients[i])) return false;
    return w->closes == 0;
}

static void wait_closed(struct discovery_world *w, const char *what) {
    bool closed = fl_world_run_until(w->world, is_closed, w, CLOSE_MS);
    if (!closed) fprintf(stderr, "seed %" PRIu64 ": %s did not close\n", w->plan->seed, what);
    FL_ASSERT(closed); /* what is still open cannot be freed */
}

static void finish_clients(struct discovery_world *w) {
    for (unsigned i = 0; i < w->plan->clients; i++) client_close(&w->clients[i]);
    wait_closed(w, "a client");
    w->closes = MIRRORS;
    for (int i = 0; i < MIRRORS; i++) fl_listwatch_close(w->mirrors[i].listwatch, on_closed, w);
    wait_closed(w, "a mirror");
    w->closes = 1;
    fl_kube_client_close(w->mirror_client, on_closed, w);
    wait_closed(w, "the mirrors' client");
}

static void finish(struct discovery_world *w) {
    fl_io_timer_clear(w->io, &w->look_timer);
    finish_clients(w);
    w->closes = SERVERS;
    for (int i = 0; i < SERVERS; i++) fl_apiserver_close(w->servers[i], on_closed, w);
    wait_closed(w, "an API server");
    fl_world_run_ms(w->world, 2000); /* the network's last words */
    for (unsigned i = 0; i < w->plan->clients; i++) client_deinit(&w->clients[i]);
    for (int i = 0; i < MIRRORS; i++) mirror_deinit(&w->mirrors[i]);
    truth_deinit(&w->truth);
    town_deinit(&w->town);
    fl_io_timer_deinit(w->io, &w->order_timer);
    fl_io_timer_deinit(w->io, &w->heal_timer);
    fl_io_timer_deinit(w->io, &w->look_timer);
    fl_io_timer_deinit(w->io, &w->eager_timer);
    leftovers_judge(w->world, w->timers, w->plant, &w->verdict);
    switchboard_deinit(&w->board);
}

static void report(const struct discovery_world *w, struct world_result *out) {
    for (size_t i = 0; i < SWITCHBOARD_LINES_MAX; i++) {
        out->dials += w->board.lines[i].dials;
        out->requests += w->board.lines[i].requests;
    }
    for (unsigned i = 0; i < w->plan->clients; i++) {
        out->sets += w->clients[i].sets;
        out->given += w->clients[i].house.given;
    }
    for (int i = 0; i < MIRRORS; i++) out->changes += w->mirrors[i].changes;
    out->breach = w->verdict.breach;
    out->trace = fl_world_trace(w->world);
    snprintf(out->text, sizeof out->text, "%s", w->verdict.text);
}

void discovery_world_run(const struct plan *plan, const struct world_watcher *watcher,
                         struct world_result *out) {
    struct discovery_world *w = fl_calloc(1, sizeof *w);
    FL_ASSERT(w);
    *out = (struct world_result){.breach = BREACH_NONE};
    w->plan = plan;
    w->plant = watcher->plant;
    start(w, watcher);
    live_through_orders(w);
    out->converged_ms = become_well(w);
    if (!w->verdict.breach) stay_fresh(w);
    out->virtual_ms = fl_io_now_ms(w->io) - w->start_ms;
    finish(w);
    report(w, out);
    fl_world_free(w->world);
    fl_free(w);
}
