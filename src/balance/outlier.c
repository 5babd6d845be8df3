/* outlier.c - outlier detection by gRFC A50: success rate and failure percentage.
 *
 * With one difference: A50 goes on as long as not more than max_ejection_percent are ejected, so
 * that it can end above it; here nobody is ejected who would bring it above, but one may always be.
 */
#include "balance/outlier.h"

static bool is_percent(uint32_t value) { return value <= 100 || value == UINT32_MAX; }

int fl_outlier_check(const struct fl_outlier_options *options, struct fl_error *err) {
    const struct {
        const char *name;
        uint32_t value;
    } percents[] = {
        {"max_ejection_percent", options->max_ejection_percent},
        {"success_rate.enforce_percent", options->success_rate.enforce_percent},
        {"failure_percentage.enforce_percent", options->failure_percentage.enforce_percent},
        {"failure_percentage.threshold", options->failure_percentage.threshold},
    };
    for (size_t i = 0; i < FL_COUNT(percents); i++) {
        if (!is_percent(percents[i].value))
            return fl_fail(err, FL_EUSAGE, "outlier detection: %s is %u, more than 100",
                           percents[i].name, (unsigned)percents[i].value);
    }
    return 0;
}

static uint32_t filled(uint32_t value, uint32_t otherwise) { return value ? value : otherwise; }

static uint32_t filled_percent(uint32_t value, uint32_t otherwise) {
    return value == UINT32_MAX ? 0 : filled(value, otherwise);
}

void fl_outlier_fill_in(struct fl_outlier_options *options) {
    struct fl_outlier_success_rate *rate = &options->success_rate;
    struct fl_outlier_failure_percentage *failures = &options->failure_percentage;
    options->interval_ms = filled(options->interval_ms, 10000);
    options->base_ejection_ms = filled(options->base_ejection_ms, 30000);
    options->max_ejection_ms = filled(options->max_ejection_ms, 300000);
    options->max_ejection_percent = filled_percent(options->max_ejection_percent, 10);
    rate->stdev_factor = filled(rate->stdev_factor, 1900);
    rate->enforce_percent = filled_percent(rate->enforce_percent, 100);
    rate->hosts_min = filled(rate->hosts_min, 5);
    rate->requests_min = filled(rate->requests_min, 100);
    failures->threshold = filled_percent(failures->threshold, 85);
    failures->enforce_percent = filled_percent(failures->enforce_percent, 100);
    failures->hosts_min = filled(failures->hosts_min, 5);
    failures->requests_min = filled(failures->requests_min, 50);
}

static void swap_buckets(const struct fl_outlier_inspection *all) {
    for (size_t i = 0; i < all->count; i++) {
        struct fl_outlier_host *host = all->hosts[i];
        host->judged_answered = host->answered;
        host->judged_failed = host->failed;
        host->answered = host->failed = 0;
    }
}

static uint64_t volume(const struct fl_outlier_host *host) {
    return (uint64_t)host->judged_answered + host->judged_failed;
}

static double success_rate(const struct fl_outlier_host *host) {
    return (double)host->judged_answered / (double)volume(host);
}

static bool may_eject_another(const struct fl_outlier_inspection *all) {
    size_t ejected = 0;
    for (size_t i = 0; i < all->count; i++) ejected += all->hosts[i]->ejected;
    return ejected == 0 ||
           (ejected + 1) * 100 <= all->count * (uint64_t)all->options->max_ejection_percent;
}

static void eject(const struct fl_outlier_inspection *all, struct fl_outlier_host *host,
                  uint32_t enforce_percent, enum fl_outlier_verdict ejected,
                  enum fl_outlier_verdict spared) {
    if (fl_random_below(all->random, 100) >= enforce_percent) {
        all->tell(all->arg, host, spared);
        return;
    }
    host->ejected = true;
    host->ejected_at_ms = all->now_ms;
    host->multiplier++;
    all->tell(all->arg, host, ejected);
}

struct spread {
    size_t hosts;
    double mean, variance; /* of success rates */
};

static struct spread measure(const struct fl_outlier_inspection *all) {
    struct spread spread = {0};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct fl_outlier_host *host = all->hosts[i];
        if (volume(host) < all->options->success_rate.requests_min) continue;
        spread.hosts++;
        sum += success_rate(host);
    }
    spread.mean = spread.hosts ? sum / (double)spread.hosts : 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct fl_outlier_host *host = all->hosts[i];
        if (volume(host) < all->options->success_rate.requests_min) continue;
        double off = success_rate(host) - spread.mean;
        squares += off * off;
    }
    spread.variance = spread.hosts ? squares / (double)spread.hosts : 0;
    return spread;
}

/* Below the mean by more than stdev_factor / 1000 standard deviations, without a square root. */
static bool is_outlier(const struct fl_outlier_host *host, const struct spread *spread,
                       uint32_t stdev_factor) {
    double below = spread->mean - success_rate(host), factor = stdev_factor / 1000.0;
    return below > 0 && below * below > spread->variance * factor * factor;
}

static void judge_success_rates(const struct fl_outlier_inspection *all) {
    const struct fl_outlier_success_rate *rule = &all->options->success_rate;
    struct spread spread = measure(all);
    if (spread.hosts < rule->hosts_min) return;
    for (size_t i = 0; i < all->count; i++) {
        struct fl_outlier_host *host = all->hosts[i];
        if (host->ejected || volume(host) < rule->requests_min ||
            !is_outlier(host, &spread, rule->stdev_factor))
            continue;
        if (!may_eject_another(all)) return;
        eject(all, host, rule->enforce_percent, FL_OUTLIER_EJECTED_BY_SUCCESS_RATE,
              FL_OUTLIER_SPARED_BY_SUCCESS_RATE);
    }
}

static void judge_failure_percentages(const struct fl_outlier_inspection *all) {
    const struct fl_outlier_failure_percentage *rule = &all->options->failure_percentage;
    if (all->count < rule->hosts_min) return;
    for (size_t i = 0; i < all->count; i++) {
        struct fl_outlier_host *host = all->hosts[i];
        if (host->ejected || volume(host) < rule->requests_min ||
            (uint64_t)host->judged_failed * 100 <= volume(host) * rule->threshold)
            continue;
        if (!may_eject_another(all)) return;
        eject(all, host, rule->enforce_percent, FL_OUTLIER_EJECTED_BY_FAILURE_PERCENTAGE,
              FL_OUTLIER_SPARED_BY_FAILURE_PERCENTAGE);
    }
}

static bool has_served_its_time(const struct fl_outlier_options *options,
                                const struct fl_outlier_host *host, uint64_t now_ms) {
    uint64_t base = options->base_ejection_ms;
    uint64_t time = FL_MIN(base * host->multiplier, FL_MAX(base, options->max_ejection_ms));
    return now_ms > host->ejected_at_ms + time;
}

static void let_back(const struct fl_outlier_inspection *all) {
    for (size_t i = 0; i < all->count; i++) {
        struct fl_outlier_host *host = all->hosts[i];
        if (!host->ejected && host->multiplier > 0) host->multiplier--;
        if (!host->ejected || !has_served_its_time(all->options, host, all->now_ms)) continue;
        host->ejected = false;
        all->tell(all->arg, host, FL_OUTLIER_BACK);
    }
}

void fl_outlier_run(const struct fl_outlier_inspection *all) {
    swap_buckets(all);
    if (all->options->success_rate.on) judge_success_rates(all);
    if (all->options->failure_percentage.on) judge_failure_percentages(all);
    let_back(all);
}
