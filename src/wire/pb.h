/* pb.h - protobuf wire format: a field reader over base/parse.h and a writer into base/buf.h.
 *
 * The reader gives one field after the other, borrowed, and knows no schema; groups, which proto3
 * and Kubernetes do not have, are malformed. The writer writes nested messages in place: opening
 * one leaves a byte for its length, closing it moves the content if the length needs more. Its
 * first failure stays, so that a whole object is written and asked about once.
 *
 * Source: protobuf.dev/programming-guides/encoding. */
#ifndef FL_WIRE_PB_H
#define FL_WIRE_PB_H

#include "base/buf.h"
#include "base/parse.h"

enum fl_pb_wire { FL_PB_WIRE_VARINT, FL_PB_WIRE_I64, FL_PB_WIRE_LEN, FL_PB_WIRE_I32 = 5 };

/* Tags to switch over: field number and wire type in one. */
#define FL_PB_TAG(number, wire) ((uint32_t)(number) << 3 | (uint32_t)(wire))
#define FL_PB_VARINT(number)    FL_PB_TAG(number, FL_PB_WIRE_VARINT)
#define FL_PB_LEN(number)       FL_PB_TAG(number, FL_PB_WIRE_LEN)

struct fl_pb_field {
    uint32_t tag;
    uint64_t value;      /* VARINT, I64, I32 */
    struct fl_str bytes; /* LEN */
};

/* Slow path of fl_pb_next: any tag, any wire type, any length. */
bool fl_pb_next_any(struct fl_parse *r, struct fl_pb_field *out);

/* A field of `tag` with its `length` bytes at `p`; false if they do not lie in front of the end. */
static inline bool fl_pb_take(struct fl_parse *r, struct fl_pb_field *out, uint8_t tag,
                              const uint8_t *p, size_t length) {
    if (__builtin_expect((size_t)(r->end - p) < length, 0)) return false;
    out->tag = tag;
    out->value = 0;
    out->bytes = fl_str_n(p, length);
    r->p = p + length;
    return true;
}

/* The next field; false at the end and, with r->bad set, at malformed bytes. Inline for what nearly
 * every field of a Kubernetes object is: a tag of one byte, wire type LEN, and a length of one byte
 * or, as of an endpoint in its slice, two. The slow path works on copies so that *r and *out may
 * live in registers. */
static inline bool fl_pb_next(struct fl_parse *r, struct fl_pb_field *out) {
    const uint8_t *p = r->p;
    size_t left = (size_t)(r->end - p);
    if (__builtin_expect(left >= 3 && (p[0] & 0x87) == FL_PB_WIRE_LEN && p[0] >= 8, 1)) {
        if (__builtin_expect(p[1] < 0x80, 1)) {
            if (fl_pb_take(r, out, p[0], p + 2, p[1])) return true;
        } else if (p[2] < 0x80) {
            size_t length = (size_t)(p[1] & 0x7f) | (size_t)p[2] << 7;
            if (fl_pb_take(r, out, p[0], p + 3, length)) return true;
        }
    }
    if (p >= r->end) return false;
    struct fl_parse rest = *r;
    struct fl_pb_field field;
    bool more = fl_pb_next_any(&rest, &field);
    *r = rest;
    *out = field;
    return more;
}

/* Takes the next field if it is one of this tag, LEN, with tag and length in one byte each; else
 * nothing. For who knows in which order the fields of a message are usually written: asking for one
 * after the other costs a fraction of a switch. What is left is for fl_pb_next. */
static inline bool fl_pb_take_if(struct fl_parse *r, uint8_t tag, struct fl_str *bytes) {
    const uint8_t *p = r->p;
    size_t left = (size_t)(r->end - p);
    if (left < 2 || p[0] != tag || p[1] >= 0x80 || p[1] > left - 2) return false;
    *bytes = fl_str_n(p + 2, p[1]);
    r->p = p + 2 + p[1];
    return true;
}

/* For the `default:` of a switch over tags: a field whose number stands in the mask (bit n: field
 * n, below 32) came with a wire type that is not its own. */
static inline bool fl_pb_mistyped(uint32_t tag, uint32_t known_mask) {
    uint32_t number = tag >> 3;
    return number < 32 && (known_mask >> number & 1) != 0;
}

/* The bytes of the last field of this number and wire type LEN, for messages of one field; none if
 * there is none. False: malformed. */
FL_MUST bool fl_pb_find_bytes(struct fl_str message, unsigned number, struct fl_str *bytes);

struct fl_pb_writer {
    struct fl_buf *out;
    size_t start; /* length of *out before us, to go back to */
    int rc;
};

static inline struct fl_pb_writer fl_pb_writer_of(struct fl_buf *out) {
    return (struct fl_pb_writer){out, out->len, 0};
}
/* 0, or FL_EFULL, FL_ENOMEM: then nothing was appended. */
FL_MUST int fl_pb_finish(struct fl_pb_writer *w);

void fl_pb_put_varint(struct fl_pb_writer *w, unsigned number, uint64_t value);
void fl_pb_put_bytes(struct fl_pb_writer *w, unsigned number, struct fl_str bytes);
void fl_pb_put_text(struct fl_pb_writer *w, unsigned number, struct fl_str text); /* not empty */
void fl_pb_put_raw(struct fl_pb_writer *w, struct fl_str bytes);                  /* as they are */

/* Opens a nested message; what is put until its fl_pb_close belongs to it. */
FL_MUST size_t fl_pb_open(struct fl_pb_writer *w, unsigned number);
void fl_pb_close(struct fl_pb_writer *w, size_t opened);

#endif
