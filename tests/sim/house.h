/* house.h - a connection manager and those who live off it.
 *
 * Holders (holder.h) ask it, keep what it gave, call and let go; it tells the names of services;
 * at any time, from within a callback too, it may be closed and another one opened while what the
 * old one gave is still held. One world; its thread. */
#ifndef FL_TEST_HOUSE_H
#define FL_TEST_HOUSE_H

#include <fairlead/connmgr.h>

#include "holder.h"
#include "oracle.h"
#include "plan.h"
#include "plant.h"
#include "story.h"

#define HOUSE_HOLDERS   3
#define HOUSE_CONNS_MAX 64
#define HOUSE_KEYS_MAX  32
/* A service config. */
#define HOUSE_RETRIES                                                                              \
    "{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{\"maxAttempts\":4,\"initialBackoff\":"     \
    "\"0.02s\",\"maxBackoff\":\"0.2s\",\"backoffMultiplier\":2,\"retryableStatusCodes\":"          \
    "[\"UNAVAILABLE\"]}}]}"

enum house_kind { HOUSE_SERVICE, HOUSE_NO_PORT, HOUSE_NO_SERVICE };

struct house_name { /* what is asked for */
    const char *name;
    enum house_kind kind;
};

struct house_world {
    struct fl_io *io;
    const struct plan *plan;
    enum plant plant;
    struct verdict *verdict;
    struct story *story;
    struct oracle *oracle;        /* NULL: there is nobody to be called */
    uint32_t idle_ms;             /* of channels; 0: as usual */
    void (*on_closed)(void *arg); /* may be NULL */
    void *arg;
    const struct house_name *names;
    size_t name_count;
};

struct house_conn { /* one that was given, and who looks on */
    struct house *house;
    struct fl_conn *conn; /* not counted */
};

struct house {
    struct house_world in;
    struct fl_random random;
    struct fl_discovery *discovery;
    struct fl_connmgr *mgr; /* NULL: closed */
    struct fl_keys *keys;
    char told[HOUSE_KEYS_MAX][64]; /* names */
    size_t told_count;
    struct holder holders[HOUSE_HOLDERS];
    struct house_conn conns[HOUSE_CONNS_MAX];
    size_t conn_count;
    struct holder_call *sending; /* whose attempt is on its way to an endpoint */
    unsigned closes;             /* of managers and watches, still to come */
    uint64_t given, picks;       /* handles; calls by the house's channels */
    bool active, peace;
    bool renew_soon; /* at the next answer, from within its callback */
};

void house_init(struct house *house, const struct house_world *in);
void house_deinit(struct house *house); /* it is closed */
void house_open(struct house *house, struct fl_discovery *discovery);
/* Another manager takes the place of this one, if there is one. */
void house_renew(struct house *house);
void house_renew_soon(struct house *house);
/* Everybody lets go. No call is open. */
void house_close(struct house *house);
bool house_is_closed(const struct house *house);
void house_go_on(struct house *house, bool active); /* asking and calling */
bool house_has_request(const struct house *house);  /* to the manager, without an answer yet */
bool house_was_told(const struct house *house, const char *service);

/* For holders: looks at the calls of a conn from now on. */
void house_look_at(struct house *house, struct fl_conn *conn);
/* Planted: a handle that nobody let go of, found at last. */
void house_find_lost(void);
void house_lose(struct fl_handle *handle);

#endif
