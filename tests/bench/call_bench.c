/* call_bench.c - what a unary call costs the client.
 *
 *     call_bench HOST:PORT [--calls N] [--concurrency M] [--json FILE]
 *
 * Calls grpc.examples.echo.Echo/UnaryEcho with 64 bytes on one connection, M in flight, after a
 * tenth as many for warming up, and divides its own processor time and its allocations by the
 * calls. The server is another process: ours, or whatever h2load is measured against. */
#include <fairlead/fairlead.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "bench/report.h"
#include "loop/loop.h"

#define TEXT_BYTES 62 /* with the field's two bytes: 64 */

struct bench {
    struct fl_runtime *runtime;
    struct fl_discovery *discovery;
    struct fl_channel *channel;
    unsigned long warmup, calls, concurrency;
    unsigned long to_start, ended, failed;
    double cpu_s, wall_s; /* when the warm-up was over; then what the calls took */
    unsigned long allocations;
    char request[TEXT_BYTES + 2];
};

static atomic_ulong allocations;

static void *count_alloc(void *arg, size_t size) {
    (void)arg;
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return malloc(size);
}

static void *count_realloc(void *arg, void *old, size_t size) {
    (void)arg;
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return realloc(old, size);
}

static void no_count_free(void *arg, void *memory) {
    (void)arg;
    free(memory);
}

static double seconds(const struct timeval *t) {
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static double cpu_now(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return seconds(&usage.ru_utime) + seconds(&usage.ru_stime);
}

static double wall_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void discovery_closed(void *arg) { fl_loop_stop(((struct bench *)arg)->runtime); }

static void channel_closed(void *arg) {
    struct bench *bench = arg;
    fl_discovery_close(bench->discovery, discovery_closed, bench);
}

static void start_call(struct bench *bench);

static void on_end(void *arg, const struct fl_call_result *result) {
    struct bench *bench = arg;
    if (result->status != FL_STATUS_OK && bench->failed++ == 0)
        fprintf(stderr, "call_bench: %s: %s\n", fl_status_name(result->status), result->message);
    bench->ended++;
    if (bench->ended == bench->warmup) {
        bench->cpu_s = cpu_now();
        bench->wall_s = wall_now();
        bench->allocations = atomic_load(&allocations);
    }
    if (bench->to_start > 0) {
        start_call(bench);
    } else if (bench->ended == bench->warmup + bench->calls) {
        bench->cpu_s = cpu_now() - bench->cpu_s;
        bench->wall_s = wall_now() - bench->wall_s;
        bench->allocations = atomic_load(&allocations) - bench->allocations;
        fl_channel_close(bench->channel, channel_closed, bench);
    }
}

static void start_call(struct bench *bench) {
    static const struct fl_call_options options = {.timeout_ms = 10000};
    struct fl_error err;
    bench->to_start--;
    if (fl_call_unary(bench->channel, "/grpc.examples.echo.Echo/UnaryEcho", bench->request,
                      sizeof(bench->request), &options, on_end, bench, NULL, &err) != 0) {
        fprintf(stderr, "call_bench: %s\n", err.detail);
        exit(1);
    }
}

static bool number(const char *text, unsigned long *out) {
    char *end;
    *out = strtoul(text, &end, 10);
    return *text && !*end && *out > 0;
}

static bool parse(int argc, char **argv, struct bench *bench, struct fl_bench_report *report) {
    *report = (struct fl_bench_report){"call", NULL};
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--calls") == 0 && number(argv[i + 1], &bench->calls)) continue;
        if (strcmp(argv[i], "--concurrency") == 0 && number(argv[i + 1], &bench->concurrency))
            continue;
        if (strcmp(argv[i], "--json") == 0 && (report->json = fopen(argv[i + 1], "a"))) continue;
        return false;
    }
    return argc >= 2 && argc % 2 == 0;
}

static int run(struct bench *bench, const char *target, struct fl_error *err) {
    int rc = fl_loop_new(&bench->runtime, err);
    if (rc == 0) rc = fl_discovery_new(bench->runtime, NULL, &bench->discovery, err);
    if (rc == 0)
        rc = fl_channel_new(bench->runtime, bench->discovery, target, NULL, &bench->channel, err);
    if (rc != 0) return rc;
    bench->warmup = bench->calls / 10 + 1;
    bench->to_start = bench->warmup + bench->calls;
    for (unsigned long i = 0; i < bench->concurrency && bench->to_start > 0; i++) start_call(bench);
    fl_loop_run(bench->runtime);
    fl_runtime_free(bench->runtime);
    return 0;
}

int main(int argc, char **argv) {
    static const struct fl_allocator counting = {count_alloc, count_realloc, no_count_free, NULL};
    struct bench bench = {.calls = 100000, .concurrency = 32, .request = {10, TEXT_BYTES}};
    struct fl_bench_report report;
    struct fl_error err;
    memset(bench.request + 2, 'x', TEXT_BYTES);
    if (!parse(argc, argv, &bench, &report)) {
        fprintf(stderr, "usage: %s HOST:PORT [--calls N] [--concurrency M] [--json FILE]\n",
                argv[0]);
        return 2;
    }
    fl_alloc_configure(&counting);
    if (run(&bench, argv[1], &err) != 0) {
        fprintf(stderr, "call_bench: %s\n", err.detail);
        return 1;
    }
    char subject[32];
    snprintf(subject, sizeof(subject), "unary, %lu in flight", bench.concurrency);
    fl_bench_add(&report, subject, "client CPU per call", bench.cpu_s / (double)bench.calls * 1e6,
                 "us");
    fl_bench_add(&report, subject, "calls per second", (double)bench.calls / bench.wall_s, "1/s");
    fl_bench_add(&report, subject, "allocations per call",
                 (double)bench.allocations / (double)bench.calls, "");
    return fl_bench_close(&report) && bench.failed == 0 ? 0 : 1;
}
