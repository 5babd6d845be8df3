/* load.h - requests at an API server, by kind and second of virtual time. */
#ifndef FL_TEST_LOAD_H
#define FL_TEST_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/def.h"

#define LOAD_SECONDS_MAX 14400
#define LOAD_WINDOW_S    10 /* over which a peak is a mean, so that it is no accident */

#define LOAD_KIND_MAP(X)                                                                           \
    X(WATCH, "watches")                                                                            \
    X(STREAM, "streaming lists")                                                                   \
    X(LIST, "lists")                                                                               \
    X(AUDIT, "audits")                                                                             \
    X(DIAL, "dials")

enum load_kind {
#define LOAD_X(name, text) LOAD_##name,
    LOAD_KIND_MAP(LOAD_X)
#undef LOAD_X
        LOAD_KINDS
};

struct load {
    uint32_t counts[LOAD_KINDS][LOAD_SECONDS_MAX];
};

struct load_figures { /* requests a second, dials not included */
    double mean, peak;
    uint64_t kinds[LOAD_KINDS];
};

static inline void load_add(struct load *load, enum load_kind kind, uint64_t second) {
    if (second < LOAD_SECONDS_MAX) load->counts[kind][second]++;
}
struct load_figures load_between(const struct load *load, uint64_t from_s, uint64_t to_s);
const char *load_kind_name(enum load_kind kind);

#endif
