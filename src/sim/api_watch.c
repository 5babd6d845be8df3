/* api_watch.c - see api_watch.h. */
#include "sim/api_watch.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"

#define MUTE_MS        500
#define TIMEOUT_MS_MIN ((uint64_t)30 * 60 * 1000) /* without timeoutSeconds: up to twice this */
#define H2_INTERNAL    2

struct fl_api_watch {
    struct fl_list link;
    struct fl_io *io;
    const struct fl_store *store;
    struct fl_http_stream *stream;
    struct fl_api_request request;
    struct fl_api_watch_options options;
    uint64_t at;                   /* version of the last event looked at */
    struct fl_object_list initial; /* ADDED before anything else */
    size_t initial_next;
    bool initial_end; /* then the bookmark that says so */
    bool blocked, ended;
    struct fl_timer timer;
    uint64_t end_ms, bookmark_ms;
};

static void watch_free(struct fl_api_watch *watch) {
    if (!watch) return;
    fl_list_remove(&watch->link);
    fl_io_timer_deinit(watch->io, &watch->timer);
    fl_object_list_deinit(&watch->initial);
    fl_api_request_deinit(&watch->request);
    fl_free(watch);
}

/* --- sending --- */

/* The client sees a clean end. */
static void end(struct fl_api_watch *watch) {
    struct fl_error why;
    if (watch->ended) return;
    watch->ended = true;
    fl_io_timer_clear(watch->io, &watch->timer);
    if (fl_http_stream_write(watch->stream, FL_STR_NONE, true) == 0) return;
    fl_fail(&why, FL_ESHUTDOWN, "watch ended");
    fl_http_stream_reset(watch->stream, H2_INTERNAL, &why);
}

/* Sends one framed event; false: there is no room for it now, or the watch has ended. */
static bool send(struct fl_api_watch *watch, enum fl_k8s_event event, struct fl_str bare) {
    struct fl_buf frame;
    fl_buf_init(&frame, FL_API_BODY_MAX);
    int rc = fl_k8s_encode_event(&frame, watch->request.format, event, watch->request.kind, bare);
    if (!rc) rc = fl_http_stream_write(watch->stream, fl_buf_str(&frame), false);
    fl_buf_deinit(&frame);
    if (rc == FL_EFULL)
        watch->blocked = true;
    else if (rc)
        end(watch);
    return rc == 0;
}

static bool send_object(struct fl_api_watch *watch, enum fl_k8s_event event,
                        struct fl_object *object) {
    struct fl_buf bare;
    fl_buf_init(&bare, FL_API_BODY_MAX);
    bool sent = false;
    if (fl_object_encode(object, watch->request.format, &bare))
        end(watch);
    else
        sent = send(watch, event, fl_buf_str(&bare));
    fl_buf_deinit(&bare);
    return sent;
}

static bool send_bookmark(struct fl_api_watch *watch, bool initial_end) {
    char version[24];
    struct fl_buf bare;
    bool sent = false;
    int n = snprintf(version, sizeof version, "%" PRIu64, watch->at);
    fl_buf_init(&bare, FL_API_BODY_MAX);
    if (fl_k8s_encode_bookmark(&bare, watch->request.format, watch->request.kind,
                               fl_str_n(version, (size_t)n), initial_end))
        end(watch);
    else
        sent = send(watch, FL_K8S_BOOKMARK, fl_buf_str(&bare));
    fl_buf_deinit(&bare);
    return sent;
}

/* The next event of history, if it concerns this watch; false: no room. */
static bool send_next(struct fl_api_watch *watch) {
    const struct fl_store_event *event = fl_store_event_at(watch->store, watch->at + 1);
    if (fl_api_request_selects(&watch->request, event->object) &&
        !send_object(watch, event->event, event->object))
        return false;
    watch->at++;
    return true;
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
    if (watch->ended || watch->options.mute) return;
    if (!watch->blocked && send_initial(watch))
        while (watch->at < store->version && watch->at >= store->oldest && send_next(watch)) {
        }
    if (watch->at < store->oldest ||
        (watch->at < store->version && store->version - watch->at > FL_API_WATCH_LAG_MAX))
        end(watch);
}

void fl_api_watch_pump(struct fl_list *watches) {
    FL_LIST_EACH (watches, item, next) pump(FL_CONTAINER(item, struct fl_api_watch, link));
}

void fl_api_watch_end_all(struct fl_list *watches) {
    FL_LIST_EACH (watches, item, next) end(FL_CONTAINER(item, struct fl_api_watch, link));
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
    pump(watch);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    FL_UNUSED(stream);
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
    watch_free(arg);
}

static const struct fl_http_stream_events watch_events = {
    .on_data = on_data, .on_writable = on_writable, .on_close = on_close};

static void set_timer(struct fl_api_watch *watch) {
    uint64_t at = watch->end_ms;
    if (watch->request.bookmarks && !watch->options.mute) at = FL_MIN(at, watch->bookmark_ms);
    fl_io_timer_set(watch->io, &watch->timer, at);
}

static void run_timer(struct fl_timer *timer) {
    struct fl_api_watch *watch = FL_CONTAINER(timer, struct fl_api_watch, timer);
    uint64_t now = fl_io_now_ms(watch->io);
    if (now >= watch->end_ms) {
        end(watch);
        return;
    }
    watch->bookmark_ms = now + watch->options.bookmark_ms;
    bool idle = !watch->blocked && !watch->initial.count && watch->at == watch->store->version;
    if (idle) (void)send_bookmark(watch, false);
    if (!watch->ended) set_timer(watch);
}

/* --- starting --- */

static uint64_t end_time(struct fl_io *io, const struct fl_api_watch *watch) {
    uint64_t now = fl_io_now_ms(io);
    if (watch->options.mute) return now + MUTE_MS;
    if (watch->request.timeout_s) return now + FL_MIN(watch->request.timeout_s, 86400) * 1000;
    return now + TIMEOUT_MS_MIN + fl_random_below(&io->jitter, TIMEOUT_MS_MIN);
}

static int watch_new(struct fl_io *io, struct fl_http_stream *stream,
                     struct fl_api_request *request, const struct fl_store *store,
                     const struct fl_api_watch_options *options, struct fl_api_watch **out) {
    struct fl_api_watch *watch = FL_NEW(struct fl_api_watch);
    bool initial = request->initial_events || !request->version;
    if (!watch) return FL_ENOMEM;
    fl_list_init(&watch->link);
    watch->io = io;
    watch->stream = stream;
    watch->store = store;
    watch->options = *options;
    watch->at = initial ? store->version : request->version;
    watch->initial_end = request->initial_events;
    if (fl_io_timer_init(io, &watch->timer, run_timer) ||
        (initial && fl_store_state_at(store, request->kind, store->version, &watch->initial))) {
        watch_free(watch);
        return FL_ENOMEM;
    }
    watch->request = *request;
    request->text = NULL;
    *out = watch;
    return 0;
}

static int respond(struct fl_http_stream *stream, enum fl_k8s_format format) {
    struct fl_http_header type = {FL_STR("content-type"),
                                  fl_str_of(fl_api_content_type(format, true))};
    struct fl_http_response head = {200, {&type, 1}};
    return fl_http_stream_respond(stream, &head, false);
}

static int check(const struct fl_api_request *request, const struct fl_store *store,
                 struct fl_api_status *status) {
    return request->initial_events ? fl_api_check_reached(store, request->version, status) : 0;
}

void fl_api_watch_start(struct fl_io *io, struct fl_http_stream *stream,
                        struct fl_api_request *request, const struct fl_store *store,
                        const struct fl_api_watch_options *options, struct fl_list *watches) {
    struct fl_api_status status;
    struct fl_api_watch *watch;
    if (check(request, store, &status)) {
        fl_api_reply_status(stream, request->format, &status);
        return;
    }
    if (!request->initial_events && request->version && request->version < store->oldest) {
        fl_api_expired(&status, request->version, store->oldest);
        fl_api_watch_refuse(stream, request->format, &status);
        return;
    }
    if (watch_new(io, stream, request, store, options, &watch)) {
        fl_api_fail(&status, 500, "InternalError", "out of memory");
        fl_api_reply_status(stream, request->format, &status);
        return;
    }
    fl_http_stream_attach(stream, &watch_events, watch);
    fl_list_push(watches, &watch->link);
    watch->end_ms = end_time(io, watch);
    watch->bookmark_ms = fl_io_now_ms(io) + options->bookmark_ms;
    set_timer(watch);
    if (respond(stream, watch->request.format))
        end(watch);
    else
        pump(watch);
}

void fl_api_watch_refuse(struct fl_http_stream *stream, enum fl_k8s_format format,
                         const struct fl_api_status *status) {
    struct fl_k8s_status spec = fl_api_status_of(status);
    struct fl_buf bare, body;
    fl_buf_init(&bare, FL_API_BODY_MAX);
    fl_buf_init(&body, FL_API_BODY_MAX);
    int rc = fl_k8s_encode_status(&bare, format, &spec);
    if (!rc)
        rc = fl_k8s_encode_event(&body, format, FL_K8S_ERROR, FL_K8S_STATUS, fl_buf_str(&bare));
    if (rc) fl_buf_consume(&body, body.len);
    fl_api_reply_take(stream, 200, fl_api_content_type(format, true), 0, &body);
    fl_buf_deinit(&bare);
}
