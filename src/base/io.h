/* io.h - the interface to the outside.
 *
 * Everything above loop/ and sim/ sees time, randomness, the network and files only through struct
 * fl_io. loop/ implements it on the real system, sim/ on virtual time with a seed. One fl_io is one
 * loop: all its functions but fl_io_post are called on that loop's thread, and all callbacks come
 * on it, never before the starting call returned.
 *
 * A turn of the loop: due timers, socket events, posted tasks; then deferred tasks until there are
 * none; then each socket's queued bytes go out in one write. */
#ifndef FL_BASE_IO_H
#define FL_BASE_IO_H

#include "base/address.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/shown.h"
#include "base/str.h"
#include "base/task.h"
#include "base/timer.h"

struct fl_io;
struct fl_sock; /* a byte stream to a peer; TLS, where configured, is inside it */
struct fl_listener;
struct fl_tls; /* a loaded TLS configuration, shared by many socks */

/* What a sock tells its owner. All get the `arg` of dial or attach. */
struct fl_sock_events {
    /* Connected, TLS included. `alpn` is what was agreed, "" if nothing. Dialled socks only. */
    void (*on_open)(void *arg, struct fl_str alpn);
    /* Bytes arrived; borrowed for the call. Not called while paused. */
    void (*on_data)(void *arg, struct fl_str bytes);
    /* The write queue, which had reached FL_SOCK_QUEUE_HIGH, fell below half of it. */
    void (*on_writable)(void *arg);
    /* The peer will send no more; we still may. */
    void (*on_eof)(void *arg);
    /* Last call, exactly once, also for a dial that failed; the sock's memory is gone after it.
     * `why` has code FL_OK when this side closed; else FL_ERESOLVE, FL_EREFUSED, FL_EUNREACHABLE,
     * FL_ERESET, FL_ETIMEOUT, FL_ETLS, FL_ECERT, FL_ESYS, FL_ENOMEM; of a proxy also FL_ECONFIG (it
     * does not accept the credentials), FL_EPROTO, FL_ETOO_LARGE. */
    void (*on_close)(void *arg, const struct fl_error *why);
};

#define FL_SOCK_QUEUE_HIGH ((size_t)256 * 1024) /* owners stop writing above, until on_writable */
#define FL_SOCK_QUEUE_MAX  ((size_t)4 * 1024 * 1024) /* beyond: the sock closes with FL_EFULL */

/* How a dial gets through a proxy; the proxy resolves the name of the peer. */
enum fl_proxy_kind {
    FL_PROXY_HTTP,   /* CONNECT, RFC 9110 section 9.3.6 */
    FL_PROXY_SOCKS5, /* RFC 1928, RFC 1929 */
};

struct fl_proxy {
    enum fl_proxy_kind kind;
    struct fl_str host;
    uint16_t port;
    struct fl_tls *tls;           /* to the proxy itself; NULL: cleartext. HTTP only */
    struct fl_str user, password; /* empty without; Basic for HTTP */
};

struct fl_dial {
    struct fl_str host; /* address or name; a name is resolved, RFC 8305 between its addresses */
    uint16_t port;
    struct fl_tls *tls;           /* NULL: cleartext */
    struct fl_str server_name;    /* with TLS: what the certificate must name; empty: host */
    const struct fl_proxy *proxy; /* NULL: none. Copied */
    uint64_t deadline_ms;         /* for name, connection, proxy and TLS together; required */
    uint32_t user_timeout_ms; /* 0: the system's. The connection ends with FL_ETIMEOUT when bytes
                                 sent were not acknowledged for so long (TCP_USER_TIMEOUT) */
};

/* A program to run, without a shell. Its standard input is empty. */
struct fl_spawn {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH unless it has a '/' */
    const char *const *env;  /* NULL-terminated "NAME=value", beside this process's; NULL: none */
    uint64_t deadline_ms;    /* killed then; required */
    size_t out_max;          /* of standard output; beyond: killed, FL_ETOO_LARGE */
};

struct fl_spawned {         /* borrowed for the call */
    int exit_code;          /* -1: ended by a signal */
    struct fl_str out, err; /* standard error: its first 4 KiB */
};

struct fl_process;

/* Once: `why` has code FL_OK when the program ended by itself, whatever its exit code; else
 * FL_ESYS (could not be started: detail says why), FL_ETIMEOUT, FL_ETOO_LARGE, FL_ECANCELLED,
 * FL_ENOMEM. The process's memory is gone after it. */
typedef void fl_spawn_cb(void *arg, const struct fl_error *why, const struct fl_spawned *what);

/* Zero-initialised: trust the system's authorities, verify. PEM texts are copied, secrets wiped. */
struct fl_tls_config {
    struct fl_str ca_pem;            /* empty: the system's authorities */
    struct fl_str cert_pem, key_pem; /* of this side; a server must have them */
    bool insecure_skip_verify;
    bool server;
    const char *const *alpn; /* NULL-terminated, most wanted first; NULL: none offered */
};

struct fl_io_ops {
    uint64_t (*now_us)(struct fl_io *io);
    int64_t (*wall_ms)(struct fl_io *io);
    void (*random)(struct fl_io *io, void *out, size_t n);
    int (*dial)(struct fl_io *io, const struct fl_dial *dial, const struct fl_sock_events *events,
                void *arg, struct fl_sock **out, struct fl_error *err);
    int (*listen)(struct fl_io *io, struct fl_str host, uint16_t port, struct fl_tls *tls,
                  void (*on_accept)(void *arg, struct fl_sock *sock), void *arg,
                  struct fl_listener **out, struct fl_error *err);
    uint16_t (*listener_port)(const struct fl_listener *listener);
    void (*listener_close)(struct fl_listener *listener);
    void (*sock_attach)(struct fl_sock *sock, const struct fl_sock_events *events, void *arg);
    int (*sock_write)(struct fl_sock *sock, struct fl_str bytes);
    /* NULL: sock_write of each. */
    int (*sock_write_parts)(struct fl_sock *sock, const struct fl_str *parts, size_t count);
    size_t (*sock_queued)(const struct fl_sock *sock);
    void (*sock_pause)(struct fl_sock *sock, bool paused);
    void (*sock_close)(struct fl_sock *sock);
    void (*sock_abort)(struct fl_sock *sock);
    void (*sock_peer)(const struct fl_sock *sock, char *out, size_t size);
    int (*tls_new)(struct fl_io *io, const struct fl_tls_config *config, struct fl_tls **out,
                   struct fl_error *err);
    void (*tls_unref)(struct fl_tls *tls);
    int (*file_read)(struct fl_io *io, const char *path, struct fl_buf *out, struct fl_error *err);
    int (*file_write)(struct fl_io *io, const char *path, struct fl_buf *bytes,
                      void (*done)(void *arg, const struct fl_error *why), void *arg,
                      struct fl_error *err);
    int (*spawn)(struct fl_io *io, const struct fl_spawn *spawn, fl_spawn_cb *done, void *arg,
                 struct fl_process **out, struct fl_error *err);
    void (*process_kill)(struct fl_process *process);
    const char *(*env)(struct fl_io *io, const char *name);
    void (*post)(struct fl_io *io, struct fl_task *task);
    bool (*on_thread)(struct fl_io *io);
};

struct fl_io {
    const struct fl_io_ops *ops;
    struct fl_metrics *metrics; /* never NULL */
    struct fl_timers timers;    /* the loop runs them */
    struct fl_tasks deferred;   /* the loop empties it at the end of a turn */
    struct fl_random jitter;    /* seeded from ops->random: for backoff and spreading only */
    struct fl_shown *channels;  /* that tell of themselves when asked; see shown.h */
    bool in_memory;             /* the network is a simulated one: nobody can listen */
};

/* What the public struct fl_runtime is to those who implement it: loop/ embeds this first. */
struct fl_runtime {
    struct fl_io *io;
};

/* Monotonic time. */
static inline uint64_t fl_io_now_us(struct fl_io *io) { return io->ops->now_us(io); }
static inline uint64_t fl_io_now_ms(struct fl_io *io) { return io->ops->now_us(io) / 1000; }
/* Time of day in milliseconds since 1970, for people and certificates only. */
static inline int64_t fl_io_wall_ms(struct fl_io *io) { return io->ops->wall_ms(io); }
/* Unpredictable bytes (in sim/: from the seed). */
static inline void fl_io_random(struct fl_io *io, void *out, size_t n) {
    io->ops->random(io, out, n);
}

/* Timers of this loop; see timer.h. */
FL_MUST static inline int fl_io_timer_init(struct fl_io *io, struct fl_timer *timer,
                                           void (*run)(struct fl_timer *timer)) {
    return fl_timer_init(&io->timers, timer, run);
}
static inline void fl_io_timer_deinit(struct fl_io *io, struct fl_timer *timer) {
    fl_timer_deinit(&io->timers, timer);
}
static inline void fl_io_timer_set(struct fl_io *io, struct fl_timer *timer, uint64_t at_ms) {
    fl_timer_set(&io->timers, timer, at_ms);
}
static inline void fl_io_timer_clear(struct fl_io *io, struct fl_timer *timer) {
    fl_timer_clear(&io->timers, timer);
}

/* Runs `task` on this thread at the end of the turn; nothing if it is queued already. */
void fl_io_defer(struct fl_io *io, struct fl_task *task);
/* Runs what is deferred, and what that defers; the loop's own call. */
void fl_io_run_deferred(struct fl_io *io);
/* Any thread: runs `task` on the loop's thread soon; nothing if it is queued already. What the
 * caller wrote before is visible to the task. The task's memory may be used again when its run has
 * begun. */
static inline void fl_io_post(struct fl_io *io, struct fl_task *task) { io->ops->post(io, task); }
/* Any thread: is it this loop's? */
static inline bool fl_io_on_thread(struct fl_io *io) { return io->ops->on_thread(io); }

/* Starts a connection; strings of `dial` are copied, its tls is counted. The owner ends it with
 * fl_sock_close or fl_sock_abort and waits for on_close. Errors (then no callback): FL_ENOMEM,
 * FL_EUSAGE, FL_ESYS. */
FL_MUST static inline int fl_io_dial(struct fl_io *io, const struct fl_dial *dial,
                                     const struct fl_sock_events *events, void *arg,
                                     struct fl_sock **out, struct fl_error *err) {
    return io->ops->dial(io, dial, events, arg, out, err);
}
/* Listens on an address (port 0: any free one, see fl_listener_port). on_accept must call
 * fl_sock_attach on the sock before it returns, or fl_sock_abort; with `tls` it comes when the
 * handshake is done. Errors: FL_ENOMEM, FL_EUSAGE (not an address), FL_ESYS (detail: address and
 * why). */
FL_MUST static inline int fl_io_listen(struct fl_io *io, struct fl_str host, uint16_t port,
                                       struct fl_tls *tls,
                                       void (*on_accept)(void *arg, struct fl_sock *sock),
                                       void *arg, struct fl_listener **out, struct fl_error *err) {
    return io->ops->listen(io, host, port, tls, on_accept, arg, out, err);
}
static inline uint16_t fl_listener_port(struct fl_io *io, const struct fl_listener *listener) {
    return io->ops->listener_port(listener);
}
/* Stops accepting at once; no callback after it; the listener is gone. Accepted socks live on. */
static inline void fl_listener_close(struct fl_io *io, struct fl_listener *listener) {
    io->ops->listener_close(listener);
}
static inline void fl_sock_attach(struct fl_io *io, struct fl_sock *sock,
                                  const struct fl_sock_events *events, void *arg) {
    io->ops->sock_attach(sock, events, arg);
}
/* Queues a copy of `bytes`; all that one turn queues goes out in one write. Before on_open and
 * after close it is an error. FL_EFULL beyond FL_SOCK_QUEUE_MAX, FL_ENOMEM, FL_ESHUTDOWN: the sock
 * closes. */
FL_MUST static inline int fl_sock_write(struct fl_io *io, struct fl_sock *sock,
                                        struct fl_str bytes) {
    return io->ops->sock_write(sock, bytes);
}
/* The same with several runs of bytes. If they are many bytes, as many as the system takes go out
 * before this returns, and only the rest is copied. */
FL_MUST static inline int fl_sock_write_parts(struct fl_io *io, struct fl_sock *sock,
                                              const struct fl_str *parts, size_t count) {
    int rc = 0;
    if (io->ops->sock_write_parts) return io->ops->sock_write_parts(sock, parts, count);
    for (size_t i = 0; i < count && rc == 0; i++) rc = fl_sock_write(io, sock, parts[i]);
    return rc;
}
static inline size_t fl_sock_queued(struct fl_io *io, const struct fl_sock *sock) {
    return io->ops->sock_queued(sock);
}
/* Stops and resumes on_data; the peer is held back by its window. */
static inline void fl_sock_pause(struct fl_io *io, struct fl_sock *sock, bool paused) {
    io->ops->sock_pause(sock, paused);
}
/* Sends what is queued, then closes; gives up after one second. on_close follows. Twice is allowed.
 */
static inline void fl_sock_close(struct fl_io *io, struct fl_sock *sock) {
    io->ops->sock_close(sock);
}
/* Drops what is queued and closes (RST where the system allows). on_close follows. */
static inline void fl_sock_abort(struct fl_io *io, struct fl_sock *sock) {
    io->ops->sock_abort(sock);
}
/* "address:port" of the peer, terminated; "" before on_open. */
static inline void fl_sock_peer(struct fl_io *io, const struct fl_sock *sock, char *out,
                                size_t size) {
    io->ops->sock_peer(sock, out, size);
}
/* Loads a TLS configuration. FL_ECONFIG (detail: which part), FL_ENOMEM, FL_EUSAGE (no TLS here).
 */
FL_MUST static inline int fl_io_tls_new(struct fl_io *io, const struct fl_tls_config *config,
                                        struct fl_tls **out, struct fl_error *err) {
    return io->ops->tls_new(io, config, out, err);
}
/* The owner's reference ends; socks keep theirs. NULL is allowed. */
static inline void fl_tls_unref(struct fl_io *io, struct fl_tls *tls) {
    if (tls) io->ops->tls_unref(tls);
}
/* Appends a small local file, up to out->max. Blocks for the disk: configuration and tokens only.
 * FL_ESYS (detail: path and why), FL_ETOO_LARGE, FL_ENOMEM. */
FL_MUST static inline int fl_io_file_read(struct fl_io *io, const char *path, struct fl_buf *out,
                                          struct fl_error *err) {
    return io->ops->file_read(io, path, out, err);
}
/* Replaces the file by `bytes`, which is taken (also on failure) and wiped: atomically (a temporary
 * file beside it with mode 0600, then renamed) and durably (fsync of file and folder), off the
 * loop's thread. `done` once, later; it cannot be cancelled, and who frees the loop waits for it.
 * Errors: FL_ENOMEM (then no callback); by callback FL_ESYS (detail: path and why). */
FL_MUST static inline int fl_io_take_file_write(struct fl_io *io, const char *path,
                                                struct fl_buf *bytes,
                                                void (*done)(void *arg, const struct fl_error *why),
                                                void *arg, struct fl_error *err) {
    return io->ops->file_write(io, path, bytes, done, arg, err);
}
/* Starts a program; strings are copied. Errors (then no callback): FL_ENOMEM, FL_EUSAGE. */
FL_MUST static inline int fl_io_spawn(struct fl_io *io, const struct fl_spawn *spawn,
                                      fl_spawn_cb *done, void *arg, struct fl_process **out,
                                      struct fl_error *err) {
    return io->ops->spawn(io, spawn, done, arg, out, err);
}
/* Kills it; `done` follows with FL_ECANCELLED. */
static inline void fl_process_kill(struct fl_io *io, struct fl_process *process) {
    io->ops->process_kill(process);
}
/* An environment variable, NULL if it is not set. Borrowed. */
static inline const char *fl_io_env(struct fl_io *io, const char *name) {
    return io->ops->env(io, name);
}

#endif
