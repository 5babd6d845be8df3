/* show.h - what a channel tells of itself (/conns of admin/). The channel's loop. */
#ifndef FL_CHANNEL_SHOW_H
#define FL_CHANNEL_SHOW_H

#include "base/shown.h"

/* The `write` of struct fl_channel.loop_data.shown:
 *
 *     {"target", "authority", "state", "cause", "detail",            cause: why calls cannot be
 * sent "set": {"service", "state", "version", "stale_ms", "excluded_port", "cause",
 *              "detail"}, "calls", "waiting",
 *      "subchannels": [{"peer", "pod", "state", "cause", "detail", "retry_ms",
 *                       "ready", "serving", "terminating",           discovery's conditions
 *                       "wanted", "ejected",
 *                       "connections": [{"state", "calls", "quiet_ms", "leaving"}]}],
 *      "leaving": [{"peer", "calls", "quiet_ms", "leaving"}]}        of endpoints that are gone
 *
 * A cause with its detail stands only where there is one. */
FL_MUST int fl_channel_show(struct fl_shown *shown, struct fl_buf *out);

#endif
