/* body_pace.h - until when a body that consists of objects may take: no wait without end.
 *
 * It may be silent for SILENCE_MS, and between two whole objects it may take as long, and beyond
 * that the time that an object of the bytes read so far takes at RATE. So the largest object that
 * is read at all, FL_K8S_FRAME_MAX, comes through a thin line, while one who sends a byte now and
 * then, or blanks for ever, is given up. Pure. Private to kube/. */
#ifndef FL_KUBE_BODY_PACE_H
#define FL_KUBE_BODY_PACE_H

#include "wire/k8s.h"

#define FL_BODY_PACE_SILENCE_MS 30000
#define FL_BODY_PACE_RATE       ((uint64_t)16 * 1024) /* bytes a second */

/* So many pages in a row that bring nothing: the list does not get on. */
#define FL_KUBE_EMPTY_PAGES_MAX 10

struct fl_body_pace {
    uint64_t object_ms; /* when the last whole object had come, or the body began */
    size_t bytes;       /* since */
};

/* Each gives the deadline from now on. */
uint64_t fl_body_pace_begin(struct fl_body_pace *pace, uint64_t now_ms);
/* `n` bytes were read, which completed an object or did not. */
uint64_t fl_body_pace_read(struct fl_body_pace *pace, uint64_t now_ms, size_t n, bool object);

#endif
