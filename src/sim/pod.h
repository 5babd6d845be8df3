/* pod.h - one simulated pod: its process, which is a real echo server, and what the cluster is told
 * of it. Private to sim/. One loop's thread.
 *
 *     PENDING -> RUNNING -> READY            the server listens from RUNNING on
 *     any of them -> LEAVING                 the cluster says terminating, SIGTERM is on its way
 *     LEAVING -> DRAINING -> ENDED -> GONE   the server drains; then the cluster forgets the pod
 *     READY -> DEAD -> NOTICED -> GONE       killed; the cluster finds out later */
#ifndef FL_SIM_POD_H
#define FL_SIM_POD_H

#include "base/io.h"
#include "base/list.h"
#include "server/echo.h"
#include "sim/cluster.h"

enum fl_sim_pod_state {
    FL_SIM_POD_PENDING,
    FL_SIM_POD_RUNNING,
    FL_SIM_POD_READY,
    FL_SIM_POD_LEAVING,
    FL_SIM_POD_DRAINING,
    FL_SIM_POD_ENDED,
    FL_SIM_POD_DEAD,
    FL_SIM_POD_NOTICED,
    FL_SIM_POD_GONE,
};

/* What all pods of a simulation share. */
struct fl_pod_world {
    struct fl_io *io;
    struct fl_cluster *cluster;
    struct fl_random random;
    uint32_t start_ms, grace_ms, echo_delay_ms;
    uint16_t port;
};

struct fl_pod {
    struct fl_list link; /* of its owner's list */
    struct fl_pod_world *world;
    struct fl_str ns, name; /* borrowed from the owner and the cluster */
    unsigned generation;    /* the owner's */
    uint32_t number;        /* of its address */
    char address[16];
    int state;
    struct fl_echo *echo;
    bool stopping; /* killed because the simulation ends */
    struct fl_timer timer;
    void (*on_change)(struct fl_pod *pod); /* another state; GONE: the owner frees it */
    void *owner;
};

/* "127.1.0.1" for 1. */
void fl_pod_address(uint32_t number, char out[16]);

/* A pending pod; *pod is the owner's storage, zeroed but for world, ns, generation, number,
 * on_change and owner. FL_ENOMEM, FL_ENOT_FOUND. */
FL_MUST int fl_pod_init(struct fl_pod *pod, struct fl_str service);
void fl_pod_deinit(struct fl_pod *pod); /* GONE only */
/* Deletion: PENDING, RUNNING or READY. */
void fl_pod_leave(struct fl_pod *pod);
/* READY only. */
void fl_pod_kill(struct fl_pod *pod);
/* The simulation ends: GONE as soon as the server is. The cluster is told nothing. */
void fl_pod_stop(struct fl_pod *pod);

static inline bool fl_pod_is_live(const struct fl_pod *pod) { /* counts as wanted */
    return pod->state <= FL_SIM_POD_READY || pod->state == FL_SIM_POD_DEAD;
}

#endif
