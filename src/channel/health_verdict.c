/* health_verdict.c - see health_verdict.h.
 *
 * HAProxy's rise and fall, Envoy's healthy and unhealthy threshold. Both let the first check decide
 * alone: nothing is known that it could contradict. */
#include "channel/health_verdict.h"

bool fl_health_verdict_note(struct fl_health_verdict *verdict, bool good,
                            uint32_t healthy_threshold, uint32_t unhealthy_threshold) {
    bool first = !verdict->checked;
    verdict->checked = true;
    if (good == !verdict->unhealthy) {
        verdict->against = 0;
        return false;
    }
    verdict->against++;
    uint32_t threshold = verdict->unhealthy ? healthy_threshold : unhealthy_threshold;
    if (!first && verdict->against < threshold) return false;
    verdict->against = 0;
    verdict->unhealthy = !good;
    return true;
}
