/* store.h - what a reflector knows: "namespace/name" to the newest record of each object.
 *
 * The record of a slice is its packed block, nothing else is kept of it. Entries are immutable for
 * everybody but the store and live until the tap that tells of their end has returned. A store
 * belongs to one loop.
 *
 * Versions never go backwards for one key. A list is applied while it arrives, by mark and sweep:
 * adds and updates at once, deletes only when the whole list was read. Items that contradict what
 * is held (not held although not newer than the position we were at, or older than what is held)
 * wait as doubts until the list's own version is known. */
#ifndef FL_KUBE_STORE_H
#define FL_KUBE_STORE_H

#include "wire/k8s.h"

struct fl_kube_store;

#define FL_KUBE_STORE_OBJECTS_MAX ((size_t)1000000)

/* A port of a Service. */
struct fl_kube_port {
    struct fl_str name, protocol; /* protocol empty: TCP */
    uint16_t number;
};

/* One allocation. There are as many as objects in the cluster: what it holds as bytes is read by
 * the functions below. */
struct fl_kube_entry {
    uint64_t version; /* 0: opaque */
    union {
        struct fl_block *one; /* block_count 1, as of every EndpointSlice */
        struct fl_block **many;
    } blocks;
    uint32_t block_count; /* a Service has none; Endpoints several if its subsets differ in ports */
    uint32_t skipped;     /* endpoints left out: without a usable address */
    uint32_t generation, audit; /* the store's own */
    uint16_t port_count;        /* of a Service */
    bool truncated;             /* Endpoints cut at 1,000 addresses */
    bool owner_in_name;         /* the owner's name is how the slice's begins, as it mostly is */
    uint8_t ns_len, name_len, owner_len, external_len;
    char text[]; /* "ns/name", the owner unless it is in the name, the external name, the ports */
};

struct fl_str fl_kube_entry_key(const struct fl_kube_entry *entry); /* "ns/name" */
struct fl_str fl_kube_entry_ns(const struct fl_kube_entry *entry);
struct fl_str fl_kube_entry_name(const struct fl_kube_entry *entry);
/* The name of the Service that a slice belongs to. */
struct fl_str fl_kube_entry_owner(const struct fl_kube_entry *entry);
/* Its blocks, block_count of them. */
struct fl_block *const *fl_kube_entry_blocks(const struct fl_kube_entry *entry);
struct fl_block *fl_kube_entry_block(const struct fl_kube_entry *entry); /* the first, or NULL */
/* Of a Service: empty unless its type is ExternalName. */
struct fl_str fl_kube_entry_external_name(const struct fl_kube_entry *entry);
/* Writes its ports, port_count of them, to `ports`; their texts are borrowed. */
void fl_kube_entry_ports(const struct fl_kube_entry *entry, struct fl_kube_port *ports);

/* One change: `old` NULL: added; `now` NULL: removed, `old` is the last known state. Called before
 * the applying function returns; must not call the store. FL_ENOMEM: the change is not made, which
 * a removal does not allow. */
typedef int fl_kube_tap(void *arg, const struct fl_kube_entry *old,
                        const struct fl_kube_entry *now);

FL_MUST int fl_kube_store_new(uint64_t seed, fl_kube_tap *tap, void *arg,
                              struct fl_kube_store **out); /* FL_ENOMEM */
void fl_kube_store_free(
    struct fl_kube_store *store); /* without a word to the tap; NULL is allowed */

size_t fl_kube_store_count(const struct fl_kube_store *store);
const struct fl_kube_entry *fl_kube_store_peek(const struct fl_kube_store *store, struct fl_str ns,
                                               struct fl_str name);

/* The next entry from *cursor (first 0) on, in no order; NULL: no more. Nothing may change
 * meanwhile. */
const struct fl_kube_entry *fl_kube_store_next(const struct fl_kube_store *store, size_t *cursor);

/* ADDED, MODIFIED and DELETED of a watch. The object's block is stolen. What is older than what is
 * held is passed over. FL_EPROTO (no name), FL_EFULL, FL_ENOMEM: nothing changed. */
FL_MUST int fl_kube_store_apply(struct fl_kube_store *store, enum fl_k8s_event event,
                                struct fl_k8s_object *object);

/* Begins a list; one that was begun and not ended is forgotten. `position`: the version up to which
 * the store is complete, 0: none. */
void fl_kube_store_list_begin(struct fl_kube_store *store, uint64_t position);
FL_MUST int fl_kube_store_list_item(struct fl_kube_store *store, struct fl_k8s_object *object);
/* The object, shown before, was deleted while the list was being read, by a stream that goes on. */
FL_MUST int fl_kube_store_list_delete(struct fl_kube_store *store, struct fl_k8s_object *object);
/* How many different objects the list has shown. */
size_t fl_kube_store_list_seen(const struct fl_kube_store *store);
/* A consistent list at `version`, which was read whole, is of another history: an item was older
 * than what is held, or what was held before it is newer than all of it and not in it. */
bool fl_kube_store_list_contradicts(const struct fl_kube_store *store, uint64_t version);

enum fl_kube_trust {
    FL_KUBE_REFUSE,  /* doubts are dropped, nothing is deleted */
    FL_KUBE_ADVANCE, /* the list is newer: per key never backwards, and what is newer than the
                         list stays */
    FL_KUBE_REPLACE, /* another history: the list is all there is */
};
/* Ends a list that was read whole, at `version` (0: opaque). FL_ENOMEM, FL_EFULL: refused. */
FL_MUST int fl_kube_store_list_end(struct fl_kube_store *store, uint64_t version,
                                   enum fl_kube_trust trust);

/* What an audit can find; X(NAME, "label"). */
#define FL_KUBE_DIFFERENCE_MAP(X)                                                                  \
    X(MISSING, "missing") /* the server has it and we do not */                                    \
    X(EXTRA, "extra")     /* we have it and the server does not */                                 \
    X(OLDER, "older")     /* ours is an older version */                                           \
    X(NEWER, "newer")     /* ours is a version that the server's history does not know */

enum fl_kube_difference {
#define FL_X(name, label) FL_KUBE_##name,
    FL_KUBE_DIFFERENCE_MAP(FL_X)
#undef FL_X
        FL_KUBE_DIFFERENCES
};

/* An audit: begin, an item for each object of a consistent list, agrees, end. A list in between
 * drops it. FL_ECANCELLED: there is none. FL_EFULL: too many differences or changes meanwhile. */
void fl_kube_store_audit_begin(struct fl_kube_store *store);
FL_MUST int fl_kube_store_audit_item(struct fl_kube_store *store, struct fl_str ns,
                                     struct fl_str name, struct fl_str version);
/* Nothing differs, so there is no need to wait until the store has passed the list's `version`. */
bool fl_kube_store_audit_agrees(struct fl_kube_store *store, uint64_t version);
/* The store has passed it: counts what differs and was not touched since the beginning. If that is
 * nothing but extra objects they are removed (FL_OK); else only a list can help (FL_EGONE). */
FL_MUST int fl_kube_store_audit_end(struct fl_kube_store *store, uint64_t version,
                                    size_t counts[FL_KUBE_DIFFERENCES]);
void fl_kube_store_audit_drop(struct fl_kube_store *store);

/* A canonical decimal that fits 64 bits, else 0. */
uint64_t fl_kube_store_version(struct fl_str text);

#endif
