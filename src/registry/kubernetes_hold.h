/* kubernetes_hold.h - endpoints on their way from one slice to another. Private to the Kubernetes
 * provider; see kubernetes_hold.c. One loop's thread. */
#ifndef FL_REGISTRY_KUBERNETES_HOLD_H
#define FL_REGISTRY_KUBERNETES_HOLD_H

#include "registry/kubernetes_index.h"

#define FL_HOLD_MS ((uint64_t)1000)

/* A slice of the service has changed from `old` to `now` (NULL: it is gone), and the index knows.
 * Without memory nothing is held. */
void fl_hold_slice(struct fl_service_index *index, const struct fl_kube_entry *old,
                   const struct fl_kube_entry *now, uint64_t now_ms);
/* `service` takes the place of `from`, the same one in another index: what is held for that, and
 * stands in no slice of this, is held on; what was held for this alone, and is not shown by that
 * any more, is let go. Without memory nothing is held. */
void fl_hold_copy(struct fl_service_index *index, struct fl_indexed_service *service,
                  const struct fl_indexed_service *from);
/* Lets go what is held of one service, without a word; nothing is fine. */
void fl_hold_drop(struct fl_indexed_service *service);
/* Lets go what was held long enough; those services are due. */
void fl_hold_tick(struct fl_service_index *index, uint64_t now_ms);

#endif
