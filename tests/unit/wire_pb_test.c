/* wire_pb_test.c - protobuf fields, written and read. */
#include <string.h>

#include "support/alloc.h"
#include "wire/pb.h"

#define S FL_STR

static void test_fields_of_every_type(void **state) {
    FL_UNUSED(state);
    struct fl_parse r = fl_parse_of(S("\x08\x96\x01"           /* 1: varint 150 */
                                      "\x12\x03xyz"            /* 2: bytes */
                                      "\x19\1\2\3\4\5\6\7\x08" /* 3: eight bytes */
                                      "\x25\1\2\3\4"           /* 4: four bytes */
                                      "\x82\x01\x00"           /* 16: no bytes */
                                      "\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    struct fl_pb_field f;
    assert_true(fl_pb_next(&r, &f));
    assert_int_equal(f.tag, FL_PB_VARINT(1));
    assert_int_equal(f.value, 150);
    assert_true(fl_pb_next(&r, &f));
    assert_int_equal(f.tag, FL_PB_LEN(2));
    assert_true(fl_str_eq(f.bytes, S("xyz")));
    assert_true(fl_pb_next(&r, &f));
    assert_int_equal(f.tag, FL_PB_TAG(3, FL_PB_WIRE_I64));
    assert_true(f.value == UINT64_C(0x0807060504030201));
    assert_true(fl_pb_next(&r, &f));
    assert_int_equal(f.tag, FL_PB_TAG(4, FL_PB_WIRE_I32));
    assert_int_equal(f.value, 0x04030201);
    assert_true(fl_pb_next(&r, &f));
    assert_int_equal(f.tag, FL_PB_LEN(16));
    assert_int_equal(f.bytes.n, 0);
    assert_true(fl_pb_next(&r, &f));
    assert_true(f.value == UINT64_MAX);
    assert_false(fl_pb_next(&r, &f));
    assert_false(r.bad);
}

static void test_malformed_fields(void **state) {
    FL_UNUSED(state);
    static const struct fl_str bad[] = {
        S("\x08"),                                             /* no value */
        S("\x80"),                                             /* half a tag */
        S("\x08\x80"),                                         /* half a value */
        S("\x12\x02x"),                                        /* beyond the end */
        S("\x12\x80"),                                         /* half a length */
        S("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),     /* 2^64 - 1 bytes */
        S("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),     /* 65 bits */
        S("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), /* eleven bytes */
        S("\x0b"),                                             /* a group */
        S("\x0c"),                                             /* its end */
        S("\x0e"),                                             /* no wire type */
        S("\x02\x01x"),                                        /* field 0 */
        S("\x82\x80\x80\x80\x80\x01\x00"),                     /* a tag above 32 bits */
        S("\x19\1\2\3\4\5\6\7"),                               /* seven of eight bytes */
        S("\x25\1\2\3"),
    };
    for (size_t i = 0; i < FL_COUNT(bad); i++) {
        struct fl_parse r = fl_parse_of(bad[i]);
        struct fl_pb_field f;
        assert_false(fl_pb_next(&r, &f));
        assert_true(r.bad);
    }
}

static void test_mistyped_is_a_known_number(void **state) {
    FL_UNUSED(state);
    assert_true(fl_pb_mistyped(FL_PB_VARINT(3), 1 << 3));
    assert_false(fl_pb_mistyped(FL_PB_VARINT(4), 1 << 3));
    assert_false(fl_pb_mistyped(FL_PB_VARINT(35), 1 << 3));
}

/* Nested messages whose lengths take one, two and three bytes, in a buffer that does not begin at
 * its memory's start. */
static void test_nested_lengths(void **state) {
    FL_UNUSED(state);
    static const size_t sizes[] = {0, 1, 126, 127, 128, 16382, 16383, 16384, 20000};
    char *content = fl_calloc(1, 20000);
    assert_non_null(content);
    for (size_t i = 0; i < FL_COUNT(sizes); i++) {
        struct fl_buf out;
        struct fl_pb_field f = {0}, inner = {0};
        fl_buf_init(&out, 1 << 16);
        assert_int_equal(fl_buf_append(&out, S("eaten;kept")), 0);
        fl_buf_consume(&out, 6);
        struct fl_pb_writer w = fl_pb_writer_of(&out);
        size_t outer = fl_pb_open(&w, 1), message = fl_pb_open(&w, 2);
        fl_pb_put_raw(&w, fl_str_n(content, sizes[i]));
        fl_pb_close(&w, message);
        fl_pb_put_varint(&w, 3, 300);
        fl_pb_put_text(&w, 4, FL_STR_NONE);
        fl_pb_close(&w, outer);
        assert_int_equal(fl_pb_finish(&w), 0);
        assert_true(fl_str_starts(fl_buf_str(&out), S("kept")));
        struct fl_parse r = fl_parse_of(fl_str_from(fl_buf_str(&out), 4));
        assert_true(fl_pb_next(&r, &f));
        assert_int_equal(fl_parse_left(&r), 0);
        struct fl_parse in = fl_parse_of(f.bytes);
        assert_true(fl_pb_next(&in, &inner));
        assert_int_equal(inner.bytes.n, sizes[i]);
        assert_true(fl_pb_next(&in, &inner));
        assert_int_equal(inner.value, 300);
        assert_false(fl_pb_next(&in, &inner));
        fl_buf_deinit(&out);
    }
    fl_free(content);
}

static void test_failed_writer_takes_all_back(void **state) {
    FL_UNUSED(state);
    for (size_t max = 4; max < 14; max++) {
        struct fl_buf out;
        fl_buf_init(&out, max);
        assert_int_equal(fl_buf_append(&out, S("kept")), 0);
        struct fl_pb_writer w = fl_pb_writer_of(&out);
        size_t message = fl_pb_open(&w, 1);
        fl_pb_put_bytes(&w, 2, S("12345"));
        fl_pb_close(&w, message);
        int rc = fl_pb_finish(&w);
        assert_int_equal(rc, max < 13 ? FL_EFULL : 0);
        assert_int_equal(out.len, max < 13 ? 4 : 13);
        fl_buf_deinit(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_of_every_type),
        cmocka_unit_test(test_malformed_fields),
        cmocka_unit_test(test_mistyped_is_a_known_number),
        cmocka_unit_test(test_nested_lengths),
        cmocka_unit_test(test_failed_writer_takes_all_back),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
