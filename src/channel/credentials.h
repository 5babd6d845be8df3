/* credentials.h - whom a channel trusts and how it proves who it is: its TLS, kept current.
 *
 * The files are looked at again when a connection is made and the last look is a while ago; what
 * cannot be read or used leaves what we have. Connections that are there stay as they are. One
 * loop's thread, but for _new and _free. */
#ifndef FL_CHANNEL_CREDENTIALS_H
#define FL_CHANNEL_CREDENTIALS_H

#include <fairlead/channel.h>

#include "base/io.h"

struct fl_channel_credentials;

/* Reads the files. Certificates must name what the options say, else the host of `authority`.
 * `any`: HTTP/1.1 is offered beside HTTP/2.
 * FL_ECONFIG (detail: which part, and why not), FL_ENOMEM. */
FL_MUST int fl_channel_credentials_new(struct fl_io *io, const struct fl_channel_tls *options,
                                       const char *authority, bool any,
                                       struct fl_channel_credentials **out, struct fl_error *err);
void fl_channel_credentials_free(struct fl_channel_credentials *c); /* NULL is allowed */
/* For a connection that is made now; borrowed for the dial. */
struct fl_tls *fl_channel_credentials_peek_tls(struct fl_channel_credentials *c);
struct fl_str fl_channel_credentials_server_name(const struct fl_channel_credentials *c);

#endif
