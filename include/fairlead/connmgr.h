/* connmgr.h - connections by service name, shared and counted.
 *
 * A connection manager answers two questions: "a connection that I may keep for years"
 * (fl_connmgr_get_conn) and "a connection to each of them" (fl_connmgr_get_conns). There is one
 * channel for each service that was asked for, whoever asks and however often; it follows the
 * service by differences, so that what stays keeps its connection. Everything given out is a
 * counted reference and is never closed under its holder. doc/connection-manager.md shows the use.
 *
 * Services are named "service", "namespace/service", each also with ":port" (the service's, by name
 * or number), by a name given to fl_connmgr_add_target, or by a whole target as of
 * fl_discovery_subscribe ("kubernetes:///…", "static:a:1,b:2"). Without a port the service's first
 * one is meant that is not the excluded one.
 *
 * All functions may be called from any thread and from inside callbacks, but for those that wait:
 * these return FL_EUSAGE on the thread of the discovery's loop, where the twin with `_async` is
 * meant. Callbacks come on that loop, exactly once. */
#ifndef FAIRLEAD_CONNMGR_H
#define FAIRLEAD_CONNMGR_H

#include <fairlead/handle.h>

FL_C_BEGIN

struct fl_connmgr;
struct fl_conn;

enum fl_log_style {
    FL_LOG_STYLE_FIELDS,        /* a constant message with fields, as all of Fairlead's lines */
    FL_LOG_STYLE_K8S_DISCOVERY, /* "[K8s Discovery] [service] text" (doc/connection-manager.md) */
};

/* Zero-initialised: the defaults in brackets. Copied, but what the pointers within `channel` point
 * to must live until the manager is closed. */
struct fl_connmgr_options {
    const char *ns;     /* [the configuration's] of services that name none */
    const char *scheme; /* ["kubernetes"] of names that are no targets */
    /* Of every channel; receive_bytes_max [10 MiB], send_bytes_max [20 MiB], excluded_port [10001,
     * and not less than 1]. */
    struct fl_channel_options channel;
    uint32_t ready_timeout_ms; /* [5000] what a timeout of 0 stands for */
    /* get_conn dials service.namespace.svc.cluster.local:port in place of the pods. */
    bool dns;
    const char *gateway; /* [none] the service of fl_connmgr_get_user_gateway */
    const char *node;    /* [$NODE_NAME] this process's, for fl_connmgr_is_self_node */
    enum fl_log_style log_style;
};

/* Makes a manager on the discovery's loop, and reads the configuration of its scheme, so that what
 * is wrong in it is returned here; services are watched only when they are asked for. `options` may
 * be NULL. Waits for the loop, which must be running, if this is not its thread. The caller owns
 * *out and ends it with fl_connmgr_close. Errors: FL_ENOMEM, FL_EUSAGE (the scheme), FL_ECONFIG and
 * what else reading the configuration gives. */
FL_API FL_MUST int fl_connmgr_new(struct fl_discovery *discovery,
                                  const struct fl_connmgr_options *options, struct fl_connmgr **out,
                                  struct fl_error *err);

/* Closes everything: requests that wait end with FL_ESHUTDOWN; a channel that nobody holds is
 * closed at once, the others when their holders let go. Then calls `done` once on the loop; may be
 * NULL. No function of the manager may be called after this one; those of what it gave may. */
FL_API void fl_connmgr_close(struct fl_connmgr *mgr, void (*done)(void *arg), void *arg);

/* Channels made from now on get these options. */
FL_API void fl_connmgr_set_channel_options(struct fl_connmgr *mgr,
                                           const struct fl_channel_options *options);

/* `name` stands for `target` from now on; channels made under that name stay what they are. Errors:
 * FL_ENOMEM, FL_EUSAGE (empty). */
FL_API FL_MUST int fl_connmgr_add_target(struct fl_connmgr *mgr, const char *name,
                                         const char *target, struct fl_error *err);

/* --- one connection to each endpoint --- */

struct fl_conns {
    struct fl_conn *conn; /* the channel of them all */
    struct fl_handles handles;
};

/* `why` is NULL and `conns` the receiver's, who ends it with fl_conns_deinit; or why there is none,
 * and NULL. */
typedef void fl_conns_cb(void *arg, const struct fl_error *why, struct fl_conns *conns);

/* One handle for each endpoint that may take calls and is not known to be unreachable; calls go to
 * one by fl_call_options.endpoint on fl_conn_channel(out->conn). Waits, at most timeout_ms, while
 * nothing is known of the service yet; an existing service without endpoints gives none. The first
 * of several callers at once makes the channel, all get the same handles. Errors: FL_EABSENT (no
 * such service), FL_EPORT, FL_ENO_PORTS, FL_EPORTS_EXCLUDED, FL_EUNKNOWN (nothing was heard in
 * time; detail says why), FL_EFORBIDDEN and others that a person must fix, FL_EUSAGE (the name; or
 * the loop's thread), FL_EFULL, FL_ENOMEM, FL_ESHUTDOWN. */
FL_API FL_MUST int fl_connmgr_get_conns(struct fl_connmgr *mgr, const char *service,
                                        uint32_t timeout_ms, struct fl_conns *out,
                                        struct fl_error *err);
/* Errors, after which `cb` is not called: FL_ENOMEM, FL_EUSAGE. */
FL_API FL_MUST int fl_connmgr_get_conns_async(struct fl_connmgr *mgr, const char *service,
                                              uint32_t timeout_ms, fl_conns_cb *cb, void *arg,
                                              struct fl_error *err);
FL_API void fl_conns_deinit(struct fl_conns *conns);

/* --- one connection for years --- */

/* `why` is NULL and `conn` the receiver's reference; or why there is none, and NULL. */
typedef void fl_conn_cb(void *arg, const struct fl_error *why, struct fl_conn *conn);

/* The service's channel, which survives every change and balances each call. Waits until it is
 * READY, at most timeout_ms; then it is given in whatever state it is, with a warning in the log:
 * calls may wait on it. The caller ends *out with fl_conn_unref. Errors: FL_EPORT, FL_ENO_PORTS,
 * FL_EPORTS_EXCLUDED, others that a person must fix, FL_EUSAGE, FL_EFULL, FL_ENOMEM, FL_ESHUTDOWN;
 * with `dns` also FL_EABSENT and FL_EUNKNOWN. */
FL_API FL_MUST int fl_connmgr_get_conn(struct fl_connmgr *mgr, const char *service,
                                       uint32_t timeout_ms, struct fl_conn **out,
                                       struct fl_error *err);
FL_API FL_MUST int fl_connmgr_get_conn_async(struct fl_connmgr *mgr, const char *service,
                                             uint32_t timeout_ms, fl_conn_cb *cb, void *arg,
                                             struct fl_error *err);

/* One more reference; one less (returns NULL; NULL is allowed). */
FL_API struct fl_conn *fl_conn_ref(struct fl_conn *conn);
FL_API struct fl_conn *fl_conn_unref(struct fl_conn *conn);
/* Borrowed; good for calls as long as the reference is held. Not to be closed. */
FL_API struct fl_channel *fl_conn_channel(const struct fl_conn *conn);

/* --- this process, and others --- */

/* `why` is NULL and `text` the answer, borrowed for the call; or why there is none, and NULL. */
typedef void fl_text_cb(void *arg, const struct fl_error *why, const char *text);

/* "address:port" at which this process can be called: the address of the pod named by $HOSTNAME,
 * which is waited for, and the first containerPort of its first container that is not the excluded
 * one. Needs the permission to watch pods. Errors: FL_EUNKNOWN (no address in time; detail says
 * why), FL_ENO_PORTS, FL_EPORTS_EXCLUDED, FL_EFORBIDDEN, FL_EUSAGE (no $HOSTNAME; a scheme that
 * does not know; the loop's thread), FL_EFULL (`size` is too small), FL_ENOMEM, FL_ESHUTDOWN. */
FL_API FL_MUST int fl_connmgr_get_self_target(struct fl_connmgr *mgr, uint32_t timeout_ms,
                                              char *out, size_t size, struct fl_error *err);
FL_API FL_MUST int fl_connmgr_get_self_target_async(struct fl_connmgr *mgr, uint32_t timeout_ms,
                                                    fl_text_cb *cb, void *arg,
                                                    struct fl_error *err);

/* Does the endpoint run on this process's node? False where either is not known. */
FL_API bool fl_connmgr_is_self_node(const struct fl_connmgr *mgr, const struct fl_handle *handle);

/* "address:port" of the endpoint of the gateway service that the user belongs to: the same in every
 * process that sees the same endpoints, and moved only when it leaves. Errors: FL_EEMPTY, FL_EUSAGE
 * (the option gateway is not set), FL_EFULL, and those of fl_connmgr_get_conns. */
FL_API FL_MUST int fl_connmgr_get_user_gateway(struct fl_connmgr *mgr, const char *user,
                                               uint32_t timeout_ms, char *out, size_t size,
                                               struct fl_error *err);
FL_API FL_MUST int fl_connmgr_get_user_gateway_async(struct fl_connmgr *mgr, const char *user,
                                                     uint32_t timeout_ms, fl_text_cb *cb, void *arg,
                                                     struct fl_error *err);

/* Nothing is to be done on Kubernetes, where readiness registers a pod. Errors: FL_EUSAGE (NULL;
 * other schemes, which cannot be registered with). */
FL_API FL_MUST int fl_connmgr_register(struct fl_connmgr *mgr, const char *service,
                                       const char *target, struct fl_error *err);
FL_API FL_MUST int fl_connmgr_unregister(struct fl_connmgr *mgr, const char *service,
                                         struct fl_error *err);

/* --- the services there are --- */

struct fl_keys;

/* On the discovery's loop; what is not wanted may be NULL, except on_key. */
struct fl_keys_events {
    void (*on_key)(void *arg, const char *service); /* each name once, as it appears */
    void (*on_listed)(void *arg);                   /* once: those that were there have been told */
    void (*on_trouble)(void *arg, const struct fl_error *why); /* NULL: it is over */
};

/* Tells the names of all services in the manager's namespace: those that are there, then on_listed,
 * then each new one. The caller owns *out and ends it with fl_connmgr_unwatch_keys. Errors:
 * FL_ENOMEM, FL_EUSAGE. */
FL_API FL_MUST int fl_connmgr_watch_keys(struct fl_connmgr *mgr,
                                         const struct fl_keys_events *events, void *arg,
                                         struct fl_keys **out, struct fl_error *err);
/* No event after `done`, which is called once on the loop; may be NULL. The manager's end waits for
 * it. */
FL_API void fl_connmgr_unwatch_keys(struct fl_keys *keys, void (*done)(void *arg), void *arg);

FL_C_END

#endif
