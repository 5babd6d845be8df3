/* town.h - the services and pods of a discovery world, changed by orders in the cluster itself:
 * there are no servers behind these pods. One world; its thread. */
#ifndef FL_TEST_TOWN_H
#define FL_TEST_TOWN_H

#include "base/io.h"
#include "plan.h"
#include "sim/cluster.h"
#include "story.h"

#define TOWN_PODS_MAX 64 /* of one service, at one time */

struct town_pod {
    char name[80];
    unsigned number; /* of its address */
    enum fl_pod_phase phase;
};

struct town_service {
    struct town *town;
    char name[16];
    struct town_pod pods[TOWN_PODS_MAX];
    size_t pod_count;
    struct fl_timer back; /* when it is made again */
};

struct town {
    struct fl_io *io;
    struct fl_cluster *cluster;
    struct story *story;
    bool few_addresses;
    unsigned next_address;
    struct town_service services[PLAN_SERVICES_MAX];
    const char *names[PLAN_SERVICES_MAX];
};

/* FL_ENOMEM. Services "echo-0", "echo-1" …, which have yet to be made. */
FL_MUST int town_init(struct town *town, struct fl_io *io, const struct plan *plan,
                      struct story *story);
void town_deinit(struct town *town);
bool town_concerns(const struct order *order);
void town_obey(struct town *town, const struct order *order);
void town_settle(struct town *town); /* what was to be made again later is made now */

#endif
