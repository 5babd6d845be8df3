/* apiserver.h - the simulated API server: lists and watches of a cluster over HTTP/1.1 and HTTP/2
 * cleartext, in JSON and protobuf. Runs on any fl_io: the real one for `fairlead sim`, a world in
 * tests. It only reads: whatever is no GET is answered 405. A watcher that lags by more than 1,000
 * events is ended without a word, as the real server does. One loop's thread. */
#ifndef FL_SIM_APISERVER_H
#define FL_SIM_APISERVER_H

#include "base/io.h"
#include "sim/cluster.h"

struct fl_apiserver;

struct fl_apiserver_options {
    struct fl_str host;     /* address */
    uint16_t port;          /* 0: any */
    uint32_t bookmark_ms;   /* between bookmarks; 0: 60000 */
    bool no_streaming_list; /* as an old server: sendInitialEvents is refused with 422 */
    bool no_endpointslices; /* as a very old one: 404, Endpoints only */
    bool no_protobuf;       /* as aggregated APIs: JSON is all it writes */
    struct fl_str token;    /* required as bearer token if not empty */
};

FL_MUST int fl_apiserver_new(struct fl_io *io, struct fl_cluster *cluster,
                             const struct fl_apiserver_options *options, struct fl_apiserver **out,
                             struct fl_error *err);
uint16_t fl_apiserver_port(const struct fl_apiserver *server);
uint64_t fl_apiserver_requests(const struct fl_apiserver *server); /* served so far */
/* Stops at once: listener and connections; `done` follows. */
void fl_apiserver_close(struct fl_apiserver *server, void (*done)(void *arg), void *arg);

/* Faults for tests. */
enum fl_apiserver_fault {
    FL_APISERVER_OK,
    FL_APISERVER_GONE_STATUS, /* watches answer HTTP 410 */
    FL_APISERVER_GONE_EVENT,  /* watches answer 200 and one ERROR event with code 410 */
    FL_APISERVER_UNAVAILABLE, /* 503 with Retry-After: 1 */
    FL_APISERVER_THROTTLE,    /* 429 with Retry-After: 1 */
    FL_APISERVER_STALE,       /* cached lists (resourceVersion=0) answer an old state */
    FL_APISERVER_SILENT,      /* accepts requests and says nothing */
    FL_APISERVER_GARBAGE,     /* bodies of random bytes */
    FL_APISERVER_SHORT,       /* watches end cleanly after 500 ms without an event */
};
/* From now on, for the next `times` requests that it concerns. */
void fl_apiserver_fault(struct fl_apiserver *server, enum fl_apiserver_fault fault, unsigned times);
/* Ends every open watch cleanly. */
void fl_apiserver_end_watches(struct fl_apiserver *server);

#endif
