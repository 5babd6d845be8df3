/* reflector_inside.h - what the files of the reflector share; only for reflector*.c.
 *
 *   reflector.c          inputs and deadlines: the states
 *   reflector_query.c    what is asked: paths and Accept
 *   reflector_list.c     lists, in pages or streamed: which mode, and whether one is believed
 *   reflector_watch.c    watches: ends and silence
 *   reflector_refusal.c  what the server says instead
 *   reflector_wait.c     when the next request is made, and what people are told meanwhile */
#ifndef FL_KUBE_REFLECTOR_INSIDE_H
#define FL_KUBE_REFLECTOR_INSIDE_H

#include "base/backoff.h"
#include "kube/body_pace.h"
#include "kube/reflector.h"

enum reflector_state {
    REFLECTOR_WAITING,
    REFLECTOR_LIST_HEAD,
    REFLECTOR_LIST_BODY,
    REFLECTOR_STREAM_HEAD,
    REFLECTOR_STREAMING,
    REFLECTOR_WATCH_HEAD,
    REFLECTOR_WATCHING,
    REFLECTOR_REFUSED,
};

enum reflector_work { REFLECTOR_LIST, REFLECTOR_WATCH };

/* How a list is asked:
 *   CACHED      resourceVersion=0: nothing is held yet; any state will do
 *   NOT_OLDER   at least our position; from the server's cache
 *   CONSISTENT  unset: as new as etcd; after 410, after "too large", and to settle doubts */
enum reflector_mode { REFLECTOR_CACHED, REFLECTOR_NOT_OLDER, REFLECTOR_CONSISTENT };

#define REFLECTOR_POSITION_MAX      64
#define REFLECTOR_MESSAGE_MAX       160
#define REFLECTOR_RETRY_AFTER_S_MAX 300

/* What the server said instead of what was asked for. */
struct reflector_refusal {
    int code;
    bool event; /* an ERROR event, not an HTTP status */
    bool said;  /* a Status was read */
    bool expired, version_too_large;
    uint32_t retry_after_s;
    size_t bytes;
    char message[REFLECTOR_MESSAGE_MAX];
};

struct fl_reflector {
    enum fl_k8s_kind kind;
    char *ns, *label_selector, *field_selector;
    struct fl_kube_store *store;
    struct fl_kube_server *server;
    const struct fl_reflector_events *events;
    void *arg;
    struct fl_k8s_decoder *decoder;
    struct fl_random random;
    struct fl_buf path;

    int state;
    enum reflector_work work; /* under way, or in WAITING what comes next */
    uint64_t now_ms;          /* of the present input */
    uint64_t deadline_ms;     /* WAITING: when `work` is due; else when to give up */
    bool cancel;              /* the driver has yet to cancel what is under way */
    bool decoding;            /* the body's format is known */
    bool synced;
    char position[REFLECTOR_POSITION_MAX];
    uint64_t proof_ms, event_count;
    struct reflector_refusal refusal;

    /* waiting */
    struct fl_backoff backoff; /* of this collection's own */
    uint32_t outage_round;     /* in which the request under way was made */
    bool wakeable;             /* the end of an outage may bring the next request forward */
    bool woken;                /* it did, since the last answer: once is enough */
    bool dictated;             /* WAITING: the server said until when */
    int trouble_code;          /* as told last; FL_OK: none */
    unsigned relists;          /* in a row, each because of what the server said */
    unsigned barren_watches;   /* in a row: ended cleanly at once, without an event */
    unsigned broken_watches;   /* in a row: ended at once by an ERROR event */

    /* lists */
    enum reflector_mode mode;
    bool listed;                        /* a first one was asked for */
    bool unpaged;                       /* the next one in one piece */
    bool streamed;                      /* the one under way */
    bool list_read;                     /* this page's metadata was read */
    unsigned stream_cuts;               /* in a row: streams that broke before their end */
    uint64_t stream_forbidden_until_ms; /* may list, may not watch; 0: never was */
    unsigned older_seen;                /* consistent ones in a row that were older */
    size_t list_seen;                   /* objects so far, to see that it gets on */
    unsigned empty_pages;               /* in a row: brought no object that was new to the list */
    struct fl_body_pace pace;           /* of a page */
    uint64_t list_began_ms;             /* its first page was asked for */
    uint64_t list_events_before;
    struct fl_buf continue_token;
    char list_version[REFLECTOR_POSITION_MAX];

    /* watches */
    bool asked_protobuf;
    bool bookmark_missed; /* by the last one; nothing was heard since */
    uint64_t watch_timeout_ms, watch_began_ms, watch_events_before, watch_read_ms;
};

static inline struct fl_str reflector_position(const struct fl_reflector *r) {
    return fl_str_of(r->position);
}

void reflector_move(struct fl_reflector *r, int state);
static inline void reflector_note(struct fl_reflector *r, enum fl_reflector_note what) {
    r->events->on_note(r->arg, what);
}

/* --- reflector_query.c --- */

/* Writes path and Accept of `work`. FL_EFULL, FL_ENOMEM. */
FL_MUST int reflector_query(struct fl_reflector *r, struct fl_reflector_request *request);

/* --- reflector_list.c --- */

/* Before the request of a list is written: streamed or in pages? */
void reflector_list_choose(struct fl_reflector *r);
void reflector_list_begin(struct fl_reflector *r); /* it is sent */
void reflector_list_ended(struct fl_reflector *r); /* a page's body is whole */
FL_MUST int reflector_list_object(struct fl_reflector *r, enum fl_k8s_event event,
                                  struct fl_k8s_object *object);
void reflector_list_meta(struct fl_reflector *r, struct fl_str version, struct fl_str token);
/* The next list is asked like this, from its beginning. */
void reflector_list_start_over(struct fl_reflector *r, enum reflector_mode mode);
/* A list is needed because of what the server said: after the backoff. */
void reflector_list_again(struct fl_reflector *r, enum reflector_mode mode,
                          enum fl_reflector_note why);
/* A stream did not come to its end: by an answer, in time, or by being cut. */
void reflector_stream_refused(struct fl_reflector *r, bool by_server);
void reflector_stream_unended(struct fl_reflector *r);

/* --- reflector_watch.c --- */

void reflector_watch_begin(struct fl_reflector *r);
FL_MUST int reflector_watch_object(struct fl_reflector *r, enum fl_k8s_event event,
                                   struct fl_k8s_object *object);
void reflector_watch_read(struct fl_reflector *r);  /* bytes were taken */
void reflector_watch_over(struct fl_reflector *r);  /* whatever its end: to be measured */
void reflector_watch_ended(struct fl_reflector *r); /* its body is whole */
void reflector_watch_late(struct fl_reflector *r);  /* its deadline has passed */
/* Ends it, for the next one or for a consistent list. */
void reflector_watch_cut(struct fl_reflector *r, enum reflector_work next,
                         enum fl_reflector_note why);
uint64_t reflector_watch_deadline_ms(const struct fl_reflector *r);

/* --- reflector_refusal.c --- */

void reflector_refusal_head(struct fl_reflector *r, int status, struct fl_str retry_after);
void reflector_refusal_status(struct fl_reflector *r, const struct fl_k8s_status *status);
/* All that will be said was read. */
void reflector_refused(struct fl_reflector *r);

/* --- reflector_wait.c --- */

#define REFLECTOR_DESCRIPTION_MAX 104
/* "list endpointslices in namespace x" */
const char *reflector_describe(const struct fl_reflector *r, char out[REFLECTOR_DESCRIPTION_MAX]);

void reflector_wait(struct fl_reflector *r, enum reflector_work work, uint64_t due_ms);
void reflector_wait_after_failure(struct fl_reflector *r, enum reflector_work work,
                                  uint32_t retry_after_s);
/* The server asks everybody to stay away. */
void reflector_wait_for_server(struct fl_reflector *r, const struct fl_error *why,
                               uint32_t retry_after_s);
/* The peer's bytes or our memory failed: the same once more, later. */
void reflector_retry(struct fl_reflector *r, const struct fl_error *why);
/* Likewise for what ended a request, which may be an outage. */
void reflector_failed(struct fl_reflector *r, const struct fl_error *why);
/* And what is under way is cancelled. */
void reflector_give_up(struct fl_reflector *r, const struct fl_error *why);
/* May a request be made now? If not, the deadline says when to ask again. */
FL_MUST bool reflector_may_send(struct fl_reflector *r);
void reflector_trouble(struct fl_reflector *r, const struct fl_error *why);
void reflector_trouble_over(struct fl_reflector *r);
/* More refusals in a row than may happen to anybody: to be told. */
static inline bool reflector_goes_in_circles(const struct fl_reflector *r) {
    return r->relists > 2;
}

#endif
