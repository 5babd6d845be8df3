/* apiserver.h - the simulated API server: lists and watches of a cluster over HTTP/1.1 and HTTP/2
 * cleartext, in JSON and protobuf. Runs on any fl_io: the real one for `fairlead sim`, a world in
 * tests. Users may create, update, patch and delete (api_write.h). A watcher that lags by more than
 * 1,000 events is ended without a word, as the real server does. One loop's thread. */
#ifndef FL_SIM_APISERVER_H
#define FL_SIM_APISERVER_H

#include "base/io.h"
#include "sim/cluster.h"
#include "sim/fault.h"

struct fl_apiserver;

#define FL_API_REPLICAS_MAX 10000

/* Who runs the cluster's pods: what users order through the API. All return 0, FL_ENOT_FOUND (that
 * is none of theirs) or FL_ENOMEM. */
struct fl_api_hooks {
    void *arg;
    int (*pod_delete)(void *arg, struct fl_str ns, struct fl_str pod);
    int (*scale)(void *arg, struct fl_str ns, struct fl_str deployment, unsigned pods);
    int (*restart)(void *arg, struct fl_str ns, struct fl_str deployment);
};

struct fl_apiserver_options {
    struct fl_str host;     /* address */
    uint16_t port;          /* 0: any */
    struct fl_tls *tls;     /* NULL: cleartext; counted by the listener */
    uint32_t bookmark_ms;   /* between bookmarks; 0: 60000 */
    size_t watches_max;     /* open at once, beyond it 429; 0: 100000 */
    bool no_streaming_list; /* as an old server: sendInitialEvents is refused with 422 */
    bool no_endpointslices; /* as a very old one: 404, Endpoints only */
    bool no_protobuf;       /* as aggregated APIs: JSON is all it writes */
    bool old_etcd; /* etcd 3.4 under it: sendInitialEvents gets 200 and an ERROR event, code 500 */
    struct fl_str token; /* required as bearer token if not empty */
    /* A second one, which may only read, and where reader_namespace is not empty only there. */
    struct fl_str reader_token, reader_namespace;
    const struct fl_api_hooks *hooks; /* NULL: pods and Services only; not copied */
};

FL_MUST int fl_apiserver_new(struct fl_io *io, struct fl_cluster *cluster,
                             const struct fl_apiserver_options *options, struct fl_apiserver **out,
                             struct fl_error *err);
uint16_t fl_apiserver_port(const struct fl_apiserver *server);
uint64_t fl_apiserver_requests(const struct fl_apiserver *server); /* served so far */
/* Stops at once: listener and connections; `done` follows. */
void fl_apiserver_close(struct fl_apiserver *server, void (*done)(void *arg), void *arg);

/* So many more times from now on, whenever there is something that the kind concerns (see fault.h);
 * 0 takes back what is left of the kind. What concerns connections or the whole cluster happens at
 * once, and the further times at the next requests. */
void fl_apiserver_fault(struct fl_apiserver *server, enum fl_fault_kind kind, unsigned times);
/* Takes back what is left of all kinds. */
void fl_apiserver_heal(struct fl_apiserver *server);
/* How often a fault of the kind was shown so far. */
uint64_t fl_apiserver_injected(const struct fl_apiserver *server, enum fl_fault_kind kind);
/* Ends every open watch cleanly. */
void fl_apiserver_end_watches(struct fl_apiserver *server);

#endif
