/* store.h - the simulated cluster's objects, ordered as lists show them, and the history of their
 * changes.
 *
 * Every change takes the next version, so history is a ring in which a version is a place. States
 * of the past are made by undoing events. One thread. */
#ifndef FL_SIM_STORE_H
#define FL_SIM_STORE_H

#include "base/list.h"
#include "sim/object.h"

#define FL_STORE_KINDS       (FL_K8S_DEPLOYMENT + 1)
#define FL_STORE_OBJECTS_MAX 200000 /* of a kind, written by users */

struct fl_store_event {
    enum fl_k8s_event event;    /* ADDED, MODIFIED, DELETED */
    struct fl_object *object;   /* DELETED: the last state, with the deletion's version */
    struct fl_object *previous; /* NULL: ADDED */
};

/* References that its holder gives back with fl_object_list_deinit. */
struct fl_object_list {
    struct fl_object **items;
    size_t count, cap;
};
void fl_object_list_deinit(struct fl_object_list *list);

struct fl_store {
    uint64_t version; /* of the newest event */
    uint64_t oldest;  /* states and events after this version are known */
    struct fl_store_event *ring;
    size_t cap;
    struct fl_object_list kinds[FL_STORE_KINDS];
    struct fl_list observers;
};

/* Told of every event, from within the change: may read, must not change, usually defers. */
struct fl_store_observer {
    struct fl_list link;
    void (*on_event)(struct fl_store_observer *observer, const struct fl_store_event *event);
    void (*on_rewind)(struct fl_store_observer *observer); /* may be NULL */
};

FL_MUST int fl_store_init(struct fl_store *store, uint64_t version, size_t history_max);
void fl_store_deinit(struct fl_store *store);
void fl_store_compact(struct fl_store *store);
/* Undoes the last `events`, or as many as are known, and forgets all history. Observers are not
 * told. */
void fl_store_rewind(struct fl_store *store, uint64_t events);

struct fl_object *fl_store_find(const struct fl_store *store, enum fl_k8s_kind kind,
                                struct fl_str ns, struct fl_str name); /* borrowed; NULL */
/* Makes room, so that so many fl_store_put of ADDED cannot fail. FL_ENOMEM. */
FL_MUST int fl_store_reserve(struct fl_store *store, enum fl_k8s_kind kind, size_t more);
/* Takes the object, gives it the next version and tells the observers. */
void fl_store_take_put(struct fl_store *store, enum fl_k8s_event event, struct fl_object *object);

/* oldest < version <= store->version; borrowed. */
const struct fl_store_event *fl_store_event_at(const struct fl_store *store, uint64_t version);
/* All objects of a kind as they were at `version`, which must be in [oldest, version]; *out is
 * initialised in any case. FL_ENOMEM. */
FL_MUST int fl_store_state_at(const struct fl_store *store, enum fl_k8s_kind kind, uint64_t version,
                              struct fl_object_list *out);

#endif
