/* object_schema.h - objects that users wrote, from and to protobuf by tables of field numbers. What
 * the tables do not know is left out of answers, and refused in requests. Pure; one thread.
 *
 * Source: generated.proto of k8s.io/api core/v1, discovery/v1 and apimachinery meta/v1. */
#ifndef FL_SIM_OBJECT_SCHEMA_H
#define FL_SIM_OBJECT_SCHEMA_H

#include <jansson.h>

#include "wire/k8s.h"

/* Appends the bare message of a Service, EndpointSlice, Endpoints or Pod; FL_EUSAGE: another kind.
 * FL_ENOMEM, FL_EFULL. */
FL_MUST int fl_schema_encode(enum fl_k8s_kind kind, const json_t *tree, struct fl_buf *out);
/* A request's body with its envelope, of the same kinds, Namespaces, Leases, DeleteOptions and
 * SelfSubjectAccessReviews. FL_EUSAGE: another kind, or a field that is not known and would be
 * lost; FL_EPROTO, FL_ENOMEM. */
FL_MUST int fl_schema_decode(struct fl_str body, json_t **out);
/* Seconds since 1970 of an RFC 3339 time in UTC; 0: none. */
int64_t fl_schema_time(const char *text);

#endif
