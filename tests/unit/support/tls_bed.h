/* tls_bed.h - a client and a server that speak TLS on loopback, and certificates of all kinds. */
#ifndef FL_TEST_TLS_BED_H
#define FL_TEST_TLS_BED_H

#include "loop/sock.h"
#include "support/alloc.h"
#include "support/loop_certs.h"
#include "support/loop_peer.h"

#define NAMES "DNS:echo.test, IP:127.0.0.1"

/* The authority signed the good, the expired, the one for elsewhere, and the user; nobody knows the
 * stranger. */
extern struct fl_test_cert authority, stranger, good, expired, elsewhere, user;

struct link {
    struct fl_runtime *runtime;
    struct fl_io *io;
    struct fl_tls *client_tls, *server_tls;
    struct fl_test_peer client;
    struct fl_test_server server;
};

/* Must do. */
struct fl_tls *load(struct fl_io *io, const struct fl_tls_config *config);
struct fl_tls_config server_config(const struct fl_test_cert *cert);
struct fl_tls_config client_config(void);
void link_init(struct link *l, const struct fl_tls_config *client,
               const struct fl_tls_config *server);
/* The server echoes. NULL as a name: the address is what its certificate must be for. */
void dial_as(struct link *l, uint16_t port, const char *name, uint64_t in_ms);
/* And runs until both ends are open, or the client has failed. */
void link_dial(struct link *l, const char *name);
void link_end(struct link *l);
/* The client, before it was open, in these words; the server has accepted nobody. */
void assert_failed(struct link *l, int code, const char *words);
/* First and last of all. */
void make_certificates(void);
void free_certificates(void);

#endif
