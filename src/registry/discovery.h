/* discovery.h - a discovery with all providers, on any loop. */
#ifndef FL_REGISTRY_DISCOVERY_H
#define FL_REGISTRY_DISCOVERY_H

#include "base/io.h"
#include "discovery/discovery.h"

/* fl_discovery_new with the loop given as its io; `options` may be NULL. FL_ENOMEM; what was made
 * until then goes away on the loop. */
FL_MUST int fl_discovery_new_on(struct fl_io *io, const struct fl_discovery_options *options,
                                struct fl_discovery **out, struct fl_error *err);

#endif
