/* story.c - see story.h. */
#include "story.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX_LEN 600

void story_tell(struct story *story, const char *who, const char *format, ...) {
    char text[LINE_MAX_LEN];
    va_list args;
    if (!story->line) return;
    uint64_t now_us = fl_io_now_us(story->io);
    int n = snprintf(text, sizeof text, "%5" PRIu64 ".%06u  %-10s ", now_us / 1000000,
                     (unsigned)(now_us % 1000000), who);
    va_start(args, format);
    vsnprintf(text + n, sizeof text - (size_t)n, format, args);
    va_end(args);
    story->line(story->arg, text);
}
