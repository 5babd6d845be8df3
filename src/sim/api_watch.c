/* api_watch.c - see api_watch.h. */
#include "sim/api_watch.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "sim/api_outlet.h"
#include "sim/api_table.h"

#define SHORT_MS       500
#define TIMEOUT_MS_MIN ((uint64_t)30 * 60 * 1000) /* without timeoutSeconds: up to twice this */
#define RETRY_AFTER_S  1
#define REORDER_MS     1000 /* an event waits so long for one to change places with */

struct fl_api_watch {
    struct fl_list link; /* of all watches, once it has started */
    struct fl_io *io;
    const struct fl_store *store;
    struct fl_http_stream *stream;
    struct fl_api_request request;
    struct fl_api_watch_options options;
    struct fl_api_outlet outlet;
    uint64_t at;                   /* version of the last event looked at */
    struct fl_object_list initial; /* ADDED before anything else */
    size_t initial_next;
    bool initial_end; /* then the bookmark that says so */
    bool blocked, ended;
    struct fl_object *held; /* fault: comes after the next event */
    enum fl_k8s_event held_event;
    uint64_t release_ms;
    struct fl_timer timer;
    uint64_t end_ms, bookmark_ms;
};

static void watch_free(struct fl_api_watch *watch) {
    if (!watch) return;
    fl_list_remove(&watch->link);
    fl_io_timer_deinit(watch->io, &watch->timer);
    fl_object_list_deinit(&watch->initial);
    fl_object_unref(watch->held);
    fl_api_outlet_deinit(&watch->outlet);
    fl_api_request_deinit(&watch->request);
    fl_free(watch);
}

/* --- sending --- */

/* The client sees a clean end. */
static void end(struct fl_api_watch *watch) {
    if (watch->ended) return;
    watch->ended = true;
    fl_io_timer_clear(watch->io, &watch->timer);
    fl_api_outlet_end(&watch->outlet);
}

/* Sends one event; false: there is no room for it now, or the watch has ended. */
static bool send(struct fl_api_watch *watch, enum fl_k8s_event event, enum fl_k8s_kind kind,
                 struct fl_str bare) {
    int rc = fl_api_outlet_event(&watch->outlet, event, kind, bare);
    if (rc == FL_EFULL)
        watch->blocked = true;
    else if (rc)
        end(watch);
    return rc == 0;
}

/* The bare object in the shape asked for. */
static int encode_object(struct fl_api_watch *watch, struct fl_object *object, struct fl_buf *out) {
    if (watch->request.shape != FL_API_TABLE)
        return fl_api_request_encode(&watch->request, object, out);
    watch->request.now_s = fl_io_wall_ms(watch->io) / 1000;
    return fl_api_table_encode(&watch->request, &object, 1, object->version, FL_STR_NONE, out);
}

static bool send_object(struct fl_api_watch *watch, enum fl_k8s_event event,
                        struct fl_object *object) {
    struct fl_buf bare;
    fl_buf_init(&bare, FL_API_BODY_MAX);
    bool sent = false;
    if (encode_object(watch, object, &bare))
        end(watch);
    else
        sent = send(watch, event, fl_api_request_shown_kind(&watch->request), fl_buf_str(&bare));
    fl_buf_deinit(&bare);
    return sent;
}

static bool send_bookmark(struct fl_api_watch *watch, bool initial_end) {
    char version[24];
    struct fl_buf bare;
    bool sent = false;
    enum fl_k8s_kind kind = fl_api_request_shown_kind(&watch->request);
    int n = snprintf(version, sizeof version, "%" PRIu64, watch->at);
    fl_buf_init(&bare, FL_API_BODY_MAX);
    if (fl_k8s_encode_bookmark(&bare, watch->request.format, kind, fl_str_n(version, (size_t)n),
                               initial_end))
        end(watch);
    else
        sent = send(watch, FL_K8S_BOOKMARK, kind, fl_buf_str(&bare));
    fl_buf_deinit(&bare);
    return sent;
}

/* --- faults of events --- */

static bool take(struct fl_api_watch *watch, enum fl_fault_kind kind) {
    return fl_api_faults_take(watch->options.faults, kind);
}

static bool is_held_due(const struct fl_api_watch *watch) {
    return watch->held && watch->release_ms <= fl_io_now_ms(watch->io);
}

/* What is held and due waits for room, not for the clock. */
static void set_timer(struct fl_api_watch *watch) {
    uint64_t at = watch->end_ms;
    if (watch->request.bookmarks) at = FL_MIN(at, watch->bookmark_ms);
    if (watch->held && !is_held_due(watch)) at = FL_MIN(at, watch->release_ms);
    fl_io_timer_set(watch->io, &watch->timer, at);
}

static void hold(struct fl_api_watch *watch, const struct fl_store_event *event) {
    watch->held = fl_object_ref(event->object);
    watch->held_event = event->event;
    watch->release_ms = fl_io_now_ms(watch->io) + REORDER_MS;
    set_timer(watch);
}

static bool send_held(struct fl_api_watch *watch) {
    if (!watch->held) return true;
    watch->release_ms = 0;
    if (!send_object(watch, watch->held_event, watch->held)) return false;
    watch->held = fl_object_unref(watch->held);
    return true;
}

static bool is_of_another(const struct fl_object *held, const struct fl_object *object) {
    return fl_object_cmp(held, object->identity->ns, object->identity->name) != 0;
}

/* History is said to have been forgotten. */
static bool send_gone(struct fl_api_watch *watch) {
    struct fl_api_status status;
    struct fl_buf bare;
    bool sent = false;
    fl_api_expired(&status, watch->at, watch->store->version);
    struct fl_k8s_status spec = fl_api_status_of(&status);
    fl_buf_init(&bare, FL_API_BODY_MAX);
    if (!fl_k8s_encode_status(&bare, watch->request.format, &spec))
        sent = send(watch, FL_K8S_ERROR, FL_K8S_STATUS, fl_buf_str(&bare));
    fl_buf_deinit(&bare);
    end(watch);
    return sent;
}

/* --- history --- */

/* An event that concerns this watch; false: no room, or the end. */
static bool send_selected(struct fl_api_watch *watch, const struct fl_store_event *event) {
    unsigned reorders = watch->options.faults->left[FL_FAULT_REORDER];
    if (take(watch, FL_FAULT_LOST_EVENT)) return true;
    if (!watch->held && reorders) {
        hold(watch, event);
        return true;
    }
    bool before = watch->held && reorders && is_of_another(watch->held, event->object);
    if (!before && !send_held(watch)) return false;
    if (!send_object(watch, event->event, event->object)) return false;
    if (before) watch->release_ms = 0;
    return !before || take(watch, FL_FAULT_REORDER);
}

/* What this watch sees of it, if anything: an object that begins to be selected is new to it, one
 * that ceases is gone. */
static bool is_seen(const struct fl_api_watch *watch, const struct fl_store_event *event,
                    struct fl_store_event *seen) {
    bool is = fl_api_request_selects(&watch->request, event->object);
    *seen = *event;
    if (event->event != FL_K8S_MODIFIED) return is;
    bool was = fl_api_request_selects(&watch->request, event->previous);
    if (is != was) seen->event = is ? FL_K8S_ADDED : FL_K8S_DELETED;
    return is || was;
}

/* The next event of history. */
static bool send_next(struct fl_api_watch *watch) {
    struct fl_store_event seen;
    if (is_seen(watch, fl_store_event_at(watch->store, watch->at + 1), &seen)) {
        if (take(watch, FL_FAULT_GONE_EVENT)) return send_gone(watch) && false;
        if (!send_selected(watch, &seen)) return false;
    }
    watch->at++;
    return true;
}

static void send_history(struct fl_api_watch *watch) {
    const struct fl_store *store = watch->store;
    do {
        if (is_held_due(watch) && !send_held(watch)) return;
    } while (watch->at < store->version && watch->at >= store->oldest && send_next(watch));
}

static bool send_initial(struct fl_api_watch *watch) {
    while (watch->initial_next < watch->initial.count) {
        struct fl_object *object = watch->initial.items[watch->initial_next];
        if (fl_api_request_selects(&watch->request, object) &&
            !send_object(watch, FL_K8S_ADDED, object))
            return false;
        watch->initial_next++;
    }
    fl_object_list_deinit(&watch->initial);
    watch->initial_next = 0;
    if (watch->initial_end && !send_bookmark(watch, true)) return false;
    watch->initial_end = false;
    return true;
}

static void pump(struct fl_api_watch *watch) {
    const struct fl_store *store = watch->store;
    if (watch->ended || watch->options.fault == FL_FAULT_SHORT) return;
    if (!watch->blocked && send_initial(watch)) send_history(watch);
    if (watch->at < store->oldest ||
        (watch->at < store->version && store->version - watch->at > FL_API_WATCH_LAG_MAX))
        end(watch);
}

void fl_api_watch_pump(struct fl_api_watches *watches) {
    FL_LIST_EACH (&watches->list, item, next) pump(FL_CONTAINER(item, struct fl_api_watch, link));
}

void fl_api_watch_end_all(struct fl_api_watches *watches) {
    FL_LIST_EACH (&watches->list, item, next) end(FL_CONTAINER(item, struct fl_api_watch, link));
}

/* --- events --- */

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    FL_UNUSED(arg);
    fl_http_stream_consume(stream, bytes.n);
}

static void on_writable(void *arg, struct fl_http_stream *stream) {
    struct fl_api_watch *watch = arg;
    FL_UNUSED(stream);
    watch->blocked = false;
    fl_api_outlet_more(&watch->outlet);
    pump(watch);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    FL_UNUSED(stream);
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
    ((struct fl_api_watch *)arg)->options.watches->count--;
    watch_free(arg);
}

static const struct fl_http_stream_events watch_events = {
    .on_data = on_data, .on_writable = on_writable, .on_close = on_close};

static void send_due_bookmark(struct fl_api_watch *watch) {
    bool idle = !watch->blocked && !watch->initial.count && !watch->initial_end && !watch->held &&
                watch->at == watch->store->version;
    watch->bookmark_ms = fl_io_now_ms(watch->io) + watch->options.bookmark_ms;
    if (take(watch, FL_FAULT_NO_BOOKMARK))
        watch->request.bookmarks = false;
    else if (idle)
        (void)send_bookmark(watch, false);
}

static void run_timer(struct fl_timer *timer) {
    struct fl_api_watch *watch = FL_CONTAINER(timer, struct fl_api_watch, timer);
    uint64_t now = fl_io_now_ms(watch->io);
    if (now >= watch->end_ms) {
        end(watch);
        return;
    }
    pump(watch);
    if (!watch->ended && watch->request.bookmarks && now >= watch->bookmark_ms)
        send_due_bookmark(watch);
    if (!watch->ended) set_timer(watch);
}

/* --- starting --- */

static uint64_t end_time(struct fl_io *io, const struct fl_api_watch *watch) {
    uint64_t now = fl_io_now_ms(io);
    if (watch->options.fault == FL_FAULT_SHORT) return now + SHORT_MS;
    if (watch->request.timeout_s) return now + FL_MIN(watch->request.timeout_s, 86400) * 1000;
    return now + TIMEOUT_MS_MIN + fl_random_below(&io->jitter, TIMEOUT_MS_MIN);
}

static bool is_hit(const struct fl_api_watch *watch, enum fl_fault_kind kind) {
    return watch->options.fault == kind;
}

static int watch_new(struct fl_api_call *call, const struct fl_store *store,
                     const struct fl_api_watch_options *options, struct fl_api_watch **out) {
    struct fl_api_watch *watch = FL_NEW(struct fl_api_watch);
    struct fl_api_request *request = &call->request;
    bool initial = request->initial_events || !request->version;
    if (!watch) return FL_ENOMEM;
    fl_list_init(&watch->link);
    watch->io = call->io;
    watch->stream = call->stream;
    watch->store = store;
    watch->options = *options;
    watch->at = initial ? store->version : request->version;
    if (fl_io_timer_init(call->io, &watch->timer, run_timer) ||
        fl_api_outlet_init(&watch->outlet, call->io, call->stream, options->faults, request->format,
                           call->slow) ||
        (initial && fl_store_state_at(store, request->kind, store->version, &watch->initial))) {
        watch_free(watch);
        return FL_ENOMEM;
    }
    watch->request = *request;
    request->text = NULL;
    watch->initial_end = request->initial_events && !is_hit(watch, FL_FAULT_NO_END);
    if (is_hit(watch, FL_FAULT_SHORT) || is_hit(watch, FL_FAULT_NO_BOOKMARK))
        watch->request.bookmarks = false;
    *out = watch;
    return 0;
}

static int respond(struct fl_http_stream *stream, enum fl_k8s_format format) {
    struct fl_http_header type = {FL_STR("content-type"),
                                  fl_str_of(fl_api_content_type(format, true))};
    struct fl_http_response head = {200, {&type, 1}};
    return fl_http_stream_respond(stream, &head, false);
}

static void start(struct fl_api_watch *watch) {
    fl_http_stream_attach(watch->stream, &watch_events, watch);
    fl_list_push(&watch->options.watches->list, &watch->link);
    watch->options.watches->count++;
    watch->end_ms = end_time(watch->io, watch);
    watch->bookmark_ms = fl_io_now_ms(watch->io) + watch->options.bookmark_ms;
    set_timer(watch);
    if (respond(watch->stream, watch->request.format))
        end(watch);
    else
        pump(watch);
}

static void fail_full(const struct fl_api_watches *watches, struct fl_api_status *status) {
    fl_api_fail(status, 429, "TooManyRequests",
                "too many requests, please try again later: %zu watches are open", watches->count);
    status->retry_after_s = RETRY_AFTER_S;
}

void fl_api_watch_start(struct fl_api_call *call, const struct fl_store *store,
                        const struct fl_api_watch_options *options) {
    const struct fl_api_request *request = &call->request;
    struct fl_api_status status;
    struct fl_api_watch *watch;
    if (options->watches->count >= options->watches->max) {
        fail_full(options->watches, &status);
        fl_api_reply_status(call, &status);
    } else if (request->initial_events && fl_api_check_reached(store, request->version, &status)) {
        fl_api_reply_status(call, &status);
    } else if (!request->initial_events && request->version && request->version < store->oldest) {
        fl_api_expired(&status, request->version, store->oldest);
        fl_api_watch_refuse(call, &status);
    } else if (watch_new(call, store, options, &watch)) {
        fl_api_fail(&status, 500, "InternalError", "out of memory");
        fl_api_reply_status(call, &status);
    } else {
        start(watch);
    }
}

void fl_api_watch_refuse(const struct fl_api_call *call, const struct fl_api_status *status) {
    enum fl_k8s_format format = call->request.format;
    struct fl_k8s_status spec = fl_api_status_of(status);
    struct fl_buf bare, body;
    fl_buf_init(&bare, FL_API_BODY_MAX);
    fl_buf_init(&body, FL_API_BODY_MAX);
    int rc = fl_k8s_encode_status(&bare, format, &spec);
    if (!rc)
        rc = fl_k8s_encode_event(&body, format, FL_K8S_ERROR, FL_K8S_STATUS, fl_buf_str(&bare));
    if (rc) fl_buf_consume(&body, body.len);
    fl_api_reply_take(call, 200, fl_api_content_type(format, true), 0, &body);
    fl_buf_deinit(&bare);
}
