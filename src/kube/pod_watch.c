/* pod_watch.c - see pod_watch.h.
 *
 *     ASKING ──> TOLD … ──> the watch ends or fails ──> WAITING (backoff) ──> ASKING
 *
 * A watch without a resource version begins with an ADDED event for what is there, so list and
 * watch are one request (Kubernetes API concepts, "Semantics for watch"). A pod is one object of a
 * few kilobytes: an event is collected whole and then read with jansson. */
#include "kube/pod_watch.h"

#include <jansson.h>

#include "base/alloc.h"
#include "base/backoff.h"
#include "kube/resource.h"
#include "wire/json.h"

#define EVENT_MAX ((size_t)2 * 1024 * 1024) /* etcd allows objects of 1.5 MiB */
#define PATH_MAX  ((size_t)1024)
#define STREAM_S  300 /* the server ends the watch after so long */

struct fl_pod_watch {
    struct fl_io *io;
    struct fl_kube_client *client;
    struct fl_pod_events events;
    void *arg;
    char *path;
    struct fl_json *json;
    struct fl_kube_request *request; /* NULL: none is under way */
    struct fl_error trouble;         /* of the request; code FL_OK: none */
    struct fl_backoff backoff;
    struct fl_timer timer; /* the next attempt */
    bool closed;
};

static void watch_free(struct fl_pod_watch *watch) {
    fl_io_timer_deinit(watch->io, &watch->timer);
    fl_json_free(watch->json);
    fl_free(watch->path);
    fl_free(watch);
}

/* --- what an event says --- */

static struct fl_str text_of(const json_t *object, const char *part, const char *key) {
    return fl_str_of(json_string_value(json_object_get(json_object_get(object, part), key)));
}

static void read_ports(const json_t *object, struct fl_pod *pod) {
    const json_t *containers = json_object_get(json_object_get(object, "spec"), "containers");
    const json_t *ports = json_object_get(json_array_get(containers, 0), "ports");
    for (size_t i = 0; i < json_array_size(ports) && pod->port_count < FL_POD_PORTS_MAX; i++) {
        json_int_t number =
            json_integer_value(json_object_get(json_array_get(ports, i), "containerPort"));
        if (number > 0 && number <= UINT16_MAX) pod->ports[pod->port_count++] = (uint16_t)number;
    }
}

static void tell(struct fl_pod_watch *watch, const json_t *object) {
    struct fl_pod pod = {
        .address = text_of(object, "status", "podIP"),
        .node = text_of(object, "spec", "nodeName"),
    };
    read_ports(object, &pod);
    fl_backoff_success(&watch->backoff, fl_io_now_ms(watch->io));
    watch->events.on_pod(watch->arg, &pod);
}

static int read_event(struct fl_pod_watch *watch, struct fl_str text, struct fl_error *err) {
    json_error_t bad;
    json_t *event = json_loadb(text.p, text.n, 0, &bad);
    if (!event) return fl_fail(err, FL_EPROTO, "watch of a pod: %s", bad.text);
    struct fl_str type = fl_str_of(json_string_value(json_object_get(event, "type")));
    const json_t *object = json_object_get(event, "object");
    int rc = 0;
    if (fl_str_eq(type, FL_STR("ADDED")) || fl_str_eq(type, FL_STR("MODIFIED")))
        tell(watch, object);
    else if (fl_str_eq(type, FL_STR("ERROR")))
        rc = fl_fail(err, FL_ESERVER, "watch of a pod: %.200s",
                     json_string_value(json_object_get(object, "message"))
                         ? json_string_value(json_object_get(object, "message"))
                         : "ERROR event");
    json_decref(event);
    return rc;
}

/* --- the request --- */

static void fail(struct fl_pod_watch *watch, const struct fl_error *why) {
    watch->trouble = *why;
    if (watch->request) fl_kube_request_cancel(watch->request);
}

static void on_response(void *arg, const struct fl_http_response *head) {
    struct fl_pod_watch *watch = arg;
    struct fl_error err;
    int code = FL_EHTTP;
    if (watch->closed || head->status == 200) return;
    if (head->status == 401) code = FL_EUNAUTHORIZED;
    if (head->status == 403) code = FL_EFORBIDDEN;
    if (head->status == 404) code = FL_ENOT_FOUND;
    if (head->status == 429) code = FL_ETHROTTLED;
    if (head->status >= 500) code = FL_ESERVER;
    fl_fail(&err, code, "watch of a pod answered %d (%s)", head->status, watch->path);
    fail(watch, &err);
}

static void on_data(void *arg, struct fl_str bytes) {
    struct fl_pod_watch *watch = arg;
    struct fl_error err;
    if (watch->closed || watch->trouble.code != FL_OK) return;
    fl_json_feed(watch->json, bytes);
    for (;;) {
        enum fl_json_token token = fl_json_next(watch->json);
        if (token == FL_JSON_MORE) return;
        int rc = 0;
        if (token == FL_JSON_OBJECT_BEGIN)
            fl_json_raw(watch->json);
        else if (token == FL_JSON_RAW)
            rc = read_event(watch, fl_json_text(watch->json), &err);
        else
            rc = fl_fail(&err, FL_EPROTO, "watch of a pod: not a stream of events");
        if (watch->closed) return; /* by who was told */
        if (rc == 0) continue;
        fail(watch, &err);
        return;
    }
}

static void try_later(struct fl_pod_watch *watch) {
    uint64_t now_ms = fl_io_now_ms(watch->io);
    fl_io_timer_set(watch->io, &watch->timer,
                    now_ms + fl_backoff_failure(&watch->backoff, now_ms, &watch->io->jitter));
}

static void on_close(void *arg, const struct fl_error *why) {
    struct fl_pod_watch *watch = arg;
    watch->request = NULL;
    if (watch->closed) {
        watch_free(watch);
        return;
    }
    const struct fl_error trouble = watch->trouble.code != FL_OK ? watch->trouble : *why;
    try_later(watch); /* a watch that ended in peace, too */
    if (trouble.code != FL_OK) watch->events.on_trouble(watch->arg, &trouble);
}

static void ask(struct fl_timer *timer) {
    static const struct fl_kube_request_events events = {
        .on_response = on_response, .on_data = on_data, .on_close = on_close};
    struct fl_pod_watch *watch = FL_CONTAINER(timer, struct fl_pod_watch, timer);
    struct fl_error err;
    fl_json_reset(watch->json);
    watch->trouble = (struct fl_error){FL_OK, ""};
    int rc = fl_kube_client_get(watch->client, fl_str_of(watch->path), FL_STR("application/json"),
                                &events, watch, &watch->request, &err);
    if (rc == 0) return;
    watch->request = NULL;
    try_later(watch);
    watch->events.on_trouble(watch->arg, &err);
}

/* --- its life --- */

static char *path_of(struct fl_str ns, struct fl_str name) {
    struct fl_buf path, field;
    fl_buf_init(&path, PATH_MAX);
    fl_buf_init(&field, PATH_MAX);
    int rc = fl_buf_printf(&path, "/api/v1/namespaces/%.*s/pods?watch=1", FL_STR_ARG(ns));
    if (rc == 0) rc = fl_buf_printf(&field, "metadata.name=%.*s", FL_STR_ARG(name));
    if (rc == 0) rc = fl_query_add(&path, "fieldSelector", fl_buf_str(&field));
    if (rc == 0) rc = fl_query_add_number(&path, "timeoutSeconds", STREAM_S);
    char *text = rc == 0 ? fl_buf_steal_text(&path) : NULL;
    fl_buf_deinit(&path);
    fl_buf_deinit(&field);
    return text;
}

int fl_pod_watch_new(struct fl_io *io, struct fl_kube_client *client, struct fl_str ns,
                     struct fl_str name, const struct fl_pod_events *events, void *arg,
                     struct fl_pod_watch **out, struct fl_error *err) {
    struct fl_pod_watch *watch = FL_NEW(struct fl_pod_watch);
    if (!watch) return fl_fail_nomem(err);
    watch->io = io;
    watch->client = client;
    watch->events = *events;
    watch->arg = arg;
    fl_backoff_init(&watch->backoff, &fl_backoff_client_go);
    watch->path = path_of(ns, name);
    if (!watch->path || fl_json_new(EVENT_MAX, &watch->json) != 0 ||
        fl_io_timer_init(io, &watch->timer, ask) != 0) {
        watch_free(watch);
        return fl_fail_nomem(err);
    }
    fl_io_timer_set(io, &watch->timer, fl_io_now_ms(io));
    *out = watch;
    return 0;
}

void fl_pod_watch_close(struct fl_pod_watch *watch) {
    watch->closed = true;
    fl_io_timer_clear(watch->io, &watch->timer);
    if (watch->request)
        fl_kube_request_cancel(watch->request); /* on_close frees it */
    else
        watch_free(watch);
}
