/* zone.h - which endpoints are near, and how many of the calls they can take. Pure. */
#ifndef FL_BALANCE_ZONE_H
#define FL_BALANCE_ZONE_H

#include <fairlead/balance.h>
#include <fairlead/discovery.h>

#include "balance/candidate.h"
#include "base/error.h"
#include "base/io.h"

/* Fills in what the options do not name: the environment's FL_ZONE and FL_NODE. FL_ENOMEM. */
FL_MUST int fl_zone_locate(struct fl_balance_options *options, struct fl_io *io,
                           struct fl_error *err);

/* Where an endpoint is, seen from a client in `zone` on `node`, each of which may be NULL. */
struct fl_place fl_zone_place(const struct fl_endpoint *endpoint, const char *zone,
                              const char *node);

/* Sets `far` for each, and returns the part of the calls that the near ones can take, of
 * FL_SHARE_ALL: all if none is near. */
uint32_t fl_zone_judge(struct fl_candidate *list, size_t count);

#endif
