/* store.c - objects in order, and the ring of events. See store.h. */
#include "sim/store.h"

#include "base/alloc.h"

/* The place of ns/name in an ordered list; *found says whether it is taken. */
static size_t place_of(const struct fl_object_list *list, struct fl_str ns, struct fl_str name,
                       bool *found) {
    size_t low = 0, high = list->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = fl_object_cmp(list->items[middle], ns, name);
        if (order == 0) *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int list_reserve(struct fl_object_list *list, size_t more) {
    size_t cap = list->cap ? list->cap : 16;
    while (cap < list->count + more) cap *= 2;
    if (cap == list->cap) return 0;
    struct fl_object **items = fl_realloc(list->items, cap * sizeof(struct fl_object *));
    if (!items) return FL_ENOMEM;
    list->items = items;
    list->cap = cap;
    return 0;
}

/* Makes `list` what the event's undoing or doing says about one name: `object`, or nothing. Takes
 * a reference; room is there. */
static void list_set(struct fl_object_list *list, const struct fl_identity *who,
                     struct fl_object *object) {
    bool found;
    size_t at = place_of(list, who->ns, who->name, &found);
    struct fl_object **items = list->items;
    if (found) fl_object_unref(items[at]);
    if (found && !object) {
        memmove(items + at, items + at + 1, (list->count - at - 1) * sizeof *items);
        list->count--;
    } else if (!found && object) {
        FL_ASSERT(list->count < list->cap);
        memmove(items + at + 1, items + at, (list->count - at) * sizeof *items);
        list->count++;
    }
    if (object) items[at] = fl_object_ref(object);
}

void fl_object_list_deinit(struct fl_object_list *list) {
    for (size_t i = 0; i < list->count; i++) fl_object_unref(list->items[i]);
    fl_free(list->items);
    *list = (struct fl_object_list){NULL, 0, 0};
}

int fl_store_init(struct fl_store *store, uint64_t version, size_t history_max) {
    FL_ASSERT(history_max > 0);
    memset(store, 0, sizeof *store);
    fl_list_init(&store->observers);
    store->version = store->oldest = version;
    store->cap = history_max;
    store->ring = fl_calloc(history_max, sizeof *store->ring);
    return store->ring ? 0 : FL_ENOMEM;
}

static struct fl_store_event *slot_of(const struct fl_store *store, uint64_t version) {
    return &store->ring[version % store->cap];
}

static void forget_oldest(struct fl_store *store) {
    struct fl_store_event *event = slot_of(store, ++store->oldest);
    fl_object_unref(event->object);
    fl_object_unref(event->previous);
    *event = (struct fl_store_event){0};
}

void fl_store_compact(struct fl_store *store) {
    while (store->oldest < store->version) forget_oldest(store);
}

void fl_store_rewind(struct fl_store *store, uint64_t events) {
    uint64_t to = store->version - FL_MIN(events, store->version - store->oldest);
    for (uint64_t v = store->version; v > to; v--) {
        const struct fl_store_event *event = slot_of(store, v);
        struct fl_object *previous = event->previous;
        list_set(&store->kinds[event->object->kind], event->object->identity, previous);
        if (previous) previous->newest = true;
    }
    fl_store_compact(store);
    store->version = store->oldest = to;
    FL_LIST_EACH (&store->observers, item, next) {
        struct fl_store_observer *o = FL_CONTAINER(item, struct fl_store_observer, link);
        if (o->on_rewind) o->on_rewind(o);
    }
}

void fl_store_deinit(struct fl_store *store) {
    if (store->ring) fl_store_compact(store);
    for (int i = 0; i < FL_STORE_KINDS; i++) fl_object_list_deinit(&store->kinds[i]);
    fl_free(store->ring);
}

struct fl_object *fl_store_find(const struct fl_store *store, enum fl_k8s_kind kind,
                                struct fl_str ns, struct fl_str name) {
    bool found;
    size_t at = place_of(&store->kinds[kind], ns, name, &found);
    return found ? store->kinds[kind].items[at] : NULL;
}

int fl_store_reserve(struct fl_store *store, enum fl_k8s_kind kind, size_t more) {
    return list_reserve(&store->kinds[kind], more);
}

void fl_store_take_put(struct fl_store *store, enum fl_k8s_event event, struct fl_object *object) {
    const struct fl_identity *who = object->identity;
    struct fl_object *previous = fl_store_find(store, object->kind, who->ns, who->name);
    FL_ASSERT((previous == NULL) == (event == FL_K8S_ADDED));
    if (store->version - store->oldest == store->cap) forget_oldest(store);
    object->version = ++store->version;
    object->newest = event != FL_K8S_DELETED;
    struct fl_store_event *slot = slot_of(store, store->version);
    *slot = (struct fl_store_event){event, object, previous ? fl_object_ref(previous) : NULL};
    if (previous) {
        if (!object->overlay && object->identity == previous->identity)
            object->overlay = json_incref(previous->overlay);
        fl_object_superseded(previous);
    }
    list_set(&store->kinds[object->kind], who, event == FL_K8S_DELETED ? NULL : object);
    FL_LIST_EACH (&store->observers, item, next) {
        struct fl_store_observer *o = FL_CONTAINER(item, struct fl_store_observer, link);
        o->on_event(o, slot);
    }
}

const struct fl_store_event *fl_store_event_at(const struct fl_store *store, uint64_t version) {
    FL_ASSERT(version > store->oldest && version <= store->version);
    return slot_of(store, version);
}

int fl_store_state_at(const struct fl_store *store, enum fl_k8s_kind kind, uint64_t version,
                      struct fl_object_list *out) {
    const struct fl_object_list *now = &store->kinds[kind];
    FL_ASSERT(version >= store->oldest && version <= store->version);
    *out = (struct fl_object_list){NULL, 0, 0};
    size_t back = (size_t)(store->version - version); /* so many may have been deleted since */
    if (list_reserve(out, now->count + back)) return FL_ENOMEM;
    for (size_t i = 0; i < now->count; i++) out->items[out->count++] = fl_object_ref(now->items[i]);
    for (uint64_t v = store->version; v > version; v--) {
        const struct fl_store_event *event = slot_of(store, v);
        if (event->object->kind == kind) list_set(out, event->object->identity, event->previous);
    }
    return 0;
}
