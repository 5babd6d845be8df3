/* pb.c - protobuf wire format. Pure; any thread. See pb.h. */
#include "wire/pb.h"

#define VARINT_MAX 10 /* bytes of a 64-bit value */

static size_t varint_encode(uint64_t value, uint8_t out[VARINT_MAX]) {
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) out[n++] = (uint8_t)(value | 0x80);
    out[n++] = (uint8_t)value;
    return n;
}

static bool read_fixed(struct fl_parse *r, size_t n, uint64_t *out) {
    struct fl_str bytes;
    if (!fl_parse_bytes(r, n, &bytes)) return false;
    *out = 0;
    for (size_t i = n; i-- > 0;) *out = *out << 8 | (uint8_t)bytes.p[i];
    return true;
}

static bool read_value(struct fl_parse *r, struct fl_pb_field *out) {
    uint64_t length;
    switch (out->tag & 7) {
    case FL_PB_WIRE_VARINT:
        return fl_parse_varint(r, &out->value);
    case FL_PB_WIRE_I64:
        return read_fixed(r, 8, &out->value);
    case FL_PB_WIRE_I32:
        return read_fixed(r, 4, &out->value);
    case FL_PB_WIRE_LEN:
        if (!fl_parse_varint(r, &length)) return false;
        if (length <= fl_parse_left(r)) return fl_parse_bytes(r, (size_t)length, &out->bytes);
        break;
    default:
        break;
    }
    r->bad = true;
    return false;
}

bool fl_pb_next_any(struct fl_parse *r, struct fl_pb_field *out) {
    uint64_t tag;
    *out = (struct fl_pb_field){0};
    if (!fl_parse_varint(r, &tag)) return false;
    if (tag > UINT32_MAX || tag >> 3 == 0) {
        r->bad = true;
        return false;
    }
    out->tag = (uint32_t)tag;
    return read_value(r, out);
}

bool fl_pb_find_bytes(struct fl_str message, unsigned number, struct fl_str *bytes) {
    struct fl_parse r = fl_parse_of(message);
    struct fl_pb_field field;
    *bytes = FL_STR_NONE;
    while (fl_pb_next(&r, &field))
        if (field.tag == FL_PB_LEN(number)) *bytes = field.bytes;
    return !r.bad;
}

int fl_pb_finish(struct fl_pb_writer *w) {
    if (w->rc) fl_buf_truncate(w->out, w->start);
    return w->rc;
}

void fl_pb_put_raw(struct fl_pb_writer *w, struct fl_str bytes) {
    if (!w->rc) w->rc = fl_buf_append(w->out, bytes);
}

static void put_number(struct fl_pb_writer *w, uint64_t value) {
    uint8_t text[VARINT_MAX];
    fl_pb_put_raw(w, fl_str_n(text, varint_encode(value, text)));
}

void fl_pb_put_varint(struct fl_pb_writer *w, unsigned number, uint64_t value) {
    put_number(w, FL_PB_VARINT(number));
    put_number(w, value);
}

void fl_pb_put_bytes(struct fl_pb_writer *w, unsigned number, struct fl_str bytes) {
    put_number(w, FL_PB_LEN(number));
    put_number(w, bytes.n);
    fl_pb_put_raw(w, bytes);
}

void fl_pb_put_text(struct fl_pb_writer *w, unsigned number, struct fl_str text) {
    if (text.n) fl_pb_put_bytes(w, number, text);
}

size_t fl_pb_open(struct fl_pb_writer *w, unsigned number) {
    put_number(w, FL_PB_LEN(number));
    put_number(w, 0);
    return w->out->len;
}

void fl_pb_close(struct fl_pb_writer *w, size_t opened) {
    if (w->rc) return;
    uint8_t length[VARINT_MAX];
    size_t content = w->out->len - opened, n = varint_encode(content, length);
    fl_pb_put_raw(w, fl_str_n(length, n - 1)); /* room; overwritten by the move */
    if (w->rc) return;
    char *at = w->out->data + w->out->start + opened;
    memmove(at + n - 1, at, content);
    memcpy(at - 1, length, n);
}
