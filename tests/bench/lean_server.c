/* lean_server.c - answers gRPC calls with as little work as HTTP/2 allows, so that it is the client
 * that is measured.
 *
 *     lean_server ADDRESSES [--plain]
 *
 * Listens on 127.0.0.1, 127.0.0.2, … (ADDRESSES of them) at one port, which it prints, in
 * cleartext. What a call sends comes back as it came, gRPC's frames included; when the client has
 * ended its side, so does the server, with status 0. A unary call is answered in one write. With
 * --plain there is no HTTP: bytes come back.
 *
 * One thread. A connection that has OUT_MAX bytes on their way out is not read from; what streams
 * hold is bounded by what their clients leave unread. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES_MAX 250
#define FDS_MAX       65536
#define IN_MAX        ((size_t)256 * 1024)
#define OUT_MAX       ((size_t)256 * 1024)
#define WINDOW        (1 << 30)
#define SMALL         256 /* bytes of a stream that need no allocation of their own */

struct stream {
    struct stream *next; /* of those that are free */
    char *bytes;         /* received, to be sent; `small` or from the heap */
    size_t at, end, size;
    bool answered, deferred, ended;
    char small[SMALL];
};

struct conn {
    int fd;
    bool listener, dead, waiting; /* waiting for room in the socket */
    nghttp2_session *h2;          /* NULL: plain */
    char *out;                    /* OUT_MAX and a frame */
    size_t out_at, out_end;
};

static struct conn *conns[FDS_MAX]; /* by descriptor */
static struct stream *free_streams;
static nghttp2_session_callbacks *callbacks;
static bool plain;
static int epoll;

static void die(const char *what) {
    fprintf(stderr, "lean_server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *must(void *p) {
    if (!p) die("memory");
    return p;
}

/* ---- streams ---- */

static struct stream *stream_new(void) {
    struct stream *s = free_streams;
    if (s)
        free_streams = s->next;
    else
        s = must(malloc(sizeof(*s)));
    s->bytes = s->small;
    s->at = s->end = 0;
    s->size = SMALL;
    s->answered = s->deferred = s->ended = false;
    return s;
}

static void stream_free(struct stream *s) {
    if (s->bytes != s->small) free(s->bytes);
    s->next = free_streams;
    free_streams = s;
}

/* Makes room for n more. */
static void stream_grow(struct stream *s, size_t n) {
    while (n > s->size - s->end) s->size *= 2;
    if (s->bytes != s->small) {
        s->bytes = must(realloc(s->bytes, s->size));
        return;
    }
    s->bytes = must(malloc(s->size));
    memcpy(s->bytes, s->small, s->end);
}

static void stream_put(struct stream *s, const uint8_t *p, size_t n) {
    if (s->at == s->end) s->at = s->end = 0;
    if (n > s->size - s->end && s->at) {
        memmove(s->bytes, s->bytes + s->at, s->end - s->at);
        s->end -= s->at;
        s->at = 0;
    }
    if (n > s->size - s->end) stream_grow(s, n);
    memcpy(s->bytes + s->end, p, n);
    s->end += n;
}

/* ---- HTTP/2 ---- */

#define NV(name, value)                                                                            \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1,                \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                           \
    }

static ssize_t on_read(nghttp2_session *h2, int32_t id, uint8_t *out, size_t n, uint32_t *flags,
                       nghttp2_data_source *source, void *arg) {
    static const nghttp2_nv trailers[] = {NV("grpc-status", "0")};
    struct stream *s = source->ptr;
    (void)arg;
    if (n > s->end - s->at) n = s->end - s->at;
    if (n == 0 && !s->ended) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    memcpy(out, s->bytes + s->at, n);
    s->at += n;
    if (s->ended && s->at == s->end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(h2, id, trailers, 1) != 0) die("trailers");
    }
    return (ssize_t)n;
}

/* Answers, or goes on with the answer. */
static void answer(nghttp2_session *h2, int32_t id, struct stream *s) {
    static const nghttp2_nv head[] = {NV(":status", "200"), NV("content-type", "application/grpc")};
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = on_read};
    if (!s->answered && nghttp2_submit_response(h2, id, head, 2, &body) != 0) die("response");
    if (s->deferred && nghttp2_session_resume_data(h2, id) != 0) die("resume");
    s->answered = true;
    s->deferred = false;
}

static int on_begin(nghttp2_session *h2, const nghttp2_frame *frame, void *arg) {
    (void)arg;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    return nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, stream_new());
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *arg) {
    struct stream *s = nghttp2_session_get_stream_user_data(h2, id);
    (void)flags, (void)arg;
    if (s) stream_put(s, p, n);
    return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *arg) {
    (void)arg;
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
    struct stream *s = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
    if (!s) return 0;
    s->ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (s->ended || frame->hd.type == NGHTTP2_DATA) answer(h2, frame->hd.stream_id, s);
    return 0;
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t code, void *arg) {
    struct stream *s = nghttp2_session_get_stream_user_data(h2, id);
    (void)code, (void)arg;
    if (s) stream_free(s);
    return 0;
}

static void make_callbacks(void) {
    if (nghttp2_session_callbacks_new(&callbacks) != 0) die("nghttp2");
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
}

static nghttp2_session *h2_new(struct conn *c) {
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100000},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW}};
    nghttp2_session *h2;
    if (nghttp2_session_server_new(&h2, callbacks, c) != 0 ||
        nghttp2_submit_settings(h2, 0, settings, 2) != 0 ||
        nghttp2_session_set_local_window_size(h2, 0, 0, WINDOW) != 0)
        die("nghttp2");
    return h2;
}

/* ---- connections ---- */

static void watch(struct conn *c, int op, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = c->fd};
    if (epoll_ctl(epoll, op, c->fd, &event) < 0) die("epoll");
}

static struct conn *conn_new(int fd) {
    if (fd < 0 || fd >= FDS_MAX) die("socket");
    struct conn *c = conns[fd] = must(calloc(1, sizeof(*c)));
    c->fd = fd;
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
    return c;
}

static void accept_one(int listener) {
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct conn *c = conn_new(fd);
    if (!plain) c->h2 = h2_new(c);
}

static void conn_free(struct conn *c) {
    if (c->h2) nghttp2_session_del(c->h2);
    conns[c->fd] = NULL;
    close(c->fd);
    free(c->out);
    free(c);
}

/* What HTTP/2 has to say, as far as it fits. */
static void gather(struct conn *c) {
    const uint8_t *p;
    while (c->out_end < OUT_MAX) {
        ssize_t n = nghttp2_session_mem_send(c->h2, &p);
        if (n < 0) c->dead = true;
        if (n <= 0) return;
        if (!c->out) c->out = must(malloc(OUT_MAX + 65536));
        memcpy(c->out + c->out_end, p, (size_t)n);
        c->out_end += (size_t)n;
    }
}

/* False: the socket takes no more. */
static bool flush(struct conn *c) {
    while (c->out_at < c->out_end) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_end - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) c->dead = true;
        if (n < 0) return false;
        c->out_at += (size_t)n;
    }
    c->out_at = c->out_end = 0;
    return true;
}

static void transmit(struct conn *c) {
    bool room;
    do {
        if (c->h2) gather(c);
        room = flush(c);
    } while (c->h2 && room && !c->dead && nghttp2_session_want_write(c->h2));
    if (c->dead || room != c->waiting) return;
    c->waiting = !room;
    watch(c, EPOLL_CTL_MOD, room ? EPOLLIN : EPOLLOUT);
}

static void take(struct conn *c, const char *p, size_t n) {
    if (c->h2) {
        if (nghttp2_session_mem_recv(c->h2, (const uint8_t *)p, n) < 0) c->dead = true;
        return;
    }
    if (!c->out) c->out = must(malloc(OUT_MAX));
    memcpy(c->out, p, n); /* it is read from only when nothing is on its way */
    c->out_end = n;
}

static void receive(struct conn *c) {
    static char in[IN_MAX];
    ssize_t n = recv(c->fd, in, sizeof(in), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) c->dead = true;
    if (n > 0) take(c, in, (size_t)n);
}

static void turn(struct conn *c, uint32_t events) {
    if (c->listener) {
        accept_one(c->fd);
        return;
    }
    if (!(events & EPOLLOUT)) receive(c);
    if (!c->dead) transmit(c);
    if (c->dead) conn_free(c);
}

/* ---- listening ---- */

static unsigned listen_on(unsigned host, unsigned port) {
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) < 0)
        die("listen");
    conn_new(fd)->listener = true;
    return ntohs(at.sin_port);
}

int main(int argc, char **argv) {
    unsigned long addresses = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned port = 0;
    plain = argc == 3 && strcmp(argv[2], "--plain") == 0;
    if (argc != 2 + plain || addresses == 0 || addresses > ADDRESSES_MAX) {
        fprintf(stderr, "usage: lean_server ADDRESSES [--plain]\n");
        return 2;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    make_callbacks();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) die("epoll");
    for (unsigned host = 1; host <= addresses; host++) port = listen_on(host, port);
    printf("%u\n", port);
    fflush(stdout);
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < n; i++) turn(conns[events[i].data.fd], events[i].events);
    }
}
