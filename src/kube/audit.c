/* audit.c - see audit.h.
 *
 *   RESTING ──due, watching──> PAGE_DUE ──> HEAD ──200──> BODY ──more──> PAGE_DUE
 *      ^                                     │             └──whole──> SETTLING
 *      └──────────────── any failure ────────┴──────────────────────────────┘
 *
 * The list is consistent, so it is at least as new as the position that the watch had when it was
 * asked for; one that is older is of another history, and only a relist can judge that. SETTLING
 * lasts until the watch has passed the list's version, unless nothing differs; a watch that does
 * not get there within SETTLE_MS, though there is something to tell, is not to be trusted either.
 */
#include "kube/audit.h"

#include "base/alloc.h"
#include "base/sm.h"
#include "kube/body_pace.h"
#include "kube/resource.h"

#define HEAD_MS        30000
#define SETTLE_MS      120000
#define LOOK_MS        1000  /* in SETTLING: how often the position is looked at */
#define POSTPONE_MS    30000 /* nothing is audited while the watch is not established */
#define PAGE_LIMIT     500
#define TOKEN_MAX      ((size_t)16 * 1024)
#define PATH_MAX_BYTES ((size_t)64 * 1024)
#define VERSION_MAX    64

enum { RESTING, PAGE_DUE, HEAD, BODY, SETTLING };

static const uint32_t moves[] = {
    [RESTING] = FL_TO(PAGE_DUE),
    [PAGE_DUE] = FL_TO(HEAD) | FL_TO(RESTING),
    [HEAD] = FL_TO(BODY) | FL_TO(PAGE_DUE) | FL_TO(RESTING),
    [BODY] = FL_TO(PAGE_DUE) | FL_TO(SETTLING) | FL_TO(RESTING),
    [SETTLING] = FL_TO(RESTING),
};

struct fl_audit {
    enum fl_k8s_kind kind;
    char *ns, *label_selector, *field_selector;
    struct fl_kube_store *store;
    struct fl_kube_server *server;
    uint64_t interval_ms;
    fl_audit_done *done;
    void *arg;
    struct fl_random random;

    int state;
    uint64_t deadline_ms, settle_by_ms;
    uint32_t outage_round;          /* in which the request under way was made */
    bool cancel;                    /* the driver has yet to cancel what is under way */
    bool asked_protobuf, json_only; /* this server writes no metadata in protobuf */
    bool page_read;
    bool object_read; /* by the bytes that are being read */
    bool page_empty;
    unsigned empty_pages; /* in a row */
    struct fl_body_pace pace;
    struct fl_k8s_decoder *decoder; /* while an audit is under way */
    struct fl_buf path, continue_token;
    char began_at[VERSION_MAX]; /* the watch's position then */
    char version[VERSION_MAX];  /* the list's */
};

const char *fl_audit_outcome_name(enum fl_audit_outcome outcome) {
    static const char *const names[] = {
#define FL_X(name, label) label,
        FL_AUDIT_OUTCOME_MAP(FL_X)
#undef FL_X
    };
    return names[outcome];
}

static void move(struct fl_audit *audit, int state, uint64_t deadline_ms) {
    fl_sm_move(&audit->state, moves, state);
    audit->deadline_ms = deadline_ms;
}

static uint64_t next_rest_ms(struct fl_audit *audit) {
    return audit->interval_ms / 2 + fl_random_below(&audit->random, audit->interval_ms + 1);
}

/* --- ends --- */

static void finish(struct fl_audit *audit, uint64_t now_ms, const struct fl_audit_result *result) {
    fl_kube_store_audit_drop(audit->store);
    fl_k8s_decoder_free(audit->decoder);
    audit->decoder = NULL;
    fl_buf_truncate(&audit->continue_token, 0);
    fl_buf_release(&audit->continue_token);
    fl_buf_truncate(&audit->path, 0);
    fl_buf_release(&audit->path);
    fl_outage_forget(&audit->server->outage, audit);
    move(audit, RESTING, now_ms + next_rest_ms(audit));
    audit->done(audit->arg, result);
}

static void fail(struct fl_audit *audit, uint64_t now_ms, const struct fl_error *why) {
    struct fl_audit_result result = {.outcome = FL_AUDIT_FAILED, .why = *why};
    if (why->code == FL_ECANCELLED) result.outcome = FL_AUDIT_SUPERSEDED;
    finish(audit, now_ms, &result);
}

/* What ended the request may be an outage, of which an audit may be the first to know. */
static void fail_on_the_way(struct fl_audit *audit, uint64_t now_ms, const struct fl_error *why) {
    if (fl_outage_is(why->code))
        (void)fl_outage_failed(&audit->server->outage, audit, audit->outage_round, now_ms, 0, why);
    fail(audit, now_ms, why);
}

static void fail_and_cancel(struct fl_audit *audit, uint64_t now_ms, const struct fl_error *why) {
    audit->cancel = true;
    fail(audit, now_ms, why);
}

static void diverged(struct fl_audit *audit, uint64_t now_ms) {
    finish(audit, now_ms, &(struct fl_audit_result){.outcome = FL_AUDIT_DIVERGED});
}

/* `lagging`: the watch has not passed the list's version. */
static void compare(struct fl_audit *audit, uint64_t now_ms, bool lagging) {
    struct fl_audit_result result = {.outcome = FL_AUDIT_AGREED};
    uint64_t version = fl_kube_store_version(fl_str_of(audit->version));
    int rc = fl_kube_store_audit_end(audit->store, version, result.differences);
    if (rc == FL_EGONE || (rc == FL_OK && lagging)) {
        result.outcome = FL_AUDIT_DIVERGED;
    } else if (rc < 0) {
        struct fl_error why;
        fl_fail(&why, rc, "%s", "");
        fail(audit, now_ms, &why);
        return;
    } else if (result.differences[FL_KUBE_EXTRA]) {
        result.outcome = FL_AUDIT_REPAIRED;
    }
    finish(audit, now_ms, &result);
}

/* --- asking --- */

static int write_request(struct fl_audit *audit, struct fl_reflector_request *request) {
    const struct fl_resource_scope scope = {
        .kind = audit->kind,
        .ns = fl_str_of(audit->ns),
        .label_selector = fl_str_of(audit->label_selector),
        .field_selector = fl_str_of(audit->field_selector),
    };
    fl_buf_truncate(&audit->path, 0);
    int rc;
    if ((rc = fl_resource_path(&audit->path, &scope)) < 0 ||
        (rc = fl_query_add_number(&audit->path, "limit", PAGE_LIMIT)) < 0 ||
        (rc = fl_query_add(&audit->path, "continue", fl_buf_str(&audit->continue_token))) < 0)
        return rc;
    request->path = fl_buf_str(&audit->path);
    request->accept = audit->asked_protobuf ? FL_STR(FL_K8S_ACCEPT_METADATA)
                                            : FL_STR(FL_K8S_ACCEPT_METADATA_JSON);
    return FL_OK;
}

static bool send_page(struct fl_audit *audit, uint64_t now_ms,
                      struct fl_reflector_request *request) {
    struct fl_error why;
    audit->asked_protobuf =
        !audit->json_only && fl_server_traits_may_protobuf(&audit->server->traits, now_ms);
    int rc = write_request(audit, request);
    if (rc < 0) {
        fl_fail(&why, rc, "request could not be written");
        fail(audit, now_ms, &why);
        return false;
    }
    request->begins_list = request->begins_watch = false;
    audit->page_read = false;
    audit->page_empty = true;
    if (!audit->continue_token.len) audit->empty_pages = 0;
    move(audit, HEAD, now_ms + HEAD_MS);
    return true;
}

static int on_object(void *arg, enum fl_k8s_event event, struct fl_k8s_object *object) {
    struct fl_audit *audit = arg;
    FL_UNUSED(event);
    audit->object_read = true;
    audit->page_empty = false;
    return fl_kube_store_audit_item(audit->store, object->ns, object->name,
                                    object->resource_version);
}

static void on_error(void *arg, const struct fl_k8s_status *status) {
    FL_UNUSED(arg);
    FL_UNUSED(status);
}

static void on_list_end(void *arg, struct fl_str version, struct fl_str token) {
    struct fl_audit *audit = arg;
    fl_buf_truncate(&audit->continue_token, 0);
    audit->page_read = version.n && fl_str_copy(audit->version, sizeof(audit->version), version) &&
                       fl_buf_append(&audit->continue_token, token) == FL_OK;
}

static const struct fl_k8s_decoder_events decoder_events = {
    .on_object = on_object,
    .on_error = on_error,
    .on_list_end = on_list_end,
};

/* Beside an established watch, and when the server may be asked. */
static bool may_begin(struct fl_audit *audit, uint64_t now_ms, const struct fl_audit_view *view) {
    uint64_t again_ms = now_ms + POSTPONE_MS;
    if (view->watching && fl_outage_may_try(&audit->server->outage, audit, now_ms, &again_ms))
        return true;
    audit->deadline_ms = again_ms;
    return false;
}

static void begin(struct fl_audit *audit, uint64_t now_ms, const struct fl_audit_view *view) {
    struct fl_error why;
    if (!may_begin(audit, now_ms, view)) return;
    audit->outage_round = audit->server->outage.round;
    fl_kube_store_audit_begin(audit->store);
    move(audit, PAGE_DUE, now_ms);
    fl_str_copy(audit->began_at, sizeof(audit->began_at), view->position);
    if (fl_k8s_decoder_new(FL_K8S_METADATA, &decoder_events, audit, &audit->decoder) == FL_OK)
        return;
    fl_fail_nomem(&why);
    fail(audit, now_ms, &why);
}

/* --- inputs --- */

static void refused(struct fl_audit *audit, uint64_t now_ms, int status) {
    struct fl_error why;
    audit->cancel = true;
    if (fl_outage_is_status(status)) {
        fl_fail(&why, status == 429 ? FL_ETHROTTLED : FL_ESERVER, "status %d", status);
        (void)fl_outage_failed(&audit->server->outage, audit, audit->outage_round, now_ms, 0, &why);
        fail(audit, now_ms, &why);
        return;
    }
    fl_outage_answered(&audit->server->outage, audit, now_ms);
    if ((status == 406 || status == 415) && audit->asked_protobuf) {
        audit->json_only = true;
        move(audit, PAGE_DUE, now_ms);
        return;
    }
    fl_fail(&why, FL_EHTTP, "status %d", status);
    fail(audit, now_ms, &why);
}

void fl_audit_response(struct fl_audit *audit, uint64_t now_ms, int status,
                       struct fl_str content_type) {
    struct fl_error why;
    enum fl_k8s_format format;
    if (audit->state != HEAD) return;
    if (status != 200) {
        refused(audit, now_ms, status);
        return;
    }
    fl_outage_answered(&audit->server->outage, audit, now_ms);
    if (!fl_resource_format(content_type, &format)) {
        fl_fail(&why, FL_EPROTO, "Content-Type \"%.*s\"", FL_STR_ARG(content_type));
        fail_and_cancel(audit, now_ms, &why);
    } else {
        fl_k8s_decoder_start(audit->decoder, FL_K8S_BODY_LIST, format);
        move(audit, BODY, fl_body_pace_begin(&audit->pace, now_ms));
    }
}

void fl_audit_data(struct fl_audit *audit, uint64_t now_ms, struct fl_str bytes) {
    struct fl_error why;
    if (audit->state != BODY) return;
    audit->object_read = false;
    int rc = fl_k8s_decoder_feed(audit->decoder, bytes, &why);
    audit->deadline_ms = fl_body_pace_read(&audit->pace, now_ms, bytes.n, audit->object_read);
    if (rc == FL_OK) return;
    if (why.code != rc) fl_fail(&why, rc, "%s", "");
    fail_and_cancel(audit, now_ms, &why);
}

/* The list is whole. */
static void settle(struct fl_audit *audit, uint64_t now_ms) {
    struct fl_str version = fl_str_of(audit->version);
    move(audit, SETTLING, now_ms);
    audit->settle_by_ms = now_ms + SETTLE_MS;
    if (fl_k8s_version_cmp(version, fl_str_of(audit->began_at)) == -1)
        diverged(audit, now_ms);
    else if (fl_kube_store_audit_agrees(audit->store, fl_kube_store_version(version)))
        compare(audit, now_ms, false);
}

static void page_ended(struct fl_audit *audit, uint64_t now_ms) {
    struct fl_error why;
    audit->empty_pages = audit->page_empty ? audit->empty_pages + 1 : 0;
    if (fl_k8s_decoder_end(audit->decoder, &why) < 0) {
        fail(audit, now_ms, &why);
    } else if (!audit->page_read) {
        fl_fail(&why, FL_EPROTO, "the list has no resource version");
        fail(audit, now_ms, &why);
    } else if (audit->continue_token.len && audit->empty_pages >= FL_KUBE_EMPTY_PAGES_MAX) {
        fl_fail(&why, FL_EPROTO, "%u empty pages of a list in a row", audit->empty_pages);
        fail(audit, now_ms, &why);
    } else if (audit->continue_token.len) {
        move(audit, PAGE_DUE, now_ms);
    } else {
        settle(audit, now_ms);
    }
}

void fl_audit_closed(struct fl_audit *audit, uint64_t now_ms, const struct fl_error *why) {
    struct fl_error early;
    if (audit->state != HEAD && audit->state != BODY) return;
    if (why->code == FL_OK && audit->state == BODY) {
        page_ended(audit, now_ms);
        return;
    }
    if (why->code == FL_OK) {
        fl_fail(&early, FL_EPROTO, "the response has no head");
        why = &early;
    }
    fail_on_the_way(audit, now_ms, why);
}

/* --- time --- */

/* Has the watch told everything up to the list's version? */
static bool is_passed(const struct fl_audit *audit, const struct fl_audit_view *view) {
    int order = fl_k8s_version_cmp(fl_str_of(audit->version), view->position);
    return order == -1 || order == 0;
}

static void look(struct fl_audit *audit, uint64_t now_ms, const struct fl_audit_view *view) {
    struct fl_error why;
    if (is_passed(audit, view)) {
        compare(audit, now_ms, false);
    } else if (now_ms < audit->settle_by_ms) {
        audit->deadline_ms = now_ms + LOOK_MS;
    } else if (view->watching && !audit->server->outage.on) {
        compare(audit, now_ms, true);
    } else {
        fl_fail(&why, FL_ETIMEOUT, "the watch did not reach the list's version");
        fail(audit, now_ms, &why);
    }
}

static void late(struct fl_audit *audit, uint64_t now_ms, const struct fl_audit_view *view) {
    struct fl_error why;
    if (audit->state == RESTING) {
        begin(audit, now_ms, view);
    } else if (audit->state == SETTLING) {
        look(audit, now_ms, view);
    } else if (audit->state != PAGE_DUE) {
        fl_fail(&why, FL_ETIMEOUT, "no answer in time");
        audit->cancel = true;
        fail_on_the_way(audit, now_ms, &why);
    }
}

enum fl_reflector_action fl_audit_next(struct fl_audit *audit, uint64_t now_ms,
                                       const struct fl_audit_view *view,
                                       struct fl_reflector_request *request) {
    if (!audit->cancel && now_ms >= audit->deadline_ms) late(audit, now_ms, view);
    if (audit->cancel) {
        audit->cancel = false;
        return FL_REFLECTOR_CANCEL;
    }
    bool sent = audit->state == PAGE_DUE && send_page(audit, now_ms, request);
    return sent ? FL_REFLECTOR_SEND : FL_REFLECTOR_WAIT;
}

uint64_t fl_audit_deadline_ms(const struct fl_audit *audit) { return audit->deadline_ms; }

/* --- life --- */

int fl_audit_new(const struct fl_audit_options *options, fl_audit_done *done, void *arg,
                 struct fl_audit **out) {
    struct fl_audit *audit = FL_NEW(struct fl_audit);
    *out = NULL;
    if (!audit) return FL_ENOMEM;
    audit->kind = options->kind;
    audit->store = options->store;
    audit->server = options->server;
    audit->interval_ms = options->interval_ms ? options->interval_ms : FL_AUDIT_INTERVAL_MS;
    audit->done = done;
    audit->arg = arg;
    audit->random.state = options->seed;
    fl_buf_init(&audit->path, PATH_MAX_BYTES);
    fl_buf_init(&audit->continue_token, TOKEN_MAX);
    audit->ns = fl_str_dup(options->ns);
    audit->label_selector = fl_str_dup(options->label_selector);
    audit->field_selector = fl_str_dup(options->field_selector);
    if (!audit->ns || !audit->label_selector || !audit->field_selector) goto fail;
    audit->deadline_ms = options->now_ms + next_rest_ms(audit);
    *out = audit;
    return FL_OK;
fail:
    fl_audit_free(audit);
    return FL_ENOMEM;
}

void fl_audit_free(struct fl_audit *audit) {
    if (!audit) return;
    fl_outage_forget(&audit->server->outage, audit);
    fl_k8s_decoder_free(audit->decoder);
    fl_buf_deinit(&audit->path);
    fl_buf_deinit(&audit->continue_token);
    fl_free(audit->ns);
    fl_free(audit->label_selector);
    fl_free(audit->field_selector);
    fl_free(audit);
}
