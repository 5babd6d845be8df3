/* grpc_subject.c - Fairlead as a subject of bench-grpc, on the public API alone (see grpc/peers.py
 * for what a subject is).
 *
 *     grpc_subject unary ADDRESSES CALLS IN_FLIGHT
 *     grpc_subject stream ADDRESSES MESSAGES IN_FLIGHT BYTES
 *     grpc_subject channels ADDRESSES COUNT [IDLE_MS]
 *     grpc_subject watch KUBECONFIG SERVICES
 *
 * The library's loop has a thread of its own, on which all calls but the first are started; main
 * waits. */
#include <fairlead/fairlead.h>
#include <inttypes.h>
#include <malloc.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define UNARY         "/grpc.examples.echo.Echo/UnaryEcho"
#define STREAM        "/grpc.examples.echo.Echo/BidirectionalStreamingEcho"
#define ECHO_BYTES    64
#define CHANNEL_CALLS 6 /* on each of many channels: twice round three endpoints */
#define PATIENCE_MS   60000
#define WATCH_IDLE_MS 1000

struct bench {
    struct fl_runtime *runtime;
    struct fl_discovery *discovery;
    struct fl_channel *channel;
    struct fl_call *stream;
    char *message;
    size_t bytes;
    /* Calls or messages: the first `warmup` are not counted. */
    uint64_t warmup, total, started, ended, in_flight;
    uint64_t cpu_us, began_ns;
    uint64_t *took_ns; /* with one in flight: how long each took */
    uint64_t sent_ns;
    uint32_t idle_ms; /* of channels; 0: the default */
    sem_t done;
};

static void die(const char *what, const struct fl_error *err) {
    fprintf(stderr, "grpc_subject: %s: %s\n", what, err ? err->detail : "");
    exit(1);
}

static uint64_t cpu_us(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void require_ok(const struct fl_call_result *result) {
    if (result->status == FL_STATUS_OK) return;
    fprintf(stderr, "grpc_subject: %s: %s\n", fl_status_name(result->status), result->message);
    exit(1);
}

/* One call or message is through; true: it was the last. */
static bool count_one(struct bench *b) {
    if (b->took_ns && b->ended >= b->warmup)
        b->took_ns[b->ended - b->warmup] = now_ns() - b->sent_ns;
    if (++b->ended == b->warmup) {
        b->cpu_us = cpu_us();
        b->began_ns = now_ns();
    }
    if (b->ended < b->total) return false;
    b->cpu_us = cpu_us() - b->cpu_us;
    b->began_ns = now_ns() - b->began_ns;
    return true;
}

/* ---- unary ---- */

static void start_call(struct bench *b);

static void on_answer(void *arg, const struct fl_call_result *result) {
    struct bench *b = arg;
    require_ok(result);
    if (result->response_len != b->bytes) die("an answer of another length", NULL);
    if (count_one(b)) {
        sem_post(&b->done);
        return;
    }
    while (b->started < b->total && b->started - b->ended < b->in_flight) start_call(b);
}

static void start_call(struct bench *b) {
    static const struct fl_call_options options = {.timeout_ms = PATIENCE_MS,
                                                   .wait_for_ready = FL_WAIT_YES};
    struct fl_error err = {0};
    b->started++;
    if (b->took_ns) b->sent_ns = now_ns();
    if (fl_call_unary(b->channel, UNARY, b->message, b->bytes, &options, on_answer, b, NULL, &err) <
        0)
        die("call", &err);
}

/* ---- one stream ---- */

static void send_messages(struct bench *b) {
    while (b->started < b->total && b->started - b->ended < b->in_flight) {
        int rc = fl_call_write(b->stream, b->message, b->bytes);
        if (rc == FL_EFULL) return; /* on_writable follows */
        if (rc < 0) die("write", NULL);
        b->started++;
    }
}

static void on_message(void *arg, struct fl_call *call, const void *bytes, size_t len) {
    struct bench *b = arg;
    (void)bytes;
    b->stream = call;
    if (len != b->bytes) die("a message of another length", NULL);
    if (count_one(b))
        fl_call_write_end(call);
    else
        send_messages(b);
}

static void on_writable(void *arg, struct fl_call *call) {
    struct bench *b = arg;
    b->stream = call;
    send_messages(b);
}

static void on_end(void *arg, const struct fl_call_result *result) {
    struct bench *b = arg;
    require_ok(result);
    if (b->ended < b->total) die("the stream ended early", NULL);
    sem_post(&b->done);
}

static const struct fl_call_events stream_events = {
    .on_message = on_message, .on_writable = on_writable, .on_end = on_end};

/* The connection stands; the stream is started on the loop. */
static void on_connected(void *arg, const struct fl_call_result *result) {
    static const struct fl_call_options options = {.timeout_ms = 10 * PATIENCE_MS};
    struct bench *b = arg;
    struct fl_error err = {0};
    require_ok(result);
    if (fl_call_start(b->channel, STREAM, &options, &stream_events, b, &b->stream, &err) < 0)
        die("stream", &err);
    send_messages(b);
}

static void start_stream(struct bench *b) {
    static const struct fl_call_options options = {.timeout_ms = PATIENCE_MS,
                                                   .wait_for_ready = FL_WAIT_YES};
    struct fl_error err = {0};
    if (fl_call_unary(b->channel, UNARY, b->message, ECHO_BYTES, &options, on_connected, b, NULL,
                      &err) < 0)
        die("call", &err);
}

/* ---- from start to end ---- */

static void on_closed(void *arg) { sem_post(arg); }

static struct fl_channel *open_channel(struct bench *b, const char *scheme, const char *rest) {
    const struct fl_channel_options options = {.idle_timeout_ms = b->idle_ms};
    char target[8192];
    struct fl_channel *channel;
    struct fl_error err = {0};
    snprintf(target, sizeof(target), "%s:%s", scheme, rest);
    if (fl_channel_new(b->runtime, b->discovery, target, &options, &channel, &err) < 0)
        die(target, &err);
    return channel;
}

static void close_channel(struct bench *b, struct fl_channel *channel) {
    fl_channel_close(channel, on_closed, &b->done);
    sem_wait(&b->done);
}

static void open_all(struct bench *b, const char *kubeconfig) {
    const struct fl_discovery_options options = {.kubeconfig = kubeconfig};
    struct fl_error err = {0};
    b->message = malloc(b->bytes);
    if (!b->message || sem_init(&b->done, 0, 0) < 0) die("memory", NULL);
    memset(b->message, 'x', b->bytes); /* as socket_copy does */
    if (fl_runtime_new(NULL, &b->runtime, &err) < 0) die("runtime", &err);
    if (fl_discovery_new(b->runtime, &options, &b->discovery, &err) < 0) die("discovery", &err);
}

static void close_all(struct bench *b) {
    fl_discovery_close(b->discovery, on_closed, &b->done);
    sem_wait(&b->done);
    fl_runtime_free(b->runtime);
    sem_destroy(&b->done);
    free(b->took_ns);
    free(b->message);
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Of those that are sorted, microseconds. */
static double percentile_us(const struct bench *b, uint64_t n, uint64_t percent) {
    uint64_t at = n * percent / 100;
    return (double)b->took_ns[at] / 1e3;
}

static void report(struct bench *b) {
    uint64_t n = b->total - b->warmup;
    printf("{\"at\": \"done\", \"count\": %" PRIu64 ", \"cpu_us\": %" PRIu64 ", \"us\": %" PRIu64,
           n, b->cpu_us, b->began_ns / 1000);
    if (b->took_ns) {
        qsort(b->took_ns, n, sizeof(*b->took_ns), ascending);
        printf(", \"p50_us\": %.1f, \"p99_us\": %.1f", percentile_us(b, n, 50),
               percentile_us(b, n, 99));
    }
    printf("}\n");
    fflush(stdout);
}

/* Unary calls, or the messages of one stream. */
static void run_calls(struct bench *b, const char *addresses, bool stream) {
    uint64_t counted = b->total;
    b->warmup = counted / 10 + 1;
    b->total = b->warmup + counted;
    if (b->in_flight == 1 && !stream) b->took_ns = calloc(counted, sizeof(*b->took_ns));
    open_all(b, NULL);
    b->channel = open_channel(b, "static", addresses);
    stream ? start_stream(b) : start_call(b);
    sem_wait(&b->done);
    report(b);
    close_channel(b, b->channel);
    close_all(b);
}

static void wait_until_idle(struct fl_channel *const *channels, uint64_t count) {
    const uint64_t deadline = now_ns() + (uint64_t)PATIENCE_MS * 1000000;
    for (uint64_t i = 0; i < count; i++)
        while (fl_channel_state(channels[i]) != FL_CHANNEL_IDLE) {
            if (now_ns() > deadline) die("a channel does not become idle", NULL);
            usleep(10000);
        }
}

static size_t count_usable(struct fl_channel *const *channels, uint64_t count) {
    size_t usable = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct fl_handles handles;
        struct fl_error err = {0};
        if (fl_channel_handles(channels[i], &handles, &err) < 0) die("handles", &err);
        usable += handles.count;
        fl_handles_deinit(&handles);
    }
    return usable;
}

static void tell_freed(void) {
    malloc_trim(0);
    struct mallinfo2 heap = mallinfo2();
    printf("{\"at\": \"freed\", \"live\": %zu}\n", heap.uordblks + heap.hblkhd);
}

/* Answers standard input's lines "cpu", "free" and "usable"; its end is the end. */
static void stay(struct bench *b, struct fl_channel *const *channels, uint64_t count) {
    char line[64];
    if (b->idle_ms) wait_until_idle(channels, count);
    printf("{\"at\": \"ready\", \"count\": %" PRIu64 "}\n", count);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        if (strcmp(line, "free\n") == 0)
            tell_freed();
        else if (strcmp(line, "usable\n") == 0)
            printf("{\"at\": \"usable\", \"endpoints\": %zu}\n", count_usable(channels, count));
        else
            printf("{\"at\": \"cpu\", \"cpu_us\": %" PRIu64 "}\n", cpu_us());
        fflush(stdout);
    }
    for (uint64_t i = 0; i < count; i++) close_channel(b, channels[i]);
    close_all(b);
}

/* Many channels, each of which has used all its connections. */
static void run_channels(struct bench *b, const char *addresses) {
    uint64_t count = b->total;
    struct fl_channel **channels = calloc(count, sizeof(struct fl_channel *));
    open_all(b, NULL);
    if (!channels) die("memory", NULL);
    b->total = CHANNEL_CALLS;
    for (uint64_t i = 0; i < count; i++) {
        b->channel = channels[i] = open_channel(b, "static", addresses);
        b->started = b->ended = 0;
        start_call(b);
        sem_wait(&b->done);
    }
    stay(b, channels, count);
    free(channels);
}

/* A channel for each service, idle as soon as it may be. */
static void run_watch(struct bench *b, const char *kubeconfig) {
    struct fl_channel **channels = calloc(b->total, sizeof(struct fl_channel *));
    open_all(b, kubeconfig);
    if (!channels) die("memory", NULL);
    b->idle_ms = WATCH_IDLE_MS;
    for (uint64_t i = 0; i < b->total; i++) {
        char name[64];
        snprintf(name, sizeof(name), "///benchmark/service-%05" PRIu64, i);
        channels[i] = open_channel(b, "kubernetes", name);
    }
    stay(b, channels, b->total);
    free(channels);
}

static int usage(void) {
    fprintf(stderr, "usage: grpc_subject unary ADDRESSES CALLS IN_FLIGHT\n"
                    "       grpc_subject stream ADDRESSES MESSAGES IN_FLIGHT BYTES\n"
                    "       grpc_subject channels ADDRESSES COUNT [IDLE_MS]\n"
                    "       grpc_subject watch KUBECONFIG SERVICES\n");
    return 2;
}

int main(int argc, char **argv) {
    static struct bench b = {.bytes = ECHO_BYTES, .in_flight = 1};
    const char *mode = argc > 3 ? argv[1] : "";
    uint64_t numbers[3] = {0};
    for (int i = 3; i < argc && i < 6; i++) numbers[i - 3] = strtoull(argv[i], NULL, 10);
    b.total = numbers[0];
    if (strcmp(mode, "channels") == 0) {
        b.idle_ms = (uint32_t)numbers[1];
        run_channels(&b, argv[2]);
    } else if (strcmp(mode, "watch") == 0) {
        run_watch(&b, argv[2]);
    } else if (strcmp(mode, "unary") == 0 && argc == 5) {
        b.in_flight = numbers[1];
        run_calls(&b, argv[2], false);
    } else if (strcmp(mode, "stream") == 0 && argc == 6) {
        b.in_flight = numbers[1];
        b.bytes = numbers[2];
        run_calls(&b, argv[2], true);
    } else {
        return usage();
    }
    return 0;
}
