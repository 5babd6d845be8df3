/* discovery.c - the hub: providers, the table of watches, the tick, the end.
 *
 * The tick looks at the watches that are due, which are those without subscribers and those whose
 * trouble has changed; so what it costs does not depend on how many services are watched.
 *
 * Opening touches nothing that belongs to the loop, so it may happen on any thread; the timer is
 * made with the first subscription. The tick runs only while there is something to look after.
 *
 * Closing waits until the last subscription and the last names are freed, which their owners have
 * closed before, then writes the snapshot file, ends the watches that linger, then the providers,
 * then itself. */
#include "base/alloc.h"
#include "discovery/hub.h"
#include "discovery/snapshot.h"
#include "discovery/subscription.h"
#include "discovery/watch.h"

#define TICK_MS 1000

/* ---- the tick ---- */

static void place_unplaced(struct fl_discovery *hub) {
    FL_LIST_EACH (&hub->loop_data.unplaced, link, next) {
        fl_subscription_place(FL_CONTAINER(link, struct fl_subscription, hub_data.link));
    }
}

static void deliver_again(struct fl_discovery *hub) {
    FL_LIST_EACH (&hub->loop_data.watches, link, next) {
        fl_watch_deliver_again(FL_CONTAINER(link, struct fl_watch, link));
    }
}

/* Only while any is due, so that a hub at rest looks at none. */
static void tick_watches(struct fl_discovery *hub, uint64_t now_ms) {
    struct fl_watch_tally tally = {{0}, {NULL}};
    FL_LIST_EACH (&hub->loop_data.watches, link, next) {
        fl_watch_tick(FL_CONTAINER(link, struct fl_watch, link), now_ms, &tally);
    }
    fl_watch_log(hub, &tally);
}

static void on_tick(struct fl_timer *timer) {
    struct fl_discovery *hub = FL_CONTAINER(timer, struct fl_discovery, loop_data.tick);
    uint64_t now_ms = fl_io_now_ms(hub->io);
    place_unplaced(hub);
    if (atomic_exchange(&hub->deliver_again, false)) deliver_again(hub);
    if (hub->loop_data.due_count) tick_watches(hub, now_ms);
    if (hub->snapshot) fl_snapshot_tick(hub->snapshot);
    if (fl_list_empty(&hub->loop_data.watches) && fl_list_empty(&hub->loop_data.unplaced)) return;
    fl_io_timer_set(hub->io, timer, now_ms + TICK_MS);
}

int fl_discovery_tick_soon(struct fl_discovery *hub) {
    if (!hub->loop_data.tick_made) {
        if (fl_io_timer_init(hub->io, &hub->loop_data.tick, on_tick) < 0) return FL_ENOMEM;
        hub->loop_data.tick_made = true;
    }
    if (!fl_timer_is_set(&hub->loop_data.tick)) {
        fl_io_timer_set(hub->io, &hub->loop_data.tick, fl_io_now_ms(hub->io) + TICK_MS);
    }
    return 0;
}

/* ---- the end ---- */

static void no_done(void *arg) { FL_UNUSED(arg); }

static void on_provider_closed(void *arg) {
    struct fl_discovery *hub = arg;
    if (--hub->loop_data.providers_open > 0) return;
    void (*done)(void *) = hub->done;
    void *done_arg = hub->done_arg;
    fl_map_deinit(&hub->loop_data.services);
    fl_free(hub);
    done(done_arg);
}

static void end_watches(void *arg) {
    struct fl_discovery *hub = arg;
    FL_LIST_EACH (&hub->loop_data.watches, link, next) {
        fl_watch_free(FL_CONTAINER(link, struct fl_watch, link));
    }
    /* One more than there are, for this loop itself. */
    hub->loop_data.providers_open = hub->provider_count + 1;
    for (size_t i = 0; i < hub->provider_count; i++) {
        hub->providers[i]->ops->close(hub->providers[i], on_provider_closed, hub);
    }
    on_provider_closed(hub);
}

static void end(struct fl_discovery *hub) {
    if (hub->loop_data.tick_made) fl_io_timer_deinit(hub->io, &hub->loop_data.tick);
    if (hub->snapshot)
        fl_snapshot_close(hub->snapshot, end_watches, hub);
    else
        end_watches(hub);
}

void fl_discovery_release(struct fl_discovery *hub) {
    if (!hub->loop_data.closing || hub->loop_data.names_count > 0) return;
    if (atomic_load(&hub->subscription_count) == 0) end(hub);
}

static void run_close(struct fl_task *task) {
    struct fl_discovery *hub = FL_CONTAINER(task, struct fl_discovery, close_task);
    hub->loop_data.closing = true;
    fl_discovery_release(hub);
}

void fl_discovery_close(struct fl_discovery *hub, void (*done)(void *arg), void *arg) {
    if (!hub) return;
    hub->done = done ? done : no_done;
    hub->done_arg = arg;
    fl_io_post(hub->io, &hub->close_task);
}

/* ---- the beginning; any thread ---- */

static void make_metrics(struct fl_discovery *hub) {
    struct fl_metrics *m = hub->io->metrics;
    hub->metrics = (struct fl_discovery_metrics){
        .services = fl_metrics_get(m, FL_METRIC_GAUGE, "fairlead_discovery_services",
                                   "Services that are watched.", ""),
        .subscriptions = fl_metrics_get(m, FL_METRIC_GAUGE, "fairlead_discovery_subscriptions",
                                        "Subscriptions that are open.", ""),
        .sets = fl_metrics_get(m, FL_METRIC_COUNTER, "fairlead_discovery_sets_total",
                               "Endpoint sets published.", ""),
        .superseded = fl_metrics_get(m, FL_METRIC_COUNTER, "fairlead_discovery_superseded_total",
                                     "News replaced before a subscriber had read them.", ""),
        .full = fl_metrics_get(m, FL_METRIC_COUNTER, "fairlead_discovery_full_total",
                               "Watches, names and subscriptions refused at a bound.", ""),
        .retries = fl_metrics_get(m, FL_METRIC_COUNTER, "fairlead_discovery_retries_total",
                                  "Steps put off for want of memory or at a bound.", ""),
    };
}

static struct fl_str key_of(const void *watch) {
    return fl_str_of(((const struct fl_watch *)watch)->key);
}

int fl_discovery_open(struct fl_io *io, struct fl_discovery **out, struct fl_error *err) {
    struct fl_discovery *hub = *out = FL_NEW(struct fl_discovery);
    if (!hub) return fl_fail_nomem(err);
    hub->io = io;
    atomic_init(&hub->deliver_again, false);
    atomic_init(&hub->subscription_count, 0);
    fl_map_init_keyed(&hub->loop_data.services, (uint64_t)(uintptr_t)hub, key_of);
    fl_list_init(&hub->loop_data.watches);
    fl_list_init(&hub->loop_data.unplaced);
    fl_task_init(&hub->close_task, run_close);
    make_metrics(hub);
    return 0;
}

int fl_discovery_keep_snapshot(struct fl_discovery *hub, const char *path, struct fl_error *err) {
    FL_ASSERT(!hub->snapshot);
    return fl_snapshot_new(hub, path, &hub->snapshot) < 0 ? fl_fail_nomem(err) : 0;
}

int fl_discovery_take_provider(struct fl_discovery *hub, struct fl_provider *provider) {
    if (hub->provider_count == FL_DISCOVERY_PROVIDERS_MAX) {
        provider->ops->close(provider, no_done, NULL);
        return FL_EFULL;
    }
    hub->providers[hub->provider_count++] = provider;
    return 0;
}

struct fl_provider *fl_discovery_provider(const struct fl_discovery *hub, struct fl_str scheme) {
    for (size_t i = 0; i < hub->provider_count; i++) {
        if (fl_str_eq(scheme, fl_str_of(hub->providers[i]->scheme))) return hub->providers[i];
    }
    return NULL;
}

int fl_discovery_prepare(struct fl_discovery *hub, const char *scheme, struct fl_buf *ns,
                         struct fl_error *err) {
    struct fl_provider *provider = fl_discovery_provider(hub, fl_str_of(scheme));
    if (!provider) return fl_fail(err, FL_EUSAGE, "there is no scheme \"%s\"", scheme);
    return provider->ops->prepare ? provider->ops->prepare(provider, ns, err) : 0;
}

struct fl_io *fl_discovery_io(const struct fl_discovery *hub) {
    return hub->io;
}

int fl_discovery_watch_self(struct fl_discovery *hub, const char *scheme, struct fl_str ns,
                            struct fl_str name, const struct fl_self_events *events, void *arg,
                            struct fl_self_watch **out, struct fl_error *err) {
    struct fl_provider *provider = fl_discovery_provider(hub, fl_str_of(scheme));
    if (!provider || !provider->ops->watch_self)
        return fl_fail(err, FL_EUSAGE, "\"%s\" does not know this process", scheme);
    return provider->ops->watch_self(provider, ns, name, events, arg, out, err);
}

void fl_discovery_unwatch_self(struct fl_discovery *hub, const char *scheme,
                               struct fl_self_watch *watch) {
    struct fl_provider *provider = fl_discovery_provider(hub, fl_str_of(scheme));
    provider->ops->unwatch_self(provider, watch);
}
