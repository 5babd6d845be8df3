/* inbox.c - a bounded stack of one atomic word. Since only whole stacks are taken, a head that came
 * back (ABA) does no harm. */
#include "channel/inbox.h"

void fl_inbox_init(struct fl_inbox *inbox, size_t max) {
    atomic_init(&inbox->head, NULL);
    atomic_init(&inbox->count, 0);
    inbox->max = max;
}

bool fl_inbox_push(struct fl_inbox *inbox, struct fl_inbox_item *item) {
    if (atomic_fetch_add_explicit(&inbox->count, 1, memory_order_relaxed) >= inbox->max) {
        atomic_fetch_sub_explicit(&inbox->count, 1, memory_order_relaxed);
        return false;
    }
    item->next = atomic_load_explicit(&inbox->head, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&inbox->head, &item->next, item,
                                                  memory_order_release, memory_order_relaxed)) {
    }
    return true;
}

struct fl_inbox_item *fl_inbox_steal_all(struct fl_inbox *inbox) {
    struct fl_inbox_item *item = atomic_exchange_explicit(&inbox->head, NULL, memory_order_acquire);
    struct fl_inbox_item *oldest = NULL;
    size_t taken = 0;
    for (struct fl_inbox_item *next; item; item = next, taken++) {
        next = item->next;
        item->next = oldest;
        oldest = item;
    }
    atomic_fetch_sub_explicit(&inbox->count, taken, memory_order_relaxed);
    return oldest;
}
