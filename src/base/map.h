/* map.h - a hash map from byte strings to pointers, keyed against chosen collisions.
 *
 * Values are the caller's. Keys are copied; or the values hold them, which costs 16 bytes a place
 * and nothing else. Open addressing with backward-shift deletion; the order of iteration depends on
 * the keys and the seed only. */
#ifndef FL_BASE_MAP_H
#define FL_BASE_MAP_H

#include "base/str.h"

struct fl_map_slot;

struct fl_map {
    struct fl_map_slot *slots;
    size_t count, cap;
    uint64_t seed;
    struct fl_str (*key_of)(const void *value); /* NULL: keys are copied */
};

void fl_map_init(struct fl_map *m, uint64_t seed);
/* One whose values hold their keys: `key_of` gives what a value was set under, which stays where it
 * is and as it is while the value is in the map. */
void fl_map_init_keyed(struct fl_map *m, uint64_t seed, struct fl_str (*key_of)(const void *value));
void fl_map_deinit(struct fl_map *m); /* frees copies of keys, not values */
static inline size_t fl_map_count(const struct fl_map *m) { return m->count; }
void *fl_map_get(const struct fl_map *m, struct fl_str key); /* NULL: not there */

/* Sets key to value (not NULL); *old (may be NULL) gets what stood there. FL_ENOMEM: unchanged. */
FL_MUST int fl_map_set(struct fl_map *m, struct fl_str key, void *value, void **old);
void *fl_map_remove(struct fl_map *m, struct fl_str key); /* the value that stood there, or NULL */

/* What the table takes, without copies of keys. */
size_t fl_map_table_bytes(const struct fl_map *m);

/* Walks the map: start with *cursor = 0; false at the end. The map must not change meanwhile; what
 * was given may be freed if nothing but fl_map_deinit follows. */
bool fl_map_next(const struct fl_map *m, size_t *cursor, struct fl_str *key, void **value);
/* The value that follows that of `key`, which is there; NULL: it is the last. For a walk during
 * which values are removed, each after the next one was asked for. */
void *fl_map_after(const struct fl_map *m, struct fl_str key);
/* The first value; NULL: the map is empty. */
void *fl_map_first(const struct fl_map *m);

#endif
