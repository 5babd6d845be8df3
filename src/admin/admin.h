/* admin.h - what a running program shows of itself over HTTP: /metrics and /healthz.
 *
 * A server of its own on one loop, HTTP/1.1 and HTTP/2 cleartext, that only reads. It has no
 * authentication: listen on loopback, or where a network policy guards it. */
#ifndef FL_ADMIN_ADMIN_H
#define FL_ADMIN_ADMIN_H

#include "base/io.h"

struct fl_admin;

/* Listens on an address (port 0: any free one). /metrics gives the io's metrics in Prometheus'
 * text format 0.0.4. FL_ENOMEM, FL_EUSAGE (no address), FL_ESYS (cannot listen there, and why). */
FL_MUST int fl_admin_new(struct fl_io *io, struct fl_str host, uint16_t port, struct fl_admin **out,
                         struct fl_error *err);
uint16_t fl_admin_port(const struct fl_admin *admin);
/* Stops at once; `done` once, later, when its memory is gone. */
void fl_admin_close(struct fl_admin *admin, void (*done)(void *arg), void *arg);

#endif
