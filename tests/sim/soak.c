/* soak.c - see soak.h.
 *
 * A few services whose pods change their readiness all the time, one client that subscribes to all
 * of them, and every fault of the API server and of the network in turn. Both measurements are made
 * in the same state: no more events, every pod ready, the history forgotten, the truth known for
 * QUIET_MS. What is measured is what is allocated (mallinfo2, which takes what threads keep for
 * themselves for allocated: run it with glibc.malloc.tcache_count=0), of server and client
 * together. */
#include "soak.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/area.h"
#include "discovery/set.h"
#include "registry/discovery.h"
#include "sim/apiserver.h"
#include "sim/world.h"

#define SERVICES     20 /* more than are watched one by one */
#define PODS         10
#define TURN_MS      5
#define FAULT_MS_MAX 20000
#define FAULTS       (FL_FAULT_KINDS + 4) /* the last ones are the network's */
#define API          "127.0.0.1:6443"
#define API_PORT     6443
#define KNOWN_MS     4000000 /* within which the truth is known: an audit, at worst */
#define QUIET_MS     7500000 /* a scope that was refused is asked for again after an hour */
#define REST_MINUTES 30
#define CLOSE_MS     60000
#define HISTORY_MAX  4096
#define TOLERANCE    0.01
/* Of a first part that is shorter than an hour: buffers have not all been needed yet. */
#define TOLERANCE_SHORT 0.05
#define PROGRESS_S      2
#define BASELINE_MIN    60

struct soak_service {
    struct soak *soak;
    char name[16];
    char pods[PODS][80];
    bool ready[PODS];
    struct fl_subscription *subscription;
    struct fl_set *last;
};

struct soak {
    const struct soak_options *options;
    struct fl_world *world;
    struct fl_io *io;
    struct fl_cluster *cluster;
    struct fl_apiserver *server;
    struct fl_discovery *discovery;
    struct soak_service services[SERVICES];
    struct fl_random random;
    struct fl_timer event_timer, fault_timer, heal_timer;
    uint64_t events, sets, faults, closes;
    uint64_t fault_ms; /* between two: every kind comes before the first measurement */
    uint64_t due;      /* events, in thousandths */
    bool backwards;
};

/* --- events --- */

static void set_ready(struct soak *s, struct soak_service *service, size_t pod, bool ready) {
    if (service->ready[pod] == ready) return;
    service->ready[pod] = ready;
    int rc = fl_cluster_pod_phase(s->cluster, FL_STR("default"), fl_str_of(service->pods[pod]),
                                  ready ? FL_POD_READY : FL_POD_RUNNING);
    FL_ASSERT(rc == 0);
}

static void run_events(struct fl_timer *timer) {
    struct soak *s = FL_CONTAINER(timer, struct soak, event_timer);
    for (s->due += s->options->rate * TURN_MS; s->due >= 1000; s->due -= 1000) {
        struct soak_service *service = &s->services[fl_random_below(&s->random, SERVICES)];
        size_t pod = fl_random_below(&s->random, PODS);
        set_ready(s, service, pod, !service->ready[pod]);
        s->events++;
    }
    fl_io_timer_set(s->io, timer, fl_io_now_ms(s->io) + TURN_MS);
}

/* --- faults --- */

static void heal(struct soak *s) { fl_world_fault(s->world, FL_STR(API), FL_WORLD_OK); }

static void run_heal(struct fl_timer *timer) { heal(FL_CONTAINER(timer, struct soak, heal_timer)); }

static void fail_network(struct soak *s) {
    static const enum fl_world_fault faults[] = {FL_WORLD_OK, FL_WORLD_REFUSE, FL_WORLD_BLACKHOLE};
    enum fl_world_fault fault = faults[fl_random_below(&s->random, FL_COUNT(faults))];
    uint64_t for_ms = 500 + fl_random_below(&s->random, 10000);
    if (fault != FL_WORLD_BLACKHOLE) fl_world_cut(s->world, FL_STR(API));
    if (fault == FL_WORLD_OK) return;
    fl_world_fault(s->world, FL_STR(API), fault);
    fl_io_timer_set(s->io, &s->heal_timer, fl_io_now_ms(s->io) + for_ms);
}

static void run_faults(struct fl_timer *timer) {
    struct soak *s = FL_CONTAINER(timer, struct soak, fault_timer);
    uint64_t number = s->faults++ % FAULTS;
    if (number < FL_FAULT_KINDS)
        fl_apiserver_fault(s->server, (enum fl_fault_kind)number,
                           1 + (unsigned)fl_random_below(&s->random, 3));
    else
        fail_network(s);
    fl_io_timer_set(s->io, timer, fl_io_now_ms(s->io) + s->fault_ms);
}

/* --- the client --- */

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct soak_service *service = arg;
    struct soak *s = service->soak;
    FL_UNUSED(previous);
    FL_UNUSED(trouble);
    s->sets++;
    s->backwards |= service->last && fl_set_version(set) < fl_set_version(service->last);
    fl_set_unref(service->last);
    service->last = fl_set_ref(set);
}

struct count {
    const struct fl_set *set;
    size_t usable;
};

static void count_usable(void *arg, const struct fl_endpoint *endpoint) {
    struct count *count = arg;
    count->usable += fl_set_usable(count->set, endpoint);
}

static bool is_known(void *arg) {
    const struct soak *s = arg;
    for (size_t i = 0; i < SERVICES; i++) {
        struct count count = {s->services[i].last, 0};
        if (!count.set) return false;
        fl_set_each(count.set, count_usable, &count);
        if (count.usable != PODS) return false;
    }
    return true;
}

/* --- quiet, to measure --- */

static size_t heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Everybody knows the truth; *bytes: the heap at rest, without the buffers of a request that
 * happens to be under way. */
static bool become_quiet(struct soak *s, size_t *bytes) {
    fl_io_timer_clear(s->io, &s->event_timer);
    fl_io_timer_clear(s->io, &s->fault_timer);
    fl_io_timer_clear(s->io, &s->heal_timer);
    heal(s);
    fl_apiserver_heal(s->server);
    for (size_t i = 0; i < SERVICES; i++)
        for (size_t j = 0; j < PODS; j++) set_ready(s, &s->services[i], j, true);
    bool known = fl_world_run_until(s->world, is_known, s, KNOWN_MS);
    fl_world_run_ms(s->world, QUIET_MS);
    fl_cluster_compact(s->cluster);
    *bytes = heap_bytes();
    for (unsigned i = 0; i < REST_MINUTES; i++) {
        fl_world_run_ms(s->world, 60000);
        *bytes = FL_MIN(*bytes, heap_bytes());
    }
    return known && is_known(s);
}

static void go_on(struct soak *s) {
    uint64_t now = fl_io_now_ms(s->io);
    fl_io_timer_set(s->io, &s->event_timer, now + TURN_MS);
    fl_io_timer_set(s->io, &s->fault_timer, now + s->fault_ms);
}

/* --- life --- */

static void make_service(struct soak *s, size_t i) {
    static const struct fl_k8s_service_port port = {
        .name = FL_STR("grpc"), .protocol = FL_STR("TCP"), .port = 80, .target_port = 50051};
    struct soak_service *service = &s->services[i];
    char address[32], target[64];
    struct fl_str name;
    service->soak = s;
    snprintf(service->name, sizeof service->name, "echo-%u", (unsigned)i % SERVICES);
    int rc = fl_cluster_service(s->cluster, FL_STR("default"), fl_str_of(service->name), &port, 1);
    for (unsigned j = 0; j < PODS && !rc; j++) {
        snprintf(address, sizeof address, "10.1.%u.%u", (unsigned)i % SERVICES, j + 1);
        rc = fl_cluster_pod_add(s->cluster, FL_STR("default"), fl_str_of(service->name),
                                fl_str_of(address), &name);
        FL_ASSERT(rc == 0 && fl_str_copy(service->pods[j], sizeof service->pods[j], name));
        set_ready(s, service, j, true);
    }
    snprintf(target, sizeof target, "kubernetes:///default/%s", service->name);
    rc = fl_discovery_subscribe_on(s->discovery, s->io, target, on_set, service,
                                   &service->subscription, NULL);
    FL_ASSERT(rc == 0);
}

static void start(struct soak *s) {
    const struct fl_world_options options = {.seed = s->options->seed, .reorder = true};
    const struct fl_apiserver_options server = {.host = FL_STR("127.0.0.1"), .port = API_PORT};
    static const char kubeconfig[] =
        "apiVersion: v1\nkind: Config\ncurrent-context: sim\n"
        "clusters: [{name: sim, cluster: {server: \"http://" API "\"}}]\n"
        "users: [{name: sim, user: {}}]\n"
        "contexts: [{name: sim, context: {cluster: sim, user: sim}}]\n";
    const struct fl_discovery_options discovery = {.kubeconfig = "/kubeconfig"};
    s->random.state = s->options->seed + 1;
    int rc = fl_world_new(&options, &s->world);
    FL_ASSERT(rc == 0);
    s->io = fl_world_io(s->world);
    rc = fl_world_file(s->world, "/kubeconfig", FL_STR(kubeconfig));
    if (!rc) rc = fl_io_timer_init(s->io, &s->event_timer, run_events);
    if (!rc) rc = fl_io_timer_init(s->io, &s->fault_timer, run_faults);
    if (!rc) rc = fl_io_timer_init(s->io, &s->heal_timer, run_heal);
    if (!rc) rc = fl_cluster_new(s->options->seed, HISTORY_MAX, &s->cluster);
    if (!rc) rc = fl_apiserver_new(s->io, s->cluster, &server, &s->server, NULL);
    if (!rc) rc = fl_discovery_new_on(s->io, &discovery, &s->discovery, NULL);
    FL_ASSERT(rc == 0);
    for (size_t i = 0; i < SERVICES; i++) make_service(s, i);
}

static void on_closed(void *arg) { ((struct soak *)arg)->closes--; }

static bool all_closed(void *arg) { return ((struct soak *)arg)->closes == 0; }

static void wait_closed(struct soak *s) {
    bool closed = fl_world_run_until(s->world, all_closed, s, CLOSE_MS);
    FL_ASSERT(closed);
}

static void finish(struct soak *s) {
    s->closes = SERVICES;
    for (size_t i = 0; i < SERVICES; i++)
        fl_subscription_close(s->services[i].subscription, on_closed, s);
    wait_closed(s);
    s->closes = 1;
    fl_discovery_close(s->discovery, on_closed, s);
    wait_closed(s);
    s->closes = 1;
    fl_apiserver_close(s->server, on_closed, s);
    wait_closed(s);
    fl_world_run_ms(s->world, 2000);
    for (size_t i = 0; i < SERVICES; i++) fl_set_unref(s->services[i].last);
    fl_cluster_free(s->cluster);
    fl_io_timer_deinit(s->io, &s->event_timer);
    fl_io_timer_deinit(s->io, &s->fault_timer);
    fl_io_timer_deinit(s->io, &s->heal_timer);
    fl_world_free(s->world);
}

/* --- the run --- */

static void run_minutes(struct soak *s, uint64_t minutes, uint64_t done, time_t started) {
    static time_t told;
    for (uint64_t i = 0; i < minutes; i++) {
        fl_world_run_ms(s->world, 60000);
        time_t now = time(NULL);
        if (!isatty(STDERR_FILENO) || now < told + PROGRESS_S) continue;
        told = now;
        uint64_t gone = done + i + 1, left = s->options->minutes - gone;
        fprintf(stderr,
                "\r%" PRIu64 " of %" PRIu64 " virtual minutes, %" PRIu64 " events, heap %zu KiB, "
                "%" PRIu64 " s left  ",
                gone, s->options->minutes, s->events, heap_bytes() / 1024,
                (uint64_t)(now - started) * left / gone);
    }
}

static void print_areas(void) {
    static const char *const names[FL_AREAS] = {
#define FL_X(name, label) label,
        FL_AREA_MAP(FL_X)
#undef FL_X
    };
    for (int i = 0; i < FL_AREAS; i++)
        printf("%s%s %zu", i ? ", " : "  ", names[i], fl_area_bytes((enum fl_area)i));
    puts("");
}

static bool measure(struct soak *s, const char *when, size_t *bytes) {
    bool known = become_quiet(s, bytes);
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    printf("%s: heap %zu bytes, %" PRIu64 " events, %" PRIu64 " faults, %" PRIu64 " sets, %" PRIu64
           " requests%s\n",
           when, *bytes, s->events, s->faults, s->sets, fl_apiserver_requests(s->server),
           known ? "" : "; NOT EVERYBODY KNOWS THE TRUTH");
    print_areas();
    fflush(stdout);
    return known;
}

int soak_run(const struct soak_options *options) {
    struct soak *s = fl_calloc(1, sizeof *s);
    FL_ASSERT(s);
    uint64_t first = FL_MIN((uint64_t)BASELINE_MIN, FL_MAX(options->minutes / 4, UINT64_C(1)));
    size_t before, after;
    time_t started = time(NULL);
    s->options = options;
    s->fault_ms = FL_MIN(first * 60000 / (2 * FAULTS), (uint64_t)FAULT_MS_MAX);
    start(s);
    go_on(s);
    printf("%" PRIu64 " virtual minutes at %" PRIu64 " events/s, measured after %" PRIu64
           " and at the end\n",
           options->minutes, options->rate, first);
    fflush(stdout);
    run_minutes(s, first, 0, started);
    bool good = measure(s, "after the first part", &before);
    go_on(s);
    run_minutes(s, options->minutes - first, first, started);
    good &= measure(s, "at the end", &after);
    double grown = before ? ((double)after - (double)before) / (double)before : 0;
    double allowed = first < BASELINE_MIN ? TOLERANCE_SHORT : TOLERANCE;
    printf("heap %+.3f %% (at most %.0f %%)%s; %" PRIu64 " virtual minutes at %" PRIu64
           " events/s in %" PRIu64 " s%s\n",
           100 * grown, 100 * allowed, before ? "" : ", not measured with this allocator",
           options->minutes, options->rate, (uint64_t)(time(NULL) - started),
           s->backwards ? "; A SET WENT BACKWARDS" : "");
    good &= grown <= allowed && !s->backwards;
    finish(s);
    fl_free(s);
    return good ? 0 : 1;
}
