/* feed.c - one conversation with a provider: asked, refused, asked again. The hub's loop only.
 *
 *     CLOSED --open--> ASKED <---------- kept again ----+
 *                      |   \--- something was lost ---> LOST --timer: unwatch, ask--> ASKED
 *                 refused                                                      \
 *                      v                                                      refused
 *                   WAITING --timer: ask--> ASKED, WAITING <--------------------+
 *
 * LOST: something that the provider gave could not be stored for want of memory. The provider has
 * told it and will not tell it again by itself, so it is asked anew after the backoff, unless a
 * later publication, which says everything that an earlier one did, is kept before that. (A lost
 * name is said by no later one: only asking anew brings it back.) The timer is made for the first
 * failure. Without memory for it the hub's tick takes its place, so the newest state cannot be lost
 * for good. Unwatching waits for either also because a provider that is just giving something must
 * not be called. */
#include "discovery/feed.h"

#include "base/alloc.h"
#include "base/sm.h"

enum { FEED_CLOSED, FEED_ASKED, FEED_LOST, FEED_WAITING };

static const uint32_t feed_moves[] = {
    [FEED_CLOSED] = FL_TO(FEED_ASKED),
    [FEED_ASKED] = FL_TO(FEED_LOST) | FL_TO(FEED_WAITING) | FL_TO(FEED_CLOSED),
    [FEED_LOST] = FL_TO(FEED_ASKED) | FL_TO(FEED_WAITING) | FL_TO(FEED_CLOSED),
    [FEED_WAITING] = FL_TO(FEED_ASKED) | FL_TO(FEED_CLOSED),
};

static void move(struct fl_feed *feed, int state) { fl_sm_move(&feed->state, feed_moves, state); }

static void on_retry(struct fl_timer *timer);

int fl_feed_reserve(struct fl_feed *feed) {
    if (feed->retry) return FL_OK;
    struct fl_feed_retry *retry = FL_NEW(struct fl_feed_retry);
    if (!retry) return FL_ENOMEM;
    if (fl_io_timer_init(feed->hub->io, &retry->timer, on_retry) < 0) {
        fl_free(retry);
        return FL_ENOMEM;
    }
    fl_backoff_init(&retry->backoff, &fl_backoff_client_go);
    retry->feed = feed;
    feed->retry = retry;
    return FL_OK;
}

static void ask_later(struct fl_feed *feed) {
    struct fl_io *io = feed->hub->io;
    if (fl_feed_reserve(feed) < 0) return; /* at the tick */
    uint64_t now_ms = fl_io_now_ms(io);
    uint64_t delay_ms = fl_backoff_failure(&feed->retry->backoff, now_ms, &io->jitter);
    fl_io_timer_set(io, &feed->retry->timer, now_ms + delay_ms);
}

/* It failed and is not given up. */
static bool is_to_be_asked(const struct fl_feed *feed) {
    return feed->state == FEED_LOST || feed->state == FEED_WAITING;
}

/* ASKED before the provider is, because it may give at once. */
static void ask(struct fl_feed *feed) {
    struct fl_error err = {0};
    move(feed, FEED_ASKED);
    if (feed->sink->ask(feed, &err) == 0) return;
    move(feed, FEED_WAITING);
    ask_later(feed);
    int told = feed->sink->trouble(feed, &err);
    FL_UNUSED(told); /* if not, the next refusal will be */
}

static void ask_again(struct fl_feed *feed) {
    if (feed->state == FEED_LOST) feed->provider->ops->unwatch(feed->provider, feed);
    ask(feed);
}

static void on_retry(struct fl_timer *timer) {
    ask_again(FL_CONTAINER(timer, struct fl_feed_retry, timer)->feed);
}

void fl_feed_tick(struct fl_feed *feed) {
    if (is_to_be_asked(feed) && !feed->retry) ask_again(feed);
}

void fl_feed_init(struct fl_feed *feed, struct fl_discovery *hub, struct fl_provider *provider,
                  const struct fl_feed_sink *sink) {
    *feed = (struct fl_feed){.hub = hub, .provider = provider, .sink = sink, .state = FEED_CLOSED};
}

void fl_feed_open(struct fl_feed *feed) { ask(feed); }

void fl_feed_hurry(struct fl_feed *feed) {
    const struct fl_provider_ops *ops = feed->provider->ops;
    if (feed->state == FEED_WAITING && feed->retry)
        fl_io_timer_set(feed->hub->io, &feed->retry->timer, fl_io_now_ms(feed->hub->io));
    else if (feed->state == FEED_ASKED && ops->hurry)
        ops->hurry(feed->provider, feed);
}

void fl_feed_deinit(struct fl_feed *feed) {
    if (feed->state == FEED_ASKED || feed->state == FEED_LOST) {
        feed->provider->ops->unwatch(feed->provider, feed);
    }
    if (feed->state != FEED_CLOSED) move(feed, FEED_CLOSED);
    if (!feed->retry) return;
    fl_io_timer_deinit(feed->hub->io, &feed->retry->timer);
    fl_free(feed->retry);
    feed->retry = NULL;
}

/* ---- what providers call ---- */

static bool is_open(const struct fl_feed *feed) {
    return feed->state == FEED_ASKED || feed->state == FEED_LOST;
}

static void lose(struct fl_feed *feed) {
    if (feed->state == FEED_LOST) return;
    move(feed, FEED_LOST);
    ask_later(feed);
}

static void note_success(struct fl_feed *feed) {
    if (feed->retry) fl_backoff_success(&feed->retry->backoff, fl_io_now_ms(feed->hub->io));
}

void fl_feed_publish(struct fl_feed *feed, const struct fl_set_spec *spec) {
    FL_ASSERT(is_open(feed));
    if (feed->sink->publish(feed, spec) < 0) {
        lose(feed);
        return;
    }
    note_success(feed);
    if (feed->state == FEED_ASKED) return;
    if (feed->retry) fl_io_timer_clear(feed->hub->io, &feed->retry->timer);
    move(feed, FEED_ASKED);
}

void fl_feed_trouble(struct fl_feed *feed, const struct fl_error *err) {
    FL_ASSERT(is_open(feed));
    if (feed->sink->trouble(feed, err) < 0) lose(feed);
}

void fl_feed_name(struct fl_feed *feed, struct fl_str service) {
    FL_ASSERT(is_open(feed));
    if (feed->sink->name(feed, service) < 0) lose(feed);
}

void fl_feed_names_synced(struct fl_feed *feed) {
    FL_ASSERT(is_open(feed));
    note_success(feed);
    if (feed->state == FEED_ASKED) feed->sink->names_synced(feed);
}

void fl_feed_set_data(struct fl_feed *feed, void *data) { feed->data = data; }
void *fl_feed_data(const struct fl_feed *feed) { return feed->data; }
