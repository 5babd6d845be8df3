/* load.c - see load.h. */
#include "load.h"

const char *load_kind_name(enum load_kind kind) {
    static const char *const names[] = {
#define LOAD_X(name, text) text,
        LOAD_KIND_MAP(LOAD_X)
#undef LOAD_X
    };
    return names[kind];
}

static uint64_t requests_at(const struct load *load, uint64_t second) {
    uint64_t n = 0;
    for (int kind = 0; kind < LOAD_DIAL; kind++) n += load->counts[kind][second];
    return n;
}

struct load_figures load_between(const struct load *load, uint64_t from_s, uint64_t to_s) {
    struct load_figures f = {.mean = 0};
    uint64_t all = 0, window = 0, most = 0;
    to_s = FL_MIN(to_s, (uint64_t)LOAD_SECONDS_MAX);
    for (uint64_t s = from_s; s < to_s; s++) {
        uint64_t now = requests_at(load, s);
        all += now;
        window += now;
        if (s >= from_s + LOAD_WINDOW_S) window -= requests_at(load, s - LOAD_WINDOW_S);
        most = FL_MAX(most, window);
        for (int kind = 0; kind < LOAD_KINDS; kind++) f.kinds[kind] += load->counts[kind][s];
    }
    f.mean = (double)all / (double)(to_s - from_s);
    f.peak = (double)most / LOAD_WINDOW_S;
    return f;
}
