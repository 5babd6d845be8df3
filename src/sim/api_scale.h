/* api_scale.h - the subresource "scale" of Deployments, autoscaling/v1 Scale. One thread. */
#ifndef FL_SIM_API_SCALE_H
#define FL_SIM_API_SCALE_H

#include <jansson.h>

#include "sim/api_reply.h"

void fl_api_reply_scale(const struct fl_api_call *call, struct fl_object *object);
/* As a tree; NULL: no memory. */
FL_MUST json_t *fl_api_scale_json(struct fl_object *object);

#endif
