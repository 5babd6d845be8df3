/* store.c - see store.h.
 *
 * Two maps by key: what is held, and the doubts of the list that is being read. An update makes a
 * new entry, exchanges it, tells the tap and frees the old one. Each list has a generation; an item
 * marks what is held under its key with it, and the sweep removes what carries an older mark. */
#include "kube/store.h"

#include "base/alloc.h"
#include "base/area.h"
#include "kube/store_inside.h"

uint64_t fl_kube_store_version(struct fl_str text) {
    uint64_t version;
    if (text.n == 0 || text.p[0] == '0') return 0;
    return fl_str_u64(text, &version) ? version : 0;
}

static struct fl_str key_of(const void *entry) { return fl_kube_entry_key(entry); }

int fl_kube_store_new(uint64_t seed, fl_kube_tap *tap, void *arg, struct fl_kube_store **out) {
    struct fl_kube_store *store = FL_NEW(struct fl_kube_store);
    *out = store;
    if (!store) return FL_ENOMEM;
    fl_map_init_keyed(&store->held, seed, key_of);
    fl_map_init(&store->doubts, seed);
    fl_map_init(&store->audit.suspects, seed);
    fl_map_init(&store->audit.removed, seed);
    store->tap = tap;
    store->arg = arg;
    store_account(store);
    return FL_OK;
}

void fl_kube_store_free(struct fl_kube_store *store) {
    if (!store) return;
    fl_kube_store_audit_drop(store);
    store_entries_free(store, &store->held);
    store_entries_free(store, &store->doubts);
    fl_area_add(FL_AREA_STORES, -(ptrdiff_t)store->known_bytes);
    fl_free(store);
}

void store_account(struct fl_kube_store *store) {
    size_t bytes = sizeof(*store) + store->entry_bytes + fl_map_table_bytes(&store->held) +
                   fl_map_table_bytes(&store->doubts);
    fl_area_add(FL_AREA_STORES, (ptrdiff_t)bytes - (ptrdiff_t)store->known_bytes);
    store->known_bytes = bytes;
}

const struct fl_kube_entry *fl_kube_store_next(const struct fl_kube_store *store, size_t *cursor) {
    struct fl_str key;
    void *entry;
    return fl_map_next(&store->held, cursor, &key, &entry) ? entry : NULL;
}

size_t fl_kube_store_count(const struct fl_kube_store *store) { return fl_map_count(&store->held); }

const struct fl_kube_entry *fl_kube_store_peek(const struct fl_kube_store *store, struct fl_str ns,
                                               struct fl_str name) {
    struct store_key key;
    return store_key_make(&key, ns, name) ? fl_map_get(&store->held, store_key_str(&key)) : NULL;
}

static int put(struct fl_kube_store *store, struct fl_kube_entry *entry, void **old) {
    struct fl_str key = fl_kube_entry_key(entry);
    if (fl_map_count(&store->held) >= FL_KUBE_STORE_OBJECTS_MAX && !fl_map_get(&store->held, key))
        return FL_EFULL;
    return fl_map_set(&store->held, key, entry, old);
}

static void put_back(struct fl_kube_store *store, struct fl_str key, void *old) {
    if (old)
        FL_ASSERT(fl_map_set(&store->held, key, old, NULL) == FL_OK);
    else
        fl_map_remove(&store->held, key);
}

int store_hold_take(struct fl_kube_store *store, struct fl_kube_entry *entry) {
    void *old = NULL;
    entry->generation = store->generation;
    entry->audit = store->audit.number;
    int rc = put(store, entry, &old);
    if (rc == FL_OK && (rc = store->tap(store->arg, old, entry)) < 0)
        put_back(store, fl_kube_entry_key(entry), old);
    store_entry_free(store, rc < 0 ? entry : old);
    store_account(store);
    return rc;
}

void store_release(struct fl_kube_store *store, struct fl_str key) {
    struct fl_kube_entry *old = fl_map_remove(&store->held, key);
    if (!old) return;
    store_audit_removed(store, fl_kube_entry_key(old));
    FL_ASSERT(store->tap(store->arg, old, NULL) == FL_OK);
    store_entry_free(store, old);
    store_account(store);
}

int fl_kube_store_apply(struct fl_kube_store *store, enum fl_k8s_event event,
                        struct fl_k8s_object *object) {
    struct store_key key;
    if (!store_key_make(&key, object->ns, object->name)) return FL_EPROTO;
    struct fl_kube_entry *held = fl_map_get(&store->held, store_key_str(&key));
    uint64_t version = fl_kube_store_version(object->resource_version);
    if (held && store_older(version, held->version)) return FL_OK;
    if (event == FL_K8S_DELETED) {
        store_release(store, store_key_str(&key));
        return FL_OK;
    }
    struct fl_kube_entry *entry = store_entry_new(store, object, &key);
    return entry ? store_hold_take(store, entry) : FL_ENOMEM;
}
