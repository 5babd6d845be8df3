/* pod.c - the life of a simulated pod. See pod.h.
 *
 * Each state that waits has the pod's one timer set; what the timer does is a table by state. A
 * step that fails (no memory, the address is taken) is tried again a little later. */
#include "sim/pod.h"

#include <stdio.h>

#include "base/sm.h"

#define RETRY_MS        200
#define SIGTERM_MS_MAX  100 /* from "terminating" to the signal: the kubelet's own watch */
#define VANISH_MS_MAX   20  /* from the process's end to the pod's deletion */
#define NOTICE_MS_MIN   100 /* from a kill to "not ready" */
#define NOTICE_MS_MAX   1500
#define REPLACE_MS_MAX  200 /* and then to its deletion */
#define PERCENT_PENDING 40  /* of start_ms; the rest is until the readiness probe succeeds */

static const uint32_t moves[] = {
    [FL_SIM_POD_PENDING] =
        FL_TO(FL_SIM_POD_RUNNING) | FL_TO(FL_SIM_POD_LEAVING) | FL_TO(FL_SIM_POD_GONE),
    [FL_SIM_POD_RUNNING] =
        FL_TO(FL_SIM_POD_READY) | FL_TO(FL_SIM_POD_LEAVING) | FL_TO(FL_SIM_POD_GONE),
    [FL_SIM_POD_READY] =
        FL_TO(FL_SIM_POD_LEAVING) | FL_TO(FL_SIM_POD_DEAD) | FL_TO(FL_SIM_POD_GONE),
    [FL_SIM_POD_LEAVING] =
        FL_TO(FL_SIM_POD_DRAINING) | FL_TO(FL_SIM_POD_ENDED) | FL_TO(FL_SIM_POD_GONE),
    [FL_SIM_POD_DRAINING] = FL_TO(FL_SIM_POD_ENDED) | FL_TO(FL_SIM_POD_GONE),
    [FL_SIM_POD_ENDED] = FL_TO(FL_SIM_POD_GONE),
    [FL_SIM_POD_DEAD] = FL_TO(FL_SIM_POD_NOTICED) | FL_TO(FL_SIM_POD_GONE),
    [FL_SIM_POD_NOTICED] = FL_TO(FL_SIM_POD_GONE),
    [FL_SIM_POD_GONE] = 0,
};

static struct fl_io *io_of(struct fl_pod *pod) { return pod->world->io; }

static void set_timer(struct fl_pod *pod, uint64_t delay_ms) {
    fl_io_timer_set(io_of(pod), &pod->timer, fl_io_now_ms(io_of(pod)) + delay_ms);
}

static void set_timer_below(struct fl_pod *pod, uint64_t bound_ms) {
    set_timer(pod, fl_random_below(&pod->world->random, bound_ms + 1));
}

static void move(struct fl_pod *pod, enum fl_sim_pod_state to) {
    fl_sm_move(&pod->state, moves, to);
    pod->on_change(pod);
}

/* The cluster is told; the caller tries again later if there is no memory. */
static int tell(struct fl_pod *pod, enum fl_pod_phase phase) {
    fl_cluster_time(pod->world->cluster, fl_io_wall_ms(io_of(pod)) / 1000);
    return fl_cluster_pod_phase(pod->world->cluster, pod->ns, pod->name, phase);
}

/* "About": between a half and one and a half. */
static uint64_t about(struct fl_pod *pod, uint64_t ms) {
    return ms / 2 + fl_random_below(&pod->world->random, ms + 1);
}

void fl_pod_address(uint32_t number, char out[16]) {
    snprintf(out, 16, "127.1.%u.%u", number / 256 % 256, number % 256);
}

/* --- steps, by state --- */

static void on_server_gone(void *arg) {
    struct fl_pod *pod = arg;
    pod->echo = NULL;
    if (pod->stopping) {
        move(pod, FL_SIM_POD_GONE);
    } else if (pod->state == FL_SIM_POD_DRAINING) {
        set_timer_below(pod, VANISH_MS_MAX);
        move(pod, FL_SIM_POD_ENDED);
    } /* else killed: what follows has its timer set */
}

/* The container starts: its server listens, and is not ready yet. */
static int start(struct fl_pod *pod) {
    const struct fl_pod_world *world = pod->world;
    const struct fl_echo_options options = {
        .host = fl_str_of(pod->address), .port = world->port, .delay_ms = world->echo_delay_ms};
    int rc = pod->echo ? 0 : fl_echo_new(world->io, &options, &pod->echo, NULL);
    if (!rc) rc = tell(pod, FL_POD_RUNNING);
    if (rc) return rc;
    set_timer(pod, about(pod, (uint64_t)world->start_ms * (100 - PERCENT_PENDING) / 100));
    move(pod, FL_SIM_POD_RUNNING);
    return 0;
}

static int become_ready(struct fl_pod *pod) {
    int rc = tell(pod, FL_POD_READY);
    if (!rc) move(pod, FL_SIM_POD_READY);
    return rc;
}

static int get_sigterm(struct fl_pod *pod) {
    if (pod->echo) {
        move(pod, FL_SIM_POD_DRAINING);
        fl_echo_drain(pod->echo, fl_io_now_ms(io_of(pod)) + pod->world->grace_ms, on_server_gone,
                      pod);
    } else {
        set_timer_below(pod, VANISH_MS_MAX);
        move(pod, FL_SIM_POD_ENDED);
    }
    return 0;
}

static int be_noticed(struct fl_pod *pod) {
    int rc = tell(pod, FL_POD_RUNNING);
    if (rc) return rc;
    set_timer_below(pod, REPLACE_MS_MAX);
    move(pod, FL_SIM_POD_NOTICED);
    return 0;
}

static int vanish(struct fl_pod *pod) {
    if (pod->echo) return FL_EFULL; /* killed, and its connections are still being cut */
    int rc = fl_cluster_pod_delete(pod->world->cluster, pod->ns, pod->name);
    if (rc) return rc;
    move(pod, FL_SIM_POD_GONE);
    return 0;
}

static int (*const steps[])(struct fl_pod *pod) = {
    [FL_SIM_POD_PENDING] = start,       [FL_SIM_POD_RUNNING] = become_ready,
    [FL_SIM_POD_LEAVING] = get_sigterm, [FL_SIM_POD_ENDED] = vanish,
    [FL_SIM_POD_DEAD] = be_noticed,     [FL_SIM_POD_NOTICED] = vanish,
};

static void run_timer(struct fl_timer *timer) {
    struct fl_pod *pod = FL_CONTAINER(timer, struct fl_pod, timer);
    if (steps[pod->state](pod)) set_timer(pod, RETRY_MS);
}

/* --- orders --- */

int fl_pod_init(struct fl_pod *pod, struct fl_str service) {
    struct fl_pod_world *world = pod->world;
    fl_pod_address(pod->number, pod->address);
    fl_list_init(&pod->link);
    int rc = fl_io_timer_init(world->io, &pod->timer, run_timer);
    if (rc) return rc;
    fl_cluster_time(world->cluster, fl_io_wall_ms(world->io) / 1000);
    rc = fl_cluster_pod_add(world->cluster, pod->ns, service, fl_str_of(pod->address), &pod->name);
    if (rc) {
        fl_io_timer_deinit(world->io, &pod->timer);
        return rc;
    }
    set_timer(pod, about(pod, (uint64_t)world->start_ms * PERCENT_PENDING / 100));
    return 0;
}

void fl_pod_deinit(struct fl_pod *pod) {
    FL_ASSERT(pod->state == FL_SIM_POD_GONE && !pod->echo);
    fl_list_remove(&pod->link);
    fl_io_timer_deinit(io_of(pod), &pod->timer);
}

void fl_pod_leave(struct fl_pod *pod) {
    if (tell(pod, FL_POD_TERMINATING)) return; /* the owner asks again at the next change */
    set_timer_below(pod, SIGTERM_MS_MAX);
    move(pod, FL_SIM_POD_LEAVING);
}

void fl_pod_kill(struct fl_pod *pod) {
    fl_echo_kill(pod->echo, on_server_gone, pod);
    set_timer(pod,
              NOTICE_MS_MIN + fl_random_below(&pod->world->random, NOTICE_MS_MAX - NOTICE_MS_MIN));
    move(pod, FL_SIM_POD_DEAD);
}

void fl_pod_stop(struct fl_pod *pod) {
    pod->stopping = true;
    fl_io_timer_clear(io_of(pod), &pod->timer);
    if (!pod->echo)
        move(pod, FL_SIM_POD_GONE);
    else if (pod->state != FL_SIM_POD_DEAD && pod->state != FL_SIM_POD_NOTICED)
        fl_echo_kill(pod->echo, on_server_gone, pod);
}
