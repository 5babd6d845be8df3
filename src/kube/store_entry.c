/* store_entry.c - keys and entries of the store. */
#include "base/alloc.h"
#include "kube/store_inside.h"

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

bool store_key_make(struct store_key *key, struct fl_str ns, struct fl_str name) {
    if (name.n == 0 || name.n > STORE_NAME_MAX || ns.n > STORE_NAME_MAX) return false;
    if (ns.n) memcpy(key->text, ns.p, ns.n);
    key->text[ns.n] = '/';
    memcpy(key->text + ns.n + 1, name.p, name.n);
    key->n = ns.n + 1 + name.n;
    return true;
}

static size_t service_bytes(const struct fl_kube_service *service) {
    size_t size = sizeof(*service) + service->external_name.n +
                  service->port_count * sizeof(struct fl_kube_port);
    for (size_t i = 0; i < service->port_count; i++)
        size += service->ports[i].name.n + service->ports[i].protocol.n;
    return size;
}

/* Without its blocks. */
static size_t entry_bytes(const struct fl_kube_entry *entry) {
    size_t bytes = sizeof(*entry) + fl_kube_entry_key(entry).n + entry->owner_len;
    if (entry->service) bytes += service_bytes(entry->service);
    return bytes + entry->more_count * sizeof(struct fl_block *);
}

static void free_parts(struct fl_kube_entry *entry) {
    fl_block_unref(entry->block);
    for (size_t i = 0; i < entry->more_count; i++) fl_block_unref(entry->more[i]);
    fl_free(entry->more);
    fl_free(entry->service);
    fl_free(entry);
}

void store_entry_free(struct fl_kube_store *store, struct fl_kube_entry *entry) {
    if (!entry) return;
    store->entry_bytes -= entry_bytes(entry);
    free_parts(entry);
}

void store_entries_free(struct fl_kube_store *store, struct fl_map *map) {
    size_t cursor = 0;
    struct fl_str key;
    void *entry;
    while (fl_map_next(map, &cursor, &key, &entry)) store_entry_free(store, entry);
    fl_map_deinit(map);
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

struct fl_kube_entry *store_entry_new(struct fl_kube_store *store, struct fl_k8s_object *object,
                                      const struct store_key *key) {
    size_t owner = FL_MIN(object->service.n, (size_t)STORE_NAME_MAX);
    struct fl_kube_entry *entry = fl_calloc(1, sizeof(*entry) + key->n + owner);
    if (!entry) return NULL;
    if (!make_room(entry, object)) {
        free_parts(entry);
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
    store->entry_bytes += entry_bytes(entry);
    return entry;
}
