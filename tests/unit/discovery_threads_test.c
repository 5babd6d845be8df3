/* discovery_threads_test.c - one hub, subscribers on eight other threads' real loops. What holds on
 * virtual time must hold there too, and the thread sanitizer must have nothing to say. */
#include "support/alloc.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "discovery/discovery.h"
#include "support/fake_provider.h"
#include "support/sets.h"

#define THREADS       8
#define SUBSCRIPTIONS 8 /* a thread */
#define SERVICES      4
#define VERSIONS      2000
#define SNAPSHOT      "discovery_threads_test.snapshot"

/* A flag that another thread waits for. */
struct latch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count;
};

static void latch_init(struct latch *latch, int count) {
    pthread_mutex_init(&latch->lock, NULL);
    pthread_cond_init(&latch->changed, NULL);
    latch->count = count;
}

static void latch_down(void *arg) {
    struct latch *latch = arg;
    pthread_mutex_lock(&latch->lock);
    latch->count--;
    pthread_cond_broadcast(&latch->changed);
    pthread_mutex_unlock(&latch->lock);
}

static void latch_wait(struct latch *latch) {
    pthread_mutex_lock(&latch->lock);
    while (latch->count > 0) pthread_cond_wait(&latch->changed, &latch->lock);
    pthread_mutex_unlock(&latch->lock);
    pthread_cond_destroy(&latch->changed);
    pthread_mutex_destroy(&latch->lock);
}

static const char *const services[SERVICES] = {"a", "b", "c", "d"};

struct bed {
    struct fl_runtime *runtime;
    struct fl_fake fake;
    struct fl_discovery *hub;
    struct fl_task publish; /* posts itself until the last version, or `stop` */
    struct latch published;
    atomic_bool stop;
    unsigned version;
};

struct sub {
    struct fl_io *io;
    struct fl_subscription *handle;
    struct fl_set *set;
    struct latch *reached; /* the last version was seen */
    uint64_t version;
    bool done, reached_end;
};

static void look(void *arg, const struct fl_endpoint *endpoint) {
    *(size_t *)arg += strlen(endpoint->address) > 0 && endpoint->ready;
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct sub *sub = arg;
    bool right = fl_io_on_thread(sub->io) && !sub->done && previous == sub->set && !trouble &&
                 fl_set_version(set) > sub->version; /* C16: never back */
    size_t ready = 0;
    fl_set_each(set, look, &ready);
    if (!right || (ready > 0) != (fl_set_state(set) == FL_SET_SOME)) abort();
    sub->version = fl_set_version(set);
    fl_set_unref(sub->set);
    sub->set = fl_set_ref(set);
    if (!sub->reached || sub->version < VERSIONS || sub->reached_end) return;
    sub->reached_end = true;
    latch_down(sub->reached);
}

struct closing {
    struct sub *sub;
    struct latch *closed;
};

static void on_done(void *arg) {
    struct closing *closing = arg;
    if (closing->sub->done || !fl_io_on_thread(closing->sub->io)) abort();
    closing->sub->done = true;
    fl_set_unref(closing->sub->set);
    latch_down(closing->closed);
}

/* On the hub's loop: the next version of every service that is watched, a turn each. */
static void publish(struct fl_task *task) {
    struct bed *bed = FL_CONTAINER(task, struct bed, publish);
    char text[64];
    bool all = true;
    for (size_t i = 0; i < SERVICES; i++) all &= fl_fake_feed(&bed->fake, services[i]) != NULL;
    if (all) {
        bed->version++;
        snprintf(text, sizeof(text), "10.0.%u.%u rs", bed->version / 256, bed->version % 256);
        for (size_t i = 0; i < SERVICES; i++) {
            fl_fake_publish(&bed->fake, services[i], fl_test_block("http:8080", text));
        }
    }
    if (bed->version < VERSIONS && !atomic_load(&bed->stop)) {
        fl_io_post(bed->runtime->io, task);
    } else {
        latch_down(&bed->published);
    }
}

static void bed_open(struct bed *bed) {
    static const struct fl_log_options quiet = {.level = FL_LOG_OFF};
    fl_log_configure(&quiet);
    *bed = (struct bed){.version = 0};
    assert_int_equal(fl_runtime_new(NULL, &bed->runtime, NULL), 0);
    assert_int_equal(fl_discovery_open(bed->runtime->io, &bed->hub, NULL), 0);
    fl_fake_init(&bed->fake, bed->runtime->io);
    assert_int_equal(fl_discovery_take_provider(bed->hub, &bed->fake.provider), 0);
    assert_int_equal(fl_discovery_keep_snapshot(bed->hub, SNAPSHOT, NULL), 0);
    fl_task_init(&bed->publish, publish);
    latch_init(&bed->published, 1);
    fl_io_post(bed->runtime->io, &bed->publish);
}

static void bed_close(struct bed *bed) {
    struct latch closed;
    atomic_store(&bed->stop, true);
    latch_wait(&bed->published);
    latch_init(&closed, 1);
    fl_discovery_close(bed->hub, latch_down, &closed);
    latch_wait(&closed);
    fl_runtime_free(bed->runtime);
    assert_int_equal(remove(SNAPSHOT), 0); /* written by another thread before the end */
}

static void subscribe(struct bed *bed, struct fl_runtime *runtime, struct sub *sub,
                      const char *service, const char *port, struct latch *reached) {
    char target[64];
    snprintf(target, sizeof(target), "fake:///%s%s", service, port);
    *sub = (struct sub){.io = runtime->io, .reached = reached};
    if (fl_discovery_subscribe(bed->hub, runtime, target, on_set, sub, &sub->handle, NULL) < 0) {
        abort();
    }
}

/* ---- every subscriber on every thread reaches the newest state ---- */

struct thread {
    pthread_t thread;
    struct bed *bed;
    struct latch reached, closed;
    struct sub subs[SUBSCRIPTIONS];
    struct closing closings[SUBSCRIPTIONS];
};

static void *run_subscriber(void *arg) {
    struct thread *t = arg;
    struct fl_runtime *runtime;
    if (fl_runtime_new(NULL, &runtime, NULL) < 0) abort();
    latch_init(&t->reached, SUBSCRIPTIONS);
    latch_init(&t->closed, SUBSCRIPTIONS);
    for (size_t i = 0; i < SUBSCRIPTIONS; i++) {
        subscribe(t->bed, runtime, &t->subs[i], services[i % SERVICES], i % 2 ? ":80" : "",
                  &t->reached);
    }
    latch_wait(&t->reached);
    for (size_t i = 0; i < SUBSCRIPTIONS; i++) {
        t->closings[i] = (struct closing){&t->subs[i], &t->closed};
        fl_subscription_close(t->subs[i].handle, on_done, &t->closings[i]);
    }
    latch_wait(&t->closed);
    fl_runtime_free(runtime);
    return NULL;
}

static void test_C17_C16_subscribers_on_eight_threads(void **state) {
    FL_UNUSED(state);
    struct bed bed;
    struct thread *threads = calloc(THREADS, sizeof(*threads));
    bed_open(&bed);
    for (size_t i = 0; i < THREADS; i++) {
        threads[i].bed = &bed;
        assert_int_equal(pthread_create(&threads[i].thread, NULL, run_subscriber, &threads[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i].thread, NULL), 0);
        for (size_t k = 0; k < SUBSCRIPTIONS; k++) {
            assert_int_equal(threads[i].subs[k].version, VERSIONS);
            assert_true(threads[i].subs[k].done);
        }
    }
    bed_close(&bed);
    free(threads);
}

/* ---- opening and closing while sets are published ---- */

#define ROUNDS 300

struct churn {
    pthread_t thread;
    struct bed *bed;
    struct fl_runtime *runtime;
};

static void *run_churn(void *arg) {
    struct churn *churn = arg;
    for (int round = 0; round < ROUNDS; round++) {
        struct sub subs[SERVICES];
        struct closing closings[SERVICES];
        struct latch closed;
        latch_init(&closed, SERVICES);
        for (size_t i = 0; i < SERVICES; i++) {
            subscribe(churn->bed, churn->runtime, &subs[i], services[i], "", NULL);
        }
        for (size_t i = 0; i < SERVICES; i++) {
            closings[i] = (struct closing){&subs[i], &closed};
            fl_subscription_close(subs[i].handle, on_done, &closings[i]);
        }
        latch_wait(&closed);
    }
    return NULL;
}

/* Half of the threads share a runtime with the hub, half have one of their own. */
static void test_opening_and_closing_from_many_threads(void **state) {
    FL_UNUSED(state);
    struct bed bed;
    struct churn churns[THREADS];
    struct fl_runtime *other;
    bed_open(&bed);
    assert_int_equal(fl_runtime_new(NULL, &other, NULL), 0);
    for (size_t i = 0; i < THREADS; i++) {
        churns[i] = (struct churn){.bed = &bed, .runtime = i % 2 ? other : bed.runtime};
        assert_int_equal(pthread_create(&churns[i].thread, NULL, run_churn, &churns[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(pthread_join(churns[i].thread, NULL), 0);
    bed_close(&bed);
    fl_runtime_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C17_C16_subscribers_on_eight_threads),
        cmocka_unit_test(test_opening_and_closing_from_many_threads),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
