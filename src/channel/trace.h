/* trace.h - W3C trace context: "traceparent" and "tracestate" (www.w3.org/TR/trace-context). Pure;
 * any thread. */
#ifndef FL_CHANNEL_TRACE_H
#define FL_CHANNEL_TRACE_H

#include "base/str.h"

#define FL_TRACE_PARENT_LEN    55 /* 00-<32 digits>-<16 digits>-<2 digits> */
#define FL_TRACE_PARENT_ID     8  /* bytes */
#define FL_TRACE_STATE_LEN_MAX ((size_t)512)

/* Is it one that may be sent? */
FL_MUST bool fl_trace_parent_fits(struct fl_str text);
FL_MUST bool fl_trace_state_fits(struct fl_str text);
/* The same trace with another parent: the attempt that is sent. */
void fl_trace_child(struct fl_str parent, const uint8_t id[FL_TRACE_PARENT_ID],
                    char out[FL_TRACE_PARENT_LEN]);

#endif
