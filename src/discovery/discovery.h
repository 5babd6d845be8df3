/* discovery.h - shared watches and their subscribers.
 *
 * The hub lives on one loop. Subscribing posts to that loop, so it is safe from any thread and the
 * list of subscribers has one owner (C17). Each subscription has a mailbox of one slot on its own
 * loop: the hub exchanges the newest set in and posts; the loop takes it out and owns that
 * reference (C16). A watch ends `linger` after its last subscriber, so that a resubscription finds
 * it warm. */
#ifndef FL_DISCOVERY_DISCOVERY_H
#define FL_DISCOVERY_DISCOVERY_H

#include "base/io.h"
#include "discovery/provider.h"

#define FL_DISCOVERY_SERVICES_MAX      100000
#define FL_DISCOVERY_SUBSCRIPTIONS_MAX 100000

/* Makes a hub without providers. FL_ENOMEM. */
FL_MUST int fl_discovery_open(struct fl_io *io, struct fl_discovery **out, struct fl_error *err);
/* Takes the provider (also on failure: closes it). Before the first subscription. FL_EFULL (16). */
FL_MUST int fl_discovery_take_provider(struct fl_discovery *discovery,
                                       struct fl_provider *provider);
/* Keeps the newest sets in that file and starts from it. Before the first subscription, once.
 * FL_ENOMEM. */
FL_MUST int fl_discovery_keep_snapshot(struct fl_discovery *discovery, const char *path,
                                       struct fl_error *err);
/* fl_discovery_subscribe with the subscriber's loop given as its io. */
FL_MUST int fl_discovery_subscribe_on(struct fl_discovery *discovery, struct fl_io *io,
                                      const char *target, fl_set_cb *cb, void *arg,
                                      struct fl_subscription **out, struct fl_error *err);

/* What the provider of that scheme reads at its first watch is read now; `ns` gets the default
 * namespace, empty without one. On the hub's loop. FL_EUSAGE (no such scheme), FL_ECONFIG… */
FL_MUST int fl_discovery_prepare(struct fl_discovery *discovery, const char *scheme,
                                 struct fl_buf *ns, struct fl_error *err);
struct fl_io *
fl_discovery_io(const struct fl_discovery *discovery); /* the hub's loop; any thread */
/* Whoever waits for the source of this subscription cannot: a try that a backoff holds back is made
 * now, once. On the subscriber's loop, before fl_subscription_close. */
void fl_subscription_hurry(struct fl_subscription *subscription);

/* What the source of that scheme tells of this process; see provider.h. The hub's loop; ended
 * before the hub is closed. FL_EUSAGE (no such scheme, or it does not know), and what a watch fails
 * with.
 */
FL_MUST int fl_discovery_watch_self(struct fl_discovery *discovery, const char *scheme,
                                    struct fl_str ns, struct fl_str name,
                                    const struct fl_self_events *events, void *arg,
                                    struct fl_self_watch **out, struct fl_error *err);
void fl_discovery_unwatch_self(struct fl_discovery *discovery, const char *scheme,
                               struct fl_self_watch *watch);

/* Names of services as they appear, each once; one that is deleted and made again is not told
 * again, since who subscribed to it has seen both. On the hub's loop. */
struct fl_names;
struct fl_names_events {
    void (*on_name)(void *arg, struct fl_str service);
    void (*on_synced)(void *arg); /* once: every name that existed at the start has been told */
    void (*on_trouble)(void *arg, const struct fl_error *trouble); /* code FL_OK: it is over */
};
/* `ns` empty: everywhere. FL_EUSAGE (no such scheme), FL_ENOMEM, FL_EFULL. */
FL_MUST int fl_discovery_watch_names(struct fl_discovery *discovery, const char *scheme,
                                     struct fl_str ns, const struct fl_names_events *events,
                                     void *arg, struct fl_names **out, struct fl_error *err);
void fl_names_close(struct fl_names *names); /* the hub's loop; no callback after it */

#endif
