/* client.h - one client of a world: a discovery, its subscriptions, and what is judged of them.
 *
 * It can be started anew at any time, with the same subscriptions and, if it keeps one, its
 * snapshot file. One world; its thread. */
#ifndef FL_TEST_CLIENT_H
#define FL_TEST_CLIENT_H

#include "house.h"
#include "plan.h"
#include "plant.h"
#include "switchboard.h"
#include "view.h"

#define CLIENT_FRESH_MS 45000 /* a server may be quiet for so long: see fl_set_stale_ms */

struct client;

struct client_subscription {
    struct client *client;
    struct fl_subscription *subscription; /* NULL: none */
    bool wanted, closing;
    struct fl_set *last; /* NULL: none came yet */
    struct fl_set *held; /* planted: will come too late */
    bool answered;       /* something else than unknown */
    bool live;           /* something that was not from the snapshot file */
    bool troubled;
    unsigned sets;
    struct view view;
};

struct client_world { /* what all clients of a world share */
    struct fl_world *world;
    struct fl_io *io;
    struct switchboard *board;
    struct truth *truth;
    struct verdict *verdict;
    struct story *story;
    const struct plan *plan;
    enum plant plant;
};

struct client {
    const struct client_world *in;
    unsigned number;
    char who[24], kubeconfig[24], snapshot[24];
    struct fl_discovery *discovery; /* NULL: not running */
    struct client_subscription services[PLAN_SERVICES_MAX];
    struct house house;  /* of a manager, where there is one */
    unsigned closes;     /* callbacks still to come */
    uint64_t sets;       /* seen so far */
    uint64_t happenings; /* sets, troubles, starts and ends so far */
    bool closing, over, asking;
    uint64_t started_ms;
    uint64_t disturbed_ms; /* when it last began something new: started, subscribed */
};

/* Runs at once, without subscriptions. */
void client_init(struct client *client, const struct client_world *in, unsigned number);
void client_deinit(struct client *client); /* it is closed */
void client_subscribe(struct client *client, unsigned service);
void client_unsubscribe(struct client *client, unsigned service);
void client_restart(struct client *client);
/* Another manager, if it has one; and those who ask it go on, or rest. */
void client_renew(struct client *client);
void client_ask(struct client *client, bool active);
void client_close(struct client *client);
bool client_is_closed(const struct client *client);
size_t client_subscriptions(const struct client *client);

/* Every now and then: is what it says of its sets' age possible? */
void client_judge_age(struct client *client);
/* All is well for long: no set may be stale. */
void client_judge_fresh(struct client *client);
/* Does every subscriber know the truth? `why` of VERDICT_TEXT_MAX. */
bool client_is_well(const struct client *client, char *why);

#endif
