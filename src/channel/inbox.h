/* inbox.h - calls that other threads started, on their way to the channel's loop.
 *
 * Bounded, many producers, one consumer, no lock: producers push onto a stack whose head is one
 * atomic word, the loop takes the whole stack and turns it round. */
#ifndef FL_CHANNEL_INBOX_H
#define FL_CHANNEL_INBOX_H

#include <stdatomic.h>

#include "base/def.h"

struct fl_inbox_item {
    struct fl_inbox_item *next;
};

struct fl_inbox {
    _Atomic(struct fl_inbox_item *) head;
    atomic_size_t count;
    size_t max;
};

void fl_inbox_init(struct fl_inbox *inbox, size_t max);
/* Any thread. False: full, nothing was taken. */
FL_MUST bool fl_inbox_push(struct fl_inbox *inbox, struct fl_inbox_item *item);
/* The loop's thread: everything so far, oldest first, linked by `next`; NULL: nothing. */
struct fl_inbox_item *fl_inbox_steal_all(struct fl_inbox *inbox);

#endif
