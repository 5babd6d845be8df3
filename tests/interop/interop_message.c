/* interop_message.c - see interop_message.h; the numbers are those of proto/grpc/testing. */
#include "interop/interop_message.h"

#include "base/alloc.h"
#include "wire/pb.h"

/* BoolValue */
static bool is_true(struct fl_str bytes) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field field;
    bool value = false;
    while (fl_pb_next(&r, &field))
        if (field.tag == FL_PB_VARINT(1)) value = field.value != 0;
    return value;
}

static enum interop_expected expected_of(struct fl_str bytes) {
    return is_true(bytes) ? INTEROP_COMPRESSED : INTEROP_PLAIN;
}

static bool read_status(struct fl_str bytes, struct interop_request *out) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field field;
    out->has_status = true;
    while (fl_pb_next(&r, &field)) {
        if (field.tag == FL_PB_VARINT(1)) out->status = field.value;
        if (field.tag == FL_PB_LEN(2)) out->status_message = field.bytes;
    }
    return !r.bad;
}

bool interop_request_read(struct fl_str bytes, struct interop_request *out) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field field;
    *out = (struct interop_request){0};
    while (fl_pb_next(&r, &field)) {
        if (field.tag == FL_PB_VARINT(2)) out->response_size = field.value;
        if (field.tag == FL_PB_LEN(6)) out->response_compressed = is_true(field.bytes);
        if (field.tag == FL_PB_LEN(8)) out->expected = expected_of(field.bytes);
        if (field.tag == FL_PB_VARINT(9)) out->fill_server_id = field.value != 0;
        if (field.tag == FL_PB_LEN(7) && !read_status(field.bytes, out)) return false;
    }
    return !r.bad;
}

static bool read_payload(struct fl_str bytes, size_t *n) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field field;
    while (fl_pb_next(&r, &field))
        if (field.tag == FL_PB_LEN(2)) *n = field.bytes.n;
    return !r.bad;
}

bool interop_input_read(struct fl_str bytes, size_t *payload, enum interop_expected *expected) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field field;
    *payload = 0;
    *expected = INTEROP_ANY;
    while (fl_pb_next(&r, &field)) {
        if (field.tag == FL_PB_LEN(1) && !read_payload(field.bytes, payload)) return false;
        if (field.tag == FL_PB_LEN(2)) *expected = expected_of(field.bytes);
    }
    return !r.bad;
}

static void read_parameters(struct fl_str bytes, struct interop_parameters *out) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field field;
    *out = (struct interop_parameters){0};
    while (fl_pb_next(&r, &field)) {
        if (field.tag == FL_PB_VARINT(1)) out->size = field.value;
        if (field.tag == FL_PB_VARINT(2)) out->interval_us = field.value;
        if (field.tag == FL_PB_LEN(3)) out->compressed = is_true(field.bytes);
    }
}

bool interop_next_parameters(struct fl_parse *r, struct interop_parameters *out) {
    struct fl_pb_field field;
    while (fl_pb_next(r, &field)) {
        if (field.tag != FL_PB_LEN(2)) continue;
        read_parameters(field.bytes, out);
        return true;
    }
    return false;
}

int interop_write_payload(struct fl_buf *out, uint64_t size) {
    if (size > out->max) return FL_EFULL;
    char *zeros = fl_calloc(1, size + 1);
    if (!zeros) return FL_ENOMEM;
    struct fl_pb_writer w = fl_pb_writer_of(out);
    size_t payload = fl_pb_open(&w, 1);
    fl_pb_put_bytes(&w, 2, fl_str_n(zeros, size));
    fl_pb_close(&w, payload);
    fl_free(zeros);
    return fl_pb_finish(&w);
}

int interop_write_server_id(struct fl_buf *out, struct fl_str server_id) {
    struct fl_pb_writer w = fl_pb_writer_of(out);
    fl_pb_put_text(&w, 4, server_id);
    return fl_pb_finish(&w);
}

int interop_write_sum(struct fl_buf *out, uint64_t sum) {
    struct fl_pb_writer w = fl_pb_writer_of(out);
    fl_pb_put_varint(&w, 1, sum);
    return fl_pb_finish(&w);
}
