/* client.c - see client.h.
 *
 * A request waits until there are credentials, then is one exchange of the pool after the other, at
 * most two: when the first is refused and there is something else to be tried, it is cancelled and
 * its close sends the request to wait again. What the caller hears comes from the last one only.
 *
 * Everything that may let waiting requests go on defers one turn, which asks for credentials, sends
 * what may be sent and ends what cannot. */
#include "kube/client.h"

#include <fairlead/version.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/log.h"
#include "http/pool.h"
#include "kube/credentials.h"
#include "kube/retry_after.h"
#include "wire/gunzip.h"

#define PING_AFTER_MS   30000
#define PING_TIMEOUT_MS 15000
#define CONNS_MAX       256 /* HTTP/1.1 holds one for each watch */
#define WAITING_MAX     1000
#define HEADERS_MAX     32

struct fl_kube_client {
    struct fl_io *io;
    struct fl_http_pool *pool; /* NULL from its closing on */
    struct fl_credentials *credentials;
    struct fl_kube_server server;
    char *authority, *prefix;
    struct fl_texts impersonate;
    bool tls, gzip;
    struct fl_list waiting; /* requests */
    size_t waiting_count;
    struct fl_task turn;
    struct fl_metric *refused; /* for want of room */
    bool closing;
    void (*done)(void *arg);
    void *done_arg;
};

struct fl_kube_request {
    struct fl_list link; /* while waiting */
    struct fl_kube_client *client;
    const struct fl_kube_request_events *events;
    void *arg;
    struct fl_http_exchange *exchange; /* NULL while waiting */
    struct fl_buf path;
    char *accept;
    struct fl_gunzip *gunzip; /* NULL: the body is not packed */
    struct fl_error why;      /* the body cannot be unpacked */
    unsigned generation;      /* of the credentials that were sent */
    bool cancelled;           /* by the caller, who hears on_close only */
    bool again;               /* this exchange's close starts the second */
    bool retried;
    bool seen; /* something of the response */
};

/* --- requests --- */

static void request_free(struct fl_kube_request *request) {
    if (!request) return;
    fl_gunzip_free(request->gunzip);
    fl_buf_deinit(&request->path);
    fl_free(request->accept);
    fl_free(request);
}

static void request_over(struct fl_kube_request *request, const struct fl_error *why) {
    const struct fl_kube_request_events *events = request->events;
    void *arg = request->arg;
    request_free(request);
    events->on_close(arg, why);
}

static void request_wait(struct fl_kube_request *request) {
    struct fl_kube_client *client = request->client;
    request->exchange = NULL;
    fl_list_push(&client->waiting, &request->link);
    client->waiting_count++;
    fl_io_defer(client->io, &client->turn);
}

static void waiting_over(struct fl_kube_request *request, const struct fl_error *why) {
    fl_list_remove(&request->link);
    request->client->waiting_count--;
    request_over(request, why);
}

/* --- bodies --- */

static void unpack_failed(struct fl_kube_request *request, const struct fl_error *why) {
    request->why = *why;
    fl_http_exchange_cancel(request->exchange);
}

static void unpack(struct fl_kube_request *request, struct fl_str bytes) {
    struct fl_str piece;
    struct fl_error why;
    int rc;
    fl_gunzip_feed(request->gunzip, bytes);
    while (!request->cancelled && (rc = fl_gunzip_next(request->gunzip, &piece, &why)) != 0) {
        if (rc < 0) {
            unpack_failed(request, &why);
            return;
        }
        request->events->on_data(request->arg, piece);
    }
}

/* Does a complete exchange stand for a complete body? */
static bool body_complete(const struct fl_kube_request *request) {
    return !request->gunzip || fl_gunzip_complete(request->gunzip);
}

static int body_begins(struct fl_kube_request *request, const struct fl_http_response *head,
                       struct fl_error *err) {
    struct fl_str coding = fl_http_header_get(head->headers, FL_STR("content-encoding"));
    if (coding.n == 0 || fl_str_eq_nocase(coding, FL_STR("identity"))) return FL_OK;
    if (!request->client->gzip || !fl_str_eq_nocase(coding, FL_STR("gzip")))
        return fl_fail(err, FL_EPROTO, "the body is packed as \"%.*s\", which was not asked for",
                       (int)FL_MIN(coding.n, (size_t)32), coding.p);
    return fl_gunzip_new(&request->gunzip) < 0 ? fl_fail_nomem(err) : FL_OK;
}

/* --- an exchange's events --- */

/* Was it refused, and is there something else to be tried or waited for? Then it is made again. */
static bool try_again(struct fl_kube_request *request, int code) {
    struct fl_error why;
    if (request->retried || request->cancelled || request->client->closing) return false;
    request->retried = fl_credentials_refused(request->client->credentials, request->generation,
                                              code, &why) != FL_CREDENTIALS_FAILED;
    return request->retried;
}

static void on_response(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head) {
    struct fl_kube_request *request = arg;
    struct fl_http_header list[HEADERS_MAX];
    char seconds[FL_RETRY_AFTER_TEXT_MAX];
    struct fl_http_response told = *head;
    struct fl_error why;
    FL_UNUSED(stream);
    request->seen = true;
    if (request->cancelled) return;
    if (head->status == 401 && try_again(request, FL_EUNAUTHORIZED)) {
        request->again = true;
        fl_http_exchange_cancel(request->exchange);
        return;
    }
    if (body_begins(request, head, &why) < 0) {
        unpack_failed(request, &why);
        return;
    }
    fl_retry_after_in_seconds(&told.headers, fl_io_wall_ms(request->client->io), list, HEADERS_MAX,
                              seconds);
    request->events->on_response(request->arg, &told);
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct fl_kube_request *request = arg;
    size_t n = bytes.n;
    if (!request->cancelled && !request->again && request->why.code == FL_OK) {
        if (request->gunzip)
            unpack(request, bytes);
        else
            request->events->on_data(request->arg, bytes);
    }
    fl_http_stream_consume(stream, n);
}

/* The second attempt is due: after a 401, or because the handshake failed. */
static bool is_again(struct fl_kube_request *request, int code) {
    if (request->again) return !request->cancelled;
    bool handshake = code == FL_ETLS || code == FL_ECERT;
    return handshake && !request->seen && try_again(request, code);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    struct fl_kube_request *request = arg;
    struct fl_error failed = *why;
    FL_UNUSED(stream);
    FL_UNUSED(h2_code);
    request->exchange = NULL;
    if (is_again(request, why->code)) {
        request->again = request->seen = false;
        request_wait(request);
        return;
    }
    if (why->code == FL_OK && !body_complete(request))
        fl_fail(&failed, FL_EPROTO, "the packed body ends too early");
    if (!request->cancelled && request->why.code != FL_OK) failed = request->why;
    request_over(request, &failed);
}

static const struct fl_http_stream_events stream_events = {
    .on_response = on_response,
    .on_data = on_data,
    .on_close = on_close,
};

/* --- sending --- */

/* Watches are many small bodies without an end: nothing is won by packing those. */
static bool wants_gzip(const struct fl_kube_request *request) {
    struct fl_str path = fl_buf_str(&request->path);
    return request->client->gzip && path.p && !memmem(path.p, path.n, "watch=", strlen("watch="));
}

static int send_request(struct fl_kube_request *request, struct fl_error *err) {
    struct fl_kube_client *client = request->client;
    struct fl_str authorization = fl_credentials_authorization(client->credentials);
    struct fl_http_header fixed[4] = {
        {FL_STR("user-agent"), FL_STR("fairlead/" FL_VERSION)},
        {FL_STR("accept"), fl_str_of(request->accept)},
    };
    size_t count = 2, extra = client->impersonate.count / 2;
    if (authorization.n)
        fixed[count++] = (struct fl_http_header){FL_STR("authorization"), authorization};
    if (wants_gzip(request))
        fixed[count++] = (struct fl_http_header){FL_STR("accept-encoding"), FL_STR("gzip")};
    struct fl_http_header *list = fl_calloc(count + extra, sizeof *list);
    if (!list) return fl_fail_nomem(err);
    memcpy(list, fixed, count * sizeof *list);
    for (size_t i = 0; i < extra; i++)
        list[count++] = (struct fl_http_header){fl_str_of(client->impersonate.list[2 * i]),
                                                fl_str_of(client->impersonate.list[2 * i + 1])};
    const struct fl_http_request head = {
        .method = FL_STR("GET"),
        .scheme = client->tls ? FL_STR("https") : FL_STR("http"),
        .authority = fl_str_of(client->authority),
        .path = fl_buf_str(&request->path),
        .headers = {list, count},
    };
    request->generation = fl_credentials_generation(client->credentials);
    int rc = fl_http_pool_request(client->pool, &head, 0, &stream_events, request,
                                  &request->exchange, err);
    fl_free(list);
    return rc;
}

/* A waiting request is sent or ended, or goes on waiting. */
static void serve(struct fl_kube_request *request) {
    struct fl_kube_client *client = request->client;
    struct fl_error why;
    if (request->cancelled) {
        fl_fail(&why, FL_ECANCELLED, "%s", fl_error_text(FL_ECANCELLED));
        waiting_over(request, &why);
        return;
    }
    if (client->closing) {
        fl_fail(&why, FL_ESHUTDOWN, "%s", fl_error_text(FL_ESHUTDOWN));
        waiting_over(request, &why);
        return;
    }
    switch (fl_credentials_prepare(client->credentials, &why)) {
    case FL_CREDENTIALS_FETCHING:
        return;
    case FL_CREDENTIALS_FAILED:
        waiting_over(request, &why);
        return;
    case FL_CREDENTIALS_READY:
        break;
    }
    if (send_request(request, &why) < 0) {
        waiting_over(request, &why);
        return;
    }
    fl_list_remove(&request->link);
    client->waiting_count--;
}

static void close_next(struct fl_kube_client *client);

/* An end may start other requests: each that waited when the turn began is served once. */
static void on_turn(struct fl_task *task) {
    struct fl_kube_client *client = FL_CONTAINER(task, struct fl_kube_client, turn);
    struct fl_list now;
    fl_list_init(&now);
    while (!fl_list_empty(&client->waiting)) {
        struct fl_list *item = client->waiting.next;
        fl_list_remove(item);
        fl_list_push(&now, item);
    }
    while (!fl_list_empty(&now)) {
        struct fl_list *item = now.next;
        fl_list_remove(item);
        fl_list_push(&client->waiting, item);
        serve(FL_CONTAINER(item, struct fl_kube_request, link));
    }
    if (client->closing && client->waiting_count == 0) close_next(client);
}

int fl_kube_client_get(struct fl_kube_client *client, struct fl_str path, struct fl_str accept,
                       const struct fl_kube_request_events *events, void *arg,
                       struct fl_kube_request **out, struct fl_error *err) {
    *out = NULL;
    if (client->closing) return fl_fail(err, FL_ESHUTDOWN, "the client is closed");
    if (client->waiting_count >= WAITING_MAX) {
        fl_metric_add(client->refused, 1);
        return fl_fail(err, FL_EFULL, "%zu requests wait already", client->waiting_count);
    }
    struct fl_kube_request *request = FL_NEW(struct fl_kube_request);
    if (!request) return fl_fail_nomem(err);
    request->client = client;
    request->events = events;
    request->arg = arg;
    fl_list_init(&request->link);
    fl_buf_init(&request->path, SIZE_MAX);
    request->accept = fl_str_dup(accept);
    if (!request->accept || fl_buf_append(&request->path, fl_str_of(client->prefix)) < 0 ||
        fl_buf_append(&request->path, path) < 0) {
        request_free(request);
        return fl_fail_nomem(err);
    }
    request_wait(request);
    *out = request;
    return FL_OK;
}

void fl_kube_request_cancel(struct fl_kube_request *request) {
    if (request->cancelled) return;
    request->cancelled = true;
    if (!request->exchange)
        fl_io_defer(request->client->io, &request->client->turn);
    else if (!request->again)
        fl_http_exchange_cancel(request->exchange);
}

uint64_t fl_kube_request_last_read_ms(const struct fl_kube_request *request) {
    return request->exchange ? fl_http_exchange_last_read_ms(request->exchange) : 0;
}

struct fl_kube_server *fl_kube_client_server(struct fl_kube_client *client) {
    return &client->server;
}

/* --- credentials' events --- */

static void on_tls(void *arg, bool identity) {
    struct fl_kube_client *client = arg;
    if (!client->pool) return; /* it is closing: nothing is dialled any more */
    fl_http_pool_use_tls(client->pool, fl_credentials_peek_tls(client->credentials),
                         fl_credentials_peek_proxy_tls(client->credentials));
    if (identity) fl_http_pool_renew(client->pool);
}

static void on_fetched(void *arg) {
    struct fl_kube_client *client = arg;
    fl_io_defer(client->io, &client->turn);
}

static const struct fl_credentials_events credentials_events = {
    .on_tls = on_tls,
    .on_fetched = on_fetched,
};

/* --- life --- */

static void client_free(struct fl_kube_client *client) {
    if (!client) return;
    fl_texts_deinit(&client->impersonate);
    fl_free(client->authority);
    fl_free(client->prefix);
    fl_free(client);
}

static int copy_names(struct fl_kube_client *client, const struct fl_kube_config *config) {
    bool v6 = strchr(config->host, ':') != NULL;
    size_t size = strlen(config->host) + sizeof("[]:65535");
    client->authority = fl_alloc(size);
    client->prefix = fl_strdup(config->path);
    if (!client->authority || !client->prefix ||
        fl_texts_copy(&client->impersonate, &config->impersonate) < 0)
        return FL_ENOMEM;
    snprintf(client->authority, size, "%s%s%s:%u", v6 ? "[" : "", config->host, v6 ? "]" : "",
             config->port);
    return FL_OK;
}

static int open_pool(struct fl_kube_client *client, const struct fl_kube_config *config,
                     const struct fl_kube_client_options *options, struct fl_error *err) {
    const struct fl_proxy proxy = {
        .kind = config->proxy.kind,
        .host = fl_str_of(config->proxy.host),
        .port = config->proxy.port,
        .tls = fl_credentials_peek_proxy_tls(client->credentials),
        .user = fl_str_of(config->proxy.user),
        .password = fl_str_of(config->proxy.password),
    };
    const struct fl_http_pool_options pool = {
        .host = fl_str_of(config->host),
        .port = config->port,
        .tls = fl_credentials_peek_tls(client->credentials),
        .server_name = fl_str_of(config->server_name),
        .proxy = config->proxy.host ? &proxy : NULL,
        .http =
            {
                .version = options->http2_cleartext && !config->tls ? FL_HTTP_2 : FL_HTTP_BY_ALPN,
                .ping_after_ms = PING_AFTER_MS,
                .ping_timeout_ms = PING_TIMEOUT_MS,
            },
        .conns_max = CONNS_MAX,
    };
    return fl_http_pool_new(client->io, &pool, &client->pool, err);
}

static void warn_insecure(struct fl_kube_client *client, const struct fl_kube_config *config) {
    const char *what = NULL;
    if (config->tls && config->insecure_skip_verify)
        what = "insecure-skip-tls-verify: anybody on the way can pose as the API server";
    else if (fl_credentials_are_held_back(client->io, config))
        what = "without TLS no credentials are sent: anybody on the way could read them";
    if (what)
        FL_LOG(client->io, FL_LOG_WARN, what, FL_LOG_TEXT_OF("source", config->source),
               FL_LOG_TEXT_OF("host", config->host));
}

int fl_kube_client_new(struct fl_io *io, const struct fl_kube_config *config,
                       const struct fl_kube_client_options *options, struct fl_kube_client **out,
                       struct fl_error *err) {
    struct fl_kube_client *client = FL_NEW(struct fl_kube_client);
    *out = NULL;
    if (!client) return fl_fail_nomem(err);
    int rc = FL_ENOMEM;
    client->io = io;
    client->tls = config->tls;
    client->gzip = config->compression == FL_KUBE_COMPRESSION_ON;
    fl_kube_server_init(&client->server, fl_random_u64(&io->jitter));
    fl_list_init(&client->waiting);
    fl_task_init(&client->turn, on_turn);
    client->refused =
        fl_metrics_get(io->metrics, FL_METRIC_COUNTER, "fairlead_kube_client_limited_total",
                       "requests refused because too many wait for credentials", "");
    if (copy_names(client, config) < 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    rc = fl_credentials_new(io, config, &credentials_events, client, &client->credentials, err);
    if (rc < 0 || (rc = open_pool(client, config, options, err)) < 0) goto fail;
    warn_insecure(client, config);
    *out = client;
    return FL_OK;
fail:
    fl_credentials_free(client->credentials);
    client_free(client);
    return rc;
}

static void credentials_closed(void *arg) {
    struct fl_kube_client *client = arg;
    void (*done)(void *) = client->done;
    void *done_arg = client->done_arg;
    client_free(client);
    done(done_arg);
}

/* Connections use the credentials' TLS: those are the last to go. */
static void pool_closed(void *arg) {
    struct fl_kube_client *client = arg;
    fl_credentials_close(client->credentials, credentials_closed, client);
}

static void close_next(struct fl_kube_client *client) {
    struct fl_http_pool *pool = client->pool;
    client->pool = NULL;
    if (pool) fl_http_pool_close(pool, pool_closed, client);
}

void fl_kube_client_close(struct fl_kube_client *client, void (*done)(void *arg), void *arg) {
    client->closing = true;
    client->done = done;
    client->done_arg = arg;
    fl_io_defer(client->io, &client->turn);
}
