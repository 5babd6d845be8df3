/* health_service.h - grpc.health.v1.Health as a service: Check and Watch
 * (grpc/doc/health-checking.md).
 *
 * One loop's thread. */
#ifndef FL_SERVER_HEALTH_SERVICE_H
#define FL_SERVER_HEALTH_SERVICE_H

#include "server/server.h"
#include "wire/grpc_health.h"

struct fl_health_service;

/* The server itself, whose name is empty, is SERVING; other services are unknown. NULL: no memory.
 */
FL_MUST struct fl_health_service *fl_health_service_new(void);
/* Behind the server that has it: no call is left. NULL is allowed. */
void fl_health_service_free(struct fl_health_service *health);
/* For fl_grpc_server_options; holds as long as *health. */
struct fl_grpc_service fl_health_service_of(struct fl_health_service *health);

/* Sets the status of a service and tells its watches. FL_ENOMEM. */
FL_MUST int fl_health_service_set(struct fl_health_service *health, struct fl_str service,
                                  enum fl_health_status status);
/* The server begins to drain: everything that is known is NOT_SERVING from now on; watches are told
 * so and end with UNAVAILABLE, for they would never end by themselves. */
void fl_health_service_leave(struct fl_health_service *health);

#endif
