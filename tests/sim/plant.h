/* plant.h - bugs put in on purpose, to see that the oracle finds them.
 *
 * They are in what stands between the tree and the oracle, never in the tree. */
#ifndef FL_TEST_PLANT_H
#define FL_TEST_PLANT_H

#include "verdict.h"

/* X(NAME, "name", breach that must be found, "what is wrong") */
#define PLANT_MAP(X)                                                                               \
    X(NONE, "none", NONE, "nothing")                                                               \
    X(DROP_DELETE, "drop-delete", DELETE, "the third delete of a collection is never told")        \
    X(SWAP_SETS, "swap-sets", OLDER, "a subscriber gets two sets in the wrong order")              \
    X(CONFUSE, "confuse", ANSWER, "an empty service is called absent")                             \
    X(ALWAYS_FRESH, "always-fresh", STALE, "stale_ms is always 0")                                 \
    X(NEVER_FRESH, "never-fresh", STALE, "stale_ms is never 0")                                    \
    X(DEAF, "deaf", WAIT, "a subscriber hears nothing after its third set")                        \
    X(EAGER, "eager", REQUESTS, "a client dials ten times a second while it is refused")           \
    X(LOST_CALL, "lost-call", CALL, "the fiftieth call never ends")                                \
    X(NEVER_IDLE, "never-idle", CALL, "a channel does not become idle")

enum plant {
#define PLANT_X(name, label, breach, text) PLANT_##name,
    PLANT_MAP(PLANT_X)
#undef PLANT_X
        PLANTS
};

#endif
