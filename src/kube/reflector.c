/* reflector.c - see reflector.h, and reflector_inside.h for what lies where.
 *
 *   WAITING ──due──> LIST_HEAD ───200──> LIST_BODY ──page or list complete──> WAITING
 *      ├──────due──> STREAM_HEAD ─200──> STREAMING ──complete──> WATCHING
 *      └──────due──> WATCH_HEAD ──200──────────────────────────> WATCHING ──end──> WAITING
 *                        └──other──> REFUSED ──────────────────────────────> WAITING
 *
 * From every state but WAITING a deadline, a failure or something unreadable leads to WAITING,
 * where `work` says what comes next. Deadlines: HEAD_MS for a response's head, the pace of a list's
 * body (body_pace.h), REFUSAL_MS for a refusal's, END_MS between new objects of a stream before it
 * is complete; for a watch see reflector_watch.c. */
#include "kube/reflector.h"

#include "base/alloc.h"
#include "base/sm.h"
#include "kube/reflector_inside.h"
#include "kube/resource.h"

#define HEAD_MS        30000
#define REFUSAL_MS     30000
#define END_MS         15000
#define REFUSAL_MAX    ((size_t)64 * 1024)
#define TOKEN_MAX      ((size_t)16 * 1024)
#define PATH_MAX_BYTES ((size_t)64 * 1024)

#define WAITING     REFLECTOR_WAITING
#define LIST_HEAD   REFLECTOR_LIST_HEAD
#define LIST_BODY   REFLECTOR_LIST_BODY
#define STREAM_HEAD REFLECTOR_STREAM_HEAD
#define STREAMING   REFLECTOR_STREAMING
#define WATCH_HEAD  REFLECTOR_WATCH_HEAD
#define WATCHING    REFLECTOR_WATCHING
#define REFUSED     REFLECTOR_REFUSED

static const uint32_t moves[] = {
    [WAITING] = FL_TO(LIST_HEAD) | FL_TO(STREAM_HEAD) | FL_TO(WATCH_HEAD) | FL_TO(WAITING),
    [LIST_HEAD] = FL_TO(LIST_BODY) | FL_TO(REFUSED) | FL_TO(WAITING),
    [LIST_BODY] = FL_TO(WAITING),
    [STREAM_HEAD] = FL_TO(STREAMING) | FL_TO(REFUSED) | FL_TO(WAITING),
    [STREAMING] = FL_TO(WATCHING) | FL_TO(WAITING),
    [WATCH_HEAD] = FL_TO(WATCHING) | FL_TO(REFUSED) | FL_TO(WAITING),
    [WATCHING] = FL_TO(WAITING),
    [REFUSED] = FL_TO(WAITING),
};

void reflector_move(struct fl_reflector *r, int state) { fl_sm_move(&r->state, moves, state); }

const char *fl_reflector_note_name(enum fl_reflector_note note) {
    static const char *const names[] = {
#define FL_X(name, label) label,
        FL_REFLECTOR_NOTE_MAP(FL_X)
#undef FL_X
    };
    return names[note];
}

/* --- what the decoder finds --- */

static int on_object(void *arg, enum fl_k8s_event event, struct fl_k8s_object *object) {
    struct fl_reflector *r = arg;
    r->event_count++;
    if (r->state == WATCHING) return reflector_watch_object(r, event, object);
    return reflector_list_object(r, event, object);
}

static void on_error(void *arg, const struct fl_k8s_status *status) {
    reflector_refusal_status(arg, status);
}

static void on_list_end(void *arg, struct fl_str version, struct fl_str token) {
    reflector_list_meta(arg, version, token);
}

static struct fl_block *previous(void *arg, struct fl_str ns, struct fl_str name) {
    const struct fl_reflector *r = arg;
    const struct fl_kube_entry *entry = fl_kube_store_peek(r->store, ns, name);
    return entry ? fl_kube_entry_block(entry) : NULL;
}

static const struct fl_k8s_decoder_events decoder_events = {
    .on_object = on_object,
    .on_error = on_error,
    .on_list_end = on_list_end,
    .previous = previous,
};

/* --- requests --- */

static int head_state(const struct fl_reflector *r) {
    if (r->work == REFLECTOR_WATCH) return WATCH_HEAD;
    return r->streamed ? STREAM_HEAD : LIST_HEAD;
}

static bool send_request(struct fl_reflector *r, struct fl_reflector_request *request) {
    bool list = r->work == REFLECTOR_LIST;
    if (list) reflector_list_choose(r);
    int rc = reflector_query(r, request);
    if (rc < 0) {
        struct fl_error why;
        fl_fail(&why, rc, "request could not be written");
        reflector_retry(r, &why);
        return false;
    }
    r->refusal = (struct reflector_refusal){0};
    r->decoding = r->list_read = false;
    request->begins_list = list && !r->continue_token.len;
    request->begins_watch = !list || r->streamed;
    reflector_move(r, head_state(r));
    if (list) reflector_list_begin(r);
    r->deadline_ms = r->now_ms + HEAD_MS;
    return true;
}

/* --- inputs --- */

static void body_begins(struct fl_reflector *r) {
    fl_outage_answered(&r->server->outage, r, r->now_ms);
    r->woken = false;
    if (r->state == WATCH_HEAD) {
        reflector_watch_begin(r);
    } else if (r->state == STREAM_HEAD) {
        reflector_move(r, STREAMING);
        r->deadline_ms = r->now_ms + END_MS;
    } else {
        reflector_move(r, LIST_BODY);
        r->deadline_ms = fl_body_pace_begin(&r->pace, r->now_ms);
    }
}

static bool awaits_head(const struct fl_reflector *r) {
    return r->state == LIST_HEAD || r->state == STREAM_HEAD || r->state == WATCH_HEAD;
}

void fl_reflector_response(struct fl_reflector *r, uint64_t now_ms, int status,
                           struct fl_str content_type, struct fl_str retry_after) {
    r->now_ms = now_ms;
    if (!awaits_head(r)) return;
    enum fl_k8s_format format;
    enum fl_k8s_body body = status != 200           ? FL_K8S_BODY_STATUS
                            : r->state == LIST_HEAD ? FL_K8S_BODY_LIST
                                                    : FL_K8S_BODY_WATCH;
    r->decoding = fl_resource_format(content_type, &format);
    if (status == 200 && !r->decoding) {
        struct fl_error why;
        fl_fail(&why, FL_EPROTO,
                "Content-Type \"%.*s\" is not one of a Kubernetes API server: check the server URL",
                FL_STR_ARG(content_type));
        reflector_give_up(r, &why);
        return;
    }
    if (r->decoding) fl_k8s_decoder_start(r->decoder, body, format);
    if (status == 200) {
        body_begins(r);
        return;
    }
    reflector_move(r, REFUSED);
    r->deadline_ms = now_ms + REFUSAL_MS;
    reflector_refusal_head(r, status, retry_after);
}

static void refusal_data(struct fl_reflector *r, struct fl_str bytes) {
    r->refusal.bytes += bytes.n;
    if (r->decoding && fl_k8s_decoder_feed(r->decoder, bytes, NULL) < 0) r->decoding = false;
    if (r->refusal.bytes <= REFUSAL_MAX) return;
    r->cancel = true;
    reflector_refused(r);
}

/* A body that goes on: new deadlines. `n` bytes came, and with them a whole object or none. */
static void progress(struct fl_reflector *r, size_t n, bool object) {
    size_t seen = fl_kube_store_list_seen(r->store);
    if (r->state == WATCHING) {
        reflector_watch_read(r);
    } else if (r->state == LIST_BODY) {
        r->deadline_ms = fl_body_pace_read(&r->pace, r->now_ms, n, object);
    } else if (seen != r->list_seen) {
        r->list_seen = seen;
        r->deadline_ms = r->now_ms + END_MS;
    }
}

static bool in_body(const struct fl_reflector *r) {
    return r->state == LIST_BODY || r->state == STREAMING || r->state == WATCHING;
}

/* What was under way has broken off. */
static void cut_off(struct fl_reflector *r) {
    if (r->state == WATCHING) reflector_watch_over(r);
    if (r->state == STREAMING) r->stream_cuts++;
}

void fl_reflector_data(struct fl_reflector *r, uint64_t now_ms, struct fl_str bytes) {
    r->now_ms = now_ms;
    if (r->state == REFUSED) refusal_data(r, bytes);
    if (!in_body(r)) return;
    struct fl_error why = {.code = FL_OK};
    uint64_t events_before = r->event_count;
    int rc = fl_k8s_decoder_feed(r->decoder, bytes, &why);
    if (r->state == WAITING) return; /* a stream's list was not believed */
    if (r->refusal.said) {
        if (r->state == WATCHING) reflector_watch_over(r);
        r->cancel = true;
        reflector_refused(r);
    } else if (rc < 0) {
        cut_off(r);
        if (why.code != rc) fl_fail(&why, rc, "an object could not be kept");
        reflector_give_up(r, &why);
    } else {
        progress(r, bytes.n, r->event_count != events_before);
    }
}

static void body_closed(struct fl_reflector *r) {
    struct fl_error early;
    if (r->state == LIST_BODY) {
        reflector_list_ended(r);
    } else if (r->state == WATCHING) {
        reflector_watch_over(r);
        reflector_watch_ended(r);
    } else {
        cut_off(r);
        fl_fail(&early, FL_EPROTO, "%s",
                r->state == STREAMING ? "the stream ended before the list was complete"
                                      : "the response has no head");
        reflector_retry(r, &early);
    }
}

void fl_reflector_closed(struct fl_reflector *r, uint64_t now_ms, const struct fl_error *why) {
    r->now_ms = now_ms;
    if (r->state == WAITING) return;
    if (r->state == REFUSED) {
        if (r->decoding) (void)!fl_k8s_decoder_end(r->decoder, NULL);
        reflector_refused(r);
    } else if (why->code != FL_OK) {
        cut_off(r);
        reflector_failed(r, why);
    } else {
        body_closed(r);
    }
}

/* --- time --- */

static void late(struct fl_reflector *r) {
    struct fl_error why;
    if (r->state == REFUSED) {
        r->cancel = true;
        reflector_refused(r);
    } else if (r->state == WATCHING) {
        reflector_watch_late(r);
    } else if (r->state == STREAMING) {
        reflector_stream_unended(r);
    } else {
        fl_fail(&why, FL_ETIMEOUT, "no %s for %d s",
                r->state == LIST_BODY ? "more of the answer" : "answer", HEAD_MS / 1000);
        r->cancel = true;
        reflector_failed(r, &why);
    }
}

enum fl_reflector_action fl_reflector_next(struct fl_reflector *r, uint64_t now_ms,
                                           struct fl_reflector_request *request) {
    r->now_ms = now_ms;
    if (r->state != WAITING && now_ms >= fl_reflector_deadline_ms(r)) late(r);
    if (r->cancel) {
        r->cancel = false;
        return FL_REFLECTOR_CANCEL;
    }
    bool due = r->state == WAITING && now_ms >= r->deadline_ms;
    if (due && reflector_may_send(r) && send_request(r, request)) return FL_REFLECTOR_SEND;
    return FL_REFLECTOR_WAIT;
}

uint64_t fl_reflector_deadline_ms(const struct fl_reflector *r) {
    return r->state == WATCHING ? reflector_watch_deadline_ms(r) : r->deadline_ms;
}

void fl_reflector_relist(struct fl_reflector *r, uint64_t now_ms) {
    r->now_ms = now_ms;
    if (r->state != WATCHING) return;
    reflector_watch_cut(r, REFLECTOR_LIST, FL_REFLECTOR_RELIST_AUDIT);
}

bool fl_reflector_synced(const struct fl_reflector *r) { return r->synced; }
bool fl_reflector_watching(const struct fl_reflector *r) { return r->state == WATCHING; }
uint64_t fl_reflector_proof_ms(const struct fl_reflector *r) { return r->proof_ms; }
uint64_t fl_reflector_event_count(const struct fl_reflector *r) { return r->event_count; }
const char *fl_reflector_position(const struct fl_reflector *r) { return r->position; }

/* --- life --- */

int fl_reflector_new(const struct fl_reflector_options *options,
                     const struct fl_reflector_events *events, void *arg,
                     struct fl_reflector **out) {
    struct fl_reflector *r = FL_NEW(struct fl_reflector);
    *out = NULL;
    if (!r) return FL_ENOMEM;
    r->kind = options->kind;
    r->store = options->store;
    r->server = options->server;
    r->events = events;
    r->arg = arg;
    r->random.state = options->seed;
    fl_backoff_init(&r->backoff, &fl_backoff_client_go);
    fl_buf_init(&r->path, PATH_MAX_BYTES);
    fl_buf_init(&r->continue_token, TOKEN_MAX);
    r->ns = fl_str_dup(options->ns);
    r->label_selector = fl_str_dup(options->label_selector);
    r->field_selector = fl_str_dup(options->field_selector);
    if (!r->ns || !r->label_selector || !r->field_selector) goto fail;
    if (fl_k8s_decoder_new(r->kind, &decoder_events, r, &r->decoder) < 0) goto fail;
    *out = r;
    return FL_OK;
fail:
    fl_reflector_free(r);
    return FL_ENOMEM;
}

void fl_reflector_free(struct fl_reflector *r) {
    if (!r) return;
    fl_outage_forget(&r->server->outage, r);
    fl_k8s_decoder_free(r->decoder);
    fl_buf_deinit(&r->path);
    fl_buf_deinit(&r->continue_token);
    fl_free(r->ns);
    fl_free(r->label_selector);
    fl_free(r->field_selector);
    fl_free(r);
}
