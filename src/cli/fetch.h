/* fetch.h - one small document over HTTP, cleartext, for a command that waits for it. */
#ifndef FL_CLI_FETCH_H
#define FL_CLI_FETCH_H

#include "cli/client.h"

/* Appends the body of http://ADDRESS/PATH (see fl_client_address) to `out`, running the client's
 * loop meanwhile. FL_EUSAGE (the address), FL_EHTTP (another status than 200), FL_ETOO_LARGE (more
 * than out->max), FL_ECANCELLED (a signal), or what ended the exchange. */
FL_MUST int fl_fetch(struct fl_client *client, const char *address, const char *path,
                     struct fl_buf *out, struct fl_error *err);

#endif
