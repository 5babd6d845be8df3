/* response.h - the response to a plain HTTP request, taken into a reply (reply.h) as it arrives:
 * status, headers, the whole body, trailers. Pure; one thread. */
#ifndef FL_CHANNEL_RESPONSE_H
#define FL_CHANNEL_RESPONSE_H

#include "channel/reply.h"

/* As fl_reply_head and its sisters; FL_ETOO_LARGE, FL_ENOMEM. */
FL_MUST int fl_response_head(struct fl_reply *reply, const struct fl_http_response *head,
                             struct fl_error *err);
FL_MUST int fl_response_data(struct fl_reply *reply, struct fl_str bytes, struct fl_error *err);
FL_MUST int fl_response_trailers(struct fl_reply *reply, struct fl_http_headers trailers,
                                 struct fl_error *err);
/* OK: the whole response came, whatever its HTTP status says. */
void fl_response_result(struct fl_reply *reply, const struct fl_error *why, uint32_t h2_code,
                        struct fl_error *cause, struct fl_call_result *result);

#endif
