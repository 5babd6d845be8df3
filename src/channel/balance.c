/* balance.c - from options to a policy and its round. */
#include "channel/balance.h"

#define CHOICES     2 /* gRFC A48 */
#define CHOICES_MAX 10

static const struct fl_policy *const policies[] = {
    [FL_BALANCE_ROUND_ROBIN] = &fl_policy_round_robin,
    [FL_BALANCE_PICK_FIRST] = &fl_policy_pick_first,
    [FL_BALANCE_LEAST_REQUEST] = &fl_policy_least_request,
};

int fl_balance_options_copy(struct fl_balance_options *out, const struct fl_balance_options *given,
                            struct fl_error *err) {
    *out = given ? *given : (struct fl_balance_options){.policy = FL_BALANCE_ROUND_ROBIN};
    if ((unsigned)out->policy >= FL_COUNT(policies))
        return fl_fail(err, FL_EUSAGE, "there is no balancing policy %u", (unsigned)out->policy);
    if (out->choices == 1)
        return fl_fail(err, FL_EUSAGE, "least_request chooses between 2 or more, not 1");
    out->choices = out->choices ? FL_MIN(out->choices, CHOICES_MAX) : CHOICES;
    return 0;
}

void fl_balancer_init(struct fl_balancer *balancer, const struct fl_balance_options *options,
                      struct fl_random *random) {
    fl_round_init(&balancer->round, policies[options->policy], options, random);
}

void fl_balancer_deinit(struct fl_balancer *balancer) { fl_round_deinit(&balancer->round); }

int fl_balancer_reserve(struct fl_balancer *balancer, size_t count) {
    return fl_round_reserve(&balancer->round, count);
}

void fl_balancer_add(struct fl_balancer *balancer, struct fl_pick *pick) {
    fl_round_add(&balancer->round, pick);
}

void fl_balancer_remove(struct fl_balancer *balancer, struct fl_pick *pick) {
    fl_round_remove(&balancer->round, pick);
}

struct fl_pick *fl_balancer_next(struct fl_balancer *balancer,
                                 const struct fl_pick_context *context, fl_pick_may *may) {
    return balancer->round.policy->next(&balancer->round, context, may);
}
