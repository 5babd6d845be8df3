/* weights.c - weights and slow start.
 *
 * Slow start is Envoy's with aggression 1: an endpoint that is new, or that could not be reached,
 * takes a tenth of its weight when it is connected and in slow_start_ms rises to all of it in a
 * straight line, so that one restarted server is not met by everybody's calls at once (C7). A
 * server that only ended a connection (GOAWAY) is as warm as it was. Where all are new they all
 * take equal shares, as without slow start. Weights are told anew STEPS times on the way. */
#include "channel/weights.h"

#include "channel/state.h"

#define LEAST_PERCENT 10 /* Envoy's min_weight_percent */
#define STEPS         20

uint32_t fl_slow_start_weight(uint32_t weight, uint64_t since_ms, uint32_t window_ms) {
    if (since_ms >= window_ms) return weight;
    uint64_t percent = FL_MAX(since_ms * 100 / window_ms, LEAST_PERCENT);
    return (uint32_t)FL_MAX(weight * percent / 100, 1);
}

static void tell(struct fl_channel *channel, struct fl_subchannel *sub, uint64_t now) {
    struct fl_warmth *warmth = &sub->warmth;
    uint32_t window = channel->options.balance.slow_start_ms, weight = warmth->weight;
    if (warmth->warming) {
        weight = fl_slow_start_weight(weight, now - warmth->since_ms, window);
        warmth->warming = now - warmth->since_ms < window;
    }
    fl_balancer_weigh(&channel->loop_data.balancer, &sub->pick, weight);
}

static void set_timer(struct fl_channel *channel, uint64_t now) {
    struct fl_timer *timer = &channel->loop_data.warm;
    if (!fl_timer_is_set(timer))
        fl_io_timer_set(channel->io, timer,
                        now + FL_MAX(channel->options.balance.slow_start_ms / STEPS, 1));
}

static void step(struct fl_timer *timer) {
    struct fl_channel *channel = FL_CONTAINER(timer, struct fl_channel, loop_data.warm);
    uint64_t now = fl_io_now_ms(channel->io);
    bool more = false;
    FL_LIST_EACH (&channel->loop_data.sub_list, item, next) {
        struct fl_subchannel *sub = FL_CONTAINER(item, struct fl_subchannel, link);
        if (!sub->warmth.warming) continue;
        tell(channel, sub, now);
        more |= sub->warmth.warming;
    }
    if (more) set_timer(channel, now);
}

/* Without memory for a timer it takes its whole share at once. */
static bool may_warm(struct fl_channel *channel) {
    const struct fl_balance_options *balance = &channel->options.balance;
    struct fl_timer *timer = &channel->loop_data.warm;
    if (balance->slow_start_ms == 0 ||
        (balance->policy != FL_BALANCE_ROUND_ROBIN && balance->policy != FL_BALANCE_LEAST_REQUEST))
        return false;
    return timer->run || fl_io_timer_init(channel->io, timer, step) == 0;
}

void fl_channel_warm(struct fl_channel *channel, struct fl_subchannel *sub) {
    struct fl_warmth *warmth = &sub->warmth;
    if (sub->state == FL_CHANNEL_TRANSIENT_FAILURE) warmth->known = false;
    if (sub->state != FL_CHANNEL_READY || warmth->known) return;
    uint64_t now = fl_io_now_ms(channel->io);
    warmth->known = true;
    warmth->warming = may_warm(channel);
    warmth->since_ms = now;
    tell(channel, sub, now);
    if (warmth->warming) set_timer(channel, now);
}

uint32_t fl_channel_weight_of(const struct fl_channel *channel,
                              const struct fl_endpoint *endpoint) {
    const struct fl_balance_options *balance = &channel->options.balance;
    uint32_t weight = balance->weight ? balance->weight(balance->weight_arg, endpoint) : 0;
    return weight ? FL_MIN(weight, FL_WEIGHT_MAX) : FL_WEIGHT_USUAL;
}

void fl_channel_weigh(struct fl_channel *channel, struct fl_subchannel *sub, uint32_t weight) {
    sub->warmth.weight = weight;
    tell(channel, sub, fl_io_now_ms(channel->io));
}

void fl_channel_weights_deinit(struct fl_channel *channel) {
    fl_io_timer_deinit(channel->io, &channel->loop_data.warm);
}
