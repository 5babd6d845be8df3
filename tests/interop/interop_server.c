/* interop_server.c - grpc.testing.TestService on a real socket, for other implementations' clients.
 *
 *   interop_server ADDR:PORT [CERT KEY]
 *
 * Says "listening on ADDR:PORT" on standard output. With the two PEM files it speaks TLS. At
 * SIGTERM it drains. Health and reflection are beside it. */
#include <fairlead/runtime.h>
#include <signal.h>
#include <stdio.h>

#include "base/address.h"
#include "interop/interop_service.h"
#include "loop/loop.h"
#include "server/health_service.h"

#define GRACE_MS 30000
#define PEM_MAX  ((size_t)64 * 1024)

struct program {
    struct fl_runtime *runtime;
    struct fl_health_service *health;
    struct fl_reflection *reflection;
    struct fl_grpc_server *server;
    struct fl_tls *tls;
    bool leaving;
};

static void on_gone(void *arg) {
    struct program *program = arg;
    program->server = NULL;
    fl_loop_stop(program->runtime);
}

static void on_signal(void *arg, int signal) {
    FL_UNUSED(signal);
    struct program *program = arg;
    if (program->leaving) return;
    program->leaving = true;
    fl_health_service_leave(program->health);
    fl_grpc_server_drain(program->server, fl_io_now_ms(program->runtime->io) + GRACE_MS, on_gone,
                         program);
}

static int load_tls(struct program *program, const char *cert, const char *key,
                    struct fl_error *err) {
    static const char *const alpn[] = {"h2", NULL};
    struct fl_io *io = program->runtime->io;
    struct fl_buf cert_pem, key_pem;
    fl_buf_init(&cert_pem, PEM_MAX);
    fl_buf_init(&key_pem, PEM_MAX);
    int rc = fl_io_file_read(io, cert, &cert_pem, err);
    if (!rc) rc = fl_io_file_read(io, key, &key_pem, err);
    if (!rc) {
        const struct fl_tls_config config = {.cert_pem = fl_buf_str(&cert_pem),
                                             .key_pem = fl_buf_str(&key_pem),
                                             .server = true,
                                             .alpn = alpn};
        rc = fl_io_tls_new(io, &config, &program->tls, err);
    }
    fl_buf_deinit(&cert_pem);
    fl_buf_deinit(&key_pem);
    return rc;
}

static int serve(struct program *program, struct fl_grpc_server_options *options,
                 struct fl_error *err) {
    struct fl_grpc_service services[2 + FL_REFLECTION_SERVICES];
    program->health = fl_health_service_new();
    program->reflection = fl_reflection_new();
    if (!program->health || !program->reflection) return fl_fail_nomem(err);
    int rc = fl_reflection_add(program->reflection,
                               fl_str_n(fl_descriptors_server, fl_descriptors_server_len));
    if (!rc)
        rc = fl_reflection_add(program->reflection,
                               fl_str_n(fl_descriptors_interop, fl_descriptors_interop_len));
    if (rc) return fl_fail(err, rc, "the descriptors: %s", fl_error_text(rc));
    services[0] = interop_service(program->runtime->io);
    services[1] = fl_health_service_of(program->health);
    fl_reflection_services(program->reflection, services + 2);
    options->tls = program->tls;
    options->services = services;
    options->service_count = FL_COUNT(services);
    return fl_grpc_server_new(program->runtime->io, options, &program->server, err);
}

static int run(struct program *program, char **argv, struct fl_error *err) {
    struct fl_grpc_server_options options = {0};
    int rc = fl_host_port_parse(fl_str_of(argv[1]), &options.host, &options.port, err);
    if (!rc) rc = fl_loop_new(&program->runtime, err);
    if (!rc) rc = fl_loop_on_signal(program->runtime, SIGTERM, on_signal, program);
    if (!rc && argv[2]) rc = load_tls(program, argv[2], argv[3], err);
    if (!rc) rc = serve(program, &options, err);
    if (rc) return rc;
    printf("listening on %.*s:%u\n", FL_STR_ARG(options.host),
           (unsigned)fl_grpc_server_port(program->server));
    fflush(stdout);
    fl_loop_run(program->runtime);
    return 0;
}

int main(int argc, char **argv) {
    struct program program = {0};
    struct fl_error err = {0};
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: interop_server ADDR:PORT [CERT KEY]\n");
        return 2;
    }
    int rc = run(&program, argv, &err);
    if (rc) fprintf(stderr, "interop_server: %s\n", err.detail);
    if (program.tls) fl_tls_unref(program.runtime->io, program.tls);
    fl_health_service_free(program.health);
    fl_reflection_free(program.reflection);
    fl_runtime_free(program.runtime);
    return rc ? 1 : 0;
}
