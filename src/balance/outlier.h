/* outlier.h - which endpoints fail more than the others (gRFC A50). Pure: time and chance are
 * values. One thread. */
#ifndef FL_BALANCE_OUTLIER_H
#define FL_BALANCE_OUTLIER_H

#include <fairlead/balance.h>

#include "base/error.h"
#include "base/random.h"

/* Embedded in what is judged. */
struct fl_outlier_host {
    uint32_t answered, failed;               /* attempts since the last inspection */
    uint32_t judged_answered, judged_failed; /* between the two inspections before */
    uint32_t multiplier;                     /* of the time for which it is ejected */
    bool ejected;
    uint64_t ejected_at_ms;
};

enum fl_outlier_verdict {
    FL_OUTLIER_EJECTED_BY_SUCCESS_RATE,
    FL_OUTLIER_EJECTED_BY_FAILURE_PERCENTAGE,
    FL_OUTLIER_SPARED_BY_SUCCESS_RATE, /* found, but not enforced */
    FL_OUTLIER_SPARED_BY_FAILURE_PERCENTAGE,
    FL_OUTLIER_BACK,
};

static inline bool fl_outlier_is_on(const struct fl_outlier_options *options) {
    return options->success_rate.on || options->failure_percentage.on;
}
/* FL_EUSAGE: a percentage above 100. */
FL_MUST int fl_outlier_check(const struct fl_outlier_options *options, struct fl_error *err);
void fl_outlier_fill_in(struct fl_outlier_options *options);

/* An attempt ended. */
static inline void fl_outlier_count(struct fl_outlier_host *host, bool failed) {
    if (failed)
        host->failed++;
    else
        host->answered++;
}

/* Every interval_ms: judges what was counted since the last time, and tells each verdict. */
struct fl_outlier_inspection {
    const struct fl_outlier_options *options; /* complete */
    struct fl_outlier_host **hosts;
    size_t count;
    uint64_t now_ms;
    struct fl_random *random;
    void (*tell)(void *arg, struct fl_outlier_host *host, enum fl_outlier_verdict verdict);
    void *arg;
};
void fl_outlier_run(const struct fl_outlier_inspection *all);

#endif
