/* sim.h - a whole simulated deployment: cluster, API server and pods that serve gRPC.
 *
 * Each pod is a real echo server (server/echo.h) on an address of its own; it lives pending,
 * running, ready, terminating with grace; a roll replaces the pods one by one, each new one ready
 * before an old one leaves. Runs on any fl_io, so `fairlead sim`, `fairlead demo` and the seeded
 * worlds are the same code. One loop's thread. */
#ifndef FL_SIM_SIM_H
#define FL_SIM_SIM_H

#include "base/io.h"
#include "sim/apiserver.h"

struct fl_sim;

struct fl_sim_service {
    const char *name; /* "name" or "namespace/name"; default namespace "default" */
    unsigned pods;
    /* Of a rolling update: pods above the wanted number, and ready ones below it. 0, 0: one above.
     */
    unsigned max_surge, max_unavailable;
};

struct fl_sim_options {
    struct fl_apiserver_options apiserver;
    const struct fl_sim_service *services;
    size_t service_count;
    uint64_t seed;
    uint32_t roll_every_ms; /* 0: only when asked */
    uint32_t start_ms;      /* pending to ready, about; 0: 300 */
    uint32_t grace_ms;      /* SIGTERM to SIGKILL; 0: 30000 */
    uint32_t echo_delay_ms;
    uint16_t pod_port; /* of every pod; 0: 50051 */
    /* Pods' addresses are 127.1.0.1, 127.1.0.2, … in turn, so many of them before they come again;
     * 0: 65000. */
    uint32_t address_count;
    uint32_t slice_max;            /* endpoints per slice; 0: 100 */
    const struct fl_fault *faults; /* of the API server, at their times; copied */
    size_t fault_count;
    /* Nodes, Namespaces and a Deployment per service are there too, for kubectl: they cost a
     * version for every change of a pod. */
    bool furnished;
};

/* Every service has one port, "grpc": this number, which is not the pods'. */
#define FL_SIM_SERVICE_PORT 80

/* Errors: FL_ENOMEM, FL_EUSAGE (a service's name), FL_ESYS (cannot listen: the API server, or pods,
 * which need loopback addresses of their own). */
FL_MUST int fl_sim_new(struct fl_io *io, const struct fl_sim_options *options, struct fl_sim **out,
                       struct fl_error *err);
struct fl_cluster *fl_sim_cluster(struct fl_sim *sim);
struct fl_apiserver *fl_sim_apiserver(struct fl_sim *sim);
/* All pods' servers gone, API server closed, then `done`. */
void fl_sim_close(struct fl_sim *sim, void (*done)(void *arg), void *arg);

/* Starts a rolling update; nothing if one is running. FL_EUSAGE: no such service. */
FL_MUST int fl_sim_roll(struct fl_sim *sim, const char *service, struct fl_error *err);
/* So many pods from now on. FL_EUSAGE. */
FL_MUST int fl_sim_scale(struct fl_sim *sim, const char *service, unsigned pods,
                         struct fl_error *err);
/* Kills one ready pod's process without warning; the cluster finds out later and replaces it.
 * FL_EUSAGE, FL_EEMPTY (no pod is ready). */
FL_MUST int fl_sim_kill(struct fl_sim *sim, const char *service, struct fl_error *err);
/* Until the last old pod is gone and the last new one is ready. */
bool fl_sim_rolling(const struct fl_sim *sim, const char *service);
unsigned fl_sim_ready(const struct fl_sim *sim, const char *service); /* pods ready now */
/* Nothing is under way: as many pods as wanted, all ready, none leaving, no roll. */
bool fl_sim_settled(const struct fl_sim *sim);

#endif
