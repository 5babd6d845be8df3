/* client.h - requests to one API server: its connections, and who we are.
 *
 * Puts the server's prefix before each path, the credentials of the configuration and our name into
 * each head. A request that the server answers with 401, or whose connection fails in the
 * handshake, makes us look at the kubeconfig, its files, the token file and the exec plugin again
 * (credentials.h); if there is something new to be tried, it is made once more, unseen by the
 * caller (W15). Requests wait while an exec plugin runs. One loop's thread. */
#ifndef FL_KUBE_CLIENT_H
#define FL_KUBE_CLIENT_H

#include "http/message.h"
#include "kube/config.h"
#include "kube/server.h"

struct fl_kube_client;
struct fl_kube_request;

struct fl_kube_request_events {
    /* A Retry-After is given in seconds, also where the server sent a date. */
    void (*on_response)(void *arg, const struct fl_http_response *head);
    void (*on_data)(void *arg, struct fl_str bytes); /* borrowed; unpacked */
    /* Last call, exactly once: code FL_OK after a complete response, else as a stream's; or
     * FL_ECONFIG, FL_ETIMEOUT (exec plugin: what went wrong), FL_EPROTO, FL_ETOO_LARGE (a packed
     * body). */
    void (*on_close)(void *arg, const struct fl_error *why);
};

struct fl_kube_client_options {
    bool http2_cleartext; /* prior knowledge; otherwise cleartext speaks HTTP/1.1 */
};

/* The configuration is copied. FL_ECONFIG (certificates, token file), FL_ENOMEM. */
FL_MUST int fl_kube_client_new(struct fl_io *io, const struct fl_kube_config *config,
                               const struct fl_kube_client_options *options,
                               struct fl_kube_client **out, struct fl_error *err);
/* Requests under way end with FL_ESHUTDOWN; `done` once when nothing is left. */
void fl_kube_client_close(struct fl_kube_client *client, void (*done)(void *arg), void *arg);

/* What is known about the server, for all that ask it through this client. */
struct fl_kube_server *fl_kube_client_server(struct fl_kube_client *client);

/* GET of `path` (with query). Errors (then no callback): FL_EFULL, FL_ENOMEM, FL_ESHUTDOWN. */
FL_MUST int fl_kube_client_get(struct fl_kube_client *client, struct fl_str path,
                               struct fl_str accept, const struct fl_kube_request_events *events,
                               void *arg, struct fl_kube_request **out, struct fl_error *err);
/* Ends it: on_close follows with FL_ECANCELLED, nothing else does. */
void fl_kube_request_cancel(struct fl_kube_request *request);
/* When the last byte came on its connection, a PING's answer included; 0: it is on none. */
uint64_t fl_kube_request_last_read_ms(const struct fl_kube_request *request);

#endif
