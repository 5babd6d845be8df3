/* store_list.c - lists by mark and sweep; see store.h. */
#include "kube/store_inside.h"

static void doubts_drop(struct fl_kube_store *store) {
    uint64_t seed = store->doubts.seed;
    store_entries_free(store, &store->doubts);
    fl_map_init(&store->doubts, seed);
    store->contradicts = false;
    store_account(store);
}

void fl_kube_store_list_begin(struct fl_kube_store *store, uint64_t position) {
    fl_kube_store_audit_drop(store);
    doubts_drop(store);
    store->generation++;
    store->position = position;
    store->seen = 0;
}

static int doubt(struct fl_kube_store *store, struct fl_k8s_object *object,
                 const struct store_key *key) {
    struct fl_kube_entry *entry = store_entry_new(store, object, key);
    if (!entry) return FL_ENOMEM;
    void *old = NULL;
    int rc = FL_EFULL;
    if (fl_map_count(&store->doubts) < FL_KUBE_STORE_OBJECTS_MAX)
        rc = fl_map_set(&store->doubts, store_key_str(key), entry, &old);
    store_entry_free(store, rc < 0 ? entry : old);
    store_account(store);
    return rc;
}

static int take_new(struct fl_kube_store *store, struct fl_k8s_object *object,
                    const struct store_key *key) {
    struct fl_kube_entry *entry = store_entry_new(store, object, key);
    return entry ? store_hold_take(store, entry) : FL_ENOMEM;
}

int fl_kube_store_list_item(struct fl_kube_store *store, struct fl_k8s_object *object) {
    struct store_key key;
    if (!store_key_make(&key, object->ns, object->name)) return FL_EPROTO;
    struct fl_kube_entry *held = fl_map_get(&store->held, store_key_str(&key));
    uint64_t version = fl_kube_store_version(object->resource_version);
    if (!held) {
        store->seen++;
        if (version && version <= store->position) return doubt(store, object, &key);
        return take_new(store, object, &key);
    }
    if (held->generation != store->generation) store->seen++;
    held->generation = store->generation;
    if (version && version == held->version) return FL_OK;
    if (!store_older(version, held->version)) return take_new(store, object, &key);
    store->contradicts = true;
    return doubt(store, object, &key);
}

/* What a newer version of the object says counts; what is held and not newer is not marked any
 * more, for the sweep to judge by the list's version. */
int fl_kube_store_list_delete(struct fl_kube_store *store, struct fl_k8s_object *object) {
    struct store_key key;
    if (!store_key_make(&key, object->ns, object->name)) return FL_EPROTO;
    store_entry_free(store, fl_map_remove(&store->doubts, store_key_str(&key)));
    struct fl_kube_entry *held = fl_map_get(&store->held, store_key_str(&key));
    if (held && store_older(fl_kube_store_version(object->resource_version), held->version))
        held->generation = store->generation - 1;
    else
        store_release(store, store_key_str(&key));
    store_account(store);
    return FL_OK;
}

size_t fl_kube_store_list_seen(const struct fl_kube_store *store) { return store->seen; }

bool fl_kube_store_list_contradicts(const struct fl_kube_store *store, uint64_t version) {
    size_t cursor = 0;
    struct fl_str key;
    void *value;
    if (store->contradicts) return true;
    while (fl_map_next(&store->held, &cursor, &key, &value)) {
        const struct fl_kube_entry *entry = value;
        if (entry->generation != store->generation && store_older(version, entry->version))
            return true;
    }
    return false;
}

/* Moves the doubts into what is held: all of them, or those whose key is not held. */
static int doubts_settle(struct fl_kube_store *store, bool all) {
    size_t cursor = 0;
    struct fl_str key;
    void *value;
    int rc = FL_OK;
    struct fl_map doubts = store->doubts;
    fl_map_init(&store->doubts, doubts.seed);
    while (fl_map_next(&doubts, &cursor, &key, &value)) {
        if (rc == FL_OK && (all || !fl_map_get(&store->held, key)))
            rc = store_hold_take(store, value);
        else
            store_entry_free(store, value);
    }
    fl_map_deinit(&doubts);
    return rc;
}

/* Removes what this list did not mark; what is newer than `version` is unknown to it and stays. */
static void sweep(struct fl_kube_store *store, uint64_t version) {
    for (struct fl_kube_entry *entry = fl_map_first(&store->held), *next; entry; entry = next) {
        struct fl_str key = fl_kube_entry_key(entry);
        next = fl_map_after(&store->held, key);
        if (entry->generation == store->generation || store_older(version, entry->version))
            continue;
        store_release(store, key);
    }
}

int fl_kube_store_list_end(struct fl_kube_store *store, uint64_t version,
                           enum fl_kube_trust trust) {
    int rc = FL_OK;
    if (trust != FL_KUBE_REFUSE) rc = doubts_settle(store, trust == FL_KUBE_REPLACE);
    if (trust != FL_KUBE_REFUSE && rc == FL_OK)
        sweep(store, trust == FL_KUBE_REPLACE ? 0 : version);
    doubts_drop(store);
    return rc;
}
