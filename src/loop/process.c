/* process.c - programs that this one runs: started, heard, reaped. The loop's thread.
 *
 * Not uv_spawn, which installs a handler for SIGCHLD: that signal belongs to the program that links
 * this library. posix_spawn starts the program; a descriptor of the process (pidfd) is readable
 * when it has ended, and only this one child is waited for. Its standard input is /dev/null, its
 * outputs are pipes. It is the leader of a process group of its own, so that what it has started in
 * turn is killed with it, and begins without blocked or ignored signals, of which a thread of ours
 * has many.
 *
 *     RUNNING -> DYING (killed, `why` says for what) -> ENDED (reaped; handles are being closed)
 *
 * DYING has a deadline as well: what runs as another user (sudo, say) may not be ours to kill, and
 * is left behind. The end of the program counts, not that of its outputs, which a program left
 * behind by it may hold open: what is in the pipes then is read, and no more is waited for. */
#include "loop/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/secret.h"
#include "base/sm.h"
#include "loop/inside.h"
#include "loop/poll.h"

#define ERR_MAX  ((size_t)4 * 1024)
#define DYING_MS UINT64_C(2000)

enum { RUNNING, DYING, ENDED };

static const uint32_t moves[] = {
    [RUNNING] = FL_TO(DYING) | FL_TO(ENDED),
    [DYING] = FL_TO(ENDED),
    [ENDED] = 0,
};

/* One of the program's outputs. */
struct output {
    struct fl_poll poll;
    bool open;
    struct fl_process *process;
    struct fl_buf text;
};

struct fl_process {
    struct fl_loop *loop;
    fl_spawn_cb *done;
    void *arg;
    char *name; /* argv[0] */
    int state;
    pid_t pid;             /* 0: was not started */
    struct fl_poll status; /* its pidfd */
    bool watched;          /* `status` is open */
    struct output out, err;
    unsigned handles; /* of the three polls, not yet closed */
    struct fl_timer deadline;
    struct fl_task ended;
    int exit_code;
    struct fl_error why;
};

/* --- the end --- */

/* What a credential plugin says is a secret. */
static void process_free(struct fl_process *p) {
    if (!p) return;
    fl_io_timer_deinit(&p->loop->io, &p->deadline);
    fl_secret_buf_deinit(&p->out.text);
    fl_secret_buf_deinit(&p->err.text);
    fl_free(p->name);
    fl_free(p);
}

static void run_ended(struct fl_task *task) {
    struct fl_process *p = FL_CONTAINER(task, struct fl_process, ended);
    struct fl_spawned what = {p->exit_code, fl_buf_str(&p->out.text), fl_buf_str(&p->err.text)};
    p->done(p->arg, &p->why, &what);
    p->loop->live--;
    process_free(p);
}

static void handle_closed(struct fl_process *p) {
    if (--p->handles == 0 && p->state == ENDED) fl_io_defer(&p->loop->io, &p->ended);
}

static void on_status_closed(struct fl_poll *poll) {
    handle_closed(FL_CONTAINER(poll, struct fl_process, status));
}

static void on_output_closed(struct fl_poll *poll) {
    handle_closed(FL_CONTAINER(poll, struct output, poll)->process);
}

static void close_output(struct output *output) {
    if (!output->open) return;
    output->open = false;
    fl_poll_close(&output->poll, on_output_closed);
}

static void finish(struct fl_process *p) {
    fl_sm_move(&p->state, moves, ENDED);
    fl_io_timer_clear(&p->loop->io, &p->deadline);
    close_output(&p->out);
    close_output(&p->err);
    if (p->watched) fl_poll_close(&p->status, on_status_closed);
    if (p->handles == 0) fl_io_defer(&p->loop->io, &p->ended);
}

static void doom(struct fl_process *p) {
    struct fl_io *io = &p->loop->io;
    if (p->state != RUNNING) return;
    fl_sm_move(&p->state, moves, DYING);
    kill(-p->pid, SIGKILL);
    fl_io_timer_set(io, &p->deadline, fl_io_now_ms(io) + DYING_MS);
}

void fl_process_end(struct fl_process *p) {
    fl_fail(&p->why, FL_ECANCELLED, "%s: killed by the caller", p->name);
    doom(p);
}

static void on_deadline(struct fl_timer *timer) {
    struct fl_process *p = FL_CONTAINER(timer, struct fl_process, deadline);
    if (p->state == DYING) {
        finish(p);
        return;
    }
    fl_fail(&p->why, FL_ETIMEOUT, "%s: did not end in time and was killed", p->name);
    doom(p);
}

/* --- listening --- */

/* Memory that it grows out of is wiped. */
static int append(struct fl_buf *text, struct fl_str bytes) {
    size_t need = text->len + bytes.n;
    if (need > text->max) return FL_EFULL;
    if (need > text->cap) {
        struct fl_buf grown;
        fl_buf_init(&grown, text->max);
        if (!fl_buf_reserve(&grown, FL_MIN(2 * need, text->max))) return FL_ENOMEM;
        int rc = fl_buf_append(&grown, fl_buf_str(text));
        FL_ASSERT(rc == 0); /* there is room */
        fl_secret_buf_deinit(text);
        *text = grown;
    }
    return fl_buf_append(text, bytes);
}

static void keep(struct fl_process *p, struct output *output, struct fl_str bytes) {
    if (output == &p->err) bytes.n = FL_MIN(bytes.n, ERR_MAX - output->text.len);
    int rc = append(&output->text, bytes);
    if (rc == 0 || p->state != RUNNING) return;
    if (rc == FL_ENOMEM) {
        fl_fail_nomem(&p->why);
    } else {
        fl_fail(&p->why, FL_ETOO_LARGE, "%s: more than %zu bytes of output", p->name,
                output->text.max);
    }
    doom(p);
}

/* One piece of an output; false: there is none now. */
static bool hear(struct fl_process *p, struct output *output) {
    char *input = p->loop->input;
    ssize_t n;
    do {
        n = read(output->poll.fd, input, FL_LOOP_BUFFER);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) return false;
    if (n <= 0) {
        close_output(output);
        return false;
    }
    keep(p, output, fl_str_n(input, (size_t)n));
    explicit_bzero(input, (size_t)n);
    return true;
}

static void on_output(struct fl_poll *poll, int events) {
    struct output *output = FL_CONTAINER(poll, struct output, poll);
    FL_UNUSED(events);
    hear(output->process, output);
    if (output->open) fl_poll_want(poll, UV_READABLE);
}

/* What is left in a pipe: no more than a pipe holds, lest a survivor that writes on keep us. */
static void hear_out(struct fl_process *p, struct output *output) {
    for (int i = 0; i < 16 && output->open && p->state == RUNNING; i++) {
        if (!hear(p, output)) return;
    }
}

/* Somebody else has reaped it. */
static void fail_lost(struct fl_process *p) {
    fl_fail(&p->why, FL_ESYS,
            "%s: how it ended is not known: this program waits for every child, or ignores SIGCHLD",
            p->name);
}

/* The program has ended. It stays a zombie until its outputs are read, so that its number, which is
 * its group's, is nobody else's when that group is killed for them. */
static void on_status(struct fl_poll *poll, int events) {
    struct fl_process *p = FL_CONTAINER(poll, struct fl_process, status);
    siginfo_t info = {0};
    FL_UNUSED(events);
    int rc = waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    if (rc == 0 && info.si_pid == 0) {
        fl_poll_want(poll, UV_READABLE); /* not yet, after all */
        return;
    }
    if (rc < 0) {
        if (p->state == RUNNING) fail_lost(p);
        finish(p);
        return;
    }
    hear_out(p, &p->out);
    hear_out(p, &p->err);
    if (p->state == RUNNING && info.si_code == CLD_EXITED) p->exit_code = info.si_status;
    waitid(P_PID, (id_t)p->pid, NULL, WEXITED | WNOHANG);
    finish(p);
}

/* --- the start --- */

static bool is_overridden(const char *entry, const char *const *by) {
    size_t n = strcspn(entry, "=") + 1;
    for (; by && *by; by++) {
        if (strncmp(*by, entry, n) == 0) return true;
    }
    return false;
}

/* This process's environment and `more`, which wins, of its own entries the last one; borrowed
 * strings. NULL: no memory. */
static const char **merge_environment(const char *const *more) {
    size_t count = 1, n = 0;
    for (char **e = environ; *e; e++) count++;
    for (const char *const *m = more; m && *m; m++) count++;
    const char **all = fl_calloc(count, sizeof(*all));
    if (!all) return NULL;
    for (char **e = environ; *e; e++) {
        if (!is_overridden(*e, more)) all[n++] = *e;
    }
    for (; more && *more; more++) {
        if (!is_overridden(*more, more + 1)) all[n++] = *more;
    }
    return all;
}

static int set_attributes(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setpgroup(attributes, 0);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP);
}

/* The outputs before the input: a pipe's end may have got the number 0, never one below its
 * place. */
static int set_files(posix_spawn_file_actions_t *files, int out, int err) {
    int rc = posix_spawn_file_actions_adddup2(files, out, STDOUT_FILENO);
    if (rc == 0) rc = posix_spawn_file_actions_adddup2(files, err, STDERR_FILENO);
    if (rc) return rc;
    return posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
}

/* 0 or an errno value. */
static int run(struct fl_process *p, const struct fl_spawn *spawn, const char **environment,
               int out, int err) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int rc = posix_spawn_file_actions_init(&files);
    if (rc) return rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc) goto done;
    rc = set_files(&files, out, err);
    if (rc == 0) rc = set_attributes(&attributes);
    if (rc == 0) {
        rc = posix_spawnp(&p->pid, spawn->argv[0], &files, &attributes, (char *const *)spawn->argv,
                          (char *const *)environment);
        if (rc) p->pid = 0; /* POSIX leaves it unspecified */
    }
    posix_spawnattr_destroy(&attributes);
done:
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

/* Makes a pipe whose reading end is watched; returns the writing end or a negated errno value. */
static int open_output(struct fl_process *p, struct output *output) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    int rc = fl_poll_init(&output->poll, p->loop, ends[0], on_output);
    if (rc < 0) {
        close(ends[0]);
        close(ends[1]);
        return rc;
    }
    output->process = p;
    output->open = true;
    p->handles++;
    fl_poll_want(&output->poll, UV_READABLE);
    return ends[1];
}

/* 0 or an errno value. */
static int watch(struct fl_process *p) {
    int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    int rc = fd < 0 ? -errno : fl_poll_init(&p->status, p->loop, fd, on_status);
    if (rc == 0) {
        p->watched = true;
        p->handles++;
        fl_poll_want(&p->status, UV_READABLE);
        return 0;
    }
    if (fd >= 0) close(fd);
    if (rc != -ESRCH) { /* else it has ended, and was reaped, and the number is another's */
        kill(-p->pid, SIGKILL);
        waitid(P_PID, (id_t)p->pid, NULL, WEXITED);
    }
    p->pid = 0;
    return -rc;
}

/* 0 or an errno value; then nothing runs. */
static int start(struct fl_process *p, const struct fl_spawn *spawn, const char **environment) {
    int out = open_output(p, &p->out);
    if (out < 0) return -out;
    int err = open_output(p, &p->err);
    int rc = err < 0 ? -err : run(p, spawn, environment, out, err);
    close(out);
    if (err >= 0) close(err);
    return rc ? rc : watch(p);
}

static int process_new(struct fl_loop *loop, const char *name, struct fl_process **out) {
    struct fl_process *p = FL_NEW(struct fl_process);
    if (!p) return FL_ENOMEM;
    p->loop = loop;
    p->state = RUNNING;
    p->exit_code = -1;
    p->name = fl_strdup(name);
    fl_buf_init(&p->err.text, ERR_MAX);
    fl_task_init(&p->ended, run_ended);
    if (!p->name || fl_io_timer_init(&loop->io, &p->deadline, on_deadline) < 0) {
        process_free(p);
        return FL_ENOMEM;
    }
    *out = p;
    return 0;
}

int fl_process_new(struct fl_io *io, const struct fl_spawn *spawn, fl_spawn_cb *done, void *arg,
                   struct fl_process **out, struct fl_error *err) {
    struct fl_process *p = NULL;
    if (!spawn->argv || !spawn->argv[0] || !spawn->argv[0][0] || !spawn->deadline_ms) {
        return fl_fail(err, FL_EUSAGE, "a program to run needs a name and a deadline");
    }
    const char **environment = merge_environment(spawn->env);
    if (!environment || process_new(fl_loop_of(io), spawn->argv[0], &p) < 0) {
        fl_free(environment);
        return fl_fail_nomem(err);
    }
    p->done = done;
    p->arg = arg;
    fl_buf_init(&p->out.text, spawn->out_max);
    p->loop->live++;
    int error = start(p, spawn, environment);
    fl_free(environment);
    if (error == ESRCH) {
        fail_lost(p);
        finish(p);
    } else if (error) {
        fl_fail(&p->why, FL_ESYS, "%s: %s", p->name, uv_strerror(uv_translate_sys_error(error)));
        finish(p);
    } else {
        fl_io_timer_set(io, &p->deadline, spawn->deadline_ms);
    }
    *out = p;
    return 0;
}
