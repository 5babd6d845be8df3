/* terminal.h - what a person may be looking at: colours, progress, text from elsewhere. */
#ifndef FL_CLI_TERMINAL_H
#define FL_CLI_TERMINAL_H

#include <stdio.h>

#include "base/def.h"

enum fl_colour { FL_PLAIN, FL_RED, FL_GREEN, FL_YELLOW, FL_DIM, FL_BOLD };

/* Is `out` a terminal that understands escapes? Colours besides need NO_COLOR unset. */
bool fl_terminal_is(FILE *out);
/* The escape sequence for `colour`, "" where colours are off. */
const char *fl_colour(FILE *out, enum fl_colour colour);
/* Text that came from elsewhere, escaped: nothing in it steers a terminal or begins a line. */
void fl_terminal_put(FILE *out, const char *text);
/* One line on standard error that the next one replaces; nothing if that is no terminal. */
void fl_terminal_progress(const char *format, ...) FL_PRINTF(1, 2);
void fl_terminal_clear_progress(void);

#endif
