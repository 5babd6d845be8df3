/* health_check.h - checks endpoints from outside: can a TCP connection be made, does an HTTP
 * request get the expected status?
 *
 * Each endpoint is checked for as long as its check is started; one checker for all of a channel
 * bounds how many checks run at once. One loop's thread. */
#ifndef FL_CHANNEL_HEALTH_CHECK_H
#define FL_CHANNEL_HEALTH_CHECK_H

#include <fairlead/health.h>

#include "base/io.h"
#include "base/list.h"

struct fl_health_checker {
    struct fl_io *io;
    const struct fl_health_check_options *options; /* borrowed, complete */
    struct fl_list waiting;                        /* checks that are due, oldest first */
    size_t runs;                                   /* checks whose connection is not closed yet */
    void (*on_empty)(void *arg);                   /* the last of them is */
    void *arg;
    struct fl_metric *unhealthy, *passed;
};

void fl_health_checker_init(struct fl_health_checker *checker, struct fl_io *io,
                            const struct fl_health_check_options *options,
                            void (*on_empty)(void *arg), void *arg);

struct fl_health_check;

/* `host`, `port`: of the endpoint; `peer` for people. All borrowed. on_verdict never comes from
 * within a function of this header. FL_ENOMEM. */
FL_MUST int fl_health_check_new(struct fl_health_checker *checker, const char *host, uint16_t port,
                                const char *peer, void (*on_verdict)(void *arg), void *arg,
                                struct fl_health_check **out);
void fl_health_check_free(struct fl_health_check *check); /* NULL is allowed */

/* Checks from now on, the first time at once. Twice is allowed, for all three. */
void fl_health_check_start(struct fl_health_check *check);
/* Not now; the verdict stays. */
void fl_health_check_stop(struct fl_health_check *check);
/* And the verdict is forgotten. */
void fl_health_check_forget(struct fl_health_check *check);
/* The last check that failed; NULL: it is healthy, or was not checked yet. */
const struct fl_error *fl_health_check_unhealthy(const struct fl_health_check *check);

#endif
