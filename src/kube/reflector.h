/* reflector.h - keeps a store equal to one collection of the API server: list, then watch.
 *
 * The list is streamed as the beginning of the watch where the server can (KEP-3157), else read in
 * pages; protobuf where the server can, else JSON.
 *
 * A machine without I/O: it takes bytes and the time, and gives back requests, changes of the store
 * and its next deadline. There is at most one request under way. Whoever drives it calls
 * fl_reflector_next after every input and whenever the deadline has passed, until that says WAIT:
 *
 *     while ((what = fl_reflector_next(r, now, &request)) != FL_REFLECTOR_WAIT)
 *         ... SEND the request, or CANCEL the one under way and forget it
 *
 * After CANCEL nothing more of that request may be fed. One loop's thread. */
#ifndef FL_KUBE_REFLECTOR_H
#define FL_KUBE_REFLECTOR_H

#include "base/random.h"
#include "kube/server.h"
#include "kube/store.h"

struct fl_reflector;

/* Decisions worth a log line and a count; X(NAME, "label"). */
#define FL_REFLECTOR_NOTE_MAP(X)                                                                   \
    X(LIST_FIRST, "list_first")                                                                    \
    X(RELIST_GONE, "relist_gone")                /* 410: the position is too old */                \
    X(RELIST_PAGE, "relist_page_expired")        /* 410 in the middle of paging */                 \
    X(RELIST_AHEAD, "relist_ahead")              /* the server has not reached our position */     \
    X(RELIST_OLDER, "relist_older_cached")       /* a cached list went back in time: refused */    \
    X(RELIST_DOUBTED, "relist_older_consistent") /* a consistent one did: asked once more */       \
    X(RELIST_REFUSED, "relist_refused")          /* a request was refused for another reason */    \
    X(RELIST_AUDIT, "relist_audit")              /* the audit found what cannot be repaired */     \
    X(RELIST_SILENT, "relist_silent")            /* the next watch was without bookmarks, too */   \
    X(STREAM_REFUSED, "stream_refused")          /* no streaming list here: read in pages */       \
    X(STREAM_UNENDED, "stream_unended")          /* one was never said to be complete: likewise */ \
    X(JSON, "json")                              /* no protobuf here: asked in JSON */             \
    X(WATCH_STALLED, "watch_stalled")            /* bookmarks stayed away: asked again */          \
    X(RESTORED, "restored")                      /* it did twice: etcd was restored, accepted */   \
    X(WATCH_RESUME, "watch_resume")              /* a watch goes on where the last one ended */    \
    X(RETRY, "retry")                            /* a request failed and is made again later */

enum fl_reflector_note {
#define FL_X(name, label) FL_REFLECTOR_##name,
    FL_REFLECTOR_NOTE_MAP(FL_X)
#undef FL_X
        FL_REFLECTOR_NOTES
};
const char *fl_reflector_note_name(enum fl_reflector_note note);

/* A list or a watch that is over; a stream is one of each. */
struct fl_reflector_round {
    bool watch;
    bool complete; /* a list: read whole, and believed */
    uint64_t ms;
    uint64_t items; /* objects and bookmarks */
};

/* Called from within the inputs and fl_reflector_next, which must not be called from them. */
struct fl_reflector_events {
    /* The whole collection stands in the store; after each complete list. */
    void (*on_synced)(void *arg);
    /* The server does not answer, or answers that it will not; `why` names verb and resource. It
     * goes on trying. Code FL_OK: it answers again. */
    void (*on_trouble)(void *arg, const struct fl_error *why);
    void (*on_note)(void *arg, enum fl_reflector_note note);
    void (*on_round)(void *arg, const struct fl_reflector_round *round);
};

struct fl_reflector_options {
    enum fl_k8s_kind kind;
    struct fl_str ns; /* empty: all namespaces */
    struct fl_str label_selector, field_selector;
    struct fl_kube_store *store;   /* outlives the reflector */
    struct fl_kube_server *server; /* likewise; shared with all that ask the same server */
    uint64_t seed;                 /* of jitter and watch timeouts */
};

/* Strings are copied. The first list is due at once. FL_ENOMEM. */
FL_MUST int fl_reflector_new(const struct fl_reflector_options *options,
                             const struct fl_reflector_events *events, void *arg,
                             struct fl_reflector **out);
void fl_reflector_free(struct fl_reflector *r); /* NULL is allowed */

struct fl_reflector_request {
    struct fl_str path; /* with query, without the server's prefix; until the next call */
    struct fl_str accept;
    bool begins_list, begins_watch; /* a stream both, a later page neither */
};

enum fl_reflector_action { FL_REFLECTOR_WAIT, FL_REFLECTOR_SEND, FL_REFLECTOR_CANCEL };
enum fl_reflector_action fl_reflector_next(struct fl_reflector *r, uint64_t now_ms,
                                           struct fl_reflector_request *request);
/* When fl_reflector_next has to be called at the latest. */
uint64_t fl_reflector_deadline_ms(const struct fl_reflector *r);

/* The response's head. `retry_after` is the header's text, empty without. */
void fl_reflector_response(struct fl_reflector *r, uint64_t now_ms, int status,
                           struct fl_str content_type, struct fl_str retry_after);
void fl_reflector_data(struct fl_reflector *r, uint64_t now_ms, struct fl_str bytes);
/* The request is over: code FL_OK after a complete response, else what ended it. */
void fl_reflector_closed(struct fl_reflector *r, uint64_t now_ms, const struct fl_error *why);

/* An outage of the server is over: what waits because of it may be due at `at_ms` already. */
void fl_reflector_wake(struct fl_reflector *r, uint64_t at_ms);
/* Somebody waits for what the store has: a request that a backoff holds back is due now, unless the
 * server itself said when. */
void fl_reflector_hurry(struct fl_reflector *r, uint64_t now_ms);
/* The store was found to differ from the server: a consistent list, if a watch is established; else
 * one is on its way or the server is not to be had. */
void fl_reflector_relist(struct fl_reflector *r, uint64_t now_ms);

bool fl_reflector_synced(const struct fl_reflector *r);   /* a list was complete */
bool fl_reflector_watching(const struct fl_reflector *r); /* a watch is established */
/* When the server last said something that proves the store to be current; 0: never. */
uint64_t fl_reflector_proof_ms(const struct fl_reflector *r);
uint64_t fl_reflector_event_count(const struct fl_reflector *r); /* items and events so far */
const char *fl_reflector_position(const struct fl_reflector *r); /* "" without */

#endif
