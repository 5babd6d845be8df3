/* ejection.c - inspections for outliers, what they do to a channel, and panic.
 *
 * An ejected endpoint keeps its connection and is taken out of the round. Those that serve it are
 * counted against those that could: when less than half of the connected endpoints would be left,
 * ejection has become a greater danger than the endpoints, and the channel is in panic: it calls
 * all of them (Envoy's panic threshold, 50 %), says so in a warning and in the gauge
 * fairlead_channel_panic, and goes on judging, so that it finds out by itself. */
#include "channel/ejection.h"

#include "base/alloc.h"
#include "base/log.h"
#include "channel/state.h"

static const struct {
    const char *metric, *help, *labels, *rule;
} verdicts[] = {
#define ENFORCED "grpc_lb_outlier_detection_ejections_enforced_total", "Endpoints ejected, by rule."
#define UNENFORCED                                                                                 \
    "grpc_lb_outlier_detection_ejections_unenforced_total",                                        \
        "Outliers that were not ejected since enforcement is not 100 percent, by rule."
    [FL_OUTLIER_EJECTED_BY_SUCCESS_RATE] = {ENFORCED, "detection_method=success_rate",
                                            "success_rate"},
    [FL_OUTLIER_EJECTED_BY_FAILURE_PERCENTAGE] = {ENFORCED, "detection_method=failure_percentage",
                                                  "failure_percentage"},
    [FL_OUTLIER_SPARED_BY_SUCCESS_RATE] = {UNENFORCED, "detection_method=success_rate",
                                           "success_rate"},
    [FL_OUTLIER_SPARED_BY_FAILURE_PERCENTAGE] = {UNENFORCED, "detection_method=failure_percentage",
                                                 "failure_percentage"},
#undef ENFORCED
#undef UNENFORCED
};

static void tell(void *arg, struct fl_outlier_host *host, enum fl_outlier_verdict verdict) {
    struct fl_channel *channel = arg;
    const struct fl_subchannel *sub = FL_CONTAINER(host, struct fl_subchannel, outlier);
    if (verdict == FL_OUTLIER_BACK) {
        FL_LOG(channel->io, FL_LOG_INFO, "endpoint is let back",
               FL_LOG_TEXT_OF("service", channel->target), FL_LOG_TEXT_OF("peer", sub->peer));
        return;
    }
    fl_metric_add(fl_metrics_get(channel->io->metrics, FL_METRIC_COUNTER, verdicts[verdict].metric,
                                 verdicts[verdict].help, verdicts[verdict].labels),
                  1);
    FL_LOG(
        channel->io, FL_LOG_WARN, host->ejected ? "endpoint is ejected" : "endpoint is an outlier",
        FL_LOG_TEXT_OF("service", channel->target), FL_LOG_TEXT_OF("peer", sub->peer),
        FL_LOG_TEXT_OF("rule", verdicts[verdict].rule), FL_LOG_INT("failed", host->judged_failed),
        FL_LOG_INT("answered", host->judged_answered));
}

/* Those that are ejected stay among them, so that they are let back. */
static size_t collect(struct fl_channel *channel) {
    struct fl_ejection *ejection = &channel->loop_data.ejection;
    size_t count = 0;
    FL_LIST_EACH (&channel->loop_data.sub_list, item, next) {
        struct fl_subchannel *sub = FL_CONTAINER(item, struct fl_subchannel, link);
        if (!sub->wanted && !sub->outlier.ejected) continue;
        FL_ASSERT(count < ejection->cap);
        ejection->hosts[count++] = &sub->outlier;
    }
    return count;
}

static void inspect(struct fl_timer *timer) {
    struct fl_channel *channel = FL_CONTAINER(timer, struct fl_channel, loop_data.ejection.timer);
    fl_outlier_run(&(struct fl_outlier_inspection){
        .options = &channel->options.balance.outlier,
        .hosts = channel->loop_data.ejection.hosts,
        .count = collect(channel),
        .now_ms = fl_io_now_ms(channel->io),
        .random = &channel->io->jitter,
        .tell = tell,
        .arg = channel,
    });
    fl_channel_want(channel); /* which sets the timer */
    fl_channel_pump(channel);
}

int fl_channel_ejection_reserve(struct fl_channel *channel, size_t count) {
    struct fl_ejection *ejection = &channel->loop_data.ejection;
    if (!fl_outlier_is_on(&channel->options.balance.outlier) || count <= ejection->cap) return 0;
    if (!ejection->timer.run && fl_io_timer_init(channel->io, &ejection->timer, inspect) != 0)
        return FL_ENOMEM;
    size_t cap = FL_MAX(count, ejection->cap + ejection->cap / 2);
    struct fl_outlier_host **hosts = fl_realloc(ejection->hosts, cap * sizeof(*hosts));
    if (!hosts) return FL_ENOMEM;
    ejection->hosts = hosts;
    ejection->cap = cap;
    return 0;
}

static void count_panic(struct fl_channel *channel, int n) {
    fl_metric_add(
        fl_metrics_get(channel->io->metrics, FL_METRIC_GAUGE, "fairlead_channel_panic",
                       "Channels that call ejected endpoints since too few others are left.", ""),
        n);
}

static void set_panic(struct fl_channel *channel, bool panic, size_t ready, size_t ejected) {
    if (channel->loop_data.ejection.panic == panic) return;
    channel->loop_data.ejection.panic = panic;
    count_panic(channel, panic ? 1 : -1);
    if (panic)
        FL_LOG(channel->io, FL_LOG_WARN, "too few endpoints are left: ejected ones are called",
               FL_LOG_TEXT_OF("service", channel->target), FL_LOG_INT("connected", ready),
               FL_LOG_INT("ejected", ejected));
    else
        FL_LOG(channel->io, FL_LOG_INFO, "enough endpoints are left: ejected ones are not called",
               FL_LOG_TEXT_OF("service", channel->target), FL_LOG_INT("connected", ready),
               FL_LOG_INT("ejected", ejected));
}

void fl_channel_ejection_deinit(struct fl_channel *channel) {
    struct fl_ejection *ejection = &channel->loop_data.ejection;
    if (ejection->panic) count_panic(channel, -1);
    fl_io_timer_deinit(channel->io, &ejection->timer);
    fl_free(ejection->hosts);
}

void fl_channel_eject(struct fl_channel *channel, const struct fl_candidate *list, size_t count) {
    const struct fl_outlier_options *options = &channel->options.balance.outlier;
    struct fl_timer *timer = &channel->loop_data.ejection.timer;
    if (!fl_outlier_is_on(options)) return;
    size_t ready = 0, ejected = 0;
    for (size_t i = 0; i < count; i++) {
        if (!list[i].ready || !list[i].chosen) continue;
        ready++;
        ejected += list[i].ejected;
    }
    set_panic(channel, 2 * (ready - ejected) < ready, ready, ejected);
    if (count > 0 && !fl_timer_is_set(timer))
        fl_io_timer_set(channel->io, timer, fl_io_now_ms(channel->io) + options->interval_ms);
}
