/* echo.c - fairlead echo: a gRPC server that echoes and leaves as a good server does. */
#include <fairlead/runtime.h>
#include <signal.h>
#include <stdio.h>

#include "channel/echo.h"
#include "cli/command.h"
#include "loop/loop.h"

struct server {
    struct fl_runtime *runtime;
    struct fl_echo *echo;
    uint64_t grace_ms;
    bool leaving;
};

static void on_gone(void *arg) {
    struct server *server = arg;
    server->echo = NULL;
    fl_loop_stop(server->runtime);
}

/* SIGTERM: stop listening, GOAWAY in two steps, finish, exit; no sleep before it. Twice: at once.
 */
static void on_signal(void *arg, int signal) {
    FL_UNUSED(signal);
    struct server *server = arg;
    if (!server->echo) return;
    if (server->leaving) {
        fl_echo_kill(server->echo, on_gone, server);
        return;
    }
    server->leaving = true;
    struct fl_io *io = server->runtime->io;
    fl_echo_drain(server->echo, fl_io_now_ms(io) + server->grace_ms, on_gone, server);
}

static int serve(struct server *server, const struct fl_echo_options *options) {
    struct fl_error err = {0};
    int rc = fl_loop_new(&server->runtime, &err);
    if (!rc) rc = fl_loop_on_signal(server->runtime, SIGTERM, on_signal, server);
    if (!rc) rc = fl_loop_on_signal(server->runtime, SIGINT, on_signal, server);
    if (!rc) rc = fl_echo_new(server->runtime->io, options, &server->echo, &err);
    if (rc) {
        fl_runtime_free(server->runtime);
        return fl_command_fail(&err);
    }
    printf("listening on %.*s:%u\n", FL_STR_ARG(options->host),
           (unsigned)fl_echo_port(server->echo));
    fflush(stdout);
    fl_loop_run(server->runtime);
    fl_runtime_free(server->runtime);
    return FL_EXIT_OK;
}

static int run(const struct fl_command *self, int argc, char **argv) {
    const char *listen = "127.0.0.1:50051";
    uint64_t delay_ms = 0;
    struct server server = {.grace_ms = 30000};
    const struct fl_option options[] = {
        {"listen", 0, FL_OPTION_TEXT, &listen, "ADDR", "address:port (default 127.0.0.1:50051)"},
        {"delay", 0, FL_OPTION_DURATION, &delay_ms, "TIME", "answer each echo so late"},
        {"grace", 0, FL_OPTION_DURATION, &server.grace_ms, "TIME",
         "from SIGTERM until connections are cut (default 30s)"},
    };
    struct fl_args args = {.options = options, .option_count = FL_COUNT(options)};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    struct fl_echo_options echo = {.delay_ms = (uint32_t)FL_MIN(delay_ms, UINT32_MAX)};
    if (fl_host_port_parse(fl_str_of(listen), &echo.host, &echo.port, &err))
        return fl_command_fail(&err);
    return serve(&server, &echo);
}

const struct fl_command fl_command_echo = {
    "echo", "[--listen ADDR] [--delay TIME] [--grace TIME]",
    "A gRPC server that echoes, for trying and for tests",
    "Serves grpc.examples.echo.Echo/UnaryEcho and grpc.health.v1.Health/Check in\n"
    "cleartext. At SIGTERM it stops listening, says GOAWAY in two steps, finishes what it\n"
    "accepted and exits.",
    run};
