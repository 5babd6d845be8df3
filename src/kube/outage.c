/* outage.c - see outage.h.
 *
 * Everybody asks again when told to; the first to do so after the backoff becomes the scout, which
 * in most cases is the last one again. The others ask every SCOUT_MS, so that a scout that vanished
 * without a word holds nobody up for good. */
#include "kube/outage.h"

#define SCOUT_MS      5000
#define HURRY_MS      5000 /* between two who cannot wait */
#define WINDOW_MS_MAX 3000
#define WINDOW_MS     50 /* for each waiter */

void fl_outage_init(struct fl_outage *outage, uint64_t seed) {
    *outage = (struct fl_outage){.random = {seed}};
    fl_backoff_init(&outage->backoff, &fl_backoff_client_go);
    fl_list_init(&outage->waiters);
}

void fl_outage_join(struct fl_outage *outage, struct fl_outage_waiter *waiter,
                    void (*on_over)(struct fl_outage_waiter *waiter, uint64_t at_ms)) {
    waiter->on_over = on_over;
    fl_list_push(&outage->waiters, &waiter->link);
    outage->waiter_count++;
}

void fl_outage_leave(struct fl_outage *outage, struct fl_outage_waiter *waiter) {
    fl_list_remove(&waiter->link);
    outage->waiter_count--;
}

bool fl_outage_may_try(struct fl_outage *outage, const void *who, uint64_t now_ms,
                       uint64_t *again_ms) {
    if (!outage->on) return true;
    if (now_ms < outage->next_ms || (outage->scout && outage->scout != who)) {
        *again_ms = now_ms < outage->next_ms ? outage->next_ms : now_ms + SCOUT_MS;
        return false;
    }
    outage->scout = who;
    return true;
}

uint64_t fl_outage_failed(struct fl_outage *outage, const void *who, uint32_t round,
                          uint64_t now_ms, uint64_t retry_after_ms, const struct fl_error *why) {
    fl_outage_forget(outage, who);
    if (round != outage->round) return FL_MAX(outage->next_ms, now_ms);
    uint64_t delay_ms = fl_backoff_failure(&outage->backoff, now_ms, &outage->random);
    outage->on = true;
    outage->round++;
    outage->next_ms = now_ms + FL_MAX(delay_ms, retry_after_ms);
    outage->dictated = retry_after_ms > 0;
    outage->why = *why;
    return outage->next_ms;
}

void fl_outage_answered(struct fl_outage *outage, const void *who, uint64_t now_ms) {
    fl_outage_forget(outage, who);
    fl_backoff_success(&outage->backoff, now_ms);
    if (!outage->on) return;
    outage->on = false;
    uint64_t window_ms = FL_MIN(outage->waiter_count * WINDOW_MS, (uint64_t)WINDOW_MS_MAX);
    FL_LIST_EACH (&outage->waiters, link, next) {
        struct fl_outage_waiter *waiter = FL_CONTAINER(link, struct fl_outage_waiter, link);
        waiter->on_over(waiter, now_ms + fl_random_below(&outage->random, window_ms));
    }
}

void fl_outage_forget(struct fl_outage *outage, const void *who) {
    if (outage->scout == who) outage->scout = NULL;
}

bool fl_outage_hurry(struct fl_outage *outage, uint64_t now_ms) {
    if (!outage->on) return true;
    if (outage->dictated || now_ms < outage->hurry_ms) return false;
    outage->hurry_ms = now_ms + HURRY_MS;
    outage->next_ms = FL_MIN(outage->next_ms, now_ms);
    return true;
}

bool fl_outage_is(int code) {
    switch (code) {
    case FL_ESYS:
    case FL_EDEADLINE:
    case FL_ERESOLVE:
    case FL_EREFUSED:
    case FL_EUNREACHABLE:
    case FL_ERESET:
    case FL_ECLOSED:
    case FL_ETIMEOUT:
    case FL_ETLS:
    case FL_ECERT:
    case FL_EPROTO:
        return true;
    default:
        return false;
    }
}

bool fl_outage_is_status(int status) {
    return status == 429 || status == 502 || status == 503 || status == 504;
}
