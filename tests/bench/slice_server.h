/* slice_server.h - a canned API server on a thread of its own: the service default/echo, with one
 * EndpointSlice that changes when it is told to. */
#ifndef FL_BENCH_SLICE_SERVER_H
#define FL_BENCH_SLICE_SERVER_H

#include "loop/loop.h"
#include "wire/k8s.h"

#define FL_SLICE_ENDPOINTS_MAX 100

/* Fills in the endpoints at `version` and returns how many there are. What they refer to must stay
 * until the next call. On the server's thread. */
typedef size_t fl_slice_fill(struct fl_k8s_endpoint_spec *endpoints, uint64_t version);

struct fl_slice_server;

/* At version 0; `port` is the endpoints'. Ends the process where it cannot. */
struct fl_slice_server *fl_slice_server_new(fl_slice_fill *fill, uint16_t port);
void fl_slice_server_free(struct fl_slice_server *server); /* waits for its thread */

/* Writes a kubeconfig for it over the XXXXXX of `path`, as mkstemp does. */
void fl_slice_server_write_kubeconfig(const struct fl_slice_server *server, char *path);

/* True once somebody watches the slice. Any thread, as the next two. */
bool fl_slice_server_is_watched(const struct fl_slice_server *server);
/* Sends the events up to and with that of `version`. */
void fl_slice_server_advance(struct fl_slice_server *server, uint64_t version);
/* When the newest event was written, by the clock of fl_io_now_us. */
uint64_t fl_slice_server_sent_us(const struct fl_slice_server *server);

#endif
