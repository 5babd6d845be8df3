/* client.c - see client.h.
 *
 * A request is one exchange of the pool after the other, at most two: when the first is answered
 * with 401 and the token file holds a new token, it is cancelled and its close starts the second.
 * What the caller hears comes from the last one only. */
#include "kube/client.h"

#include <fairlead/version.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "http/pool.h"
#include "kube/secret.h"

#define TOKEN_MS        60000
#define TOKEN_MAX       ((size_t)64 * 1024)
#define PING_AFTER_MS   30000
#define PING_TIMEOUT_MS 15000
#define CONNS_MAX       256 /* HTTP/1.1 holds one for each watch */

struct fl_kube_client {
    struct fl_io *io;
    struct fl_tls *tls;
    struct fl_http_pool *pool;
    struct fl_kube_server server;
    char *authority, *prefix, *token_file;
    struct fl_buf authorization; /* "Bearer …", empty without a token */
    uint64_t token_read_ms;
    unsigned token_generation; /* rises with each new token */
    void (*done)(void *arg);
    void *done_arg;
};

struct fl_kube_request {
    struct fl_kube_client *client;
    const struct fl_kube_request_events *events;
    void *arg;
    struct fl_http_exchange *exchange;
    struct fl_buf path;
    char *accept;
    unsigned token_generation; /* the token that was sent */
    bool cancelled;            /* by the caller, who hears on_close only */
    bool again;                /* this exchange's close starts the second */
    bool retried;
};

/* --- the token --- */

static bool token_valid(struct fl_str token) {
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] <= ' ' || token.p[i] >= 0x7f) return false;
    return token.n > 0;
}

static int token_set(struct fl_kube_client *client, struct fl_str token) {
    static const struct fl_str scheme = FL_STR("Bearer ");
    struct fl_buf fresh;
    if (fl_str_eq(fl_str_from(fl_buf_str(&client->authorization), scheme.n), token)) return FL_OK;
    fl_buf_init(&fresh, TOKEN_MAX + scheme.n);
    if (!fl_buf_reserve(&fresh, scheme.n + token.n) || fl_buf_append(&fresh, scheme) < 0 ||
        fl_buf_append(&fresh, token) < 0) {
        fl_secret_buf_deinit(&fresh);
        return FL_ENOMEM;
    }
    fl_secret_buf_deinit(&client->authorization);
    client->authorization = fresh;
    client->token_generation++;
    return FL_OK;
}

/* Reads the token file. When it cannot be read the token we have stays; *err says why. */
static void token_read(struct fl_kube_client *client, struct fl_error *err) {
    struct fl_buf text;
    fl_buf_init(&text, TOKEN_MAX);
    err->code = FL_OK;
    client->token_read_ms = fl_io_now_ms(client->io);
    if (fl_io_file_read(client->io, client->token_file, &text, err) == FL_OK) {
        struct fl_str token = fl_str_trim(fl_buf_str(&text));
        if (!token_valid(token))
            fl_fail(err, FL_ECONFIG, "%s: holds no token", client->token_file);
        else if (token_set(client, token) < 0)
            fl_fail_nomem(err);
    }
    fl_secret_buf_deinit(&text);
}

static void token_refresh(struct fl_kube_client *client) {
    struct fl_error err;
    if (!client->token_file) return;
    token_read(client, &err);
    if (err.code != FL_OK)
        FL_LOG(client->io, FL_LOG_WARN, "token file cannot be read, the last token stays in use",
               FL_LOG_ERROR_OF(&err));
}

static void token_keep_fresh(struct fl_kube_client *client) {
    if (fl_io_now_ms(client->io) - client->token_read_ms >= TOKEN_MS) token_refresh(client);
}

static int token_first(struct fl_kube_client *client, const struct fl_kube_config *config,
                       struct fl_error *err) {
    struct fl_error why;
    if (config->token) {
        if (!token_valid(fl_str_of(config->token)))
            return fl_fail(err, FL_ECONFIG, "%s: the token holds blanks or control characters",
                           config->source);
        if (token_set(client, fl_str_of(config->token)) < 0) return fl_fail_nomem(err);
    }
    if (!client->token_file) return FL_OK;
    token_read(client, &why);
    if (client->authorization.len) return FL_OK;
    if (why.code == FL_ENOMEM) return fl_fail_nomem(err);
    return fl_fail(err, FL_ECONFIG, "token file: %s", why.detail);
}

/* --- requests --- */

static void request_free(struct fl_kube_request *request) {
    if (!request) return;
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

static int exchange_start(struct fl_kube_request *request, struct fl_error *err);

/* Is there another token than the one that was refused? */
static bool token_is_newer(struct fl_kube_request *request) {
    if (request->token_generation == request->client->token_generation)
        token_refresh(request->client);
    return request->token_generation != request->client->token_generation;
}

static void on_response(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head) {
    struct fl_kube_request *request = arg;
    FL_UNUSED(stream);
    if (request->cancelled) return;
    if (head->status == 401 && !request->retried && token_is_newer(request)) {
        request->retried = request->again = true;
        fl_http_exchange_cancel(request->exchange);
        return;
    }
    request->events->on_response(request->arg, head);
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct fl_kube_request *request = arg;
    size_t n = bytes.n;
    if (!request->cancelled && !request->again) request->events->on_data(request->arg, bytes);
    fl_http_stream_consume(stream, n);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    struct fl_kube_request *request = arg;
    struct fl_error failed;
    FL_UNUSED(stream);
    FL_UNUSED(h2_code);
    request->exchange = NULL;
    if (request->again && !request->cancelled && why->code != FL_ESHUTDOWN) {
        request->again = false;
        if (exchange_start(request, &failed) == FL_OK) return;
        why = &failed;
    }
    request_over(request, why);
}

static const struct fl_http_stream_events stream_events = {
    .on_response = on_response,
    .on_data = on_data,
    .on_close = on_close,
};

static int exchange_start(struct fl_kube_request *request, struct fl_error *err) {
    struct fl_kube_client *client = request->client;
    struct fl_str authorization = fl_buf_str(&client->authorization);
    const struct fl_http_header headers[] = {
        {FL_STR("user-agent"), FL_STR("fairlead/" FL_VERSION)},
        {FL_STR("accept"), fl_str_of(request->accept)},
        {FL_STR("authorization"), authorization},
    };
    const struct fl_http_request head = {
        .method = FL_STR("GET"),
        .scheme = client->tls ? FL_STR("https") : FL_STR("http"),
        .authority = fl_str_of(client->authority),
        .path = fl_buf_str(&request->path),
        .headers = {headers, FL_COUNT(headers) - (authorization.n ? 0 : 1)},
    };
    request->token_generation = client->token_generation;
    return fl_http_pool_request(client->pool, &head, 0, &stream_events, request, &request->exchange,
                                err);
}

int fl_kube_client_get(struct fl_kube_client *client, struct fl_str path, struct fl_str accept,
                       const struct fl_kube_request_events *events, void *arg,
                       struct fl_kube_request **out, struct fl_error *err) {
    struct fl_kube_request *request = FL_NEW(struct fl_kube_request);
    *out = NULL;
    if (!request) return fl_fail_nomem(err);
    int rc = FL_ENOMEM;
    request->client = client;
    request->events = events;
    request->arg = arg;
    fl_buf_init(&request->path, SIZE_MAX);
    request->accept = fl_str_dup(accept);
    if (!request->accept || fl_buf_append(&request->path, fl_str_of(client->prefix)) < 0 ||
        fl_buf_append(&request->path, path) < 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    if (client->token_file) token_keep_fresh(client);
    if ((rc = exchange_start(request, err)) < 0) goto fail;
    *out = request;
    return FL_OK;
fail:
    request_free(request);
    return rc;
}

void fl_kube_request_cancel(struct fl_kube_request *request) {
    if (request->cancelled) return;
    request->cancelled = true;
    if (!request->again) fl_http_exchange_cancel(request->exchange);
}

uint64_t fl_kube_request_last_read_ms(const struct fl_kube_request *request) {
    return request->exchange ? fl_http_exchange_last_read_ms(request->exchange) : 0;
}

struct fl_kube_server *fl_kube_client_server(struct fl_kube_client *client) {
    return &client->server;
}

/* --- life --- */

static void client_free(struct fl_kube_client *client) {
    if (!client) return;
    fl_tls_unref(client->io, client->tls);
    fl_secret_buf_deinit(&client->authorization);
    fl_free(client->authority);
    fl_free(client->prefix);
    fl_free(client->token_file);
    fl_free(client);
}

static int load_tls(struct fl_kube_client *client, const struct fl_kube_config *config,
                    struct fl_error *err) {
    static const char *const alpn[] = {"h2", "http/1.1", NULL};
    const struct fl_tls_config tls = {
        .ca_pem = fl_buf_str(&config->ca_pem),
        .cert_pem = fl_buf_str(&config->cert_pem),
        .key_pem = fl_buf_str(&config->key_pem),
        .insecure_skip_verify = config->insecure_skip_verify,
        .alpn = alpn,
    };
    struct fl_error why;
    if (!config->tls) return FL_OK;
    int rc = fl_io_tls_new(client->io, &tls, &client->tls, &why);
    if (rc == FL_OK) return FL_OK;
    fl_error_prefix(&why, "%s", config->source);
    return fl_error_copy(err, &why);
}

static int copy_names(struct fl_kube_client *client, const struct fl_kube_config *config) {
    bool v6 = strchr(config->host, ':') != NULL;
    size_t size = strlen(config->host) + sizeof("[]:65535");
    client->authority = fl_alloc(size);
    client->prefix = fl_strdup(config->path);
    if (config->token_file) client->token_file = fl_strdup(config->token_file);
    if (!client->authority || !client->prefix || (config->token_file && !client->token_file))
        return FL_ENOMEM;
    snprintf(client->authority, size, "%s%s%s:%u", v6 ? "[" : "", config->host, v6 ? "]" : "",
             config->port);
    return FL_OK;
}

static int open_pool(struct fl_kube_client *client, const struct fl_kube_config *config,
                     const struct fl_kube_client_options *options, struct fl_error *err) {
    const struct fl_http_pool_options pool = {
        .host = fl_str_of(config->host),
        .port = config->port,
        .tls = client->tls,
        .server_name = fl_str_of(config->server_name),
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

int fl_kube_client_new(struct fl_io *io, const struct fl_kube_config *config,
                       const struct fl_kube_client_options *options, struct fl_kube_client **out,
                       struct fl_error *err) {
    struct fl_kube_client *client = FL_NEW(struct fl_kube_client);
    *out = NULL;
    if (!client) return fl_fail_nomem(err);
    int rc = FL_ENOMEM;
    client->io = io;
    fl_kube_server_init(&client->server, fl_random_u64(&io->jitter));
    fl_buf_init(&client->authorization, TOKEN_MAX);
    if (copy_names(client, config) < 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    if ((rc = token_first(client, config, err)) < 0 || (rc = load_tls(client, config, err)) < 0 ||
        (rc = open_pool(client, config, options, err)) < 0)
        goto fail;
    *out = client;
    return FL_OK;
fail:
    client_free(client);
    return rc;
}

static void pool_closed(void *arg) {
    struct fl_kube_client *client = arg;
    void (*done)(void *) = client->done;
    void *done_arg = client->done_arg;
    client_free(client);
    done(done_arg);
}

void fl_kube_client_close(struct fl_kube_client *client, void (*done)(void *arg), void *arg) {
    client->done = done;
    client->done_arg = arg;
    fl_http_pool_close(client->pool, pool_closed, client);
}
