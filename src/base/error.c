/* error.c - the list of causes as names, texts and reactions, and filling in struct fl_error. */
#include "base/error.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/escape.h"

struct cause {
    const char *name, *text;
    enum fl_reaction reaction;
};

static const struct cause causes[FL_ORDINAL_COUNT] = {
    [FL_ORDINAL_OK] = {"OK", "no error", FL_REACT_NONE},
#define FL_X(name, reaction, text) [FL_ORDINAL_##name] = {#name, text, FL_REACT_##reaction},
    FL_ERR_MAP(FL_X)
#undef FL_X
};

static const struct cause *cause_of(int code) {
    static const struct cause none = {"?", "unknown error", FL_REACT_FATAL};
    return code <= 0 && code > -(int)FL_ORDINAL_COUNT ? &causes[-code] : &none;
}

const char *fl_error_name(int code) { return cause_of(code)->name; }
const char *fl_error_text(int code) { return cause_of(code)->text; }
enum fl_reaction fl_error_reaction(int code) { return cause_of(code)->reaction; }

/* Formats into a copy first: an argument may be the error's own detail. Longer text than `raw` is
 * cut by FL_ERROR_DETAIL_MAX anyway. */
FL_PRINTF(2, 0)
static void set_detail(struct fl_error *err, const char *format, va_list args) {
    char raw[2 * FL_ERROR_DETAIL_MAX];
    int n = vsnprintf(raw, sizeof(raw), format, args);
    struct fl_str text = fl_str_n(raw, n < 0 ? 0 : FL_MIN((size_t)n, sizeof(raw) - 1));
    if (text.n == 0) text = fl_str_of(fl_error_text(err->code));
    fl_escape(err->detail, sizeof(err->detail), text, FL_ESCAPE_LINE);
}

int fl_fail_args(struct fl_error *err, int code, const char *format, va_list args) {
    if (!err) return code;
    err->code = code;
    set_detail(err, format, args);
    return code;
}

int fl_fail(struct fl_error *err, int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fl_fail_args(err, code, format, args);
    va_end(args);
    return code;
}

int fl_fail_nomem(struct fl_error *err) {
    if (err) {
        err->code = FL_ENOMEM;
        fl_str_copy(err->detail, sizeof(err->detail), fl_str_of(fl_error_text(FL_ENOMEM)));
    }
    return FL_ENOMEM;
}

int fl_error_prefix(struct fl_error *err, const char *format, ...) {
    FL_ASSERT(err);
    struct fl_error detail = *err;
    va_list args;
    va_start(args, format);
    set_detail(err, format, args);
    va_end(args);
    struct fl_error context = *err;
    return fl_fail(err, err->code, "%s: %s", context.detail, detail.detail);
}

int fl_error_copy(struct fl_error *err, const struct fl_error *from) {
    if (err) *err = *from;
    return from->code;
}

static struct fl_error *copy_of(const struct fl_error *err) {
    struct fl_error *copy = fl_alloc(sizeof(*copy));
    if (copy) *copy = *err;
    return copy;
}

void fl_kept_error_set(struct fl_kept_error *kept, const struct fl_error *err) {
    int code = err ? err->code : FL_OK;
    kept->code = code;
    if (code == FL_OK)
        fl_kept_error_deinit(kept);
    else if (kept->own)
        *kept->own = *err;
    else
        kept->own = copy_of(err);
}

const struct fl_error *fl_kept_error_peek(const struct fl_kept_error *kept) {
    static const struct fl_error bare[FL_ORDINAL_COUNT] = {
#define FL_X(name, reaction, text) [FL_ORDINAL_##name] = {FL_E##name, text},
        FL_ERR_MAP(FL_X)
#undef FL_X
    };
    return kept->own ? kept->own : &bare[-kept->code];
}

void fl_kept_error_deinit(struct fl_kept_error *kept) {
    fl_free(kept->own);
    *kept = (struct fl_kept_error){FL_OK, NULL};
}
