/* watch.h - one watched service and its subscribers. The hub's loop only. See watch.c. */
#ifndef FL_DISCOVERY_WATCH_H
#define FL_DISCOVERY_WATCH_H

#include "discovery/feed.h"
#include "discovery/hub.h"
#include "discovery/mailbox.h"

struct fl_watch {
    struct fl_list link; /* of the hub's watches */
    struct fl_feed feed;
    struct fl_list subscriptions;
    struct fl_news *news;   /* the newest; NULL: nothing heard */
    uint32_t idle_since_ms; /* without subscriptions; as is left of it in 32 bits */
    int16_t logged;         /* code of the trouble that the log was told of */
    bool due;               /* the tick has to look at it */
    char key[];             /* a letter that stands for the provider, then the service */
};

struct fl_subscription;

/* Watches whose trouble is another one than at the last tick, by its cause's ordinal. */
struct fl_watch_tally {
    size_t counts[FL_ORDINAL_COUNT];
    struct fl_watch *first[FL_ORDINAL_COUNT];
};

#define FL_WATCH_LINGER_MS 5000

/* One that the hub does not know yet; any thread. NULL: no memory. */
FL_MUST struct fl_watch *fl_watch_new(struct fl_discovery *hub, struct fl_provider *provider,
                                      struct fl_str service);
void fl_watch_drop(struct fl_watch *watch); /* that the hub did not come to know */
/* Puts the hub's watch of that service in its place, which it becomes itself, and is opened, if
 * there is none. FL_EFULL, FL_ENOMEM: it is as before. */
FL_MUST int fl_watch_place(struct fl_watch **watch, struct fl_error *err);
struct fl_str fl_watch_service(const struct fl_watch *watch);
void fl_watch_free(struct fl_watch *watch); /* no subscription is left */
void fl_watch_add(struct fl_watch *watch, struct fl_subscription *subscription);
void fl_watch_remove(struct fl_watch *watch, struct fl_subscription *subscription);
void fl_watch_deliver_again(struct fl_watch *watch);
/* Once a second while any is due; may free it. */
void fl_watch_tick(struct fl_watch *watch, uint64_t now_ms, struct fl_watch_tally *tally);
/* Logs what the tick came upon: a line for each cause, however many watches it is told of. */
void fl_watch_log(struct fl_discovery *hub, const struct fl_watch_tally *tally);

#endif
