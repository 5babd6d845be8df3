/* deployment.c - see deployment.h. */
#include "deployment.h"

#include <stdio.h>

#include "oracle.h"

#define API      "127.0.0.1:6443"
#define POD_PORT 50051

/* --- the API server, the Service --- */

static void heal_api(struct deployment *d) {
    fl_io_timer_clear(d->io, &d->heal_timer);
    fl_world_fault(d->world, FL_STR(API), FL_WORLD_OK);
}

static void run_heal(struct fl_timer *timer) {
    heal_api(FL_CONTAINER(timer, struct deployment, heal_timer));
}

static void api_fault(struct deployment *d, enum fl_world_fault fault, uint32_t for_ms) {
    fl_world_fault(d->world, FL_STR(API), fault);
    fl_io_timer_set(d->io, &d->heal_timer, fl_io_now_ms(d->io) + for_ms);
}

/* Managers do not mean the first of the two ports. */
static const struct fl_k8s_service_port ports[] = {{.name = FL_STR("metrics"),
                                                    .protocol = FL_STR("TCP"),
                                                    .port = ORACLE_EXCLUDED_PORT,
                                                    .target_port = ORACLE_EXCLUDED_PORT},
                                                   {.name = FL_STR("grpc"),
                                                    .protocol = FL_STR("TCP"),
                                                    .port = FL_SIM_SERVICE_PORT,
                                                    .target_port = POD_PORT}};

static void make_ports(struct deployment *d, const struct fl_k8s_service_port *list, size_t count) {
    fl_io_timer_clear(d->io, &d->service_timer);
    int rc = fl_cluster_service(fl_sim_cluster(d->sim), FL_STR("default"),
                                FL_STR(DEPLOYMENT_SERVICE), list, count);
    FL_ASSERT(rc == 0);
}

static void make_service(struct deployment *d) {
    if (d->plan->traits[PLAN_TRAIT_MANAGER])
        make_ports(d, ports, 2);
    else
        make_ports(d, ports + 1, 1);
}

static void exclude_ports(struct deployment *d, uint32_t for_ms) {
    make_ports(d, ports, 1);
    fl_io_timer_set(d->io, &d->service_timer, fl_io_now_ms(d->io) + for_ms);
}

static void run_service(struct fl_timer *timer) {
    make_service(FL_CONTAINER(timer, struct deployment, service_timer));
}

static void delete_service(struct deployment *d, uint32_t for_ms) {
    int rc = fl_cluster_service_delete(fl_sim_cluster(d->sim), FL_STR("default"),
                                       FL_STR(DEPLOYMENT_SERVICE));
    FL_ASSERT(rc == 0 || rc == FL_ENOT_FOUND); /* it is gone already */
    fl_io_timer_set(d->io, &d->service_timer, fl_io_now_ms(d->io) + for_ms);
}

/* As after a restart of its node: what was connected before is gone. */
static void heal_pod(struct deployment *d) {
    fl_io_timer_clear(d->io, &d->pod_timer);
    fl_world_fault(d->world, fl_str_of(d->silent_pod), FL_WORLD_OK);
    fl_world_cut(d->world, fl_str_of(d->silent_pod));
}

static void run_pod(struct fl_timer *timer) {
    heal_pod(FL_CONTAINER(timer, struct deployment, pod_timer));
}

static void silence_pod(struct deployment *d, unsigned number, uint32_t for_ms) {
    if (fl_timer_is_set(&d->pod_timer)) heal_pod(d);
    snprintf(d->silent_pod, sizeof d->silent_pod, "127.1.0.%u", number);
    fl_world_fault(d->world, fl_str_of(d->silent_pod), FL_WORLD_BLACKHOLE);
    fl_io_timer_set(d->io, &d->pod_timer, fl_io_now_ms(d->io) + for_ms);
}

/* --- orders --- */

void deployment_obey(struct deployment *d, const struct order *order) {
    char address[32];
    int rc = 0;
    switch (order->kind) {
    case ORDER_ROLL:
        rc = fl_sim_roll(d->sim, DEPLOYMENT_SERVICE, NULL);
        break;
    case ORDER_SCALE:
        rc = fl_sim_scale(d->sim, DEPLOYMENT_SERVICE, order->count, NULL);
        break;
    case ORDER_SERVICE_DELETE:
        delete_service(d, order->for_ms);
        break;
    case ORDER_CUT:
        fl_world_cut(d->world, FL_STR(API));
        break;
    case ORDER_REFUSE:
        fl_world_cut(d->world, FL_STR(API));
        api_fault(d, FL_WORLD_REFUSE, order->for_ms);
        break;
    case ORDER_BLACKHOLE:
        api_fault(d, FL_WORLD_BLACKHOLE, order->for_ms);
        break;
    case ORDER_FAULT:
        fl_apiserver_fault(fl_sim_apiserver(d->sim), order->fault, order->count);
        break;
    case ORDER_END_WATCHES:
        fl_apiserver_end_watches(fl_sim_apiserver(d->sim));
        break;
    case ORDER_COMPACT:
        fl_cluster_compact(fl_sim_cluster(d->sim));
        break;
    case ORDER_KILL:
        rc = fl_sim_kill(d->sim, DEPLOYMENT_SERVICE, NULL);
        if (rc == FL_EEMPTY) rc = 0; /* nobody to kill */
        break;
    case ORDER_POD_CUT:
        snprintf(address, sizeof address, "127.1.0.%u", order->count);
        fl_world_cut(d->world, fl_str_of(address));
        break;
    case ORDER_POD_SILENT:
        silence_pod(d, order->count, order->for_ms);
        break;
    case ORDER_PORTS:
        exclude_ports(d, order->for_ms);
        break;
    default: /* of worlds of discovery alone */
        break;
    }
    FL_ASSERT(rc == 0);
}

void deployment_heal(struct deployment *d) {
    heal_api(d);
    if (fl_timer_is_set(&d->service_timer)) make_service(d);
    if (fl_timer_is_set(&d->pod_timer)) heal_pod(d);
    fl_apiserver_heal(fl_sim_apiserver(d->sim));
}

/* --- life --- */

static struct fl_sim_options options_of(const struct plan *plan) {
    static const uint32_t delays[] = {0, 0, 1, 5, 20, 300};
    struct fl_random r = {plan->seed + 2};
    const bool *traits = plan->traits;
    return (struct fl_sim_options){
        .apiserver = {.host = FL_STR("127.0.0.1"),
                      .port = DEPLOYMENT_API_PORT,
                      .bookmark_ms = plan->bookmark_ms,
                      .no_streaming_list = traits[PLAN_TRAIT_NO_STREAMING],
                      .no_endpointslices = traits[PLAN_TRAIT_NO_SLICES],
                      .no_protobuf = traits[PLAN_TRAIT_NO_PROTOBUF],
                      .token = traits[PLAN_TRAIT_TOKEN] ? FL_STR("secret") : FL_STR_NONE},
        .seed = fl_random_u64(&r),
        .start_ms = (uint32_t)plan_draw(&r, 50, 600),
        .grace_ms = (uint32_t)plan_draw(&r, 500, 5000),
        .echo_delay_ms = delays[fl_random_below(&r, FL_COUNT(delays))],
        .address_count = traits[PLAN_TRAIT_FEW_ADDRESSES] ? (uint32_t)plan_draw(&r, 9, 14) : 0,
        .slice_max = traits[PLAN_TRAIT_SMALL_SLICES] ? (uint32_t)plan_draw(&r, 1, 3) : 0,
    };
}

void deployment_init(struct deployment *d, struct fl_world *world, const struct plan *plan) {
    const struct fl_sim_service service = {.name = DEPLOYMENT_SERVICE};
    struct fl_sim_options options = options_of(plan);
    *d = (struct deployment){.world = world, .io = fl_world_io(world), .plan = plan};
    options.services = &service;
    options.service_count = 1;
    int rc = fl_sim_new(d->io, &options, &d->sim, NULL);
    if (!rc) rc = fl_io_timer_init(d->io, &d->heal_timer, run_heal);
    if (!rc) rc = fl_io_timer_init(d->io, &d->service_timer, run_service);
    if (!rc) rc = fl_io_timer_init(d->io, &d->pod_timer, run_pod);
    FL_ASSERT(rc == 0);
    if (plan->traits[PLAN_TRAIT_MANAGER]) make_service(d);
}

void deployment_deinit(struct deployment *d) {
    fl_io_timer_deinit(d->io, &d->heal_timer);
    fl_io_timer_deinit(d->io, &d->service_timer);
    fl_io_timer_deinit(d->io, &d->pod_timer);
}
