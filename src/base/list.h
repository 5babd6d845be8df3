/* list.h - an intrusive doubly linked list with a head. */
#ifndef FL_BASE_LIST_H
#define FL_BASE_LIST_H

#include "base/def.h"

struct fl_list {
    struct fl_list *next, *prev;
};

static inline void fl_list_init(struct fl_list *head) { head->next = head->prev = head; }
static inline bool fl_list_empty(const struct fl_list *head) { return head->next == head; }
static inline void fl_list_push(struct fl_list *head, struct fl_list *item) { /* at the end */
    item->next = head;
    item->prev = head->prev;
    head->prev->next = item;
    head->prev = item;
}
static inline void fl_list_remove(struct fl_list *item) { /* leaves the item initialised */
    item->prev->next = item->next;
    item->next->prev = item->prev;
    fl_list_init(item);
}
/* `item` may be removed in the body; nothing else may. */
#define FL_LIST_EACH(head, item, next_item)                                                        \
    for (struct fl_list *item = (head)->next, *next_item = item->next; item != (head);             \
         item = next_item, next_item = item->next)

#endif
