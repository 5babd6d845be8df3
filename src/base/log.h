/* log.h - structured log lines: a constant message with fields.
 *
 *     FL_LOG(io, FL_LOG_INFO, "endpoints changed", FL_LOG_STR("service", name), FL_LOG_INT("added",
 * n));
 *
 * Text: time=RFC3339 level=info msg="endpoints changed" service=ns/echo added=1
 * JSON: {"timestamp":"…","level":"info","service":"ns/echo","trace_id":"","message":"…","added":1}
 * The first five keys are always there and in this order; `service` and `trace_id` are taken from
 * the fields of that name, empty without. Values from peers are escaped; text values are quoted
 * where they have to be and cut at 512 bytes. A line is cut at FL_LOG_LINE_MAX (its line break
 * included) after a whole field. Any thread; the sink gets one line at a time. */
#ifndef FL_BASE_LOG_H
#define FL_BASE_LOG_H

#include <fairlead/log.h>

#include "base/io.h"
#include "base/str.h"

#define FL_LOG_LINE_MAX 2048

struct fl_log_field {
    const char *key;
    enum { FL_LOG_FIELD_STR, FL_LOG_FIELD_INT } kind;
    struct fl_str text;
    int64_t number;
};

#define FL_LOG_STR(key, s)     ((struct fl_log_field){(key), FL_LOG_FIELD_STR, (s), 0})
#define FL_LOG_TEXT_OF(key, z) FL_LOG_STR(key, fl_str_of(z))
#define FL_LOG_INT(key, i)                                                                         \
    ((struct fl_log_field){(key), FL_LOG_FIELD_INT, FL_STR_NONE, (int64_t)(i)})
#define FL_LOG_CAUSE(code) FL_LOG_STR("cause", fl_str_of(fl_error_name(code)))
/* cause and detail of a struct fl_error *, as two fields. */
#define FL_LOG_ERROR_OF(err) FL_LOG_CAUSE((err)->code), FL_LOG_TEXT_OF("detail", (err)->detail)

/* `io` gives the time. Fields are evaluated only if the level is on. */
#define FL_LOG(io, level, message, ...)                                                            \
    do {                                                                                           \
        if (fl_log_on(level)) {                                                                    \
            const struct fl_log_field fl_log_fields[] = {{"", FL_LOG_FIELD_INT, {NULL, 0}, 0},     \
                                                         ##__VA_ARGS__};                           \
            fl_log_write(fl_io_wall_ms(io), (level), (message), fl_log_fields + 1,                 \
                         FL_COUNT(fl_log_fields) - 1);                                             \
        }                                                                                          \
    } while (0)

bool fl_log_on(enum fl_log_level level);
void fl_log_write(int64_t wall_ms, enum fl_log_level level, const char *message,
                  const struct fl_log_field *fields, size_t count);

/* A line that is a text and no fields: "2026-11-21T02:54:00.123Z text", as JSON under `message`.
 * Cut and escaped as others are. */
void fl_log_write_text(int64_t wall_ms, enum fl_log_level level, const char *text);

/* RFC 3339 in UTC with milliseconds, "2026-11-21T02:54:00.123Z". */
#define FL_TIME_TEXT_MAX 32
void fl_time_format(int64_t wall_ms, char out[FL_TIME_TEXT_MAX]);

#endif
