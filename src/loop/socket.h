/* socket.h - the system's calls for TCP sockets, without state of our own. Any thread.
 *
 * Results below zero are negated errno values; fl_socket_fail turns them into a cause. */
#ifndef FL_LOOP_SOCKET_H
#define FL_LOOP_SOCKET_H

#include "base/address.h"
#include "base/error.h"

#include <sys/types.h>

/* "1.2.3.4:80" or "[::1]:80"; an address takes at most 45 bytes. */
#define FL_SOCKET_TEXT_MAX 64

struct fl_endpoint_address {
    struct fl_address address; /* never a name */
    uint16_t port;
};

void fl_socket_format(const struct fl_endpoint_address *at, char out[FL_SOCKET_TEXT_MAX]);

/* Sets *err to the cause of `error` (an errno value) with "who: what the system says". */
int fl_socket_fail_who(struct fl_error *err, const char *who, int error);
/* Sets *err to the cause of `error` (an errno value) with "address:port: what the system says". */
int fl_socket_fail(struct fl_error *err, const struct fl_endpoint_address *at, int error);

/* A socket that does not block, is not inherited, and does not delay small writes. Returns the
 * descriptor. */
FL_MUST int fl_socket_open(enum fl_address_kind family);
void fl_socket_no_delay(int fd);
void fl_socket_user_timeout(int fd, uint32_t ms); /* of a connected one */
/* Starts connecting; 0 also while it is in progress. */
FL_MUST int fl_socket_connect(int fd, const struct fl_endpoint_address *to);
/* Binds and listens; `at->port` becomes the port that was chosen. */
FL_MUST int fl_socket_listen(int fd, struct fl_endpoint_address *at);
/* The next connection's descriptor, with the marks of fl_socket_open. */
FL_MUST int fl_socket_accept(int fd, struct fl_endpoint_address *from);
/* The error that waits on the socket, 0 if none; clears it. */
FL_MUST int fl_socket_error(int fd);
/* Never raises SIGPIPE. Returns the bytes taken. */
FL_MUST ssize_t fl_socket_send(int fd, struct fl_str bytes);
/* `first`, then as many of the parts as go into one call. */
ssize_t fl_socket_send_parts(int fd, struct fl_str first, const struct fl_str *parts, size_t count);
/* Returns the bytes read, 0 at the peer's end. */
FL_MUST ssize_t fl_socket_receive(int fd, void *out, size_t size);
/* The same, and the bytes stay to be received. */
FL_MUST ssize_t fl_socket_peek(int fd, void *out, size_t size);
void fl_socket_shut(int fd);  /* no more writes: sends FIN */
void fl_socket_reset(int fd); /* closing will send RST and drop what is queued */
void fl_socket_close(int fd);

#endif
