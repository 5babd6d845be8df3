/* body_pace.c - see body_pace.h. */
#include "kube/body_pace.h"

uint64_t fl_body_pace_begin(struct fl_body_pace *pace, uint64_t now_ms) {
    *pace = (struct fl_body_pace){.object_ms = now_ms};
    return now_ms + FL_BODY_PACE_SILENCE_MS;
}

uint64_t fl_body_pace_read(struct fl_body_pace *pace, uint64_t now_ms, size_t n, bool object) {
    if (object) return fl_body_pace_begin(pace, now_ms);
    pace->bytes = FL_MIN(pace->bytes + n, FL_K8S_FRAME_MAX);
    uint64_t object_by_ms =
        pace->object_ms + FL_BODY_PACE_SILENCE_MS + pace->bytes * 1000 / FL_BODY_PACE_RATE;
    return FL_MIN(object_by_ms, now_ms + FL_BODY_PACE_SILENCE_MS);
}
