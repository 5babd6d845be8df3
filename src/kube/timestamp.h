/* timestamp.h - points in time as text, to milliseconds since 1970. Pure. Private to kube/. */
#ifndef FL_KUBE_TIMESTAMP_H
#define FL_KUBE_TIMESTAMP_H

#include "base/str.h"

/* RFC 3339: "2026-11-21T02:54:00.123+01:00". False: none. */
FL_MUST bool fl_rfc3339_parse(struct fl_str text, int64_t *wall_ms);
/* RFC 9110 section 5.6.7, as every sender must write it: "Sun, 06 Nov 1994 08:49:37 GMT". */
FL_MUST bool fl_http_date_parse(struct fl_str text, int64_t *wall_ms);

#endif
