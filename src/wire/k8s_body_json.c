/* k8s_body_json.c - JSON bodies: lists, watches, Statuses. One thread; see k8s_body.h.
 *
 * One tokenizer runs over the body as it comes and passes over each object as a whole; the object's
 * text, borrowed or collected by the tokenizer, is then read by the reader's own. Keys may stand in
 * any order: a watch event's object that comes before its type is kept until the type is known, a
 * list's metadata may follow its items. */
#include "wire/k8s_body.h"

enum place {
    BEFORE,     /* of the list or of the next watch event */
    IN_LIST,    /* among the keys of the list */
    AT_KIND,    /* at the value of its "kind" */
    AT_META,    /* of its "metadata": null, or the text of an object */
    AT_ITEMS,   /* of its "items": null, or an array */
    IN_ITEMS,   /* an object, or the array's end */
    AT_ITEM,    /* the text of one */
    AFTER_LIST, /* nothing more */
    IN_EVENT,   /* among the keys of a watch event */
    AT_TYPE,    /* at the value of its "type" */
    AT_OBJECT,  /* the text of its "object" */
    IN_STATUS,  /* collected as a whole */
};

static int unexpected(const char *where, struct fl_error *err) {
    return fl_fail(err, FL_EPROTO, "unexpected JSON in %s", where);
}

/* --- lists --- */

static void take_list_key(struct fl_k8s_body_state *state) {
    struct fl_str key = fl_json_text(state->json);
    if (fl_str_eq(key, FL_STR("kind"))) {
        state->place = AT_KIND;
    } else if (fl_str_eq(key, FL_STR("metadata"))) {
        state->place = AT_META;
        fl_json_raw(state->json);
    } else if (fl_str_eq(key, FL_STR("items"))) {
        state->place = AT_ITEMS;
    } else {
        fl_json_skip(state->json);
    }
}

static int take_list_value(struct fl_k8s_body_state *state, enum fl_json_token token,
                           struct fl_error *err) {
    struct fl_k8s_reader *reader = &state->reader;
    struct fl_str text = fl_json_text(state->json);
    int place = state->place;
    state->place = place == AT_ITEM ? IN_ITEMS : IN_LIST;
    if (place == AT_KIND && token == FL_JSON_STRING)
        return fl_k8s_check_kind(text, fl_k8s_name(reader->kind)->list, err);
    if (place == AT_META && token == FL_JSON_RAW)
        return fl_k8s_body_list_meta(state, &fl_k8s_syntax_json, text, err);
    if (place == AT_ITEM && token == FL_JSON_RAW)
        return fl_k8s_read_object(reader, &fl_k8s_syntax_json, FL_K8S_ITEM, text, err);
    return unexpected("a list", err);
}

static int take_items(struct fl_k8s_body_state *state, enum fl_json_token token,
                      struct fl_error *err) {
    if (state->place == AT_ITEMS && token == FL_JSON_ARRAY_BEGIN) {
        state->place = IN_ITEMS;
        return 0;
    }
    if (state->place == AT_ITEMS ? token == FL_JSON_NULL : token == FL_JSON_ARRAY_END) {
        state->place = IN_LIST;
        return 0;
    }
    if (state->place != IN_ITEMS || token != FL_JSON_OBJECT_BEGIN)
        return unexpected("a list's items", err);
    state->place = AT_ITEM;
    fl_json_raw(state->json);
    return 0;
}

/* --- watch events --- */

static int read_event(struct fl_k8s_body_state *state, struct fl_str object, struct fl_error *err) {
    if (!state->known_type) return 0;
    if (state->event == FL_K8S_ERROR)
        return fl_k8s_read_status(&state->reader, &fl_k8s_syntax_json, object, err);
    return fl_k8s_read_object(&state->reader, &fl_k8s_syntax_json, state->event, object, err);
}

static void begin_event(struct fl_k8s_body_state *state) {
    state->place = IN_EVENT;
    state->has_type = state->known_type = state->has_object = false;
}

static int take_event_value(struct fl_k8s_body_state *state, enum fl_json_token token,
                            struct fl_error *err) {
    struct fl_str text = fl_json_text(state->json);
    int place = state->place;
    state->place = IN_EVENT;
    if (place == AT_TYPE && token == FL_JSON_STRING && !state->has_type) {
        state->has_type = true;
        state->known_type = fl_k8s_event_of(text, &state->event);
        return 0;
    }
    if (place != AT_OBJECT || token != FL_JSON_RAW || state->has_object)
        return unexpected("a watch event", err);
    state->has_object = true;
    return state->has_type ? read_event(state, text, err) : fl_k8s_body_collect(state, text, err);
}

static int end_event(struct fl_k8s_body_state *state, struct fl_error *err) {
    state->place = BEFORE;
    if (!state->has_type || !state->has_object)
        return fl_fail(err, FL_EPROTO, "watch event without type or object");
    if (state->scratch.len == 0) return 0;
    int rc = read_event(state, fl_buf_str(&state->scratch), err);
    fl_k8s_body_collected(state);
    return rc;
}

static void take_event_key(struct fl_k8s_body_state *state) {
    struct fl_str key = fl_json_text(state->json);
    if (fl_str_eq(key, FL_STR("type"))) {
        state->place = AT_TYPE;
    } else if (fl_str_eq(key, FL_STR("object"))) {
        state->place = AT_OBJECT;
        fl_json_raw(state->json);
    } else {
        fl_json_skip(state->json);
    }
}

/* --- tokens --- */

static int begin_body(struct fl_k8s_body_state *state, enum fl_json_token token,
                      struct fl_error *err) {
    if (token != FL_JSON_OBJECT_BEGIN) return unexpected("the body", err);
    if (state->body == FL_K8S_BODY_WATCH)
        begin_event(state);
    else
        state->place = IN_LIST;
    return 0;
}

static int take_token(struct fl_k8s_body_state *state, enum fl_json_token token,
                      struct fl_error *err) {
    switch ((enum place)state->place) {
    case BEFORE:
        return begin_body(state, token, err);
    case IN_LIST:
        if (token == FL_JSON_KEY)
            take_list_key(state);
        else
            state->place = AFTER_LIST;
        return 0;
    case AT_ITEMS:
    case IN_ITEMS:
        return take_items(state, token, err);
    case AT_KIND:
    case AT_META:
    case AT_ITEM:
        return take_list_value(state, token, err);
    case IN_EVENT:
        if (token != FL_JSON_KEY) return end_event(state, err);
        take_event_key(state);
        return 0;
    case AT_TYPE:
    case AT_OBJECT:
        return take_event_value(state, token, err);
    default:
        return unexpected("what follows the list", err);
    }
}

static int tokenizer_failed(const struct fl_k8s_body_state *state, struct fl_error *err) {
    int code = fl_json_error_code(state->json);
    if (code == FL_ENOMEM) return fl_fail_nomem(err);
    return fl_fail(err, code, "%s", fl_json_error(state->json));
}

static int take_tokens(struct fl_k8s_body_state *state, struct fl_error *err) {
    enum fl_json_token token;
    int rc = 0;
    while (!rc && (token = fl_json_next(state->json)) != FL_JSON_MORE)
        rc = token == FL_JSON_BAD ? tokenizer_failed(state, err) : take_token(state, token, err);
    state->offset = fl_json_offset(state->json);
    return rc;
}

static void start(struct fl_k8s_body_state *state) {
    state->place = state->body == FL_K8S_BODY_STATUS ? IN_STATUS : BEFORE;
    fl_json_reset(state->json);
}

static int feed(struct fl_k8s_body_state *state, struct fl_str bytes, struct fl_error *err) {
    if (state->place == IN_STATUS) return fl_k8s_body_collect(state, bytes, err);
    fl_json_feed(state->json, bytes);
    return take_tokens(state, err);
}

/* A line break ends what may be in progress, and is no harm between values. */
static int end(struct fl_k8s_body_state *state, struct fl_error *err) {
    if (state->place == IN_STATUS)
        return fl_k8s_read_status(&state->reader, &fl_k8s_syntax_json, fl_buf_str(&state->scratch),
                                  err);
    fl_json_feed(state->json, FL_STR("\n"));
    int rc = take_tokens(state, err);
    if (rc) return rc;
    if (state->body == FL_K8S_BODY_WATCH ? state->place == BEFORE : state->place == AFTER_LIST) {
        if (state->body == FL_K8S_BODY_LIST) fl_k8s_body_list_end(state);
        return 0;
    }
    return fl_fail(err, FL_EPROTO, "body cut short");
}

const struct fl_k8s_splitter fl_k8s_splitter_json = {start, feed, end};
