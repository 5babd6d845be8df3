/* store.c - see store.h.
 *
 * Two maps by key: what is held, and the doubts of the list that is being read. An update makes a
 * new entry, exchanges it, tells the tap and frees the old one. Each list has a generation; an item
 * marks what is held under its key with it, and the sweep removes what carries an older mark. */
#include "kube/store.h"

#include "base/alloc.h"
#include "base/map.h"

struct fl_kube_store {
    struct fl_map held, doubts;
    fl_kube_tap *tap;
    void *arg;
    uint64_t position; /* of the list being read: complete up to here before it */
    uint32_t generation;
    bool contradicts;
};

struct fl_str fl_kube_entry_key(const struct fl_kube_entry *entry) {
    return fl_str_n(entry->text, (size_t)entry->ns_len + 1 + entry->name_len);
}

struct fl_str fl_kube_entry_ns(const struct fl_kube_entry *entry) {
    return fl_str_n(entry->text, entry->ns_len);
}

struct fl_str fl_kube_entry_name(const struct fl_kube_entry *entry) {
    return fl_str_n(entry->text + entry->ns_len + 1, entry->name_len);
}

struct fl_str fl_kube_entry_owner(const struct fl_kube_entry *entry) {
    return fl_str_n(entry->text + fl_kube_entry_key(entry).n, entry->owner_len);
}

uint64_t fl_kube_store_version(struct fl_str text) {
    uint64_t version;
    if (text.n == 0 || text.p[0] == '0') return 0;
    return fl_str_u64(text, &version) ? version : 0;
}

/* Names of Kubernetes are at most 253 bytes; this is the bound for what a peer may make us keep. */
#define NAME_MAX_BYTES 253
#define KEY_MAX_BYTES  (2 * NAME_MAX_BYTES + 1)

struct key {
    char text[KEY_MAX_BYTES];
    size_t n;
};

static bool key_make(struct key *key, struct fl_str ns, struct fl_str name) {
    if (name.n == 0 || name.n > NAME_MAX_BYTES || ns.n > NAME_MAX_BYTES) return false;
    if (ns.n) memcpy(key->text, ns.p, ns.n);
    key->text[ns.n] = '/';
    memcpy(key->text + ns.n + 1, name.p, name.n);
    key->n = ns.n + 1 + name.n;
    return true;
}

static struct fl_str key_str(const struct key *key) { return fl_str_n(key->text, key->n); }

static void entry_free(struct fl_kube_entry *entry) {
    if (!entry) return;
    fl_block_unref(entry->block);
    for (size_t i = 0; i < entry->more_count; i++) fl_block_unref(entry->more[i]);
    fl_free(entry->more);
    fl_free(entry->service);
    fl_free(entry);
}

static size_t service_text_size(const struct fl_k8s_object *object) {
    size_t size = object->external_name.n;
    for (size_t i = 0; i < object->port_count; i++)
        size += object->ports[i].name.n + object->ports[i].protocol.n;
    return size;
}

static struct fl_str text_put(char **end, struct fl_str text) {
    struct fl_str copy = fl_str_n(*end, text.n);
    if (text.n) memcpy(*end, text.p, text.n);
    *end += text.n;
    return copy;
}

/* Strings lie behind the ports, in the same allocation. */
static struct fl_kube_service *service_new(const struct fl_k8s_object *object) {
    size_t size = sizeof(struct fl_kube_service) + object->port_count * sizeof(struct fl_kube_port);
    struct fl_kube_service *service = fl_calloc(1, size + service_text_size(object));
    if (!service) return NULL;
    char *end = (char *)service + size;
    if (fl_str_eq(object->type, FL_STR("ExternalName")))
        service->external_name = text_put(&end, object->external_name);
    service->port_count = object->port_count;
    for (size_t i = 0; i < object->port_count; i++) {
        const struct fl_k8s_service_port *from = &object->ports[i];
        service->ports[i].name = text_put(&end, from->name);
        service->ports[i].protocol = text_put(&end, from->protocol);
        service->ports[i].number = from->port;
    }
    return service;
}

/* Cannot fail: what it needs was made before. */
static void steal_blocks(struct fl_kube_entry *entry, struct fl_k8s_object *object) {
    entry->block = object->block;
    object->block = NULL;
    entry->more_count = (uint32_t)object->more_count;
    for (size_t i = 0; i < object->more_count; i++) {
        entry->more[i] = object->more[i];
        object->more[i] = NULL;
    }
}

static bool make_room(struct fl_kube_entry *entry, const struct fl_k8s_object *object) {
    if (object->kind == FL_K8S_SERVICE && !(entry->service = service_new(object))) return false;
    if (object->more_count == 0) return true;
    entry->more = fl_calloc(object->more_count, sizeof(struct fl_block *));
    return entry->more != NULL;
}

/* Steals the object's blocks. */
static struct fl_kube_entry *entry_new(struct fl_k8s_object *object, const struct key *key) {
    size_t owner = FL_MIN(object->service.n, (size_t)NAME_MAX_BYTES);
    struct fl_kube_entry *entry = fl_calloc(1, sizeof(*entry) + key->n + owner);
    if (!entry) return NULL;
    if (!make_room(entry, object)) {
        entry_free(entry);
        return NULL;
    }
    entry->version = fl_kube_store_version(object->resource_version);
    entry->truncated = object->truncated;
    entry->skipped = (uint32_t)FL_MIN(object->skipped, (size_t)UINT32_MAX);
    entry->ns_len = (uint16_t)object->ns.n;
    entry->name_len = (uint16_t)object->name.n;
    entry->owner_len = (uint16_t)owner;
    memcpy(entry->text, key->text, key->n);
    if (owner) memcpy(entry->text + key->n, object->service.p, owner);
    steal_blocks(entry, object);
    return entry;
}

int fl_kube_store_new(uint64_t seed, fl_kube_tap *tap, void *arg, struct fl_kube_store **out) {
    struct fl_kube_store *store = FL_NEW(struct fl_kube_store);
    *out = store;
    if (!store) return FL_ENOMEM;
    fl_map_init(&store->held, seed);
    fl_map_init(&store->doubts, seed);
    store->tap = tap;
    store->arg = arg;
    return FL_OK;
}

static void map_free_entries(struct fl_map *map) {
    size_t cursor = 0;
    struct fl_str key;
    void *entry;
    while (fl_map_next(map, &cursor, &key, &entry)) entry_free(entry);
    fl_map_deinit(map);
}

void fl_kube_store_free(struct fl_kube_store *store) {
    if (!store) return;
    map_free_entries(&store->held);
    map_free_entries(&store->doubts);
    fl_free(store);
}

static void doubts_drop(struct fl_kube_store *store) {
    uint64_t seed = store->doubts.seed;
    map_free_entries(&store->doubts);
    fl_map_init(&store->doubts, seed);
    store->contradicts = false;
}

size_t fl_kube_store_count(const struct fl_kube_store *store) { return fl_map_count(&store->held); }

const struct fl_kube_entry *fl_kube_store_peek(const struct fl_kube_store *store, struct fl_str ns,
                                               struct fl_str name) {
    struct key key;
    return key_make(&key, ns, name) ? fl_map_get(&store->held, key_str(&key)) : NULL;
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

/* Takes `entry` (also on failure) as what is held under its key, and tells the tap. */
static int hold_take(struct fl_kube_store *store, struct fl_kube_entry *entry) {
    void *old = NULL;
    entry->generation = store->generation;
    int rc = put(store, entry, &old);
    if (rc == FL_OK && (rc = store->tap(store->arg, old, entry)) < 0)
        put_back(store, fl_kube_entry_key(entry), old);
    entry_free(rc < 0 ? entry : old);
    return rc;
}

static void release(struct fl_kube_store *store, struct fl_str key) {
    struct fl_kube_entry *old = fl_map_remove(&store->held, key);
    if (!old) return;
    FL_ASSERT(store->tap(store->arg, old, NULL) == FL_OK);
    entry_free(old);
}

static bool older(uint64_t version, uint64_t than) { return version && than && version < than; }

int fl_kube_store_apply(struct fl_kube_store *store, enum fl_k8s_event event,
                        struct fl_k8s_object *object) {
    struct key key;
    if (!key_make(&key, object->ns, object->name)) return FL_EPROTO;
    struct fl_kube_entry *held = fl_map_get(&store->held, key_str(&key));
    if (held && older(fl_kube_store_version(object->resource_version), held->version)) return FL_OK;
    if (event == FL_K8S_DELETED) {
        release(store, key_str(&key));
        return FL_OK;
    }
    struct fl_kube_entry *entry = entry_new(object, &key);
    return entry ? hold_take(store, entry) : FL_ENOMEM;
}

void fl_kube_store_list_begin(struct fl_kube_store *store, uint64_t position) {
    doubts_drop(store);
    store->generation++;
    store->position = position;
}

static int doubt(struct fl_kube_store *store, struct fl_k8s_object *object, const struct key *key) {
    struct fl_kube_entry *entry = entry_new(object, key);
    if (!entry) return FL_ENOMEM;
    void *old = NULL;
    int rc = FL_EFULL;
    if (fl_map_count(&store->doubts) < FL_KUBE_STORE_OBJECTS_MAX)
        rc = fl_map_set(&store->doubts, key_str(key), entry, &old);
    entry_free(rc < 0 ? entry : old);
    return rc;
}

int fl_kube_store_list_item(struct fl_kube_store *store, struct fl_k8s_object *object) {
    struct key key;
    if (!key_make(&key, object->ns, object->name)) return FL_EPROTO;
    struct fl_kube_entry *held = fl_map_get(&store->held, key_str(&key));
    uint64_t version = fl_kube_store_version(object->resource_version);
    if (!held) {
        if (version && version <= store->position) return doubt(store, object, &key);
    } else {
        held->generation = store->generation;
        if (version && version == held->version) return FL_OK;
        if (older(version, held->version)) {
            store->contradicts = true;
            return doubt(store, object, &key);
        }
    }
    struct fl_kube_entry *entry = entry_new(object, &key);
    return entry ? hold_take(store, entry) : FL_ENOMEM;
}

bool fl_kube_store_list_contradicts(const struct fl_kube_store *store) {
    return store->contradicts;
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
            rc = hold_take(store, value);
        else
            entry_free(value);
    }
    fl_map_deinit(&doubts);
    return rc;
}

/* Removes what this list did not mark; what is newer than `version` is unknown to it and stays. */
static void sweep(struct fl_kube_store *store, uint64_t version) {
    size_t cursor = 0;
    struct fl_str key;
    void *value;
    struct fl_kube_entry *first = NULL;
    while (fl_map_next(&store->held, &cursor, &key, &value)) {
        struct fl_kube_entry *entry = value;
        if (entry->generation == store->generation || older(version, entry->version)) continue;
        entry->swept = first;
        first = entry;
    }
    while (first) {
        struct fl_kube_entry *next = first->swept;
        release(store, fl_kube_entry_key(first));
        first = next;
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
