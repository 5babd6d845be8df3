/* store_inside.h - what the files of the store share; only for store*.c.
 *
 *   store.c        what is held, and events of a watch
 *   store_entry.c  keys and entries
 *   store_list.c   lists: mark and sweep
 *   store_audit.c  comparing with what a server says it has */
#ifndef FL_KUBE_STORE_INSIDE_H
#define FL_KUBE_STORE_INSIDE_H

#include "base/map.h"
#include "kube/store.h"

/* Comparing with the server; see store_audit.c. */
struct store_audit {
    bool on, full;          /* full: more happened meanwhile than could be kept */
    uint32_t number;        /* mark of what was listed, or changed since the beginning */
    struct fl_map suspects; /* key to struct store_suspect */
    struct fl_map removed;  /* keys that were removed since the beginning */
};

struct fl_kube_store {
    struct fl_map held, doubts;
    fl_kube_tap *tap;
    void *arg;
    uint64_t position; /* of the list being read: complete up to here before it */
    uint32_t generation;
    bool contradicts;
    size_t seen;                     /* different objects of the list being read */
    size_t entry_bytes, known_bytes; /* of entries; and of all, as base/area knows it */
    struct store_audit audit;
};

/* Names of Kubernetes are at most 253 bytes; this is the bound for what a peer may make us keep. */
#define STORE_NAME_MAX 253

struct store_key {
    char text[2 * STORE_NAME_MAX + 1];
    size_t n;
};

FL_MUST bool store_key_make(struct store_key *key, struct fl_str ns, struct fl_str name);
static inline struct fl_str store_key_str(const struct store_key *key) {
    return fl_str_n(key->text, key->n);
}

/* Steals the object's blocks. NULL: no memory. */
FL_MUST struct fl_kube_entry *store_entry_new(struct fl_kube_store *store,
                                              struct fl_k8s_object *object,
                                              const struct store_key *key);
void store_entry_free(struct fl_kube_store *store, struct fl_kube_entry *entry);
void store_entries_free(struct fl_kube_store *store, struct fl_map *map);

/* Is it known to be older? */
static inline bool store_older(uint64_t version, uint64_t than) {
    return version && than && version < than;
}

/* Takes `entry` (also on failure) as what is held under its key, and tells the tap. */
FL_MUST int store_hold_take(struct fl_kube_store *store, struct fl_kube_entry *entry);
/* What is held under the key is gone: tells the tap. */
void store_release(struct fl_kube_store *store, struct fl_str key);
/* Tells base/area what changed. */
void store_account(struct fl_kube_store *store);

/* A key is no longer held. */
void store_audit_removed(struct fl_kube_store *store, struct fl_str key);

#endif
