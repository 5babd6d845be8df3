/* journal.h - what a connection manager tells, in one of two styles.
 *
 * One list has the texts of both: the lines that operators of Kubernetes chat systems grep
 * (`log_style=k8s-discovery`), where "{key}" stands for the field of that name, and the constant
 * message that goes with the same fields in the default style. */
#ifndef FL_MANAGER_JOURNAL_H
#define FL_MANAGER_JOURNAL_H

#include <fairlead/connmgr.h>

#include "base/log.h"

struct fl_journal {
    struct fl_io *io;
    enum fl_log_style style;
};

/* X(EVENT, tag, level as a line, level with fields, "line", "message") */
#define FL_JOURNAL_MAP(X)                                                                          \
    /* start */                                                                                    \
    X(START, NONE, INFO, INFO,                                                                     \
      "Initializing Kubernetes connection manager, namespace: {namespace}",                        \
      "connection manager starts")                                                                 \
    X(CONFIG, NONE, INFO, DEBUG, "Successfully created in-cluster config",                         \
      "configuration was read")                                                                    \
    X(CLIENTSET, NONE, INFO, DEBUG, "Successfully created clientset", "client is ready")           \
    X(CONFIG_FAILED, NONE, ERROR, ERROR, "Failed to create in-cluster config: {detail}",           \
      "configuration cannot be used")                                                              \
    X(WATCHER, NONE, INFO, DEBUG, "Starting Endpoints watcher", "services can be watched")         \
    X(STARTED, NONE, INFO, INFO, "Kubernetes connection manager initialized successfully",         \
      "connection manager started")                                                                \
    X(SYNCED, NONE, INFO, INFO, "Informer cache synced successfully", "first service is known")    \
    /* first use */                                                                                \
    X(GET_CONNS, SERVICE, INFO, DEBUG, "GetConns called", "handles asked for")                     \
    X(NO_CACHE, SERVICE, INFO, DEBUG, "No connections in cache, initializing",                     \
      "no handles held yet")                                                                       \
    X(INITIALIZE, SERVICE, INFO, DEBUG, "Starting to initialize connections",                      \
      "service is taken up")                                                                       \
    X(PORT, SERVICE, INFO, DEBUG, "Service port: {port}", "port chosen")                           \
    X(ADDRESSES, SERVICE, INFO, DEBUG, "Found {count} endpoint addresses", "endpoints known")      \
    X(CREATING, SERVICE, INFO, DEBUG, "Creating connection to {peer}", "endpoint is connected to") \
    X(CREATED, SERVICE, INFO, DEBUG, "Connection to {peer} created, state: {state}",               \
      "endpoint has a handle")                                                                     \
    X(CREATED_ALL, SERVICE, INFO, DEBUG, "Successfully created {count} connections",               \
      "every endpoint has a handle")                                                               \
    X(MAP_UPDATED, SERVICE, INFO, INFO, "Connection map updated: {old} old -> {new} new",          \
      "handles held changed")                                                                      \
    X(INITIALIZED, SERVICE, INFO, DEBUG, "Connection initialization completed successfully",       \
      "service was taken up")                                                                      \
    X(RETURNING, SERVICE, INFO, DEBUG, "Returning {count} connections", "handles given")           \
    /* use from cache */                                                                           \
    X(FOUND_CACHED, SERVICE, INFO, DEBUG, "Found {count} connections in cache, checking health",   \
      "handles held are checked")                                                                  \
    X(HEALTHY, SERVICE, INFO, DEBUG, "All {count} connections are healthy", "handles are live")    \
    X(INVALID, SERVICE, INFO, DEBUG, "Connection #{index} is invalid, state: {state}, closing",    \
      "handle is hidden")                                                                          \
    X(REMOVED, SERVICE, INFO, INFO,                                                                \
      "Removed {removed} invalid connections, {count} valid connections remaining",                \
      "handles were hidden")                                                                       \
    X(ALL_INVALID, SERVICE, INFO, INFO,                                                            \
      "All connections are invalid, clearing cache and reinitializing", "no handle is live")       \
    /* change */                                                                                   \
    X(ADDED, WATCHER, INFO, INFO, "Endpoints ADDED: {name}", "service appeared")                   \
    X(UPDATED, WATCHER, INFO, INFO, "Endpoints UPDATED: {name}", "service changed")                \
    X(DELETED, WATCHER, INFO, INFO, "Endpoints DELETED: {name}", "service is gone")                \
    X(NO_CHANGE, WATCHER, INFO, DEBUG, "Endpoints {name} updated but no meaningful change",        \
      "service changed, its endpoints did not")                                                    \
    X(HAS, WATCHER, INFO, DEBUG, "Service {name} has {count} endpoint addresses",                  \
      "endpoints of a service")                                                                    \
    X(HANDLING, WATCHER, INFO, DEBUG, "Handling Endpoints change for service: {name}",             \
      "change is followed")                                                                        \
    X(FOLLOWED, WATCHER, INFO, DEBUG, "Successfully updated connections for {name}",               \
      "change was followed")                                                                       \
    /* old ones */                                                                                 \
    X(OLD, SERVICE, INFO, INFO, "Found {count} old connections to close", "endpoints leave")       \
    X(DELAYED, SERVICE, INFO, DEBUG,                                                               \
      "Scheduling delayed close for {count} old connections ({seconds} seconds delay)",            \
      "connections drain")                                                                         \
    X(CLOSING_OLD, SERVICE, INFO, DEBUG, "Closing {count} old connections", "drain time is over")  \
    X(CLOSED_OLD, SERVICE, INFO, INFO, "Closed {closed}/{count} old connections",                  \
      "connections drained")                                                                       \
    /* get_conn */                                                                                 \
    X(GET_CONN_DNS, SERVICE, INFO, DEBUG, "GetConn called (using DNS)", "channel asked for")       \
    X(GET_CONN, SERVICE, INFO, DEBUG, "GetConn called", "channel asked for")                       \
    X(DNS_TARGET, SERVICE, INFO, DEBUG, "Using DNS target: {target}", "name to be dialled")        \
    X(CUSTOM_TARGET, SERVICE, INFO, DEBUG, "Using custom target: {target}", "target of a service") \
    X(DIALING, SERVICE, INFO, DEBUG, "Dialing DNS target: {target}", "name is dialled")            \
    X(CONN_CREATED, SERVICE, INFO, DEBUG, "Connection created, state: {state}", "channel exists")  \
    X(NOT_READY, SERVICE, INFO, DEBUG, "Connection not ready, waiting for state change",           \
      "channel is waited for")                                                                     \
    X(STATE, SERVICE, INFO, DEBUG, "Connection state changed: {before} -> {state}",                \
      "channel waited for changed its state")                                                      \
    X(STATE_TIMEOUT, SERVICE, WARN, WARN, "Connection state change timeout",                       \
      "channel was not ready in time")                                                             \
    X(GOT_CONN, SERVICE, INFO, DEBUG, "GetConn completed successfully", "channel given")           \
    /* failures */                                                                                 \
    X(PORT_FAILED, SERVICE, ERROR, WARN, "Failed to get service port: {detail}",                   \
      "no port can be chosen")                                                                     \
    X(ENDPOINTS_FAILED, SERVICE, ERROR, WARN, "Failed to get endpoints: {detail}",                 \
      "endpoints are not known")                                                                   \
    X(DIAL_FAILED, SERVICE, ERROR, WARN, "Failed to dial {peer}: {detail}",                        \
      "endpoint cannot be reached")                                                                \
    X(FAILED, SERVICE, ERROR, WARN, "Failed to initialize connections for {name}: {detail}",       \
      "service cannot be taken up")                                                                \
    /* end */                                                                                      \
    X(CLOSING, NONE, INFO, INFO, "Closing all connections", "connection manager closes")           \
    X(CLOSING_SERVICE, NONE, INFO, DEBUG, "Closing {count} connections for service {name}",        \
      "service is let go")                                                                         \
    X(CLOSED, NONE, INFO, INFO, "Closed {count} total connections", "connection manager closed")

enum fl_journal_event {
#define FL_X(event, ...) FL_JOURNAL_##event,
    FL_JOURNAL_MAP(FL_X)
#undef FL_X
};

/* `service` may be NULL. Errors are given as FL_LOG_ERROR_OF. */
#define FL_JOURNAL(journal, event, service, ...)                                                   \
    do {                                                                                           \
        const struct fl_log_field fl_journal_fields[] = {{"", FL_LOG_FIELD_INT, {NULL, 0}, 0},     \
                                                         ##__VA_ARGS__};                           \
        fl_journal_write((journal), FL_JOURNAL_##event, (service), fl_journal_fields + 1,          \
                         FL_COUNT(fl_journal_fields) - 1);                                         \
    } while (0)

void fl_journal_write(const struct fl_journal *journal, enum fl_journal_event event,
                      const char *service, const struct fl_log_field *fields, size_t count);

/* "READY" in the one style, "Ready" in the other. Static. */
const char *fl_journal_state(const struct fl_journal *journal, int state);

#endif
