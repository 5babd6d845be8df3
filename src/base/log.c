/* log.c - structured log lines. Any thread.
 *
 * A line is put together on the caller's stack, without a lock and without memory of the heap. Each
 * piece is written whole or not at all, and room for the end is kept back, so that a line that is
 * cut is still one line and, as JSON, still valid. Only handing the line to the sink is under a
 * lock: a sink gets one line at a time, which is the one callback of the library made so; it must
 * not log. */
#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/escape.h"

#define VALUE_MAX 512 /* bytes of one escaped value, so that none crowds out the others */

static void write_stderr(void *arg, const char *line, size_t len) {
    FL_UNUSED(arg);
    /* There is nobody to tell that standard error is gone. */
    if (fwrite(line, 1, len, stderr) < len) clearerr(stderr);
}

static struct {
    atomic_int level, format;
    pthread_mutex_t lock; /* of what follows */
    void (*write)(void *arg, const char *line, size_t len);
    void *arg;
} config = {FL_LOG_WARN, FL_LOG_TEXT, PTHREAD_MUTEX_INITIALIZER, write_stderr, NULL};

void fl_log_configure(const struct fl_log_options *options) {
    pthread_mutex_lock(&config.lock);
    config.write = options->write ? options->write : write_stderr;
    config.arg = options->arg;
    atomic_store_explicit(&config.format, (int)options->format, memory_order_relaxed);
    atomic_store_explicit(&config.level, (int)options->level, memory_order_relaxed);
    pthread_mutex_unlock(&config.lock);
}

bool fl_log_on(enum fl_log_level level) {
    return level < FL_LOG_OFF &&
           (int)level >= atomic_load_explicit(&config.level, memory_order_relaxed);
}

struct line {
    char text[FL_LOG_LINE_MAX];
    size_t len, end; /* nothing is put beyond `end` */
};

static bool put(struct line *line, struct fl_str s) {
    if (s.n > line->end - line->len) return false;
    if (s.n) memcpy(line->text + line->len, s.p, s.n);
    line->len += s.n;
    return true;
}

/* A quoted value, cut to fit; false if there is not even room for the quotes. */
static bool put_quoted(struct line *line, struct fl_str s, enum fl_escape_style style) {
    if (line->end - line->len < 2) return false;
    size_t end = FL_MIN(line->end - 1, line->len + VALUE_MAX);
    line->text[line->len++] = '"';
    while (s.n) {
        char piece[FL_ESCAPED_MAX];
        size_t n = fl_escape_next(&s, style, piece);
        if (n > end - line->len) break;
        memcpy(line->text + line->len, piece, n);
        line->len += n;
    }
    line->text[line->len++] = '"';
    return true;
}

static bool needs_quotes(struct fl_str s) {
    if (s.n == 0 || s.n > VALUE_MAX) return true;
    while (s.n) {
        size_t n = fl_utf8_printable(s);
        char c = s.p[0];
        if (n == 0 || c == ' ' || c == '"' || c == '=' || c == '\\') return true;
        s = fl_str_from(s, n);
    }
    return false;
}

static bool put_number(struct line *line, int64_t number) {
    char text[24];
    int n = snprintf(text, sizeof(text), "%lld", (long long)number);
    return put(line, fl_str_n(text, (size_t)n));
}

static bool put_value(struct line *line, const struct fl_log_field *field) {
    if (field->kind == FL_LOG_FIELD_INT) return put_number(line, field->number);
    if (needs_quotes(field->text)) return put_quoted(line, field->text, FL_ESCAPE_QUOTED);
    return put(line, field->text) || put_quoted(line, field->text, FL_ESCAPE_QUOTED);
}

static bool put_json_value(struct line *line, const struct fl_log_field *field) {
    if (field->kind == FL_LOG_FIELD_INT) return put_number(line, field->number);
    return put_quoted(line, field->text, FL_ESCAPE_JSON);
}

static struct fl_str level_name(enum fl_log_level level) {
    static const char *const names[] = {"debug", "info", "warn", "error", "off"};
    return fl_str_of(names[level]);
}

static void put_text_line(struct line *line, const char *time, enum fl_log_level level,
                          const char *message, const struct fl_log_field *fields, size_t count) {
    bool fits = put(line, FL_STR("time=")) && put(line, fl_str_of(time)) &&
                put(line, FL_STR(" level=")) && put(line, level_name(level)) &&
                put(line, FL_STR(" msg=")) &&
                put_quoted(line, fl_str_of(message), FL_ESCAPE_QUOTED);
    for (size_t i = 0; fits && i < count; i++) {
        size_t before = line->len;
        fits = put(line, FL_STR(" ")) && put(line, fl_str_of(fields[i].key)) &&
               put(line, FL_STR("=")) && put_value(line, &fields[i]);
        if (!fits) line->len = before;
    }
}

/* The text of the first field named `key`, empty without one. */
static struct fl_str text_of(const char *key, const struct fl_log_field *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].key, key) == 0) return fields[i].text;
    }
    return FL_STR_NONE;
}

static bool is_leading(const char *key) {
    return strcmp(key, "service") == 0 || strcmp(key, "trace_id") == 0;
}

static void put_json_line(struct line *line, const char *time, enum fl_log_level level,
                          const char *message, const struct fl_log_field *fields, size_t count) {
    bool fits = put(line, FL_STR("{\"timestamp\":\"")) && put(line, fl_str_of(time)) &&
                put(line, FL_STR("\",\"level\":\"")) && put(line, level_name(level)) &&
                put(line, FL_STR("\",\"service\":")) &&
                put_quoted(line, text_of("service", fields, count), FL_ESCAPE_JSON) &&
                put(line, FL_STR(",\"trace_id\":")) &&
                put_quoted(line, text_of("trace_id", fields, count), FL_ESCAPE_JSON) &&
                put(line, FL_STR(",\"message\":")) &&
                put_quoted(line, fl_str_of(message), FL_ESCAPE_JSON);
    for (size_t i = 0; fits && i < count; i++) {
        if (is_leading(fields[i].key)) continue;
        size_t before = line->len;
        fits = put(line, FL_STR(",")) &&
               put_quoted(line, fl_str_of(fields[i].key), FL_ESCAPE_JSON) &&
               put(line, FL_STR(":")) && put_json_value(line, &fields[i]);
        if (!fits) line->len = before;
    }
    line->text[line->len++] = '}'; /* its room was kept */
}

static void line_init(struct line *line) {
    line->len = 0;
    line->end = sizeof(line->text) - 2; /* "}" and the line break */
}

static bool is_json(void) {
    return atomic_load_explicit(&config.format, memory_order_relaxed) == FL_LOG_JSON;
}

static void hand_over(struct line *line) {
    line->text[line->len++] = '\n';
    pthread_mutex_lock(&config.lock);
    config.write(config.arg, line->text, line->len);
    pthread_mutex_unlock(&config.lock);
}

void fl_log_write(int64_t wall_ms, enum fl_log_level level, const char *message,
                  const struct fl_log_field *fields, size_t count) {
    struct line line;
    char time[FL_TIME_TEXT_MAX];
    line_init(&line);
    fl_time_format(wall_ms, time);
    if (is_json()) {
        put_json_line(&line, time, level, message, fields, count);
    } else {
        put_text_line(&line, time, level, message, fields, count);
    }
    hand_over(&line);
}

void fl_log_write_text(int64_t wall_ms, enum fl_log_level level, const char *text) {
    struct line line;
    char time[FL_TIME_TEXT_MAX], piece[FL_ESCAPED_MAX];
    line_init(&line);
    fl_time_format(wall_ms, time);
    if (is_json()) {
        put_json_line(&line, time, level, text, NULL, 0);
    } else {
        bool fits = put(&line, fl_str_of(time)) && put(&line, FL_STR(" "));
        for (struct fl_str rest = fl_str_of(text); fits && rest.n;)
            fits = put(&line, fl_str_n(piece, fl_escape_next(&rest, FL_ESCAPE_LINE, piece)));
    }
    hand_over(&line);
}

struct date {
    unsigned year, month, day;
};

/* Days since 1970-01-01 as a date of the Gregorian calendar: counts in years that begin in March
 * and in eras of 400 years, so that the day that leap years add is the last of its year. */
static struct date date_of(uint32_t days) {
    uint32_t z = days + 719468, era = z / 146097, day_of_era = z % 146097;
    uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t from_march = (5 * day_of_year + 2) / 153;
    uint32_t month = from_march < 10 ? from_march + 3 : from_march - 9;
    return (struct date){.year = year_of_era + era * 400 + (month <= 2),
                         .month = month,
                         .day = day_of_year - (153 * from_march + 2) / 5 + 1};
}

void fl_time_format(int64_t wall_ms, char out[FL_TIME_TEXT_MAX]) {
    static const int64_t day_ms = 86400000, last_ms = 253402300799999; /* 9999-12-31 */
    wall_ms = FL_MIN(FL_MAX(wall_ms, 0), last_ms);
    struct date date = date_of((uint32_t)(wall_ms / day_ms));
    unsigned ms = (unsigned)(wall_ms % day_ms);
    /* The remainders bound what the compiler cannot know to be in range. */
    snprintf(out, FL_TIME_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", date.year % 10000,
             date.month % 100, date.day % 100, ms / 3600000, ms / 60000 % 60, ms / 1000 % 60,
             ms % 1000);
}
