/* reflector.c - see reflector.h.
 *
 *   WAITING ──due──> LIST_HEAD ──200──> LIST_BODY ──page or list complete──> WAITING
 *      │                 └──other──> REFUSED ──────────────────────────────> WAITING
 *      └──────due──> WATCH_HEAD ──200──> WATCHING ──end, error, timeout────> WAITING
 *                        └──other──> REFUSED ──────────────────────────────> WAITING
 *
 * `work` says what is under way, or in WAITING what comes next. How a list is asked:
 *   CACHED      resourceVersion=0: nothing is held yet; any state will do
 *   NOT_OLDER   at least our position; from the server's cache
 *   CONSISTENT  unset: read through to etcd; after 410, after "too large", and to settle doubts
 *
 * A watch that ends goes on at the position, however it ended; only the server's word that the
 * position is of no use (410, too large, refused) makes a list. A list whose own version is older
 * than the position is refused: a cached one is asked again consistently; a consistent one is asked
 * once more after a pause, and if it is still older etcd was restored and the list is the truth.
 *
 * Deadlines: HEAD_MS for a response's head, SILENCE_MS between bytes of a list or a refusal, for a
 * watch the timeout that it asked for and a margin. */
#include "kube/reflector.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/backoff.h"
#include "base/sm.h"
#include "kube/resource.h"

#define HEAD_MS             30000
#define SILENCE_MS          30000
#define WATCH_TIMEOUT_S_MIN 300
#define WATCH_TIMEOUT_S_MAX 600
#define WATCH_MARGIN_MS     30000
#define WATCH_SHORT_MS      1000 /* watches begin at least so far apart */
#define SETTLE_MS           1000 /* a watch open for so long shows that trouble is over */
#define PAGE_LIMIT          500
#define RETRY_AFTER_S_MAX   300
#define REFUSAL_MAX         ((size_t)64 * 1024)
#define POSITION_MAX        64
#define TOKEN_MAX           ((size_t)16 * 1024)
#define PATH_MAX_BYTES      ((size_t)64 * 1024)
#define MESSAGE_MAX         160

enum state { WAITING, LIST_HEAD, LIST_BODY, WATCH_HEAD, WATCHING, REFUSED };

static const uint32_t moves[] = {
    [WAITING] = FL_TO(LIST_HEAD) | FL_TO(WATCH_HEAD) | FL_TO(WAITING),
    [LIST_HEAD] = FL_TO(LIST_BODY) | FL_TO(REFUSED) | FL_TO(WAITING),
    [LIST_BODY] = FL_TO(WAITING),
    [WATCH_HEAD] = FL_TO(WATCHING) | FL_TO(REFUSED) | FL_TO(WAITING),
    [WATCHING] = FL_TO(WAITING),
    [REFUSED] = FL_TO(WAITING),
};

enum work { LIST, WATCH };
enum mode { CACHED, NOT_OLDER, CONSISTENT };

/* What the server said instead of what was asked for. */
struct refusal {
    int code;
    bool said; /* a Status was read */
    bool expired, version_too_large;
    uint32_t retry_after_s;
    size_t bytes;
    char message[MESSAGE_MAX];
};

struct fl_reflector {
    enum fl_k8s_kind kind;
    char *ns, *label_selector, *field_selector;
    struct fl_kube_store *store;
    const struct fl_reflector_events *events;
    void *arg;
    struct fl_k8s_decoder *decoder;
    struct fl_random random;
    struct fl_backoff backoff;
    struct fl_buf path;

    int state;
    enum work work;
    uint64_t deadline_ms; /* WAITING: when `work` is due; else when to give up */
    bool cancel;          /* the driver has yet to cancel what is under way */
    bool decoding;        /* the body's format is known */
    bool synced, troubled;
    uint64_t proof_ms, event_count;
    char position[POSITION_MAX];

    enum mode mode;
    bool listed; /* a first page was asked for */
    bool unpaged;
    bool list_read;      /* this page's metadata was read */
    unsigned older_seen; /* consistent lists in a row that were older */
    struct fl_buf continue_token;
    char list_version[POSITION_MAX];

    uint64_t watch_timeout_ms, watch_began_ms, watch_events_before;
    struct refusal refusal;
};

const char *fl_reflector_note_name(enum fl_reflector_note note) {
    static const char *const names[] = {
#define FL_X(name, label) label,
        FL_REFLECTOR_NOTE_MAP(FL_X)
#undef FL_X
    };
    return names[note];
}

static struct fl_str position(const struct fl_reflector *r) { return fl_str_of(r->position); }

static void note(struct fl_reflector *r, enum fl_reflector_note what) {
    r->events->on_note(r->arg, what);
}

/* --- moves --- */

static void wait_for(struct fl_reflector *r, enum work work, uint64_t due_ms) {
    fl_sm_move(&r->state, moves, WAITING);
    r->work = work;
    r->deadline_ms = due_ms;
}

static void wait_after_failure(struct fl_reflector *r, uint64_t now_ms, enum work work,
                               uint32_t retry_after_s) {
    uint64_t delay = fl_backoff_failure(&r->backoff, now_ms, &r->random);
    if (retry_after_s) {
        uint64_t asked = (uint64_t)FL_MIN(retry_after_s, (uint32_t)RETRY_AFTER_S_MAX) * 1000;
        delay = FL_MAX(delay, asked + fl_random_below(&r->random, 1000));
    }
    wait_for(r, work, now_ms + delay);
}

static void forget_pages(struct fl_reflector *r) {
    fl_buf_truncate(&r->continue_token, 0);
    fl_buf_release(&r->continue_token);
}

static void start_over(struct fl_reflector *r, enum mode mode) {
    forget_pages(r);
    r->mode = mode;
    r->unpaged = false;
}

static void trouble(struct fl_reflector *r, const struct fl_error *why) {
    r->troubled = true;
    r->events->on_trouble(r->arg, why);
}

static void trouble_over(struct fl_reflector *r) {
    if (!r->troubled) return;
    r->troubled = false;
    r->events->on_trouble(r->arg, &(struct fl_error){.code = FL_OK});
}

/* "list endpointslices in namespace x" */
#define DESCRIPTION_MAX 104

static const char *describe(const struct fl_reflector *r, char out[DESCRIPTION_MAX]) {
    snprintf(out, DESCRIPTION_MAX, "%s %s in %s%.63s", r->work == LIST ? "list" : "watch",
             fl_resource_name(r->kind), r->ns[0] ? "namespace " : "all namespaces", r->ns);
    return out;
}

/* The connection, the peer's bytes or our memory failed: the same once more, later. */
static void retry(struct fl_reflector *r, uint64_t now_ms, const struct fl_error *why) {
    char what[DESCRIPTION_MAX];
    struct fl_error told = *why;
    fl_error_prefix(&told, "%s", describe(r, what));
    wait_after_failure(r, now_ms, r->work, 0);
    note(r, FL_REFLECTOR_RETRY);
    trouble(r, &told);
}

static void give_up(struct fl_reflector *r, uint64_t now_ms, const struct fl_error *why) {
    r->cancel = true;
    retry(r, now_ms, why);
}

/* --- requests --- */

static int write_list(struct fl_reflector *r) {
    struct fl_str version = r->mode == CACHED      ? FL_STR("0")
                            : r->mode == NOT_OLDER ? position(r)
                                                   : FL_STR_NONE;
    struct fl_str token = fl_buf_str(&r->continue_token);
    int rc = FL_OK;
    if (!r->unpaged) rc = fl_query_add_number(&r->path, "limit", PAGE_LIMIT);
    if (rc < 0) return rc;
    if (token.n) return fl_query_add(&r->path, "continue", token);
    if ((rc = fl_query_add(&r->path, "resourceVersion", version)) < 0) return rc;
    if (r->mode != NOT_OLDER) return FL_OK;
    return fl_query_add(&r->path, "resourceVersionMatch", FL_STR("NotOlderThan"));
}

static int write_watch(struct fl_reflector *r) {
    uint64_t seconds = WATCH_TIMEOUT_S_MIN +
                       fl_random_below(&r->random, WATCH_TIMEOUT_S_MAX - WATCH_TIMEOUT_S_MIN + 1);
    r->watch_timeout_ms = seconds * 1000;
    int rc;
    if ((rc = fl_query_add(&r->path, "watch", FL_STR("1"))) < 0 ||
        (rc = fl_query_add(&r->path, "allowWatchBookmarks", FL_STR("true"))) < 0 ||
        (rc = fl_query_add(&r->path, "resourceVersion", position(r))) < 0)
        return rc;
    return fl_query_add_number(&r->path, "timeoutSeconds", seconds);
}

static int write_request(struct fl_reflector *r) {
    fl_buf_truncate(&r->path, 0);
    int rc;
    if ((rc = fl_resource_path(&r->path, r->kind, fl_str_of(r->ns))) < 0 ||
        (rc = fl_query_add(&r->path, "labelSelector", fl_str_of(r->label_selector))) < 0 ||
        (rc = fl_query_add(&r->path, "fieldSelector", fl_str_of(r->field_selector))) < 0)
        return rc;
    return r->work == LIST ? write_list(r) : write_watch(r);
}

static void begin_list(struct fl_reflector *r) {
    if (r->continue_token.len) return;
    fl_kube_store_list_begin(r->store, fl_kube_store_version(position(r)));
    if (!r->listed) note(r, FL_REFLECTOR_LIST_FIRST);
    r->listed = true;
}

static bool send_request(struct fl_reflector *r, uint64_t now_ms,
                         struct fl_reflector_request *request) {
    int rc = write_request(r);
    if (rc < 0) {
        struct fl_error why;
        fl_fail(&why, rc, "request could not be written");
        retry(r, now_ms, &why);
        return false;
    }
    r->refusal = (struct refusal){0};
    r->decoding = r->list_read = false;
    if (r->work == LIST) begin_list(r);
    fl_sm_move(&r->state, moves, r->work == LIST ? LIST_HEAD : WATCH_HEAD);
    r->deadline_ms = now_ms + HEAD_MS;
    request->path = fl_buf_str(&r->path);
    request->accept = fl_str_of(r->work == LIST ? FL_K8S_ACCEPT : FL_K8S_ACCEPT_WATCH);
    return true;
}

/* --- what the server refused --- */

static void relist(struct fl_reflector *r, uint64_t now_ms, enum mode mode,
                   enum fl_reflector_note why) {
    uint32_t retry_after_s = r->refusal.retry_after_s;
    start_over(r, mode);
    wait_after_failure(r, now_ms, LIST, retry_after_s);
    note(r, why);
}

/* The rest of the pages can no longer be had from one version: the inconsistent token that the
 * server offers would make deletes wrong, so the list is read in one piece, as client-go does. */
static void page_expired(struct fl_reflector *r, uint64_t now_ms) {
    relist(r, now_ms, CONSISTENT, FL_REFLECTOR_RELIST_PAGE);
    r->unpaged = true;
}

static int code_of_status(const struct refusal *refusal) {
    if (refusal->code == 410 || refusal->expired) return FL_EGONE;
    if (refusal->version_too_large) return FL_EAHEAD;
    switch (refusal->code) {
    case 401:
        return FL_EUNAUTHORIZED;
    case 403:
        return FL_EFORBIDDEN;
    case 404:
        return FL_ENOT_FOUND;
    case 408:
        return FL_ETIMEOUT;
    case 429:
        return FL_ETHROTTLED;
    default:
        return refusal->code >= 500 ? FL_ESERVER : FL_EHTTP;
    }
}

static void refused_for_long(struct fl_reflector *r, uint64_t now_ms, int code) {
    char what[DESCRIPTION_MAX];
    struct fl_error why;
    const char *message = r->refusal.message[0] ? r->refusal.message : fl_error_text(code);
    fl_fail(&why, code, "%d: %s%s: %s", r->refusal.code, code == FL_EFORBIDDEN ? "may not " : "",
            describe(r, what), message);
    if (code == FL_EHTTP) {
        relist(r, now_ms, r->work == WATCH ? NOT_OLDER : CONSISTENT, FL_REFLECTOR_RELIST_REFUSED);
    } else {
        wait_after_failure(r, now_ms, r->work, r->refusal.retry_after_s);
        note(r, FL_REFLECTOR_RETRY);
    }
    trouble(r, &why);
}

/* Whatever said it: a response's status, a Status body or an ERROR event. */
static void refused(struct fl_reflector *r, uint64_t now_ms) {
    int code = code_of_status(&r->refusal);
    if (code == FL_EGONE && r->work == LIST && r->continue_token.len)
        page_expired(r, now_ms);
    else if (code == FL_EGONE)
        relist(r, now_ms, CONSISTENT, FL_REFLECTOR_RELIST_GONE);
    else if (code == FL_EAHEAD)
        relist(r, now_ms, CONSISTENT, FL_REFLECTOR_RELIST_AHEAD);
    else
        refused_for_long(r, now_ms, code);
}

/* --- what the decoder found --- */

static bool advance(struct fl_reflector *r, struct fl_str version) {
    if (version.n == 0) return true;
    int order = r->position[0] ? fl_k8s_version_cmp(version, position(r)) : 1;
    if (order != 1 && order != FL_K8S_VERSION_OPAQUE) return true;
    return fl_str_copy(r->position, sizeof(r->position), version);
}

static int on_object(void *arg, enum fl_k8s_event event, struct fl_k8s_object *object) {
    struct fl_reflector *r = arg;
    r->event_count++;
    if (event == FL_K8S_ITEM) return fl_kube_store_list_item(r->store, object);
    int rc = FL_OK;
    if (event != FL_K8S_BOOKMARK) rc = fl_kube_store_apply(r->store, event, object);
    if (rc == FL_OK && !advance(r, object->resource_version)) rc = FL_EPROTO;
    return rc;
}

static void on_error(void *arg, const struct fl_k8s_status *status) {
    struct fl_reflector *r = arg;
    struct refusal *refusal = &r->refusal;
    refusal->said = true;
    if (status->code) refusal->code = status->code;
    refusal->expired =
        fl_str_eq(status->reason, FL_STR("Expired")) || fl_str_eq(status->reason, FL_STR("Gone"));
    refusal->version_too_large = status->version_too_large;
    if (status->retry_after_s) refusal->retry_after_s = status->retry_after_s;
    fl_str_copy(refusal->message, sizeof(refusal->message), status->message);
}

static void on_list_end(void *arg, struct fl_str version, struct fl_str token) {
    struct fl_reflector *r = arg;
    forget_pages(r);
    r->list_read = version.n && fl_str_copy(r->list_version, sizeof(r->list_version), version) &&
                   fl_buf_append(&r->continue_token, token) == FL_OK;
}

static struct fl_block *previous(void *arg, struct fl_str ns, struct fl_str name) {
    const struct fl_reflector *r = arg;
    const struct fl_kube_entry *entry = fl_kube_store_peek(r->store, ns, name);
    return entry ? entry->block : NULL;
}

static const struct fl_k8s_decoder_events decoder_events = {
    .on_object = on_object,
    .on_error = on_error,
    .on_list_end = on_list_end,
    .previous = previous,
};

/* --- ends of bodies --- */

static void list_complete(struct fl_reflector *r, uint64_t now_ms, enum fl_kube_trust trust) {
    struct fl_str version = fl_str_of(r->list_version);
    int rc = fl_kube_store_list_end(r->store, fl_kube_store_version(version), trust);
    start_over(r, NOT_OLDER);
    r->older_seen = 0;
    if (rc < 0) {
        struct fl_error why;
        fl_fail(&why, rc, "the list could not be kept");
        r->mode = r->position[0] ? NOT_OLDER : CACHED;
        retry(r, now_ms, &why);
        return;
    }
    memcpy(r->position, r->list_version, sizeof(r->position));
    r->synced = true;
    fl_backoff_success(&r->backoff, now_ms);
    wait_for(r, WATCH, now_ms);
    if (trust == FL_KUBE_REPLACE) note(r, FL_REFLECTOR_RESTORED);
    trouble_over(r);
    r->events->on_synced(r->arg);
}

/* A whole list was read: is it newer than what is held? (W4) */
static void list_judge(struct fl_reflector *r, uint64_t now_ms) {
    bool older =
        r->position[0] && fl_k8s_version_cmp(fl_str_of(r->list_version), position(r)) == -1;
    bool doubted = older || (r->mode == CONSISTENT && fl_kube_store_list_contradicts(r->store));
    if (!doubted) {
        list_complete(r, now_ms, FL_KUBE_ADVANCE);
    } else if (r->mode == CONSISTENT && r->older_seen > 0) {
        list_complete(r, now_ms, FL_KUBE_REPLACE);
    } else if (r->mode == CONSISTENT) {
        r->older_seen++;
        relist(r, now_ms, CONSISTENT, FL_REFLECTOR_RELIST_DOUBTED);
    } else {
        start_over(r, CONSISTENT);
        wait_for(r, LIST, now_ms);
        note(r, FL_REFLECTOR_RELIST_OLDER);
    }
}

static void list_ended(struct fl_reflector *r, uint64_t now_ms) {
    struct fl_error why;
    if (fl_k8s_decoder_end(r->decoder, &why) < 0) {
        retry(r, now_ms, &why);
    } else if (!r->list_read) {
        fl_fail(&why, FL_EPROTO, "the list has no resource version");
        retry(r, now_ms, &why);
    } else if (r->continue_token.len) {
        wait_for(r, LIST, now_ms);
    } else {
        list_judge(r, now_ms);
    }
}

static void watch_ended(struct fl_reflector *r, uint64_t now_ms) {
    struct fl_error why;
    if (fl_k8s_decoder_end(r->decoder, &why) < 0) {
        retry(r, now_ms, &why);
        return;
    }
    uint64_t next_ms = r->watch_began_ms + WATCH_SHORT_MS;
    bool idle = r->event_count == r->watch_events_before;
    if (idle && now_ms < next_ms)
        wait_after_failure(r, now_ms, WATCH, 0);
    else
        wait_for(r, WATCH, FL_MAX(next_ms, now_ms));
    note(r, FL_REFLECTOR_WATCH_RESUME);
}

/* --- inputs --- */

static bool format_of(struct fl_str content_type, enum fl_k8s_format *format) {
    struct fl_str type, parameters;
    fl_str_split(content_type, ';', &type, &parameters);
    type = fl_str_trim(type);
    *format = FL_K8S_PROTOBUF;
    if (fl_str_eq_nocase(type, FL_STR("application/vnd.kubernetes.protobuf"))) return true;
    *format = FL_K8S_JSON;
    return fl_str_eq_nocase(type, FL_STR("application/json"));
}

static void refusal_begins(struct fl_reflector *r, uint64_t now_ms, int status,
                           struct fl_str retry_after) {
    uint64_t seconds;
    fl_sm_move(&r->state, moves, REFUSED);
    r->deadline_ms = now_ms + SILENCE_MS;
    r->refusal.code = status;
    if (fl_str_u64(retry_after, &seconds))
        r->refusal.retry_after_s = (uint32_t)FL_MIN(seconds, (uint64_t)RETRY_AFTER_S_MAX);
}

static void body_begins(struct fl_reflector *r, uint64_t now_ms) {
    r->proof_ms = now_ms;
    if (r->work == LIST) {
        fl_sm_move(&r->state, moves, LIST_BODY);
        r->deadline_ms = now_ms + SILENCE_MS;
        return;
    }
    fl_sm_move(&r->state, moves, WATCHING);
    r->deadline_ms = now_ms + r->watch_timeout_ms + WATCH_MARGIN_MS;
    r->watch_began_ms = now_ms;
    r->watch_events_before = r->event_count;
    fl_backoff_success(&r->backoff, now_ms);
}

static bool awaits_head(const struct fl_reflector *r) {
    return r->state == LIST_HEAD || r->state == WATCH_HEAD;
}

void fl_reflector_response(struct fl_reflector *r, uint64_t now_ms, int status,
                           struct fl_str content_type, struct fl_str retry_after) {
    if (!awaits_head(r)) return;
    enum fl_k8s_format format;
    enum fl_k8s_body body = status != 200     ? FL_K8S_BODY_STATUS
                            : r->work == LIST ? FL_K8S_BODY_LIST
                                              : FL_K8S_BODY_WATCH;
    r->decoding = format_of(content_type, &format);
    if (status == 200 && !r->decoding) {
        struct fl_error why;
        fl_fail(&why, FL_EPROTO,
                "Content-Type \"%.*s\" is not one of a Kubernetes API server: check the server URL",
                FL_STR_ARG(content_type));
        give_up(r, now_ms, &why);
        return;
    }
    if (r->decoding) fl_k8s_decoder_start(r->decoder, body, format);
    if (status == 200)
        body_begins(r, now_ms);
    else
        refusal_begins(r, now_ms, status, retry_after);
}

static void refusal_data(struct fl_reflector *r, uint64_t now_ms, struct fl_str bytes) {
    r->refusal.bytes += bytes.n;
    if (r->decoding && fl_k8s_decoder_feed(r->decoder, bytes, NULL) < 0) r->decoding = false;
    if (r->refusal.bytes <= REFUSAL_MAX) return;
    r->cancel = true;
    refused(r, now_ms);
}

void fl_reflector_data(struct fl_reflector *r, uint64_t now_ms, struct fl_str bytes) {
    if (r->state == REFUSED) refusal_data(r, now_ms, bytes);
    if (r->state != LIST_BODY && r->state != WATCHING) return;
    struct fl_error why = {.code = FL_OK};
    int rc = fl_k8s_decoder_feed(r->decoder, bytes, &why);
    if (r->refusal.said) {
        r->cancel = true;
        refused(r, now_ms);
    } else if (rc < 0) {
        if (why.code != rc) fl_fail(&why, rc, "an object could not be kept");
        give_up(r, now_ms, &why);
    } else {
        r->proof_ms = now_ms;
        if (r->state == LIST_BODY) r->deadline_ms = now_ms + SILENCE_MS;
        if (r->event_count != r->watch_events_before && r->state == WATCHING) trouble_over(r);
    }
}

void fl_reflector_closed(struct fl_reflector *r, uint64_t now_ms, const struct fl_error *why) {
    struct fl_error early;
    if (r->state == WAITING) return;
    if (r->state == REFUSED) {
        if (r->decoding) (void)!fl_k8s_decoder_end(r->decoder, NULL);
        refused(r, now_ms);
    } else if (why->code != FL_OK) {
        retry(r, now_ms, why);
    } else if (r->state == LIST_BODY) {
        list_ended(r, now_ms);
    } else if (r->state == WATCHING) {
        watch_ended(r, now_ms);
    } else {
        fl_fail(&early, FL_EPROTO, "the response has no head");
        retry(r, now_ms, &early);
    }
}

static void expired(struct fl_reflector *r, uint64_t now_ms) {
    struct fl_error why;
    if (r->state == REFUSED) {
        r->cancel = true;
        refused(r, now_ms);
    } else if (r->state == WATCHING) {
        r->cancel = true;
        wait_for(r, WATCH, now_ms);
        note(r, FL_REFLECTOR_WATCH_RESUME);
    } else {
        fl_fail(&why, FL_ETIMEOUT, "no %s for %d s",
                r->state == LIST_BODY ? "more of the answer" : "answer", HEAD_MS / 1000);
        give_up(r, now_ms, &why);
    }
}

enum fl_reflector_action fl_reflector_next(struct fl_reflector *r, uint64_t now_ms,
                                           struct fl_reflector_request *request) {
    if (r->state != WAITING && now_ms >= r->deadline_ms) expired(r, now_ms);
    if (r->state == WATCHING && now_ms >= r->watch_began_ms + SETTLE_MS) trouble_over(r);
    if (r->cancel) {
        r->cancel = false;
        return FL_REFLECTOR_CANCEL;
    }
    if (r->state == WAITING && now_ms >= r->deadline_ms && send_request(r, now_ms, request))
        return FL_REFLECTOR_SEND;
    return FL_REFLECTOR_WAIT;
}

uint64_t fl_reflector_deadline_ms(const struct fl_reflector *r) {
    if (r->state == WATCHING && r->troubled) return r->watch_began_ms + SETTLE_MS;
    return r->deadline_ms;
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
    fl_k8s_decoder_free(r->decoder);
    fl_buf_deinit(&r->path);
    fl_buf_deinit(&r->continue_token);
    fl_free(r->ns);
    fl_free(r->label_selector);
    fl_free(r->field_selector);
    fl_free(r);
}
