/* subscription.h - one subscriber of a watch. See subscription.c for who owns what when. */
#ifndef FL_DISCOVERY_SUBSCRIPTION_H
#define FL_DISCOVERY_SUBSCRIPTION_H

#include "discovery/hub.h"
#include "discovery/mailbox.h"

struct fl_watch;

struct fl_subscription {
    /* Constant. */
    struct fl_discovery *hub;
    struct fl_io *io; /* the subscriber's loop */
    struct fl_provider *provider;
    fl_set_cb *cb;
    void *arg;
    struct fl_str key, port; /* "scheme:service"; empty: all ports */

    struct {
        struct fl_list link; /* of the watch's, or of the hub's unplaced */
        struct fl_watch *watch;
        int state;
        int told; /* code of the trouble that an unplaced one was told */
    } hub_data;
    struct {
        struct fl_set *previous;
    } loop_data;
    struct {
        struct fl_mailbox mailbox;
        atomic_bool closing; /* fl_subscription_close was called: nothing is delivered any more */
    } shared_data;

    struct fl_task join_task, leave_task; /* on the hub's loop; once each */
    struct fl_task deliver_task;          /* on the subscriber's loop, as often as there is news */
    struct fl_task finish_task;           /* on the subscriber's loop, once, the last there */
    struct fl_task free_task;             /* on the hub's loop, once, the last of all */
    void (*done)(void *arg);
    void *done_arg;
    char text[]; /* key, port */
};

/* The hub's loop. */
void fl_subscription_put(struct fl_subscription *subscription, struct fl_news *news);
void fl_subscription_wake(struct fl_subscription *subscription);
/* Tries again to find a watch for one that is unplaced. */
void fl_subscription_place(struct fl_subscription *subscription);

#endif
