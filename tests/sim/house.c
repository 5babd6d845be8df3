/* house.c - see house.h. */
#include "house.h"

#include <stdio.h>

#include "manager/conn.h"

#define ASTRAY_PICK 50 /* planted: which one */

/* --- looking on --- */

static void on_pick(void *arg, uint64_t version, const char *peer) {
    struct house *house = ((struct house_conn *)arg)->house;
    const struct holder_call *call = house->sending;
    house->sending = NULL;
    house->picks++;
    if (house->in.plant == PLANT_ASTRAY && house->picks == ASTRAY_PICK) peer = "127.9.9.9:50051";
    if (!house->in.oracle) return;
    oracle_pick(house->in.oracle, version, peer);
    if (call) holder_judge_pick(call, version, peer);
}

/* The manager's own watcher goes on hearing of sets. */
static void on_set(void *arg, struct fl_set *set, const struct fl_error *trouble) {
    fl_conn_on_set(((struct house_conn *)arg)->conn, set, trouble);
}

void house_look_at(struct house *house, struct fl_conn *conn) {
    size_t i = 0;
    while (i < house->conn_count && house->conns[i].conn != conn) i++;
    if (i == house->conn_count) {
        FL_ASSERT(house->conn_count < HOUSE_CONNS_MAX);
        house->conns[house->conn_count++] = (struct house_conn){house, conn};
    }
    fl_channel_watch(fl_conn_channel(conn), &(struct fl_channel_watcher){.on_pick = on_pick,
                                                                         .on_set = on_set,
                                                                         .arg = &house->conns[i]});
}

/* --- names --- */

bool house_was_told(const struct house *house, const char *service) {
    for (size_t i = 0; i < house->told_count; i++)
        if (strcmp(house->told[i], service) == 0) return true;
    return false;
}

static void take_key(struct house *house, const char *service) {
    story_tell(house->in.story, "keys", "%s", service);
    if (house_was_told(house, service))
        verdict_broken(house->in.verdict, BREACH_HANDLE, "service %s was told twice", service);
    FL_ASSERT(house->told_count < HOUSE_KEYS_MAX);
    fl_str_copy(house->told[house->told_count++], sizeof(house->told[0]), fl_str_of(service));
}

static void on_key(void *arg, const char *service) {
    struct house *house = arg;
    take_key(house, service);
    if (house->in.plant == PLANT_TELL_TWICE) take_key(house, service);
}

/* --- life --- */

static struct fl_connmgr_options options_of(const struct house *house) {
    const struct plan *plan = house->in.plan;
    return (struct fl_connmgr_options){
        .channel = {
            .idle_timeout_ms = house->in.idle_ms,
            .health.grpc_service = plan->traits[PLAN_TRAIT_HEALTH] ? "" : NULL,
            .service_config = plan->traits[PLAN_TRAIT_RETRIES] ? HOUSE_RETRIES : NULL,
            .allow_cleartext_credentials = true /* they tell whose attempt it is */
        }};
}

void house_open(struct house *house, struct fl_discovery *discovery) {
    static const struct fl_keys_events events = {.on_key = on_key};
    const struct fl_connmgr_options options = options_of(house);
    house->discovery = discovery;
    int rc = fl_connmgr_new(discovery, &options, &house->mgr, NULL);
    FL_ASSERT(rc == 0);
    rc = fl_connmgr_watch_keys(house->mgr, &events, house, &house->keys, NULL);
    FL_ASSERT(rc == 0);
    story_tell(house->in.story, "manager", "is opened");
}

static void on_closed(void *arg) {
    struct house *house = arg;
    if (--house->closes == 0 && !house->mgr && house->in.on_closed)
        house->in.on_closed(house->in.arg);
}

/* The next watch, which is begun after this, tells all of them again. */
static void on_unwatched(void *arg) {
    struct house *house = arg;
    house->told_count = 0;
    on_closed(house);
}

static void close_manager(struct house *house) {
    struct fl_connmgr *mgr = house->mgr;
    struct fl_keys *keys = house->keys;
    if (!mgr) return;
    house->closes += 2;
    house->mgr = NULL;
    house->keys = NULL;
    fl_connmgr_unwatch_keys(keys, on_unwatched, house);
    fl_connmgr_close(mgr, on_closed, house);
    story_tell(house->in.story, "manager", "is closed");
}

void house_renew(struct house *house) {
    house->renew_soon = false;
    if (!house->mgr) return;
    close_manager(house);
    house_open(house, house->discovery);
}

void house_renew_soon(struct house *house) { house->renew_soon = true; }

void house_close(struct house *house) {
    house_go_on(house, false);
    close_manager(house);
    for (size_t i = 0; i < HOUSE_HOLDERS; i++) holder_let_go(&house->holders[i]);
}

bool house_is_closed(const struct house *house) {
    for (size_t i = 0; i < HOUSE_HOLDERS; i++)
        if (!holder_is_quiet(&house->holders[i])) return false;
    return !house->mgr && house->closes == 0;
}

void house_go_on(struct house *house, bool active) {
    house->active = active;
    for (size_t i = 0; i < HOUSE_HOLDERS; i++) holder_go_on(&house->holders[i], active);
}

bool house_has_request(const struct house *house) {
    for (size_t i = 0; i < HOUSE_HOLDERS; i++)
        if (house->holders[i].conns_of || house->holders[i].conn_of) return true;
    return false;
}

void house_init(struct house *house, const struct house_world *in) {
    *house = (struct house){.in = *in, .random = {in->plan->seed + 3}};
    for (unsigned i = 0; i < HOUSE_HOLDERS; i++) holder_init(&house->holders[i], house, i);
}

void house_deinit(struct house *house) {
    FL_ASSERT(house_is_closed(house));
    for (size_t i = 0; i < HOUSE_HOLDERS; i++) holder_deinit(&house->holders[i]);
}

/* --- planted --- */

static struct fl_handle *lost;

void house_lose(struct fl_handle *handle) {
    if (!lost) lost = fl_handle_ref(handle);
}

void house_find_lost(void) { lost = fl_handle_unref(lost); }
