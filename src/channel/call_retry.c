/* call_retry.c - further attempts by the service config's policy: retries and hedges (gRFC A6).
 *
 * Retry: one attempt at a time; when it failed with a code of the policy, the same attempt is used
 * again after a backoff. Hedging: further attempts start beside the first, every `delay` until one
 * answers, or at once when one failed with a code that does not end the call. Either way throttling
 * and the server's pushback have the last word, and the first answer commits the call. */
#include "base/alloc.h"
#include "channel/call.h"
#include "channel/service_config.h"
#include "channel/state.h"

static void try_in(struct fl_call *call, uint32_t ms) {
    struct fl_io *io = call->channel->io;
    fl_io_timer_set(io, &call->again, fl_io_now_ms(io) + ms);
}

static void send_again(struct fl_call *call, struct fl_attempt *attempt) {
    call->tries++;
    fl_attempt_renew(attempt);
    fl_channel_submit(call->channel, attempt);
}

/* --- retry --- */

static bool retries(struct fl_call *call, const struct fl_pushback *pushback, bool allowed) {
    const struct fl_retry_policy *policy = &call->config->retry;
    if (!allowed || call->tries >= policy->attempts_max) return false;
    uint32_t ms = pushback->ms;
    if (pushback->kind == FL_PUSHBACK_WAIT)
        call->backoffs = 0;
    else
        ms = fl_retry_delay_ms(policy, ++call->backoffs, &call->channel->io->jitter);
    try_in(call, ms);
    return true;
}

/* --- hedging --- */

/* An attempt that is over, or a new one; NULL: no memory. */
static struct fl_attempt *free_attempt(struct fl_call *call) {
    for (struct fl_attempt *a = &call->first; a; a = fl_call_next_attempt(call, a)) {
        if (a->state == FL_ATTEMPT_OVER) return a;
    }
    struct fl_attempt *attempt = FL_NEW(struct fl_attempt);
    if (!attempt) return NULL;
    fl_attempt_init(attempt, call);
    fl_attempt_move(attempt, FL_ATTEMPT_OVER); /* as the others: to be renewed */
    fl_list_push(&call->others, &attempt->sibling);
    return attempt;
}

static void hedge(struct fl_call *call) {
    const struct fl_hedging_policy *policy = &call->config->hedging;
    struct fl_attempt *attempt = free_attempt(call);
    if (attempt) {
        if (call->tries + 1 < policy->attempts_max) try_in(call, policy->delay_ms);
        send_again(call, attempt);
    } else if (!fl_call_is_alive(call)) {
        struct fl_error err;
        fl_fail_nomem(&err);
        fl_call_give_up(call, FL_STATUS_RESOURCE_EXHAUSTED, &err);
    }
}

static bool hedges_on(struct fl_call *call, const struct fl_pushback *pushback, bool allowed) {
    bool more = allowed && call->tries < call->config->hedging.attempts_max;
    if (more)
        try_in(call, pushback->kind == FL_PUSHBACK_WAIT ? pushback->ms : 0);
    else
        fl_io_timer_clear(call->channel->io, &call->again);
    return more || fl_call_is_alive(call);
}

/* --- both --- */

static void again(struct fl_timer *timer) {
    struct fl_call *call = FL_CONTAINER(timer, struct fl_call, again);
    if (call->config->retry.attempts_max > 0) {
        send_again(call, &call->first);
    } else if (!fl_call_is_alive(call) || !fl_throttle_is_low(&call->channel->loop_data.throttle)) {
        hedge(call);
    }
}

int fl_call_start_policy(struct fl_call *call) {
    const struct fl_method_config *config = call->config;
    if (config->retry.attempts_max == 0 && config->hedging.attempts_max == 0) return 0;
    int rc = fl_io_timer_init(call->channel->io, &call->again, again);
    if (rc == 0 && config->hedging.attempts_max > 0) try_in(call, config->hedging.delay_ms);
    return rc;
}

bool fl_call_tries_again(struct fl_call *call, const struct fl_attempt *attempt,
                         enum fl_status status) {
    const struct fl_method_config *config = call->config;
    const struct fl_pushback *pushback = &attempt->reply.pushback;
    struct fl_throttle *throttle = &call->channel->loop_data.throttle;
    bool hedges = config->hedging.attempts_max > 0;
    if (!hedges && config->retry.attempts_max == 0) return false;
    if (status == FL_STATUS_OK) {
        fl_throttle_succeeded(throttle);
        return false;
    }
    bool covered =
        fl_retry_covers(hedges ? config->hedging.codes : config->retry.codes, (int)status);
    bool stop = pushback->kind == FL_PUSHBACK_STOP;
    bool allowed = !(covered || stop) || fl_throttle_failed(throttle);
    if (!covered || call->committed) return false;
    return hedges ? hedges_on(call, pushback, allowed && !stop)
                  : retries(call, pushback, allowed && !stop);
}
