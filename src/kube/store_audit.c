/* store_audit.c - comparing what is held with the names and versions that a server says it has.
 *
 * The store and the list are of different moments, so a difference is at first a suspicion. Each
 * listed object that is held in that version is marked, and so is whatever changes meanwhile; of
 * what is removed meanwhile the key is kept. At the end, when the watch has told everything up to
 * the list's version, a suspicion counts if its object was not touched since, and what is held
 * without a mark is not on the server. So what is kept grows with
 * the differences and not with the store. */
#include "base/alloc.h"
#include "kube/store_inside.h"

#define SUSPECTS_MAX ((size_t)10000)
#define REMOVED_MAX  ((size_t)100000)

/* A listed object and how it was held then. */
struct store_suspect {
    uint64_t listed, held; /* versions */
    bool was_held;
};

static void map_clear(struct fl_map *map, bool values) {
    size_t cursor = 0;
    struct fl_str key;
    void *value;
    uint64_t seed = map->seed;
    while (values && fl_map_next(map, &cursor, &key, &value)) fl_free(value);
    fl_map_deinit(map);
    fl_map_init(map, seed);
}

void fl_kube_store_audit_drop(struct fl_kube_store *store) {
    store->audit.on = store->audit.full = false;
    map_clear(&store->audit.suspects, true);
    map_clear(&store->audit.removed, false);
}

void fl_kube_store_audit_begin(struct fl_kube_store *store) {
    fl_kube_store_audit_drop(store);
    store->audit.on = true;
    store->audit.number++;
}

void store_audit_removed(struct fl_kube_store *store, struct fl_str key) {
    struct store_audit *audit = &store->audit;
    if (!audit->on || audit->full) return;
    audit->full = fl_map_count(&audit->removed) >= REMOVED_MAX ||
                  fl_map_set(&audit->removed, key, store, NULL) < 0;
}

static int suspect(struct store_audit *audit, struct fl_str key, const struct store_suspect *what) {
    void *old;
    if (fl_map_count(&audit->suspects) >= SUSPECTS_MAX) return FL_EFULL;
    struct store_suspect *copy = FL_NEW(struct store_suspect);
    if (!copy) return FL_ENOMEM;
    *copy = *what;
    int rc = fl_map_set(&audit->suspects, key, copy, &old);
    fl_free(rc < 0 ? copy : old);
    return rc;
}

int fl_kube_store_audit_item(struct fl_kube_store *store, struct fl_str ns, struct fl_str name,
                             struct fl_str version) {
    struct store_audit *audit = &store->audit;
    struct store_key made;
    if (!audit->on) return FL_ECANCELLED;
    if (audit->full) return FL_EFULL;
    if (!store_key_make(&made, ns, name)) return FL_EPROTO;
    struct fl_str key = store_key_str(&made);
    struct fl_kube_entry *held =
        fl_map_get(&audit->removed, key) ? NULL : fl_map_get(&store->held, key);
    struct store_suspect what = {.listed = fl_kube_store_version(version)};
    if (!held) {
        if (fl_map_get(&audit->removed, key)) return FL_OK;
        return suspect(audit, key, &what);
    }
    if (held->audit == audit->number) return FL_OK;
    held->audit = audit->number;
    if (!what.listed || !held->version || what.listed == held->version) return FL_OK;
    what.held = held->version;
    what.was_held = true;
    return suspect(audit, key, &what);
}

static void count_suspect(const struct fl_kube_store *store, struct fl_str key,
                          const struct store_suspect *what, size_t counts[FL_KUBE_DIFFERENCES]) {
    const struct fl_kube_entry *held = fl_map_get(&store->held, key);
    if (fl_map_get(&store->audit.removed, key)) return;
    if (!what->was_held && !held)
        counts[FL_KUBE_MISSING]++;
    else if (what->was_held && held && held->version == what->held)
        counts[what->held < what->listed ? FL_KUBE_OLDER : FL_KUBE_NEWER]++;
}

static void count_suspects(const struct fl_kube_store *store, size_t counts[FL_KUBE_DIFFERENCES]) {
    size_t cursor = 0;
    struct fl_str key;
    void *what;
    while (fl_map_next(&store->audit.suspects, &cursor, &key, &what))
        count_suspect(store, key, what, counts);
}

/* Is it held without being on the server? */
static bool is_extra(const struct fl_kube_store *store, const struct fl_kube_entry *entry) {
    return entry->audit != store->audit.number;
}

/* What is newer than the list was held before it was asked for, so it is of a history that the
 * server does not know. */
static void count_extra(const struct fl_kube_store *store, uint64_t version,
                        size_t counts[FL_KUBE_DIFFERENCES]) {
    size_t cursor = 0;
    struct fl_str key;
    void *value;
    while (fl_map_next(&store->held, &cursor, &key, &value)) {
        const struct fl_kube_entry *entry = value;
        if (is_extra(store, entry))
            counts[store_older(version, entry->version) ? FL_KUBE_NEWER : FL_KUBE_EXTRA]++;
    }
}

static void release_extra(struct fl_kube_store *store) {
    for (struct fl_kube_entry *entry = fl_map_first(&store->held), *next; entry; entry = next) {
        struct fl_str key = fl_kube_entry_key(entry);
        next = fl_map_after(&store->held, key);
        if (is_extra(store, entry)) store_release(store, key);
    }
}

bool fl_kube_store_audit_agrees(struct fl_kube_store *store, uint64_t version) {
    size_t counts[FL_KUBE_DIFFERENCES] = {0};
    if (store->audit.full || fl_map_count(&store->audit.suspects) > 0) return false;
    count_extra(store, version, counts);
    return !counts[FL_KUBE_EXTRA] && !counts[FL_KUBE_NEWER];
}

int fl_kube_store_audit_end(struct fl_kube_store *store, uint64_t version,
                            size_t counts[FL_KUBE_DIFFERENCES]) {
    bool on = store->audit.on, full = store->audit.full;
    memset(counts, 0, FL_KUBE_DIFFERENCES * sizeof(counts[0]));
    if (on && !full) {
        count_suspects(store, counts);
        count_extra(store, version, counts);
    }
    fl_kube_store_audit_drop(store);
    if (!on || full) return on ? FL_EFULL : FL_ECANCELLED;
    if (counts[FL_KUBE_MISSING] || counts[FL_KUBE_OLDER] || counts[FL_KUBE_NEWER]) return FL_EGONE;
    if (counts[FL_KUBE_EXTRA]) release_extra(store);
    return FL_OK;
}
