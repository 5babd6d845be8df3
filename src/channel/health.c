/* health.c - see health.h. */
#include "channel/health.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

#define SERVICE_LEN_MAX 1024

int fl_health_options_copy(struct fl_health_options *out, const struct fl_health_options *given,
                           const char *service, struct fl_error *err) {
    *out = *given;
    out->grpc_service = NULL;
    const char *asked = service ? service : given->grpc_service;
    if (!asked) return 0;
    if (strlen(asked) > SERVICE_LEN_MAX)
        return fl_fail(err, FL_EUSAGE, "health: the service's name has more than %d bytes",
                       SERVICE_LEN_MAX);
    out->grpc_service = fl_strdup(asked);
    return out->grpc_service ? 0 : fl_fail_nomem(err);
}

void fl_health_options_deinit(struct fl_health_options *options) {
    fl_free((char *)options->grpc_service);
    options->grpc_service = NULL;
}
