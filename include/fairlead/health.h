/* health.h - how a channel finds out whether its endpoints are healthy. Options only.
 *
 * Discovery comes first: an endpoint that is not ready by what Kubernetes says is never called
 * because a check says that it is healthy. Checks only take endpoints away. */
#ifndef FAIRLEAD_HEALTH_H
#define FAIRLEAD_HEALTH_H

#include <fairlead/def.h>

FL_C_BEGIN

enum fl_health_check_kind {
    FL_HEALTH_CHECK_NONE,
    FL_HEALTH_CHECK_TCP,  /* a connection can be made; without TLS */
    FL_HEALTH_CHECK_HTTP, /* GET by HTTP/1.1, without TLS, has an expected status */
};

/* Checks from outside, over a connection of their own. An endpoint that is connected is checked at
 * once and then every interval, with calls and without; an idle channel checks nobody. Until its
 * first check has ended it is taken for healthy; the first result decides alone. */
struct fl_health_check_options {
    enum fl_health_check_kind kind; /* with NONE nothing else here may be set */
    uint16_t port;                  /* [the endpoint's own] */
    uint32_t interval_ms;           /* [10000] from the end of one check to the next, +-10 % */
    uint32_t timeout_ms;            /* [1000] */
    uint32_t healthy_threshold;     /* [2] passed in a row: healthy again */
    uint32_t unhealthy_threshold;   /* [3] failed in a row: unhealthy */
    uint32_t concurrent_max;        /* [16] checks of a channel at once; the others wait */
    /* HTTP only: */
    const char *path;                /* ["/"] */
    uint16_t status_min, status_max; /* [200, 399] as the kubelet takes them */
};

/* Zero-initialised: the defaults in brackets. With both, an endpoint must pass both. */
struct fl_health_options {
    /* [NULL: the service config's healthCheckConfig.serviceName, or none] Each endpoint is asked
     * over its own connection by grpc.health.v1.Health/Watch (gRFC A17) about this service; "": the
     * server as a whole. It is READY once it says SERVING, and TRANSIENT_FAILURE with the cause
     * FL_EUNHEALTHY while it says anything else or its watch fails. A server without a health
     * service (UNIMPLEMENTED), or with which HTTP/1.1 was agreed, counts as healthy, which is said
     * once; with FL_PROTOCOL_HTTP over cleartext nobody could be asked: FL_EUSAGE. With every
     * policy, pick_first too. */
    const char *grpc_service;
    /* [none] The same state and cause for who fails its checks. */
    struct fl_health_check_options check;
};

FL_C_END

#endif
