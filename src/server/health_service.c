/* health_service.c - the health service.
 *
 * A few services, so a list; a watch is told what its service's status is when that differs from
 * what it was told last, so that a client which reads slowly gets the newest and not all. */
#include "server/health_service.h"

#include "base/alloc.h"
#include "base/list.h"

#define NEVER_TOLD (-1)

struct fl_health_service {
    struct fl_list entries, watches;
    bool leaving;
};

struct entry {
    struct fl_list link;
    enum fl_health_status status;
    struct fl_str service; /* behind the struct */
};

struct watch {
    struct fl_list link; /* in the service's list once its request came */
    struct fl_health_service *health;
    struct fl_grpc_call *call;
    int told;
    char *service;
};

/* --- status --- */

static struct entry *find(const struct fl_health_service *health, struct fl_str service) {
    FL_LIST_EACH (&health->entries, item, next) {
        struct entry *entry = FL_CONTAINER(item, struct entry, link);
        if (fl_str_eq(entry->service, service)) return entry;
    }
    return NULL;
}

static enum fl_health_status status_of(const struct fl_health_service *health,
                                       struct fl_str service) {
    const struct entry *entry = find(health, service);
    if (!entry) return FL_HEALTH_SERVICE_UNKNOWN;
    return health->leaving ? FL_HEALTH_NOT_SERVING : entry->status;
}

/* --- Check --- */

static void check(void *arg, struct fl_grpc_call *call, struct fl_str request) {
    const struct fl_health_service *health = arg;
    char bytes[FL_HEALTH_RESPONSE_MAX];
    struct fl_str service;
    if (!fl_health_read_request(request, &service)) {
        fl_grpc_call_reply(call, FL_STATUS_INTERNAL, FL_STR("malformed request"), FL_STR_NONE);
        return;
    }
    enum fl_health_status status = status_of(health, service);
    if (status == FL_HEALTH_SERVICE_UNKNOWN)
        fl_grpc_call_reply(call, FL_STATUS_NOT_FOUND, FL_STR("unknown service"), FL_STR_NONE);
    else
        fl_grpc_call_reply(call, FL_STATUS_OK, FL_STR_NONE,
                           fl_health_write_response(status, bytes));
}

/* --- Watch --- */

static void end(struct fl_grpc_call *call, enum fl_status status, const char *message) {
    fl_grpc_call_finish(call, status, fl_str_of(message), FL_HTTP_HEADERS_NONE);
}

static void tell(struct watch *watch) {
    char bytes[FL_HEALTH_RESPONSE_MAX];
    int status = (int)status_of(watch->health, fl_str_of(watch->service));
    if (status != watch->told) {
        int rc = fl_grpc_call_send(watch->call,
                                   fl_health_write_response((enum fl_health_status)status, bytes));
        if (rc == FL_EFULL) return; /* on_writable comes here again */
        if (rc != 0) end(watch->call, FL_STATUS_RESOURCE_EXHAUSTED, fl_error_text(rc));
        watch->told = status;
    }
    if (watch->health->leaving) end(watch->call, FL_STATUS_UNAVAILABLE, "the server is leaving");
}

static void watch_start(void *arg, struct fl_grpc_call *call,
                        const struct fl_grpc_call_head *head) {
    FL_UNUSED(head);
    struct watch *watch = FL_NEW(struct watch);
    fl_grpc_call_attach(call, watch);
    if (!watch) {
        end(call, FL_STATUS_RESOURCE_EXHAUSTED, fl_error_text(FL_ENOMEM));
        return;
    }
    fl_list_init(&watch->link);
    watch->health = arg;
    watch->call = call;
    watch->told = NEVER_TOLD;
}

static void watch_message(void *arg, struct fl_grpc_call *call, struct fl_str message) {
    struct watch *watch = arg;
    struct fl_str service;
    bool good = fl_health_read_request(message, &service);
    if (good) watch->service = fl_str_dup(service);
    if (watch->service) {
        fl_list_push(&watch->health->watches, &watch->link);
        tell(watch);
    } else if (good) {
        end(call, FL_STATUS_RESOURCE_EXHAUSTED, fl_error_text(FL_ENOMEM));
    } else {
        end(call, FL_STATUS_INTERNAL, "malformed request");
    }
}

static void watch_writable(void *arg, struct fl_grpc_call *call) {
    FL_UNUSED(call);
    struct watch *watch = arg;
    if (watch->service) tell(watch);
}

static void watch_close(void *arg, struct fl_grpc_call *call, const struct fl_error *why) {
    FL_UNUSED(call);
    FL_UNUSED(why);
    struct watch *watch = arg;
    if (!watch) return;
    fl_list_remove(&watch->link);
    fl_free(watch->service);
    fl_free(watch);
}

static const struct fl_grpc_call_events watch_events = {
    .on_start = watch_start,
    .on_message = watch_message,
    .on_writable = watch_writable,
    .on_close = watch_close,
};

/* --- the service --- */

struct fl_health_service *fl_health_service_new(void) {
    struct fl_health_service *health = FL_NEW(struct fl_health_service);
    if (!health) return NULL;
    fl_list_init(&health->entries);
    fl_list_init(&health->watches);
    if (fl_health_service_set(health, FL_STR(""), FL_HEALTH_SERVING) == 0) return health;
    fl_health_service_free(health);
    return NULL;
}

void fl_health_service_free(struct fl_health_service *health) {
    if (!health) return;
    FL_ASSERT(fl_list_empty(&health->watches));
    FL_LIST_EACH (&health->entries, item, next) {
        fl_free(FL_CONTAINER(item, struct entry, link));
    }
    fl_free(health);
}

struct fl_grpc_service fl_health_service_of(struct fl_health_service *health) {
    static const struct fl_grpc_method methods[] = {
        {.name = "Check", .unary = check},
        {.name = "Watch", .events = &watch_events},
    };
    return (struct fl_grpc_service){"grpc.health.v1.Health", methods, FL_COUNT(methods), health};
}

static void tell_all(struct fl_health_service *health) {
    FL_LIST_EACH (&health->watches, item, next) {
        tell(FL_CONTAINER(item, struct watch, link));
    }
}

int fl_health_service_set(struct fl_health_service *health, struct fl_str service,
                          enum fl_health_status status) {
    struct entry *entry = find(health, service);
    if (!entry) {
        entry = fl_calloc(1, sizeof(*entry) + service.n);
        if (!entry) return FL_ENOMEM;
        if (service.n) memcpy(entry + 1, service.p, service.n);
        entry->service = fl_str_n(entry + 1, service.n);
        fl_list_push(&health->entries, &entry->link);
    }
    entry->status = status;
    tell_all(health);
    return 0;
}

void fl_health_service_leave(struct fl_health_service *health) {
    health->leaving = true;
    tell_all(health);
}
