/* keys.c - the names of the services there are, in the manager's namespace: a watch of names of the
 * discovery's, which lives on the same loop. Begun and ended from any thread, by a task each. */
#include "base/alloc.h"
#include "manager/manager.h"

struct fl_keys {
    struct fl_connmgr *mgr;
    struct fl_keys_events events;
    void *arg;
    struct fl_task begin, end; /* posted, once each */
    struct fl_names *names;    /* NULL: not begun, or it could not be */
    void (*done)(void *arg);
    void *done_arg;
};

static void on_name(void *arg, struct fl_str service) {
    struct fl_keys *keys = arg;
    struct fl_str ns, name;
    char text[512];
    if (!fl_str_split(service, '/', &ns, &name)) name = service;
    fl_str_copy(text, sizeof(text), name);
    keys->events.on_key(keys->arg, text);
}

static void on_synced(void *arg) {
    struct fl_keys *keys = arg;
    if (keys->events.on_listed) keys->events.on_listed(keys->arg);
}

static void on_trouble(void *arg, const struct fl_error *trouble) {
    struct fl_keys *keys = arg;
    if (keys->events.on_trouble)
        keys->events.on_trouble(keys->arg, trouble->code == FL_OK ? NULL : trouble);
}

static void begin(struct fl_task *task) {
    static const struct fl_names_events events = {on_name, on_synced, on_trouble};
    struct fl_keys *keys = FL_CONTAINER(task, struct fl_keys, begin);
    struct fl_connmgr *mgr = keys->mgr;
    struct fl_error err;
    int rc = fl_discovery_watch_names(mgr->discovery, mgr->scheme, fl_str_of(mgr->ns), &events,
                                      keys, &keys->names, &err);
    if (rc != 0) {
        keys->names = NULL;
        on_trouble(keys, &err);
    }
}

static void end(struct fl_task *task) {
    struct fl_keys *keys = FL_CONTAINER(task, struct fl_keys, end);
    struct fl_connmgr *mgr = keys->mgr;
    if (keys->names) fl_names_close(keys->names);
    void (*done)(void *arg) = keys->done;
    void *arg = keys->done_arg;
    fl_free(keys);
    if (done) done(arg);
    atomic_fetch_sub(&mgr->shared_data.requests, 1);
    fl_connmgr_release(mgr);
}

int fl_connmgr_watch_keys(struct fl_connmgr *mgr, const struct fl_keys_events *events, void *arg,
                          struct fl_keys **out, struct fl_error *err) {
    if (!events || !events->on_key) return fl_fail(err, FL_EUSAGE, "keys need a callback");
    struct fl_keys *keys = FL_NEW(struct fl_keys);
    if (!keys) return fl_fail_nomem(err);
    keys->mgr = mgr;
    keys->events = *events;
    keys->arg = arg;
    fl_task_init(&keys->begin, begin);
    fl_task_init(&keys->end, end);
    atomic_fetch_add(&mgr->shared_data.requests, 1);
    *out = keys; /* before the loop may call */
    fl_io_post(mgr->io, &keys->begin);
    return 0;
}

void fl_connmgr_unwatch_keys(struct fl_keys *keys, void (*done)(void *arg), void *arg) {
    keys->done = done;
    keys->done_arg = arg;
    fl_io_post(keys->mgr->io, &keys->end);
}
