/* endpoints.c - from endpoint sets to subchannels.
 *
 * What is applied is the difference by address and port between the set that was applied before and
 * the newest. Kept endpoints keep their subchannel, its connection and its place in the round
 * (C20); the same address with another identity is connected anew; what is removed drains. Then
 * wanted.c chooses which are connected.
 *
 * gRPC runs over TCP: what a port of another protocol has under the same number is somebody else's.
 *
 * All of a set is applied or nothing of it, so that no pick sees half of one: what changes is noted
 * first, with everything that takes memory, then made, which takes none. When memory runs out the
 * applied set stays the old one, and the newest is tried again a little later.
 *
 * What a set costs depends on what it changes: endpoints that it does not are not looked at, unless
 * the choice among all of them may be another one. */
#include <stdio.h>

#include "balance/zone.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "channel/state.h"
#include "discovery/set.h"

#define AGAIN_MS 500
#define PEER_MAX (FL_ADDRESS_TEXT_MAX + 8) /* brackets, colon, port */

struct applying {
    struct fl_channel *channel;
    struct fl_list pending; /* struct fl_pending.link */
    bool handles;           /* one comes, goes or takes another's place */
    int rc;                 /* of the first change that could not be applied */
};

static void peer_text(const struct fl_endpoint *endpoint, char out[PEER_MAX]) {
    bool v6 = strchr(endpoint->address, ':') != NULL;
    snprintf(out, PEER_MAX, v6 ? "[%s]:%u" : "%s:%u", endpoint->address, endpoint->port);
}

static int add(struct fl_channel *channel, const struct fl_endpoint *endpoint, const char *peer,
               struct fl_subchannel **out) {
    struct fl_map *subs = &channel->loop_data.subs;
    int rc = fl_balancer_reserve(&channel->loop_data.balancer, fl_map_count(subs) + 1);
    if (rc == 0) rc = fl_channel_wanted_reserve(channel, fl_map_count(subs) + 1);
    if (rc == 0) rc = fl_channel_ejection_reserve(channel, fl_map_count(subs) + 1);
    if (rc != 0) return rc;
    rc = fl_subchannel_new(&channel->loop_data.connector, endpoint->address, endpoint->port, peer,
                           out);
    if (rc != 0) return rc;
    (*out)->handle = fl_handle_new(channel, *out, endpoint);
    rc = (*out)->handle ? fl_map_set(subs, fl_str_of(peer), *out, NULL) : FL_ENOMEM;
    if (rc != 0) {
        fl_handle_end((*out)->handle);
        fl_subchannel_unref(*out);
        return rc;
    }
    (*out)->pick.order = channel->loop_data.order++;
    (*out)->pick.key = fl_hash(fl_str_of(peer), 0);
    fl_list_push(&channel->loop_data.sub_list, &(*out)->link);
    return 0;
}

static void leave(struct fl_channel *channel, struct fl_subchannel *sub) {
    fl_map_remove(&channel->loop_data.subs, fl_str_of(sub->peer));
    fl_list_remove(&sub->link);
    fl_subchannel_leave(sub);
    fl_handle_end(sub->handle);
    sub->handle = NULL;
    fl_subchannel_unref(sub);
}

/* NULL: no memory. */
static struct fl_pending *pend(struct applying *applying, struct fl_subchannel *sub) {
    if (sub->pending) return sub->pending;
    struct fl_pending *pending = sub->pending = FL_NEW(struct fl_pending);
    if (!pending) return NULL;
    pending->sub = sub;
    fl_list_push(&applying->pending, &pending->link);
    return pending;
}

static int note_removed(struct applying *applying, struct fl_subchannel *sub) {
    struct fl_pending *pending = pend(applying, sub);
    if (!pending) return FL_ENOMEM;
    pending->goes = applying->handles = true;
    return 0;
}

static int note_added(struct applying *applying, const struct fl_endpoint *endpoint,
                      const char *peer, struct fl_subchannel **out) {
    int rc = add(applying->channel, endpoint, peer, out);
    if (rc != 0) return rc;
    struct fl_pending *pending = pend(applying, *out);
    if (!pending) {
        leave(applying->channel, *out);
        return FL_ENOMEM;
    }
    pending->comes = applying->handles = true;
    return 0;
}

static int note_identity(struct applying *applying, struct fl_subchannel *sub,
                         const struct fl_endpoint *endpoint) {
    struct fl_pending *pending = pend(applying, sub);
    if (pending) pending->handle = fl_handle_new(applying->channel, sub, endpoint);
    if (!pending || !pending->handle) return FL_ENOMEM;
    applying->handles = true;
    return 0;
}

static int note_conditions(struct applying *applying, struct fl_subchannel *sub,
                           const struct fl_endpoint *endpoint) {
    const struct fl_channel *channel = applying->channel;
    struct fl_pending *pending = pend(applying, sub);
    if (!pending) return FL_ENOMEM;
    pending->weight = fl_channel_weight_of(channel, endpoint);
    pending->place =
        fl_zone_place(endpoint, channel->options.balance.zone, channel->options.balance.node);
    pending->ready = endpoint->ready;
    pending->serving = endpoint->serving;
    pending->terminating = endpoint->terminating;
    pending->http1 = strcmp(endpoint->app_protocol, "http") == 0;
    return 0;
}

static int note(struct applying *applying, const struct fl_change *change) {
    char peer[PEER_MAX];
    peer_text(&change->endpoint, peer);
    struct fl_subchannel *sub = fl_map_get(&applying->channel->loop_data.subs, fl_str_of(peer));
    if (change->kind == FL_CHANGE_REMOVED) return sub ? note_removed(applying, sub) : 0;
    int rc = 0;
    if (!sub)
        rc = note_added(applying, &change->endpoint, peer, &sub);
    else if (change->what & FL_CHANGED_IDENTITY)
        rc = note_identity(applying, sub, &change->endpoint);
    return rc == 0 ? note_conditions(applying, sub, &change->endpoint) : rc;
}

static void note_change(void *arg, const struct fl_change *change) {
    struct applying *applying = arg;
    if (applying->rc != 0 || strcmp(change->endpoint.protocol, "TCP") != 0) return;
    applying->rc = note(applying, change);
}

/* Who held on to the pod that had the address before has nothing to do with this one. */
static void renew(struct fl_subchannel *sub, struct fl_handle *handle) {
    fl_handle_end(sub->handle);
    sub->handle = handle;
    sub->warmth.known = false;
    sub->outlier = (struct fl_outlier_host){.failed = 0};
    fl_subchannel_renew(sub);
}

static void change(struct fl_channel *channel, struct fl_subchannel *sub,
                   const struct fl_pending *pending) {
    fl_channel_weigh(channel, sub, pending->weight);
    sub->place = pending->place;
    sub->ready = pending->ready;
    sub->serving = pending->serving;
    sub->terminating = pending->terminating;
    bool other_version = sub->http1 != pending->http1;
    sub->http1 = pending->http1;
    if (pending->handle)
        renew(sub, pending->handle);
    else if (other_version)
        fl_subchannel_renew(sub);
}

static void forget(struct fl_pending *pending) {
    fl_list_remove(&pending->link);
    pending->sub->pending = NULL;
    fl_free(pending);
}

/* The applied set stays what it was. */
static void unmake(struct applying *applying) {
    FL_LIST_EACH (&applying->pending, item, next) {
        struct fl_pending *pending = FL_CONTAINER(item, struct fl_pending, link);
        struct fl_subchannel *sub = pending->comes ? pending->sub : NULL;
        fl_handle_end(pending->handle);
        forget(pending);
        if (sub) leave(applying->channel, sub);
    }
}

/* Afterwards only those that stay are pending. `event_us`: of what comes; 0: it did not just come
 * to be. */
static void make(struct applying *applying, uint64_t event_us) {
    FL_LIST_EACH (&applying->pending, item, next) {
        struct fl_pending *pending = FL_CONTAINER(item, struct fl_pending, link);
        struct fl_subchannel *sub = pending->sub;
        if (pending->comes) sub->event_us = event_us;
        if (pending->goes) {
            forget(pending);
            leave(applying->channel, sub);
        } else {
            change(applying->channel, sub, pending);
        }
    }
}

/* `all`: what the set says of one may matter to the others. */
static void want(struct applying *applying, bool all) {
    FL_LIST_EACH (&applying->pending, item, next) {
        struct fl_pending *pending = FL_CONTAINER(item, struct fl_pending, link);
        struct fl_subchannel *sub = pending->sub;
        forget(pending);
        if (!all) fl_channel_want_one(applying->channel, sub);
    }
    if (all) fl_channel_want(applying->channel);
}

static void try_again(struct fl_channel *channel) {
    if (channel->loop_data.apply_ready)
        fl_io_timer_set(channel->io, &channel->loop_data.apply,
                        fl_io_now_ms(channel->io) + AGAIN_MS);
    else
        fl_channel_wake(channel);
}

static void again(struct fl_timer *timer) {
    fl_channel_apply(FL_CONTAINER(timer, struct fl_channel, loop_data.apply));
}

/* The newest set through the port that is meant; if none can be, through none, and why is kept.
 * FL_ENOMEM. */
static int choose_port(struct fl_channel *channel, struct fl_set **out) {
    struct fl_set *newest = channel->loop_data.newest;
    struct fl_error err = {FL_OK, ""};
    fl_kept_error_set(&channel->loop_data.port_error, NULL);
    if (channel->options.excluded_port == 0) {
        *out = fl_set_ref(newest);
        return 0;
    }
    int rc = fl_set_select_first(newest, channel->options.excluded_port, channel->loop_data.applied,
                                 out, &err);
    if (rc == 0 || rc == FL_ENOMEM) return rc;
    fl_kept_error_set(&channel->loop_data.port_error, &err);
    return fl_set_hide(newest, FL_SET_EMPTY, out);
}

static void measure_since(struct fl_channel *channel, uint64_t event_us) {
    fl_metric_observe(channel->loop_data.connector.metrics.applied_us,
                      (double)(fl_io_now_us(channel->io) - event_us));
}

/* Whether one that is not ready may take calls depends on whether any is. */
static bool concerns_all(const struct fl_channel *channel, const struct fl_set *view) {
    const struct fl_set *applied = channel->loop_data.applied;
    return !applied || fl_set_any_ready(applied) != fl_set_any_ready(view) ||
           !fl_channel_wants_alone(channel);
}

static int note_all(struct applying *applying, const struct fl_set *view) {
    struct fl_channel *channel = applying->channel;
    int rc = fl_set_diff(channel->loop_data.applied, view, note_change, applying);
    if (rc == 0) rc = applying->rc;
    if (rc == 0 && applying->handles)
        rc = fl_handle_slot_publish(&channel->shared_data.handles, &channel->loop_data.sub_list);
    return rc;
}

static int apply_view(struct fl_channel *channel, struct fl_set *view) {
    struct applying applying = {.channel = channel};
    bool all = concerns_all(channel, view);
    fl_list_init(&applying.pending);
    int rc = note_all(&applying, view);
    if (rc != 0) {
        unmake(&applying);
        return rc;
    }
    /* What was there before the channel was is no event. */
    uint64_t event_us = channel->loop_data.applied ? fl_set_event_us(view) : 0;
    make(&applying, event_us);
    if (event_us) measure_since(channel, event_us);
    fl_set_unref(channel->loop_data.applied);
    channel->loop_data.applied = fl_set_ref(view);
    want(&applying, all);
    return 0;
}

static int apply_newest(struct fl_channel *channel) {
    struct fl_set *view = NULL;
    int rc = choose_port(channel, &view);
    if (rc == 0) rc = apply_view(channel, view);
    fl_set_unref(view);
    return rc;
}

static bool is_applied(const struct fl_channel *channel) {
    struct fl_set *applied = channel->loop_data.applied;
    return applied && fl_set_whole(applied) == fl_set_whole(channel->loop_data.newest);
}

/* Who watches hears of a set when it is applied, or of why it cannot be. */
static void tell_set(const struct fl_channel *channel) {
    const struct fl_channel_watcher *watcher = &channel->loop_data.watcher;
    struct fl_error several = {FL_EPORT, "several ports, none was named"};
    const struct fl_error *why = channel->loop_data.several_ports ? &several
                                 : channel->loop_data.port_error.code != FL_OK
                                     ? fl_kept_error_peek(&channel->loop_data.port_error)
                                     : fl_kept_error_peek(&channel->loop_data.trouble);
    if (!watcher->on_set || !(is_applied(channel) || channel->loop_data.several_ports)) return;
    struct fl_set *set =
        channel->loop_data.several_ports ? channel->loop_data.newest : channel->loop_data.applied;
    watcher->on_set(watcher->arg, set, why->code == FL_OK ? NULL : why);
}

void fl_channel_forget_endpoints(struct fl_channel *channel) {
    struct fl_list *list = &channel->loop_data.sub_list;
    while (!fl_list_empty(list))
        leave(channel, FL_CONTAINER(list->next, struct fl_subchannel, link));
    int rc = fl_handle_slot_publish(&channel->shared_data.handles, list);
    FL_ASSERT(rc == 0); /* of none, which takes no memory */
    channel->loop_data.applied = fl_set_unref(channel->loop_data.applied);
}

void fl_channel_apply(struct fl_channel *channel) {
    struct fl_set *newest = channel->loop_data.newest;
    if (!newest || is_applied(channel) || channel->loop_data.several_ports) return;
    if (!channel->loop_data.apply_ready)
        channel->loop_data.apply_ready =
            fl_io_timer_init(channel->io, &channel->loop_data.apply, again) == 0;
    fl_channel_pump(channel);
    if (apply_newest(channel) != 0) {
        try_again(channel);
        return;
    }
    const struct fl_channel_watcher *watcher = &channel->loop_data.watcher;
    if (watcher->on_applied) watcher->on_applied(watcher->arg, fl_set_version(newest));
    tell_set(channel);
}

void fl_channel_on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                       const struct fl_error *trouble) {
    FL_UNUSED(previous); /* what was applied may be older */
    struct fl_channel *channel = arg;
    if (channel->loop_data.closing) return;
    fl_idle_start(channel);
    fl_kept_error_set(&channel->loop_data.trouble, trouble);
    channel->loop_data.changed = true;
    if (set != channel->loop_data.newest) {
        fl_set_unref(channel->loop_data.newest);
        channel->loop_data.newest = fl_set_ref(set);
        /* Which of several ports is meant nobody knows: then nothing is connected. */
        channel->loop_data.several_ports =
            channel->options.excluded_port == 0 && fl_set_ports(set, NULL) > 1;
        if (channel->loop_data.several_ports) fl_channel_forget_endpoints(channel);
    }
    if (is_applied(channel) || channel->loop_data.several_ports)
        tell_set(channel);
    else
        fl_channel_apply(channel);
    fl_channel_pump(channel);
}
