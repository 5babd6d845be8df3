/* service_config.c - from JSON to what calls look up.
 *
 * Each member is read where it stands; what is wrong is named by its place. Unknown members are
 * passed over, unknown balancing policies too while a known one follows. */
#include "channel/service_config.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "channel/service_config_balance.h"
#include "channel/service_config_part.h"
#include "channel/throttle.h"

/* --- policies --- */

/* At least two, or it is no policy; more than five are taken as five. */
static int read_attempts(const struct fl_part *policy, unsigned *out) {
    struct fl_part part = fl_part_member(policy, "maxAttempts");
    uint32_t value;
    int rc = fl_part_u32(&part, &value);
    if (rc != 0) return rc;
    if (value < 2) return fl_part_fail(&part, "must be 2 or more");
    *out = FL_MIN(value, FL_RETRY_ATTEMPTS_MAX);
    return 0;
}

static int read_backoff(const struct fl_part *policy, const char *name, uint32_t *out) {
    struct fl_part part = fl_part_member(policy, name);
    uint64_t ms;
    int rc = fl_part_duration(&part, &ms);
    if (rc != 0) return rc;
    if (ms == 0 || ms > UINT32_MAX) return fl_part_fail(&part, "must be more than 0");
    *out = (uint32_t)ms;
    return 0;
}

static int read_multiplier(const struct fl_part *policy, double *out) {
    struct fl_part part = fl_part_member(policy, "backoffMultiplier");
    int rc = fl_part_number(&part, out);
    if (rc != 0) return rc;
    return *out > 0 ? 0 : fl_part_fail(&part, "must be more than 0");
}

static int read_retry(const struct fl_part *method, struct fl_retry_policy *out) {
    struct fl_part policy = fl_part_member(method, "retryPolicy");
    if (!policy.json) return 0;
    struct fl_part codes = fl_part_member(&policy, "retryableStatusCodes");
    int rc = fl_part_is_object(&policy);
    if (rc == 0) rc = read_attempts(&policy, &out->attempts_max);
    if (rc == 0) rc = read_backoff(&policy, "initialBackoff", &out->backoff_ms_min);
    if (rc == 0) rc = read_backoff(&policy, "maxBackoff", &out->backoff_ms_max);
    if (rc == 0) rc = read_multiplier(&policy, &out->multiplier);
    if (rc == 0) rc = fl_part_codes(&codes, &out->codes);
    if (rc == 0 && out->codes == 0) rc = fl_part_fail(&codes, "must name a status code");
    return rc;
}

static int read_hedging(const struct fl_part *method, struct fl_hedging_policy *out) {
    struct fl_part policy = fl_part_member(method, "hedgingPolicy");
    if (!policy.json) return 0;
    struct fl_part delay = fl_part_member(&policy, "hedgingDelay");
    struct fl_part codes = fl_part_member(&policy, "nonFatalStatusCodes");
    uint64_t ms = 0;
    int rc = fl_part_is_object(&policy);
    if (rc == 0) rc = read_attempts(&policy, &out->attempts_max);
    if (rc == 0 && delay.json) rc = fl_part_duration(&delay, &ms);
    if (rc == 0 && codes.json) rc = fl_part_codes(&codes, &out->codes);
    out->delay_ms = (uint32_t)FL_MIN(ms, UINT32_MAX);
    return rc;
}

/* --- methodConfig --- */

static int read_limit(const struct fl_part *method, const char *name, bool *limits, uint32_t *out) {
    struct fl_part part = fl_part_member(method, name);
    *limits = part.json != NULL;
    return part.json ? fl_part_u32(&part, out) : 0;
}

static int read_timeout(const struct fl_part *method, uint64_t *out_ms) {
    struct fl_part part = fl_part_member(method, "timeout");
    if (!part.json) return 0;
    int rc = fl_part_duration(&part, out_ms);
    if (rc != 0) return rc;
    return *out_ms > 0 ? 0 : fl_part_fail(&part, "must be more than 0");
}

static int read_wait(const struct fl_part *method, bool *out) {
    struct fl_part part = fl_part_member(method, "waitForReady");
    if (part.json && !json_is_boolean(part.json))
        return fl_part_fail(&part, "must be true or false");
    *out = json_is_true(part.json);
    return 0;
}

static const char *text_or_empty(const struct fl_part *part) {
    const char *text = json_string_value(part->json);
    return text ? text : "";
}

/* "/service/method", "/service/" or "". */
static int add_name(struct fl_service_config *config, const struct fl_part *name,
                    struct fl_method_config *method) {
    struct fl_part service = fl_part_member(name, "service");
    struct fl_part own = fl_part_member(name, "method");
    const char *of = text_or_empty(&service), *which = text_or_empty(&own);
    void *old = NULL;
    int rc = fl_part_is_object(name);
    if (rc != 0) return rc;
    if (service.json && !json_is_string(service.json))
        return fl_part_fail(&service, "must be a text");
    if (own.json && !json_is_string(own.json)) return fl_part_fail(&own, "must be a text");
    if (!*of && *which) return fl_part_fail(name, "a method without its service");
    struct fl_buf key;
    fl_buf_init(&key, FL_SERVICE_CONFIG_BYTES_MAX);
    rc = *of ? fl_buf_printf(&key, "/%s/%s", of, which) : 0;
    if (rc == 0) rc = fl_map_set(&config->names, fl_buf_str(&key), method, &old);
    fl_buf_deinit(&key);
    if (rc != 0) return fl_fail_nomem(name->err);
    return old ? fl_part_fail(name, "stands there twice") : 0;
}

static int read_names(struct fl_service_config *config, const struct fl_part *entry,
                      struct fl_method_config *method) {
    struct fl_part names = fl_part_member(entry, "name");
    if (!names.json) return 0; /* meant for nobody */
    int rc = fl_part_is_array(&names);
    for (size_t i = 0; rc == 0 && i < json_array_size(names.json); i++) {
        struct fl_part name = fl_part_item(&names, i);
        rc = add_name(config, &name, method);
    }
    return rc;
}

static int read_method(struct fl_service_config *config, const struct fl_part *entry,
                       struct fl_method_config *out) {
    int rc = fl_part_is_object(entry);
    if (rc == 0) rc = read_timeout(entry, &out->timeout_ms);
    if (rc == 0) rc = read_wait(entry, &out->wait_for_ready);
    if (rc == 0)
        rc = read_limit(entry, "maxRequestMessageBytes", &out->limits_request,
                        &out->request_bytes_max);
    if (rc == 0)
        rc = read_limit(entry, "maxResponseMessageBytes", &out->limits_response,
                        &out->response_bytes_max);
    if (rc == 0) rc = read_retry(entry, &out->retry);
    if (rc == 0) rc = read_hedging(entry, &out->hedging);
    if (rc == 0 && out->retry.attempts_max && out->hedging.attempts_max)
        rc = fl_part_fail(entry, "retryPolicy and hedgingPolicy exclude one another");
    return rc == 0 ? read_names(config, entry, out) : rc;
}

static int read_methods(struct fl_service_config *config, const struct fl_part *root) {
    struct fl_part methods = fl_part_member(root, "methodConfig");
    if (!methods.json) return 0;
    int rc = fl_part_is_array(&methods);
    if (rc != 0) return rc;
    config->method_count = json_array_size(methods.json);
    config->methods = fl_calloc(config->method_count + 1, sizeof(*config->methods));
    if (!config->methods) return fl_fail_nomem(root->err);
    for (size_t i = 0; rc == 0 && i < config->method_count; i++) {
        struct fl_part entry = fl_part_item(&methods, i);
        rc = read_method(config, &entry, &config->methods[i]);
    }
    return rc;
}

/* --- the rest --- */

static int read_throttling(struct fl_service_config *config, const struct fl_part *root) {
    struct fl_part throttling = fl_part_member(root, "retryThrottling");
    if (!throttling.json) return 0;
    struct fl_part tokens = fl_part_member(&throttling, "maxTokens");
    struct fl_part ratio = fl_part_member(&throttling, "tokenRatio");
    int rc = fl_part_is_object(&throttling);
    if (rc == 0) rc = fl_part_number(&tokens, &config->throttle_tokens);
    if (rc == 0) rc = fl_part_number(&ratio, &config->throttle_ratio);
    if (rc != 0) return rc;
    if (!(config->throttle_tokens >= 1 && config->throttle_tokens <= FL_THROTTLE_TOKENS_MAX))
        return fl_part_fail(&tokens, "must be from 1 to 1000");
    return config->throttle_ratio > 0 ? 0 : fl_part_fail(&ratio, "must be more than 0");
}

static int read_balancing(struct fl_service_config *config, const struct fl_part *root) {
    struct fl_part list = fl_part_member(root, "loadBalancingConfig");
    config->balances = list.json != NULL;
    return list.json ? fl_service_config_read_balance(&list, &config->balance) : 0;
}

static int read_health(struct fl_service_config *config, const struct fl_part *root) {
    struct fl_part health = fl_part_member(root, "healthCheckConfig");
    if (!health.json) return 0;
    struct fl_part service = fl_part_member(&health, "serviceName");
    const char *name;
    int rc = fl_part_is_object(&health);
    if (rc != 0 || !service.json) return rc;
    rc = fl_part_text(&service, &name);
    if (rc != 0) return rc;
    config->health_service = fl_strdup(name);
    return config->health_service ? 0 : fl_fail_nomem(root->err);
}

int fl_service_config_new(struct fl_str json, struct fl_service_config **out,
                          struct fl_error *err) {
    json_error_t where;
    struct fl_error detail;
    *out = NULL;
    if (json.n > FL_SERVICE_CONFIG_BYTES_MAX)
        return fl_fail(err, FL_ECONFIG, "service config: more than %zu bytes",
                       FL_SERVICE_CONFIG_BYTES_MAX);
    json_t *tree = json_loadb(json.n ? json.p : "", json.n, JSON_REJECT_DUPLICATES, &where);
    if (!tree && json_error_code(&where) == json_error_out_of_memory) return fl_fail_nomem(err);
    if (!tree)
        return fl_fail(err, FL_ECONFIG, "service config: line %d: %s", where.line, where.text);
    int rc = FL_ENOMEM;
    struct fl_part root = {.json = tree, .err = err ? err : &detail};
    struct fl_service_config *config = FL_NEW(struct fl_service_config);
    if (!config) {
        fl_fail_nomem(err);
        goto fail;
    }
    fl_map_init(&config->names, (uint64_t)(uintptr_t)config);
    rc = fl_part_is_object(&root);
    if (rc == 0) rc = read_methods(config, &root);
    if (rc == 0) rc = read_throttling(config, &root);
    if (rc == 0) rc = read_balancing(config, &root);
    if (rc == 0) rc = read_health(config, &root);
    if (rc != 0) goto fail;
    json_decref(tree);
    *out = config;
    return 0;
fail:
    json_decref(tree);
    fl_service_config_free(config);
    return rc;
}

void fl_service_config_free(struct fl_service_config *config) {
    if (!config) return;
    fl_map_deinit(&config->names);
    fl_free(config->methods);
    fl_free(config->health_service);
    fl_free((char *)config->balance.hash_header);
    fl_free(config);
}

void fl_service_config_balance(const struct fl_service_config *config,
                               struct fl_balance_options *options) {
    const struct fl_balance_options *own = &config->balance;
    options->policy = own->policy;
    options->shuffle = own->shuffle;
    if (own->choices) options->choices = own->choices;
    if (own->ring_min) options->ring_min = own->ring_min;
    if (own->ring_max) options->ring_max = own->ring_max;
    if (own->hash_header) options->hash_header = own->hash_header;
    if (own->subset) options->subset = own->subset;
    if (own->outlier.success_rate.on || own->outlier.failure_percentage.on)
        options->outlier = own->outlier;
}

const struct fl_method_config *fl_service_config_method(const struct fl_service_config *config,
                                                        struct fl_str method) {
    if (!config || fl_map_count(&config->names) == 0) return NULL;
    const struct fl_method_config *found = fl_map_get(&config->names, method);
    const char *slash = method.n > 1 ? memchr(method.p + 1, '/', method.n - 1) : NULL;
    if (!found && slash)
        found = fl_map_get(&config->names, fl_str_n(method.p, (size_t)(slash + 1 - method.p)));
    return found ? found : fl_map_get(&config->names, FL_STR_NONE);
}
