/* pod_watch.h - one pod, told as often as it changes.
 *
 * For a process that asks what it is itself: it is told what the pod is at first, and then each
 * change, by one watch that is opened again after an end or a failure. One loop's thread; nothing
 * is told from within a function of this header. */
#ifndef FL_KUBE_POD_WATCH_H
#define FL_KUBE_POD_WATCH_H

#include "kube/client.h"

#define FL_POD_PORTS_MAX 32

struct fl_pod_watch;

/* Borrowed for the call. */
struct fl_pod {
    struct fl_str address, node; /* empty while it has none */
    uint16_t
        ports[FL_POD_PORTS_MAX]; /* containerPorts of containers[0], in order; others left out */
    size_t port_count;
};

struct fl_pod_events {
    void (*on_pod)(void *arg, const struct fl_pod *pod);
    void (*on_trouble)(void *arg, const struct fl_error *why); /* it is tried again */
};

/* FL_ENOMEM. */
FL_MUST int fl_pod_watch_new(struct fl_io *io, struct fl_kube_client *client, struct fl_str ns,
                             struct fl_str name, const struct fl_pod_events *events, void *arg,
                             struct fl_pod_watch **out, struct fl_error *err);
/* Nothing is told after it; what is under way ends before the client's close does. */
void fl_pod_watch_close(struct fl_pod_watch *watch);

#endif
