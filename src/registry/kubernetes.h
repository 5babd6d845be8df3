/* kubernetes.h - the provider "kubernetes": Services and EndpointSlices of a cluster. */
#ifndef FL_REGISTRY_KUBERNETES_H
#define FL_REGISTRY_KUBERNETES_H

#include "base/io.h"
#include "discovery/provider.h"

/* Strings of `options` are copied. Reads configuration at the first watch, not here; its `parse`
 * runs on any thread (see provider.h). FL_ENOMEM. */
FL_MUST int fl_provider_kubernetes_new(struct fl_io *io, const struct fl_discovery_options *options,
                                       struct fl_provider **out, struct fl_error *err);

#endif
