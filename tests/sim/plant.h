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
    X(NEVER_IDLE, "never-idle", CALL, "a channel does not become idle")                            \
    X(ASTRAY, "astray", CALL, "the fiftieth call goes to an address that no set has")              \
    X(TWICE, "twice", CALL, "a call ends twice")                                                   \
    X(OTHER_POD, "other-pod", HANDLE, "calls by handles go wherever the channel likes")            \
    X(OLD_HANDLE, "old-handle", HANDLE, "what was given once is given again, there or not")        \
    X(TWO_HANDLES, "two-handles", HANDLE, "an endpoint gets another handle while it has one")      \
    X(FEW_HANDLES, "few-handles", HANDLE, "one endpoint is left out when all are asked for")       \
    X(TELL_TWICE, "tell-twice", HANDLE, "the name of a service is told twice")                     \
    X(LOSE_HANDLE, "lose-handle", LIFE, "a handle is never let go of")                             \
    X(LEAVE_SOCK, "leave-sock", LIFE, "a connection is left open")                                 \
    X(LEAVE_TIMER, "leave-timer", LIFE, "a timer is left behind")                                  \
    X(LUCK, "luck", REPLAY, "what happens depends on more than the seed")

enum plant {
#define PLANT_X(name, label, breach, text) PLANT_##name,
    PLANT_MAP(PLANT_X)
#undef PLANT_X
        PLANTS
};

#endif
