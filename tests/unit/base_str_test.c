/* base_str_test.c - borrowed runs of bytes, and the bounded reader over them. */
#include "support/alloc.h"

#include "base/parse.h"
#include "base/str.h"

static void test_equal_with_and_without_case(void **state) {
    FL_UNUSED(state);
    assert_true(fl_str_eq(FL_STR("a"), FL_STR("a")));
    assert_true(fl_str_eq(FL_STR_NONE, FL_STR("")));
    assert_false(fl_str_eq(FL_STR("a"), FL_STR("A")));
    assert_false(fl_str_eq(FL_STR("a"), FL_STR("ab")));
    assert_true(fl_str_eq_nocase(FL_STR("Content-Type"), FL_STR("cOnTENT-tYPE")));
    assert_false(fl_str_eq_nocase(FL_STR("["), FL_STR("{"))); /* 0x20 apart, no letters */
    assert_false(fl_str_eq_nocase(FL_STR("a"), FL_STR("ab")));
}

static void test_order_is_bytewise(void **state) {
    FL_UNUSED(state);
    assert_true(fl_str_cmp(FL_STR("a"), FL_STR("b")) < 0);
    assert_true(fl_str_cmp(FL_STR("\xff"), FL_STR("a")) > 0);
    assert_true(fl_str_cmp(FL_STR("ab"), FL_STR("a")) > 0);
    assert_true(fl_str_cmp(FL_STR_NONE, FL_STR("a")) < 0);
    assert_int_equal(fl_str_cmp(FL_STR_NONE, FL_STR("")), 0);
}

static void test_starts_and_ends(void **state) {
    FL_UNUSED(state);
    assert_true(fl_str_starts(FL_STR("abc"), FL_STR("ab")));
    assert_true(fl_str_starts(FL_STR("abc"), FL_STR_NONE));
    assert_false(fl_str_starts(FL_STR("ab"), FL_STR("abc")));
    assert_true(fl_str_ends(FL_STR("abc"), FL_STR("bc")));
    assert_true(fl_str_ends(FL_STR("abc"), FL_STR("abc")));
    assert_true(fl_str_ends(FL_STR("abc"), FL_STR("")));
    assert_false(fl_str_ends(FL_STR("bc"), FL_STR("abc")));
}

static void test_trim_and_from(void **state) {
    FL_UNUSED(state);
    assert_true(fl_str_eq(fl_str_trim(FL_STR(" \t\r\na b\n ")), FL_STR("a b")));
    assert_int_equal(fl_str_trim(FL_STR(" \t")).n, 0);
    assert_true(fl_str_eq(fl_str_from(FL_STR("abc"), 2), FL_STR("c")));
    assert_int_equal(fl_str_from(FL_STR("abc"), 3).n, 0);
    assert_int_equal(fl_str_from(FL_STR_NONE, 9).n, 0);
}

static void test_split(void **state) {
    FL_UNUSED(state);
    struct fl_str head, tail;
    assert_true(fl_str_split(FL_STR("a=b=c"), '=', &head, &tail));
    assert_true(fl_str_eq(head, FL_STR("a")));
    assert_true(fl_str_eq(tail, FL_STR("b=c")));
    assert_false(fl_str_split(FL_STR("abc"), '=', &head, &tail));
    assert_true(fl_str_eq(head, FL_STR("abc")));
    assert_int_equal(tail.n, 0);
    assert_true(fl_str_split(FL_STR("="), '=', &head, &tail));
    assert_int_equal(head.n + tail.n, 0);
    assert_false(fl_str_split(FL_STR_NONE, '=', &head, &tail));
}

static void test_u64_is_whole_and_bounded(void **state) {
    FL_UNUSED(state);
    uint64_t n;
    assert_true(fl_str_u64(FL_STR("0"), &n) && n == 0);
    assert_true(fl_str_u64(FL_STR("18446744073709551615"), &n) && n == UINT64_MAX);
    static const char *const wrong[] = {
        "", "18446744073709551616", "99999999999999999999", "-1", "+1", " 1", "1 ", "0x1", "1.0"};
    for (size_t i = 0; i < FL_COUNT(wrong); i++) {
        assert_false(fl_str_u64(fl_str_of(wrong[i]), &n));
    }
}

static void test_dup_and_copy_terminate(void **state) {
    FL_UNUSED(state);
    char out[4];
    FL_TEST_EACH_FAILURE(n) {
        char *copy = fl_str_dup(FL_STR("abc"));
        if (copy) assert_string_equal(copy, "abc");
        fl_free(copy);
    }
    assert_true(fl_str_copy(out, sizeof(out), FL_STR("abc")));
    assert_string_equal(out, "abc");
    assert_false(fl_str_copy(out, sizeof(out), FL_STR("abcd")));
    assert_string_equal(out, "abc");
    assert_true(fl_str_copy(out, 1, FL_STR_NONE));
    assert_string_equal(out, "");
}

static void test_parse_reads_in_either_order_of_bytes(void **state) {
    FL_UNUSED(state);
    struct fl_parse r = fl_parse_of(fl_str_n("\x01\x08\x09\x0a\x0b"
                                             "\x0c\x0d\x0e\x0f\x10\x11\x12\x13xyz!",
                                             17));
    uint8_t u8;
    uint32_t le32;
    uint64_t le64;
    struct fl_str bytes;
    assert_true(fl_parse_u8(&r, &u8) && u8 == 1);
    assert_true(fl_parse_le32(&r, &le32) && le32 == 0x0b0a0908);
    assert_true(fl_parse_le64(&r, &le64) && le64 == 0x131211100f0e0d0cu);
    assert_true(fl_parse_bytes(&r, 3, &bytes) && fl_str_eq(bytes, FL_STR("xyz")));
    assert_int_equal(fl_parse_left(&r), 1);
    assert_true(fl_parse_skip(&r, 1));
    assert_false(r.bad);
}

static void test_parse_beyond_the_end_stays_bad(void **state) {
    FL_UNUSED(state);
    struct fl_parse r = fl_parse_of(FL_STR("abc"));
    uint32_t u32 = 1;
    uint8_t u8 = 1;
    struct fl_str bytes;
    assert_false(fl_parse_le32(&r, &u32));
    assert_int_equal(u32, 0);
    assert_true(r.bad);
    assert_false(fl_parse_u8(&r, &u8)); /* there would be a byte */
    assert_int_equal(u8, 0);
    assert_false(fl_parse_bytes(&r, 1, &bytes));
    assert_int_equal(bytes.n, 0);
    assert_false(fl_parse_skip(&r, 0));
    r = fl_parse_of(FL_STR_NONE);
    assert_true(fl_parse_bytes(&r, 0, &bytes));
    assert_true(fl_parse_skip(&r, 0));
    assert_false(fl_parse_skip(&r, SIZE_MAX));
}

static void assert_varint(struct fl_str bytes, bool good, uint64_t expected) {
    struct fl_parse r = fl_parse_of(bytes);
    uint64_t value = 1;
    assert_int_equal(fl_parse_varint(&r, &value), good);
    assert_int_equal(r.bad, !good);
    assert_true(value == expected);
}

static void test_varint(void **state) {
    FL_UNUSED(state);
    assert_varint(fl_str_n("\0", 1), true, 0);
    assert_varint(FL_STR("\x7f"), true, 127);
    assert_varint(FL_STR("\xac\x02"), true, 300);
    assert_varint(FL_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), true, UINT64_MAX);
    assert_varint(FL_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), false, 0); /* 65 bits */
    assert_varint(FL_STR("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), false, 0);
    assert_varint(FL_STR("\x80"), false, 0);
    assert_varint(FL_STR_NONE, false, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_with_and_without_case),
        cmocka_unit_test(test_order_is_bytewise),
        cmocka_unit_test(test_starts_and_ends),
        cmocka_unit_test(test_trim_and_from),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_u64_is_whole_and_bounded),
        cmocka_unit_test(test_dup_and_copy_terminate),
        cmocka_unit_test(test_parse_reads_in_either_order_of_bytes),
        cmocka_unit_test(test_parse_beyond_the_end_stays_bad),
        cmocka_unit_test(test_varint),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
