/* lane.h - drives a machine without I/O on a loop: makes its requests, feeds it their answers,
 * wakes it at its deadlines.
 *
 * One request at a time. A cancelled one is let go at once (its events are not heard any more) and
 * counted until it has closed. Private to kube/; one loop's thread. */
#ifndef FL_KUBE_LANE_H
#define FL_KUBE_LANE_H

#include "base/io.h"
#include "kube/client.h"
#include "kube/reflector.h"

/* The machine's side; `arg` is the lane's. `next` is asked after every input until it says WAIT. */
struct fl_lane_machine {
    enum fl_reflector_action (*next)(void *arg, uint64_t now_ms, struct fl_reflector_request *out);
    uint64_t (*deadline_ms)(void *arg);
    void (*response)(void *arg, uint64_t now_ms, const struct fl_http_response *head);
    void (*data)(void *arg, uint64_t now_ms, struct fl_str bytes);
    void (*closed)(void *arg, uint64_t now_ms, const struct fl_error *why);
    void (*idle)(void *arg); /* after fl_lane_close, when the last request is over */
};

struct fl_lane_request;

struct fl_lane {
    struct fl_io *io;
    struct fl_kube_client *client;
    const struct fl_lane_machine *machine;
    void *arg;
    struct fl_lane_request *request; /* under way, NULL if none */
    size_t requests_open;            /* that one and those let go */
    struct fl_timer timer;
    bool closing;
};

FL_MUST int fl_lane_init(struct fl_lane *lane, struct fl_io *io, struct fl_kube_client *client,
                         const struct fl_lane_machine *machine, void *arg); /* FL_ENOMEM */
void fl_lane_deinit(struct fl_lane *lane); /* idle, or never begun */
/* Asks the machine what to do; not from within one of its functions. */
void fl_lane_step(struct fl_lane *lane);
/* At the latest at its deadline, which has changed. */
void fl_lane_rearm(struct fl_lane *lane);
/* Lets go of what is under way; true: nothing is, and `idle` will not be called. */
FL_MUST bool fl_lane_close(struct fl_lane *lane);
/* As fl_kube_request_last_read_ms of the request under way; 0: none. */
uint64_t fl_lane_last_read_ms(const struct fl_lane *lane);

#endif
