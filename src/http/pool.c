/* pool.c - connections to one origin and the exchanges that wait for them.
 *
 * The loop's thread only. Everything that changes the pool defers one turn, which ends what is
 * over, gives waiting exchanges, oldest first, to connections with room, and dials while there are
 * more waiting ones than the connections being made can take. A connection that could not be made,
 * or that never had room, ends the waiting exchanges it was made for (one over HTTP/1.1, all over
 * HTTP/2), so that a dead origin costs one attempt per request; when to try again is the caller's
 * matter.
 *
 * A request that no peer processed goes back to the front of the queue: never sent, above a
 * GOAWAY's last stream, refused; and, as RFC 9110 section 9.2.2 allows, a safe one whose kept
 * HTTP/1.1 connection was closed before a byte of the response. */
#include "http/pool.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/secret.h"
#include "http/fields.h"
#include "http/limits.h"
#include "http/memory.h"

#define CONNS_MAX     8
#define EXCHANGES_MAX 1000
#define TRIES_MAX     4
#define HEAD_MAX      ((size_t)64 * 1024)
#define CODE_CANCEL   8 /* RFC 9113 section 7 */

struct fl_http_pool {
    struct fl_io *io;
    struct fl_dial dial;
    struct fl_proxy proxy;
    struct fl_http_options http;
    size_t conns_max, exchanges_max;
    char *host, *server_name;
    char *proxy_host, *proxy_user, *proxy_password;
    struct fl_list conns;               /* struct pool_conn */
    struct fl_list waiting, busy, over; /* exchanges */
    size_t conn_count, connecting, waiting_count;
    bool multiplexed; /* as far as is known, a connection takes many exchanges */
    bool closing;
    struct fl_task turn;
    struct fl_timer renewal;   /* what is retired then is cut */
    struct fl_metric *refused; /* for want of room in the queue */
    void (*done)(void *arg);
    void *done_arg;
};

struct pool_conn {
    struct fl_list link;
    struct fl_http_pool *pool;
    struct fl_http_conn *conn;
    bool useful; /* it has had room; until then it counts as connecting */
    bool used;
    bool retired; /* takes no new exchanges */
};

struct fl_http_exchange {
    struct fl_list link;
    struct fl_http_pool *pool;
    struct pool_conn *on;          /* NULL while waiting */
    struct fl_http_stream *stream; /* NULL while waiting */
    struct fl_fields head;
    struct fl_http_request request; /* views into head */
    struct fl_timer deadline;
    const struct fl_http_stream_events *events;
    void *arg;
    struct fl_error why; /* this side ended it; FL_OK: it did not */
    unsigned tries;
    bool on_used; /* its connection had served before */
    bool seen;    /* something of the response */
};

static void pool_dirty(struct fl_http_pool *pool) { fl_io_defer(pool->io, &pool->turn); }

/* --- exchanges --- */

/* Heads hold credentials. */
static void exchange_free(struct fl_http_exchange *x) {
    fl_io_timer_deinit(x->pool->io, &x->deadline);
    if (x->head.bytes) explicit_bzero(x->head.bytes, x->head.bytes_cap);
    fl_fields_deinit(&x->head);
    fl_http_free(NULL, x);
}

static void exchange_wait(struct fl_http_exchange *x, bool first) {
    struct fl_http_pool *pool = x->pool;
    x->on = NULL;
    x->stream = NULL;
    fl_list_remove(&x->link);
    fl_list_push(first ? pool->waiting.next : &pool->waiting, &x->link);
    pool->waiting_count++;
    pool_dirty(pool);
}

/* A waiting one ends; the turn says so. */
static void waiting_ends(struct fl_http_exchange *x, const struct fl_error *why) {
    struct fl_http_pool *pool = x->pool;
    x->why = *why;
    fl_list_remove(&x->link);
    fl_list_push(&pool->over, &x->link);
    pool->waiting_count--;
    fl_io_timer_clear(pool->io, &x->deadline);
    pool_dirty(pool);
}

/* A stream may have ended already, untold: that end is not one to be repeated any more. */
static void exchange_end(struct fl_http_exchange *x, int code) {
    struct fl_error why;
    if (x->why.code) return;
    fl_fail(&why, code, "%s", fl_error_text(code));
    if (!x->stream) {
        waiting_ends(x, &why);
        return;
    }
    x->why = why;
    fl_http_stream_reset(x->stream, CODE_CANCEL, &why);
}

static void deadline_passed(struct fl_timer *timer) {
    exchange_end(FL_CONTAINER(timer, struct fl_http_exchange, deadline), FL_EDEADLINE);
}

void fl_http_exchange_cancel(struct fl_http_exchange *exchange) {
    exchange_end(exchange, FL_ECANCELLED);
}

uint64_t fl_http_exchange_last_read_ms(const struct fl_http_exchange *exchange) {
    return exchange->on ? fl_http_conn_last_read_ms(exchange->on->conn) : 0;
}

static bool is_safe(struct fl_str method) { /* RFC 9110 section 9.2.1 */
    return fl_str_eq(method, FL_STR("GET")) || fl_str_eq(method, FL_STR("HEAD")) ||
           fl_str_eq(method, FL_STR("OPTIONS"));
}

static bool may_repeat(const struct fl_http_exchange *x, int code) {
    if (x->seen || x->why.code || x->pool->closing || x->tries >= TRIES_MAX) return false;
    if (code == FL_EGOAWAY || code == FL_ESTREAM_REFUSED) return true;
    bool cut = code == FL_ECLOSED || code == FL_ERESET;
    return cut && x->on_used && !fl_http_conn_is_h2(x->on->conn) && is_safe(x->request.method);
}

/* --- a stream's events, handed on --- */

static void stream_response(void *arg, struct fl_http_stream *stream,
                            const struct fl_http_response *head) {
    struct fl_http_exchange *x = arg;
    x->seen = true;
    if (x->events->on_response) x->events->on_response(x->arg, stream, head);
}

static void stream_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct fl_http_exchange *x = arg;
    if (x->events->on_data)
        x->events->on_data(x->arg, stream, bytes);
    else
        fl_http_stream_consume(stream, bytes.n);
}

static void stream_trailers(void *arg, struct fl_http_stream *stream,
                            struct fl_http_headers trailers) {
    struct fl_http_exchange *x = arg;
    if (x->events->on_trailers) x->events->on_trailers(x->arg, stream, trailers);
}

static void stream_end(void *arg, struct fl_http_stream *stream) {
    struct fl_http_exchange *x = arg;
    if (x->events->on_end) x->events->on_end(x->arg, stream);
}

static void stream_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                         uint32_t h2_code) {
    struct fl_http_exchange *x = arg;
    if (may_repeat(x, why->code)) {
        exchange_wait(x, true);
        return;
    }
    struct fl_http_pool *pool = x->pool;
    fl_list_remove(&x->link);
    x->events->on_close(x->arg, stream, why->code && x->why.code ? &x->why : why, h2_code);
    exchange_free(x);
    pool_dirty(pool);
}

static const struct fl_http_stream_events stream_events = {
    .on_response = stream_response,
    .on_data = stream_data,
    .on_trailers = stream_trailers,
    .on_end = stream_end,
    .on_close = stream_close,
};

/* --- connections --- */

/* The waiting exchanges that a failed dial was made for end with its reason. */
static void dial_failed(struct fl_http_pool *pool, const struct fl_error *why) {
    bool all = pool->multiplexed;
    while (!fl_list_empty(&pool->waiting)) {
        waiting_ends(FL_CONTAINER(pool->waiting.next, struct fl_http_exchange, link), why);
        if (!all) break;
    }
}

/* A peer that greets and leaves at once must not be dialled again at once, and again. */
static void made_for_nothing(struct fl_http_pool *pool, const struct fl_error *why) {
    struct fl_error left;
    fl_fail(&left, FL_EGOAWAY, "%s", fl_error_text(FL_EGOAWAY));
    dial_failed(pool, why->code ? why : &left);
}

static void has_room(struct pool_conn *c) {
    if (!c->useful) c->pool->connecting--;
    c->useful = true;
}

static void conn_ready(void *arg, struct fl_http_conn *conn) {
    struct pool_conn *c = arg;
    c->pool->multiplexed = fl_http_conn_is_h2(conn);
    if (fl_http_conn_room(conn) > 0) has_room(c);
    pool_dirty(c->pool);
}

static void conn_room(void *arg, struct fl_http_conn *conn) {
    struct pool_conn *c = arg;
    FL_UNUSED(conn);
    has_room(c);
    pool_dirty(c->pool);
}

static void conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    struct pool_conn *c = arg;
    struct fl_http_pool *pool = c->pool;
    FL_UNUSED(conn);
    fl_list_remove(&c->link);
    pool->conn_count--;
    if (!c->useful) pool->connecting--;
    if (!c->useful && !c->retired) made_for_nothing(pool, why);
    fl_http_free(NULL, c);
    pool_dirty(pool);
}

static const struct fl_http_conn_events conn_events = {
    .on_ready = conn_ready,
    .on_room = conn_room,
    .on_close = conn_close,
};

static int dial(struct fl_http_pool *pool, struct fl_error *err) {
    struct pool_conn *c = FL_HTTP_NEW(NULL, struct pool_conn);
    if (!c) return fl_fail_nomem(err);
    c->pool = pool;
    int rc = fl_http_conn_dial(pool->io, &pool->dial, &pool->http, &conn_events, c, &c->conn, err);
    if (rc) {
        fl_http_free(NULL, c);
        return rc;
    }
    fl_list_push(&pool->conns, &c->link);
    pool->conn_count++;
    pool->connecting++;
    return 0;
}

/* The connection with the most streams that still has room: the others may go idle. */
static struct pool_conn *pick(struct fl_http_pool *pool) {
    struct pool_conn *best = NULL;
    FL_LIST_EACH (&pool->conns, item, next) {
        struct pool_conn *c = FL_CONTAINER(item, struct pool_conn, link);
        if (c->retired || fl_http_conn_room(c->conn) == 0) continue;
        if (!best || fl_http_conn_streams(c->conn) > fl_http_conn_streams(best->conn)) best = c;
    }
    return best;
}

static void start(struct fl_http_exchange *x, struct pool_conn *c) {
    struct fl_http_pool *pool = x->pool;
    struct fl_error err;
    int rc = fl_http_conn_request(c->conn, &x->request, true, &stream_events, x, &x->stream, &err);
    if (rc) {
        waiting_ends(x, &err);
        return;
    }
    x->on = c;
    x->on_used = c->used;
    c->used = true;
    x->tries++;
    pool->waiting_count--;
    fl_list_remove(&x->link);
    fl_list_push(&pool->busy, &x->link);
}

static bool wants_conn(const struct fl_http_pool *pool) {
    if (pool->waiting_count == 0 || pool->conn_count >= pool->conns_max) return false;
    return pool->multiplexed ? pool->connecting == 0 : pool->connecting < pool->waiting_count;
}

/* --- the turn --- */

static void end_those_over(struct fl_http_pool *pool) {
    while (!fl_list_empty(&pool->over)) {
        struct fl_http_exchange *x = FL_CONTAINER(pool->over.next, struct fl_http_exchange, link);
        fl_list_remove(&x->link);
        x->events->on_close(x->arg, NULL, &x->why, 0);
        exchange_free(x);
    }
}

static void serve(struct fl_http_pool *pool) {
    struct pool_conn *c;
    while (!fl_list_empty(&pool->waiting) && (c = pick(pool)))
        start(FL_CONTAINER(pool->waiting.next, struct fl_http_exchange, link), c);
    while (wants_conn(pool)) {
        struct fl_error err;
        if (dial(pool, &err) != 0) dial_failed(pool, &err);
    }
}

/* Those that have nothing left to do; closing one twice is allowed. */
static void close_retired(struct fl_http_pool *pool) {
    FL_LIST_EACH (&pool->conns, item, next) {
        struct pool_conn *c = FL_CONTAINER(item, struct pool_conn, link);
        if (c->retired && fl_http_conn_streams(c->conn) == 0) fl_http_conn_close(c->conn);
    }
}

static void renewal_due(struct fl_timer *timer) {
    struct fl_http_pool *pool = FL_CONTAINER(timer, struct fl_http_pool, renewal);
    struct fl_error why;
    fl_fail(&why, FL_EGOAWAY, "the connection is replaced by one with other credentials");
    FL_LIST_EACH (&pool->conns, item, next) {
        struct pool_conn *c = FL_CONTAINER(item, struct pool_conn, link);
        if (c->retired) fl_http_conn_abort(c->conn, &why);
    }
}

static void pool_free(struct fl_http_pool *pool) {
    fl_io_timer_deinit(pool->io, &pool->renewal);
    fl_free(pool->host);
    fl_free(pool->server_name);
    fl_free(pool->proxy_host);
    fl_secret_free(pool->proxy_user);
    fl_secret_free(pool->proxy_password);
    fl_http_free(NULL, pool);
}

static void finish_if_empty(struct fl_http_pool *pool) {
    if (!pool->closing || pool->conn_count || !fl_list_empty(&pool->busy)) return;
    if (!fl_list_empty(&pool->over) || !fl_list_empty(&pool->waiting)) return;
    if (atomic_load_explicit(&pool->turn.queued, memory_order_relaxed)) return;
    void (*done)(void *arg) = pool->done;
    void *arg = pool->done_arg;
    pool_free(pool);
    if (done) done(arg);
}

static void run_turn(struct fl_task *task) {
    struct fl_http_pool *pool = FL_CONTAINER(task, struct fl_http_pool, turn);
    end_those_over(pool);
    if (!pool->closing) serve(pool);
    close_retired(pool);
    finish_if_empty(pool);
}

/* --- what owners ask --- */

static bool copy_proxy(struct fl_http_pool *pool, const struct fl_proxy *proxy) {
    if (!proxy) return true;
    pool->proxy_host = fl_str_dup(proxy->host);
    pool->proxy_user = fl_str_dup(proxy->user);
    pool->proxy_password = fl_str_dup(proxy->password);
    if (!pool->proxy_host || !pool->proxy_user || !pool->proxy_password) return false;
    pool->proxy = *proxy;
    pool->proxy.host = fl_str_of(pool->proxy_host);
    pool->proxy.user = fl_str_of(pool->proxy_user);
    pool->proxy.password = fl_str_of(pool->proxy_password);
    pool->dial.proxy = &pool->proxy;
    return true;
}

int fl_http_pool_new(struct fl_io *io, const struct fl_http_pool_options *options,
                     struct fl_http_pool **out, struct fl_error *err) {
    struct fl_http_pool *pool = FL_HTTP_NEW(NULL, struct fl_http_pool);
    if (!pool) return fl_fail_nomem(err);
    pool->io = io;
    pool->http = options->http;
    pool->conns_max = options->conns_max ? options->conns_max : CONNS_MAX;
    pool->exchanges_max = options->exchanges_max ? options->exchanges_max : EXCHANGES_MAX;
    bool by_alpn = options->http.version == FL_HTTP_BY_ALPN && options->tls;
    pool->multiplexed = by_alpn || options->http.version == FL_HTTP_2;
    fl_list_init(&pool->conns);
    fl_list_init(&pool->waiting);
    fl_list_init(&pool->busy);
    fl_list_init(&pool->over);
    fl_task_init(&pool->turn, run_turn);
    pool->refused = fl_http_limit_metric(io, FL_HTTP_LIMIT_POOL_QUEUE);
    pool->host = fl_str_dup(options->host);
    pool->server_name = fl_str_dup(options->server_name);
    if (!pool->host || !pool->server_name) goto fail;
    pool->dial = (struct fl_dial){.host = fl_str_of(pool->host),
                                  .port = options->port,
                                  .tls = options->tls,
                                  .server_name = fl_str_of(pool->server_name)};
    if (!copy_proxy(pool, options->proxy)) goto fail;
    if (fl_io_timer_init(io, &pool->renewal, renewal_due) != 0) goto fail;
    *out = pool;
    return 0;
fail:
    pool_free(pool);
    return fl_fail_nomem(err);
}

void fl_http_pool_close(struct fl_http_pool *pool, void (*done)(void *arg), void *arg) {
    pool->closing = true;
    pool->done = done;
    pool->done_arg = arg;
    while (!fl_list_empty(&pool->waiting))
        exchange_end(FL_CONTAINER(pool->waiting.next, struct fl_http_exchange, link), FL_ESHUTDOWN);
    FL_LIST_EACH (&pool->conns, item, next) {
        fl_http_conn_close(FL_CONTAINER(item, struct pool_conn, link)->conn);
    }
    pool_dirty(pool);
}

void fl_http_pool_use_tls(struct fl_http_pool *pool, struct fl_tls *tls, struct fl_tls *proxy) {
    pool->dial.tls = tls;
    pool->proxy.tls = proxy;
}

void fl_http_pool_renew(struct fl_http_pool *pool) {
    FL_LIST_EACH (&pool->conns, item, next)
        FL_CONTAINER(item, struct pool_conn, link)->retired = true;
    if (!pool->closing && !fl_timer_is_set(&pool->renewal))
        fl_io_timer_set(pool->io, &pool->renewal, fl_io_now_ms(pool->io) + FL_HTTP_POOL_RENEW_MS);
    pool_dirty(pool);
}

/* At once: a head that grows leaves copies of the credentials in it behind. */
static bool make_room(struct fl_http_exchange *x, const struct fl_http_request *head) {
    size_t n = sizeof(":method:scheme:authority:path") + head->method.n + head->scheme.n +
               head->authority.n + head->path.n;
    for (size_t i = 0; i < head->headers.count; i++)
        n += head->headers.list[i].name.n + head->headers.list[i].value.n;
    return n > HEAD_MAX || fl_fields_reserve(&x->head, n) == 0;
}

static int copy_head(struct fl_http_exchange *x, const struct fl_http_request *head) {
    if (!make_room(x, head)) return FL_ENOMEM;
    int rc = fl_fields_add(&x->head, FL_STR(":method"), head->method);
    if (!rc) rc = fl_fields_add(&x->head, FL_STR(":scheme"), head->scheme);
    if (!rc) rc = fl_fields_add(&x->head, FL_STR(":authority"), head->authority);
    if (!rc) rc = fl_fields_add(&x->head, FL_STR(":path"), head->path);
    if (!rc) rc = fl_fields_copy(&x->head, head->headers);
    if (!rc) fl_fields_request(&x->head, &x->request);
    return rc;
}

int fl_http_pool_request(struct fl_http_pool *pool, const struct fl_http_request *head,
                         uint64_t deadline_ms, const struct fl_http_stream_events *events,
                         void *arg, struct fl_http_exchange **out, struct fl_error *err) {
    if (pool->closing) return fl_fail(err, FL_ESHUTDOWN, "the pool is closed");
    if (pool->waiting_count >= pool->exchanges_max) {
        fl_metric_add(pool->refused, 1);
        return fl_fail(err, FL_EFULL, "%zu requests wait already", pool->waiting_count);
    }
    struct fl_http_exchange *x = FL_HTTP_NEW(NULL, struct fl_http_exchange);
    if (!x) return fl_fail_nomem(err);
    x->pool = pool;
    x->events = events;
    x->arg = arg;
    fl_list_init(&x->link);
    fl_fields_init(&x->head, NULL, HEAD_MAX);
    int rc = fl_io_timer_init(pool->io, &x->deadline, deadline_passed);
    if (!rc) rc = copy_head(x, head);
    if (rc) {
        exchange_free(x);
        return fl_fail(err, rc, "%s", fl_error_text(rc));
    }
    if (deadline_ms) fl_io_timer_set(pool->io, &x->deadline, deadline_ms);
    exchange_wait(x, false);
    *out = x;
    return 0;
}
