/* sim.c - the simulated deployment: as many pods per service as wanted, rolls, and the ends.
 *
 * One function, reconcile, compares what is with what is wanted after every change of a pod, as a
 * controller does: it starts what is missing, one more than wanted while a roll has old pods left,
 * and lets one leave when that costs no ready pod below the wanted number. */
#include "sim/sim.h"

#include <stdio.h>

#include "base/alloc.h"
#include "sim/object.h"
#include "sim/pod.h"

#define START_MS      300
#define GRACE_MS      30000
#define POD_PORT      50051
#define ADDRESSES     65000
#define HISTORY_MAX   4096
#define RECONCILE_MS  200 /* again, after what failed for want of memory */
#define LABEL_MAX_LEN 63  /* RFC 1123 */

struct service {
    struct fl_list link;
    struct fl_sim *sim;
    char ns[LABEL_MAX_LEN + 1], name[LABEL_MAX_LEN + 1];
    unsigned wanted;
    unsigned max_surge, max_unavailable;
    unsigned generation; /* pods of an older one are replaced */
    unsigned orders;     /* how often users changed it: a Deployment's generation */
    int64_t restarted_s;
    bool rolling;
    struct fl_list pods;
};

struct fl_sim {
    struct fl_io *io;
    struct fl_cluster *cluster;
    struct fl_apiserver *apiserver;
    struct fl_pod_world pods;
    struct fl_list services, gone; /* gone: pods to be freed */
    uint32_t address_count, last_number;
    uint32_t roll_every_ms;
    struct fl_timer roll_timer, reconcile_timer, fault_timer;
    struct fl_fault *faults; /* those still to come, in any order */
    size_t fault_count;
    uint64_t start_ms;
    struct fl_task reconcile, closed;
    bool furnished;
    struct fl_api_hooks hooks;
    bool closing;
    void (*done)(void *arg);
    void *done_arg;
};

/* --- names --- */

static bool is_label(struct fl_str s) {
    if (!s.n || s.n > LABEL_MAX_LEN || s.p[0] == '-' || s.p[s.n - 1] == '-') return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
              s.p[i] == '-'))
            return false;
    return true;
}

/* "name" or "namespace/name". */
static int parse_name(const char *text, struct fl_str *ns, struct fl_str *name,
                      struct fl_error *err) {
    *ns = FL_STR("default");
    if (!fl_str_split(fl_str_of(text), '/', ns, name)) {
        *name = *ns;
        *ns = FL_STR("default");
    }
    if (is_label(*ns) && is_label(*name)) return 0;
    return fl_fail(err, FL_EUSAGE,
                   "\"%s\" is no name of a service: [namespace/]name, of a-z, 0-9 and '-'", text);
}

static struct service *find(const struct fl_sim *sim, const char *text, struct fl_error *err) {
    struct fl_str ns, name;
    if (parse_name(text, &ns, &name, err)) return NULL;
    FL_LIST_EACH (&sim->services, item, next) {
        struct service *s = FL_CONTAINER(item, struct service, link);
        if (fl_str_eq(ns, fl_str_of(s->ns)) && fl_str_eq(name, fl_str_of(s->name))) return s;
    }
    fl_fail(err, FL_EUSAGE, "no such service: %.*s/%.*s", FL_STR_ARG(ns), FL_STR_ARG(name));
    return NULL;
}

/* --- counting --- */

struct tally {
    unsigned live, ready; /* as the cluster sees it */
    unsigned old;         /* live ones of an older generation */
    unsigned surge;       /* pods above the wanted number, for a roll's sake */
    unsigned floor;       /* so many must stay ready */
    unsigned all, fresh_ready;
    bool any_old; /* live or not */
};

static struct tally count(const struct service *service) {
    struct tally t = {0};
    FL_LIST_EACH (&service->pods, item, next) {
        const struct fl_pod *pod = FL_CONTAINER(item, struct fl_pod, link);
        bool live = fl_pod_is_live(pod), fresh = pod->generation == service->generation;
        t.all++;
        t.any_old |= !fresh;
        t.live += live;
        t.old += live && !fresh;
        t.ready += pod->state == FL_SIM_POD_READY || pod->state == FL_SIM_POD_DEAD;
        t.fresh_ready += fresh && pod->state == FL_SIM_POD_READY;
    }
    unsigned fresh = t.live - t.old, wanted = service->wanted;
    if (t.old && fresh < wanted)
        t.surge = FL_MIN(service->max_surge, FL_MIN(wanted - fresh, t.old));
    t.floor = wanted - (t.old ? FL_MIN(service->max_unavailable, wanted) : 0);
    return t;
}

static bool is_settled(const struct service *service) {
    struct tally t = count(service);
    return t.all == service->wanted && t.fresh_ready == service->wanted;
}

/* --- reconciling --- */

static bool number_is_taken(const struct fl_sim *sim, uint32_t number) {
    FL_LIST_EACH (&sim->services, item, next) {
        const struct service *s = FL_CONTAINER(item, struct service, link);
        FL_LIST_EACH (&s->pods, each, after)
            if (FL_CONTAINER(each, struct fl_pod, link)->number == number) return true;
    }
    return false;
}

/* In turn, so that an address comes again as late as it can; 0: all are taken. */
static uint32_t next_number(struct fl_sim *sim) {
    for (uint32_t i = 0; i < sim->address_count; i++) {
        sim->last_number = sim->last_number % sim->address_count + 1;
        if (!number_is_taken(sim, sim->last_number)) return sim->last_number;
    }
    return 0;
}

static void on_pod_change(struct fl_pod *pod) {
    struct service *service = pod->owner;
    struct fl_sim *sim = service->sim;
    if (pod->state == FL_SIM_POD_GONE) {
        fl_list_remove(&pod->link);
        fl_list_push(&sim->gone, &pod->link);
    }
    fl_io_defer(sim->io, &sim->reconcile);
}

static int start_pod(struct service *service) {
    struct fl_sim *sim = service->sim;
    uint32_t number = next_number(sim);
    if (!number) return FL_EFULL;
    struct fl_pod *pod = FL_NEW(struct fl_pod);
    if (!pod) return FL_ENOMEM;
    pod->world = &sim->pods;
    pod->ns = fl_str_of(service->ns);
    pod->generation = service->generation;
    pod->number = number;
    pod->on_change = on_pod_change;
    pod->owner = service;
    int rc = fl_pod_init(pod, fl_str_of(service->name));
    if (rc)
        fl_free(pod);
    else
        fl_list_push(&service->pods, &pod->link);
    return rc;
}

/* The last pod (the newest) of an age and readiness. */
static struct fl_pod *last_pod(const struct service *service, bool old, bool ready) {
    struct fl_pod *found = NULL;
    FL_LIST_EACH (&service->pods, item, next) {
        struct fl_pod *pod = FL_CONTAINER(item, struct fl_pod, link);
        if (pod->state > FL_SIM_POD_READY) continue;
        if ((pod->generation != service->generation) != old) continue;
        if ((pod->state == FL_SIM_POD_READY) == ready) found = pod;
    }
    return found;
}

/* Who leaves next: an old pod before a new one, one that is not ready before one that is; one that
 * is ready only if enough others are. NULL: nobody. */
static struct fl_pod *choose_leaver(const struct service *service, const struct tally *t) {
    bool spare = t->ready > t->floor;
    unsigned most = service->wanted + (t->old ? service->max_surge : 0);
    struct fl_pod *pod = last_pod(service, true, false);
    if (!pod && spare) pod = last_pod(service, true, true);
    if (pod || t->live <= most) return pod;
    pod = last_pod(service, false, false);
    return !pod && spare ? last_pod(service, false, true) : pod;
}

static int reconcile_service(struct service *service) {
    struct tally t = count(service);
    if (!t.any_old && is_settled(service)) service->rolling = false;
    for (; t.live < service->wanted + t.surge; t.live++) {
        int rc = start_pod(service);
        if (rc) return rc;
    }
    while (t.live > t.floor) {
        struct fl_pod *pod = choose_leaver(service, &t);
        if (!pod) break;
        fl_pod_leave(pod);
        if (pod->state != FL_SIM_POD_LEAVING) return FL_ENOMEM;
        t = count(service);
    }
    return 0;
}

/* The service's Deployment as kubectl sees it. */
static int tell_deployment(struct service *service) {
    struct fl_sim *sim = service->sim;
    struct tally t = count(service);
    if (!sim->furnished) return 0;
    const struct fl_rollout now = {.wanted = service->wanted,
                                   .all = t.live,
                                   .updated = t.live - t.old,
                                   .ready = t.ready,
                                   .max_surge = service->max_surge,
                                   .max_unavailable = service->max_unavailable,
                                   .generation = service->orders + 1,
                                   .restarted_s = service->restarted_s};
    return fl_cluster_deployment(sim->cluster, fl_str_of(service->ns), fl_str_of(service->name),
                                 &now);
}

static void free_gone(struct fl_sim *sim) {
    while (!fl_list_empty(&sim->gone)) {
        struct fl_pod *pod = FL_CONTAINER(sim->gone.next, struct fl_pod, link);
        fl_pod_deinit(pod);
        fl_free(pod);
    }
}

static void maybe_closed(struct fl_sim *sim) {
    FL_LIST_EACH (&sim->services, item, next)
        if (!fl_list_empty(&FL_CONTAINER(item, struct service, link)->pods)) return;
    if (!sim->apiserver) fl_io_defer(sim->io, &sim->closed);
}

static void run_reconcile(struct fl_task *task) {
    struct fl_sim *sim = FL_CONTAINER(task, struct fl_sim, reconcile);
    int rc = 0;
    free_gone(sim);
    if (sim->closing) {
        maybe_closed(sim);
        return;
    }
    FL_LIST_EACH (&sim->services, item, next) {
        struct service *service = FL_CONTAINER(item, struct service, link);
        int one = reconcile_service(service);
        if (!one) one = tell_deployment(service);
        if (one) rc = one;
    }
    if (rc) fl_io_timer_set(sim->io, &sim->reconcile_timer, fl_io_now_ms(sim->io) + RECONCILE_MS);
}

static void run_reconcile_timer(struct fl_timer *timer) {
    struct fl_sim *sim = FL_CONTAINER(timer, struct fl_sim, reconcile_timer);
    fl_io_defer(sim->io, &sim->reconcile);
}

/* --- orders --- */

static void roll(struct service *service) {
    if (service->rolling) return;
    service->rolling = true;
    service->generation++;
    fl_cluster_template(service->sim->cluster, fl_str_of(service->ns), fl_str_of(service->name));
    fl_io_defer(service->sim->io, &service->sim->reconcile);
}

int fl_sim_roll(struct fl_sim *sim, const char *service, struct fl_error *err) {
    struct service *s = find(sim, service, err);
    if (!s) return FL_EUSAGE;
    roll(s);
    return 0;
}

int fl_sim_scale(struct fl_sim *sim, const char *service, unsigned pods, struct fl_error *err) {
    struct service *s = find(sim, service, err);
    if (!s) return FL_EUSAGE;
    s->wanted = pods;
    fl_io_defer(sim->io, &sim->reconcile);
    return 0;
}

int fl_sim_kill(struct fl_sim *sim, const char *service, struct fl_error *err) {
    struct service *s = find(sim, service, err);
    if (!s) return FL_EUSAGE;
    uint64_t ready = fl_sim_ready(sim, service);
    if (!ready) return fl_fail(err, FL_EEMPTY, "no pod of %s is ready", service);
    uint64_t which = fl_random_below(&sim->pods.random, ready);
    FL_LIST_EACH (&s->pods, item, next) {
        struct fl_pod *pod = FL_CONTAINER(item, struct fl_pod, link);
        if (pod->state != FL_SIM_POD_READY || which--) continue;
        fl_pod_kill(pod);
        break;
    }
    return 0;
}

bool fl_sim_rolling(const struct fl_sim *sim, const char *service) {
    const struct service *s = find(sim, service, NULL);
    return s && s->rolling;
}

unsigned fl_sim_ready(const struct fl_sim *sim, const char *service) {
    const struct service *s = find(sim, service, NULL);
    unsigned n = 0;
    if (!s) return 0;
    FL_LIST_EACH (&s->pods, item, next)
        n += FL_CONTAINER(item, struct fl_pod, link)->state == FL_SIM_POD_READY;
    return n;
}

bool fl_sim_settled(const struct fl_sim *sim) {
    FL_LIST_EACH (&sim->services, item, next)
        if (!is_settled(FL_CONTAINER(item, struct service, link))) return false;
    return true;
}

/* --- orders through the API --- */

static struct service *find_by(const struct fl_sim *sim, struct fl_str ns, struct fl_str name) {
    FL_LIST_EACH (&sim->services, item, next) {
        struct service *s = FL_CONTAINER(item, struct service, link);
        if (fl_str_eq(ns, fl_str_of(s->ns)) && fl_str_eq(name, fl_str_of(s->name))) return s;
    }
    return NULL;
}

static int order_pod_delete(void *arg, struct fl_str ns, struct fl_str name) {
    struct fl_sim *sim = arg;
    FL_LIST_EACH (&sim->services, item, next) {
        struct service *s = FL_CONTAINER(item, struct service, link);
        if (!fl_str_eq(ns, fl_str_of(s->ns))) continue;
        FL_LIST_EACH (&s->pods, each, after) {
            struct fl_pod *pod = FL_CONTAINER(each, struct fl_pod, link);
            if (!fl_str_eq(pod->name, name)) continue;
            if (pod->state <= FL_SIM_POD_READY) fl_pod_leave(pod);
            return 0;
        }
    }
    return FL_ENOT_FOUND;
}

static int order_scale(void *arg, struct fl_str ns, struct fl_str name, unsigned pods) {
    struct service *service = find_by(arg, ns, name);
    if (!service) return FL_ENOT_FOUND;
    service->wanted = pods;
    service->orders++;
    fl_io_defer(service->sim->io, &service->sim->reconcile);
    return tell_deployment(service);
}

static int order_restart(void *arg, struct fl_str ns, struct fl_str name) {
    struct service *service = find_by(arg, ns, name);
    if (!service) return FL_ENOT_FOUND;
    service->rolling = false; /* one that is under way is overtaken */
    service->restarted_s = fl_io_wall_ms(service->sim->io) / 1000;
    service->orders++;
    roll(service);
    return tell_deployment(service);
}

static void run_roll_timer(struct fl_timer *timer) {
    struct fl_sim *sim = FL_CONTAINER(timer, struct fl_sim, roll_timer);
    FL_LIST_EACH (&sim->services, item, next) roll(FL_CONTAINER(item, struct service, link));
    fl_io_timer_set(sim->io, timer, fl_io_now_ms(sim->io) + sim->roll_every_ms);
}

/* --- faults by time --- */

static void set_fault_timer(struct fl_sim *sim) {
    uint64_t at = UINT64_MAX;
    for (size_t i = 0; i < sim->fault_count; i++) at = FL_MIN(at, sim->faults[i].at_ms);
    if (sim->fault_count) fl_io_timer_set(sim->io, &sim->fault_timer, sim->start_ms + at);
}

static void run_fault_timer(struct fl_timer *timer) {
    struct fl_sim *sim = FL_CONTAINER(timer, struct fl_sim, fault_timer);
    uint64_t now = fl_io_now_ms(sim->io) - sim->start_ms;
    size_t left = 0;
    for (size_t i = 0; i < sim->fault_count; i++) {
        const struct fl_fault *fault = &sim->faults[i];
        if (fault->at_ms <= now)
            fl_apiserver_fault(sim->apiserver, fault->kind, fault->times);
        else
            sim->faults[left++] = *fault;
    }
    sim->fault_count = left;
    set_fault_timer(sim);
}

static int copy_faults(struct fl_sim *sim, const struct fl_sim_options *options) {
    if (!options->fault_count) return 0;
    sim->faults = fl_calloc(options->fault_count, sizeof *sim->faults);
    if (!sim->faults) return FL_ENOMEM;
    memcpy(sim->faults, options->faults, options->fault_count * sizeof *sim->faults);
    sim->fault_count = options->fault_count;
    sim->start_ms = fl_io_now_ms(sim->io);
    return 0;
}

struct fl_cluster *fl_sim_cluster(struct fl_sim *sim) {
    return sim->cluster;
}

struct fl_apiserver *fl_sim_apiserver(struct fl_sim *sim) {
    return sim->apiserver;
}

/* --- life --- */

static void sim_free(struct fl_sim *sim) {
    FL_LIST_EACH (&sim->services, item, next) {
        fl_list_remove(item);
        fl_free(FL_CONTAINER(item, struct service, link));
    }
    fl_io_timer_deinit(sim->io, &sim->roll_timer);
    fl_io_timer_deinit(sim->io, &sim->reconcile_timer);
    fl_io_timer_deinit(sim->io, &sim->fault_timer);
    fl_free(sim->faults);
    fl_cluster_free(sim->cluster);
    fl_free(sim);
}

static int add_service(struct fl_sim *sim, const struct fl_sim_service *spec,
                       struct fl_error *err) {
    const struct fl_k8s_service_port port = {.name = FL_STR("grpc"),
                                             .protocol = FL_STR("TCP"),
                                             .port = FL_SIM_SERVICE_PORT,
                                             .target_port = sim->pods.port};
    struct fl_str ns, name;
    int rc = parse_name(spec->name, &ns, &name, err);
    if (rc) return rc;
    if (find(sim, spec->name, NULL))
        return fl_fail(err, FL_EUSAGE, "service %s is given twice", spec->name);
    struct service *service = FL_NEW(struct service);
    if (!service) return fl_fail_nomem(err);
    service->sim = sim;
    service->wanted = spec->pods;
    service->max_surge = spec->max_surge || spec->max_unavailable ? spec->max_surge : 1;
    service->max_unavailable = spec->max_unavailable;
    fl_str_copy(service->ns, sizeof service->ns, ns);
    fl_str_copy(service->name, sizeof service->name, name);
    fl_list_init(&service->pods);
    fl_list_push(&sim->services, &service->link);
    fl_cluster_time(sim->cluster, fl_io_wall_ms(sim->io) / 1000);
    rc = fl_cluster_service(sim->cluster, ns, name, &port, 1);
    return rc ? fl_fail(err, rc, "service %s", spec->name) : 0;
}

static void abort_accepted(void *arg, struct fl_sock *sock) {
    struct fl_sim *sim = arg;
    fl_sock_abort(sim->io, sock);
}

/* Can this machine give pods addresses of their own? Better said now than by pods that never get
 * ready. */
static int check_addresses(struct fl_sim *sim, struct fl_error *err) {
    struct fl_listener *listener;
    struct fl_error why;
    char address[16];
    fl_pod_address(1, address);
    if (fl_io_listen(sim->io, fl_str_of(address), sim->pods.port, NULL, abort_accepted, sim,
                     &listener, &why)) {
        return fl_fail(err, why.code,
                       "pods need loopback addresses of their own: %s (does another simulator use "
                       "their port?)",
                       why.detail);
    }
    fl_listener_close(sim->io, listener);
    return 0;
}

static void run_closed(struct fl_task *task) {
    struct fl_sim *sim = FL_CONTAINER(task, struct fl_sim, closed);
    void (*done)(void *arg) = sim->done;
    void *arg = sim->done_arg;
    sim_free(sim);
    if (done) done(arg);
}

static struct fl_sim *sim_alloc(struct fl_io *io, const struct fl_sim_options *options) {
    struct fl_sim *sim = FL_NEW(struct fl_sim);
    if (!sim) return NULL;
    sim->io = io;
    sim->address_count = options->address_count ? options->address_count : ADDRESSES;
    sim->roll_every_ms = options->roll_every_ms;
    sim->furnished = options->furnished;
    sim->hooks = (struct fl_api_hooks){sim, order_pod_delete, order_scale, order_restart};
    fl_list_init(&sim->services);
    fl_list_init(&sim->gone);
    fl_task_init(&sim->reconcile, run_reconcile);
    fl_task_init(&sim->closed, run_closed);
    sim->pods = (struct fl_pod_world){
        .io = io,
        .random = {options->seed},
        .start_ms = options->start_ms ? options->start_ms : START_MS,
        .grace_ms = options->grace_ms ? options->grace_ms : GRACE_MS,
        .echo_delay_ms = options->echo_delay_ms,
        .port = options->pod_port ? options->pod_port : POD_PORT,
    };
    if (fl_io_timer_init(io, &sim->roll_timer, run_roll_timer) ||
        fl_io_timer_init(io, &sim->reconcile_timer, run_reconcile_timer) ||
        fl_io_timer_init(io, &sim->fault_timer, run_fault_timer) || copy_faults(sim, options) ||
        fl_cluster_new(fl_random_u64(&sim->pods.random), HISTORY_MAX, &sim->cluster)) {
        sim_free(sim);
        return NULL;
    }
    if (options->slice_max) fl_cluster_slice_max(sim->cluster, options->slice_max);
    sim->pods.cluster = sim->cluster;
    return sim;
}

int fl_sim_new(struct fl_io *io, const struct fl_sim_options *options, struct fl_sim **out,
               struct fl_error *err) {
    struct fl_sim *sim = sim_alloc(io, options);
    *out = NULL;
    if (!sim) return fl_fail_nomem(err);
    int rc = 0;
    for (size_t i = 0; i < options->service_count && !rc; i++)
        rc = add_service(sim, &options->services[i], err);
    if (!rc) rc = check_addresses(sim, err);
    struct fl_apiserver_options apiserver = options->apiserver;
    apiserver.hooks = &sim->hooks;
    if (!rc && sim->furnished && fl_cluster_furnish(sim->cluster)) rc = fl_fail_nomem(err);
    if (!rc) rc = fl_apiserver_new(io, sim->cluster, &apiserver, &sim->apiserver, err);
    if (rc) {
        sim_free(sim);
        return rc;
    }
    if (sim->roll_every_ms)
        fl_io_timer_set(io, &sim->roll_timer, fl_io_now_ms(io) + sim->roll_every_ms);
    set_fault_timer(sim);
    fl_io_defer(io, &sim->reconcile);
    *out = sim;
    return 0;
}

static void on_apiserver_closed(void *arg) {
    struct fl_sim *sim = arg;
    sim->apiserver = NULL;
    fl_io_defer(sim->io, &sim->reconcile);
}

void fl_sim_close(struct fl_sim *sim, void (*done)(void *arg), void *arg) {
    FL_ASSERT(!sim->closing);
    sim->closing = true;
    sim->done = done;
    sim->done_arg = arg;
    fl_io_timer_clear(sim->io, &sim->roll_timer);
    fl_io_timer_clear(sim->io, &sim->reconcile_timer);
    fl_io_timer_clear(sim->io, &sim->fault_timer);
    FL_LIST_EACH (&sim->services, item, next) {
        struct service *service = FL_CONTAINER(item, struct service, link);
        FL_LIST_EACH (&service->pods, each, after)
            fl_pod_stop(FL_CONTAINER(each, struct fl_pod, link));
    }
    fl_apiserver_close(sim->apiserver, on_apiserver_closed, sim);
}
