/* resolver.c - names to addresses, by c-ares on the loop. The loop's thread.
 *
 * The channel of c-ares exists while somebody waits for an answer: each burst of lookups reads the
 * system's configuration anew, and an idle loop has no socket open. c-ares says which descriptors
 * to watch (a poll each) and when it wants to be called (one timer). It cannot drop a single
 * lookup, so a cancelled query stays with it, mute, until it is answered or until nobody waits any
 * more and the channel ends.
 *
 * c-ares may answer within the call that asks; answers are therefore kept and told by a deferred
 * task. Its sockets are made here because its own writes to TCP could raise SIGPIPE.
 *
 * "localhost" is the loopback (RFC 6761, section 6.3) without a question: c-ares would ask name
 * servers for it on a system without a hosts file, as a fresh root filesystem is. */
#include "loop/resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "loop/inside.h"
#include "loop/poll.h"

#define TRY_MS 2000
#define TRIES  3

struct fl_query {
    struct fl_loop *loop;
    fl_query_cb *cb; /* NULL: cancelled */
    void *arg;
    bool answered;
    struct fl_task task; /* tells the answer */
    struct fl_address addresses[FL_RESOLVER_ADDRESSES_MAX];
    size_t count;
    struct fl_error why; /* when count is 0 */
    char name[FL_ADDRESS_TEXT_MAX];
};

/* A descriptor that c-ares has open. */
struct lookup_socket {
    struct fl_poll poll;
    struct fl_list item; /* in resolver->sockets */
};

static void set_timer(struct fl_loop *loop) {
    struct fl_resolver *r = &loop->resolver;
    struct timeval left;
    if (!r->channel || !ares_timeout(r->channel, NULL, &left)) {
        fl_io_timer_clear(&loop->io, &r->timer);
        return;
    }
    uint64_t ms = (uint64_t)left.tv_sec * 1000 + (uint64_t)(left.tv_usec + 999) / 1000;
    fl_io_timer_set(&loop->io, &r->timer, fl_io_now_ms(&loop->io) + ms);
}

static void on_timer(struct fl_timer *timer) {
    struct fl_loop *loop = FL_CONTAINER(timer, struct fl_loop, resolver.timer);
    ares_process_fd(loop->resolver.channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(loop);
}

static void free_socket(struct fl_poll *poll) {
    fl_free(FL_CONTAINER(poll, struct lookup_socket, poll));
}

static struct lookup_socket *find_socket(struct fl_resolver *r, int fd) {
    FL_LIST_EACH (&r->sockets, item, next) {
        struct lookup_socket *s = FL_CONTAINER(item, struct lookup_socket, item);
        if (s->poll.fd == fd) return s;
    }
    return NULL;
}

/* After an error, which ends what was wanted, c-ares may keep the descriptor and say nothing. */
static void on_ready(struct fl_poll *poll, int events) {
    struct fl_loop *loop = poll->loop;
    int wanted = poll->wanted ? poll->wanted : UV_READABLE;
    ares_socket_t fd = poll->fd;
    ares_process_fd(loop->resolver.channel, events & wanted & UV_READABLE ? fd : ARES_SOCKET_BAD,
                    events & wanted & UV_WRITABLE ? fd : ARES_SOCKET_BAD);
    struct lookup_socket *s = find_socket(&loop->resolver, fd);
    if (s && !s->poll.wanted) fl_poll_want(&s->poll, wanted);
    set_timer(loop);
}

/* Without memory the descriptor is not watched, and the lookup ends by its tries. */
static struct lookup_socket *new_socket(struct fl_loop *loop, int fd) {
    struct lookup_socket *s = FL_NEW(struct lookup_socket);
    if (!s) return NULL;
    if (fl_poll_init(&s->poll, loop, fd, on_ready) < 0) {
        fl_free(s);
        return NULL;
    }
    fl_list_push(&loop->resolver.sockets, &s->item);
    return s;
}

/* c-ares: what it wants of a descriptor; nothing when it is about to close it. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable) {
    struct fl_loop *loop = arg;
    struct lookup_socket *s = find_socket(&loop->resolver, fd);
    if (!readable && !writable) {
        if (!s) return;
        fl_list_remove(&s->item);
        int own = fl_poll_steal_fd(&s->poll, free_socket);
        FL_ASSERT(own == fd);
        return;
    }
    if (!s) s = new_socket(loop, fd);
    if (!s) return;
    fl_poll_want(&s->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0));
}

static ares_socket_t open_socket(int domain, int type, int protocol, void *arg) {
    FL_UNUSED(arg);
    return socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int close_socket(ares_socket_t fd, void *arg) {
    FL_UNUSED(arg);
    return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t size,
                          void *arg) {
    FL_UNUSED(arg);
    return connect(fd, to, size);
}

static ares_ssize_t receive_socket(ares_socket_t fd, void *out, size_t size, int flags,
                                   struct sockaddr *from, ares_socklen_t *from_size, void *arg) {
    FL_UNUSED(arg);
    return recvfrom(fd, out, size, flags, from, from_size);
}

static ares_ssize_t send_socket(ares_socket_t fd, const struct iovec *parts, int count, void *arg) {
    FL_UNUSED(arg);
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static const struct ares_socket_functions socket_functions = {
    open_socket, close_socket, connect_socket, receive_socket, send_socket};

static void init_library(void) { ares_library_init(ARES_LIB_INIT_ALL); }

static int open_channel(struct fl_loop *loop, struct fl_error *err) {
    static uv_once_t once = UV_ONCE_INIT;
    struct ares_options options = {
        .timeout = TRY_MS,
        .tries = TRIES,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = loop,
    };
    uv_once(&once, init_library);
    int rc = ares_init_options(&loop->resolver.channel, &options,
                               ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (rc == ARES_SUCCESS) {
        ares_set_socket_functions(loop->resolver.channel, &socket_functions, NULL);
        return 0;
    }
    loop->resolver.channel = NULL;
    if (rc == ARES_ENOMEM) return fl_fail_nomem(err);
    return fl_fail(err, FL_ESYS, "configuration of name lookups: %s", ares_strerror(rc));
}

/* Answers what is left with ARES_EDESTRUCTION, which nobody waits for. */
static void close_channel(struct fl_loop *loop) {
    if (!loop->resolver.channel) return;
    ares_destroy(loop->resolver.channel);
    loop->resolver.channel = NULL;
    set_timer(loop);
}

static void run_idle(struct fl_task *task) {
    struct fl_loop *loop = FL_CONTAINER(task, struct fl_loop, resolver.idle);
    if (loop->resolver.waiting == 0) close_channel(loop);
}

int fl_resolver_init(struct fl_loop *loop) {
    fl_list_init(&loop->resolver.sockets);
    fl_task_init(&loop->resolver.idle, run_idle);
    return fl_io_timer_init(&loop->io, &loop->resolver.timer, on_timer);
}

void fl_resolver_deinit(struct fl_loop *loop) {
    close_channel(loop);
    fl_io_timer_deinit(&loop->io, &loop->resolver.timer);
}

static void add_address(struct fl_query *query, const struct ares_addrinfo_node *node) {
    struct fl_address *address = &query->addresses[query->count];
    if (node->ai_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)node->ai_addr;
        *address = (struct fl_address){.kind = FL_ADDRESS_V4};
        memcpy(address->ip, &in->sin_addr, 4);
        query->count++;
    } else if (node->ai_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)node->ai_addr;
        *address = (struct fl_address){.kind = FL_ADDRESS_V6};
        memcpy(address->ip, &in6->sin6_addr, 16);
        query->count++;
    }
}

static void stop_waiting(struct fl_loop *loop) {
    if (--loop->resolver.waiting == 0) fl_io_defer(&loop->io, &loop->resolver.idle);
}

/* c-ares: the answer, or what became of the question. `info` is ours to free. */
static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info) {
    struct fl_query *query = arg;
    FL_UNUSED(timeouts);
    if (status == ARES_SUCCESS) {
        for (const struct ares_addrinfo_node *node = info->nodes;
             node && query->count < FL_RESOLVER_ADDRESSES_MAX; node = node->ai_next) {
            add_address(query, node);
        }
        ares_freeaddrinfo(info);
    }
    if (!query->cb) {
        fl_free(query);
        return;
    }
    if (status == ARES_ENOMEM) {
        fl_fail_nomem(&query->why);
    } else {
        fl_fail(&query->why, FL_ERESOLVE, "%s: %s", query->name,
                status == ARES_SUCCESS ? "no addresses" : ares_strerror(status));
    }
    query->answered = true;
    stop_waiting(query->loop);
    fl_io_defer(&query->loop->io, &query->task);
}

static void run_answer(struct fl_task *task) {
    struct fl_query *query = FL_CONTAINER(task, struct fl_query, task);
    if (query->cb) {
        query->cb(query->arg, query->addresses, query->count, query->count ? NULL : &query->why);
    }
    fl_free(query);
}

static bool is_localhost(struct fl_str name) {
    if (name.n && name.p[name.n - 1] == '.') name.n--;
    return fl_str_eq_nocase(name, FL_STR("localhost"));
}

/* The one that every machine has comes first. */
static void answer_loopback(struct fl_query *query) {
    query->addresses[0] = (struct fl_address){.kind = FL_ADDRESS_V4, .ip = {127, 0, 0, 1}};
    query->addresses[1] = (struct fl_address){.kind = FL_ADDRESS_V6, .ip = {[15] = 1}};
    query->count = 2;
    query->answered = true;
    fl_io_defer(&query->loop->io, &query->task);
}

static int ask(struct fl_query *query, struct fl_error *err) {
    static const struct ares_addrinfo_hints both = {.ai_family = AF_UNSPEC,
                                                    .ai_socktype = SOCK_STREAM};
    struct fl_resolver *r = &query->loop->resolver;
    int rc = r->channel ? 0 : open_channel(query->loop, err);
    if (rc < 0) return rc;
    r->waiting++;
    ares_getaddrinfo(r->channel, query->name, NULL, &both, on_answer, query);
    set_timer(query->loop);
    return 0;
}

int fl_query_new(struct fl_loop *loop, struct fl_str name, fl_query_cb *cb, void *arg,
                 struct fl_query **out, struct fl_error *err) {
    struct fl_resolver *r = &loop->resolver;
    if (r->waiting == FL_RESOLVER_QUERIES_MAX) {
        return fl_fail(err, FL_ESYS, "%.*s: %d name lookups wait already", FL_STR_ARG(name),
                       FL_RESOLVER_QUERIES_MAX);
    }
    struct fl_query *query = FL_NEW(struct fl_query);
    if (!query) return fl_fail_nomem(err);
    query->loop = loop;
    query->cb = cb;
    query->arg = arg;
    fl_task_init(&query->task, run_answer);
    fl_str_copy(query->name, sizeof(query->name), name);
    int rc = 0;
    if (is_localhost(name))
        answer_loopback(query);
    else
        rc = ask(query, err);
    if (rc < 0) {
        fl_free(query);
        return rc;
    }
    *out = query;
    return 0;
}

void fl_query_free(struct fl_query *query) {
    query->cb = NULL;
    if (!query->answered) stop_waiting(query->loop);
}
