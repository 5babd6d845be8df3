/* intern.c - names that many endpoints share, each kept once. Any thread.
 *
 * Entries lie in pages that never move; an id is page and place. A hash table of chains finds an
 * entry by its text. All of that and the counts change under one lock; whoever has many ids to
 * count does it in one go. The text of an id one holds is read without the lock: its page was
 * published with release, and the text of a held entry does not change. When the last entry goes,
 * all memory goes. */
#include "base/intern.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/area.h"
#include "base/error.h"
#include "base/hash.h"

#define PAGE_BITS     10
#define PAGE_ENTRIES  (1u << PAGE_BITS)
#define PAGES         1024u
#define IDS_MAX       (PAGES * PAGE_ENTRIES)
#define BUCKETS_FIRST 256u

struct entry {
    char *text; /* NULL: free */
    uint32_t len, refs;
    uint64_t hash;
    uint32_t next;         /* id of the next one in its chain or in the free list; 0: the last */
    _Atomic uint32_t zone; /* an id, 0 while nobody said; then it stays as long as the entry */
    bool is_zone;          /* of another entry, once */
};
#define PAGE_BYTES ((ptrdiff_t)(PAGE_ENTRIES * sizeof(struct entry)))

static struct {
    _Atomic(struct entry *) pages[PAGES];
    pthread_mutex_t lock; /* of what follows, and of the chains */
    uint32_t *buckets;    /* ids; a power of two of them */
    uint32_t bucket_count, count;
    uint32_t free_first; /* id */
    uint32_t ids_used;   /* ids from here on were never used; 0 is the empty string's */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .ids_used = 1};

static struct entry *entry_of(uint32_t id) {
    struct entry *page = atomic_load_explicit(&table.pages[id >> PAGE_BITS], memory_order_acquire);
    return &page[id & (PAGE_ENTRIES - 1)];
}

static uint32_t *bucket_of(uint64_t hash) {
    return &table.buckets[hash & (table.bucket_count - 1)];
}

static uint32_t find(struct fl_str text, uint64_t hash) {
    if (table.count == 0) return 0;
    for (uint32_t id = *bucket_of(hash); id; id = entry_of(id)->next) {
        const struct entry *e = entry_of(id);
        if (e->hash == hash && fl_str_eq(fl_str_n(e->text, e->len), text)) return id;
    }
    return 0;
}

static int grow_buckets(void) {
    uint32_t old_count = table.bucket_count, *old = table.buckets;
    uint32_t count = old_count ? 2 * old_count : BUCKETS_FIRST;
    uint32_t *buckets = fl_calloc(count, sizeof(*buckets));
    if (!buckets) return FL_ENOMEM;
    fl_area_add(FL_AREA_NAMES, (ptrdiff_t)((count - old_count) * sizeof(*buckets)));
    table.buckets = buckets;
    table.bucket_count = count;
    for (uint32_t i = 0; i < old_count; i++) {
        for (uint32_t id = old[i], next; id; id = next) {
            struct entry *e = entry_of(id);
            next = e->next;
            e->next = *bucket_of(e->hash);
            *bucket_of(e->hash) = id;
        }
    }
    fl_free(old);
    return 0;
}

/* An id whose entry is free: one given back, else a new one. */
static int take_id(uint32_t *id) {
    if (table.free_first) {
        *id = table.free_first;
        table.free_first = entry_of(*id)->next;
        return 0;
    }
    if (table.ids_used == IDS_MAX) return FL_EFULL;
    _Atomic(struct entry *) *page = &table.pages[table.ids_used >> PAGE_BITS];
    if (!atomic_load_explicit(page, memory_order_relaxed)) {
        struct entry *entries = fl_calloc(PAGE_ENTRIES, sizeof(*entries));
        if (!entries) return FL_ENOMEM;
        fl_area_add(FL_AREA_NAMES, PAGE_BYTES);
        atomic_store_explicit(page, entries, memory_order_release);
    }
    *id = table.ids_used++;
    return 0;
}

static void free_all(void) {
    for (uint32_t i = 0; i < PAGES; i++) {
        struct entry *page = atomic_exchange_explicit(&table.pages[i], NULL, memory_order_relaxed);
        if (page) fl_area_add(FL_AREA_NAMES, -PAGE_BYTES);
        fl_free(page);
    }
    fl_area_add(FL_AREA_NAMES, -(ptrdiff_t)(table.bucket_count * sizeof(*table.buckets)));
    fl_free(table.buckets);
    table.buckets = NULL;
    table.bucket_count = table.free_first = 0;
    table.ids_used = 1;
}

static int insert(struct fl_str text, uint64_t hash, uint32_t *id) {
    char *copy = text.n < UINT32_MAX ? fl_str_dup(text) : NULL;
    int rc = copy ? 0 : FL_ENOMEM;
    if (rc == 0 && table.count >= table.bucket_count) rc = grow_buckets();
    if (rc == 0) rc = take_id(id);
    if (rc < 0) {
        fl_free(copy);
        if (table.count == 0) free_all();
        return rc;
    }
    struct entry *e = entry_of(*id);
    fl_area_add(FL_AREA_NAMES, (ptrdiff_t)text.n + 1);
    e->text = copy;
    e->len = (uint32_t)text.n;
    e->hash = hash;
    atomic_store_explicit(&e->zone, 0, memory_order_relaxed);
    e->is_zone = false;
    e->next = *bucket_of(hash);
    e->refs = 1;
    *bucket_of(hash) = *id;
    table.count++;
    return 0;
}

static void remove_entry(uint32_t id) {
    struct entry *e = entry_of(id);
    uint32_t *link = bucket_of(e->hash),
             zone = atomic_load_explicit(&e->zone, memory_order_relaxed);
    /* Not the last one: who has a zone is none, so that this goes no deeper than once. */
    if (zone && --entry_of(zone)->refs == 0) remove_entry(zone);
    while (*link != id) link = &entry_of(*link)->next;
    *link = e->next;
    fl_area_add(FL_AREA_NAMES, -((ptrdiff_t)e->len + 1));
    fl_free(e->text);
    e->text = NULL;
    e->next = table.free_first;
    table.free_first = id;
    if (--table.count == 0) free_all();
}

int fl_intern_ref(struct fl_str text, uint32_t *id) {
    *id = 0;
    if (text.n == 0) return 0;
    /* The seed differs from process to process where addresses do: enough against names that were
     * chosen to collide. */
    uint64_t hash = fl_hash(text, (uint64_t)(uintptr_t)&table);
    int rc = 0;
    pthread_mutex_lock(&table.lock);
    uint32_t found = find(text, hash);
    if (found) {
        entry_of(found)->refs++;
        *id = found;
    } else {
        rc = insert(text, hash, id);
    }
    pthread_mutex_unlock(&table.lock);
    return rc;
}

static inline void ref_held(uint32_t id) {
    if (id) entry_of(id)->refs++;
}

static inline void unref_held(uint32_t id) {
    if (id && --entry_of(id)->refs == 0) remove_entry(id);
}

void fl_intern_ref_ids(const uint32_t *ids, size_t count) {
    pthread_mutex_lock(&table.lock);
    for (size_t i = 0; i < count; i++) ref_held(ids[i]);
    pthread_mutex_unlock(&table.lock);
}

void fl_intern_unref_ids(const uint32_t *ids, size_t count) {
    pthread_mutex_lock(&table.lock);
    for (size_t i = 0; i < count; i++) unref_held(ids[i]);
    pthread_mutex_unlock(&table.lock);
}

void fl_intern_unref(uint32_t id) {
    if (id) fl_intern_unref_ids(&id, 1);
}

void fl_intern_set_zone(uint32_t node, uint32_t zone) {
    if (node == 0 || zone == 0 || node == zone) return;
    pthread_mutex_lock(&table.lock);
    struct entry *e = entry_of(node), *of = entry_of(zone);
    bool known = atomic_load_explicit(&e->zone, memory_order_relaxed) != 0;
    if (!known && !e->is_zone && !atomic_load_explicit(&of->zone, memory_order_relaxed)) {
        of->refs++;
        of->is_zone = true;
        atomic_store_explicit(&e->zone, zone, memory_order_release);
    }
    pthread_mutex_unlock(&table.lock);
}

uint32_t fl_intern_zone(uint32_t node) {
    return node ? atomic_load_explicit(&entry_of(node)->zone, memory_order_acquire) : 0;
}

struct fl_str fl_intern_str(uint32_t id) {
    if (id == 0) return FL_STR("");
    const struct entry *e = entry_of(id);
    return fl_str_n(e->text, e->len);
}
