/* balance.c - from options to a policy and its round. */
#include "channel/balance.h"

#include <string.h>

#include "base/alloc.h"

#define CHOICES     2 /* gRFC A48 */
#define CHOICES_MAX 10
#define RING_MIN    1024 /* gRFC A42 */
#define RING_MAX    4096

static const struct fl_policy *const policies[] = {
    [FL_BALANCE_ROUND_ROBIN] = &fl_policy_round_robin,
    [FL_BALANCE_PICK_FIRST] = &fl_policy_pick_first,
    [FL_BALANCE_LEAST_REQUEST] = &fl_policy_least_request,
    [FL_BALANCE_RING_HASH] = &fl_policy_ring_hash,
    [FL_BALANCE_RENDEZVOUS] = &fl_policy_rendezvous,
};

/* The name of metadata that is text: PROTOCOL-HTTP2.md, Custom-Metadata. */
static bool is_text_name(const char *name) {
    size_t n = strlen(name);
    if (n == 0 || strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz-_.") != n) return false;
    return n < 4 || strcmp(name + n - 4, "-bin") != 0;
}

static int check(const struct fl_balance_options *options, struct fl_error *err) {
    if ((unsigned)options->policy >= FL_COUNT(policies))
        return fl_fail(err, FL_EUSAGE, "there is no balancing policy %u",
                       (unsigned)options->policy);
    if (options->choices == 1)
        return fl_fail(err, FL_EUSAGE, "least_request chooses between 2 or more, not 1");
    if (options->hash_header && !is_text_name(options->hash_header))
        return fl_fail(err, FL_EUSAGE, "calls cannot be hashed by a header named \"%s\"",
                       options->hash_header);
    if (options->ring_min && options->ring_max && options->ring_min > options->ring_max)
        return fl_fail(err, FL_EUSAGE, "a ring of at least %u and at most %u places",
                       (unsigned)options->ring_min, (unsigned)options->ring_max);
    return 0;
}

static void fill_in(struct fl_balance_options *options) {
    options->choices = options->choices ? FL_MIN(options->choices, CHOICES_MAX) : CHOICES;
    options->ring_max = options->ring_max ? FL_MIN(options->ring_max, RING_MAX) : RING_MAX;
    options->ring_min = FL_MIN(options->ring_min ? options->ring_min : RING_MIN, options->ring_max);
}

int fl_balance_options_copy(struct fl_balance_options *out, const struct fl_balance_options *given,
                            struct fl_error *err) {
    *out = (struct fl_balance_options){.policy = FL_BALANCE_ROUND_ROBIN};
    if (given) {
        int rc = check(given, err);
        if (rc != 0) return rc;
        *out = *given;
        out->hash_header = NULL; /* the caller's memory */
    }
    fill_in(out);
    if (given && given->hash_header) {
        out->hash_header = fl_strdup(given->hash_header);
        if (!out->hash_header) return fl_fail_nomem(err);
    }
    return 0;
}

void fl_balance_options_deinit(struct fl_balance_options *options) {
    fl_free((char *)options->hash_header);
    options->hash_header = NULL;
}

/* Only where weights can differ the turns are weighted. */
static const struct fl_policy *policy_of(const struct fl_balance_options *options) {
    if (options->policy == FL_BALANCE_ROUND_ROBIN && options->weight)
        return &fl_policy_weighted_round_robin;
    return policies[options->policy];
}

void fl_balancer_init(struct fl_balancer *balancer, const struct fl_balance_options *options,
                      struct fl_random *random) {
    fl_round_init(&balancer->round, policy_of(options), options, random);
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

void fl_balancer_weigh(struct fl_balancer *balancer, struct fl_pick *pick, uint32_t weight) {
    fl_round_weigh(&balancer->round, pick, weight);
}

struct fl_pick *fl_balancer_next(struct fl_balancer *balancer,
                                 const struct fl_pick_context *context, fl_pick_may *may) {
    return balancer->round.policy->next(&balancer->round, context, may);
}
