/* watch.c - one watched service and its subscribers. The hub's loop only.
 *
 * What the provider publishes becomes a set with the next version of this watch, and the newest set
 * with the present trouble becomes the news, which every subscriber is given and which waits for
 * later ones. News that say what the last ones said are not passed on.
 *
 * Each subscription brings a watch, which becomes the hub's unless that service has one: so its
 * name is kept once. Such a one is made on any thread.
 *
 * A watch outlives its last subscriber by FL_WATCH_LINGER_MS, so that a client which closes and
 * comes back finds it warm. */
#include "discovery/watch.h"

#include "base/alloc.h"
#include "base/log.h"
#include "discovery/snapshot.h"
#include "discovery/subscription.h"

static struct fl_watch *watch_of(struct fl_feed *feed) {
    return FL_CONTAINER(feed, struct fl_watch, feed);
}

struct fl_str fl_watch_service(const struct fl_watch *watch) {
    return fl_str_of(watch->key + 1);
}

/* The tick is to look at it. */
static void make_due(struct fl_watch *watch) {
    watch->feed.hub->loop_data.due_count += !watch->due;
    watch->due = true;
}

static void make_undue(struct fl_watch *watch) {
    watch->feed.hub->loop_data.due_count -= watch->due;
    watch->due = false;
}

static struct fl_subscription *subscription_of(struct fl_list *link) {
    return FL_CONTAINER(link, struct fl_subscription, hub_data.link);
}

/* ---- news ---- */

static bool same_trouble(const struct fl_error *a, const struct fl_error *b) {
    if (!a || !b) return a == b;
    return a->code == b->code && strcmp(a->detail, b->detail) == 0;
}

static int tell(struct fl_watch *watch, struct fl_set *set, const struct fl_error *trouble) {
    struct fl_news *news, *old = watch->news;
    if (old && fl_news_set(old) == set && same_trouble(fl_news_trouble(old), trouble)) return 0;
    if (fl_news_new(set, trouble, &news) < 0) return FL_ENOMEM;
    watch->news = news;
    fl_news_unref(old);
    if ((trouble ? trouble->code : FL_OK) != watch->logged) make_due(watch);
    FL_LIST_EACH (&watch->subscriptions, link, next) {
        fl_subscription_put(subscription_of(link), news);
    }
    return 0;
}

/* Makes `spec` the newest set. */
static int tell_spec(struct fl_watch *watch, const struct fl_set_spec *spec,
                     const struct fl_error *trouble) {
    struct fl_set *set;
    uint64_t version = watch->news ? fl_set_version(fl_news_set(watch->news)) + 1 : 1;
    struct fl_set_spec timed = *spec;
    if (!timed.event_us) timed.event_us = fl_io_now_us(watch->feed.hub->io);
    if (fl_set_new(&timed, version, &set) < 0) return FL_ENOMEM;
    int rc = tell(watch, set, trouble);
    fl_set_unref(set);
    if (rc == 0) fl_metric_add(watch->feed.hub->metrics.sets, 1);
    return rc;
}

/* ---- what the feed gives ---- */

static bool is_known(const struct fl_watch *watch) {
    return watch->news && fl_set_state(fl_news_set(watch->news)) != FL_SET_UNKNOWN;
}

/* Shows what the snapshot file says until something is heard. Without memory for it, nothing. */
static void restore(struct fl_watch *watch) {
    struct fl_snapshot *snapshot = watch->feed.hub->snapshot;
    struct fl_snapshot_set found;
    if (!snapshot || is_known(watch) ||
        !fl_snapshot_find(snapshot, watch->feed.provider, fl_watch_service(watch), &found))
        return;
    int rc = tell_spec(watch, &found.spec, watch->news ? fl_news_trouble(watch->news) : NULL);
    if (rc < 0) fl_metric_add(watch->feed.hub->metrics.retries, 1);
    fl_snapshot_set_deinit(&found);
}

static int on_ask(struct fl_feed *feed, struct fl_error *err) {
    struct fl_watch *watch = watch_of(feed);
    int rc = feed->provider->ops->watch(feed->provider, fl_watch_service(watch), feed, err);
    if (rc == 0)
        restore(watch);
    else
        make_due(watch);
    return rc;
}

/* No memory: the feed may need the tick. */
static void note_failure(struct fl_watch *watch) {
    fl_metric_add(watch->feed.hub->metrics.retries, 1);
    make_due(watch);
}

static int on_publish(struct fl_feed *feed, const struct fl_set_spec *spec) {
    struct fl_watch *watch = watch_of(feed);
    struct fl_set *set = watch->news ? fl_news_set(watch->news) : NULL;
    int rc = set && fl_set_is(set, spec) ? tell(watch, set, NULL) : tell_spec(watch, spec, NULL);
    if (rc < 0) note_failure(watch);
    if (rc == 0 && watch->feed.hub->snapshot) fl_snapshot_changed(watch->feed.hub->snapshot);
    return rc;
}

static int on_trouble(struct fl_feed *feed, const struct fl_error *err) {
    struct fl_watch *watch = watch_of(feed);
    const struct fl_error *trouble = err->code == FL_OK ? NULL : err;
    struct fl_set_spec unknown = {.service = fl_watch_service(watch), .state = FL_SET_UNKNOWN};
    int rc = FL_OK;
    if (watch->news)
        rc = tell(watch, fl_news_set(watch->news), trouble);
    else if (trouble)
        rc = tell_spec(watch, &unknown, trouble);
    if (rc < 0) make_due(watch);
    return rc;
}

static const struct fl_feed_sink watch_sink = {
    .ask = on_ask,
    .publish = on_publish,
    .trouble = on_trouble,
};

/* ---- life ---- */

static char letter_of(const struct fl_discovery *hub, const struct fl_provider *provider) {
    char letter = 'A';
    for (size_t i = 0; hub->providers[i] != provider; i++) letter++;
    return letter;
}

struct fl_watch *fl_watch_new(struct fl_discovery *hub, struct fl_provider *provider,
                              struct fl_str service) {
    size_t size = offsetof(struct fl_watch, key) + 1 + service.n + 1;
    struct fl_watch *watch = fl_calloc(1, FL_MAX(size, sizeof(*watch)));
    if (!watch) return NULL;
    watch->key[0] = letter_of(hub, provider);
    if (service.n) memcpy(watch->key + 1, service.p, service.n);
    fl_feed_init(&watch->feed, hub, provider, &watch_sink);
    fl_list_init(&watch->subscriptions);
    fl_list_init(&watch->link);
    return watch;
}

void fl_watch_drop(struct fl_watch *watch) { fl_free(watch); }

static int open_watch(struct fl_watch *watch) {
    struct fl_discovery *hub = watch->feed.hub;
    if (fl_map_set(&hub->loop_data.services, fl_str_of(watch->key), watch, NULL) < 0)
        return FL_ENOMEM;
    fl_list_push(&hub->loop_data.watches, &watch->link);
    watch->idle_since_ms = (uint32_t)fl_io_now_ms(hub->io);
    make_due(watch); /* nobody has subscribed yet */
    fl_metric_add(hub->metrics.services, 1);
    fl_feed_open(&watch->feed);
    return 0;
}

int fl_watch_place(struct fl_watch **watch, struct fl_error *err) {
    struct fl_discovery *hub = (*watch)->feed.hub;
    struct fl_watch *known = fl_map_get(&hub->loop_data.services, fl_str_of((*watch)->key));
    if (known) {
        fl_watch_drop(*watch);
        *watch = known;
        return 0;
    }
    if (fl_map_count(&hub->loop_data.services) >= FL_DISCOVERY_SERVICES_MAX) {
        fl_metric_add(hub->metrics.full, 1);
        return fl_fail(err, FL_EFULL, "%d services are watched already", FL_DISCOVERY_SERVICES_MAX);
    }
    return open_watch(*watch) < 0 ? fl_fail_nomem(err) : 0;
}

void fl_watch_free(struct fl_watch *watch) {
    FL_ASSERT(fl_list_empty(&watch->subscriptions));
    fl_map_remove(&watch->feed.hub->loop_data.services, fl_str_of(watch->key));
    fl_metric_add(watch->feed.hub->metrics.services, -1);
    fl_list_remove(&watch->link);
    make_undue(watch);
    fl_feed_deinit(&watch->feed);
    fl_news_unref(watch->news);
    fl_free(watch);
}

void fl_watch_add(struct fl_watch *watch, struct fl_subscription *subscription) {
    fl_list_push(&watch->subscriptions, &subscription->hub_data.link);
    if (watch->news) fl_subscription_put(subscription, watch->news);
}

void fl_watch_remove(struct fl_watch *watch, struct fl_subscription *subscription) {
    fl_list_remove(&subscription->hub_data.link);
    if (!fl_list_empty(&watch->subscriptions)) return;
    watch->idle_since_ms = (uint32_t)fl_io_now_ms(watch->feed.hub->io);
    make_due(watch);
}

void fl_watch_deliver_again(struct fl_watch *watch) {
    FL_LIST_EACH (&watch->subscriptions, link, next) {
        fl_subscription_wake(subscription_of(link));
    }
}

/* At the tick, so that a trouble which a publication ends and the provider at once takes up again
 * is logged once. */
static void note_trouble(struct fl_watch *watch, struct fl_watch_tally *tally) {
    const struct fl_error *trouble = watch->news ? fl_news_trouble(watch->news) : NULL;
    int code = trouble ? trouble->code : FL_OK;
    if (code == watch->logged) return;
    watch->logged = (int16_t)code;
    if (tally->counts[-code]++ == 0) tally->first[-code] = watch;
}

static bool is_idle(const struct fl_watch *watch) { return fl_list_empty(&watch->subscriptions); }

void fl_watch_tick(struct fl_watch *watch, uint64_t now_ms, struct fl_watch_tally *tally) {
    if (!watch->due) return;
    if (is_idle(watch) && (uint32_t)now_ms - watch->idle_since_ms >= FL_WATCH_LINGER_MS) {
        fl_watch_free(watch);
        return;
    }
    if (!is_idle(watch)) make_undue(watch);
    fl_feed_tick(&watch->feed);
    note_trouble(watch, tally);
}

void fl_watch_log(struct fl_discovery *hub, const struct fl_watch_tally *tally) {
    for (size_t i = 0; i < FL_ORDINAL_COUNT; i++) {
        const struct fl_watch *watch = tally->first[i];
        if (!watch) continue;
        if (i == FL_ORDINAL_OK) {
            FL_LOG(hub->io, FL_LOG_INFO, "source of endpoints answers again",
                   FL_LOG_STR("service", fl_watch_service(watch)),
                   FL_LOG_INT("services", tally->counts[i]));
        } else {
            FL_LOG(hub->io, FL_LOG_WARN, "source of endpoints in trouble",
                   FL_LOG_STR("service", fl_watch_service(watch)),
                   FL_LOG_INT("services", tally->counts[i]),
                   FL_LOG_ERROR_OF(fl_news_trouble(watch->news)));
        }
    }
}
