/* pods.h - what the demo knows about each endpoint it has seen: condition, calls, times. */
#ifndef FL_CLI_PODS_H
#define FL_CLI_PODS_H

#include <fairlead/discovery.h>

#include "base/def.h"

#define FL_PODS_MAX 64

struct fl_pod {
    char peer[280]; /* "address:port", as calls name it */
    char name[256];
    const char *condition;    /* fl_render_condition, "gone" after it left */
    uint64_t calls;           /* answered by it */
    uint64_t calls_window;    /* since fl_pods_window */
    uint64_t rate;            /* per second, in the last window */
    uint64_t event_us;        /* when the event that made it usable arrived; 0: not yet */
    uint64_t first_answer_us; /* when it first answered a call after that; 0: not yet */
    uint64_t left_version;    /* of the first set without it; 0: it is there */
};

struct fl_pods {
    struct fl_pod list[FL_PODS_MAX];
    size_t count;
    uint64_t late_calls; /* given to an endpoint by a set that does not hold it */
};

/* Takes the difference of two sets in; `on_change` (may be NULL) is told of each. */
void fl_pods_apply(struct fl_pods *pods, struct fl_set *set, struct fl_set *previous,
                   uint64_t now_us, void (*on_change)(void *arg, const struct fl_change *change),
                   void *arg);
/* A call was given to `peer` by the set of that version. */
void fl_pods_picked(struct fl_pods *pods, const char *peer, uint64_t set_version);
/* `peer` answered. */
void fl_pods_answered(struct fl_pods *pods, const char *peer, uint64_t now_us);
/* The pod of that address has left; false: it is there, or nobody has heard of it. */
bool fl_pods_is_gone(const struct fl_pods *pods, const char *peer);
/* Calls begin again: whoever came while there were none could not be called until now. */
void fl_pods_resume(struct fl_pods *pods, uint64_t now_us);
/* Turns the calls since the last time into rates. */
void fl_pods_window(struct fl_pods *pods, uint64_t window_ms);
/* Median and worst time from event to first answer, of the pods that came after the first set, in
 * us; false: there are none. */
bool fl_pods_moved(const struct fl_pods *pods, uint64_t since_us, uint64_t *median_us,
                   uint64_t *worst_us, size_t *count);

#endif
