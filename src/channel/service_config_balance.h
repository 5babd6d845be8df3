/* service_config_balance.h - the loadBalancingConfig of a service config. */
#ifndef FL_CHANNEL_SERVICE_CONFIG_BALANCE_H
#define FL_CHANNEL_SERVICE_CONFIG_BALANCE_H

#include <fairlead/balance.h>

#include "channel/service_config_part.h"

/* Reads a list of policies, of which the first known one counts (service_config.md), with those in
 * it. What it does not name stays. *out->hash_header is then the caller's to free. FL_ECONFIG,
 * FL_ENOMEM. */
FL_MUST int fl_service_config_read_balance(const struct fl_part *list,
                                           struct fl_balance_options *out);

#endif
