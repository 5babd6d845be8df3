/* api_write.h - create, update, patch and delete at the simulated API server. One thread.
 *
 * What users write is kept whole, as a tree. What the cluster makes (Services with their pods,
 * Deployments) takes a user's change as an overlay, or as an order to who runs it (struct
 * fl_api_hooks); the slices and Endpoints that it makes are its own. */
#ifndef FL_SIM_API_WRITE_H
#define FL_SIM_API_WRITE_H

#include "sim/api_reply.h"
#include "sim/apiserver.h"

#define FL_API_REQUEST_MAX ((size_t)3 * 1024 * 1024) /* of a body, as the real server */
#define FL_API_OBJECT_MAX  ((size_t)3 * 512 * 1024)  /* etcd's 1.5 MiB */

/* Does what the call asks for with the body it came with, and answers. */
void fl_api_write(const struct fl_api_call *call, struct fl_cluster *cluster,
                  const struct fl_api_hooks *hooks, struct fl_str body);

#endif
