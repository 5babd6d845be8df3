/* fault.h - what can be made to go wrong at the simulated API server: by kind, time and count.
 *
 * `KIND@WHEN[xN]` as `fairlead sim --fault` takes it: "410-event@5sx3" is, from 5 s after the
 * start, the next three watch requests that it concerns. Tests inject the same by
 * fl_apiserver_fault at a virtual time of their own. */
#ifndef FL_SIM_FAULT_H
#define FL_SIM_FAULT_H

#include "base/error.h"
#include "base/str.h"

/* X(NAME, "kind", "what one occurrence is"). The order is that of `fairlead sim --fault help`. */
#define FL_FAULT_MAP(X)                                                                            \
    X(CUT, "cut", "every connection is reset")                                                     \
    X(STALL, "stall", "a request, or a watch that is open, is never answered further")             \
    X(SLOW, "slow-bytes", "a response arrives a few bytes at a time")                              \
    X(HALF, "half-frame", "a watch is reset in the middle of an event")                            \
    X(UNAUTHORIZED, "401", "a request is answered 401")                                            \
    X(FORBIDDEN, "403", "a request is answered 403")                                               \
    X(THROTTLED, "429", "a request is answered 429 with Retry-After: 1")                           \
    X(INTERNAL, "500", "a request is answered 500")                                                \
    X(UNAVAILABLE, "503", "a request is answered 503 with Retry-After: 1")                         \
    X(AHEAD, "504", "a request with a version is answered 504 ResourceVersionTooLarge")            \
    X(GONE_STATUS, "410-status", "a watch is answered 410")                                        \
    X(GONE_EVENT, "410-event", "a watch gets an ERROR event with code 410")                        \
    X(GONE_PAGE, "410-page", "a list's next page is answered 410")                                 \
    X(OLDER, "older-list", "a cached list shows an older state, as after a failover")              \
    X(RESTORED, "restored-etcd", "the cluster goes back to an older state and counts from there")  \
    X(NO_BOOKMARK, "lost-bookmark", "a watch gets no bookmarks")                                   \
    X(NO_END, "no-initial-events-end", "a streaming list never says that it is complete")          \
    X(LOST_EVENT, "lost-event", "a watch misses an event")                                         \
    X(GOAWAY, "goaway", "HTTP/2 connections get GOAWAY, HTTP/1.1 ones are closed when idle")       \
    X(REORDER, "reorder", "two events of different objects change places")                         \
    X(DUPLICATE, "duplicate", "an event comes twice")                                              \
    X(HUGE, "huge-frame", "a watch announces an event of more than 16 MiB")                        \
    X(GARBAGE, "garbage", "a response has a body of random bytes")                                 \
    X(SHORT, "short-watch", "a watch ends cleanly after 500 ms")

enum fl_fault_kind {
#define FL_X(name, kind, text) FL_FAULT_##name,
    FL_FAULT_MAP(FL_X)
#undef FL_X
        FL_FAULT_KINDS
};

struct fl_fault {
    enum fl_fault_kind kind;
    uint64_t at_ms; /* after the start of the simulation */
    unsigned times;
};

const char *fl_fault_name(enum fl_fault_kind kind);
const char *fl_fault_text(enum fl_fault_kind kind);
/* "KIND@WHEN[xN]"; WHEN is a number and ms, s, m or h. FL_EUSAGE: which part, and what may stand
 * there. */
FL_MUST int fl_fault_parse(struct fl_str text, struct fl_fault *out, struct fl_error *err);

#endif
