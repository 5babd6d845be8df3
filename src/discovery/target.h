/* target.h - what a client writes to name a service. See target.c. */
#ifndef FL_DISCOVERY_TARGET_H
#define FL_DISCOVERY_TARGET_H

#include "discovery/hub.h"

struct fl_target {
    struct fl_provider *provider;
    struct fl_buf service, port; /* as the provider understands them; port empty without */
};

/* Any thread. FL_EUSAGE (detail: which part), FL_ENOMEM; nothing is left to deinit then. */
FL_MUST int fl_target_parse(const struct fl_discovery *hub, struct fl_str text,
                            struct fl_target *out, struct fl_error *err);
void fl_target_deinit(struct fl_target *target);

#endif
