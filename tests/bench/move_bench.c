/* move_bench.c - from an event on the wire to the first call that the new endpoint answers.
 *
 *     move_bench PORT HOSTS MOVES
 *
 * A canned API server on a thread of its own says that a service has three of the endpoints
 * 127.0.0.1 to 127.0.0.HOSTS at PORT, where a server echoes; at each event the oldest of the three
 * leaves and another comes. A channel to the service has one call in flight all the time, its
 * endpoints taking turns. The time runs from before the API server's write until a call has been
 * answered by the endpoint that came; the next event is PAUSE_MS later. Fails if a call does.
 *
 * Prints {"at":"done","count","p50_us","p99_us"} as a subject does (grpc/peers.py). */
#include <fairlead/fairlead.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/slice_server.h"
#include "loop/loop.h"

#define ENDPOINTS  3
#define ECHO_BYTES 64
#define PAUSE_MS   5

struct bench {
    struct fl_runtime *runtime;
    struct fl_discovery *discovery;
    struct fl_channel *channel;
    struct fl_slice_server *server;
    struct fl_timer pause;
    uint64_t version; /* asked for last */
    bool moving;      /* the endpoint that came with it has not answered yet */
    uint64_t moves, count;
    uint64_t *took_us;
};

static unsigned hosts;
static uint16_t port;

static void check(int rc, const char *what, const struct fl_error *err) {
    if (rc == FL_OK) return;
    fprintf(stderr, "move_bench: %s: %s\n", what, err ? err->detail : fl_error_name(rc));
    exit(1);
}

static unsigned host_of(uint64_t number) { return (unsigned)(number % hosts) + 1; }

static size_t fill(struct fl_k8s_endpoint_spec *endpoints, uint64_t version) {
    static char addresses[ENDPOINTS][24], pods[ENDPOINTS][32], uids[ENDPOINTS][48];
    for (size_t i = 0; i < ENDPOINTS; i++) {
        uint64_t number = version + i;
        snprintf(addresses[i], sizeof(addresses[i]), "127.0.0.%u", host_of(number));
        snprintf(pods[i], sizeof(pods[i]), "echo-%08" PRIu64, number);
        snprintf(uids[i], sizeof(uids[i]), "5f0c2b1a-7d3e-4c55-9a11-%012" PRIu64, number);
        endpoints[i] = (struct fl_k8s_endpoint_spec){.address = fl_str_of(addresses[i]),
                                                     .ready = 1,
                                                     .serving = 1,
                                                     .terminating = 0,
                                                     .pod = fl_str_of(pods[i]),
                                                     .pod_uid = fl_str_of(uids[i])};
    }
    return ENDPOINTS;
}

static bool is_newest(const struct bench *b, const char *peer) {
    char newest[32];
    snprintf(newest, sizeof(newest), "127.0.0.%u:%u", host_of(b->version + ENDPOINTS - 1), port);
    return strcmp(peer, newest) == 0;
}

static void closed(void *arg) { fl_loop_stop(((struct bench *)arg)->runtime); }

static void call(struct bench *b);

static void on_answer(void *arg, const struct fl_call_result *result) {
    struct bench *b = arg;
    struct fl_io *io = b->runtime->io;
    if (result->status != FL_STATUS_OK || result->response_len != ECHO_BYTES) {
        fprintf(stderr, "move_bench: %s: %s\n", fl_status_name(result->status), result->message);
        exit(1);
    }
    if (b->moving && is_newest(b, result->peer)) {
        b->took_us[b->count++] = fl_io_now_us(io) - fl_slice_server_sent_us(b->server);
        b->moving = false;
        if (b->count == b->moves) {
            fl_channel_close(b->channel, closed, b);
            return;
        }
        fl_io_timer_set(io, &b->pause, fl_io_now_ms(io) + PAUSE_MS);
    }
    call(b);
}

static void call(struct bench *b) {
    static const char message[ECHO_BYTES];
    static const struct fl_call_options options = {.timeout_ms = 10000,
                                                   .wait_for_ready = FL_WAIT_YES};
    struct fl_error err = {0};
    check(fl_call_unary(b->channel, "/grpc.examples.echo.Echo/UnaryEcho", message, sizeof(message),
                        &options, on_answer, b, NULL, &err),
          "call", &err);
}

static void move(struct fl_timer *timer) {
    struct bench *b = FL_CONTAINER(timer, struct bench, pause);
    struct fl_io *io = b->runtime->io;
    if (!fl_slice_server_is_watched(b->server)) {
        fl_io_timer_set(io, timer, fl_io_now_ms(io) + PAUSE_MS);
        return;
    }
    b->moving = true;
    fl_slice_server_advance(b->server, ++b->version);
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void run(struct bench *b, const char *kubeconfig) {
    const struct fl_discovery_options options = {.kubeconfig = kubeconfig};
    struct fl_error err = {0};
    check(fl_loop_new(&b->runtime, &err), "loop", &err);
    struct fl_io *io = b->runtime->io;
    check(fl_io_timer_init(io, &b->pause, move), "timer", NULL);
    check(fl_discovery_new(b->runtime, &options, &b->discovery, &err), "discovery", &err);
    check(fl_channel_new(b->runtime, b->discovery, "kubernetes:///default/echo", NULL, &b->channel,
                         &err),
          "channel", &err);
    fl_io_timer_set(io, &b->pause, fl_io_now_ms(io) + PAUSE_MS);
    call(b);
    fl_loop_run(b->runtime);
    fl_discovery_close(b->discovery, closed, b);
    fl_loop_run(b->runtime);
    fl_io_timer_deinit(io, &b->pause);
    fl_runtime_free(b->runtime);
}

int main(int argc, char **argv) {
    char kubeconfig[] = "/tmp/fairlead-move-bench-XXXXXX";
    static struct bench b;
    if (argc != 4) {
        fprintf(stderr, "usage: move_bench PORT HOSTS MOVES\n");
        return 2;
    }
    port = (uint16_t)strtoul(argv[1], NULL, 10);
    hosts = (unsigned)strtoul(argv[2], NULL, 10);
    b.moves = strtoull(argv[3], NULL, 10);
    b.took_us = calloc(b.moves, sizeof(*b.took_us));
    if (!b.took_us) check(FL_ENOMEM, "memory", NULL);
    b.server = fl_slice_server_new(fill, port);
    fl_slice_server_write_kubeconfig(b.server, kubeconfig);
    run(&b, kubeconfig);
    fl_slice_server_free(b.server);
    unlink(kubeconfig);
    qsort(b.took_us, b.count, sizeof(*b.took_us), ascending);
    printf("{\"at\": \"done\", \"count\": %" PRIu64 ", \"p50_us\": %" PRIu64
           ", \"p99_us\": %" PRIu64 "}\n",
           b.count, b.took_us[b.count / 2], b.took_us[b.count * 99 / 100]);
    free(b.took_us);
    return 0;
}
