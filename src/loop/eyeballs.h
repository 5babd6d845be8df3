/* eyeballs.h - which of a peer's addresses to try when (RFC 8305, "Happy Eyeballs").
 *
 * Pure: no clock, no sockets. The owner asks fl_eyeballs_next until it gives nothing, starts what
 * it gives, tells each failure, and asks again then and when fl_eyeballs_deadline has come. */
#ifndef FL_LOOP_EYEBALLS_H
#define FL_LOOP_EYEBALLS_H

#include "base/address.h"

#define FL_EYEBALLS_MAX      16
#define FL_EYEBALLS_DELAY_MS 250 /* "Connection Attempt Delay", section 8 */

struct fl_eyeballs {
    struct fl_address addresses[FL_EYEBALLS_MAX]; /* in the order of the attempts */
    size_t count, started, failed;
    uint64_t next_ms; /* when the next attempt is due */
};

/* Takes up to FL_EYEBALLS_MAX addresses, most wanted first, and interleaves their families. */
void fl_eyeballs_init(struct fl_eyeballs *e, const struct fl_address *addresses, size_t count);
/* True: an attempt to *address is due and counts as started now. */
FL_MUST bool fl_eyeballs_next(struct fl_eyeballs *e, uint64_t now_ms, struct fl_address *address);
/* An attempt that was started has failed: the next one is due at once. */
void fl_eyeballs_fail(struct fl_eyeballs *e, uint64_t now_ms);
/* When fl_eyeballs_next will give the next address; false: it gave all. */
FL_MUST bool fl_eyeballs_deadline(const struct fl_eyeballs *e, uint64_t *at_ms);
/* Every address was tried and failed. */
bool fl_eyeballs_exhausted(const struct fl_eyeballs *e);

#endif
