/* channel.c - the life of a channel, and the two ways its loop is told to do something.
 *
 *     other threads ──> inbox ─┐                        ┌─> connectivity.c: state, cause
 *     fl_channel_close ────────┴─> wake (posted) ──┐    │
 *     discovery ──> endpoints.c ──> subchannels ───┴─> pump (deferred) ──> queue.c ──> call.c
 *
 * The wake-up comes with a turn of its own: it takes calls from the inbox, calls the callbacks of
 * calls that this side ended, and closes. The pump runs at the end of a turn in which something
 * changed: it sends what waits. Both coalesce: they are queued at most once.
 *
 * Closing: everything is ended, then each wake-up looks whether the last transport, the
 * subscription, the last call and the last thread inside are gone, and only then frees it. */
#include <stdio.h>

#include "balance/zone.h"
#include "base/alloc.h"
#include "channel/health.h"
#include "channel/state.h"
#include "wire/grpc_compression.h"

static void fill_in(struct fl_channel_options *options) {
    static const struct fl_channel_options defaults = {
        .connect_timeout_ms = 20000,
        .backoff_ms_min = 1000,
        .backoff_ms_max = 120000,
        .drain_ms = 5000,
        .queued_calls_max = 10000,
        .connections_max = 4,
        .compression = FL_COMPRESSION_IDENTITY,
        .idle_timeout_ms = 1800000,
    };
#define FILL(field) options->field = options->field ? options->field : defaults.field
    FILL(connect_timeout_ms);
    FILL(backoff_ms_min);
    FILL(backoff_ms_max);
    FILL(drain_ms);
    FILL(queued_calls_max);
    FILL(connections_max);
    FILL(compression);
    FILL(idle_timeout_ms);
#undef FILL
}

/* kubernetes:///ns/echo:grpc -> echo; static:a:1,b:2 -> a:1; a:1 -> a:1. */
static struct fl_str authority_of(const char *target) {
    struct fl_str rest = fl_str_of(target), head, tail;
    if (fl_str_starts(rest, FL_STR("static:"))) {
        fl_str_split(fl_str_from(rest, sizeof("static:") - 1), ',', &head, &tail);
        return head;
    }
    const char *slash = strrchr(target, '/');
    if (!slash) return rest;
    fl_str_split(fl_str_of(slash + 1), ':', &head, &tail);
    return head;
}

/* It stands in the head of every request: nothing that would end it, or begin another line there
 * (RFC 3986 section 3.2; RFC 9113 section 8.3.1: no userinfo). */
static bool is_authority(const char *text) {
    for (const char *p = text; *p; p++) {
        if (*p <= ' ' || *p > '~' || strchr("/?#@", *p)) return false;
    }
    return *text != '\0';
}

static int check(const char *target, const struct fl_channel_options *options,
                 struct fl_error *err) {
    if (!target) return fl_fail(err, FL_EUSAGE, "a channel needs a target");
    if (options && options->authority && !is_authority(options->authority))
        return fl_fail(err, FL_EUSAGE,
                       "authority: visible ASCII without / ? # @, such as echo.example:8080");
    return 0;
}

static void prepare_headers(struct fl_channel *channel) {
    channel->headers[0] = (struct fl_http_header){FL_STR("te"), FL_STR("trailers")};
    channel->headers[1] =
        (struct fl_http_header){FL_STR("content-type"), FL_STR("application/grpc")};
    channel->headers[2] = (struct fl_http_header){FL_STR("user-agent"), FL_CHANNEL_USER_AGENT};
    channel->headers[3] =
        (struct fl_http_header){FL_STR("grpc-accept-encoding"), FL_COMPRESSION_ACCEPTED};
}

static void prepare_metrics(struct fl_channel *channel) {
    struct fl_metrics *metrics = channel->io->metrics;
    channel->queued = fl_metrics_get(metrics, FL_METRIC_GAUGE, "fairlead_channel_queued_calls",
                                     "Calls that wait for an endpoint or a stream.", "");
    channel->full = fl_metrics_get(metrics, FL_METRIC_COUNTER, "fairlead_channel_queue_full_total",
                                   "Calls refused since too many waited.", "");
    channel->retries =
        fl_metrics_get(metrics, FL_METRIC_COUNTER, "fairlead_channel_transparent_retries_total",
                       "Attempts that no server processed.", "");
    for (int status = FL_STATUS_OK; status <= FL_STATUS_UNAUTHENTICATED; status++) {
        char labels[48];
        snprintf(labels, sizeof(labels), "status=%s", fl_status_name((enum fl_status)status));
        channel->calls[status] =
            fl_metrics_get(metrics, FL_METRIC_COUNTER, "fairlead_channel_calls_total",
                           "Calls that ended, by status.", labels);
    }
}

static void on_state(void *arg, struct fl_subchannel *sub) {
    struct fl_channel *channel = arg;
    fl_channel_warm(channel, sub);
    fl_channel_place(channel, sub);
    channel->loop_data.wanted.due = true;
    channel->loop_data.changed = true;
    fl_channel_pump(channel);
}

static void on_room(void *arg) { fl_channel_pump(arg); }

static void on_empty(void *arg) {
    struct fl_channel *channel = arg;
    if (channel->loop_data.closing) fl_channel_wake(channel);
}

static void pump(struct fl_task *task) {
    struct fl_channel *channel = FL_CONTAINER(task, struct fl_channel, loop_data.pump);
    if (channel->loop_data.closing) return;
    fl_channel_run_queue(channel);
    fl_channel_resume(channel);
}

void fl_channel_pump(struct fl_channel *channel) {
    fl_io_defer(channel->io, &channel->loop_data.pump);
}

void fl_channel_wake(struct fl_channel *channel) {
    fl_io_post(channel->io, &channel->shared_data.wake);
}

static void take_inbox(struct fl_channel *channel) {
    struct fl_inbox_item *item = fl_inbox_steal_all(&channel->shared_data.inbox);
    for (struct fl_inbox_item *next; item; item = next) {
        next = item->next; /* a call may be gone once it was begun */
        fl_call_begin(FL_CONTAINER(item, struct fl_call, inbox));
    }
}

/* What a callback ends in its turn is left to the next wake-up, so that a caller who tries again
 * at once does not hold the loop. */
static void finish_calls(struct fl_channel *channel) {
    struct fl_list *ending = &channel->loop_data.ending, batch;
    fl_list_init(&batch);
    while (!fl_list_empty(ending)) {
        struct fl_list *item = ending->next;
        fl_list_remove(item);
        fl_list_push(&batch, item);
    }
    while (!fl_list_empty(&batch)) {
        struct fl_list *item = batch.next;
        fl_list_remove(item);
        fl_call_finish(FL_CONTAINER(item, struct fl_call, link));
    }
}

static void give_up_all(struct fl_list *calls, const struct fl_error *why) {
    FL_LIST_EACH (calls, item, next) {
        fl_call_give_up(FL_CONTAINER(item, struct fl_call, link), FL_STATUS_CANCELLED, why);
    }
}

static void unsubscribed(void *arg) {
    struct fl_channel *channel = arg;
    channel->loop_data.subscribed = false;
    fl_channel_wake(channel);
}

static void begin_close(struct fl_channel *channel) {
    struct fl_error why;
    fl_fail(&why, FL_ESHUTDOWN, "the channel was closed");
    channel->loop_data.closing = true;
    channel->loop_data.changed = true;
    fl_shown_leave(&channel->loop_data.shown);
    fl_channel_refresh(channel);
    give_up_all(&channel->loop_data.calls, &why);
    FL_LIST_EACH (&channel->loop_data.connector.transports, item, next) {
        struct fl_transport *transport = FL_CONTAINER(item, struct fl_transport, link);
        fl_transport_close(transport);
    }
    fl_channel_forget_endpoints(channel);
    fl_subscription_close(channel->subscription, unsubscribed, channel);
}

static bool is_empty(struct fl_channel *channel) {
    return !channel->loop_data.subscribed &&
           fl_list_empty(&channel->loop_data.connector.transports) &&
           channel->loop_data.checker.runs == 0 && fl_list_empty(&channel->loop_data.ending);
}

/* Another thread that has not quite left, or a task that will still run. */
static bool is_in_use(struct fl_channel *channel) {
    return atomic_load(&channel->shared_data.entered) != 0 ||
           atomic_load(&channel->shared_data.inbox.count) != 0 ||
           atomic_load(&channel->shared_data.wake.queued) ||
           atomic_load(&channel->loop_data.pump.queued) ||
           atomic_load(&channel->loop_data.watches.tell.queued);
}

static void channel_free(struct fl_channel *channel) {
    if (channel->loop_data.apply_ready) fl_io_timer_deinit(channel->io, &channel->loop_data.apply);
    fl_set_unref(channel->loop_data.newest);
    fl_set_unref(channel->loop_data.applied);
    fl_idle_deinit(channel);
    fl_balancer_deinit(&channel->loop_data.balancer);
    fl_channel_wanted_deinit(channel);
    fl_channel_weights_deinit(channel);
    fl_channel_ejection_deinit(channel);
    fl_balance_options_deinit(&channel->options.balance);
    fl_health_question_deinit(&channel->loop_data.health);
    fl_health_options_deinit(&channel->options.health);
    fl_map_deinit(&channel->loop_data.subs);
    fl_kept_error_deinit(&channel->loop_data.trouble);
    fl_kept_error_deinit(&channel->loop_data.port_error);
    fl_kept_error_deinit(&channel->loop_data.cause);
    fl_call_metrics_deinit(&channel->loop_data.measured);
    fl_handle_slot_deinit(&channel->shared_data.handles);
    fl_channel_credentials_free(channel->credentials);
    fl_service_config_free(channel->service_config);
    fl_free(channel->target);
    fl_free(channel->authority);
    fl_free(channel);
}

static void end_close(struct fl_channel *channel) {
    if (is_in_use(channel)) {
        fl_channel_wake(channel);
        return;
    }
    void (*done)(void *arg) = channel->shared_data.done;
    void *arg = channel->shared_data.arg;
    channel_free(channel);
    if (done) done(arg);
}

static void connect(struct fl_channel *channel) {
    fl_idle_quiet(channel, fl_io_now_ms(channel->io));
    fl_idle_leave(channel);
}

/* With the first wake-up, since the channel may have been made on another thread. */
static void show(struct fl_channel *channel) {
    struct fl_shown *shown = &channel->loop_data.shown;
    if (shown->write) return;
    shown->write = fl_channel_show;
    fl_shown_enter(&channel->io->channels, shown);
}

static void wake(struct fl_task *task) {
    struct fl_channel *channel = FL_CONTAINER(task, struct fl_channel, shared_data.wake);
    bool closing = atomic_load(&channel->shared_data.closing);
    show(channel);
    take_inbox(channel);
    if (atomic_exchange(&channel->shared_data.connect, false)) connect(channel);
    if (closing && !channel->loop_data.closing) begin_close(channel);
    if (!closing) fl_channel_apply(channel); /* if there was no memory even for its timer */
    finish_calls(channel);
    if (closing && is_empty(channel)) end_close(channel);
}

static void init_loop_data(struct fl_channel *channel) {
    const struct fl_channel_options *options = &channel->options;
    struct fl_connector *connector = &channel->loop_data.connector;
    *connector = (struct fl_connector){
        .io = channel->io,
        .connect_timeout_ms = options->connect_timeout_ms,
        .backoff_ms_min = options->backoff_ms_min,
        .backoff_ms_max = options->backoff_ms_max,
        .drain_ms = options->drain_ms,
        .connections_max = options->connections_max,
        .protocol = options->protocol,
        .credentials = channel->credentials,
        .checker = options->health.check.kind ? &channel->loop_data.checker : NULL,
        .health = options->health.grpc_service ? &channel->loop_data.health : NULL,
        .on_state = on_state,
        .on_room = on_room,
        .on_empty = on_empty,
        .arg = channel,
    };
    fl_keepalive_of(options, &connector->keepalive);
    fl_connection_metrics_init(&connector->metrics, channel->io->metrics,
                               channel->loop_data.measured.target, channel->credentials != NULL);
    fl_list_init(&connector->transports);
    fl_map_init(&channel->loop_data.subs, (uint64_t)(uintptr_t)channel);
    fl_list_init(&channel->loop_data.sub_list);
    fl_balancer_init(&channel->loop_data.balancer, &options->balance, &channel->io->jitter);
    fl_channel_wanted_init(channel);
    fl_list_init(&channel->loop_data.calls);
    fl_list_init(&channel->loop_data.waiting);
    fl_list_init(&channel->loop_data.lines);
    fl_list_init(&channel->loop_data.ending);
    fl_list_init(&channel->loop_data.resuming);
    fl_state_watches_init(channel);
    fl_task_init(&channel->loop_data.pump, pump);
    channel->loop_data.subscribed = true;
    channel->loop_data.changed = true;
}

/* After the authority is known. */
static int open_credentials(struct fl_channel *channel, struct fl_error *err) {
    const struct fl_channel_tls *tls = channel->options.tls;
    channel->options.tls = NULL; /* the caller's memory */
    if (!tls) return 0;
    bool any = channel->options.protocol == FL_PROTOCOL_HTTP;
    return fl_channel_credentials_new(channel->io, tls, channel->authority, any,
                                      &channel->credentials, err);
}

/* What it says of balancing is put into *balance; methods are looked up by calls. */
static int read_service_config(struct fl_channel *channel, struct fl_balance_options *balance,
                               struct fl_error *err) {
    struct fl_channel_options *options = &channel->options;
    if (!options->service_config) return 0;
    struct fl_service_config *config;
    int rc = fl_service_config_new(fl_str_of(options->service_config), &config, err);
    if (rc != 0) return rc;
    channel->service_config = config;
    options->service_config = NULL; /* the caller's memory */
    if (config->balances) fl_service_config_balance(config, balance);
    if (config->throttle_tokens > 0)
        fl_throttle_init(&channel->loop_data.throttle, config->throttle_tokens,
                         config->throttle_ratio);
    return 0;
}

static int open_health(struct fl_channel *channel, struct fl_error *err) {
    struct fl_health_question *question = &channel->loop_data.health;
    const struct fl_health_options *options = &channel->options.health;
    const struct fl_http_request head = {
        .scheme = channel->credentials ? FL_STR("https") : FL_STR("http"),
        .authority = fl_str_of(channel->authority),
        .headers = {channel->headers, FL_CHANNEL_HEADERS},
    };
    if (options->check.kind != FL_HEALTH_CHECK_NONE)
        fl_health_checker_init(&channel->loop_data.checker, channel->io, &options->check, on_empty,
                               channel);
    if (!options->grpc_service) return 0;
    if (channel->options.protocol == FL_PROTOCOL_HTTP && !channel->credentials)
        return fl_fail(err, FL_EUSAGE,
                       "health: grpc_service is asked over HTTP/2, and protocol without tls "
                       "says HTTP/1.1");
    if (fl_health_question_init(question, channel->io, options->grpc_service, &head) != 0)
        return fl_fail_nomem(err);
    question->answer_ms = channel->options.connect_timeout_ms;
    question->backoff = (struct fl_backoff_policy){
        .min_ms = channel->options.backoff_ms_min,
        .max_ms = channel->options.backoff_ms_max,
        .factor_percent = 160,
        .jitter_percent = 20,
        .reset_ms = channel->options.backoff_ms_min,
    };
    return 0;
}

int fl_channel_open(struct fl_io *io, struct fl_discovery *discovery, const char *target,
                    const struct fl_channel_options *options, struct fl_channel **out,
                    struct fl_error *err) {
    int rc = check(target, options, err);
    if (rc != 0) return rc;
    struct fl_channel *channel = FL_NEW(struct fl_channel);
    if (!channel) return fl_fail_nomem(err);
    channel->io = io;
    fl_handle_slot_init(&channel->shared_data.handles);
    if (options) channel->options = *options;
    struct fl_balance_options balance = channel->options.balance;
    const struct fl_health_options health = channel->options.health;
    channel->options.balance = (struct fl_balance_options){.policy = FL_BALANCE_ROUND_ROBIN};
    channel->options.health = (struct fl_health_options){.grpc_service = NULL};
    rc = read_service_config(channel, &balance, err);
    if (rc != 0) goto fail;
    rc = fl_balance_options_copy(&channel->options.balance, &balance, err);
    if (rc == 0) {
        const struct fl_service_config *config = channel->service_config;
        rc = fl_health_options_copy(&channel->options.health, &health,
                                    config ? config->health_service : NULL, err);
    }
    if (rc == 0) rc = fl_zone_locate(&channel->options.balance, io, err);
    if (rc != 0) goto fail;
    rc = FL_ENOMEM;
    fill_in(&channel->options);
    const char *authority = channel->options.authority;
    channel->target = fl_strdup(target);
    channel->authority = authority ? fl_strdup(authority) : fl_str_dup(authority_of(target));
    channel->options.authority = NULL; /* the caller's memory */
    if (!channel->target || !channel->authority) {
        fl_fail_nomem(err);
        goto fail;
    }
    rc = open_credentials(channel, err);
    if (rc != 0) goto fail;
    prepare_headers(channel);
    prepare_metrics(channel);
    rc = open_health(channel, err);
    if (rc != 0) goto fail;
    rc = fl_call_metrics_init(&channel->loop_data.measured, io->metrics, target);
    if (rc != 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    fl_inbox_init(&channel->shared_data.inbox, channel->options.queued_calls_max);
    fl_task_init(&channel->shared_data.wake, wake);
    atomic_init(&channel->shared_data.state, FL_CHANNEL_IDLE);
    init_loop_data(channel);
    /* The last step: from here on the loop may call. */
    rc = fl_discovery_subscribe_on(discovery, io, target, fl_channel_on_set, channel,
                                   &channel->subscription, err);
    if (rc != 0) goto fail;
    fl_channel_wake(channel);
    *out = channel;
    return 0;
fail:
    channel_free(channel);
    return rc;
}

int fl_channel_new(struct fl_runtime *runtime, struct fl_discovery *discovery, const char *target,
                   const struct fl_channel_options *options, struct fl_channel **out,
                   struct fl_error *err) {
    return fl_channel_open(runtime->io, discovery, target, options, out, err);
}

void fl_channel_close(struct fl_channel *channel, void (*done)(void *arg), void *arg) {
    atomic_fetch_add(&channel->shared_data.entered, 1);
    channel->shared_data.done = done;
    channel->shared_data.arg = arg;
    atomic_store(&channel->shared_data.closing, true);
    fl_channel_wake(channel);
    atomic_fetch_sub(&channel->shared_data.entered, 1);
}

void fl_channel_connect(struct fl_channel *channel) {
    atomic_fetch_add(&channel->shared_data.entered, 1);
    atomic_store(&channel->shared_data.connect, true);
    fl_channel_wake(channel);
    atomic_fetch_sub(&channel->shared_data.entered, 1);
}

enum fl_channel_state fl_channel_state(const struct fl_channel *channel) {
    return (enum fl_channel_state)atomic_load(&channel->shared_data.state);
}

const char *fl_channel_state_name(enum fl_channel_state state) {
    static const char *const names[] = {
        [FL_CHANNEL_IDLE] = "IDLE",         [FL_CHANNEL_CONNECTING] = "CONNECTING",
        [FL_CHANNEL_READY] = "READY",       [FL_CHANNEL_TRANSIENT_FAILURE] = "TRANSIENT_FAILURE",
        [FL_CHANNEL_SHUTDOWN] = "SHUTDOWN",
    };
    return (unsigned)state < FL_COUNT(names) ? names[state] : "?";
}

uint32_t fl_channel_drain_ms(const struct fl_channel *channel) { return channel->options.drain_ms; }

void fl_channel_watch(struct fl_channel *channel, const struct fl_channel_watcher *watcher) {
    channel->loop_data.watcher = *watcher;
}
