/* truth.c - see truth.h. */
#include "truth.h"

#include <stdio.h>

#include "base/address.h"
#include "base/alloc.h"
#include "base/hash.h"

static void *grown(void *items, size_t *cap, size_t count, size_t size) {
    if (count < *cap) return items;
    *cap = *cap ? *cap * 2 : 8;
    items = fl_realloc(items, *cap * size);
    FL_ASSERT(items);
    return items;
}

/* --- steps --- */

static void step(struct truth_steps *steps, uint64_t value) {
    if (steps->count && steps->items[steps->count - 1] == value) return;
    steps->items = grown(steps->items, &steps->cap, steps->count, sizeof *steps->items);
    steps->items[steps->count++] = value;
}

size_t truth_find(const struct truth_steps *steps, size_t from, uint64_t value) {
    for (size_t i = from; i < steps->count; i++)
        if (steps->items[i] == value) return i;
    return TRUTH_NOWHERE;
}

uint64_t truth_now(const struct truth_steps *steps) { return steps->items[steps->count - 1]; }

/* --- objects --- */

struct truth_key *truth_key(struct truth *truth, enum fl_k8s_kind kind, struct fl_str key) {
    uint64_t hash = fl_hash(key, (uint64_t)kind);
    for (size_t i = 0; i < truth->key_count; i++)
        if (truth->keys[i].hash == hash && truth->keys[i].kind == kind) return &truth->keys[i];
    truth->keys = grown(truth->keys, &truth->key_cap, truth->key_count, sizeof *truth->keys);
    struct truth_key *found = &truth->keys[truth->key_count++];
    *found = (struct truth_key){.kind = kind, .hash = hash};
    snprintf(found->name, sizeof found->name, "%.*s", (int)FL_MIN(key.n, (size_t)60), key.p);
    step(&found->steps, 0);
    return found;
}

static bool is_watched(enum fl_k8s_kind kind) {
    return kind == FL_K8S_SERVICE || kind == FL_K8S_ENDPOINTSLICE || kind == FL_K8S_ENDPOINTS;
}

static struct truth_key *key_of(struct truth *truth, const struct fl_object *object) {
    char text[2 * TRUTH_NAME_MAX];
    int n = snprintf(text, sizeof text, "%.*s/%.*s", FL_STR_ARG(object->identity->ns),
                     FL_STR_ARG(object->identity->name));
    return truth_key(truth, object->kind, fl_str_n(text, (size_t)n));
}

/* --- services and pods --- */

static struct truth_service *service_of(struct truth *truth, struct fl_str name) {
    for (size_t i = 0; i < truth->service_count; i++)
        if (fl_str_eq(name, fl_str_of(truth->services[i].name))) return &truth->services[i];
    return NULL;
}

struct truth_pod *truth_pod(struct truth_service *service, const uint8_t uid[16]) {
    for (size_t i = 0; i < service->pod_count; i++)
        if (memcmp(service->pods[i].uid, uid, 16) == 0) return &service->pods[i];
    return NULL;
}

static struct truth_pod *pod_of(struct truth_service *service, const struct fl_identity *identity) {
    uint8_t uid[16];
    bool parsed = fl_uid_parse(fl_str_of(identity->uid), uid);
    FL_ASSERT(parsed);
    struct truth_pod *pod = truth_pod(service, uid);
    if (pod) return pod;
    service->pods =
        grown(service->pods, &service->pod_cap, service->pod_count, sizeof *service->pods);
    pod = &service->pods[service->pod_count++];
    *pod = (struct truth_pod){.address = ""};
    memcpy(pod->uid, uid, 16);
    fl_str_copy(pod->address, sizeof pod->address, identity->address);
    step(&pod->steps, TRUTH_GONE);
    return pod;
}

/* The union of the service's slices, as it is now. */
static void read_slices(struct truth *truth, struct truth_service *service, bool *any) {
    const struct fl_object_list *slices = &truth->store->kinds[FL_K8S_ENDPOINTSLICE];
    uint64_t flags[TRUTH_PODS_MAX];
    *any = false;
    for (size_t i = 0; i < FL_COUNT(flags); i++) flags[i] = TRUTH_GONE;
    for (size_t i = 0; i < slices->count; i++) {
        const struct fl_object *slice = slices->items[i];
        if (!fl_str_eq(slice->identity->service, fl_str_of(service->name))) continue;
        *any = true;
        for (size_t j = 0; j < slice->entry_count; j++) {
            size_t pod = (size_t)(pod_of(service, slice->entries[j].pod) - service->pods);
            FL_ASSERT(pod < FL_COUNT(flags));
            flags[pod] = slice->entries[j].flags;
        }
    }
    for (size_t i = 0; i < service->pod_count; i++) step(&service->pods[i].steps, flags[i]);
}

static void read_service(struct truth *truth, struct truth_service *service) {
    struct fl_object *record =
        fl_store_find(truth->store, FL_K8S_SERVICE, FL_STR("default"), fl_str_of(service->name));
    bool slices;
    read_slices(truth, service, &slices);
    step(&service->steps, (record ? TRUTH_RECORD : 0u) |
                              (record && record->facts->external_name.n ? TRUTH_EXTERNAL : 0u) |
                              (slices ? TRUTH_SLICES : 0u));
}

static void on_event(struct fl_store_observer *observer, const struct fl_store_event *event) {
    struct truth *truth = FL_CONTAINER(observer, struct truth, observer);
    const struct fl_object *object = event->object;
    if (!is_watched(object->kind)) return;
    struct truth_key *key = key_of(truth, object);
    if (truth_find(&key->steps, 0, object->version) != TRUTH_NOWHERE) truth->ambiguous = true;
    step(&key->steps, event->event == FL_K8S_DELETED ? 0 : object->version);
    struct truth_service *service = service_of(truth, object->identity->service);
    if (service && object->kind != FL_K8S_ENDPOINTS) read_service(truth, service);
}

static bool is_there(struct truth *truth, const struct truth_key *key) {
    const struct fl_object_list *list = &truth->store->kinds[key->kind];
    for (size_t i = 0; i < list->count; i++)
        if (key_of(truth, list->items[i]) == key) return true;
    return false;
}

static void read_all(struct truth *truth) {
    for (int kind = 0; kind < FL_STORE_KINDS; kind++) {
        const struct fl_object_list *list = &truth->store->kinds[kind];
        if (!is_watched((enum fl_k8s_kind)kind)) continue;
        for (size_t i = 0; i < list->count; i++)
            step(&key_of(truth, list->items[i])->steps, list->items[i]->version);
    }
    for (size_t i = 0; i < truth->key_count; i++)
        if (!is_there(truth, &truth->keys[i])) step(&truth->keys[i].steps, 0);
    for (size_t i = 0; i < truth->service_count; i++) read_service(truth, &truth->services[i]);
}

/* A restored etcd: the cluster is another one. */
static void on_rewind(struct fl_store_observer *observer) {
    read_all(FL_CONTAINER(observer, struct truth, observer));
}

/* --- life --- */

void truth_init(struct truth *truth, struct fl_store *store, const char *const *names,
                size_t count) {
    *truth = (struct truth){.store = store,
                            .observer = {.on_event = on_event, .on_rewind = on_rewind},
                            .service_count = count};
    truth->services = fl_calloc(count, sizeof *truth->services);
    FL_ASSERT(truth->services);
    for (size_t i = 0; i < count; i++) {
        fl_str_copy(truth->services[i].name, TRUTH_NAME_MAX, fl_str_of(names[i]));
        step(&truth->services[i].steps, 0);
    }
    fl_list_push(&store->observers, &truth->observer.link);
    read_all(truth);
}

void truth_deinit(struct truth *truth) {
    fl_list_remove(&truth->observer.link);
    for (size_t i = 0; i < truth->key_count; i++) fl_free(truth->keys[i].steps.items);
    for (size_t i = 0; i < truth->service_count; i++) {
        struct truth_service *service = &truth->services[i];
        for (size_t j = 0; j < service->pod_count; j++) fl_free(service->pods[j].steps.items);
        fl_free(service->pods);
        fl_free(service->steps.items);
    }
    fl_free(truth->keys);
    fl_free(truth->services);
}
