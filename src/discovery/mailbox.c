/* mailbox.c - one slot for the newest news of a watch. See mailbox.h for who calls what.
 *
 * The slot owns a reference. Both sides change it by an atomic exchange and own what they got out,
 * so no side ever counts a reference on something that the other may be freeing, nothing is older
 * after newer (C16), and a slow subscriber costs one unread set, never a queue. */
#include "discovery/mailbox.h"

#include "base/alloc.h"

int fl_news_new(struct fl_set *set, const struct fl_error *trouble, struct fl_news **out) {
    struct fl_news *news = *out = fl_alloc(sizeof(*news) + (trouble ? sizeof(struct fl_error) : 0));
    if (!news) return FL_ENOMEM;
    atomic_init(&news->refs, 1);
    news->set = fl_set_ref(set);
    news->trouble = NULL;
    if (trouble) {
        news->trouble = (struct fl_error *)(void *)(news + 1);
        *news->trouble = *trouble;
    }
    return 0;
}

struct fl_news *fl_news_ref(struct fl_news *news) {
    atomic_fetch_add_explicit(&news->refs, 1, memory_order_relaxed);
    return news;
}

struct fl_news *fl_news_unref(struct fl_news *news) {
    if (!news || atomic_fetch_sub_explicit(&news->refs, 1, memory_order_acq_rel) > 1) return NULL;
    fl_set_unref(news->set);
    fl_free(news);
    return NULL;
}

void fl_mailbox_init(struct fl_mailbox *box) { atomic_init(&box->slot, NULL); }

void fl_mailbox_deinit(struct fl_mailbox *box) { fl_news_unref(fl_mailbox_steal(box)); }

bool fl_mailbox_put(struct fl_mailbox *box, struct fl_news *news) {
    struct fl_news *unread =
        atomic_exchange_explicit(&box->slot, fl_news_ref(news), memory_order_acq_rel);
    fl_news_unref(unread);
    return unread != NULL;
}

struct fl_news *fl_mailbox_steal(struct fl_mailbox *box) {
    return atomic_exchange_explicit(&box->slot, NULL, memory_order_acq_rel);
}

void fl_mailbox_take_back(struct fl_mailbox *box, struct fl_news *news) {
    struct fl_news *empty = NULL;
    if (!atomic_compare_exchange_strong_explicit(&box->slot, &empty, news, memory_order_acq_rel,
                                                 memory_order_relaxed)) {
        fl_news_unref(news);
    }
}
