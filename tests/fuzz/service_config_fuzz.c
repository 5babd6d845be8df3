/* service_config_fuzz.c - service configs: a config that can be looked up, or an error that says
 * which part is wrong; no crash, no leak. */
#include "channel/service_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fl_service_config *config;
    struct fl_error err;
    int rc = fl_service_config_new(fl_str_n(data, size), &config, &err);
    FL_ASSERT((rc == 0) == (config != NULL));
    FL_ASSERT(rc == 0 || rc == FL_ECONFIG);
    if (rc != 0) return 0;
    struct fl_random random = {size};
    const struct fl_method_config *method =
        fl_service_config_method(config, FL_STR("/package.Service/Method"));
    if (method && method->retry.attempts_max > 0)
        FL_ASSERT(fl_retry_delay_ms(&method->retry, 4, &random) <= UINT32_MAX);
    fl_service_config_free(config);
    return 0;
}
