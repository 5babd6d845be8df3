/* queue.c - attempts that cannot be sent at once.
 *
 * First come, first served; one that no server processed goes back to the front. Those of calls
 * that fail fast leave the queue when the channel enters TRANSIENT_FAILURE, those that wait for
 * ready stay. What is for one endpoint alone (handle.h) waits in that one's own line, so that it
 * holds nobody else up. All of it together is bounded by queued_calls_max. Whoever makes its
 * chances better defers the pump; the queue is never run from within a callback of a connection. */
#include "base/hash.h"
#include "channel/state.h"

static struct fl_transport *usable(const struct fl_pick *pick) {
    return fl_subchannel_usable(FL_CONTAINER(pick, const struct fl_subchannel, pick));
}

static bool has_room(const struct fl_pick *pick) { return usable(pick) != NULL; }

static bool is_fresh(const struct fl_pick *pick) {
    const struct fl_transport *transport = usable(pick);
    return transport && !fl_transport_quiet(transport, fl_io_now_ms(transport->sub->connector->io));
}

/* The header's values together are one hash, however many there are (gRFC A42). */
static struct fl_pick_context context_of(const struct fl_channel *channel,
                                         const struct fl_call *call) {
    struct fl_pick_context context = {.hashed = false};
    if (!channel->options.balance.hash_header) return context;
    struct fl_str name = fl_str_of(channel->options.balance.hash_header);
    for (size_t i = 0; i < call->metadata_count; i++) {
        if (!fl_str_eq(call->metadata[i].name, name)) continue;
        context.hashed = true;
        context.hash = fl_hash(call->metadata[i].value, context.hash);
    }
    return context;
}

/* NULL: it must be asked before a call may use it, and is. NULL is allowed. */
static struct fl_transport *ask_first(struct fl_transport *transport,
                                      const struct fl_attempt *attempt) {
    if (!transport || !fl_transport_quiet(transport, fl_attempt_now_us(attempt) / 1000))
        return transport;
    fl_transport_ask(transport);
    return NULL;
}

/* The endpoint that the caller chose, if it takes the call now. */
static struct fl_transport *chosen(const struct fl_attempt *attempt) {
    const struct fl_handle *endpoint = attempt->call->endpoint;
    const struct fl_subchannel *sub = endpoint->loop_data.sub;
    if (!sub || !atomic_load(&endpoint->usable)) return NULL;
    return ask_first(fl_subchannel_usable(sub), attempt);
}

/* Who takes the call now; NULL: it must wait. Whose turn it is after a long quiet is asked first
 * and the call goes to another one; a call that has waited takes who has answered. */
static struct fl_transport *choose(struct fl_channel *channel, const struct fl_attempt *attempt) {
    if (attempt->call->endpoint) return chosen(attempt);
    struct fl_balancer *balancer = &channel->loop_data.balancer;
    const struct fl_pick_context context = context_of(channel, attempt->call);
    bool waited = attempt->state == FL_ATTEMPT_WAITING;
    struct fl_pick *pick = waited ? fl_balancer_next(balancer, &context, is_fresh) : NULL;
    if (!pick) pick = fl_balancer_next(balancer, &context, has_room);
    if (!pick) return NULL;
    struct fl_transport *transport = ask_first(usable(pick), attempt);
    if (transport || waited) return transport;
    pick = fl_balancer_next(balancer, &context, is_fresh);
    return pick ? usable(pick) : NULL;
}

static void tell_pick(const struct fl_channel *channel, const struct fl_subchannel *sub) {
    const struct fl_channel_watcher *watcher = &channel->loop_data.watcher;
    if (watcher->on_pick)
        watcher->on_pick(watcher->arg, fl_set_version(channel->loop_data.applied), sub->peer);
}

static enum fl_status status_of_refusal(int rc) {
    if (rc == FL_ENOMEM) return FL_STATUS_RESOURCE_EXHAUSTED;
    return rc == FL_EUNAUTHORIZED ? FL_STATUS_UNAUTHENTICATED : FL_STATUS_UNAVAILABLE;
}

/* False: it must wait. */
static bool try_send(struct fl_channel *channel, struct fl_attempt *attempt) {
    struct fl_transport *transport = choose(channel, attempt);
    if (!transport) return false;
    struct fl_error err = {FL_OK, ""};
    int rc = fl_attempt_send(attempt, transport, &err);
    if (rc == 0) {
        tell_pick(channel, transport->sub);
        return true;
    }
    /* Its room went to a call that this one's credentials made: there will be some again. */
    if (rc != FL_ENOMEM && rc != FL_EUNAUTHORIZED && rc != FL_EPROTO) return false;
    fl_call_lose(attempt->call, attempt, status_of_refusal(rc), &err);
    return true;
}

/* Where it waits. */
static struct fl_list *line_of(struct fl_channel *channel, const struct fl_attempt *attempt) {
    struct fl_handle *endpoint = attempt->call->endpoint;
    return endpoint ? &endpoint->loop_data.waiting : &channel->loop_data.waiting;
}

static bool is_fast(const struct fl_attempt *attempt) {
    return !attempt->call->wait_for_ready && !attempt->call->endpoint;
}

static void queue_at(struct fl_channel *channel, struct fl_attempt *attempt,
                     struct fl_list *place) {
    struct fl_handle *endpoint = attempt->call->endpoint;
    if (endpoint && fl_list_empty(&endpoint->loop_data.waiting))
        fl_list_push(&channel->loop_data.lines, &endpoint->loop_data.line);
    fl_attempt_move(attempt, FL_ATTEMPT_WAITING);
    fl_list_push(place, &attempt->link);
    channel->loop_data.waiting_count++;
    if (is_fast(attempt)) channel->loop_data.waiting_fast++;
    fl_metric_add(channel->queued, 1);
    fl_channel_pump(channel);
}

void fl_channel_unqueue(struct fl_channel *channel, struct fl_attempt *attempt) {
    struct fl_handle *endpoint = attempt->call->endpoint;
    fl_list_remove(&attempt->link);
    if (endpoint && fl_list_empty(&endpoint->loop_data.waiting))
        fl_list_remove(&endpoint->loop_data.line);
    channel->loop_data.waiting_count--;
    if (is_fast(attempt)) channel->loop_data.waiting_fast--;
    fl_metric_add(channel->queued, -1);
}

static bool has_left(const struct fl_handle *endpoint) {
    return !endpoint->loop_data.sub || !atomic_load(&endpoint->usable);
}

/* True: there is nothing to wait for, or the call fails fast. */
static bool hopeless(const struct fl_channel *channel, const struct fl_attempt *attempt) {
    const struct fl_handle *endpoint = attempt->call->endpoint;
    if (endpoint && has_left(endpoint)) return true;
    int state = endpoint ? endpoint->loop_data.sub->state : (int)channel->loop_data.state;
    return state == FL_CHANNEL_TRANSIENT_FAILURE && !attempt->call->wait_for_ready;
}

static void fail_fast(struct fl_channel *channel, struct fl_attempt *attempt) {
    const struct fl_handle *endpoint = attempt->call->endpoint;
    const struct fl_error *cause = fl_kept_error_peek(&channel->loop_data.cause);
    struct fl_error why, left;
    if (endpoint && has_left(endpoint)) {
        fl_fail(&left, FL_ELEFT, "endpoint %s left the service", endpoint->peer);
        cause = &left;
    } else if (endpoint) {
        cause = fl_kept_error_peek(&endpoint->loop_data.sub->why);
    }
    fl_fail(&why, cause->code, "%s (%s)", cause->detail, fl_error_name(cause->code));
    fl_call_lose(attempt->call, attempt, FL_STATUS_UNAVAILABLE, &why);
}

static void refuse(struct fl_channel *channel, struct fl_attempt *attempt) {
    const struct fl_error *cause = fl_kept_error_peek(&channel->loop_data.cause);
    struct fl_error why;
    fl_fail(&why, FL_EFULL, "%u calls wait already: %s (%s)",
            (unsigned)channel->options.queued_calls_max, cause->detail, fl_error_name(cause->code));
    fl_metric_add(channel->full, 1);
    fl_call_lose(attempt->call, attempt, FL_STATUS_RESOURCE_EXHAUSTED, &why);
}

/* What was sent before was let in before; there are no more of those than streams. */
static bool is_full(const struct fl_channel *channel, const struct fl_attempt *attempt) {
    return attempt->call->attempts == 0 &&
           channel->loop_data.waiting_count >= channel->options.queued_calls_max;
}

/* `place`: it stands before that. */
static void enqueue(struct fl_channel *channel, struct fl_attempt *attempt, struct fl_list *place) {
    fl_channel_refresh(channel);
    if (channel->loop_data.closing) {
        fl_call_give_up(attempt->call, FL_STATUS_CANCELLED,
                        fl_kept_error_peek(&channel->loop_data.cause));
    } else if (hopeless(channel, attempt)) {
        fail_fast(channel, attempt);
    } else if (is_full(channel, attempt)) {
        refuse(channel, attempt);
    } else {
        queue_at(channel, attempt, place);
    }
}

void fl_channel_submit(struct fl_channel *channel, struct fl_attempt *attempt) {
    struct fl_list *line = line_of(channel, attempt);
    if (fl_list_empty(line) && try_send(channel, attempt)) return;
    enqueue(channel, attempt, line);
}

void fl_channel_resubmit(struct fl_channel *channel, struct fl_attempt *attempt) {
    fl_metric_add(channel->retries, 1);
    enqueue(channel, attempt, line_of(channel, attempt)->next);
    fl_channel_pump(channel);
}

static void fail_hopeless(struct fl_channel *channel, struct fl_list *line) {
    FL_LIST_EACH (line, item, next) {
        struct fl_attempt *attempt = FL_CONTAINER(item, struct fl_attempt, link);
        if (hopeless(channel, attempt)) fail_fast(channel, attempt);
    }
}

static void run_line(struct fl_channel *channel, struct fl_list *line) {
    while (!fl_list_empty(line) &&
           try_send(channel, FL_CONTAINER(line->next, struct fl_attempt, link))) {
    }
}

/* An endpoint that the policy does not want is connected when somebody waits for it. */
static void run_line_of(struct fl_channel *channel, struct fl_handle *endpoint) {
    run_line(channel, &endpoint->loop_data.waiting);
    fail_hopeless(channel, &endpoint->loop_data.waiting);
    if (!fl_list_empty(&endpoint->loop_data.waiting))
        fl_subchannel_connect(endpoint->loop_data.sub);
}

/* Once each, however lines come and go meanwhile: a call's credentials may start and cancel other
 * calls. */
static void run_lines_of_endpoints(struct fl_channel *channel) {
    struct fl_list *lines = &channel->loop_data.lines, batch;
    fl_list_init(&batch);
    while (!fl_list_empty(lines)) {
        struct fl_list *line = lines->next;
        fl_list_remove(line);
        fl_list_push(&batch, line);
    }
    while (!fl_list_empty(&batch)) {
        struct fl_list *line = batch.next;
        fl_list_remove(line);
        fl_list_push(lines, line);
        run_line_of(channel, FL_CONTAINER(line, struct fl_handle, loop_data.line));
    }
}

void fl_channel_run_queue(struct fl_channel *channel) {
    run_line(channel, &channel->loop_data.waiting);
    run_lines_of_endpoints(channel);
    fl_channel_refresh(channel);
    /* Only when there is one: what waits for ready is not looked at again and again. */
    if (channel->loop_data.state == FL_CHANNEL_TRANSIENT_FAILURE &&
        channel->loop_data.waiting_fast > 0)
        fail_hopeless(channel, &channel->loop_data.waiting);
    if (channel->loop_data.waiting_count > 0) fl_channel_widen(channel);
}
