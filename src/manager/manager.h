/* manager.h - the inside of a connection manager, for the files of this room. */
#ifndef FL_MANAGER_MANAGER_H
#define FL_MANAGER_MANAGER_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "discovery/discovery.h"
#include "manager/journal.h"

#define FL_CONNMGR_CONNS_MAX 10000 /* services that were asked for */

struct fl_connmgr {
    /* Set once. */
    struct fl_io *io; /* the discovery's loop */
    struct fl_discovery *discovery;
    struct fl_journal journal;
    char *ns; /* of services that name none; "" until it is known */
    char *scheme, *gateway;
    char *node, *hostname; /* of this process; "" if they are not known */
    uint32_t ready_timeout_ms;
    bool dns;

    /* The loop's thread only. */
    struct {
        struct fl_map conns; /* by kind and target: struct fl_conn */
        struct fl_list conn_list;
        struct fl_list selves; /* requests for this process's own target */
        size_t open;           /* conns that are not gone yet */
        size_t total;          /* connections that were open when it was closed */
        bool closing, synced;
        struct fl_task settle; /* deferred: ends the close */
    } loop_data;

    /* Any thread. */
    struct {
        struct fl_lock lock; /* of options and targets */
        struct fl_channel_options options;
        struct fl_map targets;  /* name -> text */
        atomic_size_t requests; /* that have not ended */
        struct fl_task close;
        void (*done)(void *arg);
        void *arg;
    } shared_data;
};

/* A copy of what channels are made with now. */
struct fl_channel_options fl_connmgr_options(struct fl_connmgr *mgr);
/* What a name stands for; *custom: it was given by the user. To be freed. FL_ENOMEM. */
FL_MUST int fl_connmgr_target(struct fl_connmgr *mgr, const char *name, char **out, bool *custom);
/* self.c: ends who asks what this process is. */
void fl_self_end_all(struct fl_connmgr *mgr, const struct fl_error *why);
/* A request or a conn is gone: a close may go on. */
void fl_connmgr_release(struct fl_connmgr *mgr);

#endif
