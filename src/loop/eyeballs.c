/* eyeballs.c - which of a peer's addresses to try when (RFC 8305). Pure.
 *
 * Section 4: the addresses keep the resolver's order (RFC 6724) within each family; families take
 * turns, beginning with that of the first address. Section 5: attempts start 250 ms apart, the next
 * one at once when one fails, and run side by side until one is connected. */
#include "loop/eyeballs.h"

/* The first address from *at on that is of the family of `like`, or is not; NULL: none is left. */
static const struct fl_address *find(const struct fl_address *all, size_t count, size_t *at,
                                     enum fl_address_kind like, bool same) {
    for (; *at < count; ++*at) {
        if ((all[*at].kind == like) == same) return &all[(*at)++];
    }
    return NULL;
}

void fl_eyeballs_init(struct fl_eyeballs *e, const struct fl_address *addresses, size_t count) {
    size_t first = 0, other = 0;
    *e = (struct fl_eyeballs){0};
    while (e->count < FL_EYEBALLS_MAX) {
        size_t before = e->count;
        const struct fl_address *next = find(addresses, count, &first, addresses[0].kind, true);
        if (next) e->addresses[e->count++] = *next;
        next = find(addresses, count, &other, addresses[0].kind, false);
        if (next && e->count < FL_EYEBALLS_MAX) e->addresses[e->count++] = *next;
        if (e->count == before) break;
    }
}

bool fl_eyeballs_next(struct fl_eyeballs *e, uint64_t now_ms, struct fl_address *address) {
    if (e->started == e->count || now_ms < e->next_ms) return false;
    *address = e->addresses[e->started++];
    e->next_ms = now_ms + FL_EYEBALLS_DELAY_MS;
    return true;
}

void fl_eyeballs_fail(struct fl_eyeballs *e, uint64_t now_ms) {
    e->failed++;
    e->next_ms = FL_MIN(e->next_ms, now_ms);
}

bool fl_eyeballs_deadline(const struct fl_eyeballs *e, uint64_t *at_ms) {
    *at_ms = e->next_ms;
    return e->started < e->count;
}

bool fl_eyeballs_exhausted(const struct fl_eyeballs *e) { return e->failed == e->count; }
