/* kubernetes_scope.c - see kubernetes_scope.h.
 *
 * Changes of both stores go into the index, which queues the services that they touch; at the end
 * of the turn (flush) each is published once. Nothing is published before both collections have
 * been read whole: until then a service is unknown, not absent. Feeds never call back, so nothing
 * detaches while they are told. */
#include "registry/kubernetes_scope.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/backoff.h"
#include "base/log.h"
#include "kube/listwatch.h"
#include "registry/kubernetes_hold.h"

#define SILENCE_MS ((uint64_t)45000) /* stale for so long: the server is not only quiet */
#define PATIENCE   60                /* ticks: how long a wide scope is waited for in trouble */

enum part_kind { SERVICES, SLICES, PARTS };

/* One of the two collections. */
struct part {
    struct fl_listwatch *lw;
    struct fl_error trouble; /* code FL_OK: none */
};

struct fl_scope {
    struct fl_io *io;
    struct fl_kube_client *client;
    const struct fl_scope_events *events;
    void *arg;
    struct fl_list link;
    char *ns, *name;
    char *label; /* for log lines: "ns/name" of the one service, else empty */
    struct part parts[PARTS];
    size_t listwatches; /* open ones and closing ones */
    bool endpoints, fallback_due, closing;
    struct fl_listwatch *probe;    /* of slices, beside Endpoints; NULL: none */
    uint64_t probe_at_ms;          /* the next one */
    struct fl_backoff probe_pause; /* between them */
    struct fl_service_index index;
    size_t watchers;              /* of services */
    struct fl_list names;         /* who wants to know them */
    bool was_synced, was_refused; /* as its owner was told */
    bool was_stale;               /* as the log was told */
    unsigned tried_ticks;         /* in trouble without an outage before it was read */
    bool starved;                 /* memory was short: everything is due again at the next tick */
    struct fl_freshness *freshness;
    uint64_t fresh_until_ms; /* as of the last proof */
    struct fl_task flush;
};

static bool is_synced(const struct fl_scope *scope, enum part_kind kind) {
    return scope->parts[kind].lw && fl_listwatch_synced(scope->parts[kind].lw);
}

bool fl_scope_synced(const struct fl_scope *scope) {
    return is_synced(scope, SERVICES) && is_synced(scope, SLICES);
}

bool fl_scope_is_refused(const struct fl_scope *scope) {
    return scope->tried_ticks > PATIENCE || scope->parts[SERVICES].trouble.code == FL_EFORBIDDEN ||
           scope->parts[SLICES].trouble.code == FL_EFORBIDDEN;
}

static void want_flush(struct fl_scope *scope) { fl_io_defer(scope->io, &scope->flush); }

static struct fl_names_watcher *names_watcher_of(struct fl_list *link) {
    return FL_CONTAINER(link, struct fl_names_watcher, link);
}

/* --- what the collections tell --- */

static int on_service(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct fl_scope *scope = arg;
    want_flush(scope);
    return fl_service_index_record(&scope->index, old, now);
}

/* Endpoints that exist and that nobody will see. */
static void log_left_out(struct fl_scope *scope, const struct fl_kube_entry *old,
                         const struct fl_kube_entry *now) {
    if (now->truncated && !(old && old->truncated))
        FL_LOG(scope->io, FL_LOG_WARN, "endpoints are cut at 1000 addresses by the server",
               FL_LOG_STR("service", fl_kube_entry_key(now)));
    if (now->skipped > (old ? old->skipped : 0))
        FL_LOG(scope->io, FL_LOG_WARN, "endpoints without a usable address are left out",
               FL_LOG_STR("slice", fl_kube_entry_key(now)), FL_LOG_INT("count", now->skipped));
}

static int on_slice(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct fl_scope *scope = arg;
    want_flush(scope);
    if (now) log_left_out(scope, old, now);
    int rc = fl_service_index_slice(&scope->index, old, now);
    if (rc == FL_OK && fl_scope_synced(scope))
        fl_hold_slice(&scope->index, old, now, fl_io_now_ms(scope->io));
    return rc;
}

/* A 404 may say that the server is too old for slices, but not once it has listed them: then it is
 * a server in trouble, and what was known is kept. */
static bool may_be_old(const struct fl_scope *scope) {
    return !scope->endpoints && !is_synced(scope, SLICES) &&
           scope->parts[SLICES].trouble.code == FL_ENOT_FOUND;
}

/* It is an old server only if it is known to be an API server at all: once Services were read. */
static void consider_fallback(struct fl_scope *scope) {
    if (!may_be_old(scope) || !is_synced(scope, SERVICES)) return;
    scope->fallback_due = true;
    want_flush(scope);
}

static void on_synced(void *arg) {
    struct fl_scope *scope = arg;
    consider_fallback(scope);
    if (fl_scope_synced(scope)) fl_service_index_mark_all(&scope->index, FL_DUE_PUBLISH);
    want_flush(scope);
}

static void trouble(struct fl_scope *scope, enum part_kind kind, const struct fl_error *why) {
    scope->parts[kind].trouble = *why;
    fl_service_index_mark_all(&scope->index, FL_DUE_TROUBLE);
    FL_LIST_EACH (&scope->names, link, next) names_watcher_of(link)->trouble = true;
    consider_fallback(scope);
    want_flush(scope);
}

static void on_services_trouble(void *arg, const struct fl_error *why) {
    trouble(arg, SERVICES, why);
}

static void on_slices_trouble(void *arg, const struct fl_error *why) { trouble(arg, SLICES, why); }

static const struct fl_listwatch_events part_events[PARTS] = {
    [SERVICES] = {.on_change = on_service,
                  .on_synced = on_synced,
                  .on_trouble = on_services_trouble},
    [SLICES] = {.on_change = on_slice, .on_synced = on_synced, .on_trouble = on_slices_trouble},
};

/* --- opening and closing them --- */

static int collection_open(struct fl_scope *scope, enum fl_k8s_kind kind,
                           const struct fl_listwatch_events *events, struct fl_listwatch **out,
                           struct fl_error *err) {
    char selector[320];
    struct fl_listwatch_options options = {
        .client = scope->client,
        .kind = kind,
        .ns = fl_str_of(scope->ns),
        .service = fl_str_of(scope->label),
    };
    bool by_label = options.kind == FL_K8S_ENDPOINTSLICE;
    snprintf(selector, sizeof(selector), "%s=%s",
             by_label ? "kubernetes.io/service-name" : "metadata.name", scope->name);
    if (scope->name[0] && by_label) options.label_selector = fl_str_of(selector);
    if (scope->name[0] && !by_label) options.field_selector = fl_str_of(selector);
    int rc = fl_listwatch_new(scope->io, &options, events, scope, out, err);
    if (rc == FL_OK) scope->listwatches++;
    return rc;
}

static int part_open(struct fl_scope *scope, enum part_kind kind, struct fl_error *err) {
    enum fl_k8s_kind what = kind == SERVICES   ? FL_K8S_SERVICE
                            : scope->endpoints ? FL_K8S_ENDPOINTS
                                               : FL_K8S_ENDPOINTSLICE;
    return collection_open(scope, what, &part_events[kind], &scope->parts[kind].lw, err);
}

static void on_part_closed(void *arg) {
    struct fl_scope *scope = arg;
    scope->listwatches--;
    want_flush(scope);
}

static void part_close(struct fl_scope *scope, enum part_kind kind) {
    struct part *part = &scope->parts[kind];
    if (part->lw) fl_listwatch_close(part->lw, on_part_closed, scope);
    part->lw = NULL;
    part->trouble.code = FL_OK;
}

/* --- slices that are not there, or are there again --- */

/* A 404 may be a stray one, or the server be replaced: asked again soon first, then ever later. */
static const struct fl_backoff_policy probe_policy = {
    .min_ms = 60000, .max_ms = 3600000, .factor_percent = 200, .jitter_percent = 20};

static void probe_later(struct fl_scope *scope) {
    uint64_t now_ms = fl_io_now_ms(scope->io);
    scope->probe_at_ms =
        now_ms + fl_backoff_failure(&scope->probe_pause, now_ms, &scope->io->jitter);
}

static void probe_close(struct fl_scope *scope) {
    if (scope->probe) fl_listwatch_close(scope->probe, on_part_closed, scope);
    scope->probe = NULL;
}

/* What a probe finds is looked at when it is complete; later it is one of the parts. */
static int on_probe_change(void *arg, const struct fl_kube_entry *old,
                           const struct fl_kube_entry *now) {
    return ((struct fl_scope *)arg)->probe ? FL_OK : on_slice(arg, old, now);
}

static void on_probe_synced(void *arg) {
    struct fl_scope *scope = arg;
    if (scope->probe)
        want_flush(scope);
    else
        on_synced(scope);
}

static void on_probe_trouble(void *arg, const struct fl_error *why) {
    struct fl_scope *scope = arg;
    if (!scope->probe) {
        on_slices_trouble(scope, why);
    } else if (why->code != FL_OK) {
        probe_close(scope);
        probe_later(scope);
    }
}

static const struct fl_listwatch_events probe_events = {
    .on_change = on_probe_change, .on_synced = on_probe_synced, .on_trouble = on_probe_trouble};

static void probe(struct fl_scope *scope) {
    if (!scope->endpoints || scope->probe || fl_io_now_ms(scope->io) < scope->probe_at_ms) return;
    if (collection_open(scope, FL_K8S_ENDPOINTSLICE, &probe_events, &scope->probe, NULL) < 0)
        probe_later(scope);
}

/* Everything of a store goes into the index, or out of it. What is in it has a service, which is
 * found without memory. FL_ENOMEM: what comes before the same entry in both cases is done. */
static int index_all(struct fl_scope *scope, const struct fl_listwatch *lw, bool into) {
    const struct fl_kube_entry *entry;
    size_t cursor = 0;
    int rc = FL_OK;
    while (rc == FL_OK && (entry = fl_kube_store_next(fl_listwatch_store(lw), &cursor)))
        rc = fl_service_index_slice(&scope->index, into ? NULL : entry, into ? entry : NULL);
    return rc;
}

/* Slices take the place of Endpoints, in one turn, once they know all that those do. */
static void return_to_slices(struct fl_scope *scope) {
    struct fl_listwatch *slices = scope->probe, *endpoints = scope->parts[SLICES].lw;
    if (!slices || !fl_listwatch_synced(slices)) return;
    if (endpoints && fl_listwatch_version(slices) < fl_listwatch_version(endpoints)) return;
    if (index_all(scope, slices, true) < 0) {
        (void)!index_all(scope, slices, false);
        probe_close(scope);
        probe_later(scope);
        return;
    }
    if (endpoints) (void)!index_all(scope, endpoints, false);
    part_close(scope, SLICES);
    scope->parts[SLICES].lw = slices;
    scope->probe = NULL;
    scope->endpoints = false;
    trouble(scope, SLICES, &(struct fl_error){.code = FL_OK});
    FL_LOG(scope->io, FL_LOG_INFO, "server has EndpointSlices, Endpoints are read no more",
           FL_LOG_TEXT_OF("service", scope->label));
    scope->events->on_slices(scope->arg, true);
}

static void fall_back(struct fl_scope *scope) {
    scope->fallback_due = false;
    scope->endpoints = true;
    FL_LOG(scope->io, FL_LOG_WARN, "server has no EndpointSlices, Endpoints are read instead",
           FL_LOG_TEXT_OF("service", scope->label));
    part_close(scope, SLICES);
    fl_service_index_forget_slices(&scope->index);
    probe_later(scope);
    scope->events->on_slices(scope->arg, false);
}

/* --- telling the feeds --- */

static bool is_told(const struct fl_scope *scope, enum part_kind kind) {
    if (kind == SLICES && may_be_old(scope)) return false; /* it may yet be an old server */
    return scope->parts[kind].trouble.code != FL_OK;
}

const struct fl_error *fl_scope_trouble(const struct fl_scope *scope) {
    static const struct fl_error none = {.code = FL_OK};
    for (int i = 0; i < PARTS; i++)
        if (is_told(scope, (enum part_kind)i)) return &scope->parts[i].trouble;
    return &none;
}

/* NULL: no memory. */
static struct fl_set_port *ports_of(const struct fl_kube_entry *record) {
    struct fl_kube_port kept[FL_K8S_SERVICE_PORTS_MAX];
    size_t count = record ? record->port_count : 0;
    struct fl_set_port *ports = fl_calloc(count + 1, sizeof(*ports));
    if (!ports || !record) return ports;
    fl_kube_entry_ports(record, kept);
    for (size_t i = 0; i < count; i++)
        ports[i] = (struct fl_set_port){
            .name = kept[i].name, .number = kept[i].number, .protocol = kept[i].protocol};
    return ports;
}

static size_t block_count(const struct fl_indexed_service *service) {
    size_t count = 0;
    for (const struct fl_held *held = service->held; held; held = held->next) count++;
    for (size_t i = 0; i < service->slice_count; i++)
        count += fl_indexed_service_slices(service)[i]->block_count;
    return count;
}

static void fill_blocks(const struct fl_indexed_service *service, struct fl_block **blocks) {
    for (size_t i = 0; i < service->slice_count; i++) {
        const struct fl_kube_entry *slice = fl_indexed_service_slices(service)[i];
        for (size_t j = 0; j < slice->block_count; j++) *blocks++ = fl_kube_entry_blocks(slice)[j];
    }
    for (const struct fl_held *held = service->held; held; held = held->next)
        *blocks++ = held->block;
}

static bool is_truncated(const struct fl_indexed_service *service) {
    for (size_t i = 0; i < service->slice_count; i++)
        if (fl_indexed_service_slices(service)[i]->truncated) return true;
    return false;
}

static int publish(struct fl_scope *scope, const struct fl_indexed_service *service,
                   struct fl_feed *feed) {
    const struct fl_kube_entry *record = service->record;
    struct fl_set_spec spec = {
        .service = fl_indexed_service_key(service),
        .state = record || service->slice_count ? FL_SET_SOME : FL_SET_ABSENT,
        .block_count = block_count(service),
        .port_count = record ? record->port_count : 0,
        .external_name = record ? fl_kube_entry_external_name(record) : FL_STR_NONE,
        .freshness = scope->freshness,
        .truncated = is_truncated(service),
    };
    struct fl_block **blocks = fl_calloc(spec.block_count + 1, sizeof(struct fl_block *));
    struct fl_set_port *ports = ports_of(record);
    bool ok = blocks && ports;
    if (ok) {
        fill_blocks(service, blocks);
        spec.blocks = blocks;
        spec.ports = ports;
        fl_feed_publish(feed, &spec);
    }
    fl_free(blocks);
    fl_free(ports);
    return ok ? FL_OK : FL_ENOMEM;
}

static void tell_name(struct fl_scope *scope, struct fl_indexed_service *service) {
    if (!service->record) {
        service->named = false;
    } else if (!service->named && !fl_list_empty(&scope->names)) {
        service->named = true;
        FL_LIST_EACH (&scope->names, link, next)
            fl_feed_name(names_watcher_of(link)->feed, fl_indexed_service_key(service));
    }
}

/* Its watchers leave one that never gave anything and is refused, for narrower ones; they need not
 * hear of it. */
static bool is_left(const struct fl_scope *scope) {
    return !fl_scope_is_narrow(scope) && fl_scope_is_refused(scope) && !fl_scope_synced(scope);
}

/* Publishing ends a trouble, so a trouble that lasts is told again after it. */
static void tell_watcher(struct fl_scope *scope, struct fl_service_watcher *watcher) {
    const struct fl_error *why = fl_scope_trouble(scope);
    if (watcher->quiet || is_left(scope)) return;
    if (watcher->publish && fl_scope_synced(scope)) {
        watcher->publish = false;
        watcher->trouble |= why->code != FL_OK;
        if (publish(scope, watcher->service, watcher->feed) < 0) scope->starved = true;
    }
    if (watcher->trouble) fl_feed_trouble(watcher->feed, why);
    watcher->trouble = false;
}

static void tell(struct fl_scope *scope, struct fl_indexed_service *service) {
    for (struct fl_service_watcher *watcher = service->watchers; watcher; watcher = watcher->next)
        tell_watcher(scope, watcher);
    tell_name(scope, service);
}

static void tell_names(struct fl_scope *scope) {
    FL_LIST_EACH (&scope->names, link, next) {
        struct fl_names_watcher *names = names_watcher_of(link);
        if (names->quiet) continue;
        if (names->trouble) fl_feed_trouble(names->feed, fl_scope_trouble(scope));
        names->trouble = false;
        if (names->synced || !is_synced(scope, SERVICES)) continue;
        names->synced = true;
        fl_feed_names_synced(names->feed);
    }
}

/* The owner decides anew what is served from where. */
static void tell_owner(struct fl_scope *scope) {
    bool synced = fl_scope_synced(scope), refused = fl_scope_is_refused(scope);
    if (synced == scope->was_synced && refused == scope->was_refused) return;
    scope->was_synced = synced;
    scope->was_refused = refused;
    scope->events->on_turn(scope->arg, scope);
}

static void scope_free(struct fl_scope *scope) {
    if (!scope) return;
    fl_service_index_deinit(&scope->index);
    fl_freshness_unref(scope->freshness);
    fl_free(scope->ns);
    fl_free(scope->name);
    fl_free(scope->label);
    fl_free(scope);
}

static void finish(struct fl_scope *scope) {
    if (scope->listwatches) return;
    scope->events->on_closed(scope->arg, scope);
    scope_free(scope);
}

/* As old as the older of the two collections. One that has yet to be opened proves nothing new. */
static void update_freshness(struct fl_scope *scope) {
    uint64_t now_ms = fl_io_now_ms(scope->io);
    int64_t proof_wall_ms = fl_freshness_proof_wall_ms(scope->freshness);
    const struct fl_listwatch *services = scope->parts[SERVICES].lw,
                              *slices = scope->parts[SLICES].lw;
    if (services && slices) {
        uint64_t proof_ms = FL_MIN(fl_listwatch_proof_ms(services), fl_listwatch_proof_ms(slices));
        scope->fresh_until_ms =
            FL_MIN(fl_listwatch_fresh_until_ms(services), fl_listwatch_fresh_until_ms(slices));
        proof_wall_ms = proof_ms ? fl_io_wall_ms(scope->io) - (int64_t)(now_ms - proof_ms) : 0;
    }
    uint64_t until_ms = scope->fresh_until_ms;
    fl_freshness_tell(scope->freshness, now_ms > until_ms ? now_ms - until_ms : 0, proof_wall_ms);
}

static void flush(struct fl_task *task) {
    struct fl_scope *scope = FL_CONTAINER(task, struct fl_scope, flush);
    struct fl_indexed_service *service;
    if (scope->closing) {
        finish(scope);
        return;
    }
    if (scope->fallback_due) fall_back(scope);
    return_to_slices(scope);
    if (!scope->parts[SLICES].lw && part_open(scope, SLICES, NULL) < 0) scope->starved = true;
    update_freshness(scope);
    while ((service = fl_service_index_pop(&scope->index))) {
        tell(scope, service);
        fl_service_index_settle(&scope->index, service);
    }
    tell_names(scope);
    tell_owner(scope);
}

/* --- feeds --- */

/* Where the watcher is pointed to; NULL: where the last one's end is. */
static struct fl_service_watcher **place_in(struct fl_indexed_service *service,
                                            const struct fl_service_watcher *watcher) {
    struct fl_service_watcher **place = &service->watchers;
    while (*place != watcher) place = &(*place)->next;
    return place;
}

static void leave(struct fl_service_watcher *watcher) {
    watcher->next = NULL;
    watcher->scope = NULL;
    watcher->service = NULL;
}

int fl_scope_attach(struct fl_scope *scope, struct fl_str service,
                    struct fl_service_watcher *watcher, struct fl_error *err) {
    struct fl_indexed_service *indexed = fl_service_index_need(&scope->index, service);
    if (!indexed) return fl_fail_nomem(err);
    fl_service_index_push(&scope->index, indexed);
    watcher->scope = scope;
    watcher->service = indexed;
    watcher->publish = true;
    watcher->trouble = fl_scope_trouble(scope)->code != FL_OK;
    *place_in(indexed, NULL) = watcher;
    scope->watchers++;
    want_flush(scope);
    return FL_OK;
}

struct fl_scope *fl_scope_of_watcher(const struct fl_service_watcher *watcher) {
    return watcher->scope;
}

/* The flush frees what nobody watches any more. */
void fl_scope_detach(struct fl_service_watcher *watcher) {
    struct fl_scope *scope = watcher->scope;
    fl_service_index_push(&scope->index, watcher->service);
    *place_in(watcher->service, watcher) = watcher->next;
    leave(watcher);
    scope->watchers--;
    want_flush(scope);
}

void fl_scope_copy_held(struct fl_service_watcher *to, const struct fl_service_watcher *from) {
    if (fl_scope_synced(from->scope)) fl_hold_copy(&to->scope->index, to->service, from->service);
}

void fl_scope_hand_over(struct fl_service_watcher *from, struct fl_service_watcher *to) {
    *place_in(from->service, from) = to;
    *to = *from;
    leave(from);
}

void fl_scope_speak(struct fl_service_watcher *watcher) {
    struct fl_scope *scope = watcher->scope;
    watcher->quiet = false;
    watcher->publish = watcher->trouble = true;
    fl_service_index_push(&scope->index, watcher->service);
    want_flush(scope);
}

void fl_scope_attach_names(struct fl_scope *scope, struct fl_names_watcher *watcher) {
    watcher->scope = scope;
    watcher->synced = false;
    watcher->trouble = fl_scope_trouble(scope)->code != FL_OK;
    fl_list_push(&scope->names, &watcher->link);
    fl_service_index_push_unnamed(&scope->index);
    want_flush(scope);
}

void fl_scope_detach_names(struct fl_names_watcher *watcher) {
    fl_list_remove(&watcher->link);
    watcher->scope = NULL;
}

bool fl_scope_unused(const struct fl_scope *scope) {
    return fl_list_empty(&scope->names) && scope->watchers == 0;
}

bool fl_scope_is_level(const struct fl_scope *scope, const struct fl_scope *other) {
    for (int i = 0; i < PARTS; i++) {
        const struct fl_listwatch *ours = scope->parts[i].lw, *theirs = other->parts[i].lw;
        if (!theirs || !fl_listwatch_synced(theirs)) continue;
        uint64_t version = ours ? fl_listwatch_version(ours) : 0;
        if (version && version < fl_listwatch_version(theirs)) return false;
    }
    return true;
}

bool fl_scope_is_narrow(const struct fl_scope *scope) { return scope->name[0] != '\0'; }
struct fl_str fl_scope_ns(const struct fl_scope *scope) {
    return fl_str_of(scope->ns);
}

struct fl_list *fl_scope_link(struct fl_scope *scope) {
    return &scope->link;
}

struct fl_scope *fl_scope_of_link(struct fl_list *link) {
    return FL_CONTAINER(link, struct fl_scope, link);
}

/* Is it worth a line? Over HTTP/1.1, which has no PING, a server that has nothing to say but its
 * bookmarks, one a minute, is stale for some seconds of each minute. */
static bool is_said_stale(const struct fl_scope *scope) {
    uint64_t stale_ms = fl_freshness_stale_ms(scope->freshness);
    bool surely =
        scope->was_stale || stale_ms >= SILENCE_MS || fl_scope_trouble(scope)->code != FL_OK;
    return stale_ms > 0 && surely;
}

/* Said when it begins and when it ends. */
static void log_staleness(struct fl_scope *scope) {
    const struct fl_error *why = fl_scope_trouble(scope);
    bool stale = is_said_stale(scope);
    struct fl_str service = fl_str_of(scope->label);
    struct fl_str ns = scope->ns[0] ? fl_str_of(scope->ns) : FL_STR("*");
    if (stale == scope->was_stale) return;
    scope->was_stale = stale;
    if (stale)
        FL_LOG(scope->io, FL_LOG_WARN, "endpoints are stale", FL_LOG_STR("service", service),
               FL_LOG_STR("namespace", ns),
               FL_LOG_INT("stale_ms", fl_freshness_stale_ms(scope->freshness)),
               FL_LOG_CAUSE(why->code == FL_OK ? FL_ETIMEOUT : why->code),
               FL_LOG_TEXT_OF("detail", why->code == FL_OK ? "" : why->detail));
    else
        FL_LOG(scope->io, FL_LOG_INFO, "endpoints are fresh again", FL_LOG_STR("service", service),
               FL_LOG_STR("namespace", ns));
}

/* A wide scope that the server answers, but not with what was asked for. An outage is no fault of
 * its, and narrower ones would have it as well. */
static void count_patience(struct fl_scope *scope) {
    bool tries = !fl_scope_is_narrow(scope) && !fl_scope_synced(scope) &&
                 fl_scope_trouble(scope)->code != FL_OK;
    bool was_refused = fl_scope_is_refused(scope);
    if (!tries)
        scope->tried_ticks = 0;
    else if (!fl_kube_client_server(scope->client)->outage.on && scope->tried_ticks <= PATIENCE)
        scope->tried_ticks++;
    if (fl_scope_is_refused(scope) != was_refused) want_flush(scope);
}

void fl_scope_hurry(struct fl_scope *scope) {
    for (int i = 0; i < PARTS; i++)
        if (scope->parts[i].lw) fl_listwatch_hurry(scope->parts[i].lw);
}

void fl_scope_tick(struct fl_scope *scope) {
    count_patience(scope);
    probe(scope);
    if (scope->probe) want_flush(scope); /* it may know enough by now */
    update_freshness(scope);
    log_staleness(scope);
    fl_hold_tick(&scope->index, fl_io_now_ms(scope->io));
    if (scope->index.due) want_flush(scope);
    if (!scope->starved) return;
    scope->starved = false;
    fl_service_index_mark_all(&scope->index, FL_DUE_PUBLISH);
    want_flush(scope);
}

/* --- life --- */

/* NULL: no memory. */
static char *label_of(const struct fl_scope_options *options) {
    struct fl_buf text;
    if (!options->name.n) return fl_str_dup(FL_STR_NONE);
    fl_buf_init(&text, options->ns.n + options->name.n + 2);
    int rc = fl_buf_printf(&text, "%.*s/%.*s", FL_STR_ARG(options->ns), FL_STR_ARG(options->name));
    char *label = rc < 0 ? NULL : fl_buf_steal_text(&text);
    fl_buf_deinit(&text);
    return label;
}

int fl_scope_new(struct fl_io *io, const struct fl_scope_options *options,
                 const struct fl_scope_events *events, void *arg, struct fl_scope **out,
                 struct fl_error *err) {
    struct fl_scope *scope = FL_NEW(struct fl_scope);
    *out = NULL;
    if (!scope) return fl_fail_nomem(err);
    scope->io = io;
    scope->client = options->client;
    scope->events = events;
    scope->arg = arg;
    scope->endpoints = options->endpoints;
    scope->fresh_until_ms = fl_io_now_ms(io) + FL_FRESH_MS;
    fl_list_init(&scope->link);
    fl_list_init(&scope->names);
    fl_service_index_init(&scope->index, fl_random_u64(&io->jitter));
    fl_backoff_init(&scope->probe_pause, &probe_policy);
    if (scope->endpoints) probe_later(scope);
    fl_task_init(&scope->flush, flush);
    scope->ns = fl_str_dup(options->ns);
    scope->name = fl_str_dup(options->name);
    scope->label = label_of(options);
    if (!scope->ns || !scope->name || !scope->label || fl_freshness_new(&scope->freshness) < 0)
        goto fail;
    if (part_open(scope, SERVICES, err) < 0) goto fail;
    /* From here on it ends by closing; slices that cannot be opened are due again. */
    want_flush(scope);
    *out = scope;
    return FL_OK;
fail:
    scope_free(scope);
    return fl_fail_nomem(err);
}

void fl_scope_close(struct fl_scope *scope, struct fl_list *orphans) {
    FL_ASSERT(!scope->closing && fl_scope_unused(scope));
    scope->closing = true;
    fl_freshness_take_orphan(orphans, scope->freshness, scope->fresh_until_ms);
    scope->freshness = NULL;
    for (int i = 0; i < PARTS; i++) part_close(scope, (enum part_kind)i);
    probe_close(scope);
    want_flush(scope);
}
