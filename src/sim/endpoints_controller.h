/* endpoints_controller.h - what kube-controller-manager does for Services that users wrote: their
 * selectors are kept true in EndpointSlices and Endpoints. One loop's thread.
 *
 * It looks at all such Services after a change of a Service, Pod or slice, in a task of its own,
 * and writes what differs. Services of the simulation have their slices from cluster.h. */
#ifndef FL_SIM_ENDPOINTS_CONTROLLER_H
#define FL_SIM_ENDPOINTS_CONTROLLER_H

#include "base/io.h"
#include "sim/store.h"

struct fl_cluster;

struct fl_endpoints_controller {
    struct fl_io *io;
    struct fl_cluster *cluster;
    struct fl_store_observer observer;
    struct fl_task run;
    bool busy;             /* there was a Service of a user's */
    struct fl_timer again; /* after what failed for want of memory */
};

FL_MUST int fl_endpoints_controller_init(struct fl_endpoints_controller *controller,
                                         struct fl_io *io,
                                         struct fl_cluster *cluster); /* FL_ENOMEM */
/* Nothing of it runs after this. */
void fl_endpoints_controller_stop(struct fl_endpoints_controller *controller);
void fl_endpoints_controller_deinit(struct fl_endpoints_controller *controller);

#endif
