/* loop_peer.h - for the tests of loop/: a loop that the test turns, and owners of socks that keep
 * what they are told. */
#ifndef FL_TEST_LOOP_PEER_H
#define FL_TEST_LOOP_PEER_H

#include <fairlead/runtime.h>

#include "base/io.h"

/* A runtime in FL_RUNTIME_POLL mode. */
struct fl_runtime *fl_test_loop_new(void);
/* Turns the loop until done(arg); fails the test when that takes unreasonably long. */
void fl_test_loop_until(struct fl_runtime *runtime, bool (*done)(void *arg), void *arg);
void fl_test_loop_until_true(struct fl_runtime *runtime, const bool *flag);
/* A few turns that do not wait. */
void fl_test_loop_settle(struct fl_runtime *runtime);

struct fl_test_peer {
    struct fl_io *io;
    struct fl_sock *sock; /* NULL when closed */
    bool echo;            /* writes back what it gets */
    bool close_on_eof;
    bool open, eof, closed;
    unsigned opens, eofs, writables, closes;
    char alpn[16];
    struct fl_buf in;
    struct fl_error why;
    void (*then)(struct fl_test_peer *peer, const char *event); /* "open", "data", "eof", … */
};

void fl_test_peer_init(struct fl_test_peer *peer, struct fl_runtime *runtime);
void fl_test_peer_deinit(struct fl_test_peer *peer);
extern const struct fl_sock_events fl_test_peer_events;
/* Dials an address, with a deadline far away. */
FL_MUST int fl_test_peer_dial(struct fl_test_peer *peer, const char *host, uint16_t port,
                              struct fl_tls *tls, struct fl_error *err);
void fl_test_peer_write(struct fl_test_peer *peer, const char *text);
/* Turns the loop until the peer's input is `text`. */
void fl_test_peer_expect(struct fl_runtime *runtime, struct fl_test_peer *peer, const char *text);

/* A listener whose one peer attaches to what is accepted; further socks are aborted. */
struct fl_test_server {
    struct fl_listener *listener;
    struct fl_test_peer peer;
    unsigned accepted;
    uint16_t port;
};
void fl_test_server_init(struct fl_test_server *server, struct fl_runtime *runtime,
                         const char *host, struct fl_tls *tls);
void fl_test_server_deinit(struct fl_test_server *server);

/* Ends of the test's own, blocking; on 127.0.0.1. */
int fl_test_raw_connect(uint16_t port);
int fl_test_raw_listen(int backlog, uint16_t *port);

/* Closes both, waits for it, and frees everything. */
void fl_test_loop_end(struct fl_runtime *runtime, struct fl_test_peer *client,
                      struct fl_test_server *server);

#endif
