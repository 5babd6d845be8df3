/* k8s_decoder.c - the public face of the decoders: one body after the other. One thread.
 *
 * A splitter (k8s_body_pb.c, k8s_body_json.c) takes the body apart into objects, a reader
 * (k8s_object.c) has each read by its format (k8s_pb.c, k8s_json.c) and hands it out. */
#include <inttypes.h>

#include "base/alloc.h"
#include "wire/k8s_body.h"

#define LIST_META_MAX ((size_t)64 * 1024)
#define SCRATCH_KEPT  ((size_t)1024 * 1024)

struct fl_k8s_decoder {
    struct fl_k8s_body_state state;
    const struct fl_k8s_splitter *splitter; /* NULL: not started, or failed */
};

int fl_k8s_decoder_new(enum fl_k8s_kind kind, const struct fl_k8s_decoder_events *events, void *arg,
                       struct fl_k8s_decoder **out) {
    *out = NULL;
    struct fl_k8s_decoder *decoder = FL_NEW(struct fl_k8s_decoder);
    if (!decoder) return FL_ENOMEM;
    struct fl_k8s_body_state *state = &decoder->state;
    fl_buf_init(&state->scratch, FL_K8S_FRAME_MAX);
    fl_buf_init(&state->resource_version, LIST_META_MAX);
    fl_buf_init(&state->continue_token, LIST_META_MAX);
    int rc = fl_k8s_reader_init(&state->reader, kind, events, arg);
    if (!rc) rc = fl_json_new(FL_K8S_FRAME_MAX, &state->json);
    if (rc) goto fail;
    *out = decoder;
    return 0;
fail:
    fl_k8s_decoder_free(decoder);
    return rc;
}

void fl_k8s_decoder_free(struct fl_k8s_decoder *decoder) {
    if (!decoder) return;
    fl_k8s_reader_deinit(&decoder->state.reader);
    fl_json_free(decoder->state.json);
    fl_buf_deinit(&decoder->state.scratch);
    fl_buf_deinit(&decoder->state.resource_version);
    fl_buf_deinit(&decoder->state.continue_token);
    fl_free(decoder);
}

void fl_k8s_decoder_start(struct fl_k8s_decoder *decoder, enum fl_k8s_body body,
                          enum fl_k8s_format format) {
    struct fl_k8s_body_state *state = &decoder->state;
    decoder->splitter = format == FL_K8S_PROTOBUF ? &fl_k8s_splitter_pb : &fl_k8s_splitter_json;
    state->body = body;
    state->offset = 0;
    fl_buf_truncate(&state->resource_version, 0);
    fl_buf_truncate(&state->continue_token, 0);
    fl_k8s_body_collected(state);
    decoder->splitter->start(state);
}

/* The body failed with `rc`; `why` has no code if that came from a callback. */
static int failed(struct fl_k8s_decoder *decoder, int rc, struct fl_error *why,
                  struct fl_error *err) {
    decoder->splitter = NULL;
    if (!why->code) return fl_fail(err, rc, "%s", "");
    fl_error_prefix(why, "byte %" PRIu64, decoder->state.offset);
    return fl_error_copy(err, why);
}

int fl_k8s_decoder_feed(struct fl_k8s_decoder *decoder, struct fl_str bytes, struct fl_error *err) {
    FL_ASSERT(decoder->splitter);
    struct fl_error why = {0};
    int rc = bytes.n ? decoder->splitter->feed(&decoder->state, bytes, &why) : 0;
    return rc ? failed(decoder, rc, &why, err) : 0;
}

int fl_k8s_decoder_end(struct fl_k8s_decoder *decoder, struct fl_error *err) {
    FL_ASSERT(decoder->splitter);
    struct fl_error why = {0};
    int rc = decoder->splitter->end(&decoder->state, &why);
    if (rc) return failed(decoder, rc, &why, err);
    decoder->splitter = NULL;
    return 0;
}

static int keep(struct fl_buf *out, struct fl_str text, struct fl_error *err) {
    fl_buf_truncate(out, 0);
    int rc = fl_buf_append(out, text);
    if (rc == FL_EFULL) return fl_fail(err, FL_ETOO_LARGE, "list metadata of %zu bytes", text.n);
    return rc ? fl_fail_nomem(err) : 0;
}

int fl_k8s_body_list_meta(struct fl_k8s_body_state *state, const struct fl_k8s_syntax *syntax,
                          struct fl_str bytes, struct fl_error *err) {
    struct fl_str resource_version = FL_STR_NONE, continue_token = FL_STR_NONE;
    int rc = syntax->list_meta(&state->reader, bytes, &resource_version, &continue_token, err);
    if (!rc) rc = keep(&state->resource_version, resource_version, err);
    if (!rc) rc = keep(&state->continue_token, continue_token, err);
    fl_k8s_reader_clear(&state->reader);
    return rc;
}

void fl_k8s_body_list_end(struct fl_k8s_body_state *state) {
    const struct fl_k8s_reader *reader = &state->reader;
    reader->events->on_list_end(reader->arg, fl_buf_str(&state->resource_version),
                                fl_buf_str(&state->continue_token));
}

int fl_k8s_body_collect(struct fl_k8s_body_state *state, struct fl_str bytes,
                        struct fl_error *err) {
    int rc = fl_buf_append(&state->scratch, bytes);
    if (rc == FL_EFULL)
        return fl_fail(err, FL_ETOO_LARGE, "object of more than %zu bytes", FL_K8S_FRAME_MAX);
    return rc ? fl_fail_nomem(err) : 0;
}

void fl_k8s_body_collected(struct fl_k8s_body_state *state) {
    fl_buf_truncate(&state->scratch, 0);
    if (state->scratch.cap > SCRATCH_KEPT) fl_buf_release(&state->scratch);
}
