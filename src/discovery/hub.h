/* hub.h - what discovery holds. Private to this room; the hub's loop only, but for what says
 * otherwise. */
#ifndef FL_DISCOVERY_HUB_H
#define FL_DISCOVERY_HUB_H

#include "base/list.h"
#include "base/map.h"
#include "discovery/discovery.h"

#define FL_DISCOVERY_PROVIDERS_MAX 16

struct fl_snapshot;

struct fl_discovery_metrics {
    struct fl_metric *services, *subscriptions; /* now */
    struct fl_metric *sets;                     /* published */
    struct fl_metric *superseded; /* newest replaced one that a subscriber had not read */
    struct fl_metric *full;       /* refused at a bound */
    struct fl_metric *retries;    /* put off for want of memory */
};

struct fl_discovery {
    /* Constant after the first subscription; any thread. */
    struct fl_io *io;
    struct fl_provider *providers[FL_DISCOVERY_PROVIDERS_MAX];
    size_t provider_count;
    struct fl_discovery_metrics metrics;
    struct fl_snapshot *snapshot; /* the hub's loop only; NULL: none */
    /* Any thread: a delivery could not be made for want of memory, the tick repeats it. */
    atomic_bool deliver_again;
    /* Any thread: subscriptions that were made and not yet freed. */
    atomic_size_t subscription_count;
    struct {
        struct fl_map services; /* provider and service -> struct fl_watch */
        struct fl_list watches;
        size_t due_count;        /* of them: what the tick has to look at */
        struct fl_list unplaced; /* subscriptions that no watch could be made for yet */
        size_t names_count;
        struct fl_timer tick;
        bool tick_made;
        bool closing;
        size_t providers_open;
    } loop_data;
    struct fl_task close_task;
    void (*done)(void *arg);
    void *done_arg;
};

/* NULL: there is none of that scheme. Any thread. */
struct fl_provider *fl_discovery_provider(const struct fl_discovery *hub, struct fl_str scheme);
/* Makes sure that the tick comes: once a second it logs new troubles, ends watches that nobody
 * wants any more, and tries again what there was no memory for. FL_ENOMEM. */
FL_MUST int fl_discovery_tick_soon(struct fl_discovery *hub);
/* A subscription or names were freed: a close may go on. May free the hub. */
void fl_discovery_release(struct fl_discovery *hub);

#endif
