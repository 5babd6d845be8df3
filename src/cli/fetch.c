/* fetch.c - a pool for one exchange. */
#include "cli/fetch.h"

#include "http/pool.h"

#define DEADLINE_MS 10000

struct fetch {
    struct fl_client *client;
    struct fl_http_pool *pool;
    struct fl_buf *out;
    int status;
    bool over, closed;
    struct fl_error why;
};

static void on_response(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head) {
    FL_UNUSED(stream);
    ((struct fetch *)arg)->status = head->status;
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct fetch *fetch = arg;
    if (!fetch->why.code && fl_buf_append(fetch->out, bytes))
        fl_fail(&fetch->why, FL_ETOO_LARGE, "the answer is longer than %zu bytes", fetch->out->max);
    fl_http_stream_consume(stream, bytes.n);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    struct fetch *fetch = arg;
    FL_UNUSED(stream);
    FL_UNUSED(h2_code);
    fetch->over = true;
    if (why->code)
        fetch->why = *why;
    else if (!fetch->why.code && fetch->status != 200)
        fl_fail(&fetch->why, FL_EHTTP, "HTTP status %d: no admin endpoint?", fetch->status);
    fl_client_stop(fetch->client);
}

static void on_pool_closed(void *arg) {
    struct fetch *fetch = arg;
    fetch->closed = true;
    fl_client_stop(fetch->client);
}

static int request(struct fetch *fetch, const char *address, const char *path,
                   struct fl_error *err) {
    static const struct fl_http_stream_events events = {
        .on_response = on_response, .on_data = on_data, .on_close = on_close};
    const struct fl_http_request head = {.method = FL_STR("GET"),
                                         .scheme = FL_STR("http"),
                                         .authority = fl_str_of(address),
                                         .path = fl_str_of(path)};
    struct fl_http_exchange *exchange;
    uint64_t deadline_ms = fl_io_now_ms(fetch->client->runtime->io) + DEADLINE_MS;
    int rc = fl_http_pool_request(fetch->pool, &head, deadline_ms, &events, fetch, &exchange, err);
    if (rc) return rc;
    fl_client_run(fetch->client);
    if (!fetch->over) return fl_fail(err, FL_ECANCELLED, "interrupted");
    return FL_OK;
}

int fl_fetch(struct fl_client *client, const char *address, const char *path, struct fl_buf *out,
             struct fl_error *err) {
    struct fetch fetch = {.client = client, .out = out};
    struct fl_http_pool_options options = {0};
    int rc = fl_client_address(address, &options.host, &options.port, err);
    if (!rc) rc = fl_http_pool_new(client->runtime->io, &options, &fetch.pool, err);
    if (rc) return rc;
    rc = request(&fetch, address, path, err);
    fl_http_pool_close(fetch.pool, on_pool_closed, &fetch);
    while (!fetch.closed) fl_client_run(client);
    if (rc || !fetch.why.code) return rc;
    *err = fetch.why;
    bool v6 = memchr(options.host.p, ':', options.host.n) != NULL;
    return fl_error_prefix(err, v6 ? "http://[%.*s]:%u%s" : "http://%.*s:%u%s",
                           FL_STR_ARG(options.host), (unsigned)options.port, path);
}
