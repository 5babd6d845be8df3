/* sim.c - fairlead sim: the simulated API server with pods that live a real life. */
#include "sim/sim.h"

#include <fairlead/runtime.h>
#include <signal.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/kubeconfig_file.h"
#include "loop/loop.h"

struct simulator {
    struct fl_runtime *runtime;
    struct fl_sim *sim;
    bool closing;
};

static void on_closed(void *arg) {
    struct simulator *simulator = arg;
    simulator->sim = NULL;
    fl_loop_stop(simulator->runtime);
}

static void on_signal(void *arg, int signal) {
    FL_UNUSED(signal);
    struct simulator *simulator = arg;
    if (!simulator->sim || simulator->closing) return;
    simulator->closing = true;
    fl_sim_close(simulator->sim, on_closed, simulator);
}

/* "NAME=PODS" in place: cuts `text` at the sign. */
static int parse_service(const char *text, char *name, size_t size, struct fl_sim_service *out,
                         struct fl_error *err) {
    struct fl_str left, right;
    uint64_t pods;
    if (!fl_str_split(fl_str_of(text), '=', &left, &right) || left.n == 0 ||
        !fl_str_u64(right, &pods) || pods > 10000 || !fl_str_copy(name, size, left))
        return fl_fail(err, FL_EUSAGE, "--service %s: want NAME=PODS, at most 10000 pods", text);
    *out = (struct fl_sim_service){name, (unsigned)pods};
    return FL_OK;
}

#define SERVICE_NAME_MAX 512

struct service_list {
    struct fl_sim_service list[FL_TEXTS_MAX];
    char names[FL_TEXTS_MAX][SERVICE_NAME_MAX];
    size_t count;
};

static int parse_services(const struct fl_texts *texts, struct service_list *services,
                          struct fl_error *err) {
    static const struct fl_sim_service usual = {"echo", 3};
    for (size_t i = 0; i < texts->count; i++) {
        int rc = parse_service(texts->list[i], services->names[i], SERVICE_NAME_MAX,
                               &services->list[i], err);
        if (rc) return rc;
    }
    services->count = texts->count;
    if (services->count == 0) services->list[services->count++] = usual;
    return FL_OK;
}

static int start(struct simulator *simulator, const struct fl_sim_options *options,
                 const char *kubeconfig, struct fl_error *err) {
    int rc = fl_loop_new(&simulator->runtime, err);
    if (!rc) rc = fl_loop_on_signal(simulator->runtime, SIGTERM, on_signal, simulator);
    if (!rc) rc = fl_loop_on_signal(simulator->runtime, SIGINT, on_signal, simulator);
    if (!rc) rc = fl_sim_new(simulator->runtime->io, options, &simulator->sim, err);
    if (rc) return rc;
    struct fl_str host = options->apiserver.host;
    uint16_t port = fl_apiserver_port(fl_sim_apiserver(simulator->sim));
    if (kubeconfig) rc = fl_kubeconfig_file_write(kubeconfig, host, port, err);
    if (rc) return rc;
    bool v6 = memchr(host.p, ':', host.n) != NULL;
    printf("API server at http://%s%.*s%s:%u\n", v6 ? "[" : "", FL_STR_ARG(host), v6 ? "]" : "",
           (unsigned)port);
    if (kubeconfig)
        printf("try: fairlead watch --kubeconfig %s %s\n", kubeconfig, options->services[0].name);
    fflush(stdout);
    return FL_OK;
}

static int simulate(const struct fl_sim_options *options, const char *kubeconfig) {
    struct simulator simulator = {0};
    struct fl_error err = {0};
    int rc = start(&simulator, options, kubeconfig, &err);
    if (rc && simulator.sim) fl_sim_close(simulator.sim, on_closed, &simulator);
    while (simulator.sim) fl_loop_run(simulator.runtime);
    fl_runtime_free(simulator.runtime);
    return rc ? fl_command_fail(&err) : FL_EXIT_OK;
}

static int run(const struct fl_command *self, int argc, char **argv) {
    const char *listen = "127.0.0.1:8001", *kubeconfig = NULL;
    struct fl_texts texts = {0};
    uint64_t roll_ms = 0, seed = 1, pod_port = 50051;
    const struct fl_option options[] = {
        {"listen", 0, FL_OPTION_TEXT, &listen, "ADDR", "address:port (default 127.0.0.1:8001)"},
        {"service", 0, FL_OPTION_LIST, &texts, "NAME=PODS",
         "a service, [namespace/]name; several times (default echo=3)"},
        {"roll", 0, FL_OPTION_DURATION, &roll_ms, "EVERY", "a rolling update so often"},
        {"pod-port", 0, FL_OPTION_NUMBER, &pod_port, "PORT", "of every pod (default 50051)"},
        {"seed", 0, FL_OPTION_NUMBER, &seed, "N",
         "decides names, times and identities (default 1)"},
        {"kubeconfig-out", 0, FL_OPTION_TEXT, &kubeconfig, "FILE",
         "writes a configuration for kubectl and fairlead"},
    };
    struct fl_args args = {.options = options, .option_count = FL_COUNT(options)};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    struct service_list services = {0};
    struct fl_sim_options sim = {.services = services.list,
                                 .seed = seed,
                                 .roll_every_ms = (uint32_t)FL_MIN(roll_ms, UINT32_MAX),
                                 .pod_port = (uint16_t)pod_port};
    if (pod_port == 0 || pod_port > UINT16_MAX)
        fl_fail(&err, FL_EUSAGE, "--pod-port: want 1 to 65535");
    if (err.code ||
        fl_host_port_parse(fl_str_of(listen), &sim.apiserver.host, &sim.apiserver.port, &err) ||
        parse_services(&texts, &services, &err))
        return fl_command_fail(&err);
    sim.service_count = services.count;
    return simulate(&sim, kubeconfig);
}

const struct fl_command fl_command_sim = {
    "sim",
    "[--listen ADDR] [--service NAME=PODS]… [--roll EVERY] [--seed N] [--kubeconfig-out FILE]",
    "A simulated API server with pods that live a real life",
    "Serves Services, EndpointSlices, Endpoints and Pods to kubectl, client-go, kube-rs\n"
    "and curl, over HTTP/1.1 and HTTP/2 cleartext, in JSON and protobuf. Every pod is a\n"
    "real gRPC echo server on a loopback address of its own (127.1.0.1, 127.1.0.2, …;\n"
    "port 50051). Ends at Ctrl-C.",
    run};
