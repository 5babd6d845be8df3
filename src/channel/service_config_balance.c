/* service_config_balance.c - loadBalancingConfig: gRPC's policies by their names and members.
 *
 * Two of them only say something about the policy in them (childPolicy): outlier_detection (gRFC
 * A50) and random_subsetting (gRFC A68). They may stand around each other, each once. */
#include "channel/service_config_balance.h"

#include "base/alloc.h"

#define DEPTH_MAX 3 /* both of those, and a policy */

/* A member that is not there leaves *out as it is. */
static int read_u32(const struct fl_part *policy, const char *name, uint32_t min, uint32_t *out) {
    struct fl_part part = fl_part_member(policy, name);
    uint32_t value;
    if (!part.json) return 0;
    int rc = fl_part_u32(&part, &value);
    if (rc != 0) return rc;
    if (value < min) return fl_part_fail(&part, "is too small");
    *out = value;
    return 0;
}

/* In options 0 is the default, and UINT32_MAX is 0. */
static int read_percent(const struct fl_part *policy, const char *name, uint32_t *out) {
    struct fl_part part = fl_part_member(policy, name);
    uint32_t value;
    if (!part.json) return 0;
    int rc = fl_part_u32(&part, &value);
    if (rc != 0) return rc;
    if (value > 100) return fl_part_fail(&part, "must be from 0 to 100");
    *out = value == 0 ? UINT32_MAX : value;
    return 0;
}

static int read_ms(const struct fl_part *policy, const char *name, uint32_t *out) {
    struct fl_part part = fl_part_member(policy, name);
    uint64_t ms;
    if (!part.json) return 0;
    int rc = fl_part_duration(&part, &ms);
    if (rc != 0) return rc;
    if (ms == 0 || ms >= UINT32_MAX) return fl_part_fail(&part, "is too short or too long");
    *out = (uint32_t)ms;
    return 0;
}

/* --- policies that choose --- */

static int read_least_request(const struct fl_part *policy, struct fl_balance_options *out) {
    out->policy = FL_BALANCE_LEAST_REQUEST;
    int rc = read_u32(policy, "choiceCount", 2, &out->choices);
    out->choices = FL_MIN(out->choices, 10); /* gRFC A48 */
    return rc;
}

static int read_pick_first(const struct fl_part *policy, struct fl_balance_options *out) {
    struct fl_part shuffle = fl_part_member(policy, "shuffleAddressList");
    out->policy = FL_BALANCE_PICK_FIRST;
    if (shuffle.json && !json_is_boolean(shuffle.json))
        return fl_part_fail(&shuffle, "must be true or false");
    out->shuffle = json_is_true(shuffle.json);
    return 0;
}

/* gRFC A42; requestHashHeader: gRFC A76. */
static int read_ring_hash(const struct fl_part *policy, struct fl_balance_options *out) {
    struct fl_part header = fl_part_member(policy, "requestHashHeader");
    const char *name;
    out->policy = FL_BALANCE_RING_HASH;
    int rc = read_u32(policy, "minRingSize", 1, &out->ring_min);
    if (rc == 0) rc = read_u32(policy, "maxRingSize", 1, &out->ring_max);
    if (rc != 0 || !header.json) return rc;
    rc = fl_part_text(&header, &name);
    if (rc != 0) return rc;
    char *copy = fl_strdup(name);
    if (!copy) return fl_fail_nomem(policy->err);
    fl_free((char *)out->hash_header);
    out->hash_header = copy;
    return 0;
}

static int read_round_robin(const struct fl_part *policy, struct fl_balance_options *out) {
    FL_UNUSED(policy); /* it has no members */
    out->policy = FL_BALANCE_ROUND_ROBIN;
    return 0;
}

/* --- policies around them --- */

static int read_success_rate(const struct fl_part *policy, struct fl_outlier_success_rate *out) {
    struct fl_part rule = fl_part_member(policy, "successRateEjection");
    if (!rule.json) return 0;
    out->on = true;
    int rc = fl_part_is_object(&rule);
    if (rc == 0) rc = read_u32(&rule, "stdevFactor", 1, &out->stdev_factor);
    if (rc == 0) rc = read_percent(&rule, "enforcementPercentage", &out->enforce_percent);
    if (rc == 0) rc = read_u32(&rule, "minimumHosts", 1, &out->hosts_min);
    if (rc == 0) rc = read_u32(&rule, "requestVolume", 1, &out->requests_min);
    return rc;
}

static int read_failure_percentage(const struct fl_part *policy,
                                   struct fl_outlier_failure_percentage *out) {
    struct fl_part rule = fl_part_member(policy, "failurePercentageEjection");
    if (!rule.json) return 0;
    out->on = true;
    int rc = fl_part_is_object(&rule);
    if (rc == 0) rc = read_percent(&rule, "threshold", &out->threshold);
    if (rc == 0) rc = read_percent(&rule, "enforcementPercentage", &out->enforce_percent);
    if (rc == 0) rc = read_u32(&rule, "minimumHosts", 1, &out->hosts_min);
    if (rc == 0) rc = read_u32(&rule, "requestVolume", 1, &out->requests_min);
    return rc;
}

static int read_outliers(const struct fl_part *policy, struct fl_balance_options *options) {
    struct fl_outlier_options *out = &options->outlier;
    int rc = read_ms(policy, "interval", &out->interval_ms);
    if (rc == 0) rc = read_ms(policy, "baseEjectionTime", &out->base_ejection_ms);
    if (rc == 0) rc = read_ms(policy, "maxEjectionTime", &out->max_ejection_ms);
    if (rc == 0) rc = read_percent(policy, "maxEjectionPercent", &out->max_ejection_percent);
    if (rc == 0) rc = read_success_rate(policy, &out->success_rate);
    if (rc == 0) rc = read_failure_percentage(policy, &out->failure_percentage);
    return rc;
}

static int read_subset(const struct fl_part *policy, struct fl_balance_options *out) {
    struct fl_part size = fl_part_member(policy, "subsetSize");
    if (!size.json) return fl_part_fail(&size, "is missing");
    return read_u32(policy, "subsetSize", 1, &out->subset);
}

static const struct {
    const char *name;
    int (*read)(const struct fl_part *policy, struct fl_balance_options *out);
    bool around; /* it has a childPolicy */
} known[] = {
    {"least_request", read_least_request, false},
    {"least_request_experimental", read_least_request, false},
    {"outlier_detection_experimental", read_outliers, true},
    {"pick_first", read_pick_first, false},
    {"random_subsetting_experimental", read_subset, true},
    {"ring_hash_experimental", read_ring_hash, false},
    {"round_robin", read_round_robin, false},
};

static int read_list(const struct fl_part *list, unsigned depth, struct fl_balance_options *out);

static int read_known(const struct fl_part *policy, size_t which, unsigned depth,
                      struct fl_balance_options *out) {
    int rc = fl_part_is_object(policy);
    if (rc == 0) rc = known[which].read(policy, out);
    if (rc != 0 || !known[which].around) return rc;
    struct fl_part child = fl_part_member(policy, "childPolicy");
    return depth + 1 < DEPTH_MAX ? read_list(&child, depth + 1, out)
                                 : fl_part_fail(&child, "is one policy too deep");
}

/* 1: it is known, and read. */
static int read_policy(const struct fl_part *item, unsigned depth, struct fl_balance_options *out) {
    int rc = fl_part_is_object(item);
    if (rc != 0) return rc;
    if (json_object_size(item->json) != 1)
        return fl_part_fail(item, "must have one member, named as its policy");
    for (size_t i = 0; i < FL_COUNT(known); i++) {
        struct fl_part policy = fl_part_member(item, known[i].name);
        if (!policy.json) continue;
        rc = read_known(&policy, i, depth, out);
        return rc == 0 ? 1 : rc;
    }
    return 0;
}

static int read_list(const struct fl_part *list, unsigned depth, struct fl_balance_options *out) {
    int rc = fl_part_is_array(list);
    if (rc != 0) return rc;
    for (size_t i = 0; rc == 0 && i < json_array_size(list->json); i++) {
        struct fl_part item = fl_part_item(list, i);
        rc = read_policy(&item, depth, out);
    }
    if (rc < 0) return rc;
    return rc == 1 ? 0 : fl_part_fail(list, "no policy in it is known here");
}

int fl_service_config_read_balance(const struct fl_part *list, struct fl_balance_options *out) {
    return read_list(list, 0, out);
}
