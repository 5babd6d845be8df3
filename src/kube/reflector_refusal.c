/* reflector_refusal.c - what the server says instead of what was asked for: a status, a Status
 * body or an ERROR event, and what is done about each.
 *
 *   410                         a list from the beginning (W11); of a later page: in one piece
 *   504 ResourceVersionTooLarge a consistent list, after the backoff (W5)
 *   406, 415 to protobuf        the same in JSON, at once
 *   a stream that is refused    a list in pages, at once (W10)
 *   429, 502, 503, 504          everybody stays away; the position is kept
 *   401, 403, 404, 5xx          the same again later; the position is kept
 *   other                       a list from the beginning, later
 *   a second ERROR event        likewise: the server cannot tell what comes behind the position
 *
 * A first relist is nothing that people need to hear of; more in a row are. */
#include "kube/reflector_inside.h"

void reflector_refusal_head(struct fl_reflector *r, int status, struct fl_str retry_after) {
    uint64_t seconds;
    r->refusal.code = status;
    if (fl_str_u64(retry_after, &seconds))
        r->refusal.retry_after_s = (uint32_t)FL_MIN(seconds, (uint64_t)REFLECTOR_RETRY_AFTER_S_MAX);
}

void reflector_refusal_status(struct fl_reflector *r, const struct fl_k8s_status *status) {
    struct reflector_refusal *refusal = &r->refusal;
    refusal->said = true;
    refusal->event = r->state != REFLECTOR_REFUSED;
    if (status->code) refusal->code = status->code;
    refusal->expired =
        fl_str_eq(status->reason, FL_STR("Expired")) || fl_str_eq(status->reason, FL_STR("Gone"));
    refusal->version_too_large = status->version_too_large;
    if (status->retry_after_s) refusal->retry_after_s = status->retry_after_s;
    fl_str_copy(refusal->message, sizeof(refusal->message), status->message);
}

static int code_of(const struct reflector_refusal *refusal) {
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

/* Is it the streaming list that is refused? Servers without it call its parameters invalid (422,
 * 400); one before an etcd that is too old for it says 500 in an event of its own. Who may not
 * watch may perhaps list. */
static bool refuses_stream(const struct fl_reflector *r, int code) {
    if (r->work != REFLECTOR_LIST || !r->streamed) return false;
    if (code == FL_EFORBIDDEN) return true;
    if (r->refusal.event) return r->refusal.code == 500 || code == FL_EHTTP;
    return code == FL_EHTTP || r->refusal.code == 501;
}

static bool refuses_protobuf(const struct fl_reflector *r) {
    return r->asked_protobuf && (r->refusal.code == 406 || r->refusal.code == 415);
}

static struct fl_error explain(const struct fl_reflector *r, int code) {
    char what[REFLECTOR_DESCRIPTION_MAX];
    struct fl_error why;
    const char *message = r->refusal.message[0] ? r->refusal.message : fl_error_text(code);
    fl_fail(&why, code, "%d: %s%s: %s", r->refusal.code, code == FL_EFORBIDDEN ? "may not " : "",
            reflector_describe(r, what), message);
    return why;
}

/* The rest of the pages can no longer be had from one version: the inconsistent token that the
 * server offers would make deletes wrong, so the list is read in one piece, as client-go does. */
static void page_expired(struct fl_reflector *r) {
    reflector_list_again(r, REFLECTOR_CONSISTENT, FL_REFLECTOR_RELIST_PAGE);
    r->unpaged = true;
}

static void relist(struct fl_reflector *r, int code) {
    struct fl_error why = explain(r, code);
    if (code == FL_EAHEAD)
        reflector_list_again(r, REFLECTOR_CONSISTENT, FL_REFLECTOR_RELIST_AHEAD);
    else if (r->work == REFLECTOR_LIST && r->continue_token.len)
        page_expired(r);
    else
        reflector_list_again(r, REFLECTOR_CONSISTENT, FL_REFLECTOR_RELIST_GONE);
    if (reflector_goes_in_circles(r)) reflector_trouble(r, &why);
}

/* Watches break at the position, again: one that the server cannot get past, because of an object
 * that it cannot read, would be asked for ever, and each time look alive. */
static bool is_stuck(struct fl_reflector *r) {
    if (r->work != REFLECTOR_WATCH || !r->refusal.event) return false;
    return !fl_outage_is_status(r->refusal.code) && ++r->broken_watches > 1;
}

static void refused_for_long(struct fl_reflector *r, int code) {
    struct fl_error why = explain(r, code);
    enum reflector_mode mode =
        r->work == REFLECTOR_WATCH ? REFLECTOR_NOT_OLDER : REFLECTOR_CONSISTENT;
    if (code == FL_EHTTP || is_stuck(r)) {
        reflector_list_again(r, mode, FL_REFLECTOR_RELIST_REFUSED);
    } else {
        if (fl_outage_is_status(r->refusal.code))
            reflector_wait_for_server(r, &why, r->refusal.retry_after_s);
        else
            reflector_wait_after_failure(r, r->work, r->refusal.retry_after_s);
        reflector_note(r, FL_REFLECTOR_RETRY);
    }
    reflector_trouble(r, &why);
}

void reflector_refused(struct fl_reflector *r) {
    int code = code_of(&r->refusal);
    if (code == FL_EAHEAD || !fl_outage_is_status(r->refusal.code))
        fl_outage_answered(&r->server->outage, r, r->now_ms);
    if (refuses_protobuf(r)) {
        fl_server_traits_protobuf_refused(&r->server->traits, r->now_ms);
        reflector_wait(r, r->work, r->now_ms);
        reflector_note(r, FL_REFLECTOR_JSON);
    } else if (refuses_stream(r, code)) {
        reflector_stream_refused(r, code != FL_EFORBIDDEN);
    } else if (code == FL_EGONE || code == FL_EAHEAD) {
        relist(r, code);
    } else {
        refused_for_long(r, code);
    }
}
