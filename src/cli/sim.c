/* sim.c - fairlead sim: the simulated API server with pods that live a real life. */
#include "sim/sim.h"

#include <fairlead/runtime.h>
#include <signal.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/kubeconfig_file.h"
#include "loop/certificate.h"
#include "loop/loop.h"
#include "sim/fault.h"

struct simulator {
    struct fl_runtime *runtime;
    struct fl_sim *sim;
    struct fl_tls *tls;
    struct fl_certificate authority;
    bool closing;
};

/* What the command line asks for. */
struct wishes {
    struct fl_sim_options sim;
    const char *kubeconfig;
    bool tls;
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
    *out = (struct fl_sim_service){.name = name, .pods = (unsigned)pods};
    return FL_OK;
}

#define SERVICE_NAME_MAX 512

struct service_list {
    struct fl_sim_service list[FL_WORDS_MAX];
    char names[FL_WORDS_MAX][SERVICE_NAME_MAX];
    size_t count;
};

static int parse_services(const struct fl_words *texts, uint64_t surge, uint64_t unavailable,
                          struct service_list *services, struct fl_error *err) {
    static const struct fl_sim_service usual = {.name = "echo", .pods = 3};
    for (size_t i = 0; i < texts->count; i++) {
        int rc = parse_service(texts->list[i], services->names[i], SERVICE_NAME_MAX,
                               &services->list[i], err);
        if (rc) return rc;
    }
    services->count = texts->count;
    if (services->count == 0) services->list[services->count++] = usual;
    if (surge > 10000 || unavailable > 10000)
        return fl_fail(err, FL_EUSAGE, "--surge, --unavailable: want 0 to 10000");
    if (!surge && !unavailable)
        return fl_fail(err, FL_EUSAGE, "--surge and --unavailable cannot both be 0");
    for (size_t i = 0; i < services->count; i++) {
        services->list[i].max_surge = (unsigned)surge;
        services->list[i].max_unavailable = (unsigned)unavailable;
    }
    return FL_OK;
}

struct fault_list {
    struct fl_fault list[FL_WORDS_MAX];
    size_t count;
};

static int parse_faults(const struct fl_words *texts, struct fault_list *faults,
                        struct fl_error *err) {
    for (size_t i = 0; i < texts->count; i++)
        if (fl_fault_parse(fl_str_of(texts->list[i]), &faults->list[i], err))
            return fl_error_prefix(err, "--fault %s", texts->list[i]);
    faults->count = texts->count;
    return FL_OK;
}

static bool asks_for_faults(const struct fl_words *texts) {
    for (size_t i = 0; i < texts->count; i++)
        if (strcmp(texts->list[i], "help") == 0) return true;
    return false;
}

static int print_faults(void) {
    printf("--fault KIND@WHEN[xN]: N times (1), from WHEN after the start on (5s, 2m):\n");
    for (int i = 0; i < FL_FAULT_KINDS; i++)
        printf("  %-22s %s\n", fl_fault_name((enum fl_fault_kind)i),
               fl_fault_text((enum fl_fault_kind)i));
    return FL_EXIT_OK;
}

/* --- TLS --- */

/* An authority of its own and what it signs for the address; lives as long as the process. */
static int load_tls(struct simulator *simulator, struct fl_str host, struct fl_error *err) {
    static const char *const alpn[] = {"h2", "http/1.1", NULL};
    const struct fl_certificate_options authority = {.name = "fairlead sim authority"};
    char names[128];
    struct fl_certificate served = {NULL, NULL};
    snprintf(names, sizeof names, "DNS:localhost, IP:%.*s", FL_STR_ARG(host));
    const struct fl_certificate_options server = {
        .issuer = &simulator->authority, .name = "fairlead sim", .alt_names = names};
    int rc = fl_certificate_init(&simulator->authority, &authority, err);
    if (!rc) rc = fl_certificate_init(&served, &server, err);
    if (!rc) {
        const struct fl_tls_config config = {.cert_pem = fl_str_of(served.cert_pem),
                                             .key_pem = fl_str_of(served.key_pem),
                                             .server = true,
                                             .alpn = alpn};
        rc = fl_io_tls_new(simulator->runtime->io, &config, &simulator->tls, err);
    }
    fl_certificate_deinit(&served);
    return rc;
}

/* --- life --- */

static int write_kubeconfig(const struct simulator *simulator, const struct wishes *wishes,
                            uint16_t port, struct fl_error *err) {
    const struct fl_kubeconfig_spec spec = {
        .host = wishes->sim.apiserver.host,
        .port = port,
        .ca_pem = fl_str_of(simulator->tls ? simulator->authority.cert_pem : NULL),
        .token = wishes->sim.apiserver.token};
    return wishes->kubeconfig ? fl_kubeconfig_file_write(wishes->kubeconfig, &spec, err) : FL_OK;
}

static int start(struct simulator *simulator, struct wishes *wishes, struct fl_error *err) {
    struct fl_str host = wishes->sim.apiserver.host;
    int rc = fl_loop_new(&simulator->runtime, err);
    if (!rc) rc = fl_loop_on_signal(simulator->runtime, SIGTERM, on_signal, simulator);
    if (!rc) rc = fl_loop_on_signal(simulator->runtime, SIGINT, on_signal, simulator);
    if (!rc && wishes->tls) rc = load_tls(simulator, host, err);
    wishes->sim.apiserver.tls = simulator->tls;
    if (!rc) rc = fl_sim_new(simulator->runtime->io, &wishes->sim, &simulator->sim, err);
    if (rc) return rc;
    uint16_t port = fl_apiserver_port(fl_sim_apiserver(simulator->sim));
    rc = write_kubeconfig(simulator, wishes, port, err);
    if (rc) return rc;
    bool v6 = memchr(host.p, ':', host.n) != NULL;
    printf("API server at http%s://%s%.*s%s:%u\n", wishes->tls ? "s" : "", v6 ? "[" : "",
           FL_STR_ARG(host), v6 ? "]" : "", (unsigned)port);
    if (wishes->kubeconfig)
        printf("try: fairlead watch --kubeconfig %s %s\n", wishes->kubeconfig,
               wishes->sim.services[0].name);
    fflush(stdout);
    return FL_OK;
}

static int simulate(struct wishes *wishes) {
    struct simulator simulator = {0};
    struct fl_error err = {0};
    int rc = start(&simulator, wishes, &err);
    if (rc && simulator.sim) fl_sim_close(simulator.sim, on_closed, &simulator);
    while (simulator.sim) fl_loop_run(simulator.runtime);
    if (simulator.tls) fl_tls_unref(simulator.runtime->io, simulator.tls);
    fl_runtime_free(simulator.runtime);
    fl_certificate_deinit(&simulator.authority);
    return rc ? fl_command_fail(&err) : FL_EXIT_OK;
}

static int run(const struct fl_command *self, int argc, char **argv) {
    const char *listen = "127.0.0.1:8001", *token = NULL, *reader = NULL;
    struct fl_words service_texts = {0}, fault_texts = {0};
    uint64_t roll_ms = 0, seed = 1, pod_port = 50051, surge = 1, unavailable = 0;
    struct wishes wishes = {.tls = false};
    const struct fl_option options[] = {
        {"listen", 0, FL_OPTION_TEXT, &listen, "ADDR", "address:port (default 127.0.0.1:8001)"},
        {"service", 0, FL_OPTION_LIST, &service_texts, "NAME=PODS",
         "a service, [namespace/]name; several times (default echo=3)"},
        {"roll", 0, FL_OPTION_DURATION, &roll_ms, "EVERY", "a rolling update so often"},
        {"surge", 0, FL_OPTION_NUMBER, &surge, "N", "pods above the wanted in a roll (default 1)"},
        {"unavailable", 0, FL_OPTION_NUMBER, &unavailable, "N",
         "ready pods below the wanted in a roll (default 0)"},
        {"fault", 0, FL_OPTION_LIST, &fault_texts, "KIND@WHEN[xN]",
         "what goes wrong, when, how often; several times; help lists the kinds"},
        {"tls", 0, FL_OPTION_FLAG, &wishes.tls, NULL,
         "serves HTTPS, with an authority that --kubeconfig-out names"},
        {"token", 0, FL_OPTION_TEXT, &token, "TEXT", "who does not bear it gets 401; with --tls"},
        {"reader-token", 0, FL_OPTION_TEXT, &reader, "TEXT",
         "whoever bears it may only read; with --tls"},
        {"pod-port", 0, FL_OPTION_NUMBER, &pod_port, "PORT", "of every pod (default 50051)"},
        {"seed", 0, FL_OPTION_NUMBER, &seed, "N",
         "decides names, times and identities (default 1)"},
        {"kubeconfig-out", 0, FL_OPTION_TEXT, &wishes.kubeconfig, "FILE",
         "writes a configuration for kubectl and fairlead"},
    };
    struct fl_args args = {.options = options, .option_count = FL_COUNT(options)};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    if (asks_for_faults(&fault_texts)) return print_faults();
    struct service_list services = {0};
    struct fault_list faults = {.count = 0};
    wishes.sim = (struct fl_sim_options){.services = services.list,
                                         .faults = faults.list,
                                         .furnished = true,
                                         .seed = seed,
                                         .roll_every_ms = (uint32_t)FL_MIN(roll_ms, UINT32_MAX),
                                         .pod_port = (uint16_t)pod_port};
    struct fl_apiserver_options *apiserver = &wishes.sim.apiserver;
    apiserver->token = fl_str_of(token);
    apiserver->reader_token = fl_str_of(reader);
    if (pod_port == 0 || pod_port > UINT16_MAX)
        fl_fail(&err, FL_EUSAGE, "--pod-port: want 1 to 65535");
    else if ((token || reader) && !wishes.tls)
        fl_fail(&err, FL_EUSAGE, "--token wants --tls: clients send no token in the clear");
    if (err.code ||
        fl_host_port_parse(fl_str_of(listen), &apiserver->host, &apiserver->port, &err) ||
        parse_services(&service_texts, surge, unavailable, &services, &err) ||
        parse_faults(&fault_texts, &faults, &err))
        return fl_command_fail(&err);
    wishes.sim.service_count = services.count;
    wishes.sim.fault_count = faults.count;
    return simulate(&wishes);
}

const struct fl_command fl_command_sim = {
    "sim",
    "[--listen ADDR] [--service NAME=PODS]… [--roll EVERY] [--fault KIND@WHEN[xN]]… [--tls]"
    " [--kubeconfig-out FILE]",
    "A simulated API server with pods that live a real life",
    "Serves Services, EndpointSlices, Endpoints, Pods, Deployments, Nodes, Namespaces and\n"
    "Leases to kubectl, client-go, kube-rs and curl, over HTTP/1.1 and HTTP/2, in JSON and\n"
    "protobuf; they can be created, changed and deleted. Every pod of a --service is a real\n"
    "gRPC echo server on a loopback address of its own (127.1.0.1, 127.1.0.2, …; port 50051).\n"
    "Ends at Ctrl-C.",
    run};
