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
    fl_set_cb *cb;
    void *arg;

    struct {
        struct fl_list link;    /* of the watch's, or of the hub's unplaced */
        struct fl_watch *watch; /* the hub's, or what may become it; NULL: has left */
        int state;
        int told; /* code of the trouble that an unplaced one was told */
    } hub_data;
    struct {
        struct fl_set *previous;
    } loop_data;
    struct {
        struct fl_mailbox mailbox;
    } shared_data;

    /* To join, on the hub's loop, once; then to deliver, on the subscriber's, as often as there is
     * news. */
    struct fl_task news_task;
    /* Once each: to leave, on the hub's loop; to finish, on the subscriber's, the last there; to be
     * freed, on the hub's, the last of all. */
    struct fl_task end_task;
    void (*done)(void *arg);
    void *done_arg;
    atomic_bool closing; /* shared: closed, so nothing is delivered any more */
    char port[];         /* empty for all */
};

/* The hub's loop. */
void fl_subscription_put(struct fl_subscription *subscription, struct fl_news *news);
void fl_subscription_wake(struct fl_subscription *subscription);
/* Tries again to find a watch for one that is unplaced. */
void fl_subscription_place(struct fl_subscription *subscription);

#endif
