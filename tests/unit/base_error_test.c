/* base_error_test.c - the list of causes, details for people, and escaping. */
#include "support/alloc.h"

#include <string.h>

#include "base/error.h"
#include "base/escape.h"

static void test_codes_have_names_texts_reactions(void **state) {
    FL_UNUSED(state);
    assert_int_equal(FL_OK, 0);
    assert_string_equal(fl_error_name(FL_OK), "OK");
    assert_string_equal(fl_error_name(FL_EGONE), "GONE");
    assert_string_equal(fl_error_text(FL_EGONE), "resource version expired (410)");
    assert_int_equal(fl_error_reaction(FL_OK), FL_REACT_NONE);
    assert_int_equal(fl_error_reaction(FL_EGONE), FL_REACT_RELIST);
    assert_int_equal(fl_error_reaction(FL_EPROTO), FL_REACT_CLOSE);
    for (int code = 0; code > -(int)FL_ORDINAL_COUNT; code--) {
        assert_string_not_equal(fl_error_name(code), "?");
        assert_true(strlen(fl_error_text(code)) > 0);
    }
}

static void test_what_is_no_code_has_a_name(void **state) {
    FL_UNUSED(state);
    static const int wrong[] = {1, -(int)FL_ORDINAL_COUNT, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < FL_COUNT(wrong); i++) {
        assert_string_equal(fl_error_name(wrong[i]), "?");
        assert_true(strlen(fl_error_text(wrong[i])) > 0);
    }
}

static void test_fail_sets_code_and_detail(void **state) {
    FL_UNUSED(state);
    struct fl_error err;
    assert_int_equal(fl_fail(&err, FL_EPROTO, "frame of %u", 7u), FL_EPROTO);
    assert_int_equal(err.code, FL_EPROTO);
    assert_string_equal(err.detail, "frame of 7");
    assert_int_equal(fl_fail(NULL, FL_EPROTO, "frame of %u", 7u), FL_EPROTO);
}

static void test_empty_detail_is_the_lists_text(void **state) {
    FL_UNUSED(state);
    struct fl_error err;
    FL_UNUSED(fl_fail(&err, FL_EGONE, "%s", ""));
    assert_string_equal(err.detail, fl_error_text(FL_EGONE));
}

static void test_detail_is_one_printable_line(void **state) {
    FL_UNUSED(state);
    struct fl_error err;
    FL_UNUSED(fl_fail(&err, FL_EPROTO, "%s",
                      "a\nb\x1b[2J\xff"
                      "c\xc3\xa9\t\x7f"));
    assert_string_equal(err.detail, "a\\nb\\x1b[2J\\xffc\xc3\xa9\\t\\x7f");
}

static void test_long_detail_is_cut_between_characters(void **state) {
    FL_UNUSED(state);
    char text[2 * FL_ERROR_DETAIL_MAX];
    struct fl_error err;
    for (size_t i = 0; i + 1 < sizeof(text); i += 2) memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof(text) - 1] = '\0';
    FL_UNUSED(fl_fail(&err, FL_EPROTO, "x%s", text));
    assert_int_equal(strlen(err.detail), FL_ERROR_DETAIL_MAX - 1);
    FL_UNUSED(fl_fail(&err, FL_EPROTO, "%s", text)); /* the 128th character has no room */
    assert_int_equal(strlen(err.detail), FL_ERROR_DETAIL_MAX - 2);
}

static void test_prefix_goes_before_the_detail(void **state) {
    FL_UNUSED(state);
    struct fl_error err;
    FL_UNUSED(fl_fail(&err, FL_ETLS, "handshake\n"));
    assert_int_equal(fl_error_prefix(&err, "10.0.0.%d", 1), FL_ETLS);
    assert_int_equal(err.code, FL_ETLS);
    assert_string_equal(err.detail, "10.0.0.1: handshake\\n");
}

static void test_detail_may_be_an_argument(void **state) {
    FL_UNUSED(state);
    struct fl_error err;
    FL_UNUSED(fl_fail(&err, FL_ETLS, "inner"));
    FL_UNUSED(fl_fail(&err, FL_ECONFIG, "outer (%s)", err.detail));
    assert_string_equal(err.detail, "outer (inner)");
}

static void test_nomem_does_not_allocate(void **state) {
    FL_UNUSED(state);
    struct fl_error err;
    size_t before = fl_test_alloc_count();
    assert_int_equal(fl_fail_nomem(&err), FL_ENOMEM);
    assert_int_equal(fl_fail_nomem(NULL), FL_ENOMEM);
    assert_int_equal(fl_test_alloc_count(), before);
    assert_string_equal(err.detail, "out of memory");
}

static void test_copy_returns_the_code(void **state) {
    FL_UNUSED(state);
    struct fl_error from, to;
    FL_UNUSED(fl_fail(&from, FL_ETLS, "why"));
    assert_int_equal(fl_error_copy(NULL, &from), FL_ETLS);
    assert_int_equal(fl_error_copy(&to, &from), FL_ETLS);
    assert_int_equal(to.code, FL_ETLS);
    assert_string_equal(to.detail, "why");
}

static void test_an_error_is_kept_until_there_is_none(void **state) {
    FL_UNUSED(state);
    struct fl_kept_error kept = {FL_OK, NULL};
    struct fl_error err;
    assert_int_equal(fl_kept_error_peek(&kept)->code, FL_OK);
    fl_fail(&err, FL_EPROTO, "frame of 7");
    fl_kept_error_set(&kept, &err);
    fl_fail(&err, FL_EGONE, "another's");
    assert_int_equal(kept.code, FL_EPROTO);
    assert_int_equal(fl_kept_error_peek(&kept)->code, FL_EPROTO);
    assert_string_equal(fl_kept_error_peek(&kept)->detail, "frame of 7");
    fl_kept_error_set(&kept, &err);
    assert_int_equal(kept.code, FL_EGONE);
    assert_string_equal(fl_kept_error_peek(&kept)->detail, "another's");
    fl_kept_error_set(&kept, NULL);
    assert_int_equal(fl_test_alloc_outstanding(), 0);
    assert_int_equal(fl_kept_error_peek(&kept)->code, FL_OK);
    assert_string_equal(fl_kept_error_peek(&kept)->detail, "");
    fl_kept_error_deinit(&kept);
}

static void test_without_memory_the_code_is_kept(void **state) {
    FL_UNUSED(state);
    struct fl_kept_error kept = {FL_OK, NULL};
    struct fl_error err;
    fl_fail(&err, FL_EPROTO, "frame of 7");
    fl_test_alloc_fail_at(1);
    fl_kept_error_set(&kept, &err);
    assert_true(fl_test_alloc_did_fail());
    assert_int_equal(kept.code, FL_EPROTO);
    assert_int_equal(fl_kept_error_peek(&kept)->code, FL_EPROTO);
    assert_string_equal(fl_kept_error_peek(&kept)->detail, fl_error_text(FL_EPROTO));
    fl_kept_error_deinit(&kept);
}

static void test_utf8_is_read_strictly(void **state) {
    FL_UNUSED(state);
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        {"a", 1},
        {" ", 1},
        {"~", 1},
        {"\xc3\xa9", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x9a\xa2", 4},
        {"", 0},
        {"\n", 0},
        {"\x7f", 0},
        {"\xc2\x85", 0},         /* a control character beyond ASCII */
        {"\xe2\x80\xae", 0},     /* turns the direction of text */
        {"\xef\xbb\xbf", 0},     /* byte order mark */
        {"\x80", 0},             /* continues nothing */
        {"\xc3", 0},             /* ends early */
        {"\xc3(", 0},            /* no continuation */
        {"\xc0\xaf", 0},         /* not the shortest form */
        {"\xe0\x80\xaf", 0},     /* likewise */
        {"\xf0\x80\x80\xaf", 0}, /* likewise */
        {"\xed\xa0\x80", 0},     /* half of a surrogate pair */
        {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
        {"\xff", 0},
    };
    for (size_t i = 0; i < FL_COUNT(cases); i++) {
        assert_int_equal(fl_utf8_printable(fl_str_of(cases[i].text)), cases[i].len);
    }
}

static void assert_escaped(struct fl_str text, enum fl_escape_style style, const char *expected) {
    char out[64];
    assert_int_equal(fl_escape(out, sizeof(out), text, style), strlen(expected));
    assert_string_equal(out, expected);
}

static void test_styles_of_escaping(void **state) {
    FL_UNUSED(state);
    struct fl_str text = FL_STR("\"\\\n\r\x01\xff");
    assert_escaped(text, FL_ESCAPE_LINE, "\"\\\\n\\r\\x01\\xff");
    assert_escaped(text, FL_ESCAPE_QUOTED, "\\\"\\\\\\n\\r\\x01\\xff");
    assert_escaped(text, FL_ESCAPE_JSON, "\\\"\\\\\\n\\r\\u0001\\\\xff");
    assert_escaped(text, FL_ESCAPE_METRIC, "\\\"\\\\\\n\\\\x0d\\\\x01\\\\xff");
    assert_escaped(FL_STR_NONE, FL_ESCAPE_JSON, "");
}

static void test_escape_never_cuts_an_escape(void **state) {
    FL_UNUSED(state);
    char out[5];
    assert_int_equal(fl_escape(out, sizeof(out), FL_STR("a\x01"), FL_ESCAPE_LINE), 1);
    assert_string_equal(out, "a");
    assert_int_equal(fl_escape(out, sizeof(out), FL_STR("\x01"), FL_ESCAPE_LINE), 4);
    assert_int_equal(fl_escape(out, 1, FL_STR("a"), FL_ESCAPE_LINE), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_have_names_texts_reactions),
        cmocka_unit_test(test_what_is_no_code_has_a_name),
        cmocka_unit_test(test_fail_sets_code_and_detail),
        cmocka_unit_test(test_empty_detail_is_the_lists_text),
        cmocka_unit_test(test_detail_is_one_printable_line),
        cmocka_unit_test(test_long_detail_is_cut_between_characters),
        cmocka_unit_test(test_prefix_goes_before_the_detail),
        cmocka_unit_test(test_detail_may_be_an_argument),
        cmocka_unit_test(test_nomem_does_not_allocate),
        cmocka_unit_test(test_copy_returns_the_code),
        cmocka_unit_test(test_an_error_is_kept_until_there_is_none),
        cmocka_unit_test(test_without_memory_the_code_is_kept),
        cmocka_unit_test(test_utf8_is_read_strictly),
        cmocka_unit_test(test_styles_of_escaping),
        cmocka_unit_test(test_escape_never_cuts_an_escape),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
