/* client.h - what commands that ask a cluster share: their options, a loop and a discovery. */
#ifndef FL_CLI_CLIENT_H
#define FL_CLI_CLIENT_H

#include <fairlead/admin.h>
#include <fairlead/discovery.h>

#include "cli/args.h"
#include "discovery/discovery.h"

struct fl_client_options {
    const char *kubeconfig, *context, *ns;
    const char *snapshot; /* of commands that run for long */
};

/* Rows of an option table that fill `o`, a struct fl_client_options. */
#define FL_CLIENT_OPTIONS(o)                                                                       \
    {"kubeconfig",    0,      FL_OPTION_TEXT,                                                      \
     &(o).kubeconfig, "FILE", "configuration (default: $KUBECONFIG, in-cluster, ~/.kube/config)"}, \
        {"context", 0, FL_OPTION_TEXT, &(o).context, "NAME", "context of that configuration"}, {   \
        "namespace", 'n', FL_OPTION_TEXT, &(o).ns, "NS", "namespace (default: the context's)"      \
    }

/* A further row, for commands that run for long. */
#define FL_SNAPSHOT_OPTION(o)                                                                      \
    {                                                                                              \
        "snapshot", 0, FL_OPTION_TEXT, &(o).snapshot, "FILE",                                      \
            "keeps what is known there, and starts from it when the source does not answer"        \
    }

/* The same for what a command shows of itself, into `address`. */
#define FL_METRICS_OPTION(address)                                                                 \
    {                                                                                              \
        "metrics", 0, FL_OPTION_TEXT, &(address), "ADDR",                                          \
            "serves /metrics, /conns and /healthz there: [HOST:]PORT (port 0: any)"                \
    }

struct fl_client {
    struct fl_runtime *runtime;
    struct fl_discovery *discovery;
    struct fl_admin *admin; /* NULL: not asked for */
    const struct fl_client_options *options;
};

/* Opens loop and discovery; SIGINT and SIGTERM end fl_client_run. FL_ENOMEM, FL_ESYS. */
FL_MUST int fl_client_open(struct fl_client *client, const struct fl_client_options *options,
                           struct fl_error *err);
/* Closes and frees what is open; subscriptions and channels must be closed. */
void fl_client_close(struct fl_client *client);
/* HOST:PORT, or PORT on loopback. FL_EUSAGE. */
FL_MUST int fl_client_address(const char *text, struct fl_str *host, uint16_t *port,
                              struct fl_error *err);
/* Opens the admin endpoint there (NULL: nothing) and tells where on standard error; it is closed
 * with the client. FL_EUSAGE, FL_ESYS, FL_ENOMEM. */
FL_MUST int fl_client_show(struct fl_client *client, const char *address, struct fl_error *err);
/* Runs the loop until fl_client_stop or a signal. */
void fl_client_run(struct fl_client *client);
void fl_client_stop(void *client); /* a struct fl_client *; fits close callbacks */

/* One line on standard error if `target` is a cluster's and its configuration says
 * insecure-skip-tls-verify: the library logs that too, but below what commands show. What is wrong
 * with the configuration is told by who uses it. */
void fl_client_warn(const struct fl_client *client, const char *target);

/* SERVICE[:PORT] with the namespace of the options, or a whole target, as a target; caller frees
 * with fl_free; NULL on no memory. */
FL_MUST char *fl_client_target(const struct fl_client *client, const char *service);

#endif
