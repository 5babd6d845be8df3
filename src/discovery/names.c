/* names.c - the names of services as they appear. The hub's loop only.
 *
 * Each name is told once: the names told so far are remembered, since a provider that is asked anew
 * tells all of them again. Asking and freeing happen in a task, so that nothing is told before
 * fl_discovery_watch_names returned and the provider is not called from within a name that it just
 * gave, even when that one makes the owner close. */
#include "base/alloc.h"
#include "base/hash.h"
#include "discovery/feed.h"
#include "discovery/hub.h"

/* What was told, by keyed hashes of 64 bits; it is never forgotten. Of 100,000 names, which is the
 * bound, one is taken for another with a chance of 3 in 10,000,000,000. */
struct told {
    uint64_t *places; /* 0: empty */
    size_t count, cap;
    uint64_t seed;
};

struct fl_names {
    struct fl_feed feed;
    struct told told;
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

static uint64_t hash_of(const struct told *told, struct fl_str name) {
    uint64_t hash = fl_hash(name, told->seed);
    return hash ? hash : 1;
}

/* Where the hash stands, or belongs. */
static uint64_t *place_of(const struct told *told, uint64_t hash) {
    size_t i = hash & (told->cap - 1);
    while (told->places[i] && told->places[i] != hash) i = (i + 1) & (told->cap - 1);
    return &told->places[i];
}

static bool was_told(const struct told *told, struct fl_str name) {
    return told->cap && *place_of(told, hash_of(told, name));
}

static int told_grow(struct told *told) {
    struct told bigger = *told;
    bigger.cap = told->cap ? 2 * told->cap : 8;
    bigger.places = fl_calloc(bigger.cap, sizeof(*bigger.places));
    if (!bigger.places) return FL_ENOMEM;
    for (size_t i = 0; i < told->cap; i++)
        if (told->places[i]) *place_of(&bigger, told->places[i]) = told->places[i];
    fl_free(told->places);
    *told = bigger;
    return 0;
}

/* One that was not told before. */
static int note_told(struct told *told, struct fl_str name) {
    if (told->count >= told->cap / 4 * 3 && told_grow(told) < 0) return FL_ENOMEM;
    uint64_t hash = hash_of(told, name);
    *place_of(told, hash) = hash;
    told->count++;
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
    if (names->closed || was_told(&names->told, service)) return 0;
    if (names->told.count >= FL_DISCOVERY_SERVICES_MAX) {
        fl_metric_add(names->feed.hub->metrics.full, 1);
        fl_fail(&err, FL_EFULL, "more than %d services", FL_DISCOVERY_SERVICES_MAX);
        return on_trouble(feed, &err);
    }
    if (note_told(&names->told, service) < 0) {
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
    fl_free(names->told.places);
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
    fl_io_random(hub->io, &names->told.seed, sizeof(names->told.seed));
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
