/* balance.c - from options to a policy and its round. */
#include "balance/balance.h"

#include <string.h>

#include "balance/outlier.h"
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
    return fl_outlier_check(&options->outlier, err);
}

static void fill_in(struct fl_balance_options *options) {
    options->choices = options->choices ? FL_MIN(options->choices, CHOICES_MAX) : CHOICES;
    options->ring_max = options->ring_max ? FL_MIN(options->ring_max, RING_MAX) : RING_MAX;
    fl_outlier_fill_in(&options->outlier);
    options->ring_min = FL_MIN(options->ring_min ? options->ring_min : RING_MIN, options->ring_max);
}

static int copy(const char **out, const char *text) {
    if (text) *out = fl_strdup(text);
    return text && !*out ? FL_ENOMEM : 0;
}

int fl_balance_options_copy(struct fl_balance_options *out, const struct fl_balance_options *given,
                            struct fl_error *err) {
    *out = (struct fl_balance_options){.policy = FL_BALANCE_ROUND_ROBIN};
    if (given) {
        int rc = check(given, err);
        if (rc != 0) return rc;
        *out = *given;
        out->hash_header = out->zone = out->node = NULL; /* the caller's memory */
    }
    fill_in(out);
    if (given && (copy(&out->hash_header, given->hash_header) != 0 ||
                  copy(&out->zone, given->zone) != 0 || copy(&out->node, given->node) != 0))
        return fl_fail_nomem(err);
    return 0;
}

void fl_balance_options_deinit(struct fl_balance_options *options) {
    fl_free((char *)options->hash_header);
    fl_free((char *)options->zone);
    fl_free((char *)options->node);
    options->hash_header = options->zone = options->node = NULL;
}

/* Only where weights can differ the turns are weighted. */
static const struct fl_policy *policy_of(const struct fl_balance_options *options) {
    if (options->policy == FL_BALANCE_ROUND_ROBIN && (options->weight || options->slow_start_ms))
        return &fl_policy_weighted_round_robin;
    return policies[options->policy];
}

void fl_balancer_init(struct fl_balancer *balancer, const struct fl_balance_options *options,
                      struct fl_random *random) {
    *balancer = (struct fl_balancer){.near_share = FL_SHARE_ALL};
    fl_round_init(&balancer->near, policy_of(options), options, random);
    fl_round_init(&balancer->far, policy_of(options), options, random);
}

void fl_balancer_deinit(struct fl_balancer *balancer) {
    fl_round_deinit(&balancer->near);
    fl_round_deinit(&balancer->far);
}

int fl_balancer_reserve(struct fl_balancer *balancer, size_t count) {
    int rc = fl_round_reserve(&balancer->near, count);
    if (rc == 0 && balancer->far.options->zone_preference)
        rc = fl_round_reserve(&balancer->far, count);
    return rc;
}

static struct fl_round *round_of(struct fl_balancer *balancer, const struct fl_pick *pick) {
    return pick->far ? &balancer->far : &balancer->near;
}

void fl_balancer_add(struct fl_balancer *balancer, struct fl_pick *pick) {
    fl_round_add(round_of(balancer, pick), pick);
}

void fl_balancer_remove(struct fl_balancer *balancer, struct fl_pick *pick) {
    fl_round_remove(round_of(balancer, pick), pick);
}

void fl_balancer_weigh(struct fl_balancer *balancer, struct fl_pick *pick, uint32_t weight) {
    fl_round_weigh(round_of(balancer, pick), pick, weight);
}

void fl_balancer_move(struct fl_balancer *balancer, struct fl_pick *pick, bool far) {
    if (pick->far == far) return;
    bool in = pick->in;
    fl_balancer_remove(balancer, pick);
    pick->far = far;
    if (in) fl_balancer_add(balancer, pick);
}

void fl_balancer_share(struct fl_balancer *balancer, uint32_t near_share) {
    balancer->near_share = near_share;
}

/* Equal hashes get equal answers here too. */
static bool goes_near(const struct fl_balancer *balancer, const struct fl_pick_context *context) {
    if (balancer->near_share == FL_SHARE_ALL) return true;
    struct fl_random of_hash = {context->hash};
    struct fl_random *random = context->hashed ? &of_hash : balancer->near.random;
    return fl_random_below(random, FL_SHARE_ALL) < balancer->near_share;
}

struct fl_pick *fl_balancer_next(struct fl_balancer *balancer,
                                 const struct fl_pick_context *context, fl_pick_may *may) {
    bool near = goes_near(balancer, context);
    struct fl_round *first = near ? &balancer->near : &balancer->far;
    struct fl_round *second = near ? &balancer->far : &balancer->near;
    struct fl_pick *pick = first->policy->next(first, context, may);
    return pick ? pick : second->policy->next(second, context, may);
}
