/* k8s_body_pb.c - protobuf bodies: lists, watches, Statuses. One thread; see k8s_body.h.
 *
 * A list is one message in an envelope: "k8s\0", then runtime.Unknown {typeMeta 1, raw 2}, and raw
 * is the List {metadata 1, items 2}, however large. It is walked by counting: the head (tag and
 * length) of each field is collected if a chunk cuts it, then the value is collected or stepped
 * over, and `list_left` says when the List ends.
 *
 * A watch is a sequence of frames: four bytes of length, big-endian, then a bare WatchEvent
 * {type 1, object 2 {raw 1}}, and raw is an object in its envelope. */
#include <inttypes.h>

#include "wire/k8s_body.h"
#include "wire/pb.h"

enum place {
    IN_MAGIC,    /* list: before the envelope's message */
    IN_ENVELOPE, /* list: among the fields of Unknown, before raw */
    IN_LIST,     /* list: among the fields of raw */
    AFTER_LIST,  /* list: among the fields of Unknown, after raw */
    IN_FRAMES,   /* watch */
    IN_STATUS,
};

#define TYPE_META_MAX 4096
#define MAGIC         4
#define FRAME_HEAD    4

/* --- the envelope of an object that lies whole in memory --- */

static int check_type_meta(struct fl_str bytes, struct fl_str expected, struct fl_error *err) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    struct fl_str kind = FL_STR_NONE;
    while (fl_pb_next(&r, &f))
        if (f.tag == FL_PB_LEN(2)) kind = f.bytes;
    if (r.bad) return fl_fail(err, FL_EPROTO, "malformed typeMeta");
    return fl_k8s_check_kind(kind, expected, err);
}

static int open_envelope(struct fl_str bytes, enum fl_k8s_kind kind, struct fl_str *raw,
                         struct fl_error *err) {
    struct fl_str expected = fl_k8s_name(kind)->kind;
    if (!fl_str_starts(bytes, FL_K8S_ENVELOPE))
        return fl_fail(err, FL_EPROTO, "no Kubernetes envelope around %.*s", FL_STR_ARG(expected));
    struct fl_parse r = fl_parse_of(fl_str_from(bytes, MAGIC));
    struct fl_pb_field f;
    *raw = FL_STR_NONE;
    int rc = 0;
    while (!rc && fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(1))
            rc = check_type_meta(f.bytes, expected, err);
        else if (f.tag == FL_PB_LEN(2))
            *raw = f.bytes;
    }
    return !rc && r.bad ? fl_fail(err, FL_EPROTO, "malformed envelope") : rc;
}

static int read_status(struct fl_k8s_body_state *state, struct fl_str bytes, struct fl_error *err) {
    struct fl_str raw = FL_STR_NONE;
    int rc = open_envelope(bytes, FL_K8S_STATUS, &raw, err);
    return rc ? rc : fl_k8s_read_status(&state->reader, &fl_k8s_syntax_pb, raw, err);
}

/* --- watch events --- */

static int read_event(struct fl_k8s_body_state *state, struct fl_str bytes, struct fl_error *err) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    struct fl_str type = FL_STR_NONE, envelope = FL_STR_NONE, raw = FL_STR_NONE;
    enum fl_k8s_event event;
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(1))
            type = f.bytes;
        else if (f.tag == FL_PB_LEN(2) &&
                 !fl_pb_find_bytes(f.bytes, 1, &envelope)) /* RawExtension */
            r.bad = true;
    }
    if (r.bad) return fl_fail(err, FL_EPROTO, "malformed watch event");
    if (!fl_k8s_event_of(type, &event)) return 0;
    if (event == FL_K8S_ERROR) return read_status(state, envelope, err);
    int rc = open_envelope(envelope, state->reader.kind, &raw, err);
    return rc ? rc : fl_k8s_read_object(&state->reader, &fl_k8s_syntax_pb, event, raw, err);
}

/* --- fields and frames, in pieces --- */

/* A number of the head is whole: 1 if that ends the head, 0 if another one follows. What a varint
 * field says itself counts as a value of no bytes. */
static int take_head_number(struct fl_k8s_body_state *state, struct fl_error *err) {
    uint64_t number = state->head_value;
    state->head_value = state->head_shift = 0;
    if (state->head_has_tag) {
        state->head_has_tag = false;
        state->left = (state->tag & 7) == FL_PB_WIRE_LEN ? number : 0;
        return 1;
    }
    if (number > UINT32_MAX || number >> 3 == 0) return fl_fail(err, FL_EPROTO, "malformed field");
    state->tag = (uint32_t)number;
    switch (number & 7) {
    case FL_PB_WIRE_VARINT:
    case FL_PB_WIRE_LEN:
        state->head_has_tag = true;
        return 0;
    case FL_PB_WIRE_I64:
        state->left = 8;
        return 1;
    case FL_PB_WIRE_I32:
        state->left = 4;
        return 1;
    default:
        return fl_fail(err, FL_EPROTO, "malformed field");
    }
}

/* Takes the next field's head, tag and length, off the front of *bytes: 1, or 0 if they end before
 * it does. */
static int take_head(struct fl_k8s_body_state *state, struct fl_str *bytes, struct fl_error *err) {
    int got = 0;
    while (bytes->n && got == 0) {
        uint8_t byte = (uint8_t)bytes->p[0];
        *bytes = fl_str_from(*bytes, 1);
        state->head_len++;
        if (state->head_shift == 63 && byte > 1)
            return fl_fail(err, FL_EPROTO, "number of more than 64 bits");
        state->head_value |= (uint64_t)(byte & 0x7f) << state->head_shift;
        state->head_shift += 7;
        if (byte < 0x80) got = take_head_number(state, err);
    }
    return got;
}

static bool is_collected(const struct fl_k8s_body_state *state) {
    switch ((enum place)state->place) {
    case IN_LIST:
        return state->tag == FL_PB_LEN(1) || state->tag == FL_PB_LEN(2);
    case IN_ENVELOPE:
        return state->tag == FL_PB_LEN(1);
    default:
        return state->place == IN_FRAMES;
    }
}

static int value_done(struct fl_k8s_body_state *state, struct fl_str value, struct fl_error *err) {
    struct fl_k8s_reader *reader = &state->reader;
    state->in_value = false;
    if (state->place == IN_FRAMES) return read_event(state, value, err);
    if (state->place == IN_ENVELOPE)
        return check_type_meta(value, fl_k8s_name(reader->kind)->list, err);
    if (state->tag == FL_PB_LEN(1))
        return fl_k8s_body_list_meta(state, &fl_k8s_syntax_pb, value, err);
    return fl_k8s_read_object(reader, &fl_k8s_syntax_pb, FL_K8S_ITEM, value, err);
}

/* Goes on with a value that is collected; a whole one is used where it lies. */
static int take_collected(struct fl_k8s_body_state *state, struct fl_str *bytes,
                          struct fl_error *err) {
    struct fl_str piece = fl_str_n(bytes->p, FL_MIN(bytes->n, (size_t)state->left));
    int rc = 0;
    *bytes = fl_str_from(*bytes, piece.n);
    state->left -= piece.n;
    if (state->left == 0 && state->scratch.len == 0) return value_done(state, piece, err);
    rc = fl_k8s_body_collect(state, piece, err);
    if (rc || state->left) return rc;
    rc = value_done(state, fl_buf_str(&state->scratch), err);
    fl_k8s_body_collected(state);
    return rc;
}

static int take_value(struct fl_k8s_body_state *state, struct fl_str *bytes, struct fl_error *err) {
    int rc = 0;
    if (is_collected(state)) {
        rc = take_collected(state, bytes, err);
    } else {
        uint64_t n = FL_MIN(state->left, (uint64_t)bytes->n);
        *bytes = fl_str_from(*bytes, (size_t)n);
        state->left -= n;
        state->in_value = state->left > 0;
    }
    if (!rc && !state->in_value && state->place == IN_LIST && state->list_left == 0)
        state->place = AFTER_LIST;
    return rc;
}

static int begin_list(struct fl_k8s_body_state *state) {
    state->list_left = state->left;
    state->place = state->left ? IN_LIST : AFTER_LIST;
    state->in_value = false;
    return 0;
}

/* Metadata and items, typeMeta and raw: fields 1 and 2 either way. */
static bool is_mistyped(const struct fl_k8s_body_state *state) {
    return state->place != AFTER_LIST && fl_pb_mistyped(state->tag, 1 << 1 | 1 << 2) &&
           (state->tag & 7) != FL_PB_WIRE_LEN;
}

/* A field's head was read; `left` bytes are to come. */
static int begin_field(struct fl_k8s_body_state *state, struct fl_error *err) {
    uint64_t head_len = state->head_len, room = state->list_left;
    state->head_len = 0;
    state->in_value = true;
    if (is_mistyped(state)) return fl_fail(err, FL_EPROTO, "field of another type");
    if (state->place == IN_LIST) {
        if (head_len > room || state->left > room - head_len)
            return fl_fail(err, FL_EPROTO, "field beyond the end of the list");
        state->list_left -= head_len + state->left;
    } else if (state->tag == FL_PB_LEN(2)) {
        if (state->place == AFTER_LIST) return fl_fail(err, FL_EPROTO, "a second list");
        return begin_list(state);
    }
    size_t max = state->place == IN_ENVELOPE ? TYPE_META_MAX : FL_K8S_FRAME_MAX;
    if (is_collected(state) && state->left > max)
        return fl_fail(err, FL_ETOO_LARGE, "object of %" PRIu64 " bytes, at most %zu", state->left,
                       max);
    return 0;
}

/* A list's next field or a part of it. */
static int step_list(struct fl_k8s_body_state *state, struct fl_str *bytes, struct fl_error *err) {
    if (state->in_value) return take_value(state, bytes, err);
    int got = take_head(state, bytes, err);
    if (got <= 0) return got;
    int rc = begin_field(state, err);
    /* A value of no bytes is whole already. */
    return !rc && state->in_value && state->left == 0 ? take_value(state, bytes, err) : rc;
}

static int step_magic(struct fl_k8s_body_state *state, struct fl_str *bytes, struct fl_error *err) {
    if (bytes->p[0] != FL_K8S_ENVELOPE.p[state->head_len])
        return fl_fail(err, FL_EPROTO, "no Kubernetes envelope around a list");
    *bytes = fl_str_from(*bytes, 1);
    if (++state->head_len < MAGIC) return 0;
    state->head_len = 0;
    state->place = IN_ENVELOPE;
    return 0;
}

static int step_frames(struct fl_k8s_body_state *state, struct fl_str *bytes,
                       struct fl_error *err) {
    if (state->in_value) return take_value(state, bytes, err);
    state->head_value = state->head_value << 8 | (uint8_t)bytes->p[0];
    *bytes = fl_str_from(*bytes, 1);
    if (++state->head_len < FRAME_HEAD) return 0;
    state->left = state->head_value;
    state->in_value = state->left > 0;
    state->head_value = state->head_len = 0;
    if (state->left > FL_K8S_FRAME_MAX)
        return fl_fail(err, FL_ETOO_LARGE, "watch event of %" PRIu64 " bytes, at most %zu",
                       state->left, FL_K8S_FRAME_MAX);
    return 0;
}

static int step(struct fl_k8s_body_state *state, struct fl_str *bytes, struct fl_error *err) {
    switch ((enum place)state->place) {
    case IN_MAGIC:
        return step_magic(state, bytes, err);
    case IN_FRAMES:
        return step_frames(state, bytes, err);
    case IN_STATUS: {
        struct fl_str all = *bytes;
        *bytes = FL_STR_NONE;
        return fl_k8s_body_collect(state, all, err);
    }
    default:
        return step_list(state, bytes, err);
    }
}

static void start(struct fl_k8s_body_state *state) {
    state->place = state->body == FL_K8S_BODY_LIST    ? IN_MAGIC
                   : state->body == FL_K8S_BODY_WATCH ? IN_FRAMES
                                                      : IN_STATUS;
    state->head_value = state->head_len = state->head_shift = 0;
    state->head_has_tag = state->in_value = false;
}

static int feed(struct fl_k8s_body_state *state, struct fl_str bytes, struct fl_error *err) {
    size_t n = bytes.n;
    int rc = 0;
    while (bytes.n && !rc) rc = step(state, &bytes, err);
    state->offset += n - bytes.n;
    return rc;
}

static int end(struct fl_k8s_body_state *state, struct fl_error *err) {
    if (state->place == IN_STATUS) return read_status(state, fl_buf_str(&state->scratch), err);
    bool whole = state->head_len == 0 && !state->in_value;
    if (whole && state->place == IN_FRAMES) return 0;
    if (!whole || state->place != AFTER_LIST) return fl_fail(err, FL_EPROTO, "body cut short");
    fl_k8s_body_list_end(state);
    return 0;
}

const struct fl_k8s_splitter fl_k8s_splitter_pb = {start, feed, end};
