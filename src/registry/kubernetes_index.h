/* kubernetes_index.h - services by name, each with its Service record, its slices and who wants to
 * know. Private to the Kubernetes provider.
 *
 * A plain structure that two stores' taps keep up to date. Entries are borrowed from those stores.
 * What changed is in a queue of due services, so that many changes of one turn are published once.
 */
#ifndef FL_REGISTRY_KUBERNETES_INDEX_H
#define FL_REGISTRY_KUBERNETES_INDEX_H

#include "base/list.h"
#include "base/map.h"
#include "discovery/provider.h"
#include "kube/store.h"

struct fl_scope;

/* Who asked for a service; the memory is its owner's. */
struct fl_service_watcher {
    struct fl_service_watcher *next;    /* of its service */
    struct fl_scope *scope;             /* that it is attached to; NULL: none */
    struct fl_indexed_service *service; /* likewise */
    struct fl_feed *feed;
    bool quiet;            /* only waits for the scope to be ready: nothing is given to the feed */
    bool publish, trouble; /* what is due to the feed */
};

/* As many as services in the cluster. */
struct fl_indexed_service {
    struct fl_indexed_service *due_next; /* in the index's queue */
    struct fl_service_watcher *watchers; /* mostly one */
    const struct fl_kube_entry *record;  /* NULL: no such Service */
    union {
        const struct fl_kube_entry *one; /* slice_room 0, as nearly all services are */
        const struct fl_kube_entry **many;
    } slices;
    struct fl_held *held; /* kubernetes_hold.c, newest first; NULL: nothing */
    uint32_t slice_count;
    uint16_t key_len;
    uint8_t slice_room; /* places for slices: 1 << slice_room */
    bool named;         /* its name was told */
    bool due;           /* is in the index's queue */
    char key[];         /* "ns/name" */
};

/* Endpoints that are in no slice for a moment. */
struct fl_held {
    struct fl_list link; /* in the index's list */
    struct fl_indexed_service *service;
    struct fl_held *next; /* of the service, older */
    struct fl_block *block;
    uint64_t until_ms;
};

struct fl_service_index {
    struct fl_map services;
    struct fl_indexed_service *due, *due_last; /* first in, first out */
    struct fl_list holding;
};

void fl_service_index_init(struct fl_service_index *index, uint64_t seed);
void fl_service_index_deinit(struct fl_service_index *index);

struct fl_str fl_indexed_service_key(const struct fl_indexed_service *service);
/* Its slices, slice_count of them; until the index changes. */
const struct fl_kube_entry *const *
fl_indexed_service_slices(const struct fl_indexed_service *service);

/* The service of that name, made if it is not there; NULL: no memory. One with nothing in it is
 * freed by fl_service_index_settle. */
struct fl_indexed_service *fl_service_index_need(struct fl_service_index *index, struct fl_str key);
/* Changes of the Service store, and of the store of slices. FL_ENOMEM: nothing changed. */
FL_MUST int fl_service_index_record(struct fl_service_index *index, const struct fl_kube_entry *old,
                                    const struct fl_kube_entry *now);
FL_MUST int fl_service_index_slice(struct fl_service_index *index, const struct fl_kube_entry *old,
                                   const struct fl_kube_entry *now);
/* The service that a slice belongs to, NULL: there is none. */
struct fl_indexed_service *fl_service_index_owner(const struct fl_service_index *index,
                                                  const struct fl_kube_entry *slice);
void fl_service_index_forget_slices(struct fl_service_index *index);

void fl_service_index_push(struct fl_service_index *index, struct fl_indexed_service *service);
/* What is due to all that watch the service, or any. */
enum fl_service_due { FL_DUE_PUBLISH, FL_DUE_TROUBLE };
void fl_service_index_mark(struct fl_service_index *index, struct fl_indexed_service *service,
                           enum fl_service_due what);
void fl_service_index_mark_all(struct fl_service_index *index, enum fl_service_due what);
/* Pushes every service there is, as one whose name was not told. */
void fl_service_index_push_unnamed(struct fl_service_index *index);
struct fl_indexed_service *fl_service_index_pop(struct fl_service_index *index); /* NULL: none */
/* Frees it if nothing is known of it, nobody asked for it and it is not due. */
void fl_service_index_settle(struct fl_service_index *index, struct fl_indexed_service *service);

#endif
