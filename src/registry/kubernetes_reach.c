/* kubernetes_reach.c - which scope serves which service: the narrowest first.
 *
 * Each of the first 16 services of a namespace has a scope of its own: a watch of one Service and
 * one of its slices, so that we read nothing that nobody asked for (C23). Beyond them the namespace
 * is watched as a whole. That scope and the one of the cluster are also opened for whoever wants
 * the names of all services; the cluster's for nothing else. A service is served from the widest
 * scope that is open and permitted.
 *
 * Moving a service from one scope to another shows nobody a gap, nor an older state: it is attached
 * to the new scope quietly, and changes over when that one was read whole and its versions are not
 * behind the old one's; the old scope ends with its last service. One that is behind for BEHIND_MS
 * is left again, and the service stays where it is for RETRY_MS. Only what the old scope cannot
 * have anyway, since it is refused and was never read, is given up at once.
 *
 * A scope is refused while the server answers 403, or when a wide one was tried in vain for a
 * minute while there is no outage (W9). A namespace or the cluster that is refused is left for what
 * RBAC may permit, each service's own scope; it is asked for again after RETRY_MS, or as soon as it
 * answers where it stays open for those who want names. Who wants the names of the whole cluster is
 * given those of the default namespace meanwhile, with the trouble.
 *
 * Everything is decided in `settle`, a task: scopes only say that they have turned. */
#include "registry/kubernetes_reach.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"

#define KEY_MAX_BYTES 512 /* labels have at most 63 */

#define RETRY_MS  ((uint64_t)10 * 60 * 1000)
#define BEHIND_MS ((uint64_t)60 * 1000) /* how long a scope that was read is waited for */

/* A namespace, or the cluster. */
struct fl_reach {
    struct fl_reaches *reaches;
    struct fl_list due;
    struct fl_list watched;
    size_t count;          /* of them */
    bool moving;           /* a service is on its way to another scope, or has yet to start */
    struct fl_scope *wide; /* over all of it; NULL: not open */
    uint64_t retry_at_ms;  /* when to ask for it again; 0: it was not refused */
    size_t names;          /* who wants them */
    size_t ns_len;
    char ns[]; /* empty: the cluster */
};

/* A service that a feed asked for. */
struct watched {
    struct fl_list link; /* of its reach */
    struct fl_reach *reach;
    struct fl_service_watcher present;
    struct fl_service_watcher *next; /* that of the scope it moves to; NULL: not on its way */
    uint64_t behind_ms;              /* since when that is read and not level; 0: it is not */
    uint64_t stay_ms;                /* it was waited for in vain: no move before */
};

struct names {
    struct fl_list link;
    struct fl_reach *reach;
    struct fl_names_watcher main, substitute; /* the latter of the default namespace */
};

static struct fl_str reach_ns(const struct fl_reach *reach) {
    return fl_str_n(reach->ns, reach->ns_len);
}

static struct watched *watched_of(struct fl_list *link) {
    return FL_CONTAINER(link, struct watched, link);
}

/* --- reaches --- */

static struct fl_reach *reach_get(const struct fl_reaches *reaches, struct fl_str ns) {
    return ns.n ? fl_map_get(&reaches->namespaces, ns) : reaches->cluster;
}

static struct fl_reach *reach_need(struct fl_reaches *reaches, struct fl_str ns) {
    struct fl_reach *reach = reach_get(reaches, ns);
    if (reach) return reach;
    reach = fl_calloc(1, sizeof(*reach) + ns.n);
    if (!reach) return NULL;
    if (ns.n) memcpy(reach->ns, ns.p, ns.n);
    reach->ns_len = ns.n;
    reach->reaches = reaches;
    fl_list_init(&reach->due);
    fl_list_init(&reach->watched);
    if (!ns.n) {
        reaches->cluster = reach;
    } else if (fl_map_set(&reaches->namespaces, ns, reach, NULL) < 0) {
        fl_free(reach);
        return NULL;
    }
    return reach;
}

static void reach_leave(struct fl_reaches *reaches, struct fl_reach *reach) {
    if (reach->count || reach->wide || reach->names) return;
    fl_list_remove(&reach->due);
    if (reach->ns_len)
        fl_map_remove(&reaches->namespaces, reach_ns(reach));
    else
        reaches->cluster = NULL;
    fl_free(reach);
}

static void make_due(struct fl_reaches *reaches, struct fl_reach *reach) {
    if (fl_list_empty(&reach->due)) fl_list_push(&reaches->due, &reach->due);
    fl_io_defer(reaches->io, &reaches->settle);
}

static void make_all_due(struct fl_reaches *reaches) {
    size_t cursor = 0;
    struct fl_str ns;
    void *reach;
    if (reaches->cluster) make_due(reaches, reaches->cluster);
    while (fl_map_next(&reaches->namespaces, &cursor, &ns, &reach)) make_due(reaches, reach);
}

/* --- scopes --- */

static void on_slices(void *arg, bool there) { ((struct fl_reaches *)arg)->no_slices = !there; }

static void log_refused(struct fl_reaches *reaches, const struct fl_reach *reach) {
    FL_LOG(reaches->io, FL_LOG_WARN, "cannot be watched as a whole, narrower watches are used",
           FL_LOG_STR("namespace", reach->ns_len ? reach_ns(reach) : FL_STR("*")),
           FL_LOG_INT("services", reach->count), FL_LOG_ERROR_OF(fl_scope_trouble(reach->wide)));
}

/* A wide scope is read or refused now. */
static void note_turn(struct fl_reaches *reaches, struct fl_reach *reach) {
    if (fl_scope_is_refused(reach->wide)) {
        uint64_t jitter_ms = fl_random_below(&reaches->io->jitter, RETRY_MS / 10);
        if (!reach->retry_at_ms) log_refused(reaches, reach);
        reach->retry_at_ms = fl_io_now_ms(reaches->io) + RETRY_MS + jitter_ms;
        reaches->retry_at_ms = FL_MIN(reaches->retry_at_ms, reach->retry_at_ms);
    } else if (fl_scope_synced(reach->wide)) {
        reach->retry_at_ms = 0;
        FL_LOG(reaches->io, FL_LOG_INFO, "watched as a whole",
               FL_LOG_STR("namespace", reach->ns_len ? reach_ns(reach) : FL_STR("*")),
               FL_LOG_INT("services", reach->count));
    }
}

static void on_turn(void *arg, struct fl_scope *scope) {
    struct fl_reaches *reaches = arg;
    struct fl_reach *reach = reach_get(reaches, fl_scope_ns(scope));
    if (reach && reach->wide == scope) note_turn(reaches, reach);
    if (!fl_scope_ns(scope).n)
        make_all_due(reaches);
    else if (reach)
        make_due(reaches, reach);
}

static void on_scope_closed(void *arg, struct fl_scope *scope) {
    struct fl_reaches *reaches = arg;
    FL_UNUSED(scope);
    if (--reaches->scope_count == 0) reaches->on_closed(reaches->arg);
}

static const struct fl_scope_events scope_events = {
    .on_slices = on_slices,
    .on_turn = on_turn,
    .on_closed = on_scope_closed,
};

static void count_scope(struct fl_reaches *reaches, const struct fl_scope *scope, int n) {
    int covers = fl_scope_is_narrow(scope) ? FL_COVERS_SERVICE
                 : fl_scope_ns(scope).n    ? FL_COVERS_NAMESPACE
                                           : FL_COVERS_CLUSTER;
    fl_metric_add(reaches->open[covers], n);
}

static int scope_open(struct fl_reaches *reaches, struct fl_str ns, struct fl_str name,
                      struct fl_scope **out, struct fl_error *err) {
    const struct fl_scope_options options = {
        .client = reaches->client, .ns = ns, .name = name, .endpoints = reaches->no_slices};
    int rc = fl_scope_new(reaches->io, &options, &scope_events, reaches, out, err);
    if (rc < 0) return rc;
    fl_list_push(&reaches->scopes, fl_scope_link(*out));
    reaches->scope_count++;
    count_scope(reaches, *out, 1);
    return FL_OK;
}

/* Something was detached from it. */
static void scope_leave(struct fl_reaches *reaches, struct fl_scope *scope) {
    if (!fl_scope_unused(scope)) return;
    struct fl_reach *reach = reach_get(reaches, fl_scope_ns(scope));
    if (reach && reach->wide == scope) reach->wide = NULL;
    count_scope(reaches, scope, -1);
    fl_list_remove(fl_scope_link(scope));
    fl_scope_close(scope, &reaches->orphans);
    if (reach) reach_leave(reaches, reach);
}

static int need_wide(struct fl_reaches *reaches, struct fl_reach *reach, struct fl_error *err) {
    if (reach->wide) return FL_OK;
    int rc = scope_open(reaches, reach_ns(reach), FL_STR_NONE, &reach->wide, err);
    if (rc == FL_OK) make_due(reaches, reach);
    return rc;
}

/* --- which scope a service is to have --- */

static struct fl_scope *permitted(const struct fl_reach *reach) {
    return reach && reach->wide && !fl_scope_is_refused(reach->wide) ? reach->wide : NULL;
}

/* Open it for the number of its services? */
static bool is_worth_it(const struct fl_reaches *reaches, const struct fl_reach *reach) {
    return !reach->wide && reach->count > FL_REACH_NARROW_MAX &&
           fl_io_now_ms(reaches->io) >= reach->retry_at_ms;
}

/* NULL: one of its own. */
static struct fl_scope *wide_for(struct fl_reaches *reaches, struct fl_reach *reach) {
    struct fl_scope *cluster = permitted(reaches->cluster);
    if (cluster) return cluster;
    /* Without memory for it the narrow one will do. */
    if (is_worth_it(reaches, reach) && need_wide(reaches, reach, NULL) < 0) return NULL;
    return permitted(reach);
}

static bool suits(const struct fl_service_watcher *watcher, const struct fl_scope *wide) {
    const struct fl_scope *scope = fl_scope_of_watcher(watcher);
    return scope && (wide ? scope == wide : fl_scope_is_narrow(scope));
}

/* Attaches a watcher to `wide`, or with NULL to a scope of the service's own. `key`: "ns/name". */
static int attach(struct fl_reach *reach, struct fl_str key, struct fl_service_watcher *watcher,
                  struct fl_scope *wide, struct fl_error *err) {
    struct fl_scope *scope = wide;
    int rc = FL_OK;
    if (!scope)
        rc = scope_open(reach->reaches, reach_ns(reach), fl_str_from(key, reach->ns_len + 1),
                        &scope, err);
    if (rc < 0) return rc;
    rc = fl_scope_attach(scope, key, watcher, err);
    if (rc < 0) scope_leave(reach->reaches, scope);
    return rc;
}

static void detach(struct fl_reach *reach, struct fl_service_watcher *watcher) {
    struct fl_scope *scope = fl_scope_of_watcher(watcher);
    if (!scope) return;
    fl_scope_detach(watcher);
    scope_leave(reach->reaches, scope);
}

/* --- moving --- */

static bool may_change_over(const struct watched *watched) {
    const struct fl_scope *from = fl_scope_of_watcher(&watched->present);
    const struct fl_scope *to = fl_scope_of_watcher(watched->next);
    if (fl_scope_is_refused(from) && !fl_scope_synced(from)) return true;
    return fl_scope_synced(to) && fl_scope_is_level(to, from);
}

static void leave_next(struct watched *watched) {
    watched->behind_ms = 0;
    if (!watched->next) return;
    detach(watched->reach, watched->next);
    fl_free(watched->next);
    watched->next = NULL;
}

static void change_over(struct watched *watched) {
    fl_scope_copy_held(watched->next, &watched->present);
    detach(watched->reach, &watched->present);
    fl_scope_hand_over(watched->next, &watched->present);
    leave_next(watched);
    fl_scope_speak(&watched->present);
}

/* FL_ENOMEM: it has no next watcher. */
static int go_to(struct watched *watched, struct fl_scope *wide) {
    leave_next(watched);
    struct fl_service_watcher *next = watched->next = FL_NEW(struct fl_service_watcher);
    if (!next) return FL_ENOMEM;
    next->feed = watched->present.feed;
    next->quiet = true;
    struct fl_str key = fl_indexed_service_key(watched->present.service);
    int rc = attach(watched->reach, key, next, wide, NULL);
    if (rc < 0) leave_next(watched);
    return rc;
}

/* The new scope was read, and lags behind what was shown already: by a server that gets no news, or
 * tells none. What is watched stays so. */
static void give_up_if_late(struct watched *watched) {
    struct fl_io *io = watched->reach->reaches->io;
    uint64_t now_ms = fl_io_now_ms(io);
    if (!watched->next || !fl_scope_synced(fl_scope_of_watcher(watched->next))) {
        watched->behind_ms = 0;
    } else if (!watched->behind_ms) {
        watched->behind_ms = now_ms;
    } else if (now_ms - watched->behind_ms >= BEHIND_MS) {
        FL_LOG(io, FL_LOG_WARN, "wider watch stays behind, the present one is kept",
               FL_LOG_STR("service", fl_indexed_service_key(watched->present.service)),
               FL_LOG_CAUSE(FL_EAHEAD));
        watched->stay_ms = now_ms + RETRY_MS;
        leave_next(watched);
    }
}

static bool stays(const struct watched *watched) {
    const struct fl_scope *scope = fl_scope_of_watcher(&watched->present);
    return fl_io_now_ms(watched->reach->reaches->io) < watched->stay_ms &&
           !fl_scope_is_refused(scope);
}

static void settle_service(struct watched *watched) {
    struct fl_reaches *reaches = watched->reach->reaches;
    if (stays(watched)) {
        watched->reach->moving = true;
        return;
    }
    struct fl_scope *wide = wide_for(reaches, watched->reach);
    if (suits(&watched->present, wide)) {
        leave_next(watched);
        return;
    }
    bool started = (watched->next && suits(watched->next, wide)) || go_to(watched, wide) == FL_OK;
    if (started && may_change_over(watched)) {
        change_over(watched);
        return;
    }
    watched->reach->moving = true; /* not yet, or no memory: the tick tries again */
    give_up_if_late(watched);
}

/* The substitute serves while the cluster is refused. */
static void settle_names(struct fl_reaches *reaches, struct names *names) {
    struct fl_scope *wide = names->reach->wide;
    if (names->reach->ns_len || !wide) return;
    if (!fl_scope_is_refused(wide) && names->substitute.scope) {
        struct fl_scope *scope = names->substitute.scope;
        fl_scope_detach_names(&names->substitute);
        scope_leave(reaches, scope);
    } else if (fl_scope_is_refused(wide) && !names->substitute.scope) {
        struct fl_reach *reach = reach_need(reaches, fl_str_of(reaches->default_ns));
        if (!reach) return;
        if (need_wide(reaches, reach, NULL) < 0)
            reach_leave(reaches, reach);
        else
            fl_scope_attach_names(reach->wide, &names->substitute);
    }
}

static void settle(struct fl_task *task) {
    struct fl_reaches *reaches = FL_CONTAINER(task, struct fl_reaches, settle);
    while (!fl_list_empty(&reaches->due)) {
        struct fl_reach *reach = FL_CONTAINER(reaches->due.next, struct fl_reach, due);
        fl_list_remove(&reach->due);
        reach->moving = false;
        FL_LIST_EACH (&reach->watched, link, next) settle_service(watched_of(link));
    }
    FL_LIST_EACH (&reaches->names, link, next)
        settle_names(reaches, FL_CONTAINER(link, struct names, link));
}

static void make_moving_due(struct fl_reaches *reaches) {
    size_t cursor = 0;
    struct fl_str ns;
    void *reach;
    while (fl_map_next(&reaches->namespaces, &cursor, &ns, &reach))
        if (((struct fl_reach *)reach)->moving) make_due(reaches, reach);
}

/* What is due now is not waited for; a reach that was refused again since is due later. */
static uint64_t next_retry_ms(const struct fl_reaches *reaches) {
    uint64_t now = fl_io_now_ms(reaches->io), next = UINT64_MAX;
    size_t cursor = 0;
    struct fl_str ns;
    void *item;
    if (reaches->cluster && reaches->cluster->retry_at_ms > now)
        next = reaches->cluster->retry_at_ms;
    while (fl_map_next(&reaches->namespaces, &cursor, &ns, &item)) {
        const struct fl_reach *reach = item;
        if (reach->retry_at_ms > now) next = FL_MIN(next, reach->retry_at_ms);
    }
    return next;
}

void fl_reaches_tick(struct fl_reaches *reaches) {
    FL_LIST_EACH (&reaches->scopes, link, next) fl_scope_tick(fl_scope_of_link(link));
    fl_freshness_tell_orphans(&reaches->orphans, fl_io_now_ms(reaches->io));
    make_moving_due(reaches);
    if (fl_io_now_ms(reaches->io) < reaches->retry_at_ms) return;
    reaches->retry_at_ms = next_retry_ms(reaches);
    make_all_due(reaches);
}

/* --- feeds --- */

static struct watched *watched_new(struct fl_reach *reach, struct fl_feed *feed) {
    struct watched *watched = FL_NEW(struct watched);
    if (!watched) return NULL;
    watched->reach = reach;
    watched->present.feed = feed;
    fl_list_init(&watched->link);
    fl_list_push(&reach->watched, &watched->link);
    if (++reach->count == FL_REACH_NARROW_MAX + 1) make_due(reach->reaches, reach);
    return watched;
}

static void watched_free(struct watched *watched) {
    struct fl_reach *reach = watched->reach;
    leave_next(watched);
    detach(reach, &watched->present);
    fl_list_remove(&watched->link);
    fl_free(watched);
    reach->count--;
    reach_leave(reach->reaches, reach);
}

/* Attaches it for the first time. */
static int begin(struct watched *watched, struct fl_str ns, struct fl_str name,
                 struct fl_error *err) {
    struct fl_reach *reach = watched->reach;
    char text[KEY_MAX_BYTES];
    int n = snprintf(text, sizeof(text), "%.*s/%.*s", FL_STR_ARG(ns), FL_STR_ARG(name));
    FL_ASSERT(n > 0 && (size_t)n < sizeof(text)); /* both were checked to be labels */
    struct fl_str key = fl_str_n(text, (size_t)n);
    return attach(reach, key, &watched->present, wide_for(reach->reaches, reach), err);
}

int fl_reaches_watch(struct fl_reaches *reaches, struct fl_str ns, struct fl_str name,
                     struct fl_feed *feed, struct fl_error *err) {
    struct fl_reach *reach = reach_need(reaches, ns);
    fl_feed_set_data(feed, NULL);
    if (!reach) return fl_fail_nomem(err);
    struct watched *watched = watched_new(reach, feed);
    if (!watched) {
        reach_leave(reaches, reach);
        return fl_fail_nomem(err);
    }
    int rc = begin(watched, ns, name, err);
    if (rc < 0) {
        watched_free(watched);
        return rc;
    }
    fl_feed_set_data(feed, watched);
    return FL_OK;
}

int fl_reaches_watch_names(struct fl_reaches *reaches, struct fl_str ns, struct fl_feed *feed,
                           struct fl_error *err) {
    struct fl_reach *reach = reach_need(reaches, ns);
    struct names *names = FL_NEW(struct names);
    fl_feed_set_data(feed, NULL);
    if (!reach || !names || need_wide(reaches, reach, err) < 0) {
        if (reach) reach_leave(reaches, reach);
        fl_free(names);
        return fl_fail_nomem(err);
    }
    names->reach = reach;
    reach->names++;
    names->main.feed = names->substitute.feed = feed;
    names->substitute.quiet = true;
    fl_list_push(&reaches->names, &names->link);
    fl_scope_attach_names(reach->wide, &names->main);
    if (ns.n == 0) make_all_due(reaches); /* services in it move to it */
    return FL_OK;
}

static void names_free(struct fl_reaches *reaches, struct names *names) {
    struct fl_names_watcher *watchers[] = {&names->substitute, &names->main};
    fl_list_remove(&names->link);
    names->reach->names--;
    for (size_t i = 0; i < FL_COUNT(watchers); i++) {
        struct fl_scope *scope = watchers[i]->scope;
        if (!scope) continue;
        fl_scope_detach_names(watchers[i]);
        scope_leave(reaches, scope);
    }
    fl_free(names);
}

void fl_reaches_hurry(struct fl_feed *feed) {
    const struct watched *watched = fl_feed_data(feed);
    struct fl_scope *scope = watched ? fl_scope_of_watcher(&watched->present) : NULL;
    if (scope) fl_scope_hurry(scope);
}

void fl_reaches_unwatch(struct fl_reaches *reaches, struct fl_feed *feed) {
    struct watched *watched = fl_feed_data(feed);
    if (watched) {
        fl_feed_set_data(feed, NULL);
        watched_free(watched);
        return;
    }
    FL_LIST_EACH (&reaches->names, link, next) {
        struct names *names = FL_CONTAINER(link, struct names, link);
        if (names->main.feed == feed) names_free(reaches, names);
    }
}

bool fl_reaches_want_tick(const struct fl_reaches *reaches) {
    return fl_reaches_in_use(reaches) || !fl_list_empty(&reaches->orphans);
}

bool fl_reaches_in_use(const struct fl_reaches *reaches) {
    return !fl_list_empty(&reaches->scopes);
}

/* --- life --- */

void fl_reaches_init(struct fl_reaches *reaches, struct fl_io *io, void (*on_closed)(void *arg),
                     void *arg) {
    *reaches = (struct fl_reaches){
        .io = io, .retry_at_ms = UINT64_MAX, .on_closed = on_closed, .arg = arg};
    fl_map_init(&reaches->namespaces, 0);
    fl_list_init(&reaches->due);
    fl_list_init(&reaches->names);
    fl_list_init(&reaches->scopes);
    fl_list_init(&reaches->orphans);
    fl_task_init(&reaches->settle, settle);
}

void fl_reaches_open(struct fl_reaches *reaches, struct fl_kube_client *client,
                     const char *default_ns) {
    static const char *const labels[FL_COVERS] = {
        [FL_COVERS_SERVICE] = "covers=service",
        [FL_COVERS_NAMESPACE] = "covers=namespace",
        [FL_COVERS_CLUSTER] = "covers=cluster",
    };
    reaches->client = client;
    reaches->default_ns = default_ns;
    fl_map_init(&reaches->namespaces, fl_random_u64(&reaches->io->jitter));
    for (int i = 0; i < FL_COVERS; i++)
        reaches->open[i] = fl_metrics_get(
            reaches->io->metrics, FL_METRIC_GAUGE, "fairlead_kubernetes_scopes",
            "Pairs of watches, of Services and their slices, that are open.", labels[i]);
}

void fl_reaches_deinit(struct fl_reaches *reaches) {
    FL_ASSERT(!reaches->cluster && fl_map_count(&reaches->namespaces) == 0);
    FL_ASSERT(fl_list_empty(&reaches->scopes) && reaches->scope_count == 0);
    fl_freshness_forget_orphans(&reaches->orphans);
    fl_map_deinit(&reaches->namespaces);
}
