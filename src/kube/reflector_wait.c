/* reflector_wait.c - when the next request is made, and what people are told meanwhile.
 *
 * Two clocks: a backoff of this collection's own for what concerns it alone (a refusal, an object
 * that could not be kept), and the outage that all who ask this server share. Who failed because of
 * an outage, or was held back by one, is brought forward when it is over; who was told by the
 * server when to come back is not. */
#include <stdio.h>

#include "kube/reflector_inside.h"
#include "kube/resource.h"

const char *reflector_describe(const struct fl_reflector *r, char out[REFLECTOR_DESCRIPTION_MAX]) {
    snprintf(out, REFLECTOR_DESCRIPTION_MAX, "%s %s in %s%.63s",
             r->work == REFLECTOR_LIST ? "list" : "watch", fl_resource_name(r->kind),
             r->ns[0] ? "namespace " : "all namespaces", r->ns);
    return out;
}

void reflector_wait(struct fl_reflector *r, enum reflector_work work, uint64_t due_ms) {
    reflector_move(r, REFLECTOR_WAITING);
    r->work = work;
    r->deadline_ms = due_ms;
    r->wakeable = false;
    r->dictated = false;
}

static uint64_t backoff_ms(struct fl_reflector *r, uint32_t retry_after_s) {
    uint64_t delay_ms = fl_backoff_failure(&r->backoff, r->now_ms, &r->random);
    if (!retry_after_s) return delay_ms;
    uint64_t asked_s = FL_MIN(retry_after_s, (uint32_t)REFLECTOR_RETRY_AFTER_S_MAX);
    return FL_MAX(delay_ms, asked_s * 1000 + fl_random_below(&r->random, 1000));
}

void reflector_wait_after_failure(struct fl_reflector *r, enum reflector_work work,
                                  uint32_t retry_after_s) {
    reflector_wait(r, work, r->now_ms + backoff_ms(r, retry_after_s));
    r->dictated = retry_after_s > 0;
}

void reflector_wait_for_server(struct fl_reflector *r, const struct fl_error *why,
                               uint32_t retry_after_s) {
    uint64_t delay_ms = backoff_ms(r, retry_after_s);
    uint64_t due_ms = fl_outage_failed(&r->server->outage, r, r->outage_round, r->now_ms,
                                       retry_after_s ? delay_ms : 0, why);
    reflector_wait(r, r->work, FL_MAX(due_ms, r->now_ms + delay_ms));
    r->dictated = retry_after_s > 0;
}

static void tell(struct fl_reflector *r, const struct fl_error *why) {
    char what[REFLECTOR_DESCRIPTION_MAX];
    struct fl_error told = *why;
    fl_error_prefix(&told, "%s", reflector_describe(r, what));
    reflector_trouble(r, &told);
}

void reflector_retry(struct fl_reflector *r, const struct fl_error *why) {
    fl_outage_forget(&r->server->outage, r);
    reflector_wait_after_failure(r, r->work, 0);
    reflector_note(r, FL_REFLECTOR_RETRY);
    tell(r, why);
}

void reflector_give_up(struct fl_reflector *r, const struct fl_error *why) {
    r->cancel = true;
    reflector_retry(r, why);
}

void reflector_failed(struct fl_reflector *r, const struct fl_error *why) {
    struct fl_kube_server *server = r->server;
    if (!fl_outage_is(why->code)) {
        reflector_retry(r, why);
        return;
    }
    fl_server_traits_connection_lost(&server->traits);
    reflector_wait(r, r->work,
                   fl_outage_failed(&server->outage, r, r->outage_round, r->now_ms, 0, why));
    r->wakeable = !r->woken;
    reflector_note(r, FL_REFLECTOR_RETRY);
    tell(r, why);
}

bool reflector_may_send(struct fl_reflector *r) {
    struct fl_outage *outage = &r->server->outage;
    uint64_t again_ms;
    if (fl_outage_may_try(outage, r, r->now_ms, &again_ms)) {
        r->outage_round = outage->round;
        return true;
    }
    r->deadline_ms = again_ms;
    r->wakeable = !r->woken;
    if (r->trouble_code != outage->why.code) tell(r, &outage->why);
    return false;
}

void fl_reflector_wake(struct fl_reflector *r, uint64_t at_ms) {
    if (r->state != REFLECTOR_WAITING || !r->wakeable) return;
    r->wakeable = false;
    r->woken = true;
    r->deadline_ms = FL_MIN(r->deadline_ms, at_ms);
}

void fl_reflector_hurry(struct fl_reflector *r, uint64_t now_ms) {
    if (r->state != REFLECTOR_WAITING || r->dictated || now_ms >= r->deadline_ms) return;
    if (fl_outage_hurry(&r->server->outage, now_ms)) r->deadline_ms = now_ms;
}

void reflector_trouble(struct fl_reflector *r, const struct fl_error *why) {
    r->trouble_code = why->code;
    r->events->on_trouble(r->arg, why);
}

void reflector_trouble_over(struct fl_reflector *r) {
    if (r->trouble_code == FL_OK) return;
    r->trouble_code = FL_OK;
    r->events->on_trouble(r->arg, &(struct fl_error){.code = FL_OK});
}
