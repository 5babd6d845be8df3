/* Many producers, one consumer: nothing lost, nothing twice, each producer's order, the bound. */
#include "support/alloc.h"

#include <pthread.h>
#include <sched.h>

#include "channel/inbox.h"

#define PRODUCERS 4
#define EACH      20000

struct item {
    struct fl_inbox_item inbox;
    unsigned producer, number;
};

static struct fl_inbox inbox;
static struct item items[PRODUCERS][EACH];

static void *produce(void *arg) {
    unsigned producer = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < EACH; i++) {
        struct item *item = &items[producer][i];
        item->producer = producer;
        item->number = i;
        while (!fl_inbox_push(&inbox, &item->inbox)) sched_yield();
    }
    return NULL;
}

static void test_producers_and_consumer(void **state) {
    FL_UNUSED(state);
    fl_inbox_init(&inbox, 100);
    pthread_t threads[PRODUCERS];
    for (size_t i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, produce, (void *)(uintptr_t)i), 0);
    unsigned next[PRODUCERS] = {0};
    for (size_t seen = 0; seen < (size_t)PRODUCERS * EACH;) {
        struct fl_inbox_item *at = fl_inbox_steal_all(&inbox);
        if (!at) sched_yield();
        for (; at; at = at->next, seen++) {
            struct item *item = FL_CONTAINER(at, struct item, inbox);
            assert_int_equal(item->number, next[item->producer]++);
        }
    }
    for (size_t i = 0; i < PRODUCERS; i++) pthread_join(threads[i], NULL);
    assert_null(fl_inbox_steal_all(&inbox));
    assert_int_equal(atomic_load(&inbox.count), 0);
}

static void test_bound(void **state) {
    FL_UNUSED(state);
    struct item three[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    fl_inbox_init(&inbox, 2);
    assert_true(fl_inbox_push(&inbox, &three[0].inbox));
    assert_true(fl_inbox_push(&inbox, &three[1].inbox));
    assert_false(fl_inbox_push(&inbox, &three[2].inbox));
    struct fl_inbox_item *oldest = fl_inbox_steal_all(&inbox);
    assert_ptr_equal(oldest, &three[0].inbox);
    assert_ptr_equal(oldest->next, &three[1].inbox);
    assert_null(oldest->next->next);
    assert_true(fl_inbox_push(&inbox, &three[2].inbox));
    assert_ptr_equal(fl_inbox_steal_all(&inbox), &three[2].inbox);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_producers_and_consumer),
        cmocka_unit_test(test_bound),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
