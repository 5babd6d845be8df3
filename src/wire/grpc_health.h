/* grpc_health.h - the messages of grpc.health.v1.Health (grpc/doc/health-checking.md). Pure; what
 * is read is borrowed. */
#ifndef FL_WIRE_GRPC_HEALTH_H
#define FL_WIRE_GRPC_HEALTH_H

#include "base/str.h"

/* HealthCheckResponse.ServingStatus */
enum fl_health_status {
    FL_HEALTH_UNKNOWN = 0,
    FL_HEALTH_SERVING = 1,
    FL_HEALTH_NOT_SERVING = 2,
    FL_HEALTH_SERVICE_UNKNOWN = 3, /* a watch of a service that is not set */
};

#define FL_HEALTH_RESPONSE_MAX ((size_t)2)

/* Its name in the protocol; of a status of later days "of an unknown kind". */
const char *fl_health_status_name(uint64_t status);
/* HealthCheckRequest {string service = 1}; false: malformed. */
FL_MUST bool fl_health_read_request(struct fl_str bytes, struct fl_str *service);
/* HealthCheckResponse {ServingStatus status = 1}; false: malformed. */
FL_MUST bool fl_health_read_response(struct fl_str bytes, uint64_t *status);
/* Into `out`, FL_HEALTH_RESPONSE_MAX bytes. */
struct fl_str fl_health_write_response(enum fl_health_status status, char *out);

#endif
