/* wait.c - see wait.h. */
#include "manager/wait.h"

int fl_wait_init(struct fl_wait *wait, struct fl_connmgr *mgr, void *out, struct fl_error *err) {
    if (fl_io_on_thread(mgr->io))
        return fl_fail(err, FL_EUSAGE,
                       "the loop's thread cannot wait for itself; there is the same with _async");
    fl_gate_init(&wait->gate);
    wait->out = out;
    wait->why = (struct fl_error){FL_OK, ""};
    return 0;
}

void fl_wait_over(struct fl_wait *wait, const struct fl_error *why) {
    if (why) wait->why = *why;
    fl_gate_open(&wait->gate);
}

void fl_wait_keep_text(void *arg, const struct fl_error *why, const char *text) {
    struct fl_wait *wait = arg;
    const struct fl_wait_text *to = wait->out;
    struct fl_error err;
    if (text && (strlen(text) >= to->size || !fl_str_copy(to->out, to->size, fl_str_of(text)))) {
        fl_fail(&err, FL_EFULL, "\"%s\" does not fit in %zu bytes", text, to->size);
        why = &err;
    }
    fl_wait_over(wait, why);
}

int fl_wait_finish(struct fl_wait *wait, int rc, struct fl_error *err) {
    if (rc == 0) {
        fl_gate_wait(&wait->gate);
        rc = wait->why.code == FL_OK ? 0 : fl_error_copy(err, &wait->why);
    }
    fl_gate_deinit(&wait->gate);
    return rc;
}
