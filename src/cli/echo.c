/* echo.c - fairlead echo: a gRPC server that echoes and leaves as a good server does. */
#include <fairlead/runtime.h>
#include <signal.h>
#include <stdio.h>

#include "base/secret.h"
#include "cli/command.h"
#include "loop/loop.h"
#include "server/echo.h"

#define PEM_MAX ((size_t)64 * 1024)

struct server {
    struct fl_runtime *runtime;
    struct fl_echo *echo;
    const char *cert, *key; /* NULL: cleartext */
    struct fl_tls *tls;
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

static int load_tls(struct server *server, struct fl_error *err) {
    static const char *const alpn[] = {"h2", NULL};
    struct fl_io *io = server->runtime->io;
    struct fl_buf cert, key;
    if (!server->cert) return FL_OK;
    fl_buf_init(&cert, PEM_MAX);
    int rc = fl_secret_buf_init(&key, PEM_MAX) ? fl_fail_nomem(err) : FL_OK;
    if (!rc) rc = fl_io_file_read(io, server->cert, &cert, err);
    if (!rc) rc = fl_io_file_read(io, server->key, &key, err);
    const struct fl_tls_config config = {
        .cert_pem = fl_buf_str(&cert), .key_pem = fl_buf_str(&key), .server = true, .alpn = alpn};
    if (!rc) rc = fl_io_tls_new(io, &config, &server->tls, err);
    fl_buf_deinit(&cert);
    fl_secret_buf_deinit(&key);
    return rc;
}

static int serve(struct server *server, struct fl_echo_options *options) {
    struct fl_error err = {0};
    int rc = fl_loop_new(&server->runtime, &err);
    if (!rc) rc = fl_loop_on_signal(server->runtime, SIGTERM, on_signal, server);
    if (!rc) rc = fl_loop_on_signal(server->runtime, SIGINT, on_signal, server);
    if (!rc) rc = load_tls(server, &err);
    options->tls = server->tls;
    if (!rc) rc = fl_echo_new(server->runtime->io, options, &server->echo, &err);
    if (rc) {
        if (server->runtime) fl_tls_unref(server->runtime->io, server->tls);
        fl_runtime_free(server->runtime);
        return fl_command_fail(&err);
    }
    printf("listening on %.*s:%u\n", FL_STR_ARG(options->host),
           (unsigned)fl_echo_port(server->echo));
    fflush(stdout);
    fl_loop_run(server->runtime);
    fl_tls_unref(server->runtime->io, server->tls);
    fl_runtime_free(server->runtime);
    return FL_EXIT_OK;
}

static uint32_t capped(uint64_t value) { return (uint32_t)FL_MIN(value, UINT32_MAX); }

static int run(const struct fl_command *self, int argc, char **argv) {
    const char *listen = "127.0.0.1:50051";
    uint64_t delay_ms = 0, age_ms = 0, idle_ms = 0, ping_ms = 0, streams = 0;
    struct server server = {.grace_ms = 30000};
    const struct fl_option options[] = {
        {"listen", 0, FL_OPTION_TEXT, &listen, "ADDR", "address:port (default 127.0.0.1:50051)"},
        {"delay", 0, FL_OPTION_DURATION, &delay_ms, "TIME", "answer each echo so late"},
        {"cert", 0, FL_OPTION_TEXT, &server.cert, "FILE",
         "TLS with this certificate (PEM; default: cleartext)"},
        {"key", 0, FL_OPTION_TEXT, &server.key, "FILE", "the certificate's private key (PEM)"},
        {"grace", 0, FL_OPTION_DURATION, &server.grace_ms, "TIME",
         "from SIGTERM until connections are cut (default 30s)"},
        {"max-age", 0, FL_OPTION_DURATION, &age_ms, "TIME",
         "a connection so old, +-10 %, gets GOAWAY (default: none)"},
        {"max-idle", 0, FL_OPTION_DURATION, &idle_ms, "TIME",
         "a connection so long without a call gets GOAWAY (default: none)"},
        {"max-streams", 0, FL_OPTION_NUMBER, &streams, "N",
         "calls at a time on one connection (default 1000)"},
        {"min-ping", 0, FL_OPTION_DURATION, &ping_ms, "TIME",
         "clients that ping faster get GOAWAY too_many_pings (default 5m; without a call 2h)"},
    };
    struct fl_args args = {.options = options, .option_count = FL_COUNT(options)};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    struct fl_echo_options echo = {.delay_ms = capped(delay_ms),
                                   .limits = {.streams_max = capped(streams),
                                              .age_ms_max = capped(age_ms),
                                              .idle_ms_max = capped(idle_ms),
                                              .ping_ms_min = capped(ping_ms),
                                              .ping_idle_ms_min = capped(ping_ms)}};
    if (fl_host_port_parse(fl_str_of(listen), &echo.host, &echo.port, &err))
        return fl_command_fail(&err);
    if (!server.cert != !server.key) {
        fl_fail(&err, FL_EUSAGE, "--cert and --key go together");
        return fl_command_fail(&err);
    }
    return serve(&server, &echo);
}

const struct fl_command fl_command_echo = {
    "echo",
    "[--listen ADDR] [--delay TIME] [--grace TIME] [--max-age TIME]\n"
    "    [--cert FILE --key FILE]",
    "A gRPC server that echoes, for trying and for tests",
    "Serves grpc.examples.echo.Echo, unary and streams, grpc.health.v1.Health and server\n"
    "reflection. At SIGTERM it is NOT_SERVING, stops listening, says GOAWAY in two\n"
    "steps, finishes what it accepted and exits.",
    run};
