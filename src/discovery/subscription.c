/* subscription.c - one subscriber of a watch, between three threads.
 *
 * Any thread subscribes and closes; the hub's loop has the list of subscribers; the subscriber's
 * loop calls the callback. A subscription is handed from one to the next, each time by posting a
 * task of its own, once:
 *
 *     subscribe --join---> hub: in a watch's list; puts news in the mailbox --deliver--> loop
 *     close     --leave--> hub: out of the list
 *                          hub  --finish--> loop: drops what it held, calls `done`
 *                          loop --free----> hub: frees the memory
 *
 * `join` and `deliver` share a task's memory, and so do `leave`, `finish` and `free`: the next one
 * is posted by the run of the one before.
 *
 * So it is freed only when close was called, the hub has let go and the loop has let go, and on one
 * thread. A step is begun by its task and never by a flag: a flag may be seen by a task that was
 * queued for something else, and then the post that should have begun the step comes too late, or a
 * second time. `finish` comes after every `deliver`, since a loop runs in order what one thread
 * posts. What each side may touch lies in a struct of its own; `shared_data` is atomic. The
 * discovery lives until its last subscription is freed.
 *
 * States, on the hub's loop; leaving may come before joining, which waits for a next turn while
 * there is no memory for the hub's timer:
 *
 *     NEW --join--> PLACED or UNPLACED (no watch: at a bound, no memory; each tick tries again)
 *     NEW --leave--> LEAVING --join--> LEFT
 *     PLACED, UNPLACED --leave--> LEFT
 *
 * A delivery that wants memory and has none goes back into the mailbox; the hub's next tick wakes
 * everybody to try again. Newer news may replace it meanwhile, which is right. */
#include "discovery/subscription.h"

#include "base/alloc.h"
#include "base/sm.h"
#include "discovery/target.h"
#include "discovery/watch.h"

enum { SUB_NEW, SUB_PLACED, SUB_UNPLACED, SUB_LEAVING, SUB_LEFT };

static const uint32_t sub_moves[] = {
    [SUB_NEW] = FL_TO(SUB_PLACED) | FL_TO(SUB_UNPLACED) | FL_TO(SUB_LEAVING),
    [SUB_PLACED] = FL_TO(SUB_LEFT),
    [SUB_UNPLACED] = FL_TO(SUB_PLACED) | FL_TO(SUB_LEFT),
    [SUB_LEAVING] = FL_TO(SUB_LEFT),
    [SUB_LEFT] = 0,
};

static void move(struct fl_subscription *s, int state) {
    fl_sm_move(&s->hub_data.state, sub_moves, state);
}

/* ---- the subscriber's loop ---- */

/* The set as this subscriber sees it. One that only brings another trouble gives the same pointer
 * as before. FL_EPORT is not an error here but the trouble. */
static int look(struct fl_subscription *s, const struct fl_news *news, struct fl_set **view,
                struct fl_error *trouble) {
    struct fl_set *previous = s->loop_data.previous;
    int rc = fl_set_select(fl_news_set(news), fl_str_of(s->port), view, trouble);
    if (rc == FL_EPORT) {
        bool known = previous && fl_set_state(previous) != FL_SET_UNKNOWN;
        rc = fl_set_hide(fl_news_set(news), known ? FL_SET_EMPTY : FL_SET_UNKNOWN, view);
    }
    if (rc < 0) return rc;
    if (previous && fl_set_whole(previous) == fl_set_whole(*view)) {
        fl_set_unref(*view);
        *view = fl_set_ref(previous);
    }
    const struct fl_error *told = fl_news_trouble(news);
    if (told) *trouble = *told;
    return 0;
}

static void put_off(struct fl_subscription *s, struct fl_news *news) {
    struct fl_discovery *hub = s->hub;
    fl_mailbox_take_back(&s->shared_data.mailbox, news);
    fl_metric_add(hub->metrics.retries, 1);
    atomic_store(&hub->deliver_again, true);
}

static void run_deliver(struct fl_task *task) {
    struct fl_subscription *s = FL_CONTAINER(task, struct fl_subscription, news_task);
    struct fl_set *view, *previous = s->loop_data.previous;
    struct fl_error trouble = {0};
    struct fl_news *news = fl_mailbox_steal(&s->shared_data.mailbox);
    if (!news || atomic_load(&s->closing)) {
        fl_news_unref(news);
        return;
    }
    if (look(s, news, &view, &trouble) < 0) {
        put_off(s, news);
        return;
    }
    s->loop_data.previous = view;
    s->cb(s->arg, view, previous, trouble.code == FL_OK ? NULL : &trouble);
    fl_set_unref(previous);
    fl_news_unref(news);
}

static void run_free(struct fl_task *task);

static void run_finish(struct fl_task *task) {
    struct fl_subscription *s = FL_CONTAINER(task, struct fl_subscription, end_task);
    FL_ASSERT(!atomic_load(&s->news_task.queued));
    fl_mailbox_deinit(&s->shared_data.mailbox);
    fl_set_unref(s->loop_data.previous);
    if (s->done) s->done(s->done_arg);
    fl_task_init(&s->end_task, run_free);
    fl_io_post(s->hub->io, &s->end_task);
}

/* ---- the hub's loop ---- */

static void give_to_loop(struct fl_subscription *s, struct fl_task *task) {
    if (s->io == s->hub->io) {
        fl_io_defer(s->io, task);
    } else {
        fl_io_post(s->io, task);
    }
}

void fl_subscription_wake(struct fl_subscription *s) { give_to_loop(s, &s->news_task); }

void fl_subscription_put(struct fl_subscription *s, struct fl_news *news) {
    if (fl_mailbox_put(&s->shared_data.mailbox, news)) {
        fl_metric_add(s->hub->metrics.superseded, 1);
    }
    fl_subscription_wake(s);
}

/* Tells why there is no watch, once per reason; without memory for it, at a later try. */
static void tell_unplaced(struct fl_subscription *s, const struct fl_error *trouble) {
    const struct fl_set_spec spec = {.service = fl_watch_service(s->hub_data.watch),
                                     .state = FL_SET_UNKNOWN};
    struct fl_set *set;
    struct fl_news *news;
    if (s->hub_data.told == trouble->code) return;
    if (fl_set_new(&spec, 0, &set) < 0) return;
    if (fl_news_new(set, trouble, &news) == 0) {
        s->hub_data.told = trouble->code;
        fl_subscription_put(s, news);
        fl_news_unref(news);
    }
    fl_set_unref(set);
}

void fl_subscription_place(struct fl_subscription *s) {
    struct fl_error err = {0};
    if (fl_watch_place(&s->hub_data.watch, &err) < 0) {
        fl_metric_add(s->hub->metrics.retries, 1);
        tell_unplaced(s, &err);
        return;
    }
    fl_list_remove(&s->hub_data.link);
    move(s, SUB_PLACED);
    fl_watch_add(s->hub_data.watch, s);
}

static void leave(struct fl_subscription *s) {
    if (s->hub_data.state == SUB_PLACED) {
        fl_watch_remove(s->hub_data.watch, s);
    } else {
        fl_list_remove(&s->hub_data.link);
        fl_watch_drop(s->hub_data.watch);
    }
    s->hub_data.watch = NULL;
    move(s, SUB_LEFT);
    fl_task_init(&s->end_task, run_finish);
    give_to_loop(s, &s->end_task);
}

static void run_join(struct fl_task *task) {
    struct fl_subscription *s = FL_CONTAINER(task, struct fl_subscription, news_task);
    if (s->hub_data.state == SUB_LEAVING) {
        leave(s);
        return;
    }
    if (fl_discovery_tick_soon(s->hub) < 0) {
        fl_io_post(s->hub->io, &s->news_task); /* without a timer only a next turn can try again */
        return;
    }
    fl_task_init(&s->news_task, run_deliver);
    move(s, SUB_UNPLACED);
    fl_list_push(&s->hub->loop_data.unplaced, &s->hub_data.link);
    fl_subscription_place(s);
}

static void run_leave(struct fl_task *task) {
    struct fl_subscription *s = FL_CONTAINER(task, struct fl_subscription, end_task);
    if (s->hub_data.state == SUB_NEW) {
        move(s, SUB_LEAVING);
    } else {
        leave(s);
    }
}

static void run_free(struct fl_task *task) {
    struct fl_subscription *s = FL_CONTAINER(task, struct fl_subscription, end_task);
    struct fl_discovery *hub = s->hub;
    fl_free(s);
    fl_metric_add(hub->metrics.subscriptions, -1);
    atomic_fetch_sub(&hub->subscription_count, 1);
    fl_discovery_release(hub);
}

/* ---- any thread ---- */

static struct fl_subscription *subscription_new(struct fl_discovery *hub, struct fl_io *io,
                                                const struct fl_target *target) {
    struct fl_str port = fl_buf_str(&target->port);
    size_t size = offsetof(struct fl_subscription, port) + port.n + 1;
    struct fl_subscription *s = fl_calloc(1, FL_MAX(size, sizeof(*s)));
    if (!s) return NULL;
    s->hub_data.watch = fl_watch_new(hub, target->provider, fl_buf_str(&target->service));
    if (!s->hub_data.watch) {
        fl_free(s);
        return NULL;
    }
    if (port.n) memcpy(s->port, port.p, port.n);
    s->hub = hub;
    s->io = io;
    fl_list_init(&s->hub_data.link);
    fl_mailbox_init(&s->shared_data.mailbox);
    fl_task_init(&s->news_task, run_join);
    fl_task_init(&s->end_task, run_leave);
    return s;
}

/* A place among the subscriptions that the hub permits. */
static int reserve(struct fl_discovery *hub, struct fl_error *err) {
    if (atomic_fetch_add(&hub->subscription_count, 1) < FL_DISCOVERY_SUBSCRIPTIONS_MAX) return 0;
    atomic_fetch_sub(&hub->subscription_count, 1);
    fl_metric_add(hub->metrics.full, 1);
    return fl_fail(err, FL_EFULL, "%d subscriptions are open already",
                   FL_DISCOVERY_SUBSCRIPTIONS_MAX);
}

int fl_discovery_subscribe_on(struct fl_discovery *hub, struct fl_io *io, const char *text,
                              fl_set_cb *cb, void *arg, struct fl_subscription **out,
                              struct fl_error *err) {
    struct fl_target target;
    *out = NULL;
    int rc = fl_target_parse(hub, fl_str_of(text), &target, err);
    if (rc < 0) return rc;
    rc = reserve(hub, err);
    struct fl_subscription *s = rc == 0 ? subscription_new(hub, io, &target) : NULL;
    fl_target_deinit(&target);
    if (rc < 0) return rc;
    if (!s) {
        atomic_fetch_sub(&hub->subscription_count, 1);
        return fl_fail_nomem(err);
    }
    s->cb = cb;
    s->arg = arg;
    *out = s;
    fl_metric_add(hub->metrics.subscriptions, 1);
    fl_io_post(hub->io, &s->news_task);
    return 0;
}

int fl_discovery_subscribe(struct fl_discovery *discovery, struct fl_runtime *runtime,
                           const char *target, fl_set_cb *cb, void *arg,
                           struct fl_subscription **out, struct fl_error *err) {
    return fl_discovery_subscribe_on(discovery, runtime->io, target, cb, arg, out, err);
}

struct hurry {
    struct fl_task task;
    struct fl_subscription *s;
};

/* Before `leave`, which the same loop posts later. */
static void run_hurry(struct fl_task *task) {
    struct hurry *hurry = FL_CONTAINER(task, struct hurry, task);
    const struct fl_subscription *s = hurry->s;
    if (s->hub_data.state == SUB_PLACED) fl_feed_hurry(&s->hub_data.watch->feed);
    fl_free(hurry);
}

/* Rare, so nothing is kept for it in a subscription; without memory the backoff stays. */
void fl_subscription_hurry(struct fl_subscription *s) {
    struct hurry *hurry = FL_NEW(struct hurry);
    if (!hurry) return;
    hurry->s = s;
    fl_task_init(&hurry->task, run_hurry);
    fl_io_post(s->hub->io, &hurry->task);
}

void fl_subscription_close(struct fl_subscription *s, void (*done)(void *arg), void *arg) {
    if (!s) return;
    s->done = done;
    s->done_arg = arg;
    atomic_store(&s->closing, true);
    fl_io_post(s->hub->io, &s->end_task);
}
