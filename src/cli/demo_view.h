/* demo_view.h - what the demo shows: a picture that is redrawn on a terminal, plain lines
 * elsewhere. */
#ifndef FL_CLI_DEMO_VIEW_H
#define FL_CLI_DEMO_VIEW_H

#include "cli/pods.h"

struct fl_demo_view {
    bool live;      /* redraw in place */
    unsigned drawn; /* lines of the last picture */
    uint64_t start_us;
};

struct fl_demo_numbers {
    const char *phase; /* "a rolling update runs" */
    uint64_t calls, failures, rate;
};

void fl_demo_view_init(struct fl_demo_view *view, uint64_t now_us);
/* A change of the set: a line, unless the picture shows it. */
void fl_demo_view_change(struct fl_demo_view *view, uint64_t now_us,
                         const struct fl_change *change);
/* A line in any case. */
void fl_demo_view_say(struct fl_demo_view *view, uint64_t now_us, const char *text);
/* The picture, or one line of numbers. */
void fl_demo_view_draw(struct fl_demo_view *view, uint64_t now_us,
                       const struct fl_demo_numbers *numbers, const struct fl_pods *pods);

#endif
