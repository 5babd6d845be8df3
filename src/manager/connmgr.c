/* connmgr.c - the life of a connection manager, and what names stand for.
 *
 * Everything happens on the discovery's loop; requests come there as posted tasks. Closing ends
 * what waits and lets go of every conn. Those that somebody holds end with their holders, and after
 * the last of them a deferred task ends the manager: nothing that runs above it may still use it.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "manager/conn.h"
#include "manager/wait.h"

#define READY_TIMEOUT_MS  5000
#define EXCLUDED_PORT     10001
#define RECEIVE_BYTES_MAX (10u * 1024 * 1024)
#define SEND_BYTES_MAX    (20u * 1024 * 1024)
#define TEXT_MAX          ((size_t)4096)

/* --- options and names, from any thread --- */

static void fill_in(struct fl_channel_options *options) {
    if (!options->receive_bytes_max) options->receive_bytes_max = RECEIVE_BYTES_MAX;
    if (!options->send_bytes_max) options->send_bytes_max = SEND_BYTES_MAX;
    if (!options->excluded_port) options->excluded_port = EXCLUDED_PORT;
}

void fl_connmgr_set_channel_options(struct fl_connmgr *mgr,
                                    const struct fl_channel_options *options) {
    struct fl_channel_options filled = *options;
    fill_in(&filled);
    fl_lock_enter(&mgr->shared_data.lock);
    mgr->shared_data.options = filled;
    fl_lock_leave(&mgr->shared_data.lock);
}

struct fl_channel_options fl_connmgr_options(struct fl_connmgr *mgr) {
    fl_lock_enter(&mgr->shared_data.lock);
    struct fl_channel_options options = mgr->shared_data.options;
    fl_lock_leave(&mgr->shared_data.lock);
    return options;
}

int fl_connmgr_add_target(struct fl_connmgr *mgr, const char *name, const char *target,
                          struct fl_error *err) {
    if (!name || !name[0] || !target || !target[0])
        return fl_fail(err, FL_EUSAGE, "a custom target needs a name and a target");
    void *old = NULL;
    char *copy = fl_strdup(target);
    if (!copy) return fl_fail_nomem(err);
    fl_lock_enter(&mgr->shared_data.lock);
    int rc = fl_map_set(&mgr->shared_data.targets, fl_str_of(name), copy, &old);
    fl_lock_leave(&mgr->shared_data.lock);
    fl_free(rc == 0 ? old : copy);
    return rc == 0 ? 0 : fl_fail_nomem(err);
}

static char *custom_target(struct fl_connmgr *mgr, const char *name, bool *custom) {
    fl_lock_enter(&mgr->shared_data.lock);
    const char *target = fl_map_get(&mgr->shared_data.targets, fl_str_of(name));
    *custom = target != NULL;
    char *copy = target ? fl_strdup(target) : NULL;
    fl_lock_leave(&mgr->shared_data.lock);
    return copy;
}

static bool is_target(const char *name) {
    return strstr(name, ":///") || fl_str_starts(fl_str_of(name), FL_STR("static:"));
}

int fl_connmgr_target(struct fl_connmgr *mgr, const char *name, char **out, bool *custom) {
    *out = custom_target(mgr, name, custom);
    if (*custom) return *out ? 0 : FL_ENOMEM;
    *custom = is_target(name);
    struct fl_buf text;
    fl_buf_init(&text, TEXT_MAX + strlen(name));
    bool qualified = strchr(name, '/') || !mgr->ns[0];
    int rc = *custom ? fl_buf_append(&text, fl_str_of(name))
                     : fl_buf_printf(&text, "%s:///%s%s%s", mgr->scheme, qualified ? "" : mgr->ns,
                                     qualified ? "" : "/", name);
    *out = rc == 0 ? fl_buf_steal_text(&text) : NULL;
    fl_buf_deinit(&text);
    return *out ? 0 : FL_ENOMEM;
}

/* --- registering --- */

static int nothing_to_do(const struct fl_connmgr *mgr, struct fl_error *err) {
    if (strcmp(mgr->scheme, "kubernetes") == 0) return 0;
    return fl_fail(err, FL_EUSAGE, "services of \"%s\" cannot be registered", mgr->scheme);
}

int fl_connmgr_register(struct fl_connmgr *mgr, const char *service, const char *target,
                        struct fl_error *err) {
    if (!service || !target) return fl_fail(err, FL_EUSAGE, "what is to be registered where?");
    return nothing_to_do(mgr, err);
}

int fl_connmgr_unregister(struct fl_connmgr *mgr, const char *service, struct fl_error *err) {
    if (!service) return fl_fail(err, FL_EUSAGE, "what is to be unregistered?");
    return nothing_to_do(mgr, err);
}

/* --- the end --- */

static void mgr_free(struct fl_connmgr *mgr) {
    struct fl_str name;
    void *target;
    for (size_t cursor = 0; fl_map_next(&mgr->shared_data.targets, &cursor, &name, &target);)
        fl_free(target);
    fl_map_deinit(&mgr->shared_data.targets);
    fl_lock_deinit(&mgr->shared_data.lock);
    fl_map_deinit(&mgr->loop_data.conns);
    fl_free(mgr->ns);
    fl_free(mgr->scheme);
    fl_free(mgr->gateway);
    fl_free(mgr->node);
    fl_free(mgr->hostname);
    fl_free(mgr);
}

static void settle(struct fl_task *task) {
    struct fl_connmgr *mgr = FL_CONTAINER(task, struct fl_connmgr, loop_data.settle);
    if (mgr->loop_data.open > 0 || atomic_load(&mgr->shared_data.requests) > 0) return;
    void (*done)(void *arg) = mgr->shared_data.done;
    void *arg = mgr->shared_data.arg;
    FL_JOURNAL(&mgr->journal, CLOSED, NULL, FL_LOG_INT("count", mgr->loop_data.total));
    mgr_free(mgr);
    if (done) done(arg);
}

void fl_connmgr_release(struct fl_connmgr *mgr) {
    if (mgr->loop_data.closing) fl_io_defer(mgr->io, &mgr->loop_data.settle);
}

static void close_conn(struct fl_conn *conn, const struct fl_error *why) {
    struct fl_connmgr *mgr = conn->mgr;
    size_t count = conn->loop_data.endpoints.count;
    mgr->loop_data.total += count;
    FL_JOURNAL(&mgr->journal, CLOSING_SERVICE, NULL, FL_LOG_INT("count", count),
               FL_LOG_TEXT_OF("name", conn->name));
    fl_connmgr_request_end_all(&conn->loop_data.waiting, why);
    fl_connmgr_request_end_all(&conn->loop_data.unready, why);
    fl_conn_forget(conn);
}

static void run_close(struct fl_task *task) {
    struct fl_connmgr *mgr = FL_CONTAINER(task, struct fl_connmgr, shared_data.close);
    struct fl_list *conns = &mgr->loop_data.conn_list;
    struct fl_error why;
    fl_fail(&why, FL_ESHUTDOWN, "the connection manager was closed");
    mgr->loop_data.closing = true;
    FL_JOURNAL(&mgr->journal, CLOSING, NULL);
    while (!fl_list_empty(conns))
        close_conn(FL_CONTAINER(conns->next, struct fl_conn, loop_data.link), &why);
    fl_self_end_all(mgr, &why);
    fl_connmgr_release(mgr);
}

void fl_connmgr_close(struct fl_connmgr *mgr, void (*done)(void *arg), void *arg) {
    mgr->shared_data.done = done;
    mgr->shared_data.arg = arg;
    fl_io_post(mgr->io, &mgr->shared_data.close);
}

/* --- the beginning --- */

static char *variable(struct fl_io *io, const char *name) {
    const char *value = fl_io_env(io, name);
    return fl_strdup(value ? value : "");
}

static int read_environment(struct fl_connmgr *mgr, struct fl_error *err) {
    if (!mgr->node) mgr->node = variable(mgr->io, "NODE_NAME");
    mgr->hostname = variable(mgr->io, "HOSTNAME");
    return mgr->node && mgr->hostname ? 0 : fl_fail_nomem(err);
}

/* Reads the configuration; on the loop. */
static int start(struct fl_connmgr *mgr, struct fl_error *err) {
    const struct fl_journal *journal = &mgr->journal;
    struct fl_buf ns;
    struct fl_error why;
    fl_buf_init(&ns, TEXT_MAX);
    int rc = fl_discovery_prepare(mgr->discovery, mgr->scheme, &ns, &why);
    struct fl_str text = mgr->ns ? fl_str_of(mgr->ns) : fl_buf_str(&ns);
    FL_JOURNAL(journal, START, NULL, FL_LOG_STR("namespace", text));
    if (rc == 0 && !mgr->ns) mgr->ns = fl_str_dup(text);
    fl_buf_deinit(&ns);
    if (rc == 0 && !mgr->ns) rc = fl_fail_nomem(&why);
    if (rc == 0) rc = read_environment(mgr, &why);
    if (rc != 0) {
        FL_JOURNAL(journal, CONFIG_FAILED, NULL, FL_LOG_ERROR_OF(&why));
        return fl_error_copy(err, &why);
    }
    FL_JOURNAL(journal, CONFIG, NULL);
    FL_JOURNAL(journal, CLIENTSET, NULL);
    FL_JOURNAL(journal, WATCHER, NULL);
    FL_JOURNAL(journal, STARTED, NULL);
    return 0;
}

struct starting {
    struct fl_connmgr *mgr;
    struct fl_task task;
    struct fl_wait wait;
};

static void run_start(struct fl_task *task) {
    struct starting *starting = FL_CONTAINER(task, struct starting, task);
    struct fl_error err;
    int rc = start(starting->mgr, &err);
    fl_wait_over(&starting->wait, rc == 0 ? NULL : &err);
}

static int start_and_wait(struct fl_connmgr *mgr, struct fl_error *err) {
    struct starting starting = {.mgr = mgr};
    if (fl_io_on_thread(mgr->io)) return start(mgr, err);
    int rc = fl_wait_init(&starting.wait, mgr, NULL, err);
    if (rc != 0) return rc;
    fl_task_init(&starting.task, run_start);
    fl_io_post(mgr->io, &starting.task);
    return fl_wait_finish(&starting.wait, 0, err);
}

static bool copy_text(const char *from, char **to) {
    *to = from ? fl_strdup(from) : NULL;
    return !from || *to;
}

int fl_connmgr_new(struct fl_discovery *discovery, const struct fl_connmgr_options *options,
                   struct fl_connmgr **out, struct fl_error *err) {
    static const struct fl_connmgr_options defaults;
    if (!options) options = &defaults;
    struct fl_connmgr *mgr = FL_NEW(struct fl_connmgr);
    if (!mgr) return fl_fail_nomem(err);
    mgr->io = fl_discovery_io(discovery);
    mgr->discovery = discovery;
    mgr->journal = (struct fl_journal){mgr->io, options->log_style};
    mgr->ready_timeout_ms =
        options->ready_timeout_ms ? options->ready_timeout_ms : READY_TIMEOUT_MS;
    mgr->dns = options->dns;
    fl_map_init(&mgr->loop_data.conns, (uint64_t)(uintptr_t)mgr);
    fl_list_init(&mgr->loop_data.conn_list);
    fl_list_init(&mgr->loop_data.selves);
    fl_task_init(&mgr->loop_data.settle, settle);
    fl_lock_init(&mgr->shared_data.lock);
    fl_map_init(&mgr->shared_data.targets, (uint64_t)(uintptr_t)mgr);
    fl_task_init(&mgr->shared_data.close, run_close);
    fl_connmgr_set_channel_options(mgr, &options->channel);
    bool copied = copy_text(options->ns, &mgr->ns) &&
                  copy_text(options->scheme ? options->scheme : "kubernetes", &mgr->scheme) &&
                  copy_text(options->gateway, &mgr->gateway) &&
                  copy_text(options->node, &mgr->node);
    int rc = copied ? start_and_wait(mgr, err) : fl_fail_nomem(err);
    if (rc != 0) {
        mgr_free(mgr);
        return rc;
    }
    *out = mgr;
    return 0;
}
