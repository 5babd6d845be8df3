/* feed.h - one conversation with a provider. See feed.c; for providers see provider.h. */
#ifndef FL_DISCOVERY_FEED_H
#define FL_DISCOVERY_FEED_H

#include "base/backoff.h"
#include "discovery/hub.h"

/* What the owner of a feed does with it. publish or the names' two are NULL where the feed is of
 * the other kind. FL_ENOMEM from publish, name or trouble: it could not be stored, so the provider
 * will be asked anew. */
struct fl_feed_sink {
    int (*ask)(struct fl_feed *feed, struct fl_error *err); /* the provider's watch */
    int (*publish)(struct fl_feed *feed, const struct fl_set_spec *spec);
    int (*name)(struct fl_feed *feed, struct fl_str service);
    void (*names_synced)(struct fl_feed *feed);
    int (*trouble)(struct fl_feed *feed, const struct fl_error *err);
};

/* What a feed has once it failed. */
struct fl_feed_retry {
    struct fl_feed *feed;
    struct fl_timer timer;
    struct fl_backoff backoff;
};

struct fl_feed {
    struct fl_discovery *hub;
    struct fl_provider *provider;
    const struct fl_feed_sink *sink;
    void *data;                  /* the provider's */
    struct fl_feed_retry *retry; /* NULL: as nearly always, it never failed */
    int state;
};

void fl_feed_init(struct fl_feed *feed, struct fl_discovery *hub, struct fl_provider *provider,
                  const struct fl_feed_sink *sink);
/* Nothing that fails needs memory from here on, so that fl_feed_tick may be left out. FL_ENOMEM. */
FL_MUST int fl_feed_reserve(struct fl_feed *feed);
void fl_feed_deinit(struct fl_feed *feed); /* closes it */
/* Asks the provider; what it refuses is told as trouble and asked again. */
void fl_feed_open(struct fl_feed *feed);
/* Somebody waits for news: what a backoff holds back is tried now. */
void fl_feed_hurry(struct fl_feed *feed);
/* Once a second after a failure: asks anew if there was no memory to wait for a backoff. */
void fl_feed_tick(struct fl_feed *feed);

#endif
