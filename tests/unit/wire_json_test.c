/* wire_json_test.c - the JSON tokenizer, in any chunking. */
#include <stdio.h>
#include <string.h>

#include "support/alloc.h"
#include "wire/json.h"
#include "wire/json_write.h"

#define S        FL_STR
#define TEXT_MAX ((size_t)1 << 20)

/* What to do with the value of a key: as its first letter says. */
enum { TOKENS, SKIP_S, RAW_R };

struct feed {
    struct fl_json *json;
    struct fl_str rest; /* not given yet */
    size_t first, piece;
    char *copy; /* the piece the tokenizer works on */
};

static void give_piece(struct feed *f) {
    size_t n = FL_MIN(f->rest.n, f->first ? f->first : f->piece);
    f->first = 0;
    /* Memory of its own, so that reading beyond it or after it is seen. */
    fl_free(f->copy);
    f->copy = fl_alloc(n);
    assert_non_null(f->copy);
    memcpy(f->copy, f->rest.p, n);
    fl_json_feed(f->json, fl_str_n(f->copy, n));
    f->rest = fl_str_from(f->rest, n);
}

static enum fl_json_token next(struct feed *f) {
    enum fl_json_token token;
    while ((token = fl_json_next(f->json)) == FL_JSON_MORE && f->rest.n) give_piece(f);
    return token;
}

static void print_text(struct fl_buf *out, char mark, struct fl_str text) {
    assert_int_equal(fl_buf_printf(out, "%c(%.*s)", mark, FL_STR_ARG(text)), 0);
}

static void print_token(struct fl_buf *out, const struct fl_json *json, enum fl_json_token token) {
    static const char marks[] = {
        [FL_JSON_OBJECT_BEGIN] = '{', [FL_JSON_OBJECT_END] = '}', [FL_JSON_ARRAY_BEGIN] = '[',
        [FL_JSON_ARRAY_END] = ']',    [FL_JSON_TRUE] = 't',       [FL_JSON_FALSE] = 'f',
        [FL_JSON_NULL] = '0'};
    switch (token) {
    case FL_JSON_KEY:
        print_text(out, 'k', fl_json_text(json));
        break;
    case FL_JSON_STRING:
        print_text(out, 's', fl_json_text(json));
        break;
    case FL_JSON_NUMBER:
        print_text(out, 'n', fl_json_text(json));
        break;
    case FL_JSON_RAW:
        print_text(out, 'r', fl_json_text(json));
        break;
    case FL_JSON_BAD:
        assert_non_null(fl_json_error(json));
        assert_int_equal(fl_buf_byte(out, '!'), 0);
        break;
    default:
        assert_int_equal(fl_buf_byte(out, marks[token]), 0);
    }
}

/* The tokens of `text` as a line. Values of keys that begin with S are skipped, with R taken raw;
 * containers within arrays likewise if `element` says so. */
static void tokens_of(struct fl_buf *out, struct fl_str text, size_t first, size_t piece,
                      int element) {
    struct feed f = {.rest = text, .first = first, .piece = piece};
    assert_int_equal(fl_json_new(TEXT_MAX, &f.json), 0);
    enum fl_json_token token = FL_JSON_MORE;
    while ((token = next(&f)) != FL_JSON_MORE && token != FL_JSON_BAD) {
        print_token(out, f.json, token);
        struct fl_str key = token == FL_JSON_KEY ? fl_json_text(f.json) : FL_STR_NONE;
        bool inner = token == FL_JSON_OBJECT_BEGIN && fl_json_depth(f.json) == 2;
        int what = fl_str_starts(key, S("S"))   ? SKIP_S
                   : fl_str_starts(key, S("R")) ? RAW_R
                   : inner                      ? element
                                                : TOKENS;
        if (what == SKIP_S) fl_json_skip(f.json);
        if (what == RAW_R) fl_json_raw(f.json);
    }
    if (token == FL_JSON_BAD)
        print_token(out, f.json, token);
    else
        assert_int_equal(fl_json_offset(f.json), text.n);
    assert_int_equal(fl_json_next(f.json), token); /* it stays so */
    assert_int_equal(fl_buf_byte(out, '\0'), 0);
    fl_json_free(f.json);
    fl_free(f.copy);
}

static void expect_element(struct fl_str text, int element, const char *expected) {
    for (size_t first = 0; first <= text.n; first++) {
        struct fl_buf out;
        fl_buf_init(&out, TEXT_MAX);
        tokens_of(&out, text, first, first ? SIZE_MAX : 1, element);
        assert_string_equal(fl_buf_str(&out).p, expected);
        fl_buf_deinit(&out);
    }
}

static void expect(const char *text, const char *expected) {
    expect_element(fl_str_of(text), TOKENS, expected);
}

static void test_tokens_in_any_chunking(void **state) {
    FL_UNUSED(state);
    expect(" {\"a\" : [ 1 , -2.5e+3,true,false,null , \"x\" ],\"b\":{},\"c\":[[]]} ",
           "{k(a)[n(1)n(-2.5e+3)tf0s(x)]k(b){}k(c)[[]]}");
    expect("\"\" 12\n[]{}", "s()n(12)[]{}");
    expect("[\"a long string that is longer than a few lanes of anything\",\"\"]",
           "[s(a long string that is longer than a few lanes of anything)s()]");
}

static void test_escapes_and_surrogates(void **state) {
    FL_UNUSED(state);
    expect("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[s(\"\\/\b\f\n\r\t)]");
    expect("[\"x\\u0041\\u00e9\\u20AC\"]", "[s(xA\xc3\xa9\xe2\x82\xac)]");
    expect("[\"\\ud83d\\ude00!\"]", "[s(\xf0\x9f\x98\x80!)]");
    expect("{\"\\u006bey\":1}", "{k(key)n(1)}");
    /* Lone surrogates: high at the end, before text, before an escape, before another; low. */
    expect("[\"\\ud83d\",\"\\ud83dx\",\"\\ud83d\\n\"]",
           "[s(\xef\xbf\xbd)s(\xef\xbf\xbdx)s(\xef\xbf\xbd\n)]");
    expect("[\"\\ud83d\\ud83d\\ude00\",\"\\ude00\",\"\\ud83d\\u0041\"]",
           "[s(\xef\xbf\xbd\xf0\x9f\x98\x80)s(\xef\xbf\xbd)s(\xef\xbf\xbd"
           "A)]");
}

static void test_utf8_is_checked(void **state) {
    FL_UNUSED(state);
    expect("[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]",
           "[s(\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80)]");
    static const char *const bad[] = {"\xff",         "\xc3",
                                      "\xc0\x80",     "\xe0\x80\x80",
                                      "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\x80",         "\xf0\x8f\xbf\xbf",
                                      "\xe2\x82z"};
    for (size_t i = 0; i < FL_COUNT(bad); i++) {
        char text[64];
        snprintf(text, sizeof text, "[\"0123456789abcdef%s\"]", bad[i]);
        expect(text, "[!");
    }
}

static void test_numbers(void **state) {
    FL_UNUSED(state);
    static const char *const good[] = {"0", "-0", "10", "1.5", "-1.25E-10", "1e5", "0.0"};
    static const char *const bad[] = {"01",  "-",   "+1", "1.",  ".5",    "1e", "1e+",
                                      "--1", "0x1", "1a", "tru", "nulll", "E"};
    char text[64], expected[64];
    for (size_t i = 0; i < FL_COUNT(good); i++) {
        snprintf(text, sizeof text, "[%s]", good[i]);
        snprintf(expected, sizeof expected, "[n(%s)]", good[i]);
        expect(text, expected);
    }
    for (size_t i = 0; i < FL_COUNT(bad); i++) {
        snprintf(text, sizeof text, "[%s]", bad[i]);
        expect(text, "[!");
    }
}

static void test_bad_grammar(void **state) {
    FL_UNUSED(state);
    expect("[1 2]", "[n(1)!");
    expect("[1,]", "[n(1)!");
    expect("[,1]", "[!");
    expect("{,}", "{!");
    expect("{\"a\":1,}", "{k(a)n(1)!");
    expect("{\"a\" 1}", "{k(a)!");
    expect("{\"a\":}", "{k(a)!");
    expect("{1:2}", "{!");
    expect("[}", "[!");
    expect("{]", "{!");
    expect("[1}", "[n(1)!");
    expect("]", "!");
    expect(",", "!");
    expect("1,2", "n(1)!");
    expect("{}]", "{}!");
    expect("[\"a\nb\"]", "[!");
    expect("[\"a\\x\"]", "[!");
    expect("[\"\\u12g4\"]", "[!");
    expect("\xef\xbb\xbf{}", "!");
    expect("'a'", "!");
    expect_element(S("[\"a\0b\"]"), TOKENS, "[!");
    expect_element(S("[\"a\\\0b\"]"), TOKENS, "[!");
}

static void test_skip_and_raw(void **state) {
    FL_UNUSED(state);
    expect("{\"S1\":{\"a\":[1,\"}]\",{\"b\":\"\\\"}\"}]},\"c\":1}", "{k(S1)k(c)n(1)}");
    expect("{\"S1\" : \"x\\\\\\\"y\" , \"S2\":[],\"S3\":1.5,\"S4\":null}",
           "{k(S1)k(S2)k(S3)k(S4)}");
    expect("{\"R1\" : {\"a\": [1, \"}\"] } ,\"R2\":\"s\\n\",\"R3\":12,\"R4\":[ ]}",
           "{k(R1)r({\"a\": [1, \"}\"] })k(R2)r(\"s\\n\")k(R3)r(12)k(R4)r([ ])}");
    expect_element(S("[{\"a\":1},{\"b\":[{}]} , {}]"), RAW_R,
                   "[{r({\"a\":1}){r({\"b\":[{}]}){r({})]");
    expect_element(S("[{\"a\":1},{\"b\":[{}]} , {}]"), SKIP_S, "[{{{]");
    expect("{\"S\":{\"a\":]}}", "{k(S)!");
    expect("{\"S\":}", "{k(S)!");
    expect("{\"R\" 1}", "{k(R)!");
}

/* Strings, escapes and brackets at every place of the blocks that a skip goes by. */
static void test_skip_over_blocks(void **state) {
    FL_UNUSED(state);
    for (size_t pad = 0; pad < 140; pad++) {
        char text[1024], expected[1024];
        int n = snprintf(text, sizeof text,
                         "{\"R\":[\"%*s\",{\"k]\":\"}\"},[\"\\\\\",\"a\\\"]}\"],"
                         "\"0123456789012345678901234567890123456789012345678901234567890123456789"
                         "[[[[\",1],\"z\":2}",
                         (int)pad, "");
        assert_true(n > 0 && n < (int)sizeof text);
        snprintf(expected, sizeof expected, "{k(R)r(%.*s)k(z)n(2)}", n - 5 - 7, text + 5);
        struct fl_buf out;
        fl_buf_init(&out, TEXT_MAX);
        tokens_of(&out, fl_str_of(text), 0, SIZE_MAX, TOKENS);
        assert_string_equal(fl_buf_str(&out).p, expected);
        fl_buf_truncate(&out, 0);
        tokens_of(&out, fl_str_of(text), 71, 67, TOKENS);
        assert_string_equal(fl_buf_str(&out).p, expected);
        fl_buf_deinit(&out);
    }
}

static void test_depth_is_bounded(void **state) {
    FL_UNUSED(state);
    char text[FL_JSON_DEPTH_MAX + 2], expected[FL_JSON_DEPTH_MAX + 3];
    memset(text, '[', sizeof text);
    memset(expected, '[', sizeof expected);
    text[FL_JSON_DEPTH_MAX] = expected[FL_JSON_DEPTH_MAX] = '\0';
    expect(text, expected);
    text[FL_JSON_DEPTH_MAX] = '[';
    text[FL_JSON_DEPTH_MAX + 1] = '\0';
    memcpy(expected + FL_JSON_DEPTH_MAX, "!", 2);
    expect(text, expected);
    char skipped[FL_JSON_DEPTH_MAX + 16];
    snprintf(skipped, sizeof skipped, "{\"S\":%s", text);
    expect(skipped, "{k(S)!");
}

static void expect_bounded(const char *text, size_t piece) {
    struct feed f = {.rest = fl_str_of(text), .piece = piece};
    enum fl_json_token token;
    assert_int_equal(fl_json_new(8, &f.json), 0);
    while ((token = next(&f)) != FL_JSON_BAD && token != FL_JSON_MORE)
        if (token == FL_JSON_KEY && fl_str_eq(fl_json_text(f.json), S("R"))) fl_json_raw(f.json);
    bool long_one = strchr(text, '9') != NULL;
    assert_int_equal(token, long_one ? FL_JSON_BAD : FL_JSON_MORE);
    assert_int_equal(fl_json_error_code(f.json), long_one ? FL_ETOO_LARGE : 0);
    fl_json_free(f.json);
    fl_free(f.copy);
}

static void test_token_length_is_bounded(void **state) {
    FL_UNUSED(state);
    static const char *const texts[] = {
        "[\"12345678\"]",        "[\"123456789\"]",  "[12345678]",
        "[123456789]",           "{\"R\":[1,2,34]}", "{\"R\":[1,2,3,49]}",
        "[\"\\u003912345678\"]",
    };
    for (size_t i = 0; i < FL_COUNT(texts); i++) {
        expect_bounded(texts[i], 1);
        expect_bounded(texts[i], SIZE_MAX);
    }
}

static void test_reset_forgets_everything(void **state) {
    FL_UNUSED(state);
    struct fl_json *json;
    assert_int_equal(fl_json_new(TEXT_MAX, &json), 0);
    fl_json_feed(json, S("{\"a\":[\"unfinish"));
    while (fl_json_next(json) != FL_JSON_MORE) {
    }
    assert_int_equal(fl_json_depth(json), 2);
    fl_json_reset(json);
    assert_int_equal(fl_json_depth(json), 0);
    assert_int_equal(fl_json_offset(json), 0);
    fl_json_feed(json, S("}"));
    assert_int_equal(fl_json_next(json), FL_JSON_BAD);
    assert_int_equal(fl_json_error_code(json), FL_EPROTO);
    fl_json_reset(json);
    fl_json_feed(json, FL_STR_NONE);
    assert_int_equal(fl_json_next(json), FL_JSON_MORE);
    fl_json_feed(json, S("true "));
    assert_int_equal(fl_json_next(json), FL_JSON_TRUE);
    fl_json_free(json);
}

static void test_borrowed_unless_it_must_not(void **state) {
    FL_UNUSED(state);
    static const char text[] = "[\"plain\",\"es\\u0063aped\"]";
    struct fl_json *json;
    assert_int_equal(fl_json_new(TEXT_MAX, &json), 0);
    fl_json_feed(json, fl_str_of(text));
    assert_int_equal(fl_json_next(json), FL_JSON_ARRAY_BEGIN);
    assert_int_equal(fl_json_next(json), FL_JSON_STRING);
    assert_ptr_equal(fl_json_text(json).p, text + 2);
    assert_int_equal(fl_json_next(json), FL_JSON_STRING);
    assert_true(fl_str_eq(fl_json_text(json), S("escaped")));
    assert_true(fl_json_text(json).p < text || fl_json_text(json).p >= text + sizeof text);
    fl_json_free(json);
}

/* A string of a mebibyte, byte by byte: its memory doubles, so allocations are a logarithm. */
static void test_W17_long_token_is_linear(void **state) {
    FL_UNUSED(state);
    struct fl_json *json;
    assert_int_equal(fl_json_new(TEXT_MAX, &json), 0);
    fl_json_feed(json, S("\""));
    assert_int_equal(fl_json_next(json), FL_JSON_MORE);
    size_t before = fl_test_alloc_count();
    for (size_t i = 0; i < TEXT_MAX; i++) {
        fl_json_feed(json, S("x"));
        assert_int_equal(fl_json_next(json), FL_JSON_MORE);
    }
    assert_true(fl_test_alloc_count() - before <= 20);
    fl_json_feed(json, S("\""));
    assert_int_equal(fl_json_next(json), FL_JSON_STRING);
    assert_int_equal(fl_json_text(json).n, TEXT_MAX);
    fl_json_free(json);
}

static void test_every_allocation_failing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_json *json;
        if (fl_json_new(TEXT_MAX, &json)) {
            assert_null(json);
            continue;
        }
        fl_json_feed(json, S("[\"a\\n"));
        enum fl_json_token token = fl_json_next(json);
        assert_int_equal(token, FL_JSON_ARRAY_BEGIN);
        token = fl_json_next(json);
        assert_int_equal(token, fl_test_alloc_did_fail() ? FL_JSON_BAD : FL_JSON_MORE);
        assert_int_equal(fl_json_error_code(json), fl_test_alloc_did_fail() ? FL_ENOMEM : 0);
        fl_json_free(json);
    }
}

static void test_writer_is_read_back(void **state) {
    FL_UNUSED(state);
    struct fl_buf text, out;
    fl_buf_init(&text, TEXT_MAX);
    fl_buf_init(&out, TEXT_MAX);
    struct fl_json_writer w = fl_json_writer_of(&text);
    fl_json_put_begin(&w, '{');
    fl_json_put_key(&w, S("k\"\n"));
    fl_json_put_begin(&w, '[');
    fl_json_put_string(&w, S("\x01\x1f\\\r\t\xc3\xa9"));
    fl_json_put_int(&w, -42);
    fl_json_put_bool(&w, true);
    fl_json_put_raw(&w, S("{}"));
    fl_json_put_end(&w, ']');
    fl_json_put_key(&w, S("e"));
    fl_json_put_begin(&w, '[');
    fl_json_put_end(&w, ']');
    fl_json_put_end(&w, '}');
    assert_int_equal(fl_json_finish(&w), 0);
    assert_true(fl_str_eq(fl_buf_str(&text),
                          S("{\"k\\\"\\n\":[\"\\u0001\\u001f\\\\\\r\\t\xc3\xa9\",-42,true,{}],"
                            "\"e\":[]}")));
    tokens_of(&out, fl_buf_str(&text), 0, SIZE_MAX, TOKENS);
    assert_string_equal(fl_buf_str(&out).p, "{k(k\"\n)[s(\x01\x1f\\\r\t\xc3\xa9)n(-42)t{}]k(e)[]}");
    fl_buf_deinit(&text);
    fl_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_in_any_chunking),
        cmocka_unit_test(test_escapes_and_surrogates),
        cmocka_unit_test(test_utf8_is_checked),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bad_grammar),
        cmocka_unit_test(test_skip_and_raw),
        cmocka_unit_test(test_skip_over_blocks),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_token_length_is_bounded),
        cmocka_unit_test(test_reset_forgets_everything),
        cmocka_unit_test(test_borrowed_unless_it_must_not),
        cmocka_unit_test(test_W17_long_token_is_linear),
        cmocka_unit_test(test_every_allocation_failing),
        cmocka_unit_test(test_writer_is_read_back),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
