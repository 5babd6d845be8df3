/* site.c - see site.h. */
#include "support/site.h"

#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define BODY_MAX ((size_t)256 * 1024)

struct visit { /* one request */
    struct fl_list link;
    struct fl_site *site;
    struct fl_http_stream *stream;
    struct fl_timer timer;
    struct fl_buf text;
    enum fl_site_manner manner;
};

static void break_off(struct visit *visit, uint32_t h2_code) {
    struct fl_error why;
    fl_fail(&why, FL_ECANCELLED, "told to");
    fl_http_stream_reset(visit->stream, h2_code, &why);
}

/* An allocation that a test makes fail breaks the exchange off. */
static int say(struct visit *visit) {
    static const char padding[1024];
    const struct fl_http_header headers[] = {{FL_STR("x-site"), FL_STR("yes")},
                                             {FL_STR("x-some-bin"), FL_STR("!")}};
    const struct fl_site *site = visit->site;
    const struct fl_http_response head = {site->status ? site->status : 200, {headers, 2}};
    int rc = fl_http_stream_respond(visit->stream, &head, false);
    for (size_t left = site->padding; left > 0 && rc == 0;) {
        size_t n = FL_MIN(left, sizeof(padding));
        rc = fl_http_stream_write(visit->stream, fl_str_n(padding, n), false);
        left -= n;
    }
    if (rc != 0) return rc;
    bool stops = visit->manner == FL_SITE_STOPS;
    return fl_http_stream_write(visit->stream, fl_buf_str(&visit->text), !stops);
}

static void answer(struct visit *visit) {
    struct fl_site *site = visit->site;
    if (say(visit) != 0)
        break_off(visit, 2);
    else if (visit->manner == FL_SITE_STOPS)
        fl_io_timer_set(site->io, &visit->timer, fl_io_now_ms(site->io) + 10);
}

static void due(struct fl_timer *timer) {
    struct visit *visit = FL_CONTAINER(timer, struct visit, timer);
    if (visit->manner == FL_SITE_STOPS)
        break_off(visit, 2);
    else
        answer(visit);
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct visit *visit = arg;
    fl_http_stream_consume(stream, bytes.n);
    if (fl_buf_append(&visit->text, bytes) != 0) break_off(visit, 2);
}

static void on_end(void *arg, struct fl_http_stream *stream) {
    FL_UNUSED(stream);
    struct visit *visit = arg;
    struct fl_site *site = visit->site;
    switch (visit->manner) {
    case FL_SITE_BREAKS:
        break_off(visit, 2);
        break;
    case FL_SITE_REFUSES:
        break_off(visit, 7);
        break;
    case FL_SITE_SILENT:
        break;
    case FL_SITE_ANSWERS:
        if (site->closes) fl_http_server_drain(site->server);
        fl_io_timer_set(site->io, &visit->timer, fl_io_now_ms(site->io) + site->delay_ms);
        break;
    case FL_SITE_STOPS:
        answer(visit);
        break;
    }
}

static void visit_free(struct visit *visit) {
    fl_list_remove(&visit->link);
    fl_io_timer_deinit(visit->site->io, &visit->timer);
    fl_buf_deinit(&visit->text);
    fl_free(visit);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    FL_UNUSED(stream), FL_UNUSED(why), FL_UNUSED(h2_code);
    struct visit *visit = arg;
    visit->site->open--;
    visit_free(visit);
}

static const struct fl_http_stream_events events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_close,
};

static enum fl_site_manner take_manner(struct fl_site *site) {
    enum fl_site_manner manner = site->manner;
    if (site->times > 0 && --site->times == 0) site->manner = FL_SITE_ANSWERS;
    return manner;
}

static void note_headers(struct fl_site *site, struct fl_http_headers headers) {
    size_t n = 0;
    for (size_t i = 0; i < headers.count; i++) {
        const struct fl_http_header *header = &headers.list[i];
        n += (size_t)snprintf(site->last_headers + n, sizeof(site->last_headers) - n, "%.*s=%.*s;",
                              FL_STR_ARG(header->name), FL_STR_ARG(header->value));
        assert_true(n < sizeof(site->last_headers));
    }
}

static struct visit *visit_new(struct fl_site *site, struct fl_http_stream *stream,
                               const struct fl_http_request *head) {
    struct visit *visit = FL_NEW(struct visit);
    if (!visit) return NULL;
    visit->site = site;
    visit->stream = stream;
    fl_list_init(&visit->link);
    fl_buf_init(&visit->text, BODY_MAX);
    int rc = fl_io_timer_init(site->io, &visit->timer, due);
    if (rc == 0)
        rc = fl_buf_printf(&visit->text, "%.*s %.*s ", FL_STR_ARG(head->method),
                           FL_STR_ARG(head->path));
    if (rc == 0) return visit;
    visit_free(visit);
    return NULL;
}

static void on_request(void *arg, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    struct fl_site *site = arg;
    struct visit *visit = visit_new(site, stream, head);
    if (!visit) {
        struct fl_error err;
        fl_fail_nomem(&err);
        fl_http_stream_reset(stream, 2, &err);
        return;
    }
    visit->manner = take_manner(site);
    fl_list_push(&site->visits, &visit->link);
    note_headers(site, head->headers);
    site->requests++;
    site->open++;
    site->open_max = FL_MAX(site->open_max, site->open);
    site->conns_max = FL_MAX(site->conns_max, (unsigned)fl_http_server_conns(site->server));
    fl_http_stream_attach(stream, &events, visit);
}

void fl_site_start(struct fl_site *site, struct fl_io *io, const char *host, uint16_t port) {
    const struct fl_http_server_options options = {.host = fl_str_of(host), .port = port};
    memset(site, 0, sizeof(*site));
    site->io = io;
    fl_list_init(&site->visits);
    int rc = fl_http_server_new(io, &options, on_request, site, &site->server, NULL);
    assert_int_equal(rc, 0);
}

static void set_closed(void *arg) { *(bool *)arg = true; }

void fl_site_stop(struct fl_site *site) {
    if (!site->server) return;
    fl_http_server_close(site->server, set_closed, &site->closed);
    site->server = NULL;
}
