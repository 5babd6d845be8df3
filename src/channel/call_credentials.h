/* call_credentials.h - metadata that a call's credentials give for one attempt. One loop's thread.
 */
#ifndef FL_CHANNEL_CALL_CREDENTIALS_H
#define FL_CHANNEL_CALL_CREDENTIALS_H

#include "base/error.h"
#include "http/message.h"

struct fl_call;

/* One header, newest first. */
struct fl_given {
    struct fl_given *next;
    struct fl_http_header header; /* in `bytes` */
    size_t size;
    char bytes[];
};

/* Asks the call's credentials; *count headers. FL_EUNAUTHORIZED: they failed, or gave what is no
 * metadata; FL_ENOMEM. Nothing is given then. */
FL_MUST int fl_call_credentials_ask(const struct fl_call *call, struct fl_given **out,
                                    size_t *count, struct fl_error *err);
void fl_call_credentials_forget(struct fl_given *given); /* and wipes; NULL is allowed */

#endif
