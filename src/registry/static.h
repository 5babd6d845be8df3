/* static.h - the provider "static": endpoints written in the target. */
#ifndef FL_REGISTRY_STATIC_H
#define FL_REGISTRY_STATIC_H

#include "base/io.h"
#include "discovery/provider.h"

#define FL_STATIC_MAX 1000 /* endpoints of one target */

/* FL_ENOMEM. */
FL_MUST int fl_provider_static_new(struct fl_io *io, struct fl_provider **out,
                                   struct fl_error *err);

#endif
