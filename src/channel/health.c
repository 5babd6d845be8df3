/* health.c - see health.h. */
#include "channel/health.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

#define SERVICE_LEN_MAX 1024
#define PATH_LEN_MAX    2048

static int copy_service(struct fl_health_options *out, const char *service, struct fl_error *err) {
    if (!service) return 0;
    if (strlen(service) > SERVICE_LEN_MAX)
        return fl_fail(err, FL_EUSAGE, "health: grpc_service has more than %d bytes",
                       SERVICE_LEN_MAX);
    out->grpc_service = fl_strdup(service);
    return out->grpc_service ? 0 : fl_fail_nomem(err);
}

/* --- checks from outside --- */

static bool is_nothing(const struct fl_health_check_options *check) {
    return !check->port && !check->interval_ms && !check->timeout_ms && !check->healthy_threshold &&
           !check->unhealthy_threshold && !check->concurrent_max && !check->path &&
           !check->status_min && !check->status_max;
}

/* As it stands in a request line: no spaces, nothing that is not printable. */
static bool is_path(const char *path) {
    if (path[0] != '/' || strlen(path) > PATH_LEN_MAX) return false;
    for (const char *p = path; *p; p++) {
        if (*p <= ' ' || *p > '~') return false;
    }
    return true;
}

static int judge_check(const struct fl_health_check_options *check, struct fl_error *err) {
    if ((unsigned)check->kind > FL_HEALTH_CHECK_HTTP)
        return fl_fail(err, FL_EUSAGE, "health: check.kind is none of enum fl_health_check_kind");
    if (check->kind == FL_HEALTH_CHECK_NONE && !is_nothing(check))
        return fl_fail(err, FL_EUSAGE, "health: check.kind says no check, but others say how");
    if (check->kind == FL_HEALTH_CHECK_TCP &&
        (check->path || check->status_min || check->status_max))
        return fl_fail(err, FL_EUSAGE, "health: check.path and check.status are for HTTP only");
    if (check->path && !is_path(check->path))
        return fl_fail(err, FL_EUSAGE, "health: check.path must be a path such as /healthz");
    return 0;
}

static uint32_t filled(uint32_t value, uint32_t otherwise) { return value ? value : otherwise; }

static int copy_check(struct fl_health_check_options *out,
                      const struct fl_health_check_options *given, struct fl_error *err) {
    int rc = judge_check(given, err);
    if (rc != 0 || given->kind == FL_HEALTH_CHECK_NONE) return rc;
    *out = (struct fl_health_check_options){
        .kind = given->kind,
        .port = given->port,
        .interval_ms = filled(given->interval_ms, 10000),
        .timeout_ms = filled(given->timeout_ms, 1000),
        .healthy_threshold = filled(given->healthy_threshold, 2),
        .unhealthy_threshold = filled(given->unhealthy_threshold, 3),
        .concurrent_max = filled(given->concurrent_max, 16),
        .path = fl_strdup(given->path ? given->path : "/"),
        .status_min = (uint16_t)filled(given->status_min, 200),
        .status_max = (uint16_t)filled(given->status_max, 399),
    };
    if (!out->path) return fl_fail_nomem(err);
    if (out->status_min < 100 || out->status_max > 599 || out->status_min > out->status_max)
        return fl_fail(err, FL_EUSAGE, "health: check.status_min %u to check.status_max %u",
                       (unsigned)out->status_min, (unsigned)out->status_max);
    return 0;
}

int fl_health_options_copy(struct fl_health_options *out, const struct fl_health_options *given,
                           const char *service, struct fl_error *err) {
    *out = (struct fl_health_options){.grpc_service = NULL};
    int rc = copy_service(out, service ? service : given->grpc_service, err);
    return rc == 0 ? copy_check(&out->check, &given->check, err) : rc;
}

void fl_health_options_deinit(struct fl_health_options *options) {
    fl_free((char *)options->grpc_service);
    fl_free((char *)options->check.path);
    *options = (struct fl_health_options){.grpc_service = NULL};
}
