/* retry_after.h - Retry-After as seconds, whichever way a server says it (RFC 9110 section 10.2.3).
 * Pure. Private to kube/. */
#ifndef FL_KUBE_RETRY_AFTER_H
#define FL_KUBE_RETRY_AFTER_H

#include "http/message.h"

#define FL_RETRY_AFTER_TEXT_MAX 24

/* Where *headers hold a Retry-After that is a date, they become a copy of themselves in list[max]
 * with the seconds until then, by the server's own clock if it tells it, else by `wall_ms`. More
 * than `max` headers stay as they are. */
void fl_retry_after_in_seconds(struct fl_http_headers *headers, int64_t wall_ms,
                               struct fl_http_header *list, size_t max,
                               char text[FL_RETRY_AFTER_TEXT_MAX]);

#endif
