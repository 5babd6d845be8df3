/* request.c - see request.h. */
#include "manager/request.h"

#include "base/alloc.h"

static void late(struct fl_timer *timer) {
    struct fl_connmgr_request *request = FL_CONTAINER(timer, struct fl_connmgr_request, timer);
    request->kind->late(request);
}

static void begin(struct fl_task *task) {
    struct fl_connmgr_request *request = FL_CONTAINER(task, struct fl_connmgr_request, task);
    struct fl_connmgr *mgr = request->mgr;
    struct fl_error err;
    if (mgr->loop_data.closing) {
        fl_fail(&err, FL_ESHUTDOWN, "the connection manager was closed");
        fl_connmgr_request_end(request, &err, NULL);
    } else if (fl_io_timer_init(mgr->io, &request->timer, late) != 0) {
        fl_fail_nomem(&err);
        fl_connmgr_request_end(request, &err, NULL);
    } else {
        fl_io_timer_set(mgr->io, &request->timer, fl_io_now_ms(mgr->io) + request->timeout_ms);
        request->kind->begin(request);
    }
}

int fl_connmgr_request_start(struct fl_connmgr *mgr, const struct fl_connmgr_request_kind *kind,
                             const char *name, uint32_t timeout_ms, void (*cb)(void), void *arg,
                             struct fl_error *err) {
    if (!name || !name[0]) return fl_fail(err, FL_EUSAGE, "a service needs a name");
    if (!cb) return fl_fail(err, FL_EUSAGE, "what is asked for needs a callback");
    size_t n = strlen(name) + 1;
    struct fl_connmgr_request *request = fl_alloc(sizeof(*request) + n);
    if (!request) return fl_fail_nomem(err);
    *request = (struct fl_connmgr_request){
        .mgr = mgr,
        .kind = kind,
        .timeout_ms = timeout_ms ? timeout_ms : mgr->ready_timeout_ms,
        .cb = cb,
        .arg = arg,
    };
    fl_list_init(&request->link);
    fl_task_init(&request->task, begin);
    memcpy(request->name, name, n);
    atomic_fetch_add(&mgr->shared_data.requests, 1);
    fl_io_post(mgr->io, &request->task);
    return 0;
}

void fl_connmgr_request_wait(struct fl_connmgr_request *request, struct fl_list *list) {
    fl_list_push(list, &request->link);
}

void fl_connmgr_request_end(struct fl_connmgr_request *request, const struct fl_error *why,
                            void *result) {
    struct fl_connmgr *mgr = request->mgr;
    fl_list_remove(&request->link);
    fl_io_timer_deinit(mgr->io, &request->timer);
    request->kind->tell(request, why, why ? NULL : result);
    fl_free(request);
    atomic_fetch_sub(&mgr->shared_data.requests, 1);
    fl_connmgr_release(mgr);
}

void fl_connmgr_request_end_all(struct fl_list *list, const struct fl_error *why) {
    struct fl_list batch;
    fl_list_init(&batch);
    while (!fl_list_empty(list)) {
        struct fl_list *item = list->next;
        fl_list_remove(item);
        fl_list_push(&batch, item);
    }
    while (!fl_list_empty(&batch))
        fl_connmgr_request_end(FL_CONTAINER(batch.next, struct fl_connmgr_request, link), why,
                               NULL);
}
