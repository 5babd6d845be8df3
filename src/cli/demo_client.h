/* demo_client.h - one way to reach the service, under load: its channel, its callers and what
 * became of their calls. On the client's loop.
 *
 * Callers are of three sorts: patient ones wait for a pod and may be tried again; single ones wait
 * too, but their method allows one attempt; hasty ones want an answer or an error at once. */
#ifndef FL_CLI_DEMO_CLIENT_H
#define FL_CLI_DEMO_CLIENT_H

#include "channel/channel.h"
#include "cli/load.h"
#include "cli/pods.h"

enum fl_demo_sort { FL_DEMO_PATIENT, FL_DEMO_SINGLE, FL_DEMO_HASTY, FL_DEMO_SORTS };

/* What goes on while a call ends. */
enum fl_demo_moment {
    FL_DEMO_USUAL,
    FL_DEMO_KILL,  /* a pod was killed and is not replaced yet */
    FL_DEMO_EMPTY, /* there is no pod */
};

struct fl_demo_client {
    const char *name;
    struct fl_io *io;
    struct fl_channel *channel; /* NULL: closed */
    const struct fl_str *request;
    struct fl_pods *pods; /* what the cluster says of them; shared by all clients */
    const enum fl_demo_moment *moment;
    bool keeps_score; /* tells pods who answered and who was picked */
    struct callers {
        struct fl_demo_client *client;
        struct fl_load *load; /* NULL: none is running */
        enum fl_demo_sort sort;
    } callers[FL_DEMO_SORTS];
    void (*on_idle)(void *arg); /* the last caller has stopped */
    void *arg;

    uint64_t calls;
    uint64_t failed;      /* that should not have */
    uint64_t killed;      /* single ones on the killed pod */
    uint64_t told_empty;  /* hasty ones, while there was no pod */
    uint64_t dead;        /* given to, or lost for, an address whose pod had left */
    uint64_t answered_us; /* the last answer */
    uint64_t gap_us;      /* the longest time without one, while there were pods */
    struct fl_error failure;
};

/* Opens the channel. Errors as fl_channel_new. */
FL_MUST int fl_demo_client_open(struct fl_demo_client *client, struct fl_runtime *runtime,
                                struct fl_discovery *discovery, const char *target,
                                uint32_t idle_ms, struct fl_error *err);
/* Its callers call, until stopped; on_idle follows then. */
FL_MUST int fl_demo_client_start(struct fl_demo_client *client, struct fl_error *err);
void fl_demo_client_stop(struct fl_demo_client *client);
bool fl_demo_client_runs(const struct fl_demo_client *client);
/* What goes on is about to change: the silence until now counts by what was. */
void fl_demo_client_moment_over(struct fl_demo_client *client);

#endif
