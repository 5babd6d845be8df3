/* tally.h - how many calls ended how, where and how fast. */
#ifndef FL_CLI_TALLY_H
#define FL_CLI_TALLY_H

#include <fairlead/call.h>
#include <jansson.h>

#include "base/map.h"
#include "base/random.h"

#define FL_TALLY_LATENCIES_MAX ((size_t)1 << 20) /* beyond: a uniform sample of all */

struct fl_tally {
    uint64_t calls, by_status[FL_STATUS_UNAUTHENTICATED + 1], retries;
    uint64_t messages;   /* that came back; the caller counts */
    uint64_t elapsed_us; /* the caller's, for the pace */
    struct fl_map peers; /* "address:port" -> uint64_t *, calls answered there */
    uint64_t *latencies_us;
    size_t latency_count;
    struct fl_random random;
};

FL_MUST int fl_tally_init(struct fl_tally *tally); /* FL_ENOMEM */
void fl_tally_deinit(struct fl_tally *tally);
/* Without memory for another peer it is left out of the peers. */
void fl_tally_add(struct fl_tally *tally, const struct fl_call_result *result, uint64_t latency_us);
uint64_t fl_tally_failures(const struct fl_tally *tally);
/* {"calls","failures","retries","byStatus":{},"byPeer":{},"latency":{"p50_us",…},
 * "pace":{"messages","elapsed_ms","calls_per_s"}}; NULL: no memory. */
json_t *fl_tally_json(struct fl_tally *tally);

#endif
