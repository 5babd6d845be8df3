/* names.c - the names of services as they appear. The hub's loop only.
 *
 * Each name is told once: the names told so far are kept, since a provider that is asked anew tells
 * all of them again. Asking and freeing happen in a task, so that nothing is told before
 * fl_discovery_watch_names returned and the provider is not called from within a name that it just
 * gave, even when that one makes the owner close. */
#include "base/alloc.h"
#include "discovery/feed.h"
#include "discovery/hub.h"

struct told {
    uint16_t len;
    char name[];
};

/* What was told is never forgotten, so it lies behind one another. */
struct shelf {
    struct shelf *next; /* an older one, which is full */
    size_t used;
    char bytes[4096 - 32]; /* with what malloc adds, a page */
};

struct fl_names {
    struct fl_feed feed;
    struct fl_map told; /* name -> struct told */
    struct shelf *shelf;
    struct fl_names_events events;
    void *arg;
    struct fl_task task; /* opens the feed; once closed, frees */
    bool closed, synced;
    size_t ns_len;
    char ns[];
};

static struct fl_names *names_of(struct fl_feed *feed) {
    return FL_CONTAINER(feed, struct fl_names, feed);
}

static struct fl_str name_of(const void *told) {
    const struct told *t = told;
    return fl_str_n(t->name, t->len);
}

/* NULL: no memory, or too long a name. */
static struct shelf *shelf_with_room(struct fl_names *names, size_t size) {
    struct shelf *shelf = names->shelf;
    if (shelf && sizeof(shelf->bytes) - shelf->used >= size) return shelf;
    shelf = size <= sizeof(shelf->bytes) ? fl_alloc(sizeof(*shelf)) : NULL;
    if (!shelf) return NULL;
    shelf->next = names->shelf;
    shelf->used = 0;
    names->shelf = shelf;
    return shelf;
}

static int note_told(struct fl_names *names, struct fl_str service) {
    size_t size = (sizeof(struct told) + service.n + 1) / 2 * 2;
    struct shelf *shelf = shelf_with_room(names, size);
    if (!shelf) return FL_ENOMEM;
    struct told *told = (struct told *)(void *)(shelf->bytes + shelf->used);
    told->len = (uint16_t)service.n;
    if (service.n) memcpy(told->name, service.p, service.n);
    if (fl_map_set(&names->told, name_of(told), told, NULL) < 0) return FL_ENOMEM;
    shelf->used += size;
    return 0;
}

static int on_ask(struct fl_feed *feed, struct fl_error *err) {
    struct fl_names *names = names_of(feed);
    struct fl_provider *provider = feed->provider;
    return provider->ops->watch_names(provider, fl_str_n(names->ns, names->ns_len), feed, err);
}

static int on_trouble(struct fl_feed *feed, const struct fl_error *err) {
    struct fl_names *names = names_of(feed);
    if (!names->closed) names->events.on_trouble(names->arg, err);
    return 0;
}

static int on_name(struct fl_feed *feed, struct fl_str service) {
    struct fl_names *names = names_of(feed);
    struct fl_error err;
    if (names->closed || fl_map_get(&names->told, service)) return 0;
    if (fl_map_count(&names->told) >= FL_DISCOVERY_SERVICES_MAX) {
        fl_metric_add(names->feed.hub->metrics.full, 1);
        fl_fail(&err, FL_EFULL, "more than %d services", FL_DISCOVERY_SERVICES_MAX);
        return on_trouble(feed, &err);
    }
    if (note_told(names, service) < 0) {
        fl_metric_add(names->feed.hub->metrics.retries, 1);
        return FL_ENOMEM;
    }
    names->events.on_name(names->arg, service);
    return 0;
}

static void on_synced(struct fl_feed *feed) {
    struct fl_names *names = names_of(feed);
    if (names->closed || names->synced) return;
    names->synced = true;
    names->events.on_synced(names->arg);
}

static const struct fl_feed_sink names_sink = {
    .ask = on_ask,
    .name = on_name,
    .names_synced = on_synced,
    .trouble = on_trouble,
};

static void names_free(struct fl_names *names) {
    fl_feed_deinit(&names->feed);
    fl_map_deinit(&names->told);
    for (struct shelf *shelf = names->shelf, *next; shelf; shelf = next) {
        next = shelf->next;
        fl_free(shelf);
    }
    fl_free(names);
}

static void run(struct fl_task *task) {
    struct fl_names *names = FL_CONTAINER(task, struct fl_names, task);
    struct fl_discovery *hub = names->feed.hub;
    if (!names->closed) {
        fl_feed_open(&names->feed);
        return;
    }
    names_free(names);
    hub->loop_data.names_count--;
    fl_discovery_release(hub);
}

static int names_new(struct fl_discovery *hub, struct fl_provider *provider, struct fl_str ns,
                     struct fl_names **out) {
    struct fl_names *names = fl_calloc(1, sizeof(*names) + ns.n);
    if (!names) return FL_ENOMEM;
    if (ns.n) memcpy(names->ns, ns.p, ns.n);
    names->ns_len = ns.n;
    uint64_t seed;
    fl_io_random(hub->io, &seed, sizeof(seed));
    fl_map_init_keyed(&names->told, seed, name_of);
    fl_task_init(&names->task, run);
    fl_feed_init(&names->feed, hub, provider, &names_sink);
    if (fl_feed_reserve(&names->feed) < 0) {
        names_free(names);
        return FL_ENOMEM;
    }
    *out = names;
    return 0;
}

int fl_discovery_watch_names(struct fl_discovery *hub, const char *scheme, struct fl_str ns,
                             const struct fl_names_events *events, void *arg, struct fl_names **out,
                             struct fl_error *err) {
    struct fl_provider *provider = fl_discovery_provider(hub, fl_str_of(scheme));
    *out = NULL;
    if (!provider || !provider->ops->watch_names) {
        return fl_fail(err, FL_EUSAGE, "\"%s\" cannot list services", scheme);
    }
    if (names_new(hub, provider, ns, out) < 0) return fl_fail_nomem(err);
    (*out)->events = *events;
    (*out)->arg = arg;
    hub->loop_data.names_count++;
    fl_io_defer(hub->io, &(*out)->task);
    return 0;
}

void fl_names_close(struct fl_names *names) {
    if (!names) return;
    names->closed = true;
    fl_io_defer(names->feed.hub->io, &names->task);
}
