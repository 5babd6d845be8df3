/* net.h - what the files of the simulated world share; nobody else includes it.
 *
 * world.c is the clock, the queue of events, tasks and the trace; world_file.c files and
 * environment; world_program.c the programs that are run; net.c the listeners, dials and faults;
 * pipe.c the bytes between two socks. */
#ifndef FL_SIM_NET_H
#define FL_SIM_NET_H

#include "base/list.h"
#include "base/sm.h"
#include "sim/world.h"

/* Bytes that a sock may have on the way to a peer that does not take them. */
#define NET_WINDOW     ((size_t)64 * 1024)
#define NET_FAULTS_MAX 64
/* Segments of an inbox that are kept free for what is no data: SYN, ACCEPT or OPEN, FIN, RST. */
#define NET_SPARE 8

/* An entry of the world's queue: virtual microseconds and, below them, a tie-break from the seed.
 */
#define NET_TIE_BITS 20

/* What has happened; the first byte of a trace entry. */
enum net_entry {
    NET_TIMERS,
    NET_POSTED,
    NET_DIAL,
    NET_ACCEPT,
    NET_OPEN,
    NET_REFUSED,
    NET_DATA,
    NET_EOF,
    NET_RESET,
    NET_CLOSE,
    NET_FAULT,
    NET_CUT,
    NET_NOTE,
    NET_WRITE,
    NET_SPAWN,
    NET_EXIT,
    NET_ENTRIES
};

struct net_fault {
    struct fl_address address;
    uint16_t port; /* 0: every port */
    enum fl_world_fault fault;
};

struct fl_world {
    struct fl_io io;
    struct fl_world_options options;
    struct fl_random random;  /* decides the world */
    struct fl_random entropy; /* what its programs draw */
    uint64_t now_us;
    struct fl_timers events;
    struct fl_timer posting;
    struct fl_tasks posted;
    uint64_t trace;
    void (*line)(void *arg, const char *text);
    void *line_arg;

    struct fl_list files, writes, environment; /* world_file.c */
    struct fl_list programs, processes;        /* world_program.c */

    struct fl_list conns, listeners, dirty; /* dirty: socks with something to send */
    uint64_t conn_count;
    uint64_t last_arrival_us; /* without `reorder`: nothing overtakes anything */
    uint16_t free_port;
    size_t open_socks;
    struct net_fault faults[NET_FAULTS_MAX];
    size_t fault_count;
};

struct fl_listener {
    struct fl_list link;
    struct fl_world *world;
    struct fl_address address;
    uint16_t port;
    void (*on_accept)(void *arg, struct fl_sock *sock);
    void *arg;
};

enum net_segment_kind {
    SEGMENT_SYN,
    SEGMENT_ACCEPT, /* the backlog hands the connection to the listener's owner */
    SEGMENT_OPEN,
    SEGMENT_REFUSED,
    SEGMENT_DATA,
    SEGMENT_FIN,
    SEGMENT_RST,
};

struct net_segment {
    uint64_t at_us;
    size_t len;
    enum net_segment_kind kind;
};

/* One side of a connection. Side 0 dialled, side 1 was accepted. */
enum net_state {
    NET_NEW,      /* side 1: the SYN is on its way */
    NET_DIALLING, /* side 0 */
    NET_PENDING,  /* side 1: in the backlog */
    NET_UP,
    NET_CLOSING, /* closed by its owner, sends what is queued */
    NET_ENDED,   /* on_close is due */
    NET_GONE,
};

struct fl_sock {
    struct net_conn *conn;
    int state;                           /* enum net_state */
    const struct fl_sock_events *events; /* NULL: side 1 before attach */
    void *arg;
    struct fl_list dirty_link;

    struct fl_buf out;    /* queued */
    bool was_high;        /* the queue reached FL_SOCK_QUEUE_HIGH */
    struct fl_timer push; /* the peer's window opened, or on_writable is due */

    struct fl_buf in;             /* on its way to here, and arrived but not taken */
    size_t arrived;               /* of `in` */
    struct net_segment *segments; /* a ring */
    size_t segment_first, segment_count, segment_cap;
    uint64_t last_us; /* arrival of the newest segment */
    struct fl_timer arrive;
    bool held; /* the next segment waits for a black hole's end */
    bool paused, fin, eof_told;

    struct fl_timer ending; /* dial's deadline, close's patience, on_close: by state */
    struct fl_error why;
};

struct net_conn {
    struct fl_list link;
    struct fl_world *world;
    uint64_t number;
    struct fl_address address; /* of the listening side */
    uint16_t port;
    bool blackholed;
    struct fl_listener *listener; /* while side 1 is pending */
    struct fl_sock side[2];
};

/* world.c */
void net_schedule(struct fl_world *world, struct fl_timer *timer, uint64_t at_us);
void net_trace(struct fl_world *world, enum net_entry entry, uint64_t who, struct fl_str bytes);
uint64_t net_latency_us(struct fl_world *world);

/* world_file.c: fl_io_ops */
int net_file_read(struct fl_io *io, const char *path, struct fl_buf *out, struct fl_error *err);
int net_file_write(struct fl_io *io, const char *path, struct fl_buf *bytes,
                   void (*done)(void *arg, const struct fl_error *why), void *arg,
                   struct fl_error *err);
const char *net_env(struct fl_io *io, const char *name);
void net_files_init(struct fl_world *world);
void net_files_free(struct fl_world *world); /* what is being written is brought to its end */

/* world_program.c: fl_io_ops */
int net_spawn(struct fl_io *io, const struct fl_spawn *spawn, fl_spawn_cb *done, void *arg,
              struct fl_process **out, struct fl_error *err);
void net_process_kill(struct fl_process *p);
void net_programs_init(struct fl_world *world);
void net_programs_free(struct fl_world *world); /* none may run */

/* net.c: fl_io_ops */
int net_dial(struct fl_io *io, const struct fl_dial *dial, const struct fl_sock_events *events,
             void *arg, struct fl_sock **out, struct fl_error *err);
int net_listen(struct fl_io *io, struct fl_str host, uint16_t port, struct fl_tls *tls,
               void (*on_accept)(void *arg, struct fl_sock *sock), void *arg,
               struct fl_listener **out, struct fl_error *err);
uint16_t net_listener_port(const struct fl_listener *listener);
void net_listener_close(struct fl_listener *listener);
void net_sock_peer(const struct fl_sock *sock, char *out, size_t size);
void net_free(struct fl_world *world);
/* Who takes a connection to conn's address now; NULL: refused. */
struct fl_listener *net_listener_find(const struct net_conn *conn);
/* Frees the connection once both sides are gone. */
void net_conn_release(struct net_conn *conn);
static inline uint64_t net_sock_id(const struct fl_sock *sock) {
    return sock->conn->number * 2 + (sock == &sock->conn->side[1]);
}
static inline struct fl_sock *net_sock_other(struct fl_sock *sock) {
    return &sock->conn->side[sock == &sock->conn->side[0]];
}

/* pipe.c */
FL_MUST int net_sock_init(struct fl_sock *sock, struct net_conn *conn, enum net_state state);
void net_sock_deinit(struct fl_sock *sock);
void net_sock_move(struct fl_sock *sock, enum net_state to);
void net_segment_send(struct fl_sock *to, enum net_segment_kind kind, size_t len);
void net_sock_retry(struct fl_sock *sock); /* the black hole is over */
void net_sock_cut(struct fl_sock *sock);
void net_flush(struct fl_world *world);
void net_sock_attach(struct fl_sock *sock, const struct fl_sock_events *events, void *arg);
int net_sock_write(struct fl_sock *sock, struct fl_str bytes);
size_t net_sock_queued(const struct fl_sock *sock);
void net_sock_pause(struct fl_sock *sock, bool paused);
void net_sock_close(struct fl_sock *sock);
void net_sock_abort(struct fl_sock *sock);

#endif
