/* exec_plugin.c - see exec_plugin.h.
 *
 * A run has a deadline and its output a bound. What went wrong is told with the end of what the
 * program said on standard error; its standard output holds secrets and is never shown. */
#include "kube/exec_plugin.h"

#include <stdio.h>

#include "base/alloc.h"
#include "kube/secret.h"

#define RUN_MS_MAX 60000
#define SAID_MAX   ((size_t)120)

struct fl_exec_plugin {
    struct fl_io *io;
    struct fl_process *process;                 /* NULL: none is running */
    char *command, *install_hint, *api_version; /* of the run */
    fl_exec_plugin_cb *on_done;
    void *arg;
    struct fl_task closed;
    bool closing;
    void (*done)(void *arg);
    void *done_arg;
};

static void run_deinit(struct fl_exec_plugin *plugin) {
    fl_free(plugin->command);
    fl_free(plugin->install_hint);
    fl_free(plugin->api_version);
    plugin->command = plugin->install_hint = plugin->api_version = NULL;
}

void fl_exec_plugin_free(struct fl_exec_plugin *plugin) {
    if (!plugin) return;
    run_deinit(plugin);
    fl_free(plugin);
}

static void on_closed(struct fl_task *task) {
    struct fl_exec_plugin *plugin = FL_CONTAINER(task, struct fl_exec_plugin, closed);
    void (*done)(void *) = plugin->done;
    void *arg = plugin->done_arg;
    fl_exec_plugin_free(plugin);
    done(arg);
}

/* --- the end of a run --- */

/* The last line says what went wrong, mostly. */
static struct fl_str last_line(struct fl_str said) {
    said = fl_str_trim(said);
    for (size_t i = said.n; i > 0; i--)
        if (said.p[i - 1] == '\n') return fl_str_from(said, i);
    return said;
}

static int program_failed(const struct fl_exec_plugin *plugin, const struct fl_spawned *what,
                          struct fl_error *err) {
    struct fl_str said = last_line(what->err);
    char how[48];
    if (what->exit_code < 0)
        snprintf(how, sizeof(how), "was ended by a signal");
    else
        snprintf(how, sizeof(how), "ended with %d", what->exit_code);
    return fl_fail(err, FL_ECONFIG, "exec plugin %.80s %s%s%.*s", plugin->command, how,
                   said.n ? ": " : "", (int)FL_MIN(said.n, SAID_MAX), said.n ? said.p : "");
}

/* It could not be run, or not to its end. */
static int run_failed(const struct fl_exec_plugin *plugin, const struct fl_error *why,
                      struct fl_error *err) {
    const char *hint = plugin->install_hint;
    if (why->code == FL_ENOMEM) return fl_fail_nomem(err);
    if (why->code == FL_ETIMEOUT)
        return fl_fail(err, FL_ETIMEOUT, "exec plugin %.80s did not end within %d s",
                       plugin->command, RUN_MS_MAX / 1000);
    if (why->code == FL_ETOO_LARGE)
        return fl_fail(err, FL_ECONFIG, "exec plugin %.80s printed more than %zu bytes",
                       plugin->command, FL_EXEC_ANSWER_MAX);
    return fl_fail(err, FL_ECONFIG, "exec plugin cannot be run: %.120s%s%.100s", why->detail,
                   hint ? ": " : "", hint ? hint : "");
}

static int answer(const struct fl_exec_plugin *plugin, const struct fl_spawned *what,
                  struct fl_exec_credential *out, struct fl_error *err) {
    struct fl_error why;
    if (what->exit_code != 0) return program_failed(plugin, what, err);
    int rc = fl_exec_credential_parse(what->out, plugin->api_version, out, &why);
    if (rc == FL_OK) return FL_OK;
    if (rc == FL_ECONFIG) fl_error_prefix(&why, "exec plugin %.80s", plugin->command);
    return fl_error_copy(err, &why);
}

static void on_end(void *arg, const struct fl_error *why, const struct fl_spawned *what) {
    struct fl_exec_plugin *plugin = arg;
    struct fl_exec_credential credential;
    struct fl_error told = {.code = FL_OK};
    plugin->process = NULL;
    if (plugin->closing) {
        fl_io_defer(plugin->io, &plugin->closed);
        return;
    }
    fl_exec_credential_init(&credential);
    if (why->code != FL_OK)
        (void)run_failed(plugin, why, &told);
    else
        (void)answer(plugin, what, &credential, &told);
    run_deinit(plugin);
    plugin->on_done(plugin->arg, &told, &credential);
    fl_exec_credential_deinit(&credential);
}

/* --- its beginning --- */

static int start(struct fl_exec_plugin *plugin, const struct fl_kube_exec *exec,
                 const char *const *env, struct fl_error *err) {
    const struct fl_spawn spawn = {
        .argv = (const char *const *)exec->argv.list,
        .env = env,
        .deadline_ms = fl_io_now_ms(plugin->io) + RUN_MS_MAX,
        .out_max = FL_EXEC_ANSWER_MAX,
    };
    plugin->command = fl_strdup(exec->argv.list[0]);
    plugin->api_version = fl_strdup(exec->api_version);
    if (exec->install_hint) plugin->install_hint = fl_strdup(exec->install_hint);
    if (!plugin->command || !plugin->api_version || (exec->install_hint && !plugin->install_hint))
        return fl_fail_nomem(err);
    return fl_io_spawn(plugin->io, &spawn, on_end, plugin, &plugin->process, err);
}

int fl_exec_plugin_run(struct fl_exec_plugin *plugin, const struct fl_kube_config *config,
                       struct fl_error *err) {
    struct fl_texts env = {0};
    struct fl_buf info;
    if (plugin->process) return FL_OK;
    fl_buf_init(&info, SIZE_MAX);
    int rc = fl_exec_info_append(&info, config);
    if (rc == FL_OK) rc = fl_texts_copy(&env, &config->exec.env);
    if (rc == FL_OK) rc = fl_texts_add(&env, fl_buf_str(&info), FL_STR_NONE);
    rc = rc < 0 ? fl_fail_nomem(err)
                : start(plugin, &config->exec, (const char *const *)env.list, err);
    if (rc < 0) run_deinit(plugin);
    fl_texts_deinit(&env);
    fl_secret_buf_deinit(&info);
    return rc;
}

bool fl_exec_plugin_running(const struct fl_exec_plugin *plugin) { return plugin->process != NULL; }

int fl_exec_plugin_new(struct fl_io *io, fl_exec_plugin_cb *on_done, void *arg,
                       struct fl_exec_plugin **out) {
    struct fl_exec_plugin *plugin = FL_NEW(struct fl_exec_plugin);
    *out = plugin;
    if (!plugin) return FL_ENOMEM;
    plugin->io = io;
    plugin->on_done = on_done;
    plugin->arg = arg;
    fl_task_init(&plugin->closed, on_closed);
    return FL_OK;
}

void fl_exec_plugin_close(struct fl_exec_plugin *plugin, void (*done)(void *arg), void *arg) {
    plugin->closing = true;
    plugin->done = done;
    plugin->done_arg = arg;
    if (plugin->process)
        fl_process_kill(plugin->io, plugin->process);
    else
        fl_io_defer(plugin->io, &plugin->closed);
}
