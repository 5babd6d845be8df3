/* map.c - a hash map from byte strings to pointers. One thread at a time.
 *
 * Linear probing with the entries of the table in ascending order of their hash: an entry's home is
 * given by the top bits of its hash, one that finds its home taken moves the greater hashes on by a
 * place, and a removal moves those back that are not at home. A search ends at the first greater
 * hash. Because the order of the entries depends on their hashes alone, so does the order of
 * iteration, whatever the size and the history of the table (the simulation's replay needs that).
 * Entries that pass the end of the table continue at its beginning. */
#include "base/map.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"

#define CAP_FIRST ((size_t)8)

/* Packed: of two words a third would be padding, and tables are most of what small values cost. */
struct fl_map_slot {
    void *item; /* the value if it holds its key, else a struct pair; NULL: the slot is empty */
    uint32_t hash;
} __attribute__((packed, aligned(4)));

/* A value and the copy of its key. */
struct pair {
    void *value;
    uint32_t len;
    char key[];
};

void fl_map_init(struct fl_map *m, uint64_t seed) { *m = (struct fl_map){.seed = seed}; }

void fl_map_init_keyed(struct fl_map *m, uint64_t seed,
                       struct fl_str (*key_of)(const void *value)) {
    *m = (struct fl_map){.seed = seed, .key_of = key_of};
}

void fl_map_deinit(struct fl_map *m) {
    for (size_t i = 0; i < m->cap && !m->key_of; i++) fl_free(m->slots[i].item);
    fl_free(m->slots);
    fl_map_init_keyed(m, m->seed, m->key_of);
}

static struct fl_str key_of(const struct fl_map *m, const struct fl_map_slot *slot) {
    const struct pair *pair = slot->item;
    return m->key_of ? m->key_of(slot->item) : fl_str_n(pair->key, pair->len);
}

static void *value_of(const struct fl_map *m, const struct fl_map_slot *slot) {
    return m->key_of ? slot->item : ((struct pair *)slot->item)->value;
}

/* NULL: no memory, or a key that is too long. */
static void *item_new(const struct fl_map *m, struct fl_str key, void *value) {
    if (m->key_of) return value;
    struct pair *pair = key.n <= UINT32_MAX ? fl_alloc(sizeof(*pair) + key.n) : NULL;
    if (!pair) return NULL;
    pair->value = value;
    pair->len = (uint32_t)key.n;
    if (key.n) memcpy(pair->key, key.p, key.n);
    return pair;
}

static void item_free(const struct fl_map *m, void *item) {
    if (!m->key_of) fl_free(item);
}

static uint32_t hash_of(const struct fl_map *m, struct fl_str key) {
    return (uint32_t)(fl_hash(key, m->seed) >> 32);
}

static size_t home_of(const struct fl_map *m, uint32_t hash) {
    return (size_t)hash >> (32 - __builtin_ctzll(m->cap));
}

static size_t next_slot(const struct fl_map *m, size_t i) { return (i + 1) & (m->cap - 1); }

/* How far slot `i` is from the home of `hash`. */
static size_t distance(const struct fl_map *m, uint32_t hash, size_t i) {
    return (i - home_of(m, hash)) & (m->cap - 1);
}

static int compare(const struct fl_map *m, const struct fl_map_slot *slot, uint32_t hash,
                   struct fl_str key) {
    if (slot->hash != hash) return slot->hash < hash ? -1 : 1;
    return fl_str_cmp(key_of(m, slot), key);
}

/* The slot where the key is (true) or belongs (false). */
static bool find(const struct fl_map *m, uint32_t hash, struct fl_str key, size_t *out) {
    size_t i = home_of(m, hash);
    for (size_t d = 0; m->slots[i].item; d++, i = next_slot(m, i)) {
        const struct fl_map_slot *slot = &m->slots[i];
        size_t slot_d = distance(m, slot->hash, i);
        if (slot_d > d) continue; /* its home is before ours */
        int order = slot_d < d ? 1 : compare(m, slot, hash, key);
        if (order >= 0) {
            *out = i;
            return order == 0;
        }
    }
    *out = i;
    return false;
}

size_t fl_map_table_bytes(const struct fl_map *m) { return m->cap * sizeof(*m->slots); }

void *fl_map_get(const struct fl_map *m, struct fl_str key) {
    size_t i;
    if (m->count == 0) return NULL;
    return find(m, hash_of(m, key), key, &i) ? value_of(m, &m->slots[i]) : NULL;
}

/* Puts an entry at `i`, where it belongs; what is there moves on. */
static void insert_at(struct fl_map *m, size_t i, struct fl_map_slot entry) {
    while (m->slots[i].item) {
        struct fl_map_slot moved = m->slots[i];
        m->slots[i] = entry;
        entry = moved;
        i = next_slot(m, i);
    }
    m->slots[i] = entry;
}

static int grow(struct fl_map *m) {
    struct fl_map bigger = *m;
    bigger.cap = m->cap ? 2 * m->cap : CAP_FIRST;
    bigger.slots = fl_calloc(bigger.cap, sizeof(*bigger.slots));
    if (!bigger.slots) return FL_ENOMEM;
    for (size_t from = 0; from < m->cap; from++) {
        struct fl_map_slot *slot = &m->slots[from];
        size_t i;
        if (!slot->item) continue;
        find(&bigger, slot->hash, key_of(m, slot), &i);
        insert_at(&bigger, i, *slot);
    }
    fl_free(m->slots);
    *m = bigger;
    return 0;
}

static void replace(struct fl_map *m, struct fl_map_slot *slot, void *value, void **old) {
    if (old) *old = value_of(m, slot);
    if (m->key_of)
        slot->item = value;
    else
        ((struct pair *)slot->item)->value = value;
}

int fl_map_set(struct fl_map *m, struct fl_str key, void *value, void **old) {
    FL_ASSERT(value);
    uint32_t hash = hash_of(m, key);
    size_t i;
    if (old) *old = NULL;
    if (m->count && find(m, hash, key, &i)) {
        replace(m, &m->slots[i], value, old);
        return 0;
    }
    void *item = item_new(m, key, value);
    if (!item) return FL_ENOMEM;
    if (m->count + 1 > m->cap / 4 * 3 && grow(m) < 0) {
        item_free(m, item);
        return FL_ENOMEM;
    }
    find(m, hash, key, &i);
    insert_at(m, i, (struct fl_map_slot){item, hash});
    m->count++;
    return 0;
}

void *fl_map_remove(struct fl_map *m, struct fl_str key) {
    size_t i;
    if (m->count == 0 || !find(m, hash_of(m, key), key, &i)) return NULL;
    void *value = value_of(m, &m->slots[i]);
    item_free(m, m->slots[i].item);
    for (size_t next = next_slot(m, i);; i = next, next = next_slot(m, next)) {
        struct fl_map_slot *slot = &m->slots[next];
        if (!slot->item || distance(m, slot->hash, next) == 0) break;
        m->slots[i] = *slot;
    }
    m->slots[i] = (struct fl_map_slot){0};
    m->count--;
    return value;
}

/* How many slots at the beginning belong to the end. */
static size_t wrapped(const struct fl_map *m) {
    size_t i = 0;
    while (m->slots[i].item && home_of(m, m->slots[i].hash) > i) i++;
    return i;
}

bool fl_map_next(const struct fl_map *m, size_t *cursor, struct fl_str *key, void **value) {
    if (m->count == 0) return false;
    size_t first = wrapped(m);
    for (; *cursor < m->cap; (*cursor)++) {
        const struct fl_map_slot *slot = &m->slots[(first + *cursor) & (m->cap - 1)];
        if (!slot->item) continue;
        *key = key_of(m, slot);
        *value = value_of(m, slot);
        (*cursor)++;
        return true;
    }
    return false;
}

void *fl_map_first(const struct fl_map *m) {
    size_t cursor = 0;
    struct fl_str key;
    void *value;
    return fl_map_next(m, &cursor, &key, &value) ? value : NULL;
}

void *fl_map_after(const struct fl_map *m, struct fl_str key) {
    size_t i, found;
    uint32_t hash = hash_of(m, key);
    bool is_there = m->count && find(m, hash, key, &found);
    FL_ASSERT(is_there);
    for (i = next_slot(m, found); !m->slots[i].item; i = next_slot(m, i))
        ;
    bool wrapped_round = i == found || compare(m, &m->slots[i], hash, key) < 0;
    return wrapped_round ? NULL : value_of(m, &m->slots[i]);
}
