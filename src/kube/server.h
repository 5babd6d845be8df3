/* server.h - one API server as all that ask it see it. Held by its client, shared by the client's
 * listwatches. One loop's thread. */
#ifndef FL_KUBE_SERVER_H
#define FL_KUBE_SERVER_H

#include "kube/outage.h"
#include "kube/server_traits.h"

struct fl_kube_server {
    struct fl_server_traits traits;
    struct fl_outage outage;
};

static inline void fl_kube_server_init(struct fl_kube_server *server, uint64_t seed) {
    server->traits = (struct fl_server_traits){0};
    fl_outage_init(&server->outage, seed);
}

#endif
