/* api_watch.h - one open watch of the simulated API server. One thread.
 *
 * A watch has no queue: it reads the store's history from its own place, as far as its stream has
 * room. Who is so slow that FL_API_WATCH_LAG_MAX events wait, or that history has forgotten the
 * next one, is ended without a word, as the real server does; the client resumes and may get 410.
 * How many are open at once has a bound: who comes beyond it is told to come again (429). */
#ifndef FL_SIM_API_WATCH_H
#define FL_SIM_API_WATCH_H

#include "sim/api_faults.h"
#include "sim/api_reply.h"

#define FL_API_WATCH_LAG_MAX 1000

struct fl_api_watch;

struct fl_api_watches { /* all that are open */
    struct fl_list list;
    size_t count, max;
};

struct fl_api_watch_options {
    uint32_t bookmark_ms;
    struct fl_api_faults *faults;
    enum fl_fault_kind fault;       /* that the request was hit by; FL_FAULT_KINDS: none */
    struct fl_api_watches *watches; /* the watch joins them until it is over */
};

/* Answers the request with a watch, or with why not. Steals call->request. */
void fl_api_watch_start(struct fl_api_call *call, const struct fl_store *store,
                        const struct fl_api_watch_options *options);
/* Sends what has happened. */
void fl_api_watch_pump(struct fl_api_watches *watches);
void fl_api_watch_end_all(struct fl_api_watches *watches);
/* Answers 200 and one ERROR event. */
void fl_api_watch_refuse(const struct fl_api_call *call, const struct fl_api_status *status);

#endif
