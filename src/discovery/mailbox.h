/* mailbox.h - one slot for the newest news of a watch, from the hub's thread to a subscriber's. */
#ifndef FL_DISCOVERY_MAILBOX_H
#define FL_DISCOVERY_MAILBOX_H

#include "discovery/set.h"

/* What all subscribers of a watch are told at once. Immutable, counted from any thread. */
struct fl_news;

/* References `set`, copies `trouble` (may be NULL: then no memory is needed). FL_ENOMEM. */
FL_MUST int fl_news_new(struct fl_set *set, const struct fl_error *trouble, struct fl_news **out);
struct fl_news *fl_news_ref(struct fl_news *news);
struct fl_news *fl_news_unref(struct fl_news *news); /* returns NULL; NULL is allowed */

struct fl_set *fl_news_set(const struct fl_news *news);             /* borrowed */
const struct fl_error *fl_news_trouble(const struct fl_news *news); /* NULL: the source answers */

struct fl_mailbox {
    _Atomic(struct fl_news *) slot;
};

void fl_mailbox_init(struct fl_mailbox *box);
void fl_mailbox_deinit(struct fl_mailbox *box);
/* The hub: puts the newest news in, with a reference; true: one that nobody had read was dropped.
 */
bool fl_mailbox_put(struct fl_mailbox *box, struct fl_news *news);
/* The subscriber: takes what is there, with its reference; NULL: nothing new. */
struct fl_news *fl_mailbox_steal(struct fl_mailbox *box);
/* The subscriber: could not use it now. Gives it back unless newer news came meanwhile. */
void fl_mailbox_take_back(struct fl_mailbox *box, struct fl_news *news);

#endif
