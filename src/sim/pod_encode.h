/* pod_encode.h - pods and Deployments that the cluster makes, as bytes. Private to sim/. One
 * thread.
 *
 * They have no encoder in wire/, which nobody else needs: here are the few fields that kubectl
 * shows. Source: generated.proto of k8s.io/api core/v1, apps/v1. */
#ifndef FL_SIM_POD_ENCODE_H
#define FL_SIM_POD_ENCODE_H

#include "sim/object.h"

FL_MUST int fl_object_encode_pod_json(const struct fl_object *pod, struct fl_buf *out);
FL_MUST int fl_object_encode_pod_pb(const struct fl_object *pod, struct fl_buf *out);
FL_MUST int fl_object_encode_deployment(const struct fl_object *deployment, struct fl_buf *out);

#endif
