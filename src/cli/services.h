/* services.h - the subscriptions of a command: one service, or all that a names watch tells of. */
#ifndef FL_CLI_SERVICES_H
#define FL_CLI_SERVICES_H

#include "cli/client.h"

struct fl_services_events {
    /* As fl_set_cb, for any of the services. */
    void (*on_set)(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble);
    /* The set of a service, which was fresh, is stale now, or fresh again: fl_set_stale_ms says
     * which. `trouble`: why, NULL if nothing was said. NULL: not wanted. */
    void (*on_stale)(void *arg, struct fl_set *set, const struct fl_error *trouble);
    /* All services: every one that exists is subscribed to by now. */
    void (*on_complete)(void *arg, size_t count);
    /* All services: the names cannot be found out; code FL_OK: they can again. */
    void (*on_trouble)(void *arg, const struct fl_error *trouble);
};

struct fl_services;

/* `service` NULL: all in the namespace of the client's options, or everywhere without one.
 * FL_EUSAGE, FL_ECONFIG, FL_ENOMEM, FL_EFULL. */
FL_MUST int fl_services_open(struct fl_client *client, const char *service,
                             const struct fl_services_events *events, void *arg,
                             struct fl_services **out, struct fl_error *err);
/* Closes all subscriptions, running the client's loop meanwhile. NULL is allowed. */
void fl_services_close(struct fl_services *services);

#endif
