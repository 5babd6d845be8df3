/* state_watch.c - who is told of a channel's connectivity state.
 *
 * Any thread begins and ends a watch; everything else happens on the channel's loop. A watch is a
 * subscription of its own: one task brings it to the loop, another takes it away, and it is freed
 * by the latter only. So it does not matter whether the watch or the channel ends first. A channel
 * that ends tells SHUTDOWN, which is the last, and lets its watches go.
 *
 * State changes come from within calls of the channel's owner; so they are told at the end of the
 * turn, the newest only. */
#include "channel/state_watch.h"

#include "base/alloc.h"
#include "channel/state.h"

#define NOTHING_YET (-1)

struct fl_state_watch {
    struct fl_io *io;
    fl_state_cb *changed;
    void *arg;
    struct fl_task join, leave; /* posted, once each */
    void (*done)(void *arg);
    void *done_arg;
    atomic_bool ended;
    /* The loop's. */
    struct fl_list link;
    struct fl_channel *channel; /* NULL: it has ended */
    int told;                   /* enum fl_channel_state, or NOTHING_YET */
};

static void tell_one(struct fl_channel *channel, struct fl_state_watch *watch) {
    enum fl_channel_state state = channel->loop_data.state;
    bool trouble = state != FL_CHANNEL_READY && state != FL_CHANNEL_IDLE;
    if (watch->told == (int)state || atomic_load(&watch->ended)) return;
    watch->told = (int)state;
    watch->changed(watch->arg, state,
                   trouble ? fl_kept_error_peek(&channel->loop_data.cause) : NULL);
}

static void let_go(struct fl_state_watch *watch) {
    fl_list_remove(&watch->link);
    watch->channel = NULL;
}

static void tell(struct fl_task *task) {
    struct fl_channel *channel = FL_CONTAINER(task, struct fl_channel, loop_data.watches.tell);
    fl_channel_refresh(channel); /* a call may have begun since */
    FL_LIST_EACH (&channel->loop_data.watches.list, item, next) {
        struct fl_state_watch *watch = FL_CONTAINER(item, struct fl_state_watch, link);
        tell_one(channel, watch);
        if (channel->loop_data.closing) let_go(watch);
    }
}

void fl_state_watches_init(struct fl_channel *channel) {
    fl_list_init(&channel->loop_data.watches.list);
    fl_task_init(&channel->loop_data.watches.tell, tell);
}

void fl_state_watches_tell(struct fl_channel *channel) {
    fl_io_defer(channel->io, &channel->loop_data.watches.tell);
}

/* From here on the channel waits for nobody on its account: see `entered` in state.h. */
static void join(struct fl_task *task) {
    struct fl_state_watch *watch = FL_CONTAINER(task, struct fl_state_watch, join);
    struct fl_channel *channel = watch->channel;
    fl_list_push(&channel->loop_data.watches.list, &watch->link);
    fl_channel_refresh(channel);
    fl_state_watches_tell(channel);
    atomic_fetch_sub(&channel->shared_data.entered, 1);
}

static void leave(struct fl_task *task) {
    struct fl_state_watch *watch = FL_CONTAINER(task, struct fl_state_watch, leave);
    void (*done)(void *arg) = watch->done;
    void *arg = watch->done_arg;
    let_go(watch);
    fl_free(watch);
    if (done) done(arg);
}

int fl_channel_watch_state(struct fl_channel *channel, fl_state_cb *changed, void *arg,
                           struct fl_state_watch **out, struct fl_error *err) {
    struct fl_state_watch *watch = *out = FL_NEW(struct fl_state_watch);
    if (!watch) return fl_fail_nomem(err);
    watch->io = channel->io;
    watch->changed = changed;
    watch->arg = arg;
    watch->channel = channel;
    watch->told = NOTHING_YET;
    fl_list_init(&watch->link);
    fl_task_init(&watch->join, join);
    fl_task_init(&watch->leave, leave);
    atomic_init(&watch->ended, false);
    atomic_fetch_add(&channel->shared_data.entered, 1);
    fl_io_post(channel->io, &watch->join);
    return 0;
}

void fl_channel_unwatch_state(struct fl_state_watch *watch, void (*done)(void *arg), void *arg) {
    if (!watch) return;
    watch->done = done;
    watch->done_arg = arg;
    atomic_store(&watch->ended, true);
    fl_io_post(watch->io, &watch->leave);
}
