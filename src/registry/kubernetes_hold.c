/* kubernetes_hold.c - endpoints on their way from one slice to another (W6).
 *
 * The EndpointSlice controller moves endpoints when it fills slices up: it writes both slices, one
 * after the other, and in no promised order. New slices are created before others are changed, so
 * mostly an endpoint stands in two slices for a moment, which merging duplicates takes care of. But
 * of two updates the one that removes may come first, and then there is a moment at which the
 * endpoint stands nowhere.
 *
 * So an endpoint that vanishes from a slice while it is ready and not terminating, though the
 * service has another slice that it may move to, is held: it stays in the set until it appears in a
 * slice or FL_HOLD_MS are over (up to the next tick). What one change makes vanish is held in a
 * block of its own, on the ports that it had and to its own end: nothing is held for longer because
 * of what vanishes after it. A pod that ends the usual way becomes terminating first and is not
 * held; neither is anything of a service with a single slice, or without a Service. What it costs:
 * one that is taken out abruptly, as by a changed label, is shown for a second longer where the
 * service has several slices.
 *
 * Nearly all updates leave a slice's addresses as they are, and are done with after one look. */
#include "registry/kubernetes_hold.h"

#include "base/alloc.h"

#define HELD_MAX ((size_t)1000) /* endpoints of a service; beyond, nothing is held */

static bool same_addresses(const struct fl_block *a, const struct fl_block *b) {
    size_t count = fl_block_count(a);
    if (fl_block_count(b) < count) return false;
    for (size_t i = 0; i < count; i++) {
        struct fl_address before, after;
        fl_block_address_at(a, i, &before);
        fl_block_address_at(b, i, &after);
        if (fl_address_cmp(&before, &after) != 0) return false;
    }
    return true;
}

static struct fl_str bytes_of(const struct fl_address *address) {
    if (address->kind == FL_ADDRESS_NAME) return address->name;
    return fl_str_n(address->ip, address->kind == FL_ADDRESS_V4 ? 4 : 16);
}

/* ---- candidates: addresses that may have to be held ---- */

static bool is_candidate(const struct fl_block *block, size_t i) {
    unsigned flags = fl_block_flags_at(block, i);
    return (flags & FL_ENDPOINT_READY) && !(flags & FL_ENDPOINT_TERMINATING);
}

/* FL_EFULL, FL_ENOMEM. */
static int add_candidates(struct fl_map *candidates, const struct fl_block *block) {
    struct fl_address address;
    size_t count = block ? fl_block_count(block) : 0;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (!is_candidate(block, i)) continue;
        fl_block_address_at(block, i, &address);
        rc = fl_map_count(candidates) < HELD_MAX
                 ? fl_map_set(candidates, bytes_of(&address), candidates, NULL)
                 : FL_EFULL;
    }
    return rc;
}

static void drop_present(struct fl_map *candidates, const struct fl_block *block) {
    struct fl_address address;
    size_t count = block ? fl_block_count(block) : 0;
    for (size_t i = 0; i < count && fl_map_count(candidates); i++) {
        fl_block_address_at(block, i, &address);
        fl_map_remove(candidates, bytes_of(&address));
    }
}

/* ---- the block of what is held ---- */

static int add_ports(struct fl_block_builder *builder, const struct fl_block *block) {
    int rc = 0;
    for (size_t i = 0; i < fl_block_port_count(block) && rc == 0; i++) {
        struct fl_block_port port;
        fl_block_port_at(block, i, &port);
        rc = fl_block_builder_port(builder, &port);
    }
    return rc;
}

/* Those of `block` that are candidates; each once. */
static int add_endpoints(struct fl_block_builder *builder, struct fl_map *candidates,
                         const struct fl_block *block) {
    size_t count = block ? fl_block_count(block) : 0;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct fl_block_endpoint endpoint;
        struct fl_block_hints hints;
        fl_block_endpoint_at(block, i, &endpoint);
        if (!fl_map_remove(candidates, bytes_of(&endpoint.address))) continue;
        fl_block_hints_at(block, i, &hints);
        endpoint.hints = &hints;
        endpoint.hash = 0;
        rc = fl_block_builder_add(builder, &endpoint);
    }
    return rc;
}

/* The candidates among the endpoints of `from`, on its ports. NULL: none, or no memory. */
static struct fl_block *pack(struct fl_map *candidates, const struct fl_block *from) {
    struct fl_block_builder *builder;
    struct fl_block *block = NULL;
    if (fl_map_count(candidates) == 0 || fl_block_builder_new(HELD_MAX, &builder) < 0) return NULL;
    fl_block_builder_start(builder, NULL);
    int rc = add_ports(builder, from);
    size_t before = fl_map_count(candidates);
    if (rc == 0) rc = add_endpoints(builder, candidates, from);
    bool any = fl_map_count(candidates) < before;
    if (rc == 0 && any && fl_block_builder_finish(builder, &block) < 0) block = NULL;
    fl_block_builder_free(builder);
    return block;
}

/* ---- what a service holds ---- */

static void end_held(struct fl_held **at) {
    struct fl_held *held = *at;
    *at = held->next;
    fl_list_remove(&held->link);
    fl_block_unref(held->block);
    fl_free(held);
}

void fl_hold_drop(struct fl_indexed_service *service) {
    while (service->held) end_held(&service->held);
}

static bool are_candidates(const struct fl_map *candidates, const struct fl_block *block) {
    struct fl_address address;
    for (size_t i = 0; i < fl_block_count(block); i++) {
        fl_block_address_at(block, i, &address);
        if (!fl_map_get(candidates, bytes_of(&address))) return false;
    }
    return true;
}

/* Leaves what is still to be held; false: nothing. */
static bool narrow(struct fl_held *held, struct fl_map *candidates) {
    if (are_candidates(candidates, held->block)) {
        drop_present(candidates, held->block);
        return true;
    }
    struct fl_block *left = pack(candidates, held->block);
    fl_block_unref(held->block);
    held->block = left;
    return left != NULL;
}

static void narrow_all(struct fl_indexed_service *service, struct fl_map *candidates) {
    for (struct fl_held **at = &service->held; *at;) {
        if (narrow(*at, candidates))
            at = &(*at)->next;
        else
            end_held(at);
    }
}

static void begin(struct fl_service_index *index, struct fl_indexed_service *service,
                  struct fl_block *block, uint64_t until_ms) {
    struct fl_held *held = block ? fl_alloc(sizeof(*held)) : NULL;
    if (!held) {
        fl_block_unref(block);
        return;
    }
    *held = (struct fl_held){
        .service = service, .next = service->held, .block = block, .until_ms = until_ms};
    service->held = held;
    fl_list_push(&index->holding, &held->link);
}

/* Is there a slice that an endpoint of the changed one may stand in next? */
static bool may_move(const struct fl_indexed_service *service, const struct fl_kube_entry *now) {
    return service->record && service->slice_count > (now ? 1u : 0u);
}

/* FL_EFULL, FL_ENOMEM. */
static int find_candidates(struct fl_map *candidates, const struct fl_indexed_service *service,
                           const struct fl_block *vanished_from) {
    int rc = add_candidates(candidates, vanished_from);
    for (const struct fl_held *held = service->held; held && rc == 0; held = held->next)
        rc = add_candidates(candidates, held->block);
    for (size_t i = 0; i < service->slice_count && fl_map_count(candidates); i++)
        drop_present(candidates, fl_kube_entry_block(fl_indexed_service_slices(service)[i]));
    return rc;
}

/* What vanishes is held from now on, what was held before no longer for it. */
static void rebuild(struct fl_service_index *index, struct fl_indexed_service *service,
                    const struct fl_block *vanished_from, uint64_t now_ms) {
    struct fl_map candidates;
    fl_map_init(&candidates, index->services.seed);
    if (find_candidates(&candidates, service, vanished_from) < 0) {
        fl_hold_drop(service);
    } else {
        narrow_all(service, &candidates);
        if (vanished_from)
            begin(index, service, pack(&candidates, vanished_from), now_ms + FL_HOLD_MS);
    }
    fl_map_deinit(&candidates);
}

void fl_hold_slice(struct fl_service_index *index, const struct fl_kube_entry *old,
                   const struct fl_kube_entry *now, uint64_t now_ms) {
    struct fl_indexed_service *service = fl_service_index_owner(index, now ? now : old);
    if (!service) return;
    bool same = old && fl_service_index_owner(index, old) == service;
    const struct fl_block *before = same ? fl_kube_entry_block(old) : NULL;
    const struct fl_block *after = now ? fl_kube_entry_block(now) : NULL;
    bool moves = before && may_move(service, now) && !(after && same_addresses(before, after));
    if (!moves && !service->held) return;
    if (service->slice_count == 0) /* there is no slice to appear in */
        fl_hold_drop(service);
    else
        rebuild(index, service, moves ? before : NULL, now_ms);
}

static void drop_shown(struct fl_map *gone, const struct fl_indexed_service *by) {
    for (const struct fl_held *held = by->held; held; held = held->next)
        drop_present(gone, held->block);
    for (size_t i = 0; i < by->slice_count && fl_map_count(gone); i++)
        drop_present(gone, fl_kube_entry_block(fl_indexed_service_slices(by)[i]));
}

static void drop_all(struct fl_map *addresses, const struct fl_map *dropped) {
    size_t cursor = 0;
    struct fl_str address;
    void *value;
    while (fl_map_next(dropped, &cursor, &address, &value)) fl_map_remove(addresses, address);
}

/* Who sees what `by` shows has seen the others go. */
static void hold_only_shown(struct fl_service_index *index, struct fl_indexed_service *service,
                            const struct fl_indexed_service *by) {
    struct fl_map left, gone;
    fl_map_init(&left, index->services.seed);
    fl_map_init(&gone, index->services.seed);
    if (find_candidates(&left, service, NULL) < 0 || find_candidates(&gone, service, NULL) < 0) {
        fl_hold_drop(service);
    } else {
        drop_shown(&gone, by);
        drop_all(&left, &gone);
        narrow_all(service, &left);
    }
    fl_map_deinit(&gone);
    fl_map_deinit(&left);
}

void fl_hold_copy(struct fl_service_index *index, struct fl_indexed_service *service,
                  const struct fl_indexed_service *from) {
    if (service->held) hold_only_shown(index, service, from);
    if (!from->held || !may_move(service, NULL)) return;
    for (const struct fl_held *held = from->held; held; held = held->next)
        begin(index, service, fl_block_ref(held->block), held->until_ms);
    rebuild(index, service, NULL, 0);
}

void fl_hold_tick(struct fl_service_index *index, uint64_t now_ms) {
    FL_LIST_EACH (&index->holding, link, next) {
        struct fl_held *held = FL_CONTAINER(link, struct fl_held, link);
        struct fl_indexed_service *service = held->service;
        if (now_ms < held->until_ms && service->record) continue;
        struct fl_held **at = &service->held;
        while (*at != held) at = &(*at)->next;
        end_held(at);
        fl_service_index_mark(index, service, FL_DUE_PUBLISH);
    }
}
