/* admin.h - what a running program shows of itself over HTTP, where it wants to.
 *
 *     /metrics   its metrics, in Prometheus' text format 0.0.4
 *     /conns     its channels as JSON: each endpoint, its state and why, its connections
 *     /healthz   "ok": the loop turns
 *
 * HTTP/1.1 and HTTP/2 cleartext, reading only, of the objects on one runtime. There is no
 * authentication: anybody who reaches the address learns addresses and counts, so it is loopback
 * unless told otherwise. `fairlead conns` asks it. */
#ifndef FAIRLEAD_ADMIN_H
#define FAIRLEAD_ADMIN_H

#include <fairlead/runtime.h>

FL_C_BEGIN

struct fl_admin;

/* Zero-initialised: the defaults in brackets. */
struct fl_admin_options {
    const char *host; /* ["127.0.0.1"] an address of this machine; copied */
    uint16_t port;    /* [any free one, see fl_admin_port] */
};

/* Opens the endpoint; `options` may be NULL. The caller owns *out and ends it with fl_admin_close.
 * Any thread; with FL_RUNTIME_UV_LOOP and FL_RUNTIME_POLL the loop's. Waits for the loop's next
 * turn where that runs on a thread of its own. Errors: FL_ENOMEM, FL_EUSAGE (no address), FL_ESYS
 * (cannot listen there, and why). */
FL_API FL_MUST int fl_admin_new(struct fl_runtime *runtime, const struct fl_admin_options *options,
                                struct fl_admin **out, struct fl_error *err);

/* Where it listens. Any thread. */
FL_API uint16_t fl_admin_port(const struct fl_admin *admin);

/* Stops at once; `done` is called once, later, on the loop, when nothing is left of it; may be
 * NULL. Any thread. */
FL_API void fl_admin_close(struct fl_admin *admin, void (*done)(void *arg), void *arg);

FL_C_END

#endif
