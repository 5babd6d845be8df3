/* peer_manager.c - a program as those that the connection manager is for: unary calls and long
 * streams on the connection that one may keep (fl_connmgr_get_conn), and a message to each pod
 * (fl_connmgr_get_conns), until SIGTERM.
 *
 *   peer_manager --kubeconfig FILE [--rate CALLS_PER_S] [--streams N] SERVICE
 *
 * Prints what became of it as peer_load does; the log is written in the style k8s-discovery. */
#include <fairlead/connmgr.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>

#include "base/def.h"
#include "peers/driver/load_calls.h"
#include "peers/driver/load_fanout.h"
#include "peers/driver/load_loop.h"
#include "peers/driver/load_streams.h"

#define REPORT_MS  200
#define WARM_CALLS 100 /* every endpoint is connected by then, and streams spread */

struct program {
    struct fl_runtime *runtime;
    struct fl_discovery *discovery;
    struct fl_discovery_options from;
    struct fl_connmgr *mgr;
    struct fl_conn *conn;
    const char *service;
    struct load_calls calls;
    struct load_streams streams;
    struct load_fanout fanout;
};

static volatile sig_atomic_t stopping;

static void on_signal(int signal) {
    FL_UNUSED(signal);
    stopping = 1;
}

static void on_conn(void *arg, const struct fl_error *why, struct fl_conn *conn) {
    struct program *program = arg;
    if (why) {
        fprintf(stderr, "peer_manager: %s\n", why->detail);
        exit(1);
    }
    program->conn = conn;
    program->calls.channel = program->streams.channel = fl_conn_channel(conn);
}

static int open_program(struct program *program, struct fl_error *err) {
    const struct fl_runtime_options mode = {.mode = FL_RUNTIME_POLL};
    const struct fl_connmgr_options options = {.log_style = FL_LOG_STYLE_K8S_DISCOVERY};
    fl_log_configure(&(const struct fl_log_options){.level = FL_LOG_INFO});
    int rc = fl_runtime_new(&mode, &program->runtime, err);
    if (rc == 0) rc = fl_discovery_new(program->runtime, &program->from, &program->discovery, err);
    if (rc == 0) rc = fl_connmgr_new(program->discovery, &options, &program->mgr, err);
    if (rc == 0)
        rc = fl_connmgr_get_conn_async(program->mgr, program->service, 0, on_conn, program, err);
    program->fanout.mgr = program->mgr;
    program->fanout.service = program->service;
    while (rc == 0 && !program->conn) load_turn(program->runtime);
    return rc;
}

static void report(const struct program *program) {
    printf("{");
    load_account_print(&program->calls.account, stdout);
    printf(",");
    load_streams_print(&program->streams, stdout);
    printf(",");
    load_fanout_print(&program->fanout, stdout);
    printf("}\n");
    fflush(stdout);
}

static void run(struct program *program) {
    int64_t reported_ms = load_now_ms();
    while (!stopping) {
        load_calls_step(&program->calls, false);
        load_fanout_step(&program->fanout);
        if (program->calls.account.ok >= WARM_CALLS) load_streams_step(&program->streams);
        load_turn(program->runtime);
        if (load_now_ms() - reported_ms < REPORT_MS) continue;
        reported_ms = load_now_ms();
        report(program);
    }
    while (!load_calls_ended(&program->calls) || !load_fanout_ended(&program->fanout))
        load_turn(program->runtime);
    report(program);
    while (!load_streams_stop(&program->streams)) load_turn(program->runtime);
}

static void close_program(struct program *program) {
    bool mgr_closed = false, discovery_closed = false;
    load_fanout_deinit(&program->fanout);
    fl_conn_unref(program->conn);
    fl_connmgr_close(program->mgr, load_on_closed, &mgr_closed);
    while (!mgr_closed) load_turn(program->runtime);
    fl_discovery_close(program->discovery, load_on_closed, &discovery_closed);
    while (!discovery_closed) load_turn(program->runtime);
    fl_runtime_free(program->runtime);
}

static const struct option known[] = {{"kubeconfig", required_argument, NULL, 'f'},
                                      {"rate", required_argument, NULL, 'r'},
                                      {"streams", required_argument, NULL, 's'},
                                      {0}};

/* False: usage. */
static bool read_arguments(struct program *program, int argc, char **argv) {
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        unsigned number = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;
        if (option == '?') return false;
        if (option == 'f') program->from.kubeconfig = optarg;
        if (option == 'r') program->calls.rate = number;
        if (option == 's') program->streams.count = FL_MIN(number, LOAD_STREAMS_MAX);
    }
    program->service = argv[optind];
    return argc == optind + 1;
}

int main(int argc, char **argv) {
    static struct program program = {.calls.options.timeout_ms = 10000};
    struct fl_error err;
    if (!read_arguments(&program, argc, argv)) {
        fprintf(stderr, "usage: peer_manager --kubeconfig FILE [OPTIONS] SERVICE\n");
        return 2;
    }
    signal(SIGTERM, on_signal);
    if (open_program(&program, &err) != 0) {
        fprintf(stderr, "peer_manager: %s\n", err.detail);
        return 1;
    }
    run(&program);
    close_program(&program);
    return 0;
}
