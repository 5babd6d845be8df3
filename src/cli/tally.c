/* tally.c - how many calls ended how, where and how fast. */
#include "cli/tally.h"

#include <stdlib.h>

#include "base/alloc.h"

int fl_tally_init(struct fl_tally *tally) {
    *tally = (struct fl_tally){.random = {1}};
    fl_map_init(&tally->peers, 0);
    tally->latencies_us = fl_calloc(FL_TALLY_LATENCIES_MAX, sizeof(uint64_t));
    return tally->latencies_us ? FL_OK : FL_ENOMEM;
}

void fl_tally_deinit(struct fl_tally *tally) {
    size_t cursor = 0;
    struct fl_str key;
    void *count;
    while (fl_map_next(&tally->peers, &cursor, &key, &count)) fl_free(count);
    fl_map_deinit(&tally->peers);
    fl_free(tally->latencies_us);
}

static void count_peer(struct fl_tally *tally, const char *peer) {
    struct fl_str key = fl_str_of(peer);
    uint64_t *count = fl_map_get(&tally->peers, key);
    if (!count) {
        count = FL_NEW(uint64_t);
        if (!count) return;
        if (fl_map_set(&tally->peers, key, count, NULL)) {
            fl_free(count);
            return;
        }
    }
    ++*count;
}

/* Reservoir sampling: each of the `answered` calls has the same chance to be among the latencies.
 */
static void add_latency(struct fl_tally *tally, uint64_t latency_us, uint64_t answered) {
    if (tally->latency_count < FL_TALLY_LATENCIES_MAX) {
        tally->latencies_us[tally->latency_count++] = latency_us;
        return;
    }
    uint64_t place = fl_random_below(&tally->random, answered);
    if (place < FL_TALLY_LATENCIES_MAX) tally->latencies_us[place] = latency_us;
}

void fl_tally_add(struct fl_tally *tally, const struct fl_call_result *result,
                  uint64_t latency_us) {
    tally->calls++;
    tally->by_status[result->status]++;
    tally->retries += result->transparent_retries;
    if (*result->peer) count_peer(tally, result->peer);
    if (result->status == FL_STATUS_OK)
        add_latency(tally, latency_us, tally->by_status[FL_STATUS_OK]);
}

uint64_t fl_tally_failures(const struct fl_tally *tally) {
    return tally->calls - tally->by_status[FL_STATUS_OK];
}

static int compare_latencies(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static json_t *latency_json(struct fl_tally *tally) {
    static const struct {
        const char *name;
        size_t per_mille;
    } ranks[] = {{"p50_us", 500}, {"p90_us", 900}, {"p99_us", 990}, {"max_us", 1000}};
    size_t count = tally->latency_count;
    json_t *out = json_object();
    qsort(tally->latencies_us, count, sizeof(uint64_t), compare_latencies);
    for (size_t i = 0; i < FL_COUNT(ranks) && count; i++) {
        size_t rank = (count * ranks[i].per_mille + 999) / 1000;
        json_object_set_new(out, ranks[i].name,
                            json_integer((json_int_t)tally->latencies_us[FL_MAX(rank, 1) - 1]));
    }
    return out;
}

static json_t *pace_json(const struct fl_tally *tally) {
    uint64_t elapsed_us = FL_MAX(tally->elapsed_us, 1);
    return json_pack("{s:I, s:I, s:I}", "messages", (json_int_t)tally->messages, "elapsed_ms",
                     (json_int_t)(elapsed_us / 1000), "calls_per_s",
                     (json_int_t)(tally->calls * 1000000 / elapsed_us));
}

json_t *fl_tally_json(struct fl_tally *tally) {
    json_t *by_status = json_object(), *by_peer = json_object();
    for (int i = 0; i <= FL_STATUS_UNAUTHENTICATED; i++)
        if (tally->by_status[i])
            json_object_set_new(by_status, fl_status_name((enum fl_status)i),
                                json_integer((json_int_t)tally->by_status[i]));
    size_t cursor = 0;
    struct fl_str key;
    void *count;
    while (fl_map_next(&tally->peers, &cursor, &key, &count))
        json_object_setn_new(by_peer, key.p, key.n, json_integer((json_int_t) * (uint64_t *)count));
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "calls", (json_int_t)tally->calls,
                     "failures", (json_int_t)fl_tally_failures(tally), "retries",
                     (json_int_t)tally->retries, "byStatus", by_status, "byPeer", by_peer,
                     "latency", latency_json(tally), "pace", pace_json(tally));
}
