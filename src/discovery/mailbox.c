/* mailbox.c - one slot for the newest news of a watch. See mailbox.h for who calls what.
 *
 * The slot owns a reference. Both sides change it by an atomic exchange and own what they got out,
 * so no side ever counts a reference on something that the other may be freeing, nothing is older
 * after newer (C16), and a slow subscriber costs one unread set, never a queue.
 *
 * Each watch keeps its newest news, and nearly all have no trouble to tell: those are the set
 * itself. The address of others is marked in its lowest bit. */
#include "discovery/mailbox.h"

#include "base/alloc.h"

#define MARK ((uintptr_t)1)

struct troubled {
    atomic_uint refs;
    struct fl_set *set;
    struct fl_error trouble;
};

/* NULL: the news are the set. */
static struct troubled *troubled_of(const struct fl_news *news) {
    uintptr_t address = (uintptr_t)news;
    return address & MARK ? (struct troubled *)(address & ~MARK) : NULL;
}

struct fl_set *fl_news_set(const struct fl_news *news) {
    const struct troubled *troubled = troubled_of(news);
    return troubled ? troubled->set : (struct fl_set *)(uintptr_t)news;
}

const struct fl_error *fl_news_trouble(const struct fl_news *news) {
    const struct troubled *troubled = troubled_of(news);
    return troubled ? &troubled->trouble : NULL;
}

int fl_news_new(struct fl_set *set, const struct fl_error *trouble, struct fl_news **out) {
    *out = NULL;
    struct troubled *troubled = trouble ? FL_NEW(struct troubled) : NULL;
    if (trouble && !troubled) return FL_ENOMEM;
    fl_set_ref(set);
    *out = (struct fl_news *)set;
    if (!troubled) return 0;
    atomic_init(&troubled->refs, 1);
    troubled->set = set;
    troubled->trouble = *trouble;
    *out = (struct fl_news *)((uintptr_t)troubled | MARK);
    return 0;
}

struct fl_news *fl_news_ref(struct fl_news *news) {
    struct troubled *troubled = troubled_of(news);
    if (troubled)
        atomic_fetch_add_explicit(&troubled->refs, 1, memory_order_relaxed);
    else
        fl_set_ref(fl_news_set(news));
    return news;
}

struct fl_news *fl_news_unref(struct fl_news *news) {
    struct troubled *troubled = troubled_of(news);
    bool last =
        !troubled || atomic_fetch_sub_explicit(&troubled->refs, 1, memory_order_acq_rel) == 1;
    if (last) fl_set_unref(fl_news_set(news));
    if (last) fl_free(troubled);
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
