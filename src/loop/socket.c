/* socket.c - the system's calls for TCP sockets.
 *
 * libuv's own streams are not used: they write with write(2), which raises SIGPIPE when the peer
 * has reset the connection, and a library may not change the process's signal handlers. Here every
 * write is a send with MSG_NOSIGNAL; libuv only tells when a descriptor is ready (uv_poll). */
#include "loop/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define PARTS_MAX 256

void fl_socket_format(const struct fl_endpoint_address *at, char out[FL_SOCKET_TEXT_MAX]) {
    char text[FL_ADDRESS_TEXT_MAX];
    fl_address_format(&at->address, text);
    bool v6 = at->address.kind == FL_ADDRESS_V6;
    snprintf(out, FL_SOCKET_TEXT_MAX, v6 ? "[%.45s]:%u" : "%.45s:%u", text, at->port);
}

static int cause_of(int error) {
    switch (error) {
    case ECONNREFUSED:
        return FL_EREFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
        return FL_EUNREACHABLE;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
        return FL_ERESET;
    case ETIMEDOUT:
        return FL_ETIMEOUT;
    case ENOMEM:
        return FL_ENOMEM;
    default:
        return FL_ESYS;
    }
}

int fl_socket_fail_who(struct fl_error *err, const char *who, int error) {
    return fl_fail(err, cause_of(error), "%s: %s", who, uv_strerror(uv_translate_sys_error(error)));
}

int fl_socket_fail(struct fl_error *err, const struct fl_endpoint_address *at, int error) {
    char text[FL_SOCKET_TEXT_MAX];
    fl_socket_format(at, text);
    return fl_socket_fail_who(err, text, error);
}

static socklen_t to_system(const struct fl_endpoint_address *at, struct sockaddr_storage *out) {
    memset(out, 0, sizeof(*out));
    if (at->address.kind == FL_ADDRESS_V4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(at->port);
        memcpy(&in->sin_addr, at->address.ip, 4);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(at->port);
    memcpy(&in6->sin6_addr, at->address.ip, 16);
    return sizeof(*in6);
}

/* An IPv4 peer of a socket that listens on "::" is told as the IPv4 address it has. */
static void from_system(const struct sockaddr_storage *from, struct fl_endpoint_address *out) {
    *out = (struct fl_endpoint_address){.address.kind = FL_ADDRESS_V4};
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        memcpy(out->address.ip, &in->sin_addr, 4);
        out->port = ntohs(in->sin_port);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
        out->port = ntohs(in6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            memcpy(out->address.ip, in6->sin6_addr.s6_addr + 12, 4);
        } else {
            out->address.kind = FL_ADDRESS_V6;
            memcpy(out->address.ip, &in6->sin6_addr, 16);
        }
    }
}

int fl_socket_open(enum fl_address_kind family) {
    int domain = family == FL_ADDRESS_V6 ? AF_INET6 : AF_INET;
    int fd = socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) return -errno;
    fl_socket_no_delay(fd);
    return fd;
}

void fl_socket_no_delay(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void fl_socket_user_timeout(int fd, uint32_t ms) {
    unsigned timeout = ms;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
}

int fl_socket_connect(int fd, const struct fl_endpoint_address *to) {
    struct sockaddr_storage address;
    socklen_t size = to_system(to, &address);
    int rc;
    do {
        rc = connect(fd, (struct sockaddr *)&address, size);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 && errno != EINPROGRESS ? -errno : 0;
}

int fl_socket_listen(int fd, struct fl_endpoint_address *at) {
    struct sockaddr_storage address;
    socklen_t size = to_system(at, &address);
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) return -errno;
    if (bind(fd, (struct sockaddr *)&address, size) < 0) return -errno;
    if (listen(fd, SOMAXCONN) < 0) return -errno;
    size = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) return -errno;
    from_system(&address, at);
    return 0;
}

int fl_socket_accept(int fd, struct fl_endpoint_address *from) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    int accepted;
    do {
        accepted = accept4(fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (accepted < 0 && errno == EINTR);
    if (accepted < 0) return -errno;
    fl_socket_no_delay(accepted);
    from_system(&address, from);
    return accepted;
}

int fl_socket_error(int fd) {
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) return errno;
    return error;
}

static struct iovec to_iovec(struct fl_str bytes) {
    return (struct iovec){(void *)(uintptr_t)bytes.p, bytes.n};
}

ssize_t fl_socket_send(int fd, struct fl_str bytes) {
    ssize_t n;
    do {
        n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t fl_socket_send_parts(int fd, struct fl_str first, const struct fl_str *parts,
                             size_t count) {
    struct iovec list[PARTS_MAX];
    struct msghdr message = {.msg_iov = list};
    if (first.n > 0) list[message.msg_iovlen++] = to_iovec(first);
    for (size_t i = 0; i < count && message.msg_iovlen < PARTS_MAX; i++)
        list[message.msg_iovlen++] = to_iovec(parts[i]);
    ssize_t n;
    do {
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t receive(int fd, void *out, size_t size, int flags) {
    ssize_t n;
    do {
        n = recv(fd, out, size, flags);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t fl_socket_receive(int fd, void *out, size_t size) { return receive(fd, out, size, 0); }

ssize_t fl_socket_peek(int fd, void *out, size_t size) { return receive(fd, out, size, MSG_PEEK); }

void fl_socket_shut(int fd) { shutdown(fd, SHUT_WR); }

void fl_socket_reset(int fd) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

void fl_socket_close(int fd) { close(fd); }
