/* health_verdict.h - from the results of checks to a verdict, by thresholds. Pure; one thread. */
#ifndef FL_CHANNEL_HEALTH_VERDICT_H
#define FL_CHANNEL_HEALTH_VERDICT_H

#include "base/def.h"

/* Embedded in what is checked; zeroed: not checked yet, and taken for healthy. */
struct fl_health_verdict {
    uint32_t against; /* results in a row that contradict the verdict */
    bool checked, unhealthy;
};

/* A check ended. True: the verdict changed. The first result decides at once; from then on as many
 * in a row as the threshold of the other verdict says. */
bool fl_health_verdict_note(struct fl_health_verdict *verdict, bool good,
                            uint32_t healthy_threshold, uint32_t unhealthy_threshold);

#endif
