/* render.h - sets, endpoints and changes as JSON values and as words. */
#ifndef FL_CLI_RENDER_H
#define FL_CLI_RENDER_H

#include <fairlead/discovery.h>
#include <jansson.h>

/* {"address","port","portName",…} (+ "forZones", "forNodes"); NULL on no memory. New references. */
json_t *fl_render_endpoint(const struct fl_endpoint *endpoint);
/* {"service","state","version","stale_ms"} (+ "externalName", "snapshot",
 * "truncated"), to which callers add lists. */
json_t *fl_render_head(const struct fl_set *set);
/* The head and "endpoints". */
json_t *fl_render_set(const struct fl_set *set);
/* "ready", "not ready", "serving, terminating", "terminating": static. */
const char *fl_render_condition(const struct fl_endpoint *endpoint);

#endif
