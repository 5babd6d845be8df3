/* deployment.h - the service of a whole world, its pods and its API server, and what the plan's
 * orders do to them. One world; its thread. */
#ifndef FL_TEST_DEPLOYMENT_H
#define FL_TEST_DEPLOYMENT_H

#include "plan.h"
#include "sim/sim.h"
#include "sim/world.h"

#define DEPLOYMENT_SERVICE  "echo" /* of namespace default */
#define DEPLOYMENT_API_PORT 6443   /* at 127.0.0.1 */

struct deployment {
    struct fl_world *world;
    struct fl_io *io;
    const struct plan *plan;
    struct fl_sim *sim;
    struct fl_timer heal_timer, service_timer, pod_timer;
    char silent_pod[16]; /* its address, while pod_timer is set */
};

void deployment_init(struct deployment *d, struct fl_world *world, const struct plan *plan);
/* Its sim was closed. */
void deployment_deinit(struct deployment *d);
void deployment_obey(struct deployment *d, const struct order *order);
/* Everything works again. */
void deployment_heal(struct deployment *d);

#endif
