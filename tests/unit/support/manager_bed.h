/* manager_bed.h - a connection manager against the simulated cluster, whose pods are echo servers,
 * and every line of its log. One loop's thread. */
#ifndef FL_TEST_MANAGER_BED_H
#define FL_TEST_MANAGER_BED_H

#include <fairlead/call.h>
#include <fairlead/connmgr.h>
#include <fairlead/log.h>

#include "server/echo.h"
#include "support/kube_bed.h"

#define FL_MBED_PODS_MAX 16
#define FL_MBED_METHOD   "/grpc.examples.echo.Echo/UnaryEcho"

struct fl_mbed_pod {
    struct fl_str name;
    struct fl_echo *echo;
};

struct fl_mbed {
    struct fl_kbed kube;
    struct fl_connmgr *mgr;
    struct fl_mbed_pod pods[FL_MBED_PODS_MAX]; /* pod i: 10.1.0.i+1:50051, of shop/echo */
    unsigned closed;
};

/* What was asked for, and the answer. */
struct fl_mbed_conns {
    unsigned calls;
    struct fl_error why;
    struct fl_conns conns;
};
struct fl_mbed_conn {
    unsigned calls;
    struct fl_error why;
    struct fl_conn *conn;
};

/* A cluster with the service shop/echo and `pods` of them; options NULL: those of the line style.
 */
void fl_mbed_start(struct fl_mbed *bed, const struct fl_connmgr_options *options, unsigned pods);
/* The same; the program runs as the pod `hostname`. */
void fl_mbed_start_as(struct fl_mbed *bed, const struct fl_connmgr_options *options, unsigned pods,
                      const char *hostname);
void fl_mbed_close(struct fl_mbed *bed); /* the manager, if it is open */
void fl_mbed_stop(struct fl_mbed *bed);

void fl_mbed_add_pod(struct fl_mbed *bed, unsigned i);
/* Terminates it in the cluster; its server lives on. */
void fl_mbed_remove_pod(struct fl_mbed *bed, unsigned i);
void fl_mbed_kill_server(struct fl_mbed *bed, unsigned i);
void fl_mbed_run(struct fl_mbed *bed, uint64_t ms);

void fl_mbed_on_conns(void *arg, const struct fl_error *why, struct fl_conns *conns);
void fl_mbed_conns_ask(struct fl_mbed *bed, struct fl_mbed_conns *conns, const char *service);
/* Asks and runs until it is answered. */
void fl_mbed_conns_get(struct fl_mbed *bed, struct fl_mbed_conns *conns, const char *service);
void fl_mbed_conns_end(struct fl_mbed_conns *conns);
void fl_mbed_on_conn(void *arg, const struct fl_error *why, struct fl_conn *conn);
void fl_mbed_conn_ask(struct fl_mbed *bed, struct fl_mbed_conn *conn, const char *service,
                      uint32_t timeout_ms);
void fl_mbed_conn_get(struct fl_mbed *bed, struct fl_mbed_conn *conn, const char *service);

/* Calls each handle once; how many ended well. */
unsigned fl_mbed_call_each(struct fl_mbed *bed, const struct fl_conns *conns);

/* --- the log --- */

/* Keeps lines from here on; their times are left out. */
void fl_mbed_log_start(void);
const char *fl_mbed_log(void); /* all of them */
bool fl_mbed_logged(const char *text);
unsigned fl_mbed_log_count(const char *text); /* lines that hold it */

#endif
