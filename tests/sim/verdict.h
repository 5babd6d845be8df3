/* verdict.h - the first promise that a world saw broken. Pure. */
#ifndef FL_TEST_VERDICT_H
#define FL_TEST_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/def.h"

/* X(NAME, "name", "what is promised") */
#define BREACH_MAP(X)                                                                              \
    X(NONE, "none", "everything held")                                                             \
    X(OLDER, "older", "nothing older comes after something newer, per key and per endpoint")       \
    X(DELETE, "delete", "what vanishes is told once, with its last known state")                   \
    X(ANSWER, "answer", "unknown, absent, empty and some are never confused")                      \
    X(STALE, "stale", "stale_ms says how old the last proof of life is")                           \
    X(WAIT, "wait", "no wait is without end: after the last fault the truth is known in time")     \
    X(REQUESTS, "requests", "a long outage costs the server one attempt per cap and client")       \
    X(CALL, "call", "no call is lost, and none goes where it must not go")                         \
    X(HANDLE, "handle",                                                                            \
      "a handle is of an endpoint that is there, and calls by it go nowhere else")                 \
    X(LIFE, "life", "what is closed is silent, ends in time and leaves nothing open")              \
    X(REPLAY, "replay", "the same seed gives the same world")

enum breach {
#define VERDICT_X(name, label, text) BREACH_##name,
    BREACH_MAP(VERDICT_X)
#undef VERDICT_X
        BREACHES
};
const char *breach_name(enum breach breach);
const char *breach_promise(enum breach breach);
bool breach_of_name(const char *name, enum breach *out);

#define VERDICT_TEXT_MAX 512

struct story;

struct verdict {
    enum breach breach; /* NONE: everything held so far */
    char text[VERDICT_TEXT_MAX];
    struct story *story; /* told of it, too; NULL: nobody */
};

/* Keeps the first one only. */
void verdict_broken(struct verdict *verdict, enum breach breach, const char *format, ...)
    FL_PRINTF(3, 4);

#endif
