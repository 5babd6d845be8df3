/* base_log_test.c - log lines as text and as JSON, which jansson reads back. */
#include "support/alloc.h"

#include <jansson.h>
#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"

static char lines[64][FL_LOG_LINE_MAX + 1];
static size_t line_count;
static bool inside;

static void keep_line(void *arg, const char *line, size_t len) {
    FL_UNUSED(arg);
    assert_false(inside);
    inside = true;
    assert_true(len <= FL_LOG_LINE_MAX);
    char *out = lines[line_count++ % FL_COUNT(lines)];
    memcpy(out, line, len);
    out[len] = '\0';
    inside = false;
}

static void configure(enum fl_log_level level, enum fl_log_format format) {
    line_count = 0;
    fl_log_configure(&(struct fl_log_options){level, format, keep_line, NULL});
}

static int64_t wall_ms(struct fl_io *io) {
    FL_UNUSED(io);
    return 1795229640123; /* 2026-11-21T02:54:00.123Z */
}

static const struct fl_io_ops ops = {.wall_ms = wall_ms};
static struct fl_io io = {.ops = &ops};

static void test_text_line(void **state) {
    FL_UNUSED(state);
    configure(FL_LOG_INFO, FL_LOG_TEXT);
    FL_LOG(&io, FL_LOG_INFO, "endpoints changed", FL_LOG_STR("service", FL_STR("ns/echo")),
           FL_LOG_INT("added", 1), FL_LOG_CAUSE(FL_EGONE));
    assert_string_equal(lines[0], "time=2026-11-21T02:54:00.123Z level=info "
                                  "msg=\"endpoints changed\" service=ns/echo added=1 cause=GONE\n");
    FL_LOG(&io, FL_LOG_ERROR, "stopped");
    assert_string_equal(lines[1], "time=2026-11-21T02:54:00.123Z level=error msg=\"stopped\"\n");
}

/* A line of somebody else's style: one text, still one line, and valid JSON. */
static void test_line_of_text_only(void **state) {
    FL_UNUSED(state);
    json_error_t err;
    configure(FL_LOG_INFO, FL_LOG_TEXT);
    fl_log_write_text(wall_ms(&io), FL_LOG_WARN, "[x] WARNING: \"a\"\nb");
    assert_string_equal(lines[0], "2026-11-21T02:54:00.123Z [x] WARNING: \"a\"\\nb\n");
    configure(FL_LOG_INFO, FL_LOG_JSON);
    fl_log_write_text(wall_ms(&io), FL_LOG_WARN, "[x] WARNING: \"a\"\nb");
    json_t *line = json_loads(lines[0], 0, &err);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(line, "message")),
                        "[x] WARNING: \"a\"\nb");
    json_decref(line);
}

static void test_text_values_are_quoted_where_needed(void **state) {
    FL_UNUSED(state);
    configure(FL_LOG_INFO, FL_LOG_TEXT);
    FL_LOG(&io, FL_LOG_INFO, "m", FL_LOG_TEXT_OF("a", ""), FL_LOG_TEXT_OF("b", "x y"),
           FL_LOG_TEXT_OF("c", "x=y"), FL_LOG_TEXT_OF("d", "x\"\\"),
           FL_LOG_TEXT_OF("e", "\xc3\xa9"), FL_LOG_TEXT_OF("f", "a\nlevel=error\x1b\xff"),
           FL_LOG_INT("g", INT64_MIN));
    const char *fields = strstr(lines[0], " a=");
    assert_non_null(fields);
    assert_string_equal(fields, " a=\"\" b=\"x y\" c=\"x=y\" d=\"x\\\"\\\\\" e=\xc3\xa9 "
                                "f=\"a\\nlevel=error\\x1b\\xff\" g=-9223372036854775808\n");
}

static void test_json_keys_come_first_and_in_order(void **state) {
    FL_UNUSED(state);
    configure(FL_LOG_INFO, FL_LOG_JSON);
    FL_LOG(&io, FL_LOG_WARN, "endpoints changed", FL_LOG_INT("added", 1),
           FL_LOG_TEXT_OF("trace_id", "abc"), FL_LOG_TEXT_OF("service", "ns/echo"));
    assert_string_equal(lines[0], "{\"timestamp\":\"2026-11-21T02:54:00.123Z\",\"level\":\"warn\","
                                  "\"service\":\"ns/echo\",\"trace_id\":\"abc\","
                                  "\"message\":\"endpoints changed\",\"added\":1}\n");
    FL_LOG(&io, FL_LOG_INFO, "m");
    assert_string_equal(lines[1], "{\"timestamp\":\"2026-11-21T02:54:00.123Z\",\"level\":\"info\","
                                  "\"service\":\"\",\"trace_id\":\"\",\"message\":\"m\"}\n");
}

static json_t *read_json(const char *line) {
    json_error_t why;
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &why);
    if (!object) fail_msg("%s: %s", why.text, line);
    assert_string_equal(line + strlen(line) - 1, "\n");
    assert_null(memchr(line, '\n', strlen(line) - 1));
    return object;
}

static void test_json_escapes_what_peers_say(void **state) {
    FL_UNUSED(state);
    configure(FL_LOG_INFO, FL_LOG_JSON);
    FL_LOG(&io, FL_LOG_INFO, "m", FL_LOG_TEXT_OF("detail", "\"},\n\t\x01\\ \xff \xc3\xa9"));
    json_t *object = read_json(lines[0]);
    assert_string_equal(json_string_value(json_object_get(object, "detail")),
                        "\"},\n\t\x01\\ \\xff \xc3\xa9");
    json_decref(object);
}

/* Random bytes and lengths: a line is always one, within the bound, and valid as JSON. */
static void test_any_bytes_give_one_valid_line(void **state) {
    FL_UNUSED(state);
    struct fl_random random = {6};
    static char bytes[3000];
    for (int step = 0; step < 2000; step++) {
        size_t n = fl_random_below(&random, sizeof(bytes));
        for (size_t i = 0; i < n; i++) {
            static const char often[] = "\"\\\n\xc3\xa9"
                                        "abc";
            bytes[i] = step % 2 ? (char)fl_random_u64(&random) : often[i % 8];
        }
        struct fl_str s = fl_str_n(bytes, n);
        configure(FL_LOG_INFO, step % 4 < 2 ? FL_LOG_TEXT : FL_LOG_JSON);
        FL_LOG(&io, FL_LOG_INFO, "m", FL_LOG_STR("a", s), FL_LOG_STR("service", s),
               FL_LOG_STR("trace_id", fl_str_from(s, n / 2)),
               FL_LOG_STR("b", fl_str_from(s, n / 3)), FL_LOG_STR("c", s), FL_LOG_STR("d", s),
               FL_LOG_INT("n", step));
        assert_int_equal(line_count, 1);
        assert_ptr_equal(strchr(lines[0], '\n'), lines[0] + strlen(lines[0]) - 1);
        if (step % 4 < 2) continue;
        json_t *object = read_json(lines[0]);
        assert_string_equal(json_string_value(json_object_get(object, "message")), "m");
        json_decref(object);
    }
}

static void test_a_long_value_does_not_crowd_out_the_next(void **state) {
    FL_UNUSED(state);
    static char bytes[FL_LOG_LINE_MAX];
    memset(bytes, 'x', sizeof(bytes));
    configure(FL_LOG_INFO, FL_LOG_TEXT);
    FL_LOG(&io, FL_LOG_INFO, "m", FL_LOG_STR("a", fl_str_n(bytes, sizeof(bytes))),
           FL_LOG_INT("b", 7));
    assert_non_null(strstr(lines[0], " b=7\n"));
}

static void test_levels(void **state) {
    FL_UNUSED(state);
    int evaluated = 0;
    configure(FL_LOG_WARN, FL_LOG_TEXT);
    FL_LOG(&io, FL_LOG_INFO, "m", FL_LOG_INT("n", ++evaluated));
    assert_int_equal(line_count, 0);
    assert_int_equal(evaluated, 0);
    FL_LOG(&io, FL_LOG_WARN, "m", FL_LOG_INT("n", ++evaluated));
    assert_int_equal(line_count, 1);
    configure(FL_LOG_OFF, FL_LOG_TEXT);
    assert_false(fl_log_on(FL_LOG_ERROR));
    assert_false(fl_log_on(FL_LOG_OFF));
    configure(FL_LOG_DEBUG, FL_LOG_TEXT);
    assert_true(fl_log_on(FL_LOG_DEBUG));
}

static void *log_many(void *arg) {
    for (int i = 0; i < 500; i++) FL_LOG(&io, FL_LOG_INFO, "m", FL_LOG_TEXT_OF("from", arg));
    return NULL;
}

/* keep_line itself checks that it is called once at a time. */
static void test_threads_get_whole_lines(void **state) {
    FL_UNUSED(state);
    pthread_t threads[4];
    static char names[4][2] = {"a", "b", "c", "d"};
    configure(FL_LOG_INFO, FL_LOG_TEXT);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    }
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(line_count, 2000);
}

static void test_time(void **state) {
    FL_UNUSED(state);
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {951868800000, "2000-03-01T00:00:00.000Z"},
        {1709251199000, "2024-02-29T23:59:59.000Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"}, /* 2100 is no leap year */
        {-5, "1970-01-01T00:00:00.000Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < FL_COUNT(cases); i++) {
        char out[FL_TIME_TEXT_MAX];
        fl_time_format(cases[i].ms, out);
        assert_string_equal(out, cases[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_line),
        cmocka_unit_test(test_text_values_are_quoted_where_needed),
        cmocka_unit_test(test_json_keys_come_first_and_in_order),
        cmocka_unit_test(test_json_escapes_what_peers_say),
        cmocka_unit_test(test_any_bytes_give_one_valid_line),
        cmocka_unit_test(test_a_long_value_does_not_crowd_out_the_next),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_line_of_text_only),
        cmocka_unit_test(test_threads_get_whole_lines),
        cmocka_unit_test(test_time),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
