/* shown.h - objects of a loop that tell of themselves when somebody asks.
 *
 * A channel enters itself; the admin server (admin/) asks all, knowing none. On the loop's thread
 * only. */
#ifndef FL_BASE_SHOWN_H
#define FL_BASE_SHOWN_H

#include "base/buf.h"

struct fl_shown {
    struct fl_shown *next, **place; /* place: where the pointer to this one is; NULL: not entered */
    /* Appends what there is to tell as one JSON object. FL_EFULL, FL_ENOMEM. */
    int (*write)(struct fl_shown *shown, struct fl_buf *out);
};

/* Enters it in front of the others; `first` is the loop's (struct fl_io.channels). */
static inline void fl_shown_enter(struct fl_shown **first, struct fl_shown *shown) {
    shown->next = *first;
    shown->place = first;
    if (shown->next) shown->next->place = &shown->next;
    *first = shown;
}

static inline void fl_shown_leave(struct fl_shown *shown) { /* twice is allowed */
    if (!shown->place) return;
    *shown->place = shown->next;
    if (shown->next) shown->next->place = shown->place;
    shown->place = NULL;
}

#endif
