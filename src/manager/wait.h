/* wait.h - a thread that waits for what it asked the loop. */
#ifndef FL_MANAGER_WAIT_H
#define FL_MANAGER_WAIT_H

#include "manager/manager.h"

struct fl_wait {
    struct fl_gate gate;
    void *out; /* where the result goes */
    struct fl_error why;
};

/* FL_EUSAGE: this is the loop's thread, which would wait for itself. */
FL_MUST int fl_wait_init(struct fl_wait *wait, struct fl_connmgr *mgr, void *out,
                         struct fl_error *err);
/* On the loop: the result is there, or why not. */
void fl_wait_over(struct fl_wait *wait, const struct fl_error *why);
/* Where a text goes, and how much of it fits. */
struct fl_wait_text {
    char *out;
    size_t size;
};
/* A fl_text_cb whose `arg` is a wait for a text. */
void fl_wait_keep_text(void *arg, const struct fl_error *why, const char *text);

/* Waits unless what was started gave an error, `rc`. */
FL_MUST int fl_wait_finish(struct fl_wait *wait, int rc, struct fl_error *err);

#endif
