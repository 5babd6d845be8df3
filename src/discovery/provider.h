/* provider.h - what a source of endpoints does for discovery.
 *
 * A provider is called on discovery's loop only, but for `parse`. Discovery asks it to watch each
 * service once, however many subscribe, and owns the feed. A provider may give to a feed from
 * within watch and watch_names, and is never called back from within what it gives. */
#ifndef FL_DISCOVERY_PROVIDER_H
#define FL_DISCOVERY_PROVIDER_H

#include "discovery/set.h"

struct fl_feed; /* one watched service, or one watched list of names */

struct fl_provider;

/* What a source knows of this process itself. Borrowed for the call. */
struct fl_self {
    struct fl_str address, node; /* empty while it has none */
    const uint16_t *ports;       /* that it says it listens on, in its order */
    size_t port_count;
};

struct fl_self_events {
    void (*on_self)(void *arg, const struct fl_self *self);    /* at first and at each change */
    void (*on_trouble)(void *arg, const struct fl_error *why); /* it is tried again */
};

struct fl_self_watch;

struct fl_provider_ops {
    /* "ns/name:port", "name" … as in a target -> the service's name appended to `service`, and the
     * port part to `port`, empty without. Any thread, also several at once: only looks at the text
     * and at what never changes. What configuration alone knows, as a default namespace, is filled
     * in by watch, whose sets carry the whole name. FL_EUSAGE: which part is wrong. */
    int (*parse)(struct fl_provider *provider, struct fl_str rest, struct fl_buf *service,
                 struct fl_buf *port, struct fl_error *err);
    /* Starts the watch of `service`; what becomes known goes to fl_feed_publish. An error is
     * reported to the subscribers as trouble, and the watch is asked for again after a backoff. */
    int (*watch)(struct fl_provider *provider, struct fl_str service, struct fl_feed *feed,
                 struct fl_error *err);
    /* Starts a watch of the names of all services in `ns` (empty: everywhere): fl_feed_name for
     * each. */
    int (*watch_names)(struct fl_provider *provider, struct fl_str ns, struct fl_feed *feed,
                       struct fl_error *err);
    /* Reads now what the first watch would read, so that a mistake in it is found before, and
     * appends the default namespace to `ns`. NULL: there is nothing to read. FL_ECONFIG and what
     * else a watch can fail with. */
    int (*prepare)(struct fl_provider *provider, struct fl_buf *ns, struct fl_error *err);
    /* Tells what is known of the process that runs as `name` in `ns` (empty: the default). Nothing
     * is told from within, nor after unwatch_self. NULL, both: this source does not know.
     * FL_ENOMEM and what else a watch can fail with. */
    int (*watch_self)(struct fl_provider *provider, struct fl_str ns, struct fl_str name,
                      const struct fl_self_events *events, void *arg, struct fl_self_watch **out,
                      struct fl_error *err);
    void (*unwatch_self)(struct fl_provider *provider, struct fl_self_watch *watch);
    /* For the snapshot file, while a watch of `service` is open: appends what tells the source from
     * all others of this scheme, and the service's whole name. NULL: its sets are not kept.
     * FL_EUNKNOWN: not known yet; FL_EFULL, FL_ENOMEM. */
    int (*identify)(struct fl_provider *provider, struct fl_str service, struct fl_buf *source,
                    struct fl_buf *name);
    /* Somebody waits for news of `feed`, which is open: if the source is to be tried later, after a
     * failure, it is tried now. NULL: it never waits. */
    void (*hurry)(struct fl_provider *provider, struct fl_feed *feed);
    /* Ends either watch: nothing is given to the feed after it. */
    void (*unwatch)(struct fl_provider *provider, struct fl_feed *feed);
    /* No feed is left: closes what is open, frees the provider, then calls done. */
    void (*close)(struct fl_provider *provider, void (*done)(void *arg), void *arg);
};

struct fl_provider {
    const struct fl_provider_ops *ops;
    const char *scheme; /* "kubernetes": targets kubernetes:///… */
};

/* For providers, between watch and unwatch, on the loop. What cannot be stored for want of memory
 * is asked for anew: unwatch and watch after a backoff. Publishing also ends a trouble. */
void fl_feed_publish(struct fl_feed *feed, const struct fl_set_spec *spec);
void fl_feed_trouble(struct fl_feed *feed, const struct fl_error *err); /* code FL_OK: it is over */
void fl_feed_name(struct fl_feed *feed, struct fl_str service);         /* a service that exists */
void fl_feed_names_synced(struct fl_feed *feed);         /* the list of names is complete; once */
void fl_feed_set_data(struct fl_feed *feed, void *data); /* the provider's own pointer */
void *fl_feed_data(const struct fl_feed *feed);

#endif
