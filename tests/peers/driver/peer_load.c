/* peer_load.c - calls at a steady rate through one channel, and long streams, until SIGTERM.
 *
 *   peer_load [--rate CALLS_PER_S] [--streams N] [--timeout MS] [--keepalive MS]
 *             [--keepalive-timeout MS] [--keepalive-without-calls] [--connect-timeout MS]
 *             [--kubeconfig FILE] TARGET
 *
 * Prints what became of them as one line of JSON five times a second and at the end. SIGUSR1 holds
 * new calls back, the next one lets them go on. One thread turns the loop (FL_RUNTIME_POLL). */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/def.h"
#include "peers/driver/load_calls.h"
#include "peers/driver/load_loop.h"
#include "peers/driver/load_streams.h"

#define REPORT_MS  200
#define WARM_CALLS 100 /* every endpoint is connected by then, and streams spread */

struct load {
    struct fl_runtime *runtime;
    struct fl_discovery *discovery;
    struct fl_channel *channel;
    struct fl_subscription *subscription;
    struct fl_discovery_options from;
    struct fl_channel_options options;
    const char *target;
    struct load_calls calls;
    struct load_streams streams;
};

static volatile sig_atomic_t stopping, held_back;

static void on_signal(int signal) {
    if (signal == SIGUSR1)
        held_back = !held_back;
    else
        stopping = 1;
}

/* --- the run --- */

static void report(const struct load *load) {
    printf("{");
    load_account_print(&load->calls.account, stdout);
    printf(",");
    load_streams_print(&load->streams, stdout);
    printf("}\n");
    fflush(stdout);
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    FL_UNUSED(previous);
    FL_UNUSED(trouble);
    load_account_set(&((struct load *)arg)->calls.account, set);
}

/* The channel first: it has taken in a set before the account does. */
static int open_load(struct load *load, struct fl_error *err) {
    const struct fl_runtime_options mode = {.mode = FL_RUNTIME_POLL};
    int rc = fl_runtime_new(&mode, &load->runtime, err);
    if (rc == 0) rc = fl_discovery_new(load->runtime, &load->from, &load->discovery, err);
    if (rc == 0)
        rc = fl_channel_new(load->runtime, load->discovery, load->target, &load->options,
                            &load->channel, err);
    if (rc == 0)
        rc = fl_discovery_subscribe(load->discovery, load->runtime, load->target, on_set, load,
                                    &load->subscription, err);
    load->calls.channel = load->streams.channel = load->channel;
    return rc;
}

static void run(struct load *load) {
    int64_t reported_ms = load_now_ms();
    while (!stopping) {
        load_calls_step(&load->calls, held_back);
        if (load->calls.account.ok >= WARM_CALLS) load_streams_step(&load->streams);
        load_turn(load->runtime);
        if (load_now_ms() - reported_ms < REPORT_MS) continue;
        reported_ms = load_now_ms();
        report(load);
    }
    while (!load_calls_ended(&load->calls)) load_turn(load->runtime);
    report(load);
    while (!load_streams_stop(&load->streams)) load_turn(load->runtime);
}

static void close_load(struct load *load) {
    bool closed[3] = {false};
    fl_subscription_close(load->subscription, load_on_closed, &closed[0]);
    fl_channel_close(load->channel, load_on_closed, &closed[1]);
    while (!closed[0] || !closed[1]) load_turn(load->runtime);
    fl_discovery_close(load->discovery, load_on_closed, &closed[2]);
    while (!closed[2]) load_turn(load->runtime);
    fl_runtime_free(load->runtime);
}

static const struct option known[] = {{"rate", required_argument, NULL, 'r'},
                                      {"streams", required_argument, NULL, 's'},
                                      {"timeout", required_argument, NULL, 't'},
                                      {"keepalive", required_argument, NULL, 'k'},
                                      {"keepalive-timeout", required_argument, NULL, 'a'},
                                      {"keepalive-without-calls", no_argument, NULL, 'w'},
                                      {"connect-timeout", required_argument, NULL, 'c'},
                                      {"kubeconfig", required_argument, NULL, 'f'},
                                      {0}};

/* False: usage. */
static bool read_arguments(struct load *load, int argc, char **argv) {
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        unsigned number = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;
        if (option == '?') return false;
        if (option == 'r') load->calls.rate = number;
        if (option == 's') load->streams.count = FL_MIN(number, LOAD_STREAMS_MAX);
        if (option == 't') load->calls.options.timeout_ms = number;
        if (option == 'k') load->options.keepalive_ms = number;
        if (option == 'a') load->options.keepalive_timeout_ms = number;
        if (option == 'w') load->options.keepalive_without_calls = true;
        if (option == 'c') load->options.connect_timeout_ms = number;
        if (option == 'f') load->from.kubeconfig = optarg;
    }
    load->target = argv[optind];
    return argc == optind + 1;
}

int main(int argc, char **argv) {
    static struct load load = {.calls.options.timeout_ms = 10000};
    struct fl_error err;
    if (!read_arguments(&load, argc, argv)) {
        fprintf(stderr, "usage: peer_load [OPTIONS] TARGET\n");
        return 2;
    }
    signal(SIGTERM, on_signal);
    signal(SIGUSR1, on_signal);
    if (open_load(&load, &err) != 0) {
        fprintf(stderr, "peer_load: %s\n", err.detail);
        return 1;
    }
    run(&load);
    close_load(&load);
    return 0;
}
