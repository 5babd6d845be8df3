/* admin.c - see admin.h.
 *
 * An answer is made whole when the request's head is there and queued in one piece; what a client
 * sends as a body is thrown away. */
#include "admin/admin.h"

#include "base/alloc.h"
#include "base/area.h"
#include "http/server.h"

#define CONNS_MAX   64
#define IDLE_MS     60000
#define ANSWER_MS   30000 /* to take an answer, and to send what we throw away */
#define STREAMS_MAX 16
#define H2_INTERNAL 2

struct fl_admin {
    struct fl_io *io;
    struct fl_http_server *server;
    void (*done)(void *arg);
    void *done_arg;
};

/* ---- answers ---- */

static int write_metrics(struct fl_io *io, struct fl_buf *out) {
    fl_area_publish(io->metrics);
    return fl_metrics_write(io->metrics, out);
}

static int write_health(struct fl_io *io, struct fl_buf *out) {
    FL_UNUSED(io);
    return fl_buf_append(out, FL_STR("ok\n"));
}

static const struct page {
    const char *path, *type;
    int (*write)(struct fl_io *io, struct fl_buf *out);
} pages[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", write_metrics},
    {"/healthz", "text/plain", write_health},
};

static const struct page *find_page(struct fl_str target) {
    struct fl_str path, query;
    fl_str_split(target, '?', &path, &query);
    for (size_t i = 0; i < FL_COUNT(pages); i++)
        if (fl_str_eq(path, fl_str_of(pages[i].path))) return &pages[i];
    return NULL;
}

static void send(struct fl_http_stream *stream, int status, struct fl_str type,
                 struct fl_str body) {
    const struct fl_http_header headers[] = {{FL_STR("content-type"), type},
                                             {FL_STR("cache-control"), FL_STR("no-store")},
                                             {FL_STR("allow"), FL_STR("GET, HEAD")}};
    const size_t count = status == 405 ? 3 : 2; /* RFC 9110 section 15.5.6 */
    const struct fl_http_response head = {status, {headers, count}};
    struct fl_error why;
    int rc = fl_http_stream_respond(stream, &head, body.n == 0);
    if (!rc && body.n) rc = fl_http_stream_write(stream, body, true);
    if (!rc || rc == FL_ESHUTDOWN) return;
    fl_fail(&why, rc, "%s", "");
    fl_http_stream_reset(stream, H2_INTERNAL, &why);
}

static void answer(struct fl_admin *admin, struct fl_http_stream *stream,
                   const struct fl_http_request *head) {
    const struct page *page = find_page(head->path);
    bool get = fl_str_eq(head->method, FL_STR("GET"));
    if (!get && !fl_str_eq(head->method, FL_STR("HEAD"))) {
        send(stream, 405, FL_STR("text/plain"), FL_STR("only GET and HEAD\n"));
        return;
    }
    if (!page) {
        send(stream, 404, FL_STR("text/plain"), FL_STR("there are /metrics and /healthz\n"));
        return;
    }
    struct fl_buf body;
    fl_buf_init(&body, FL_HTTP_QUEUE_MAX);
    if (page->write(admin->io, &body) < 0)
        send(stream, 500, FL_STR("text/plain"), FL_STR("out of memory\n"));
    else
        send(stream, 200, fl_str_of(page->type), get ? fl_buf_str(&body) : FL_STR_NONE);
    fl_buf_deinit(&body);
}

/* ---- requests ---- */

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    FL_UNUSED(arg);
    fl_http_stream_consume(stream, bytes.n);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    FL_UNUSED(arg);
    FL_UNUSED(stream);
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
}

static void on_request(void *arg, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    static const struct fl_http_stream_events events = {.on_data = on_data, .on_close = on_close};
    struct fl_admin *admin = arg;
    fl_http_stream_attach(stream, &events, NULL);
    fl_http_stream_deadline(stream, fl_io_now_ms(admin->io) + ANSWER_MS);
    answer(admin, stream, head);
}

/* ---- life ---- */

int fl_admin_new(struct fl_io *io, struct fl_str host, uint16_t port, struct fl_admin **out,
                 struct fl_error *err) {
    const struct fl_http_server_options options = {
        .host = host,
        .port = port,
        .http = {.idle_timeout_ms = IDLE_MS, .streams_max = STREAMS_MAX},
        .conns_max = CONNS_MAX};
    struct fl_admin *admin = FL_NEW(struct fl_admin);
    *out = NULL;
    if (!admin) return fl_fail_nomem(err);
    admin->io = io;
    int rc = fl_http_server_new(io, &options, on_request, admin, &admin->server, err);
    if (rc) {
        fl_free(admin);
        return rc;
    }
    *out = admin;
    return FL_OK;
}

uint16_t fl_admin_port(const struct fl_admin *admin) { return fl_http_server_port(admin->server); }

static void on_closed(void *arg) {
    struct fl_admin *admin = arg;
    void (*done)(void *arg) = admin->done;
    void *done_arg = admin->done_arg;
    fl_free(admin);
    done(done_arg);
}

void fl_admin_close(struct fl_admin *admin, void (*done)(void *arg), void *arg) {
    admin->done = done;
    admin->done_arg = arg;
    fl_http_server_close(admin->server, on_closed, admin);
}
