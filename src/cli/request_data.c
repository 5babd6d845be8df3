/* request_data.c - reads `-d` and finds where its values begin and end. */
#include "cli/request_data.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/alloc.h"

#define DATA_MAX   ((size_t)64 * 1024 * 1024)
#define BLANKS     " \t\r\n"
#define AT_ONCE    4096
#define VALUES_MIN 16

/* Numbers need only look like numbers here: what fits the field is not JSON's business. */
#define SYNTAX_ONLY                                                                                \
    (JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL)

/* ---- reading ---- */

static int read_stream(FILE *file, struct fl_buf *out, const char *name, struct fl_error *err) {
    for (;;) {
        char *room = fl_buf_reserve(out, AT_ONCE);
        if (!room) return fl_fail(err, FL_EUSAGE, "%s: more than %zu bytes", name, out->max);
        size_t n = fread(room, 1, AT_ONCE, file);
        if (n == 0) break;
        fl_buf_commit(out, n);
    }
    return ferror(file) ? fl_fail(err, FL_EUSAGE, "%s: %s", name, strerror(errno)) : FL_OK;
}

int fl_read_file(const char *path, struct fl_buf *out, struct fl_error *err) {
    if (strcmp(path, "-") == 0) return read_stream(stdin, out, path, err);
    FILE *file = fopen(path, "r");
    if (!file) return fl_fail(err, FL_EUSAGE, "%s: %s", path, strerror(errno));
    int rc = read_stream(file, out, path, err);
    fclose(file);
    return rc;
}

static int read_text(const char *from, struct fl_buf *out, struct fl_error *err) {
    if (strcmp(from, "-") == 0) return fl_read_file(from, out, err);
    if (*from == '@') return fl_read_file(from + 1, out, err);
    return fl_buf_append(out, fl_str_of(from)) ? fl_fail_nomem(err) : FL_OK;
}

/* ---- values ---- */

/* Line and column, from 1, of the byte `at`. */
static void place_of(struct fl_str text, size_t at, unsigned *line, unsigned *column) {
    *line = *column = 1;
    for (size_t i = 0; i < at && i < text.n; i++) {
        ++*column;
        if (text.p[i] != '\n') continue;
        ++*line;
        *column = 1;
    }
}

static int add_value(struct fl_request_data *data, struct fl_str value) {
    if (data->count % VALUES_MIN == 0) {
        struct fl_str *more =
            fl_realloc(data->values, (data->count + VALUES_MIN) * sizeof(struct fl_str));
        if (!more) return FL_ENOMEM;
        data->values = more;
    }
    data->values[data->count++] = value;
    return FL_OK;
}

static int split(struct fl_request_data *data, struct fl_error *err) {
    struct fl_str text = fl_buf_str(&data->text);
    for (size_t at = 0;;) {
        while (at < text.n && strchr(BLANKS, text.p[at])) at++;
        if (at == text.n) return FL_OK;
        json_error_t wrong;
        json_t *value = json_loadb(text.p + at, text.n - at, SYNTAX_ONLY, &wrong);
        if (!value) {
            unsigned line, column;
            place_of(text, at + (size_t)FL_MAX(wrong.position - 1, 0), &line, &column);
            return fl_fail(err, FL_EUSAGE, "-d: no JSON at line %u, column %u: %s", line, column,
                           wrong.text);
        }
        json_decref(value);
        if (add_value(data, fl_str_n(text.p + at, (size_t)wrong.position)))
            return fl_fail_nomem(err);
        at += (size_t)wrong.position;
    }
}

int fl_request_data_read(const char *from, struct fl_request_data *out, struct fl_error *err) {
    *out = (struct fl_request_data){0};
    fl_buf_init(&out->text, DATA_MAX);
    int rc = read_text(from, &out->text, err);
    if (rc) return fl_error_prefix(err, "-d");
    return split(out, err);
}

void fl_request_data_deinit(struct fl_request_data *data) {
    fl_free(data->values);
    fl_buf_deinit(&data->text);
}

void fl_request_data_place(const struct fl_request_data *data, size_t index, char out[48]) {
    struct fl_str text = fl_buf_str(&data->text);
    unsigned line, column;
    place_of(text, (size_t)(data->values[index].p - text.p), &line, &column);
    snprintf(out, 48, "line %u, column %u", line, column);
}
