/* town.c - see town.h. */
#include "town.h"

#include <stdio.h>

#define ADDRESSES_FEW  12
#define ADDRESSES_MANY 60000
#define HISTORY_MAX    512
#define POD_PORT       50051

static const struct fl_k8s_service_port port = {
    .name = FL_STR("grpc"), .protocol = FL_STR("TCP"), .port = 80, .target_port = POD_PORT};

/* --- pods --- */

static bool is_taken(const struct town *town, unsigned number) {
    for (size_t i = 0; i < PLAN_SERVICES_MAX; i++)
        for (size_t j = 0; j < town->services[i].pod_count; j++)
            if (town->services[i].pods[j].number == number) return true;
    return false;
}

static unsigned next_address(struct town *town) {
    unsigned wrap = town->few_addresses ? ADDRESSES_FEW : ADDRESSES_MANY;
    for (unsigned i = 0; i < wrap; i++) {
        unsigned number = town->next_address++ % wrap + 1;
        if (!is_taken(town, number)) return number;
    }
    return ADDRESSES_FEW + ++town->next_address; /* the few are all in use */
}

static void add_pod(struct town_service *service) {
    struct town *town = service->town;
    struct fl_str name;
    char address[32];
    if (service->pod_count == TOWN_PODS_MAX) return;
    struct town_pod *pod = &service->pods[service->pod_count];
    unsigned number = next_address(town);
    snprintf(address, sizeof address, "10.1.%u.%u", number >> 8, number & 255);
    if (fl_cluster_pod_add(town->cluster, FL_STR("default"), fl_str_of(service->name),
                           fl_str_of(address), &name))
        return; /* the service is gone */
    *pod = (struct town_pod){.number = number, .phase = FL_POD_PENDING};
    bool fits = fl_str_copy(pod->name, sizeof pod->name, name);
    FL_ASSERT(fits);
    service->pod_count++;
}

static void set_phase(struct town_service *service, struct town_pod *pod, enum fl_pod_phase phase) {
    if (pod->phase == phase) return;
    int rc = fl_cluster_pod_phase(service->town->cluster, FL_STR("default"), fl_str_of(pod->name),
                                  phase);
    FL_ASSERT(rc == 0);
    pod->phase = phase;
}

static void delete_pod(struct town_service *service, size_t at) {
    int rc = fl_cluster_pod_delete(service->town->cluster, FL_STR("default"),
                                   fl_str_of(service->pods[at].name));
    FL_ASSERT(rc == 0);
    service->pods[at] = service->pods[--service->pod_count];
}

/* `count` pods, the oldest first, from one phase to another. */
static void move_pods(struct town_service *service, enum fl_pod_phase from, enum fl_pod_phase to,
                      size_t count) {
    for (size_t i = 0; i < service->pod_count && count; i++) {
        if (service->pods[i].phase != from) continue;
        set_phase(service, &service->pods[i], to);
        count--;
    }
}

static void delete_pods(struct town_service *service, bool all) {
    for (size_t i = service->pod_count; i-- > 0;)
        if (all || service->pods[i].phase == FL_POD_TERMINATING) delete_pod(service, i);
}

/* --- services --- */

static void make_service(struct town_service *service) {
    fl_io_timer_clear(service->town->io, &service->back);
    int rc = fl_cluster_service(service->town->cluster, FL_STR("default"), fl_str_of(service->name),
                                &port, 1);
    FL_ASSERT(rc == 0);
}

static void run_back(struct fl_timer *timer) {
    struct town_service *service = FL_CONTAINER(timer, struct town_service, back);
    story_tell(service->town->story, "cluster", "%s is made again", service->name);
    make_service(service);
}

static void delete_service(struct town_service *service, uint32_t for_ms) {
    struct fl_io *io = service->town->io;
    if (fl_cluster_service_delete(service->town->cluster, FL_STR("default"),
                                  fl_str_of(service->name)))
        return; /* it is gone already */
    fl_io_timer_set(io, &service->back, fl_io_now_ms(io) + for_ms);
}

static void make_external(struct town_service *service, uint32_t for_ms) {
    struct fl_io *io = service->town->io;
    int rc = fl_cluster_external(service->town->cluster, FL_STR("default"),
                                 fl_str_of(service->name), FL_STR("db.example.com"));
    FL_ASSERT(rc == 0);
    fl_io_timer_set(io, &service->back, fl_io_now_ms(io) + for_ms);
}

static void make_with_pods(struct town_service *service, unsigned pods) {
    make_service(service);
    for (unsigned i = 0; i < pods; i++) add_pod(service);
    move_pods(service, FL_POD_PENDING, FL_POD_READY, pods);
}

/* --- orders --- */

bool town_concerns(const struct order *order) { return order->kind <= ORDER_SCALE_TO_0; }

void town_obey(struct town *town, const struct order *order) {
    struct town_service *service = &town->services[order->service];
    switch (order->kind) {
    case ORDER_SERVICE:
        make_with_pods(service, order->count);
        break;
    case ORDER_SERVICE_DELETE:
        delete_service(service, order->for_ms);
        break;
    case ORDER_EXTERNAL:
        make_external(service, order->for_ms);
        break;
    case ORDER_PODS_ADD:
        for (unsigned i = 0; i < order->count; i++) add_pod(service);
        move_pods(service, FL_POD_PENDING, FL_POD_RUNNING, order->count);
        break;
    case ORDER_PODS_READY:
        move_pods(service, FL_POD_RUNNING, FL_POD_READY, TOWN_PODS_MAX);
        break;
    case ORDER_PODS_UNREADY:
        move_pods(service, FL_POD_READY, FL_POD_RUNNING, order->count);
        break;
    case ORDER_PODS_LEAVE:
        move_pods(service, FL_POD_READY, FL_POD_TERMINATING, order->count);
        break;
    case ORDER_PODS_DELETE:
        delete_pods(service, false);
        break;
    case ORDER_SCALE_TO_0:
        delete_pods(service, true);
        break;
    default:
        break;
    }
}

void town_settle(struct town *town) {
    for (size_t i = 0; i < PLAN_SERVICES_MAX; i++)
        if (fl_timer_is_set(&town->services[i].back)) run_back(&town->services[i].back);
}

/* --- life --- */

int town_init(struct town *town, struct fl_io *io, const struct plan *plan, struct story *story) {
    *town = (struct town){
        .io = io, .story = story, .few_addresses = plan->traits[PLAN_TRAIT_FEW_ADDRESSES]};
    int rc = fl_cluster_new(plan->seed + 2, HISTORY_MAX, &town->cluster);
    if (!rc && plan->traits[PLAN_TRAIT_SMALL_SLICES]) fl_cluster_slice_max(town->cluster, 2);
    for (size_t i = 0; i < PLAN_SERVICES_MAX && !rc; i++) {
        struct town_service *service = &town->services[i];
        service->town = town;
        snprintf(service->name, sizeof service->name, "echo-%u", (unsigned)i);
        town->names[i] = service->name;
        rc = fl_io_timer_init(io, &service->back, run_back);
    }
    if (rc) town_deinit(town);
    return rc;
}

void town_deinit(struct town *town) {
    for (size_t i = 0; i < PLAN_SERVICES_MAX; i++)
        fl_io_timer_deinit(town->io, &town->services[i].back);
    if (town->cluster) fl_cluster_free(town->cluster);
}
