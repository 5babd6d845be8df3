/* socket_copy.c - what it costs to send bytes to an echo over a socket and to read them back: the
 * floor of bench-grpc's streams (see grpc/peers.py for what a subject is).
 *
 *     socket_copy stream ADDRESS MESSAGES IN_FLIGHT BYTES
 *
 * Against lean_server --plain. One thread; at most IN_FLIGHT messages are on the way. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_MAX ((size_t)256 * 1024)

struct copy {
    int fd;
    char *message;
    size_t bytes, in_flight; /* of a message; bytes that may be on the way */
    uint64_t warmup, total;  /* bytes */
    uint64_t sent, received;
    uint64_t cpu_us, began_us;
};

static void die(const char *what) {
    fprintf(stderr, "socket_copy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t cpu_us(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void connect_to(struct copy *c, char *address) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    char *port = strchr(address, ':');
    int on = 1;
    if (!port) die(address);
    *port++ = '\0';
    at.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || inet_pton(AF_INET, address, &at.sin_addr) != 1 ||
        connect(c->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        die(address);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* False: the socket takes no more now. */
static bool send_some(struct copy *c) {
    size_t at = c->sent % c->bytes;
    ssize_t n = send(c->fd, c->message + at, c->bytes - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) die("send");
    if (n > 0) c->sent += (uint64_t)n;
    return n > 0;
}

static void receive_some(struct copy *c) {
    static char in[READ_MAX];
    ssize_t n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) die("receive");
    if (n <= 0) return;
    bool warm = c->received >= c->warmup;
    c->received += (uint64_t)n;
    if (warm || c->received < c->warmup) return;
    c->cpu_us = cpu_us();
    c->began_us = now_us();
}

static void run(struct copy *c) {
    while (c->received < c->total) {
        bool may = c->sent < c->total && c->sent - c->received < c->in_flight;
        if (may && send_some(c)) continue;
        struct pollfd poller = {.fd = c->fd, .events = (short)(may ? POLLIN | POLLOUT : POLLIN)};
        if (poll(&poller, 1, -1) < 0) die("poll");
        if (poller.revents & ~POLLOUT) receive_some(c);
    }
    c->cpu_us = cpu_us() - c->cpu_us;
    c->began_us = now_us() - c->began_us;
}

int main(int argc, char **argv) {
    struct copy c = {0};
    if (argc != 6 || strcmp(argv[1], "stream") != 0) {
        fprintf(stderr, "usage: socket_copy stream ADDRESS MESSAGES IN_FLIGHT BYTES\n");
        return 2;
    }
    uint64_t messages = strtoull(argv[3], NULL, 10);
    c.bytes = strtoull(argv[5], NULL, 10);
    c.in_flight = strtoull(argv[4], NULL, 10) * c.bytes;
    c.warmup = (messages / 10 + 1) * c.bytes;
    c.total = c.warmup + messages * c.bytes;
    c.message = malloc(c.bytes);
    if (!c.message) die("memory");
    memset(c.message, 'x', c.bytes); /* memory that was never written is one page, always cached */
    connect_to(&c, argv[2]);
    run(&c);
    printf("{\"at\": \"done\", \"count\": %" PRIu64 ", \"cpu_us\": %" PRIu64 ", \"us\": %" PRIu64
           "}\n",
           messages, c.cpu_us, c.began_us);
    close(c.fd);
    free(c.message);
    return 0;
}
