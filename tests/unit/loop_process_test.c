/* loop_process_test.c - programs that are run, by small ones of the system's shell. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/alloc.h"
#include "support/loop_peer.h"

struct run {
    struct fl_runtime *runtime;
    struct fl_io *io;
    struct fl_process *process;
    bool in_call, done;
    int calls, exit_code;
    struct fl_error why;
    char out[256], err[8192];
    size_t out_n, err_n;
};

static void on_done(void *arg, const struct fl_error *why, const struct fl_spawned *what) {
    struct run *r = arg;
    assert_false(r->in_call);
    r->done = true;
    r->calls++;
    r->why = *why;
    r->exit_code = what->exit_code;
    r->out_n = what->out.n;
    r->err_n = what->err.n;
    fl_str_copy(r->out, sizeof(r->out), what->out);
    fl_str_copy(r->err, sizeof(r->err), what->err);
}

static void start(struct run *r) {
    *r = (struct run){.runtime = fl_test_loop_new()};
    r->io = r->runtime->io;
}

static int begin(struct run *r, const char *const *argv, const char *const *env, uint64_t in_ms) {
    struct fl_spawn spawn = {
        .argv = argv, .env = env, .deadline_ms = fl_io_now_ms(r->io) + in_ms, .out_max = 100};
    struct fl_error err;
    r->in_call = true;
    r->done = false;
    int rc = fl_io_spawn(r->io, &spawn, on_done, r, &r->process, &err);
    r->in_call = false;
    return rc;
}

static void begin_shell(struct run *r, const char *script, uint64_t in_ms) {
    const char *const argv[] = {"sh", "-c", script, NULL};
    assert_int_equal(begin(r, argv, NULL, in_ms), 0);
}

static void finish(struct run *r) {
    fl_test_loop_until_true(r->runtime, &r->done);
    assert_int_equal(r->calls, 1);
    fl_runtime_free(r->runtime);
}

static void run_shell(struct run *r, const char *script, uint64_t in_ms) {
    start(r);
    begin_shell(r, script, in_ms);
    finish(r);
}

static void test_output_and_exit_code(void **state) {
    (void)state;
    struct run r;
    run_shell(&r, "printf token; printf oh >&2; exit 3", 30000);
    assert_int_equal(r.why.code, FL_OK);
    assert_int_equal(r.exit_code, 3);
    assert_string_equal(r.out, "token");
    assert_string_equal(r.err, "oh");
}

static void test_input_is_empty(void **state) {
    (void)state;
    struct run r;
    run_shell(&r, "cat; echo done", 30000);
    assert_string_equal(r.out, "done\n");
}

/* A quote, a blank and a semicolon mean nothing: there is no shell between. */
static void test_arguments_are_taken_as_they_are(void **state) {
    (void)state;
    const char *const argv[] = {"printf", "%s|", "a b", "$HOME;'", NULL};
    struct run r;
    start(&r);
    assert_int_equal(begin(&r, argv, NULL, 30000), 0);
    finish(&r);
    assert_string_equal(r.out, "a b|$HOME;'|");
}

static void test_environment_is_merged(void **state) {
    (void)state;
    const char *const argv[] = {
        "/bin/sh", "-c",
        "cat /proc/$$/environ | tr '\\0' '\\n' | grep -c -e ^BOTH -e ^THEIRS;"
        "echo $OURS $THEIRS $BOTH",
        NULL};
    const char *const env[] = {"THEIRS=not this", "THEIRS=given", "BOTH=given", NULL};
    struct run r;
    setenv("OURS", "kept", 1);
    setenv("BOTH", "lost", 1);
    start(&r);
    assert_int_equal(begin(&r, argv, env, 30000), 0);
    finish(&r);
    assert_string_equal(r.out, "2\nkept given given\n");
}

static void test_no_such_program(void **state) {
    (void)state;
    const char *const argv[] = {"/no/such/program", NULL};
    struct run r;
    start(&r);
    assert_int_equal(begin(&r, argv, NULL, 30000), 0);
    finish(&r);
    assert_int_equal(r.why.code, FL_ESYS);
    assert_string_equal(r.why.detail, "/no/such/program: no such file or directory");
    assert_int_equal(r.exit_code, -1);
}

static void test_deadline_kills_it(void **state) {
    (void)state;
    struct run r;
    run_shell(&r, "printf some; sleep 1000", 200);
    assert_int_equal(r.why.code, FL_ETIMEOUT);
    assert_int_equal(r.exit_code, -1);
}

/* What it has started holds its outputs open, and would hold us. */
static void test_its_children_are_killed_with_it(void **state) {
    (void)state;
    struct run r;
    run_shell(&r, "sleep 1000 & echo $!; wait", 300);
    assert_int_equal(r.why.code, FL_ETIMEOUT);
    pid_t child = (pid_t)atoi(r.out);
    assert_true(child > 0);
    for (int i = 0; i < 1000 && kill(child, 0) == 0; i++) { /* until init has reaped it */
        char path[64], state_of[64] = "";
        snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
        FILE *file = fopen(path, "r");
        if (!file) break;
        bool zombie = fgets(state_of, sizeof(state_of), file) && strstr(state_of, ") Z");
        fclose(file);
        if (zombie) break;
        assert_true(i < 999);
        usleep(10000);
    }
}

static void test_what_it_leaves_behind_does_not_hold_us(void **state) {
    (void)state;
    struct run r;
    run_shell(&r, "sleep 30 & printf token", 20000);
    assert_int_equal(r.why.code, FL_OK);
    assert_string_equal(r.out, "token");
}

static void test_too_much_output(void **state) {
    (void)state;
    struct run r;
    run_shell(&r, "yes", 30000);
    assert_int_equal(r.why.code, FL_ETOO_LARGE);
    assert_string_equal(r.why.detail, "sh: more than 100 bytes of output");
    run_shell(&r, "yes | head -c 100", 30000); /* as much as fits */
    assert_int_equal(r.why.code, FL_OK);
    assert_int_equal(r.out_n, 100);
    run_shell(&r, "yes | head -c 101", 30000);
    assert_int_equal(r.why.code, FL_ETOO_LARGE);
}

static void test_standard_error_is_cut(void **state) {
    (void)state;
    struct run r;
    run_shell(&r, "yes | head -c 100000 >&2; printf token", 30000);
    assert_int_equal(r.why.code, FL_OK);
    assert_string_equal(r.out, "token");
    assert_int_equal(r.err_n, 4096);
}

static void test_ended_by_a_signal(void **state) {
    (void)state;
    struct run r;
    run_shell(&r, "kill -TERM $$", 30000);
    assert_int_equal(r.why.code, FL_OK);
    assert_int_equal(r.exit_code, -1);
}

static bool kill_is_refused;

/* In place of the C library's. */
int kill(pid_t pid, int sig) {
    if (!kill_is_refused) return (int)syscall(SYS_kill, pid, sig);
    errno = EPERM;
    return -1;
}

/* It runs as another user, say. */
static void test_what_cannot_be_killed_is_left_behind(void **state) {
    (void)state;
    struct run r;
    start(&r);
    begin_shell(&r, "echo $$; exec sleep 1000", 300);
    kill_is_refused = true;
    fl_test_loop_until_true(r.runtime, &r.done);
    kill_is_refused = false;
    assert_int_equal(r.why.code, FL_ETIMEOUT);
    pid_t pid = (pid_t)atoi(r.out);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    finish(&r);
}

static void test_kill(void **state) {
    (void)state;
    struct run r;
    start(&r);
    begin_shell(&r, "sleep 1000", 30000);
    fl_process_kill(r.io, r.process);
    assert_int_equal(r.calls, 0);
    finish(&r);
    assert_int_equal(r.why.code, FL_ECANCELLED);
    start(&r);
    const char *const argv[] = {"/no/such/program", NULL};
    assert_int_equal(begin(&r, argv, NULL, 30000), 0);
    fl_process_kill(r.io, r.process);
    finish(&r);
    assert_int_equal(r.why.code, FL_ECANCELLED);
}

/* A thread of ours has its signals blocked, a program may ignore some: no child inherits that. */
static void test_signals_are_its_own(void **state) {
    (void)state;
    struct run r;
    sigset_t block, before;
    sigemptyset(&block);
    sigaddset(&block, SIGTERM);
    sigprocmask(SIG_BLOCK, &block, &before);
    signal(SIGINT, SIG_IGN);
    run_shell(&r, "grep -E 'SigBlk|SigIgn' /proc/self/status", 30000);
    signal(SIGINT, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    unsigned long long blocked = 0, ignored = 0;
    assert_int_equal(sscanf(r.out, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & (1 << (SIGINT - 1)), 0);
}

/* The rest of the program may not care for children, and then the system reaps them. */
static void test_children_are_ignored(void **state) {
    (void)state;
    struct run r;
    signal(SIGCHLD, SIG_IGN);
    run_shell(&r, "printf token", 30000);
    signal(SIGCHLD, SIG_DFL);
    assert_int_equal(r.why.code, FL_ESYS);
    assert_non_null(strstr(r.why.detail, "SIGCHLD"));
}

static size_t count_descriptors(void) {
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir)) n++;
    closedir(dir);
    return n;
}

static void test_no_descriptor_is_left(void **state) {
    (void)state;
    struct run r;
    char expected[16] = "";
    size_t before = count_descriptors();
    FILE *pipe = popen("ls /proc/self/fd | wc -l", "re");
    assert_non_null(fgets(expected, sizeof(expected), pipe));
    pclose(pipe);
    run_shell(&r, "ls /proc/self/fd | wc -l", 30000);
    assert_string_equal(r.out, expected);
    assert_int_equal(count_descriptors(), before);
}

static void test_wrong_use(void **state) {
    (void)state;
    const char *const none[] = {NULL}, *const empty[] = {"", NULL};
    struct run r;
    start(&r);
    assert_int_equal(begin(&r, none, NULL, 1000), FL_EUSAGE);
    assert_int_equal(begin(&r, empty, NULL, 1000), FL_EUSAGE);
    const char *const argv[] = {"true", NULL};
    struct fl_spawn spawn = {.argv = argv};
    assert_int_equal(fl_io_spawn(r.io, &spawn, on_done, &r, &r.process, NULL), FL_EUSAGE);
    fl_runtime_free(r.runtime);
}

static void test_every_failed_allocation(void **state) {
    (void)state;
    const char *const argv[] = {"sh", "-c", "printf token; printf oh >&2", NULL};
    struct run r;
    start(&r);
    FL_TEST_EACH_FAILURE(n) {
        int rc = begin(&r, argv, NULL, 30000);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc < 0) continue;
        fl_test_loop_until_true(r.runtime, &r.done);
        assert_true(r.why.code == FL_OK || r.why.code == FL_ENOMEM);
        if (r.why.code == FL_OK) assert_string_equal(r.out, "token");
    }
    fl_runtime_free(r.runtime);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_and_exit_code),
        cmocka_unit_test(test_input_is_empty),
        cmocka_unit_test(test_arguments_are_taken_as_they_are),
        cmocka_unit_test(test_environment_is_merged),
        cmocka_unit_test(test_no_such_program),
        cmocka_unit_test(test_deadline_kills_it),
        cmocka_unit_test(test_its_children_are_killed_with_it),
        cmocka_unit_test(test_what_it_leaves_behind_does_not_hold_us),
        cmocka_unit_test(test_too_much_output),
        cmocka_unit_test(test_standard_error_is_cut),
        cmocka_unit_test(test_ended_by_a_signal),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_what_cannot_be_killed_is_left_behind),
        cmocka_unit_test(test_signals_are_its_own),
        cmocka_unit_test(test_children_are_ignored),
        cmocka_unit_test(test_no_descriptor_is_left),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_every_failed_allocation),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
