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

/* Bytes of the owner's name behind the key. */
static size_t owner_bytes(const struct fl_kube_entry *entry) {
    return entry->owner_in_name ? 0 : entry->owner_len;
}

struct fl_str fl_kube_entry_owner(const struct fl_kube_entry *entry) {
    struct fl_str key = fl_kube_entry_key(entry);
    size_t at = entry->owner_in_name ? (size_t)entry->ns_len + 1 : key.n;
    return fl_str_n(entry->text + at, entry->owner_len);
}

struct fl_block *const *fl_kube_entry_blocks(const struct fl_kube_entry *entry) {
    return entry->block_count == 1 ? &entry->blocks.one : entry->blocks.many;
}

struct fl_block *fl_kube_entry_block(const struct fl_kube_entry *entry) {
    return entry->block_count ? fl_kube_entry_blocks(entry)[0] : NULL;
}

struct fl_str fl_kube_entry_external_name(const struct fl_kube_entry *entry) {
    size_t at = fl_kube_entry_key(entry).n + owner_bytes(entry);
    return fl_str_n(entry->text + at, entry->external_len);
}

/* ---- ports: a struct packed_port each, its name, its protocol ---- */

struct packed_port {
    uint8_t name_len, protocol_len;
    uint16_t number;
};

static const char *ports_of(const struct fl_kube_entry *entry) {
    struct fl_str external = fl_kube_entry_external_name(entry);
    return external.p + external.n;
}

/* Reads a port and moves on behind it. */
static struct fl_kube_port port_take(const char **at) {
    struct packed_port packed;
    memcpy(&packed, *at, sizeof(packed));
    struct fl_kube_port port = {.number = packed.number};
    port.name = fl_str_n(*at + sizeof(packed), packed.name_len);
    port.protocol = fl_str_n(port.name.p + packed.name_len, packed.protocol_len);
    *at = port.protocol.p + packed.protocol_len;
    return port;
}

void fl_kube_entry_ports(const struct fl_kube_entry *entry, struct fl_kube_port *ports) {
    const char *at = ports_of(entry);
    for (size_t i = 0; i < entry->port_count; i++) ports[i] = port_take(&at);
}

bool store_key_make(struct store_key *key, struct fl_str ns, struct fl_str name) {
    if (name.n == 0 || name.n > STORE_NAME_MAX || ns.n > STORE_NAME_MAX) return false;
    if (ns.n) memcpy(key->text, ns.p, ns.n);
    key->text[ns.n] = '/';
    memcpy(key->text + ns.n + 1, name.p, name.n);
    key->n = ns.n + 1 + name.n;
    return true;
}

static struct fl_str bounded(struct fl_str text) {
    return fl_str_n(text.p, FL_MIN(text.n, (size_t)STORE_NAME_MAX));
}

static struct fl_str kept_protocol(struct fl_str protocol) {
    return fl_str_eq(protocol, FL_STR("TCP")) ? FL_STR_NONE : bounded(protocol);
}

static struct fl_str kept_external_name(const struct fl_k8s_object *object) {
    bool external = fl_str_eq(object->type, FL_STR("ExternalName"));
    return external ? bounded(object->external_name) : FL_STR_NONE;
}

static size_t kept_ports_bytes(const struct fl_k8s_object *object) {
    size_t bytes = object->port_count * sizeof(struct packed_port);
    for (size_t i = 0; i < object->port_count; i++)
        bytes += bounded(object->ports[i].name).n + kept_protocol(object->ports[i].protocol).n;
    return bytes;
}

static char *put(char *at, struct fl_str text) {
    if (text.n) memcpy(at, text.p, text.n);
    return at + text.n;
}

static char *put_port(char *at, const struct fl_k8s_service_port *port) {
    struct fl_str name = bounded(port->name), protocol = kept_protocol(port->protocol);
    const struct packed_port packed = {(uint8_t)name.n, (uint8_t)protocol.n, port->port};
    return put(put(put(at, fl_str_n(&packed, sizeof(packed))), name), protocol);
}

/* Without its blocks. */
static size_t entry_bytes(const struct fl_kube_entry *entry) {
    const char *end = ports_of(entry);
    for (size_t i = 0; i < entry->port_count; i++) port_take(&end);
    size_t pointers = entry->block_count > 1 ? entry->block_count * sizeof(struct fl_block *) : 0;
    return (size_t)(end - (const char *)entry) + pointers;
}

static void free_parts(struct fl_kube_entry *entry) {
    for (size_t i = 0; i < entry->block_count; i++) fl_block_unref(fl_kube_entry_blocks(entry)[i]);
    if (entry->block_count > 1) fl_free(entry->blocks.many);
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

/* FL_ENOMEM: nothing is stolen. */
static int steal_blocks(struct fl_kube_entry *entry, struct fl_k8s_object *object) {
    size_t count = object->block ? 1 + object->more_count : 0;
    struct fl_block **to = &entry->blocks.one;
    if (count > 1) to = entry->blocks.many = fl_calloc(count, sizeof(struct fl_block *));
    if (!to) return FL_ENOMEM;
    entry->block_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct fl_block **from = i ? &object->more[i - 1] : &object->block;
        to[i] = *from;
        *from = NULL;
    }
    return FL_OK;
}

static void fill(struct fl_kube_entry *entry, const struct fl_k8s_object *object,
                 const struct store_key *key) {
    struct fl_str owner = bounded(object->service), external = kept_external_name(object);
    entry->version = fl_kube_store_version(object->resource_version);
    entry->truncated = object->truncated;
    entry->skipped = (uint32_t)FL_MIN(object->skipped, (size_t)UINT32_MAX);
    entry->ns_len = (uint8_t)object->ns.n;
    entry->name_len = (uint8_t)object->name.n;
    entry->owner_len = (uint8_t)owner.n;
    entry->owner_in_name = fl_str_starts(object->name, owner);
    entry->external_len = (uint8_t)external.n;
    entry->port_count = (uint16_t)object->port_count;
    char *at = put(entry->text, store_key_str(key));
    if (!entry->owner_in_name) at = put(at, owner);
    at = put(at, external);
    for (size_t i = 0; i < object->port_count; i++) at = put_port(at, &object->ports[i]);
}

struct fl_kube_entry *store_entry_new(struct fl_kube_store *store, struct fl_k8s_object *object,
                                      const struct store_key *key) {
    FL_ASSERT(object->port_count <= FL_K8S_SERVICE_PORTS_MAX); /* as the decoder has it */
    struct fl_str owner = bounded(object->service);
    size_t texts = key->n + (fl_str_starts(object->name, owner) ? 0 : owner.n) +
                   kept_external_name(object).n + kept_ports_bytes(object);
    struct fl_kube_entry *entry =
        fl_calloc(1, FL_MAX(sizeof(*entry), offsetof(struct fl_kube_entry, text) + texts));
    if (!entry) return NULL;
    fill(entry, object, key);
    if (steal_blocks(entry, object) < 0) {
        fl_free(entry);
        return NULL;
    }
    store->entry_bytes += entry_bytes(entry);
    return entry;
}
