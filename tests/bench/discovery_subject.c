/* discovery_subject.c - Fairlead as a subject of the bench: discovery with every service subscribed
 * (see discovery/subject.py for what it answers to).
 *
 *     discovery_subject KUBECONFIG SERVICES | --empty
 *
 * Everything of Fairlead runs on the main thread's loop; another thread reads commands. --empty:
 * the library is up and nothing is watched. */
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/area.h"
#include "discovery/discovery.h"

#define NAME_BYTES 253

struct service {
    struct subject *subject;
    struct fl_subscription *subscription;
    struct fl_set *set; /* the newest, held */
};

struct told { /* a call of the callback */
    struct service *service;
    uint64_t ns;
};

struct subject {
    struct fl_runtime *runtime;
    struct fl_discovery *discovery;
    struct fl_names *names;
    struct service *services;
    size_t wanted, count, known;
    uint64_t start_us;
    struct fl_task task;

    pthread_mutex_t lock; /* what the commands share with the callbacks */
    uint64_t seen, expected, began_us, first_us;
    struct told *log;
    size_t logged, log_cap;
};

static void die(const char *what, const struct fl_error *err) {
    fprintf(stderr, "discovery_subject: %s: %s\n", what, err ? err->detail : "");
    exit(1);
}

static uint64_t cpu_us(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now_us(void) { return clock_ns(CLOCK_MONOTONIC) / 1000; }

/* ---- the loop's thread ---- */

static void count_event(struct subject *s) {
    s->seen++;
    if (s->expected == 0) return;
    if (!s->first_us) s->first_us = now_us();
    if (--s->expected) return;
    printf("{\"at\": \"events\", \"cpu_us\": %" PRIu64 ", \"seen\": %" PRIu64 ", \"us\": %" PRIu64
           "}\n",
           cpu_us() - s->began_us, s->seen, now_us() - s->first_us);
    fflush(stdout);
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct service *service = arg;
    struct subject *s = service->subject;
    bool known = previous && fl_set_state(previous) == FL_SET_SOME;
    if (set == previous || fl_set_state(set) != FL_SET_SOME) {
        if (trouble) fprintf(stderr, "discovery_subject: %s\n", trouble->detail);
        return;
    }
    fl_set_unref(service->set);
    service->set = fl_set_ref(set);
    if (!known && ++s->known == s->wanted) {
        printf("{\"at\": \"synced\", \"cpu_us\": %" PRIu64 ", \"us\": %" PRIu64 "}\n", cpu_us(),
               now_us() - s->start_us);
        fflush(stdout);
    }
    if (!known) return;
    pthread_mutex_lock(&s->lock);
    if (s->logged < s->log_cap)
        s->log[s->logged++] = (struct told){service, clock_ns(CLOCK_REALTIME)};
    count_event(s);
    pthread_mutex_unlock(&s->lock);
}

static void on_name(void *arg, struct fl_str name) {
    struct subject *s = arg;
    struct fl_error err = {0};
    char target[320];
    if (s->count == s->wanted) return; /* "kubernetes" in "default", say */
    struct service *service = &s->services[s->count];
    if (name.n > NAME_BYTES || !fl_str_starts(name, FL_STR("benchmark/"))) return;
    s->count++;
    service->subject = s;
    snprintf(target, sizeof(target), "kubernetes:///%.*s", FL_STR_ARG(name));
    if (fl_discovery_subscribe(s->discovery, s->runtime, target, on_set, service,
                               &service->subscription, &err) < 0)
        die(target, &err);
}

static void on_synced(void *arg) { FL_UNUSED(arg); }

static void on_trouble(void *arg, const struct fl_error *trouble) {
    FL_UNUSED(arg);
    if (trouble->code != FL_OK) fprintf(stderr, "discovery_subject: %s\n", trouble->detail);
}

static void begin(struct fl_task *task) {
    static const struct fl_names_events events = {on_name, on_synced, on_trouble};
    struct subject *s = FL_CONTAINER(task, struct subject, task);
    struct fl_error err = {0};
    if (fl_discovery_watch_names(s->discovery, "kubernetes", FL_STR_NONE, &events, s, &s->names,
                                 &err) < 0)
        die("names", &err);
}

/* ---- commands ---- */

struct tally {
    size_t endpoints, unready;
};

static void tally_one(void *arg, const struct fl_endpoint *endpoint) {
    struct tally *tally = arg;
    tally->endpoints++;
    tally->unready += !endpoint->ready;
}

static void tell_held(struct subject *s) {
    struct tally tally = {0};
    size_t sets = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (!s->services[i].set) continue;
        sets++;
        fl_set_each(s->services[i].set, tally_one, &tally);
    }
    printf("{\"at\": \"held\", \"slices\": %zu, \"endpoints\": %zu, \"unready\": %zu}\n", sets,
           tally.endpoints, tally.unready);
}

static void tell_areas(void) {
#define FL_X(name, label) printf(", \"%s\": %zu", label, fl_area_bytes(FL_AREA_##name));
    struct mallinfo2 heap = mallinfo2();
    printf("{\"at\": \"areas\", \"heap\": %zu", heap.uordblks + heap.hblkhd);
    FL_AREA_MAP(FL_X)
    printf("}\n");
#undef FL_X
}

static void write_log(struct subject *s, const char *path) {
    FILE *file = fopen(path, "w");
    if (!file) die(path, NULL);
    for (size_t i = 0; i < s->logged; i++)
        fprintf(file, "%s %" PRIu64 "\n", strchr(fl_set_service(s->log[i].service->set), '/') + 1,
                s->log[i].ns);
    fclose(file);
    printf("{\"at\": \"written\"}\n");
}

static void command(struct subject *s, char *line) {
    char *rest = strchr(line, ' ');
    if (rest) *rest++ = '\0';
    if (strcmp(line, "expect") == 0 && rest) {
        s->expected = strtoull(rest, NULL, 10);
        s->first_us = 0;
        s->began_us = cpu_us();
        printf("{\"at\": \"expecting\"}\n");
    } else if (strcmp(line, "cpu") == 0) {
        printf("{\"at\": \"cpu\", \"cpu_us\": %" PRIu64 "}\n", cpu_us());
    } else if (strcmp(line, "held") == 0) {
        tell_held(s);
    } else if (strcmp(line, "areas") == 0) {
        tell_areas();
    } else if (strcmp(line, "log") == 0) {
        s->log_cap = 10000;
        s->log = fl_calloc(s->log_cap, sizeof(*s->log));
        printf("{\"at\": \"logging\"}\n");
    } else if (strcmp(line, "write") == 0 && rest) {
        write_log(s, rest);
    }
    fflush(stdout);
}

static void *read_commands(void *arg) {
    static char line[4096];
    struct subject *s = arg;
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        pthread_mutex_lock(&s->lock);
        command(s, line);
        pthread_mutex_unlock(&s->lock);
    }
    exit(0);
}

static void start(struct subject *s, const char *kubeconfig, const char *services) {
    struct fl_error err = {0};
    const struct fl_runtime_options runtime = {.mode = FL_RUNTIME_UV_LOOP,
                                               .uv_loop = uv_default_loop()};
    const struct fl_discovery_options options = {.kubeconfig = kubeconfig};
    if (fl_runtime_new(&runtime, &s->runtime, &err) < 0) die("runtime", &err);
    if (fl_discovery_new(s->runtime, &options, &s->discovery, &err) < 0) die("discovery", &err);
    if (!services) return;
    s->wanted = strtoull(services, NULL, 10);
    s->services = fl_calloc(s->wanted, sizeof(*s->services));
    if (!s->services) die("memory", NULL);
    fl_io_post(s->runtime->io, &s->task);
}

int main(int argc, char **argv) {
    static struct subject s = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t reader;
    if (argc < 2 || (argc == 2 && strcmp(argv[1], "--empty") != 0)) {
        fprintf(stderr, "usage: discovery_subject KUBECONFIG SERVICES | --empty\n");
        return 2;
    }
    s.start_us = now_us();
    fl_task_init(&s.task, begin);
    start(&s, argc > 2 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL);
    if (pthread_create(&reader, NULL, read_commands, &s) != 0) die("thread", NULL);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
