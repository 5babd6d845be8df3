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

struct fl_map_slot {
    uint64_t hash;
    char *key; /* NULL: the slot is empty */
    size_t key_len;
    void *value;
};

void fl_map_init(struct fl_map *m, uint64_t seed) { *m = (struct fl_map){.seed = seed}; }

void fl_map_deinit(struct fl_map *m) {
    for (size_t i = 0; i < m->cap; i++) fl_free(m->slots[i].key);
    fl_free(m->slots);
    fl_map_init(m, m->seed);
}

static size_t home_of(const struct fl_map *m, uint64_t hash) {
    return (size_t)(hash >> (64 - __builtin_ctzll(m->cap)));
}

static size_t next_slot(const struct fl_map *m, size_t i) { return (i + 1) & (m->cap - 1); }

/* How far slot `i` is from the home of `hash`. */
static size_t distance(const struct fl_map *m, uint64_t hash, size_t i) {
    return (i - home_of(m, hash)) & (m->cap - 1);
}

static int compare(const struct fl_map_slot *slot, uint64_t hash, struct fl_str key) {
    if (slot->hash != hash) return slot->hash < hash ? -1 : 1;
    return fl_str_cmp(fl_str_n(slot->key, slot->key_len), key);
}

/* The slot where the key is (true) or belongs (false). */
static bool find(const struct fl_map *m, uint64_t hash, struct fl_str key, size_t *out) {
    size_t i = home_of(m, hash);
    for (size_t d = 0; m->slots[i].key; d++, i = next_slot(m, i)) {
        const struct fl_map_slot *slot = &m->slots[i];
        size_t slot_d = distance(m, slot->hash, i);
        if (slot_d > d) continue; /* its home is before ours */
        int order = slot_d < d ? 1 : compare(slot, hash, key);
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
    return find(m, fl_hash(key, m->seed), key, &i) ? m->slots[i].value : NULL;
}

/* Puts an entry at `i`, where it belongs; what is there moves on. */
static void insert_at(struct fl_map *m, size_t i, struct fl_map_slot entry) {
    while (m->slots[i].key) {
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
        if (!slot->key) continue;
        find(&bigger, slot->hash, fl_str_n(slot->key, slot->key_len), &i);
        insert_at(&bigger, i, *slot);
    }
    fl_free(m->slots);
    *m = bigger;
    return 0;
}

int fl_map_set(struct fl_map *m, struct fl_str key, void *value, void **old) {
    FL_ASSERT(value);
    uint64_t hash = fl_hash(key, m->seed);
    size_t i;
    if (old) *old = NULL;
    if (m->count && find(m, hash, key, &i)) {
        if (old) *old = m->slots[i].value;
        m->slots[i].value = value;
        return 0;
    }
    char *copy = fl_str_dup(key);
    if (!copy) return FL_ENOMEM;
    if (m->count + 1 > m->cap / 4 * 3 && grow(m) < 0) {
        fl_free(copy);
        return FL_ENOMEM;
    }
    find(m, hash, key, &i);
    insert_at(m, i, (struct fl_map_slot){hash, copy, key.n, value});
    m->count++;
    return 0;
}

void *fl_map_remove(struct fl_map *m, struct fl_str key) {
    size_t i;
    if (m->count == 0 || !find(m, fl_hash(key, m->seed), key, &i)) return NULL;
    void *value = m->slots[i].value;
    fl_free(m->slots[i].key);
    for (size_t next = next_slot(m, i);; i = next, next = next_slot(m, next)) {
        struct fl_map_slot *slot = &m->slots[next];
        if (!slot->key || distance(m, slot->hash, next) == 0) break;
        m->slots[i] = *slot;
    }
    m->slots[i] = (struct fl_map_slot){0};
    m->count--;
    return value;
}

/* How many slots at the beginning belong to the end. */
static size_t wrapped(const struct fl_map *m) {
    size_t i = 0;
    while (m->slots[i].key && home_of(m, m->slots[i].hash) > i) i++;
    return i;
}

bool fl_map_next(const struct fl_map *m, size_t *cursor, struct fl_str *key, void **value) {
    if (m->count == 0) return false;
    size_t first = wrapped(m);
    for (; *cursor < m->cap; (*cursor)++) {
        const struct fl_map_slot *slot = &m->slots[(first + *cursor) & (m->cap - 1)];
        if (!slot->key) continue;
        *key = fl_str_n(slot->key, slot->key_len);
        *value = slot->value;
        (*cursor)++;
        return true;
    }
    return false;
}
