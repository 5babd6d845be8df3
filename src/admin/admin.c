/* admin.c - see <fairlead/admin.h>.
 *
 * A server of its own on the runtime's loop. An answer is made whole when the request's head is
 * there and queued in one piece; what a client sends as a body is thrown away. */
#include <fairlead/admin.h>

#include "base/alloc.h"
#include "base/area.h"
#include "base/io.h"
#include "base/lock.h"
#include "http/server.h"

#define CONNS_MAX   64
#define IDLE_MS     60000
#define ANSWER_MS   30000 /* to take an answer, and to send what we throw away */
#define STREAMS_MAX 16
#define H2_INTERNAL 2

struct fl_admin {
    struct fl_io *io;
    struct fl_http_server *server;
    uint16_t port;
    struct fl_task close; /* posted */
    void (*done)(void *arg);
    void *done_arg;
};

/* ---- answers ---- */

static int write_metrics(struct fl_io *io, struct fl_buf *out) {
    fl_area_publish(io->metrics);
    return fl_metrics_write(io->metrics, out);
}

/* {"channels": […]} */
static int write_conns(struct fl_io *io, struct fl_buf *out) {
    int rc = fl_buf_append(out, FL_STR("{\"channels\":["));
    for (struct fl_shown *shown = io->channels; shown && !rc; shown = shown->next) {
        rc = shown->write(shown, out);
        if (!rc && shown->next) rc = fl_buf_byte(out, ',');
    }
    return rc ? rc : fl_buf_append(out, FL_STR("]}\n"));
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
    {"/conns", "application/json", write_conns},
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
        send(stream, 404, FL_STR("text/plain"),
             FL_STR("there are /metrics, /conns and /healthz\n"));
        return;
    }
    struct fl_buf body;
    fl_buf_init(&body, FL_HTTP_QUEUE_MAX);
    int rc = page->write(admin->io, &body);
    if (rc == FL_EFULL)
        send(stream, 500, FL_STR("text/plain"), FL_STR("more than 4 MiB to tell\n"));
    else if (rc)
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

static void on_closed(void *arg) {
    struct fl_admin *admin = arg;
    void (*done)(void *arg) = admin->done;
    void *done_arg = admin->done_arg;
    fl_free(admin);
    if (done) done(done_arg);
}

static void close_server(struct fl_task *task) {
    struct fl_admin *admin = FL_CONTAINER(task, struct fl_admin, close);
    fl_http_server_close(admin->server, on_closed, admin);
}

/* On the loop. */
static int open_admin(struct fl_io *io, const struct fl_admin_options *options,
                      struct fl_admin **out, struct fl_error *err) {
    const struct fl_http_server_options server = {
        .host = options->host ? fl_str_of(options->host) : FL_STR("127.0.0.1"),
        .port = options->port,
        .http = {.idle_timeout_ms = IDLE_MS, .streams_max = STREAMS_MAX},
        .conns_max = CONNS_MAX};
    struct fl_admin *admin = FL_NEW(struct fl_admin);
    if (!admin) return fl_fail_nomem(err);
    admin->io = io;
    fl_task_init(&admin->close, close_server);
    int rc = fl_http_server_new(io, &server, on_request, admin, &admin->server, err);
    if (rc) {
        fl_free(admin);
        return rc;
    }
    admin->port = fl_http_server_port(admin->server);
    *out = admin;
    return FL_OK;
}

/* A thread that is not the loop's has it opened there, and waits. */
struct opening {
    struct fl_task task;
    struct fl_gate done;
    struct fl_io *io;
    const struct fl_admin_options *options;
    struct fl_admin **out;
    struct fl_error *err;
    int rc;
};

static void open_there(struct fl_task *task) {
    struct opening *opening = FL_CONTAINER(task, struct opening, task);
    opening->rc = open_admin(opening->io, opening->options, opening->out, opening->err);
    fl_gate_open(&opening->done);
}

int fl_admin_new(struct fl_runtime *runtime, const struct fl_admin_options *options,
                 struct fl_admin **out, struct fl_error *err) {
    static const struct fl_admin_options defaults;
    struct opening opening = {
        .io = runtime->io, .options = options ? options : &defaults, .out = out, .err = err};
    *out = NULL;
    if (fl_io_on_thread(opening.io)) return open_admin(opening.io, opening.options, out, err);
    fl_task_init(&opening.task, open_there);
    fl_gate_init(&opening.done);
    fl_io_post(opening.io, &opening.task);
    fl_gate_wait(&opening.done);
    fl_gate_deinit(&opening.done);
    return opening.rc;
}

uint16_t fl_admin_port(const struct fl_admin *admin) { return admin->port; }

void fl_admin_close(struct fl_admin *admin, void (*done)(void *arg), void *arg) {
    admin->done = done;
    admin->done_arg = arg;
    fl_io_post(admin->io, &admin->close);
}
