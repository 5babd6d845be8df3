/* health.h - how a channel finds out whether its endpoints are healthy. Options only.
 *
 * Discovery comes first: an endpoint that is not ready by what Kubernetes says is never called
 * because a check says that it is healthy. Checks only take endpoints away. */
#ifndef FAIRLEAD_HEALTH_H
#define FAIRLEAD_HEALTH_H

#include <fairlead/def.h>

FL_C_BEGIN

/* Zero-initialised: the defaults in brackets. */
struct fl_health_options {
    /* [NULL: the service config's healthCheckConfig.serviceName, or none] Each endpoint is asked
     * over its own connection by grpc.health.v1.Health/Watch (gRFC A17) about this service; "": the
     * server as a whole. It is READY once it says SERVING, and TRANSIENT_FAILURE with the cause
     * FL_EUNHEALTHY while it says anything else or its watch fails. A server without a health
     * service (UNIMPLEMENTED) counts as healthy, which is said once. With every policy, pick_first
     * too. */
    const char *grpc_service;
};

FL_C_END

#endif
