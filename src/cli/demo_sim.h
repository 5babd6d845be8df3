/* demo_sim.h - the demo's cluster: a simulator on a thread of its own, so that it shares nothing
 * with the client but sockets. Functions may be called from the client's thread. */
#ifndef FL_CLI_DEMO_SIM_H
#define FL_CLI_DEMO_SIM_H

#include "base/io.h"

struct fl_demo_sim;

struct fl_demo_sim_events {
    void (*on_up)(void *arg, uint16_t api_port); /* or: */
    void (*on_failed)(void *arg, const struct fl_error *err);
    void (*on_rolled)(void *arg); /* a rolling update is complete */
    void (*on_closed)(void *arg);
};

/* Starts it; events come on the loop of `io`. FL_ENOMEM, FL_ESYS. */
FL_MUST int fl_demo_sim_new(struct fl_io *io, const char *service, unsigned pods,
                            const struct fl_demo_sim_events *events, void *arg,
                            struct fl_demo_sim **out, struct fl_error *err);
/* Orders, after on_up, one at a time. */
void fl_demo_sim_roll(struct fl_demo_sim *sim);
void fl_demo_sim_kill(struct fl_demo_sim *sim); /* one pod's process, without warning */
void fl_demo_sim_scale(struct fl_demo_sim *sim, unsigned pods);
void fl_demo_sim_close(struct fl_demo_sim *sim); /* after on_up or on_failed; on_closed follows */
void fl_demo_sim_free(struct fl_demo_sim *sim);  /* after on_closed; NULL is allowed */

#endif
