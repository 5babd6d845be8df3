/* demo_view.c - what the demo shows. */
#include "cli/demo_view.h"

#include <stdio.h>
#include <string.h>

#include "cli/render.h"
#include "cli/terminal.h"

#define BAR_WIDTH 10 /* the widest line of a pod has 79 columns */

/* Terminals narrower than a line cut it instead of wrapping it, so lines can be counted. */
#define WRAP_OFF "\033[?7l"
#define WRAP_ON  "\033[?7h"

void fl_demo_view_init(struct fl_demo_view *view, uint64_t now_us) {
    *view = (struct fl_demo_view){.live = fl_terminal_is(stdout), .start_us = now_us};
}

static double seconds(const struct fl_demo_view *view, uint64_t now_us) {
    return (double)(now_us - view->start_us) / 1e6;
}

/* Moves up over the last picture, and the ^C that a terminal may have added, and clears it. */
static void erase(struct fl_demo_view *view) {
    if (view->drawn) printf("\r\033[%uA\033[J", view->drawn);
    view->drawn = 0;
}

void fl_demo_view_say(struct fl_demo_view *view, uint64_t now_us, const char *text) {
    erase(view);
    printf("%6.2f s  %s\n", seconds(view, now_us), text);
    fflush(stdout);
}

void fl_demo_view_change(struct fl_demo_view *view, uint64_t now_us,
                         const struct fl_change *change) {
    static const char *const signs[] = {
        [FL_CHANGE_ADDED] = "+", [FL_CHANGE_REMOVED] = "-", [FL_CHANGE_CHANGED] = "~"};
    if (view->live) return;
    const struct fl_endpoint *e = &change->endpoint;
    printf("%6.2f s  %s %s:%u  %s  %s\n", seconds(view, now_us), signs[change->kind], e->address,
           (unsigned)e->port, e->pod,
           change->kind == FL_CHANGE_REMOVED ? "gone" : fl_render_condition(e));
    fflush(stdout);
}

static void draw_pod(const struct fl_pod *pod, uint64_t most) {
    size_t cells = most ? (size_t)(pod->rate * BAR_WIDTH / most) : 0;
    bool ready = strcmp(pod->condition, "ready") == 0, gone = strcmp(pod->condition, "gone") == 0;
    enum fl_colour colour = ready ? FL_GREEN : gone ? FL_DIM : FL_YELLOW;
    printf("  %s%-15s %-21s %-20s%s ", fl_colour(stdout, colour), pod->peer, pod->name,
           pod->condition, fl_colour(stdout, FL_PLAIN));
    for (size_t i = 0; i < cells; i++) fputs("█", stdout);
    if (!gone) printf(" %llu/s", (unsigned long long)pod->rate);
    putchar('\n');
}

static void draw_picture(struct fl_demo_view *view, uint64_t now_us,
                         const struct fl_demo_numbers *n, const struct fl_pods *pods) {
    uint64_t most = 1;
    for (size_t i = 0; i < pods->count; i++) most = FL_MAX(most, pods->list[i].rate);
    erase(view);
    printf(WRAP_OFF "\n  %s%s%s   %.1f s   %llu calls, %s%llu failed%s, %llu/s\n\n",
           fl_colour(stdout, FL_BOLD), n->phase, fl_colour(stdout, FL_PLAIN), seconds(view, now_us),
           (unsigned long long)n->calls, fl_colour(stdout, n->failures ? FL_RED : FL_GREEN),
           (unsigned long long)n->failures, fl_colour(stdout, FL_PLAIN),
           (unsigned long long)n->rate);
    for (size_t i = 0; i < pods->count; i++) draw_pod(&pods->list[i], most);
    fputs(WRAP_ON, stdout);
    view->drawn = 3 + (unsigned)pods->count;
}

void fl_demo_view_draw(struct fl_demo_view *view, uint64_t now_us, const struct fl_demo_numbers *n,
                       const struct fl_pods *pods) {
    if (view->live)
        draw_picture(view, now_us, n, pods);
    else
        printf("%6.2f s  %llu calls, %llu failed, %llu/s\n", seconds(view, now_us),
               (unsigned long long)n->calls, (unsigned long long)n->failures,
               (unsigned long long)n->rate);
    fflush(stdout);
}
