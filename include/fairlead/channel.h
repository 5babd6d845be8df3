/* channel.h - a connection to a service that one may keep for years.
 *
 * A channel holds HTTP connections to the endpoints that are alive now and gives every call to
 * one of them, by default in turn (fairlead/balance.h). It belongs to the loop of its runtime;
 * calls may be started from any thread. */
#ifndef FAIRLEAD_CHANNEL_H
#define FAIRLEAD_CHANNEL_H

#include <fairlead/balance.h>
#include <fairlead/discovery.h>
#include <fairlead/health.h>

FL_C_BEGIN

struct fl_channel;

/* Connectivity states of the gRPC documents. */
enum fl_channel_state {
    FL_CHANNEL_IDLE,
    FL_CHANNEL_CONNECTING,
    FL_CHANNEL_READY,
    FL_CHANNEL_TRANSIENT_FAILURE,
    FL_CHANNEL_SHUTDOWN,
};

/* Keepalive (gRFC A8): a PING on a connection that brought no byte for a time, and the end of it
 * when nothing answers. */
enum fl_keepalive {
    FL_KEEPALIVE_DEFAULT, /* gRPC's: off unless keepalive_ms says a time; timeout 20 s; only while
                             calls are open */
    FL_KEEPALIVE_EAGER,   /* 10 s, timeout 3 s, without calls as well: for servers that permit it */
};

/* Which HTTP the endpoints speak. Over HTTP/1.1 a connection carries one request at a time
 * (fairlead/request.h) and no gRPC call, which ends UNAVAILABLE there. */
enum fl_channel_protocol {
    /* What the port's appProtocol says (KEP-3726): "http": as FL_PROTOCOL_HTTP without TLS;
     * "kubernetes.io/h2c", another one or none: HTTP/2. */
    FL_PROTOCOL_BY_PORT,
    FL_PROTOCOL_HTTP_2, /* cleartext: with prior knowledge */
    FL_PROTOCOL_HTTP,   /* TLS: HTTP/2 or HTTP/1.1 as agreed by ALPN; cleartext: HTTP/1.1 */
};

/* Of messages (gRPC's compression.md); deflate is zlib's format. */
enum fl_compression {
    FL_COMPRESSION_DEFAULT, /* the channel's; of a channel: identity */
    FL_COMPRESSION_IDENTITY,
    FL_COMPRESSION_GZIP,
    FL_COMPRESSION_DEFLATE,
};

/* TLS to the endpoints: 1.2 or newer, the version of HTTP agreed by ALPN. Zero-initialised: the
 * defaults in brackets. Files are PEM, and are read again for new connections when they have
 * changed. */
struct fl_channel_tls {
    const char *ca_file;              /* [the system's] authorities that are trusted */
    const char *cert_file, *key_file; /* [none] of this side, for servers that ask for them */
    const char *server_name;          /* [the authority's host] what certificates must name */
    bool insecure_skip_verify;        /* anybody on the way can pose as the server */
};

/* Zero-initialised: the defaults in brackets. */
struct fl_channel_options {
    enum fl_channel_protocol protocol;
    uint32_t connect_timeout_ms; /* [20000] until the peer's SETTINGS frame; HTTP/1.1: connected */
    uint32_t backoff_ms_min;     /* [1000] between attempts, x1.6, jitter 20 % */
    uint32_t backoff_ms_max;     /* [120000] */
    uint32_t drain_ms;           /* [5000] for calls without a deadline on an endpoint that left */
    uint32_t receive_bytes_max;  /* [4 MiB] a larger message: RESOURCE_EXHAUSTED */
    uint32_t queued_calls_max;   /* [10000] beyond it a call ends RESOURCE_EXHAUSTED */
    /* [none] With a target that names no port: the first port of the service but this one is meant,
     * also when the service's ports change. FL_ENO_PORTS and FL_EPORTS_EXCLUDED are causes then. */
    uint16_t excluded_port;
    /* [the service's name, or host:port] the :authority header, or Host: visible ASCII without / ?
     * # and @ */
    const char *authority;
    const struct fl_channel_tls *tls; /* [NULL: cleartext] copied */
    /* What the profile says, unless the next three say otherwise. A server that complains (GOAWAY
     * "too_many_pings") doubles the time for connections made from then on. */
    enum fl_keepalive keepalive;
    uint32_t keepalive_ms; /* [the profile's] less than 10000 is taken as 10000 */
    /* [the profile's] also how long bytes may stay unacknowledged (TCP_USER_TIMEOUT, gRFC A18) */
    uint32_t keepalive_timeout_ms;
    bool keepalive_without_calls; /* [the profile's] */
    /* [30000] A connection without a byte for so long is asked by a PING before it takes a call,
     * which goes to another endpoint meanwhile if one is ready. HTTP/1.1 has no PING: such a
     * connection is replaced by a new one. UINT32_MAX: never. */
    uint32_t ping_before_use_ms;
    /* [4] per endpoint: another one is opened when calls wait at the peer's limit of streams, or,
     * over HTTP/1.1, while all are busy */
    uint32_t connections_max;
    /* [none] a gRPC service config as JSON (grpc/doc/service_config.md): per method timeout,
     * waiting, limits, retry or hedging; retry throttling; the balancing policy, which goes before
     * the one below. What is wrong in it: FL_ECONFIG, naming the part. */
    const char *service_config;
    uint32_t send_bytes_max;          /* [none] a larger message: RESOURCE_EXHAUSTED */
    enum fl_compression compression;  /* of what is sent; what is received says so itself */
    bool allow_cleartext_credentials; /* of calls; otherwise they are refused without TLS */
    /* [1800000] Without a call for so long, connections are closed until the next call or
     * fl_channel_connect. What the endpoints are is followed meanwhile. UINT32_MAX: never. */
    uint32_t idle_timeout_ms;
    struct fl_balance_options balance; /* which endpoints, and which of them for a call */
    struct fl_health_options health;   /* which endpoints are healthy */
};

/* Opens a channel to `target` (see fl_discovery_subscribe). With several ports and none named the
 * calls fail with FL_EPORT and the list of ports. Connections are made at once, not at the first
 * call. The caller owns *out and ends it with fl_channel_close; `discovery` must outlive it. Any
 * thread. Errors: FL_ENOMEM, FL_EUSAGE, FL_ECONFIG (the detail names the part: a file of `tls`, …),
 * FL_EFULL. */
FL_API FL_MUST int fl_channel_new(struct fl_runtime *runtime, struct fl_discovery *discovery,
                                  const char *target, const struct fl_channel_options *options,
                                  struct fl_channel **out, struct fl_error *err);

/* Ends all calls with CANCELLED, closes all connections, then calls `done` once on the loop; may be
 * NULL. No function of the channel may be called after this one. Any thread. */
FL_API void fl_channel_close(struct fl_channel *channel, void (*done)(void *arg), void *arg);

/* The state that gRPC's rules give the channel. Any thread; a value that may be old at once. */
FL_API enum fl_channel_state fl_channel_state(const struct fl_channel *channel);
FL_API const char *fl_channel_state_name(enum fl_channel_state state); /* "READY", … static */

/* Makes an idle channel connect, and starts the time after which it would become idle anew. Any
 * thread. */
FL_API void fl_channel_connect(struct fl_channel *channel);

struct fl_state_watch;

/* A state of the channel; `why`: the cause while it is neither READY nor IDLE, else NULL. */
typedef void fl_state_cb(void *arg, enum fl_channel_state state, const struct fl_error *why);

/* Calls `changed` on the channel's loop, with the state at present first and then after each
 * change; of changes within one turn of the loop the newest only. When the channel is closed,
 * SHUTDOWN comes last. The caller owns *out and ends it with fl_channel_unwatch_state, before or
 * after the channel's end. Any thread. Errors: FL_ENOMEM. */
FL_API FL_MUST int fl_channel_watch_state(struct fl_channel *channel, fl_state_cb *changed,
                                          void *arg, struct fl_state_watch **out,
                                          struct fl_error *err);

/* Ends a watch; NULL is allowed. No call of its callback begins after `done` did, which is called
 * once on the loop; may be NULL. Any thread. */
FL_API void fl_channel_unwatch_state(struct fl_state_watch *watch, void (*done)(void *arg),
                                     void *arg);

FL_C_END

#endif
