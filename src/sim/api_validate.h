/* api_validate.h - what the API server fills in and refuses in objects that users write. Pure; one
 * thread. Source: kubernetes pkg/apis/core/validation, discovery/validation, core/v1/defaults. */
#ifndef FL_SIM_API_VALIDATE_H
#define FL_SIM_API_VALIDATE_H

#include <jansson.h>

#include "sim/api_request.h"
#include "sim/cluster.h"

/* 0 or the HTTP code in *status. */
FL_MUST int fl_api_default(struct fl_cluster *cluster, enum fl_k8s_kind kind, json_t *tree,
                           struct fl_api_status *status);
FL_MUST int fl_api_validate(const struct fl_resource *resource, const json_t *tree,
                            struct fl_api_status *status);

#endif
