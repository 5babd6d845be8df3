/* client.c - see client.h. */
#include "client.h"

#include <inttypes.h>
#include <stdio.h>

#include "registry/discovery.h"

#define AGE_SLACK_MS  3000 /* the tick that carries staleness, and the way of a byte */
#define DEAF_AFTER    3
#define HOUSE_IDLE_MS 2000 /* nobody listens at the addresses here */

static void start(struct client *client);
static void go_on_closing(struct client *client);
static void subscribe(struct client *client, unsigned service);

static struct verdict *verdict_of(const struct client *client) { return client->in->verdict; }

/* --- sets --- */

static void tell_set(const struct client_subscription *s, const struct fl_set *set,
                     const struct fl_error *trouble) {
    struct story *story = s->client->in->story;
    if (!story_is_heard(story)) return;
    story_tell(story, s->client->who, "sees %s version %" PRIu64 ": %s%s%s%s",
               s->view.service->name, fl_set_version(set), fl_set_state_name(fl_set_state(set)),
               fl_set_is_snapshot(set) ? " (from the snapshot)" : "", trouble ? ", trouble: " : "",
               trouble ? trouble->detail : "");
}

static void tell_endpoint(void *arg, const struct fl_endpoint *endpoint) {
    const struct client_subscription *s = arg;
    story_tell(s->client->in->story, s->client->who, "     %s%s%s%s", endpoint->address,
               endpoint->ready ? " ready" : "", endpoint->serving ? " serving" : "",
               endpoint->terminating ? " terminating" : "");
}

static void judge_order(struct client_subscription *s, const struct fl_set *set) {
    struct verdict *verdict = verdict_of(s->client);
    const char *name = s->view.service->name;
    enum fl_set_state state = fl_set_state(set);
    if (!s->subscription)
        verdict_broken(verdict, BREACH_LIFE, "%s: a set came after the close was done", name);
    if (s->last && fl_set_version(set) < fl_set_version(s->last))
        verdict_broken(verdict, BREACH_OLDER, "%s: set version %" PRIu64 " came after %" PRIu64,
                       name, fl_set_version(set), fl_set_version(s->last));
    if (state == FL_SET_UNKNOWN && s->answered)
        verdict_broken(verdict, BREACH_ANSWER, "%s: unknown again, after an answer", name);
    if (fl_set_is_snapshot(set) && s->live)
        verdict_broken(verdict, BREACH_OLDER, "%s: the snapshot came after a live answer", name);
}

static void take_set(struct client_subscription *s, struct fl_set *set,
                     const struct fl_error *trouble) {
    bool news = set != s->last;
    s->troubled = trouble != NULL;
    tell_set(s, set, trouble);
    if (news && story_is_heard(s->client->in->story)) fl_set_each(set, tell_endpoint, s);
    judge_order(s, set);
    if (!news || fl_set_state(set) == FL_SET_UNKNOWN) {
        if (!s->last) s->last = fl_set_ref(set);
        return;
    }
    if (fl_set_is_snapshot(set))
        view_judge_snapshot(&s->view, set, verdict_of(s->client));
    else
        view_judge(&s->view, set, verdict_of(s->client));
    s->answered = true;
    s->live |= !fl_set_is_snapshot(set);
    fl_set_unref(s->last);
    s->last = fl_set_ref(set);
}

/* Holds the third live set back until the fourth has come. */
static bool take_swapped(struct client_subscription *s, struct fl_set *set) {
    if (s->sets == 3) {
        s->held = fl_set_ref(set);
        return true;
    }
    if (!s->held) return false;
    struct fl_set *held = s->held;
    s->held = NULL;
    take_set(s, set, NULL);
    take_set(s, held, NULL);
    fl_set_unref(held);
    return true;
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct client_subscription *s = arg;
    enum plant plant = s->client->in->plant;
    bool news = set != s->last && fl_set_state(set) != FL_SET_UNKNOWN;
    s->client->happenings++;
    if (plant == PLANT_NONE && previous != s->last)
        verdict_broken(verdict_of(s->client), BREACH_OLDER,
                       "%s: the previous set is not the one that came before",
                       s->view.service->name);
    s->sets += news;
    s->client->sets += news;
    if (plant == PLANT_DEAF && s->sets > DEAF_AFTER) return;
    if (plant == PLANT_SWAP_SETS && news && take_swapped(s, set)) return;
    take_set(s, set, trouble);
}

/* --- subscriptions --- */

static void forget_sets(struct client_subscription *s) {
    s->last = fl_set_unref(s->last);
    s->held = fl_set_unref(s->held);
    s->answered = s->live = s->troubled = false;
    s->sets = 0;
}

static void on_unsubscribed(void *arg) {
    struct client_subscription *s = arg;
    struct client *client = s->client;
    s->subscription = NULL;
    client->happenings++;
    s->closing = false;
    client->closes--;
    forget_sets(s);
    if (client->closing)
        go_on_closing(client);
    else if (s->wanted)
        subscribe(client, (unsigned)(s - client->services));
}

static void unsubscribe(struct client_subscription *s) {
    if (!s->subscription || s->closing) return;
    s->closing = true;
    s->client->closes++;
    fl_subscription_close(s->subscription, on_unsubscribed, s);
}

static void subscribe(struct client *client, unsigned service) {
    struct client_subscription *s = &client->services[service];
    char target[128];
    snprintf(target, sizeof target, "kubernetes:///default/%s", s->view.service->name);
    client->disturbed_ms = fl_io_now_ms(client->in->io);
    int rc = fl_discovery_subscribe_on(client->discovery, client->in->io, target, on_set, s,
                                       &s->subscription, NULL);
    FL_ASSERT(rc == 0);
}

void client_subscribe(struct client *client, unsigned service) {
    struct client_subscription *s = &client->services[service];
    s->wanted = true;
    if (client->discovery && !client->closing && !s->subscription) subscribe(client, service);
}

void client_unsubscribe(struct client *client, unsigned service) {
    struct client_subscription *s = &client->services[service];
    s->wanted = false;
    unsubscribe(s);
}

size_t client_subscriptions(const struct client *client) {
    size_t n = 0;
    for (unsigned i = 0; i < client->in->plan->services; i++)
        n += client->services[i].subscription != NULL;
    return n;
}

/* --- age --- */

void client_judge_age(struct client *client) {
    const struct client_world *in = client->in;
    uint64_t now = fl_io_now_ms(in->io);
    uint64_t heard = FL_MAX(in->board->lines[client->number].last_data_ms, client->started_ms);
    if (client->closing || in->plant == PLANT_DEAF) return;
    for (unsigned i = 0; i < in->plan->services; i++) {
        const struct client_subscription *s = &client->services[i];
        if (!s->last || !s->answered) continue;
        uint64_t stale = in->plant == PLANT_ALWAYS_FRESH ? 0 : fl_set_stale_ms(s->last);
        if (stale + CLIENT_FRESH_MS + AGE_SLACK_MS < now - heard)
            verdict_broken(in->verdict, BREACH_STALE,
                           "%s: stale for %" PRIu64 " ms, while no byte came for %" PRIu64 " ms",
                           s->view.service->name, stale, now - heard);
    }
}

void client_judge_fresh(struct client *client) {
    const struct client_world *in = client->in;
    for (unsigned i = 0; i < in->plan->services; i++) {
        const struct client_subscription *s = &client->services[i];
        if (!s->last) continue;
        uint64_t stale = in->plant == PLANT_NEVER_FRESH ? 1 : fl_set_stale_ms(s->last);
        if (stale)
            verdict_broken(in->verdict, BREACH_STALE,
                           "%s: stale for %" PRIu64 " ms, while the server answers",
                           s->view.service->name, stale);
    }
}

bool client_is_well(const struct client *client, char *why) {
    if (!client->discovery || client->closing) {
        snprintf(why, VERDICT_TEXT_MAX, "%s is not running", client->who);
        return false;
    }
    for (unsigned i = 0; i < client->in->plan->services; i++) {
        const struct client_subscription *s = &client->services[i];
        if (!s->wanted) continue;
        const char *name = s->view.service->name;
        if (!s->last || !s->live)
            snprintf(why, VERDICT_TEXT_MAX, "%s: no live set of %s came", client->who, name);
        else if (s->troubled)
            snprintf(why, VERDICT_TEXT_MAX, "%s: %s is in trouble", client->who, name);
        else if (view_is_true(&s->view, s->last, why))
            continue;
        return false;
    }
    return true;
}

/* --- life --- */

static void on_closed(void *arg) {
    struct client *client = arg;
    client->discovery = NULL;
    client->happenings++;
    client->closing = false;
    client->closes--;
    story_tell(client->in->story, client->who, "is closed");
    if (!client->over) start(client);
}

static bool has_manager(const struct client *client) {
    return client->in->plan->traits[PLAN_TRAIT_MANAGER];
}

/* Discovery is closed when no subscription is left, and no manager. */
static void go_on_closing(struct client *client) {
    if (!client->closing || client_subscriptions(client) || !house_is_closed(&client->house))
        return;
    client->closes++;
    fl_discovery_close(client->discovery, on_closed, client);
}

void client_close(struct client *client) {
    client->over = true;
    client_restart(client);
}

void client_restart(struct client *client) {
    if (!client->discovery || client->closing) return;
    client->closing = true;
    client->happenings++;
    for (unsigned i = 0; i < client->in->plan->services; i++) unsubscribe(&client->services[i]);
    house_close(&client->house);
    go_on_closing(client);
}

bool client_is_closed(const struct client *client) { return !client->discovery && !client->closes; }

static void start(struct client *client) {
    const struct client_world *in = client->in;
    const struct fl_discovery_options options = {
        .kubeconfig = client->kubeconfig,
        .snapshot = in->plan->traits[PLAN_TRAIT_SNAPSHOT] ? client->snapshot : NULL};
    bool older = plan_has_fault(in->plan, FL_FAULT_OLDER);
    int rc = fl_discovery_new_on(in->io, &options, &client->discovery, NULL);
    FL_ASSERT(rc == 0);
    client->started_ms = client->disturbed_ms = fl_io_now_ms(in->io);
    story_tell(in->story, client->who, "starts");
    if (has_manager(client)) house_open(&client->house, client->discovery);
    client_ask(client, client->asking);
    for (unsigned i = 0; i < in->plan->services; i++) {
        struct client_subscription *s = &client->services[i];
        if (older)
            view_forget(&s->view);
        else
            view_begin_now(&s->view);
        if (s->wanted) subscribe(client, i);
    }
}

void client_renew(struct client *client) { house_renew(&client->house); }

void client_ask(struct client *client, bool active) {
    client->asking = active;
    if (has_manager(client)) house_go_on(&client->house, active && !client->closing);
}

static void on_house_closed(void *arg) { go_on_closing(arg); }

static void prepare_house(struct client *client) {
    static const struct house_name names[] = {{"echo-0", HOUSE_SERVICE},
                                              {"echo-0:grpc", HOUSE_SERVICE},
                                              {"default/echo-1:80", HOUSE_SERVICE},
                                              {"echo-1:9", HOUSE_NO_PORT},
                                              {"none", HOUSE_NO_SERVICE}};
    const struct client_world *in = client->in;
    const struct house_world house = {.io = in->io,
                                      .plan = in->plan,
                                      .plant = in->plant,
                                      .verdict = in->verdict,
                                      .story = in->story,
                                      .idle_ms = HOUSE_IDLE_MS,
                                      .on_closed = on_house_closed,
                                      .arg = client,
                                      .names = names,
                                      .name_count = FL_COUNT(names)};
    house_init(&client->house, &house);
}

static void write_kubeconfig(const struct client *client) {
    char text[512];
    int n = snprintf(text, sizeof text,
                     "apiVersion: v1\nkind: Config\ncurrent-context: sim\n"
                     "clusters: [{name: sim, cluster: {server: \"http://10.0.0.%u:%u\"}}]\n"
                     "users: [{name: sim, user: {%s}}]\n"
                     "contexts: [{name: sim, context: {cluster: sim, user: sim}}]\n",
                     client->number, SWITCHBOARD_PORT,
                     client->in->plan->traits[PLAN_TRAIT_TOKEN] ? "token: secret" : "");
    int rc = fl_world_file(client->in->world, client->kubeconfig, fl_str_n(text, (size_t)n));
    FL_ASSERT(rc == 0);
}

void client_init(struct client *client, const struct client_world *in, unsigned number) {
    *client = (struct client){.in = in, .number = number};
    snprintf(client->who, sizeof client->who, "client %u", number);
    snprintf(client->kubeconfig, sizeof client->kubeconfig, "/kubeconfig-%u", number);
    snprintf(client->snapshot, sizeof client->snapshot, "/snapshot-%u", number);
    for (unsigned i = 0; i < in->plan->services; i++) {
        client->services[i].client = client;
        view_init(&client->services[i].view, &in->truth->services[i],
                  in->plan->traits[PLAN_TRAIT_NO_SLICES]);
        client->services[i].view.lenient = plan_has_fault(in->plan, FL_FAULT_RESTORED) ||
                                           plan_has_fault(in->plan, FL_FAULT_LOST_EVENT);
        client->services[i].view.confused = in->plant == PLANT_CONFUSE;
    }
    write_kubeconfig(client);
    prepare_house(client);
    start(client);
}

void client_deinit(struct client *client) {
    for (unsigned i = 0; i < client->in->plan->services; i++) {
        forget_sets(&client->services[i]);
        view_deinit(&client->services[i].view);
    }
    house_deinit(&client->house);
}
