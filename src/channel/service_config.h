/* service_config.h - a service config (grpc/doc/service_config.md, gRFC A2, A6, A21, A24): how
 * calls of each method are made. Read once, then only read; any thread. */
#ifndef FL_CHANNEL_SERVICE_CONFIG_H
#define FL_CHANNEL_SERVICE_CONFIG_H

#include <fairlead/balance.h>

#include "base/error.h"
#include "base/map.h"
#include "channel/retry.h"

#define FL_SERVICE_CONFIG_BYTES_MAX ((size_t)1024 * 1024)

/* What one entry of methodConfig says; absent members are 0. */
struct fl_method_config {
    uint64_t timeout_ms; /* 0: none given */
    bool wait_for_ready;
    bool limits_request, limits_response;
    uint32_t request_bytes_max, response_bytes_max;
    struct fl_retry_policy retry;
    struct fl_hedging_policy hedging; /* at most one of the two */
};

struct fl_service_config {
    struct fl_map names; /* "/service/method", "/service/" and "" (all): struct fl_method_config */
    struct fl_method_config *methods;
    size_t method_count;
    double throttle_tokens, throttle_ratio; /* 0: no throttling */
    bool balances;
    struct fl_balance_options balance; /* of loadBalancingConfig */
    char *health_service;              /* of healthCheckConfig; NULL: none */
};

/* Parts that nobody knows are passed over, as gRPC says. FL_ECONFIG: the detail names the part that
 * is wrong; FL_ENOMEM. */
FL_MUST int fl_service_config_new(struct fl_str json, struct fl_service_config **out,
                                  struct fl_error *err);
void fl_service_config_free(struct fl_service_config *config); /* NULL is allowed */
/* Puts what one that `balances` says into *options, borrowed; the rest of them stays. */
void fl_service_config_balance(const struct fl_service_config *config,
                               struct fl_balance_options *options);

/* For a method "/package.Service/Method": its own entry, its service's, the one of all; NULL. */
const struct fl_method_config *fl_service_config_method(const struct fl_service_config *config,
                                                        struct fl_str method);

#endif
