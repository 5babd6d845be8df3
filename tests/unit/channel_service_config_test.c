/* What a service config says, and what is wrong with others. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "channel/service_config.h"

#define RETRY                                                                                      \
    "{\"maxAttempts\":4,\"initialBackoff\":\"0.1s\",\"maxBackoff\":\"1s\","                        \
    "\"backoffMultiplier\":2,\"retryableStatusCodes\":[\"UNAVAILABLE\",8]}"
#define HEDGING "{\"maxAttempts\":9,\"hedgingDelay\":\"0.5s\",\"nonFatalStatusCodes\":[14]}"

static struct fl_service_config *parse(const char *text) {
    struct fl_service_config *config;
    struct fl_error err = {FL_OK, ""};
    int rc = fl_service_config_new(fl_str_of(text), &config, &err);
    assert_string_equal(err.detail, "");
    assert_int_equal(rc, 0);
    return config;
}

static const struct fl_method_config *method(const struct fl_service_config *config,
                                             const char *name) {
    return fl_service_config_method(config, fl_str_of(name));
}

static void test_names_from_narrow_to_wide(void **state) {
    FL_UNUSED(state);
    struct fl_service_config *config =
        parse("{\"methodConfig\":["
              "{\"name\":[{\"service\":\"a.S\",\"method\":\"M\"}],\"timeout\":\"1.5s\"},"
              "{\"name\":[{\"service\":\"a.S\"},{\"service\":\"b.S\"}],\"timeout\":\"2s\"},"
              "{\"name\":[{}],\"timeout\":\"0.0000001s\",\"waitForReady\":true}]}");
    assert_int_equal(method(config, "/a.S/M")->timeout_ms, 1500);
    assert_int_equal(method(config, "/a.S/N")->timeout_ms, 2000);
    assert_int_equal(method(config, "/b.S/M")->timeout_ms, 2000);
    assert_int_equal(method(config, "/c.S/M")->timeout_ms, 1);
    assert_true(method(config, "/c")->wait_for_ready);
    assert_false(method(config, "/a.S/M")->wait_for_ready);
    fl_service_config_free(config);
    config = parse("{\"methodConfig\":[{\"name\":[{\"service\":\"a.S\"}]}]}");
    assert_null(method(config, "/b.S/M"));
    assert_non_null(method(config, "/a.S/M"));
    fl_service_config_free(config);
    assert_null(fl_service_config_method(NULL, FL_STR("/a/b")));
}

static void test_everything(void **state) {
    FL_UNUSED(state);
    struct fl_service_config *config =
        parse("{\"methodConfig\":[{\"name\":[{}],\"maxRequestMessageBytes\":\"1000\","
              "\"maxResponseMessageBytes\":0,\"retryPolicy\":" RETRY "},"
              "{\"name\":[{\"service\":\"h\"}],\"hedgingPolicy\":" HEDGING "}],"
              "\"retryThrottling\":{\"maxTokens\":10,\"tokenRatio\":0.1},"
              "\"loadBalancingConfig\":[{\"grpclb\":{}},{\"least_request_experimental\":"
              "{\"choiceCount\":99}},{\"pick_first\":{}}],"
              "\"healthCheckConfig\":{\"serviceName\":\"db\"},\"somethingNew\":[1]}");
    const struct fl_method_config *all = method(config, "/a/b"), *h = method(config, "/h/b");
    assert_true(all->limits_request && all->limits_response);
    assert_int_equal(all->request_bytes_max, 1000);
    assert_int_equal(all->response_bytes_max, 0);
    assert_int_equal(all->retry.attempts_max, 4);
    assert_int_equal(all->retry.backoff_ms_min, 100);
    assert_int_equal(all->retry.backoff_ms_max, 1000);
    assert_int_equal(all->retry.codes, 1u << 14 | 1u << 8);
    assert_int_equal(all->hedging.attempts_max, 0);
    assert_false(h->limits_request || h->limits_response);
    assert_int_equal(h->hedging.attempts_max, 5); /* gRFC A6 */
    assert_int_equal(h->hedging.delay_ms, 500);
    assert_int_equal(h->hedging.codes, 1u << 14);
    assert_int_equal((int)config->throttle_tokens, 10);
    assert_true(config->balances);
    assert_int_equal(config->balance.policy, FL_BALANCE_LEAST_REQUEST);
    assert_int_equal(config->balance.choices, 10); /* gRFC A48 */
    assert_string_equal(config->health_service, "db");
    fl_service_config_free(config);
}

static void test_policies_of_balancing(void **state) {
    FL_UNUSED(state);
    struct fl_service_config *config =
        parse("{\"loadBalancingConfig\":[{\"xds\":{}},{\"outlier_detection_experimental\":{"
              "\"interval\":\"5s\",\"baseEjectionTime\":\"1.5s\",\"maxEjectionTime\":\"60s\","
              "\"maxEjectionPercent\":0,\"successRateEjection\":{\"stdevFactor\":1000},"
              "\"failurePercentageEjection\":{\"threshold\":50,\"enforcementPercentage\":0,"
              "\"minimumHosts\":2,\"requestVolume\":9},\"childPolicy\":["
              "{\"random_subsetting_experimental\":{\"subsetSize\":20,\"childPolicy\":["
              "{\"ring_hash_experimental\":{\"minRingSize\":2048,\"maxRingSize\":4000,"
              "\"requestHashHeader\":\"user\"}}]}}]}}]}");
    struct fl_balance_options options = {.zone_preference = true, .choices = 5};
    fl_service_config_balance(config, &options);
    assert_int_equal(options.policy, FL_BALANCE_RING_HASH);
    assert_int_equal(options.ring_min, 2048);
    assert_int_equal(options.ring_max, 4000);
    assert_string_equal(options.hash_header, "user");
    assert_int_equal(options.subset, 20);
    assert_true(options.zone_preference); /* not of a service config */
    assert_int_equal(options.choices, 5);
    assert_int_equal(options.outlier.interval_ms, 5000);
    assert_int_equal(options.outlier.base_ejection_ms, 1500);
    assert_int_equal(options.outlier.max_ejection_ms, 60000);
    assert_int_equal(options.outlier.max_ejection_percent, UINT32_MAX);
    assert_true(options.outlier.success_rate.on && options.outlier.failure_percentage.on);
    assert_int_equal(options.outlier.success_rate.stdev_factor, 1000);
    assert_int_equal(options.outlier.failure_percentage.threshold, 50);
    assert_int_equal(options.outlier.failure_percentage.enforce_percent, UINT32_MAX);
    assert_int_equal(options.outlier.failure_percentage.hosts_min, 2);
    assert_int_equal(options.outlier.failure_percentage.requests_min, 9);
    fl_service_config_free(config);
    config = parse("{\"loadBalancingConfig\":[{\"pick_first\":{\"shuffleAddressList\":true}}]}");
    fl_service_config_balance(config, &options);
    assert_int_equal(options.policy, FL_BALANCE_PICK_FIRST);
    assert_true(options.shuffle);
    fl_service_config_free(config);
}

static void test_nothing(void **state) {
    FL_UNUSED(state);
    static const char *const texts[] = {"{}",
                                        " { } ",
                                        "{\"methodConfig\":null}",
                                        "{\"methodConfig\":[{\"timeout\":\"1s\"}]}",
                                        "{\"healthCheckConfig\":{}}",
                                        "{\"unknown\":{\"x\":1}}"};
    for (size_t i = 0; i < FL_COUNT(texts); i++) {
        struct fl_service_config *config = parse(texts[i]);
        assert_null(method(config, "/a/b"));
        assert_false(config->balances);
        assert_null(config->health_service);
        fl_service_config_free(config);
    }
}

/* The document, with one method entry around. */
#define ENTRY(text) "{\"methodConfig\":[{},{\"name\":[{}]," text "}]}"

#define BALANCE(text) "{\"loadBalancingConfig\":[" text "]}"
#define AROUND(text)                                                                               \
    "{\"random_subsetting_experimental\":{\"subsetSize\":1,\"childPolicy\":[" text "]}}"

static void test_what_is_wrong_is_named(void **state) {
    FL_UNUSED(state);
    static const struct {
        const char *text, *names;
    } rows[] = {
        {"", "line"},
        {"[]", "must be an object"},
        {"{\"methodConfig\":{}}", "methodConfig: must be a list"},
        {"{\"methodConfig\":[1]}", "methodConfig[0]: must be an object"},
        {"{\"methodConfig\":[{\"name\":{}}]}", "methodConfig[0].name: "},
        {"{\"methodConfig\":[{\"name\":[{\"method\":\"M\"}]}]}", "methodConfig[0].name[0]: "},
        {"{\"methodConfig\":[{\"name\":[{\"service\":1}]}]}", "name[0].service: "},
        {"{\"methodConfig\":[{\"name\":[{},{}]}]}", "name[1]: stands there twice"},
        {"{\"a\":1,\"a\":2}", "line 1"},
        {BALANCE("{\"ring_hash_experimental\":{\"minRingSize\":0}}"),
         "[0].ring_hash_experimental.minRingSize: "},
        {BALANCE("{\"ring_hash_experimental\":{\"requestHashHeader\":1}}"), "requestHashHeader: "},
        {BALANCE("{\"random_subsetting_experimental\":{}}"), "subsetSize: "},
        {BALANCE("{\"outlier_detection_experimental\":{}}"), "childPolicy: "},
        {BALANCE("{\"outlier_detection_experimental\":{\"maxEjectionPercent\":101}}"),
         "maxEjectionPercent: "},
        {BALANCE("{\"outlier_detection_experimental\":{\"interval\":\"0s\"}}"), "interval: "},
        {BALANCE("{\"outlier_detection_experimental\":{\"successRateEjection\":"
                 "{\"requestVolume\":0}}}"),
         "successRateEjection.requestVolume: "},
        {BALANCE(AROUND(AROUND(AROUND("{\"round_robin\":{}}")))), "too deep"},
        {ENTRY("\"timeout\":\"1\""), "methodConfig[1].timeout: "},
        {ENTRY("\"timeout\":\"-1s\""), "methodConfig[1].timeout: "},
        {ENTRY("\"timeout\":\"0s\""), "methodConfig[1].timeout: "},
        {ENTRY("\"timeout\":\"1.s\""), "methodConfig[1].timeout: "},
        {ENTRY("\"timeout\":\"1.0000000001s\""), "methodConfig[1].timeout: "},
        {ENTRY("\"timeout\":\"99999999999s\""), "methodConfig[1].timeout: "},
        {ENTRY("\"waitForReady\":1"), "methodConfig[1].waitForReady: "},
        {ENTRY("\"maxRequestMessageBytes\":-1"), "methodConfig[1].maxRequestMessageBytes: "},
        {ENTRY("\"maxRequestMessageBytes\":1.5"), "methodConfig[1].maxRequestMessageBytes: "},
        {ENTRY("\"maxResponseMessageBytes\":\"4294967296\""), "maxResponseMessageBytes: "},
        {ENTRY("\"retryPolicy\":1"), "methodConfig[1].retryPolicy: must be an object"},
        {ENTRY("\"retryPolicy\":{}"), "methodConfig[1].retryPolicy.maxAttempts: "},
        {ENTRY("\"retryPolicy\":{\"maxAttempts\":1}"), "retryPolicy.maxAttempts: must be 2"},
        {ENTRY("\"retryPolicy\":{\"maxAttempts\":2,\"initialBackoff\":\"0s\"}"),
         "retryPolicy.initialBackoff: "},
        {ENTRY("\"retryPolicy\":{\"maxAttempts\":2,\"initialBackoff\":\"1s\"}"),
         "retryPolicy.maxBackoff: "},
        {ENTRY("\"retryPolicy\":{\"maxAttempts\":2,\"initialBackoff\":\"1s\",\"maxBackoff\":\"1s\","
               "\"backoffMultiplier\":0}"),
         "retryPolicy.backoffMultiplier: "},
        {ENTRY("\"retryPolicy\":{\"maxAttempts\":2,\"initialBackoff\":\"1s\",\"maxBackoff\":\"1s\","
               "\"backoffMultiplier\":1,\"retryableStatusCodes\":[]}"),
         "retryableStatusCodes: "},
        {ENTRY("\"retryPolicy\":{\"maxAttempts\":2,\"initialBackoff\":\"1s\",\"maxBackoff\":\"1s\","
               "\"backoffMultiplier\":1,\"retryableStatusCodes\":[\"OK\",\"NO\"]}"),
         "retryPolicy.retryableStatusCodes[1]: is no status code"},
        {ENTRY("\"hedgingPolicy\":{\"maxAttempts\":1}"), "hedgingPolicy.maxAttempts: "},
        {ENTRY("\"hedgingPolicy\":{\"maxAttempts\":2,\"hedgingDelay\":1}"), "hedgingDelay: "},
        {ENTRY("\"hedgingPolicy\":{\"maxAttempts\":2,\"nonFatalStatusCodes\":[17]}"),
         "nonFatalStatusCodes[0]: "},
        {ENTRY("\"retryPolicy\":" RETRY ",\"hedgingPolicy\":" HEDGING), "methodConfig[1]: "},
        {"{\"retryThrottling\":{\"maxTokens\":0,\"tokenRatio\":1}}", "retryThrottling.maxTokens: "},
        {"{\"retryThrottling\":{\"maxTokens\":1001,\"tokenRatio\":1}}", "maxTokens: "},
        {"{\"retryThrottling\":{\"maxTokens\":10,\"tokenRatio\":0}}", "tokenRatio: "},
        {"{\"loadBalancingConfig\":{}}", "loadBalancingConfig: must be a list"},
        {"{\"loadBalancingConfig\":[]}", "loadBalancingConfig: "},
        {"{\"loadBalancingConfig\":[{\"new\":{}}]}", "loadBalancingConfig: "},
        {"{\"loadBalancingConfig\":[{\"new\":{},\"pick_first\":{}}]}", "loadBalancingConfig[0]: "},
        {"{\"loadBalancingConfig\":[{\"pick_first\":1}]}", "loadBalancingConfig[0].pick_first: "},
        {"{\"loadBalancingConfig\":[{\"pick_first\":{\"shuffleAddressList\":1}}]}",
         "loadBalancingConfig[0].pick_first.shuffleAddressList: "},
        {"{\"loadBalancingConfig\":[{\"least_request\":{\"choiceCount\":1}}]}", "choiceCount: "},
        {"{\"healthCheckConfig\":1}", "healthCheckConfig: "},
        {"{\"healthCheckConfig\":{\"serviceName\":1}}", "healthCheckConfig.serviceName: "},
    };
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_service_config *config;
        struct fl_error err;
        int rc = fl_service_config_new(fl_str_of(rows[i].text), &config, &err);
        assert_int_equal(rc, FL_ECONFIG);
        assert_null(config);
        assert_int_equal(strncmp(err.detail, "service config: ", 16), 0);
        if (!strstr(err.detail, rows[i].names)) fail_msg("%s: %s", rows[i].text, err.detail);
        assert_int_equal(fl_service_config_new(fl_str_of(rows[i].text), &config, NULL), FL_ECONFIG);
    }
}

static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    struct fl_str text =
        FL_STR("{\"methodConfig\":[{\"name\":[{\"service\":\"a\"},{}],"
               "\"retryPolicy\":" RETRY "}],\"healthCheckConfig\":{\"serviceName\":\"db\"}}");
    FL_TEST_EACH_FAILURE(n) {
        struct fl_service_config *config;
        int rc = fl_service_config_new(text, &config, NULL);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        assert_int_equal(rc == 0, config != NULL);
        fl_service_config_free(config);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_from_narrow_to_wide),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_policies_of_balancing),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_each_allocation_failing),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
