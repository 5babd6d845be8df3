/* wanted.c - which endpoints of a channel should be connected, and which of those may be picked.
 *
 *     usable (KEP-1669) ──> chosen by the policy ──> READY ──> not ejected ──> may be picked
 *
 * pick_first connects to one at a time; all other policies to all, less those that are far while
 * the near ones do (zone.c), less those beyond the subset (subset.c); an idle channel to none.
 *
 * With some options a choice depends on all endpoints and on their states. Then it is made for all
 * of them; after a change of state, once at the end of the turn, before the channel's own state is
 * found out. With the others, or idle, it is made anew for those alone that a set changed. */
#include "channel/wanted.h"

#include <stdlib.h>

#include "balance/pick_first.h"
#include "balance/subset.h"
#include "balance/zone.h"
#include "base/alloc.h"
#include "channel/state.h"
#include "discovery/set.h"

void fl_channel_wanted_init(struct fl_channel *channel) {
    channel->loop_data.wanted.seed = fl_random_u64(&channel->io->jitter);
}

void fl_channel_wanted_deinit(struct fl_channel *channel) {
    fl_free(channel->loop_data.wanted.candidates);
}

int fl_channel_wanted_reserve(struct fl_channel *channel, size_t count) {
    struct fl_wanted *wanted = &channel->loop_data.wanted;
    if (count <= wanted->cap) return 0;
    size_t cap = FL_MAX(count, wanted->cap + wanted->cap / 2);
    struct fl_candidate *list = fl_realloc(wanted->candidates, cap * sizeof(*list));
    if (!list) return FL_ENOMEM;
    wanted->candidates = list;
    wanted->cap = cap;
    return 0;
}

static bool is_usable(const struct fl_channel *channel, const struct fl_subchannel *sub) {
    struct fl_endpoint endpoint = {
        .ready = sub->ready, .serving = sub->serving, .terminating = sub->terminating};
    return fl_set_usable(channel->loop_data.applied, &endpoint);
}

static uint64_t score(uint64_t key, uint64_t seed) {
    struct fl_random mixed = {key ^ seed};
    return fl_random_u64(&mixed);
}

/* It may not take calls; what it has stays. */
static void try_nothing_new(struct fl_channel *channel, struct fl_subchannel *sub) {
    if (sub->wanted) fl_subchannel_want(sub, false);
    fl_channel_place(channel, sub);
}

static bool tell_usable(const struct fl_channel *channel, const struct fl_subchannel *sub) {
    bool usable = is_usable(channel, sub);
    atomic_store(&sub->handle->usable, usable);
    return usable;
}

/* The usable ones, older first; the others try nothing new. */
static size_t collect(struct fl_channel *channel) {
    struct fl_wanted *wanted = &channel->loop_data.wanted;
    size_t count = 0;
    FL_LIST_EACH (&channel->loop_data.sub_list, item, next) {
        struct fl_subchannel *sub = FL_CONTAINER(item, struct fl_subchannel, link);
        if (!tell_usable(channel, sub)) {
            try_nothing_new(channel, sub);
            continue;
        }
        FL_ASSERT(count < wanted->cap);
        wanted->candidates[count++] = (struct fl_candidate){
            .sub = sub,
            .score = score(sub->pick.key, wanted->seed),
            .ready = sub->state == FL_CHANNEL_READY,
            .place = sub->place,
            .ejected = sub->outlier.ejected,
            .failed = sub->wanted && sub->failed,
            .wanted = sub->wanted,
        };
    }
    return count;
}

static int by_score(const void *a, const void *b) {
    const struct fl_candidate *left = a, *right = b;
    return (left->score > right->score) - (left->score < right->score);
}

/* Far ones only while calls spill over to them. */
static uint32_t choose_near(const struct fl_balance_options *options, struct fl_candidate *list,
                            size_t count) {
    uint32_t share = options->zone_preference ? fl_zone_judge(list, count) : FL_SHARE_ALL;
    for (size_t i = 0; i < count; i++) list[i].chosen = !list[i].far || share < FL_SHARE_ALL;
    return share;
}

static void choose(struct fl_channel *channel, struct fl_candidate *list, size_t count) {
    const struct fl_balance_options *options = &channel->options.balance;
    if (options->policy == FL_BALANCE_PICK_FIRST) {
        if (options->shuffle) qsort(list, count, sizeof(*list), by_score);
        fl_pick_first_choose(list, count);
        return;
    }
    uint32_t share = choose_near(options, list, count);
    if (options->subset != 0) fl_subset_choose(list, count, options->subset, share);
    fl_balancer_share(&channel->loop_data.balancer, share);
}

static void obey(struct fl_channel *channel, const struct fl_candidate *one) {
    fl_balancer_move(&channel->loop_data.balancer, &one->sub->pick, one->far);
    if (one->chosen && !one->sub->wanted) fl_subchannel_want(one->sub, true);
    if (!one->chosen && one->sub->wanted) fl_subchannel_rest(one->sub, "rested");
    fl_channel_place(channel, one->sub);
}

/* An idle channel has no connection, not even to who may not take calls; its handles tell all the
 * same who may. */
static void rest(struct fl_channel *channel, struct fl_subchannel *sub) {
    tell_usable(channel, sub);
    fl_subchannel_rest(sub, "idle");
    fl_channel_place(channel, sub);
}

static void want_none(struct fl_channel *channel) {
    FL_LIST_EACH (&channel->loop_data.sub_list, item, next)
        rest(channel, FL_CONTAINER(item, struct fl_subchannel, link));
}

void fl_channel_want(struct fl_channel *channel) {
    struct fl_wanted *wanted = &channel->loop_data.wanted;
    wanted->due = false;
    if (!channel->loop_data.applied) return;
    if (channel->loop_data.idle.on) {
        want_none(channel);
        fl_channel_eject(channel, NULL, 0);
        return;
    }
    size_t count = collect(channel);
    choose(channel, wanted->candidates, count);
    fl_channel_eject(channel, wanted->candidates, count);
    for (size_t i = 0; i < count; i++) obey(channel, &wanted->candidates[i]);
}

/* With most options it does not, and a thousand endpoints that connect cost nothing here. */
static bool depends_on_states(const struct fl_balance_options *options) {
    return options->policy == FL_BALANCE_PICK_FIRST || options->zone_preference ||
           options->subset != 0 || fl_outlier_is_on(&options->outlier);
}

bool fl_channel_wants_alone(const struct fl_channel *channel) {
    return channel->loop_data.idle.on || !depends_on_states(&channel->options.balance);
}

void fl_channel_want_one(struct fl_channel *channel, struct fl_subchannel *sub) {
    if (channel->loop_data.idle.on) {
        rest(channel, sub);
    } else if (tell_usable(channel, sub)) {
        if (!sub->wanted) fl_subchannel_want(sub, true);
        fl_channel_place(channel, sub);
    } else {
        try_nothing_new(channel, sub);
    }
}

void fl_channel_want_if_due(struct fl_channel *channel) {
    if (channel->loop_data.wanted.due && !channel->loop_data.closing &&
        depends_on_states(&channel->options.balance))
        fl_channel_want(channel);
}

void fl_channel_place(struct fl_channel *channel, struct fl_subchannel *sub) {
    atomic_store(&sub->handle->state, sub->state);
    bool spared = !sub->outlier.ejected || channel->loop_data.ejection.panic;
    if (sub->wanted && sub->state == FL_CHANNEL_READY && spared)
        fl_balancer_add(&channel->loop_data.balancer, &sub->pick);
    else
        fl_balancer_remove(&channel->loop_data.balancer, &sub->pick);
}
