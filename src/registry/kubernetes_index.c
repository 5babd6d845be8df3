/* kubernetes_index.c - see kubernetes_index.h. */
#include "registry/kubernetes_index.h"

#include "base/alloc.h"
#include "registry/kubernetes_hold.h"

#define KEY_MAX_BYTES ((size_t)512) /* the store bounds both parts at 253 */

static struct fl_str key_of(const void *service) { return fl_indexed_service_key(service); }

void fl_service_index_init(struct fl_service_index *index, uint64_t seed) {
    fl_map_init_keyed(&index->services, seed, key_of);
    index->due = index->due_last = NULL;
    fl_list_init(&index->holding);
}

static void service_free(struct fl_indexed_service *service) {
    fl_hold_drop(service);
    if (service->slice_room > 0) fl_free(service->slices.many);
    fl_free(service);
}

void fl_service_index_deinit(struct fl_service_index *index) {
    size_t cursor = 0;
    struct fl_str key;
    void *service;
    while (fl_map_next(&index->services, &cursor, &key, &service)) service_free(service);
    fl_map_deinit(&index->services);
}

struct fl_str fl_indexed_service_key(const struct fl_indexed_service *service) {
    return fl_str_n(service->key, service->key_len);
}

struct fl_indexed_service *fl_service_index_need(struct fl_service_index *index,
                                                 struct fl_str key) {
    struct fl_indexed_service *service = fl_map_get(&index->services, key);
    if (service) return service;
    size_t size = offsetof(struct fl_indexed_service, key) + key.n;
    service = fl_calloc(1, FL_MAX(size, sizeof(*service)));
    if (!service) return NULL;
    FL_ASSERT(key.n <= UINT16_MAX); /* the store and the targets bound it */
    service->key_len = (uint16_t)key.n;
    if (key.n) memcpy(service->key, key.p, key.n);
    if (fl_map_set(&index->services, key, service, NULL) == FL_OK) return service;
    service_free(service);
    return NULL;
}

void fl_service_index_push(struct fl_service_index *index, struct fl_indexed_service *service) {
    if (service->due) return;
    service->due = true;
    service->due_next = NULL;
    if (index->due)
        index->due_last->due_next = service;
    else
        index->due = service;
    index->due_last = service;
}

void fl_service_index_mark(struct fl_service_index *index, struct fl_indexed_service *service,
                           enum fl_service_due what) {
    for (struct fl_service_watcher *watcher = service->watchers; watcher; watcher = watcher->next) {
        watcher->publish |= what == FL_DUE_PUBLISH;
        watcher->trouble |= what == FL_DUE_TROUBLE;
    }
    fl_service_index_push(index, service);
}

static void changed(struct fl_service_index *index, struct fl_indexed_service *service) {
    fl_service_index_mark(index, service, FL_DUE_PUBLISH);
}

int fl_service_index_record(struct fl_service_index *index, const struct fl_kube_entry *old,
                            const struct fl_kube_entry *now) {
    struct fl_str key = fl_kube_entry_key(now ? now : old);
    struct fl_indexed_service *service = fl_service_index_need(index, key);
    if (!service) return FL_ENOMEM;
    service->record = now;
    changed(index, service);
    return FL_OK;
}

/* The key of the service that a slice belongs to; empty: it belongs to none. */
static struct fl_str owner_key(const struct fl_kube_entry *slice, char room[KEY_MAX_BYTES]) {
    struct fl_str ns = fl_kube_entry_ns(slice), owner = fl_kube_entry_owner(slice);
    if (owner.n == 0) return FL_STR_NONE;
    memcpy(room, ns.p, ns.n);
    room[ns.n] = '/';
    memcpy(room + ns.n + 1, owner.p, owner.n);
    return fl_str_n(room, ns.n + 1 + owner.n);
}

/* The service that a slice belongs to, made if need be; NULL in *out: it belongs to none. */
static int owner_of(struct fl_service_index *index, const struct fl_kube_entry *slice,
                    struct fl_indexed_service **out) {
    char room[KEY_MAX_BYTES];
    struct fl_str key = slice ? owner_key(slice, room) : FL_STR_NONE;
    *out = NULL;
    if (key.n == 0) return FL_OK;
    *out = fl_service_index_need(index, key);
    return *out ? FL_OK : FL_ENOMEM;
}

struct fl_indexed_service *fl_service_index_owner(const struct fl_service_index *index,
                                                  const struct fl_kube_entry *slice) {
    char room[KEY_MAX_BYTES];
    return fl_map_get(&index->services, owner_key(slice, room));
}

const struct fl_kube_entry *const *
fl_indexed_service_slices(const struct fl_indexed_service *service) {
    return service->slice_room == 0 ? &service->slices.one : service->slices.many;
}

static const struct fl_kube_entry **places_of(struct fl_indexed_service *service) {
    return service->slice_room == 0 ? &service->slices.one : service->slices.many;
}

static int slices_grow(struct fl_indexed_service *service) {
    size_t places = (size_t)2 << service->slice_room;
    bool was_one = service->slice_room == 0;
    const struct fl_kube_entry **many =
        fl_realloc(was_one ? NULL : service->slices.many, places * sizeof(*many));
    if (!many) return FL_ENOMEM;
    if (was_one) many[0] = service->slices.one;
    service->slices.many = many;
    service->slice_room++;
    return FL_OK;
}

static int slice_add(struct fl_indexed_service *service, const struct fl_kube_entry *slice) {
    bool full = service->slice_count == (uint32_t)1 << service->slice_room;
    if (full && slices_grow(service) < 0) return FL_ENOMEM;
    places_of(service)[service->slice_count++] = slice;
    return FL_OK;
}

static const struct fl_kube_entry **slice_find(struct fl_indexed_service *service,
                                               const struct fl_kube_entry *slice) {
    const struct fl_kube_entry **slices = places_of(service);
    for (size_t i = 0; i < service->slice_count; i++)
        if (slices[i] == slice) return &slices[i];
    return NULL;
}

static void slice_remove(struct fl_indexed_service *service, const struct fl_kube_entry *slice) {
    const struct fl_kube_entry **place = slice_find(service, slice);
    if (place) *place = places_of(service)[--service->slice_count];
}

int fl_service_index_slice(struct fl_service_index *index, const struct fl_kube_entry *old,
                           const struct fl_kube_entry *now) {
    struct fl_indexed_service *from, *to;
    if (owner_of(index, old, &from) < 0 || owner_of(index, now, &to) < 0) return FL_ENOMEM;
    const struct fl_kube_entry **place = from ? slice_find(from, old) : NULL;
    if (from == to && place)
        *place = now;
    else if (to && slice_add(to, now) < 0)
        return FL_ENOMEM;
    else if (from)
        slice_remove(from, old);
    if (from) changed(index, from);
    if (to) changed(index, to);
    return FL_OK;
}

void fl_service_index_forget_slices(struct fl_service_index *index) {
    size_t cursor = 0;
    struct fl_str key;
    void *value;
    while (fl_map_next(&index->services, &cursor, &key, &value)) {
        struct fl_indexed_service *service = value;
        service->slice_count = 0;
        changed(index, service);
    }
}

void fl_service_index_mark_all(struct fl_service_index *index, enum fl_service_due what) {
    size_t cursor = 0;
    struct fl_str key;
    void *value;
    while (fl_map_next(&index->services, &cursor, &key, &value)) {
        struct fl_indexed_service *service = value;
        if (service->watchers) fl_service_index_mark(index, service, what);
    }
}

void fl_service_index_push_unnamed(struct fl_service_index *index) {
    size_t cursor = 0;
    struct fl_str key;
    void *value;
    while (fl_map_next(&index->services, &cursor, &key, &value)) {
        struct fl_indexed_service *service = value;
        service->named = false;
        fl_service_index_push(index, service);
    }
}

struct fl_indexed_service *fl_service_index_pop(struct fl_service_index *index) {
    struct fl_indexed_service *service = index->due;
    if (!service) return NULL;
    index->due = service->due_next;
    service->due = false;
    return service;
}

void fl_service_index_settle(struct fl_service_index *index, struct fl_indexed_service *service) {
    if (service->record || service->slice_count || service->watchers || service->due ||
        service->held)
        return;
    fl_map_remove(&index->services, fl_indexed_service_key(service));
    service_free(service);
}
