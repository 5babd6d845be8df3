/* oracle.c - see oracle.h. */
#include "oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

static void *grown(void *items, size_t *cap, size_t count, size_t size) {
    if (count < *cap) return items;
    *cap = *cap ? *cap * 2 : 32;
    items = fl_realloc(items, *cap * size);
    FL_ASSERT(items);
    return items;
}

/* --- pods that a client can count on --- */

static struct oracle_pod *pod_of(struct oracle *o, const uint8_t uid[16]) {
    for (size_t i = 0; i < o->pod_count; i++)
        if (memcmp(o->pods[i].uid, uid, 16) == 0) return &o->pods[i];
    o->pods = grown(o->pods, &o->pod_cap, o->pod_count, sizeof *o->pods);
    struct oracle_pod *pod = &o->pods[o->pod_count++];
    *pod = (struct oracle_pod){.ready_since_ms = 0};
    memcpy(pod->uid, uid, 16);
    return pod;
}

static void on_event(struct fl_store_observer *observer, const struct fl_store_event *event) {
    struct oracle *o = FL_CONTAINER(observer, struct oracle, observer);
    const struct fl_object *object = event->object;
    uint8_t uid[16];
    if (object->kind != FL_K8S_POD) return;
    if (!fl_str_eq(object->identity->service, fl_str_of(o->service))) return;
    bool parsed = fl_uid_parse(fl_str_of(object->identity->uid), uid);
    FL_ASSERT(parsed);
    struct oracle_pod *pod = pod_of(o, uid);
    bool ready =
        object->phase == FL_OBJECT_READY && !object->terminating && event->event != FL_K8S_DELETED;
    if (!ready)
        pod->ready_since_ms = 0;
    else if (!pod->ready_since_ms)
        pod->ready_since_ms = fl_io_now_ms(o->io);
}

struct listing {
    struct oracle *oracle;
    struct fl_set *set;
};

static void list_endpoint(void *arg, const struct fl_endpoint *endpoint) {
    struct listing *listing = arg;
    struct oracle *o = listing->oracle;
    if (!fl_set_usable(listing->set, endpoint)) return;
    struct oracle_pod *pod = pod_of(o, endpoint->uid);
    pod->listed = true;
    if (!pod->usable_since_ms) pod->usable_since_ms = fl_io_now_ms(o->io);
}

static void list_pods(struct oracle *o, struct fl_set *set) {
    struct listing listing = {o, set};
    for (size_t i = 0; i < o->pod_count; i++) o->pods[i].listed = false;
    fl_set_each(set, list_endpoint, &listing);
    for (size_t i = 0; i < o->pod_count; i++)
        if (!o->pods[i].listed) o->pods[i].usable_since_ms = 0;
}

static bool had_a_steady_pod(const struct oracle *o, uint64_t started_ms, const uint8_t *uid) {
    for (size_t i = 0; i < o->pod_count; i++) {
        const struct oracle_pod *pod = &o->pods[i];
        if (uid && memcmp(pod->uid, uid, 16) != 0) continue;
        if (!pod->ready_since_ms || !pod->usable_since_ms) continue;
        uint64_t since = FL_MAX(pod->ready_since_ms, pod->usable_since_ms);
        if (since + FL_ORACLE_STEADY_MS <= started_ms) return true;
    }
    return false;
}

/* --- sets --- */

void oracle_set(struct oracle *o, struct fl_set *set, const struct fl_error *trouble) {
    uint64_t version = fl_set_version(set);
    struct fl_set *last = o->set_count ? o->sets[o->set_count - 1] : NULL;
    o->troubled = trouble != NULL;
    if (!o->subscribed)
        verdict_broken(o->verdict, BREACH_LIFE, "a set came after the subscription was closed");
    if (last && version < fl_set_version(last))
        verdict_broken(o->verdict, BREACH_OLDER, "set version %" PRIu64 " came after %" PRIu64,
                       version, fl_set_version(last));
    if (last && version == fl_set_version(last)) return;
    o->sets = grown(o->sets, &o->set_cap, o->set_count, sizeof(struct fl_set *));
    o->sets[o->set_count++] = fl_set_ref(set);
    list_pods(o, set);
}

struct search {
    const struct fl_set *set;
    const char *peer;
    bool found, usable;
};

bool oracle_is_at(const struct fl_endpoint *endpoint, const char *peer) {
    size_t n = strlen(endpoint->address);
    return strncmp(peer, endpoint->address, n) == 0 && peer[n] == ':' &&
           strtoul(peer + n + 1, NULL, 10) == endpoint->port;
}

static void search_endpoint(void *arg, const struct fl_endpoint *endpoint) {
    struct search *search = arg;
    if (!oracle_is_at(endpoint, search->peer)) return;
    search->found = true;
    search->usable |= fl_set_usable(search->set, endpoint);
}

struct count {
    const struct fl_set *set;
    size_t usable;
};

static void count_endpoint(void *arg, const struct fl_endpoint *endpoint) {
    struct count *count = arg;
    count->usable += fl_set_usable(count->set, endpoint);
}

size_t oracle_usable(const struct oracle *o) {
    struct count count = {o->sets[o->set_count - 1], 0};
    fl_set_each(count.set, count_endpoint, &count);
    return count.usable;
}

void oracle_pick(struct oracle *o, uint64_t version, const char *peer) {
    o->picks++;
    for (size_t i = o->set_count; i-- > 0 && fl_set_version(o->sets[i]) >= version;) {
        if (fl_set_version(o->sets[i]) != version) continue;
        struct search search = {o->sets[i], peer, false, false};
        fl_set_each(o->sets[i], search_endpoint, &search);
        if (!search.found)
            verdict_broken(o->verdict, BREACH_CALL,
                           "a call went to %s, which set %" PRIu64 " does not have", peer, version);
        else if (!search.usable)
            verdict_broken(o->verdict, BREACH_CALL,
                           "a call went to %s, which may not take calls by set %" PRIu64, peer,
                           version);
        return;
    }
    o->unjudged++;
}

struct pod_search {
    const char *peer;
    const uint8_t *uid;
    bool found;
};

static void search_pod(void *arg, const struct fl_endpoint *endpoint) {
    struct pod_search *search = arg;
    search->found |=
        oracle_is_at(endpoint, search->peer) && memcmp(endpoint->uid, search->uid, 16) == 0;
}

bool oracle_has(const struct oracle *o, uint64_t version, const char *peer, const uint8_t uid[16]) {
    struct pod_search search = {peer, uid, false};
    for (size_t i = o->set_count; i-- > 0 && fl_set_version(o->sets[i]) >= version;) {
        if (fl_set_version(o->sets[i]) != version) continue;
        fl_set_each(o->sets[i], search_pod, &search);
        return search.found;
    }
    return true;
}

/* --- calls --- */

void oracle_call_started(struct oracle *o, struct oracle_call *call) {
    FL_ASSERT(!call->active);
    *call = (struct oracle_call){.started_ms = fl_io_now_ms(o->io), .active = true};
    o->calls++;
}

void oracle_call_ended(struct oracle *o, struct oracle_call *call,
                       const struct fl_call_result *result) {
    if (!call->active) {
        verdict_broken(o->verdict, BREACH_CALL, "a call ended twice, now with %s",
                       fl_status_name(result->status));
        return;
    }
    call->active = false;
    o->ended++;
    o->succeeded += result->status == FL_STATUS_OK;
    o->cancelled += call->cancelled;
    o->refused += call->hopeless;
    if (result->status == FL_STATUS_OK || call->cancelled || call->hopeless) return;
    o->failed++;
    if (!o->violence && !call->excused && had_a_steady_pod(o, call->started_ms, call->uid))
        verdict_broken(o->verdict, BREACH_CALL,
                       "a call failed with %s (%s, peer %s) though a pod was there all the time",
                       fl_status_name(result->status), result->message, result->peer);
}

/* --- truth --- */

bool oracle_knows_ports(const struct oracle *o) {
    struct fl_set *whole = fl_set_whole(o->sets[o->set_count - 1]), *view;
    if (fl_set_select_first(whole, ORACLE_EXCLUDED_PORT, NULL, &view, NULL) != 0) return false;
    fl_set_unref(view);
    return true;
}

struct comparison {
    const struct oracle *oracle;
    char *why;
    size_t in_set, in_truth;
};

/* What the cluster's slices say of an address; NULL: nothing. */
static const struct fl_entry *truth_of(const struct oracle *o, const char *address,
                                       uint16_t *port) {
    const struct fl_object_list *slices = &o->store->kinds[FL_K8S_ENDPOINTSLICE];
    for (size_t i = 0; i < slices->count; i++) {
        const struct fl_object *slice = slices->items[i];
        if (!fl_str_eq(slice->identity->service, fl_str_of(o->service))) continue;
        for (size_t j = 0; j < slice->facts->port_count; j++)
            if (fl_str_eq(slice->facts->ports[j].name, FL_STR("grpc")))
                *port = slice->facts->ports[j].target_port;
        for (size_t j = 0; j < slice->entry_count; j++)
            if (fl_str_eq(slice->entries[j].pod->address, fl_str_of(address)))
                return &slice->entries[j];
    }
    return NULL;
}

static size_t count_truth(const struct oracle *o) {
    const struct fl_object_list *slices = &o->store->kinds[FL_K8S_ENDPOINTSLICE];
    size_t n = 0;
    for (size_t i = 0; i < slices->count; i++)
        if (fl_str_eq(slices->items[i]->identity->service, fl_str_of(o->service)))
            n += slices->items[i]->entry_count;
    return n;
}

static unsigned flags_of(const struct fl_endpoint *endpoint) {
    return (endpoint->ready ? FL_ENDPOINT_READY : 0) |
           (endpoint->serving ? FL_ENDPOINT_SERVING : 0) |
           (endpoint->terminating ? FL_ENDPOINT_TERMINATING : 0);
}

static void compare(void *arg, const struct fl_endpoint *endpoint) {
    struct comparison *c = arg;
    uint16_t port = 0;
    uint8_t uid[16];
    const struct fl_entry *truth = truth_of(c->oracle, endpoint->address, &port);
    c->in_set++;
    if (!truth)
        snprintf(c->why, VERDICT_TEXT_MAX, "%s is in the set and not in the cluster",
                 endpoint->address);
    else if (port != endpoint->port)
        snprintf(c->why, VERDICT_TEXT_MAX, "%s has port %u in the set", endpoint->address,
                 endpoint->port);
    else if (truth->flags != flags_of(endpoint))
        snprintf(c->why, VERDICT_TEXT_MAX, "%s has flags %u in the set, %u in the cluster",
                 endpoint->address, flags_of(endpoint), truth->flags);
    else if (!fl_uid_parse(fl_str_of(truth->pod->uid), uid) || memcmp(uid, endpoint->uid, 16) != 0)
        snprintf(c->why, VERDICT_TEXT_MAX, "%s is another pod in the set", endpoint->address);
}

bool oracle_converged(const struct oracle *o, char *why) {
    struct comparison c = {o, why, 0, count_truth(o)};
    why[0] = 0;
    if (!o->set_count) {
        snprintf(why, VERDICT_TEXT_MAX, "no set came");
        return false;
    }
    struct fl_set *set = o->sets[o->set_count - 1];
    fl_set_each(set, compare, &c);
    if (!why[0] && c.in_set != c.in_truth)
        snprintf(why, VERDICT_TEXT_MAX, "the set has %zu endpoints, the cluster %zu", c.in_set,
                 c.in_truth);
    if (!why[0] && fl_set_state(set) != (c.in_truth ? FL_SET_SOME : FL_SET_EMPTY))
        snprintf(why, VERDICT_TEXT_MAX, "the set's state is %s",
                 fl_set_state_name(fl_set_state(set)));
    if (!why[0] && o->troubled) snprintf(why, VERDICT_TEXT_MAX, "discovery is still in trouble");
    return !why[0];
}

/* --- life --- */

void oracle_init(struct oracle *o, struct fl_world *world, struct fl_sim *sim, const char *service,
                 struct verdict *verdict) {
    *o = (struct oracle){.world = world,
                         .io = fl_world_io(world),
                         .store = fl_cluster_store(fl_sim_cluster(sim)),
                         .service = service,
                         .verdict = verdict,
                         .observer.on_event = on_event};
    fl_list_push(&o->store->observers, &o->observer.link);
}

void oracle_deinit(struct oracle *o) {
    for (size_t i = 0; i < o->set_count; i++) fl_set_unref(o->sets[i]);
    fl_list_remove(&o->observer.link);
    fl_free(o->sets);
    fl_free(o->pods);
}
