/* terminal.c - colours, progress and text from elsewhere. */
#include "cli/terminal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/escape.h"

static bool progress_shown;

bool fl_terminal_is(FILE *out) {
    const char *term = getenv("TERM");
    return isatty(fileno(out)) && term && strcmp(term, "dumb") != 0;
}

const char *fl_colour(FILE *out, enum fl_colour colour) {
    static const char *const sequences[] = {
        [FL_PLAIN] = "\033[0m",   [FL_RED] = "\033[31m", [FL_GREEN] = "\033[32m",
        [FL_YELLOW] = "\033[33m", [FL_DIM] = "\033[2m",  [FL_BOLD] = "\033[1m",
    };
    const char *no_color = getenv("NO_COLOR");
    if ((no_color && *no_color) || !fl_terminal_is(out)) return "";
    return sequences[colour];
}

void fl_terminal_put(FILE *out, const char *text) {
    struct fl_str rest = fl_str_of(text);
    while (rest.n) {
        char piece[FL_ESCAPED_MAX];
        fwrite(piece, 1, fl_escape_next(&rest, FL_ESCAPE_LINE, piece), out);
    }
}

void fl_terminal_progress(const char *format, ...) {
    if (!fl_terminal_is(stderr)) return;
    va_list args;
    va_start(args, format);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, format, args);
    fflush(stderr);
    va_end(args);
    progress_shown = true;
}

void fl_terminal_clear_progress(void) {
    if (!progress_shown) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress_shown = false;
}
