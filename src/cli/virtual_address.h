/* virtual_address.h - one address for a service, as a cluster gives it: each TCP connection to it
 * is relayed to one of the pods, whichever it was when the connection was made.
 *
 * What kube-proxy does in the kernel, in this process, for the demo's comparison. One loop's
 * thread. */
#ifndef FL_CLI_VIRTUAL_ADDRESS_H
#define FL_CLI_VIRTUAL_ADDRESS_H

#include <fairlead/discovery.h>

#include "base/io.h"

struct fl_virtual_address;

/* Listens on a loopback address, for a service without pods. FL_ENOMEM, FL_ESYS. */
FL_MUST int fl_virtual_address_new(struct fl_io *io, struct fl_virtual_address **out,
                                   struct fl_error *err);
uint16_t fl_virtual_address_port(const struct fl_virtual_address *address);
/* Connections made from now on go to endpoints of this set; counted. With none they are reset. */
void fl_virtual_address_use(struct fl_virtual_address *address, struct fl_set *set);
/* Cuts all connections; `done` once, later, when its memory is gone. */
void fl_virtual_address_close(struct fl_virtual_address *address, void (*done)(void *arg),
                              void *arg);

#endif
