/* request.h - what a caller asked for, on its way to the loop and while it waits there.
 *
 *     any thread ──> task (posted) ──> begin ──> a list, until its deadline ──> end: the callback
 *
 * One loop's thread, but for fl_connmgr_request_start. A request is in at most one list; it ends
 * exactly once, by fl_connmgr_request_end. */
#ifndef FL_MANAGER_REQUEST_H
#define FL_MANAGER_REQUEST_H

#include "manager/manager.h"

struct fl_connmgr_request;

struct fl_connmgr_request_kind {
    void (*begin)(struct fl_connmgr_request *request);
    /* Its time is over: must end it. */
    void (*late)(struct fl_connmgr_request *request);
    /* Calls the caller's callback: `result` if why is NULL. */
    void (*tell)(struct fl_connmgr_request *request, const struct fl_error *why, void *result);
};

struct fl_connmgr_request {
    struct fl_list link; /* of those who wait for the same */
    struct fl_connmgr *mgr;
    const struct fl_connmgr_request_kind *kind;
    struct fl_task task;
    struct fl_timer timer;
    uint32_t timeout_ms;
    void (*cb)(void); /* the caller's, of the kind's type */
    void *arg;
    void *data;  /* the kind's own */
    char name[]; /* of the service, or what the kind makes of it */
};

/* Any thread. timeout_ms 0: the manager's. FL_ENOMEM, FL_EUSAGE (no name, no callback). */
FL_MUST int fl_connmgr_request_start(struct fl_connmgr *mgr,
                                     const struct fl_connmgr_request_kind *kind, const char *name,
                                     uint32_t timeout_ms, void (*cb)(void), void *arg,
                                     struct fl_error *err);
/* Waits in `list` until somebody ends it, or its time is over. */
void fl_connmgr_request_wait(struct fl_connmgr_request *request, struct fl_list *list);
/* The callback, then the request is gone. What is in `result` belongs to the receiver. */
void fl_connmgr_request_end(struct fl_connmgr_request *request, const struct fl_error *why,
                            void *result);
/* All of a list, those who are added meanwhile not. */
void fl_connmgr_request_end_all(struct fl_list *list, const struct fl_error *why);

#endif
