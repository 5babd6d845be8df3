/* event_bench.c - from an event on the socket to the subscriber's callback.
 *
 * A canned API server on a thread of its own serves one service with one EndpointSlice of 100
 * endpoints and then sends watch events that flip one endpoint's readiness each; the client thread
 * holds a subscription through the library's own path (connection, reflector, store, set, mailbox).
 *
 *     event_bench [--json FILE]
 *
 * Round trips: the next event is sent when the last one was seen: p50, p99 of the time from the
 * server's write to the callback. Stream: events as fast as the client takes them: CPU of the
 * client's thread. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench/slice_server.h"
#include "discovery/discovery.h"

#define ENDPOINTS   FL_SLICE_ENDPOINTS_MAX
#define ROUND_TRIPS 5000
#define STREAMED    20000
#define AHEAD       64 /* streamed events on the way at most */

struct client {
    struct fl_runtime *runtime;
    struct fl_slice_server *server;
    uint64_t seen; /* sets after the first */
    bool started;
    uint64_t latencies_us[ROUND_TRIPS];
    double stream_from_us, cpu_us_per_event;
};

static void check(int rc, const char *what) {
    if (rc == FL_OK) return;
    fprintf(stderr, "event_bench: %s: %s\n", what, fl_error_name(rc));
    exit(1);
}

/* Endpoint (version mod 100) has the readiness of its turn. */
static size_t fill(struct fl_k8s_endpoint_spec *endpoints, uint64_t version) {
    static char addresses[ENDPOINTS][16], pods[ENDPOINTS][32], uids[ENDPOINTS][40];
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        snprintf(addresses[i], sizeof addresses[i], "10.1.0.%u", i + 1);
        snprintf(pods[i], sizeof pods[i], "echo-7d9f8c6b5d-%05u", i);
        snprintf(uids[i], sizeof uids[i], "5f0c2b1a-7d3e-4c55-9a11-%012u", i);
        uint64_t flips = version / ENDPOINTS + (version % ENDPOINTS > i);
        endpoints[i] = (struct fl_k8s_endpoint_spec){.address = fl_str_of(addresses[i]),
                                                     .ready = flips % 2 == 0,
                                                     .serving = 1,
                                                     .terminating = 0,
                                                     .node = FL_STR("node-1"),
                                                     .zone = FL_STR("zone-a"),
                                                     .pod = fl_str_of(pods[i]),
                                                     .pod_uid = fl_str_of(uids[i])};
    }
    return ENDPOINTS;
}

static double cpu_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void count_change(void *arg, const struct fl_change *change) {
    FL_UNUSED(change);
    ++*(uint64_t *)arg;
}

/* Streaming: each change is one endpoint, so the sum of differences tells how many events are in
 * it; newest wins may join several into one set. */
static void on_streamed(struct client *client, uint64_t changes) {
    client->seen += changes;
    if (client->seen >= ROUND_TRIPS + STREAMED) {
        client->cpu_us_per_event = (cpu_us() - client->stream_from_us) / (double)STREAMED;
        fl_loop_stop(client->runtime);
        return;
    }
    fl_slice_server_advance(client->server,
                            FL_MIN(client->seen + AHEAD, (uint64_t)ROUND_TRIPS + STREAMED));
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct client *client = arg;
    uint64_t now = fl_io_now_us(client->runtime->io), changes = 0;
    if (trouble) {
        fprintf(stderr, "event_bench: %s\n", trouble->detail);
        exit(1);
    }
    if (!client->started) {
        client->started = fl_set_state(set) == FL_SET_SOME;
        return; /* the first event is asked for once the watch stands */
    }
    check(fl_set_diff(previous, set, count_change, &changes), "difference");
    if (client->seen < ROUND_TRIPS) {
        client->latencies_us[client->seen++] = now - fl_slice_server_sent_us(client->server);
        if (client->seen == ROUND_TRIPS) client->stream_from_us = cpu_us();
        fl_slice_server_advance(client->server,
                                client->seen + (client->seen == ROUND_TRIPS ? AHEAD : 1));
    } else {
        on_streamed(client, changes);
    }
}

struct starter {
    struct fl_timer timer;
    struct client *client;
};

static void begin(struct fl_timer *timer) {
    struct starter *starter = FL_CONTAINER(timer, struct starter, timer);
    struct client *client = starter->client;
    struct fl_io *io = client->runtime->io;
    if (client->started && fl_slice_server_is_watched(client->server))
        fl_slice_server_advance(client->server, 1);
    else
        fl_io_timer_set(io, timer, fl_io_now_ms(io) + 10);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void report(struct client *client, const char *path) {
    qsort(client->latencies_us, ROUND_TRIPS, sizeof(uint64_t), compare);
    const struct {
        const char *metric;
        double value;
    } rows[] = {
        {"latency_p50", (double)client->latencies_us[ROUND_TRIPS / 2]},
        {"latency_p99", (double)client->latencies_us[ROUND_TRIPS * 99 / 100]},
        {"cpu_per_event", client->cpu_us_per_event},
    };
    FILE *json = path ? fopen(path, "a") : NULL;
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        printf("event to callback, %-14s %8.1f us\n", rows[i].metric, rows[i].value);
        if (json)
            fprintf(json,
                    "{\"bench\":\"event\",\"subject\":\"fairlead\",\"metric\":\"%s\","
                    "\"value\":%.2f,\"unit\":\"us\"}\n",
                    rows[i].metric, rows[i].value);
    }
    if (json) fclose(json);
}

static void stop_client(void *arg) {
    struct client *client = arg;
    fl_loop_stop(client->runtime);
}

int main(int argc, char **argv) {
    const char *path = argc == 3 && strcmp(argv[1], "--json") == 0 ? argv[2] : NULL;
    static struct client client;
    char kubeconfig[] = "/tmp/fairlead-event-bench-XXXXXX";
    client.server = fl_slice_server_new(fill, 50051);
    fl_slice_server_write_kubeconfig(client.server, kubeconfig);
    check(fl_loop_new(&client.runtime, NULL), "loop");
    struct starter starter = {.client = &client};
    struct fl_io *io = client.runtime->io;
    check(fl_io_timer_init(io, &starter.timer, begin), "timer");
    fl_io_timer_set(io, &starter.timer, fl_io_now_ms(io) + 10);
    const struct fl_discovery_options options = {.kubeconfig = kubeconfig};
    struct fl_discovery *discovery;
    struct fl_subscription *subscription;
    check(fl_discovery_new(client.runtime, &options, &discovery, NULL), "discovery");
    check(fl_discovery_subscribe(discovery, client.runtime, "kubernetes:///default/echo", on_set,
                                 &client, &subscription, NULL),
          "subscription");
    fl_loop_run(client.runtime);
    report(&client, path);
    fl_subscription_close(subscription, stop_client, &client);
    fl_loop_run(client.runtime);
    fl_discovery_close(discovery, stop_client, &client);
    fl_loop_run(client.runtime);
    fl_io_timer_deinit(io, &starter.timer);
    fl_runtime_free(client.runtime);
    fl_slice_server_free(client.server);
    unlink(kubeconfig);
    return 0;
}
