/* idle.c - a channel without calls closes its sockets, and nothing else.
 *
 *     calls ──last one ends──> idle_timeout_ms ──> IDLE: no endpoint is wanted (wanted.c)
 *       ^                                            │
 *       └──── a call begins, fl_channel_connect ─────┘ all are wanted again, in the same turn
 *
 * Discovery knows nothing of it: sets come and are applied as before (C1), so that the first call
 * after an hour finds the endpoints that are alive now. If what it finds is stale, because the
 * source does not answer, the source is asked at once instead of at the end of its backoff; the
 * call does not wait for that.
 *
 * The timer is set once for each timeout and not for each call: when it is due, it looks how long
 * the channel has been quiet. */
#include "channel/idle.h"

#include "base/log.h"
#include "channel/state.h"
#include "discovery/set.h"

static void look_at(struct fl_channel *channel, uint64_t at_ms) {
    if (channel->options.idle_timeout_ms != UINT32_MAX)
        fl_io_timer_set(channel->io, &channel->loop_data.idle.timer, at_ms);
}

static void enter(struct fl_channel *channel) {
    FL_LOG(channel->io, FL_LOG_DEBUG, "channel is idle, its connections are closed",
           FL_LOG_TEXT_OF("service", channel->target));
    channel->loop_data.idle.on = true;
    channel->loop_data.changed = true;
    fl_channel_want(channel);
    fl_channel_pump(channel);
}

static void look(struct fl_timer *timer) {
    struct fl_channel *channel = FL_CONTAINER(timer, struct fl_channel, loop_data.idle.timer);
    uint64_t now_ms = fl_io_now_ms(channel->io);
    bool quiet =
        fl_list_empty(&channel->loop_data.calls) && fl_list_empty(&channel->loop_data.ending);
    uint64_t since_ms = quiet ? channel->loop_data.idle.quiet_since_ms : now_ms;
    uint64_t at_ms = since_ms + channel->options.idle_timeout_ms;
    if (channel->loop_data.closing) return;
    if (now_ms < at_ms)
        look_at(channel, at_ms);
    else
        enter(channel);
}

void fl_idle_start(struct fl_channel *channel) {
    struct fl_idle *idle = &channel->loop_data.idle;
    if (idle->started) return;
    idle->started = fl_io_timer_init(channel->io, &idle->timer, look) == 0;
    if (!idle->started) return;
    fl_idle_quiet(channel, fl_io_now_ms(channel->io));
    look_at(channel, idle->quiet_since_ms + channel->options.idle_timeout_ms);
}

void fl_idle_deinit(struct fl_channel *channel) {
    if (channel->loop_data.idle.started)
        fl_io_timer_deinit(channel->io, &channel->loop_data.idle.timer);
}

static bool is_stale(const struct fl_channel *channel) {
    const struct fl_set *newest = channel->loop_data.newest;
    return channel->loop_data.trouble.code != FL_OK || (newest && fl_set_stale_ms(newest) > 0);
}

void fl_idle_leave(struct fl_channel *channel) {
    struct fl_idle *idle = &channel->loop_data.idle;
    if (!idle->on || channel->loop_data.closing) return;
    FL_LOG(channel->io, FL_LOG_DEBUG, "channel is idle no more",
           FL_LOG_TEXT_OF("service", channel->target));
    idle->on = false;
    channel->loop_data.changed = true;
    fl_idle_quiet(channel, fl_io_now_ms(channel->io));
    look_at(channel, idle->quiet_since_ms + channel->options.idle_timeout_ms);
    if (is_stale(channel)) fl_subscription_hurry(channel->subscription);
    fl_channel_want(channel);
    fl_channel_pump(channel);
}

void fl_idle_quiet(struct fl_channel *channel, uint64_t now_ms) {
    channel->loop_data.idle.quiet_since_ms = now_ms;
}
