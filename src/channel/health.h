/* health.h - a channel's health options: what is right, an own copy. Any thread. */
#ifndef FL_CHANNEL_HEALTH_H
#define FL_CHANNEL_HEALTH_H

#include <fairlead/health.h>

#include "base/error.h"

/* An own, complete copy of the caller's options. `service`, of a service config, goes before theirs
 * (NULL: none). FL_EUSAGE: the detail names what is wrong; FL_ENOMEM. To be ended by _deinit, after
 * a failure too. */
FL_MUST int fl_health_options_copy(struct fl_health_options *out,
                                   const struct fl_health_options *given, const char *service,
                                   struct fl_error *err);
void fl_health_options_deinit(struct fl_health_options *options);

#endif
