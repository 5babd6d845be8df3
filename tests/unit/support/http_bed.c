/* http_bed.c - see http_bed.h. */
#include "support/http_bed.h"

#include <stdio.h>
#include <string.h>

#define BODY_MAX ((size_t)64 << 20)

/* --- streams --- */

static void write_down(struct heard *h, struct fl_http_headers headers) {
    size_t n = strlen(h->text);
    for (size_t i = 0; i < headers.count; i++) {
        const struct fl_http_header *f = &headers.list[i];
        snprintf(h->text + n, sizeof h->text - n, "%.*s=%.*s;", FL_STR_ARG(f->name),
                 FL_STR_ARG(f->value));
        n = strlen(h->text);
    }
}

static struct heard *hear(void *arg, const struct fl_http_stream *stream) {
    struct heard *h = arg;
    assert_false(h->bed->in_call);
    assert_int_equal(h->closes, 0);
    if (h->stream) assert_ptr_equal(h->stream, stream);
    return h;
}

static void on_response(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head) {
    struct heard *h = hear(arg, stream);
    assert_int_equal(h->heads, 0);
    h->stream = stream;
    h->heads++;
    h->status = head->status;
    write_down(h, head->headers);
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct heard *h = hear(arg, stream);
    assert_int_equal(h->heads, 1);
    assert_int_equal(h->ends + h->trailers, 0);
    int rc = fl_buf_append(&h->body, bytes);
    assert_true(rc == 0 || h->bed->tolerant);
    if (!h->hoard && !h->late) fl_http_stream_consume(stream, bytes.n);
    if (h->on_data) h->on_data(h);
}

static void on_trailers(void *arg, struct fl_http_stream *stream, struct fl_http_headers trailers) {
    struct heard *h = hear(arg, stream);
    assert_int_equal(h->trailers + h->ends, 0);
    h->trailers++;
    write_down(h, trailers);
}

/* Answers with what came; a server that cannot gives the exchange up. */
static void echo(struct heard *h) {
    const struct fl_http_header headers[] = {{FL_STR("x-answer"), FL_STR("42")}};
    struct fl_http_response head = {.status = 200, .headers = {headers, FL_COUNT(headers)}};
    int rc = fl_http_stream_respond(h->stream, &head, h->body.len == 0);
    if (!rc && h->body.len) rc = fl_http_stream_write(h->stream, fl_buf_str(&h->body), true);
    assert_true(rc == 0 || h->bed->tolerant);
    if (rc) bed_reset(h, 2);
}

static void on_end(void *arg, struct fl_http_stream *stream) {
    struct heard *h = hear(arg, stream);
    assert_int_equal(h->heads, 1);
    assert_int_equal(h->ends, 0);
    h->ends++;
    if (h->echo) echo(h);
}

static void on_writable(void *arg, struct fl_http_stream *stream) {
    struct heard *h = hear(arg, stream);
    h->writables++;
    if (h->on_writable) h->on_writable(h);
}

static void on_stream_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                            uint32_t h2_code) {
    struct heard *h = arg;
    assert_false(h->bed->in_call);
    assert_int_equal(h->closes, 0);
    if (h->late) fl_http_stream_consume(stream, h->body.len);
    h->closes++;
    h->stream = NULL;
    h->why = *why;
    h->h2_code = h2_code;
    assert_true(why->code == FL_OK || why->detail[0]);
    if (h->on_close) h->on_close(h);
}

const struct fl_http_stream_events bed_events = {
    .on_response = on_response,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_stream_close,
};

static struct heard *heard_new(struct bed *b) {
    struct heard *h = test_calloc(1, sizeof *h);
    h->bed = b;
    fl_buf_init(&h->body, BODY_MAX);
    return h;
}

static void heard_free(struct heard *h) {
    fl_buf_deinit(&h->body);
    test_free(h);
}

struct heard *bed_heard(struct bed *b) {
    assert_true(b->asked_count < BED_HEARD_MAX);
    return b->asked[b->asked_count++] = heard_new(b);
}

/* --- connections --- */

static void on_ready(void *arg, struct fl_http_conn *conn) {
    struct conn_end *e = arg;
    assert_false(e->bed->in_call);
    assert_ptr_equal(e->conn, conn);
    assert_int_equal(e->readies++, 0);
    if (e->on_ready) e->on_ready(e);
}

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    struct conn_end *e = arg;
    struct bed *b = e->bed;
    assert_ptr_equal(e->conn, conn);
    assert_true(b->request_count < BED_HEARD_MAX);
    struct heard *h = b->requests[b->request_count++] = heard_new(b);
    h->stream = stream;
    h->heads = 1;
    h->echo = b->echo;
    h->hoard = b->hoard;
    fl_str_copy(h->method, sizeof h->method, head->method);
    fl_str_copy(h->path, sizeof h->path, head->path);
    fl_str_copy(h->authority, sizeof h->authority, head->authority);
    write_down(h, head->headers);
    fl_http_stream_attach(stream, &bed_events, h);
    if (b->refuse) bed_reset(h, 7);
    if (b->abort) fl_http_conn_abort(conn, &(struct fl_error){FL_ECANCELLED, "enough"});
}

static void on_goaway(void *arg, struct fl_http_conn *conn, uint32_t code, struct fl_str debug) {
    struct conn_end *e = arg;
    assert_false(e->bed->in_call);
    assert_int_equal(e->closes, 0);
    assert_int_equal(fl_http_conn_room(conn), 0);
    e->goaways++;
    e->goaway_code = code;
    fl_str_copy(e->goaway_debug, sizeof e->goaway_debug, debug);
}

static void on_room(void *arg, struct fl_http_conn *conn) {
    struct conn_end *e = arg;
    assert_false(e->bed->in_call);
    assert_true(fl_http_conn_room(conn) > 0);
    e->rooms++;
}

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    struct conn_end *e = arg;
    assert_false(e->bed->in_call);
    assert_int_equal(e->closes, 0);
    assert_int_equal(fl_http_conn_streams(conn), 0);
    e->closes++;
    e->conn = NULL;
    e->why = *why;
}

static const struct fl_http_conn_events conn_events = {
    .on_ready = on_ready,
    .on_request = on_request,
    .on_goaway = on_goaway,
    .on_room = on_room,
    .on_close = on_conn_close,
};

/* --- raw peers --- */

static void raw_open(void *arg, struct fl_str alpn) {
    struct raw *r = arg;
    FL_UNUSED(alpn);
    r->open = true;
    if (r->greeting.n) bed_raw_send(r->bed, r->greeting);
}
static void raw_data(void *arg, struct fl_str bytes) {
    struct raw *r = arg;
    assert_int_equal(fl_buf_append(&r->got, bytes), 0);
}
static void raw_writable(void *arg) { FL_UNUSED(arg); }
static void raw_eof(void *arg) {
    struct raw *r = arg;
    r->eofs++;
    fl_sock_close(r->bed->io, r->sock);
}
static void raw_close(void *arg, const struct fl_error *why) {
    struct raw *r = arg;
    r->closes++;
    r->code = why->code;
    r->sock = NULL;
}
static const struct fl_sock_events raw_events = {raw_open, raw_data, raw_writable, raw_eof,
                                                 raw_close};

void bed_raw_send(struct bed *b, struct fl_str bytes) {
    if (b->raw.sock) assert_int_equal(fl_sock_write(b->io, b->raw.sock, bytes), 0);
}

bool bed_raw_got(const struct bed *b, const char *text) {
    struct fl_str got = fl_buf_str(&b->raw.got);
    return got.n && memmem(got.p, got.n, text, strlen(text)) != NULL;
}

static void raw_reset(struct bed *b, struct fl_str greeting) {
    assert_null(b->raw.sock);
    fl_buf_deinit(&b->raw.got);
    b->raw = (struct raw){.bed = b, .greeting = greeting};
    fl_buf_init(&b->raw.got, BODY_MAX);
}

void bed_raw_dial(struct bed *b, struct fl_str greeting) {
    raw_reset(b, greeting);
    struct fl_dial d = {.host = FL_STR("127.0.0.1"), .port = BED_PORT, .deadline_ms = UINT64_MAX};
    assert_int_equal(fl_io_dial(b->io, &d, &raw_events, &b->raw, &b->raw.sock, NULL), 0);
    bed_run(b, 50);
}

/* --- the bed --- */

static int ask(struct bed *b, const char *method, const char *path, bool end, struct heard **out);

static void on_accept(void *arg, struct fl_sock *sock) {
    struct bed *b = arg;
    if (b->raw_server) {
        raw_reset(b, b->raw.greeting);
        b->raw.sock = sock;
        fl_sock_attach(b->io, sock, &raw_events, &b->raw);
        raw_open(&b->raw, FL_STR_NONE);
        return;
    }
    assert_true(b->server_count < BED_CONNS_MAX);
    struct conn_end *e = &b->servers[b->server_count];
    *e = (struct conn_end){.bed = b};
    int rc = fl_http_conn_take_accepted(b->io, sock, &b->server_options, &conn_events, e, &e->conn,
                                        NULL);
    if (rc == 0)
        b->server_count++;
    else
        assert_int_equal(rc, FL_ENOMEM);
}

void bed_init(struct bed *b, const struct fl_world_options *options) {
    memset(b, 0, sizeof *b);
    assert_int_equal(fl_world_new(options, &b->world), 0);
    b->io = fl_world_io(b->world);
    b->client.bed = b;
    b->raw.bed = b;
    fl_buf_init(&b->raw.got, BODY_MAX);
    assert_int_equal(
        fl_io_listen(b->io, FL_STR("127.0.0.1"), BED_PORT, NULL, on_accept, b, &b->listener, NULL),
        0);
}

void bed_version(struct bed *b, enum fl_http_version version) {
    b->client_options.version = version;
}

void bed_deinit(struct bed *b) {
    if (b->client.conn) fl_http_conn_close(b->client.conn);
    for (size_t i = 0; i < b->server_count; i++)
        if (b->servers[i].conn) fl_http_conn_close(b->servers[i].conn);
    if (b->raw.sock) fl_sock_abort(b->io, b->raw.sock);
    if (b->listener) fl_listener_close(b->io, b->listener);
    bed_run(b, 5000);
    assert_null(b->client.conn);
    for (size_t i = 0; i < b->server_count; i++) assert_null(b->servers[i].conn);
    for (size_t i = 0; i < b->asked_count; i++) {
        assert_int_equal(b->asked[i]->closes, 1);
        heard_free(b->asked[i]);
    }
    for (size_t i = 0; i < b->request_count; i++) {
        assert_int_equal(b->requests[i]->closes, 1);
        heard_free(b->requests[i]);
    }
    assert_int_equal(fl_world_open_socks(b->world), 0);
    fl_buf_deinit(&b->raw.got);
    fl_world_free(b->world);
}

int bed_try_dial(struct bed *b) {
    struct fl_dial d = {.host = FL_STR("127.0.0.1"), .port = BED_PORT};
    b->client = (struct conn_end){.bed = b, .on_ready = b->client.on_ready};
    b->in_call = true;
    int rc = fl_http_conn_dial(b->io, &d, &b->client_options, &conn_events, &b->client,
                               &b->client.conn, NULL);
    b->in_call = false;
    return rc;
}

void bed_dial(struct bed *b) { assert_int_equal(bed_try_dial(b), 0); }

void bed_try_exchange(struct bed *b) {
    struct heard *h = NULL;
    if (!b->client.conn || ask(b, "POST", "/", false, &h) != 0) return;
    const struct fl_http_header headers[] = {{FL_STR("x-sum"), FL_STR("1")}};
    int rc = fl_http_stream_write(h->stream, FL_STR("hello"), false);
    if (!rc)
        rc = fl_http_stream_trailers(h->stream,
                                     (struct fl_http_headers){headers, FL_COUNT(headers)});
    if (rc) bed_reset(h, 8);
}

static bool client_ready(void *arg) {
    struct bed *b = arg;
    return b->client.readies > 0 || b->client.closes > 0;
}

void bed_connect(struct bed *b) {
    bed_dial(b);
    assert_true(fl_world_run_until(b->world, client_ready, b, 10000));
    assert_int_equal(b->client.closes, 0);
}

void bed_run(struct bed *b, uint64_t ms) { fl_world_run_ms(b->world, ms); }

static bool is_closed(void *arg) { return ((const struct heard *)arg)->closes > 0; }

void bed_run_closed(struct bed *b, const struct heard *h) {
    void *arg = (void *)(uintptr_t)h;
    assert_true(fl_world_run_until(b->world, is_closed, arg, 600000));
}

/* --- asking --- */

static int ask(struct bed *b, const char *method, const char *path, bool end, struct heard **out) {
    const struct fl_http_header headers[] = {{FL_STR("x-ask"), FL_STR("a b")},
                                             {FL_STR("te"), FL_STR("trailers")}};
    struct fl_http_request head = {.method = fl_str_of(method),
                                   .scheme = FL_STR("http"),
                                   .authority = FL_STR("bed:7000"),
                                   .path = fl_str_of(path),
                                   .headers = {headers, FL_COUNT(headers)}};
    struct heard *h = heard_new(b);
    b->in_call = true;
    int rc = fl_http_conn_request(b->client.conn, &head, end, &bed_events, h, &h->stream, NULL);
    b->in_call = false;
    if (rc) {
        heard_free(h);
        return rc;
    }
    assert_true(b->asked_count < BED_HEARD_MAX);
    *out = b->asked[b->asked_count++] = h;
    return 0;
}

struct heard *bed_ask_with(struct bed *b, struct fl_http_headers headers) {
    struct fl_http_request head = {.method = FL_STR("GET"),
                                   .scheme = FL_STR("http"),
                                   .authority = FL_STR("h"),
                                   .path = FL_STR("/"),
                                   .headers = headers};
    struct heard *h = bed_heard(b);
    assert_int_equal(
        fl_http_conn_request(b->client.conn, &head, true, &bed_events, h, &h->stream, NULL), 0);
    return h;
}

int bed_try_ask(struct bed *b, const char *method, const char *path, struct heard **out) {
    return ask(b, method, path, true, out);
}

struct heard *bed_ask(struct bed *b, const char *method, const char *path) {
    struct heard *h = NULL;
    assert_int_equal(ask(b, method, path, true, &h), 0);
    return h;
}

struct heard *bed_ask_open(struct bed *b, const char *method, const char *path) {
    struct heard *h = NULL;
    assert_int_equal(ask(b, method, path, false, &h), 0);
    return h;
}

struct heard *bed_request(struct bed *b, size_t i) {
    assert_true(i < b->request_count);
    return b->requests[i];
}

/* --- saying --- */

void bed_write(struct heard *h, struct fl_str bytes, bool end) {
    assert_int_equal(fl_http_stream_write(h->stream, bytes, end), 0);
}

static void pattern(char *out, size_t from, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (char)((from + i) * 31 >> 3);
}

void bed_fill(struct heard *h, size_t n, bool end) {
    char piece[8192];
    for (size_t at = 0; at < n; at += sizeof piece) {
        size_t k = FL_MIN(sizeof piece, n - at);
        pattern(piece, at, k);
        bed_write(h, fl_str_n(piece, k), end && at + k == n);
    }
}

int bed_write_whole(struct heard *h, size_t n, bool end) {
    char *bytes = test_malloc(n);
    pattern(bytes, 0, n);
    int rc = fl_http_stream_write(h->stream, fl_str_n(bytes, n), end);
    memset(bytes, 0, n);
    test_free(bytes);
    return rc;
}

void bed_respond(struct heard *h, int status, bool end) {
    const struct fl_http_header headers[] = {{FL_STR("x-answer"), FL_STR("42")}};
    struct fl_http_response head = {.status = status, .headers = {headers, FL_COUNT(headers)}};
    assert_int_equal(fl_http_stream_respond(h->stream, &head, end), 0);
}

void bed_trailer(struct heard *h, const char *name, const char *value) {
    const struct fl_http_header headers[] = {{fl_str_of(name), fl_str_of(value)}};
    assert_int_equal(
        fl_http_stream_trailers(h->stream, (struct fl_http_headers){headers, FL_COUNT(headers)}),
        0);
}

void bed_consume(struct heard *h, size_t n) { fl_http_stream_consume(h->stream, n); }

void bed_reset(struct heard *h, uint32_t h2_code) {
    struct fl_error why = {FL_ECANCELLED, "the test wants it"};
    bool was = h->bed->in_call;
    h->bed->in_call = true;
    fl_http_stream_reset(h->stream, h2_code, &why);
    h->bed->in_call = was;
}

/* --- what must hold --- */

void assert_body(const struct heard *h, const char *text) {
    struct fl_str body = fl_buf_str(&h->body);
    assert_int_equal(body.n, strlen(text));
    if (body.n) assert_memory_equal(body.p, text, body.n);
}

void assert_pattern(const struct heard *h, size_t n) {
    char piece[8192];
    assert_int_equal(h->body.len, n);
    for (size_t at = 0; at < n; at += sizeof piece) {
        size_t k = FL_MIN(sizeof piece, n - at);
        pattern(piece, at, k);
        assert_memory_equal(fl_buf_str(&h->body).p + at, piece, k);
    }
}

void assert_closed(const struct heard *h, int code) {
    assert_int_equal(h->closes, 1);
    assert_string_equal(fl_error_name(h->why.code), fl_error_name(code));
}

void assert_complete(const struct heard *h, int status) {
    assert_closed(h, FL_OK);
    assert_int_equal(h->heads, 1);
    assert_int_equal(h->ends, 1);
    assert_int_equal(h->status, status);
}

void assert_conn_closed(const struct conn_end *e, int code) {
    assert_int_equal(e->closes, 1);
    assert_int_equal(e->why.code, code);
}

/* --- whole openings --- */

const struct fl_world_options bed_plain = {.seed = 1};

void bed_open_h1(struct bed *b, const struct fl_world_options *world) {
    bed_init(b, world);
    bed_version(b, FL_HTTP_1);
}

void bed_open_h2(struct bed *b, const struct fl_world_options *world) {
    bed_init(b, world);
    bed_version(b, FL_HTTP_2);
}

void bed_echo_h1(struct bed *b, const struct fl_world_options *world) {
    bed_open_h1(b, world);
    b->echo = true;
    bed_connect(b);
}

void bed_echo_h2(struct bed *b, const struct fl_world_options *world) {
    bed_open_h2(b, world);
    b->echo = true;
    bed_connect(b);
}

static struct heard *asked(struct bed *b) {
    bed_connect(b);
    struct heard *h = bed_ask(b, "GET", "/");
    bed_run(b, 100);
    return h;
}

struct heard *bed_asked_h1(struct bed *b) {
    bed_open_h1(b, &bed_plain);
    return asked(b);
}

struct heard *bed_asked_h2(struct bed *b) {
    bed_open_h2(b, &bed_plain);
    return asked(b);
}

struct heard *bed_asked_bare_h2(struct bed *b) {
    bed_open_h2(b, &bed_plain);
    b->raw_server = true;
    b->raw.greeting = BYTES(SETTINGS);
    return asked(b);
}

void bed_answer(struct heard *r, int status, const struct heard *h) {
    bed_respond(r, status, true);
    bed_run(h->bed, 100);
    assert_complete(h, status);
}

void bed_each_failure(enum fl_http_version version) {
    FL_TEST_EACH_FAILURE(n) {
        struct bed b;
        fl_test_alloc_fail_at(0);
        bed_init(&b, &bed_plain);
        bed_version(&b, version);
        b.tolerant = b.echo = true;
        fl_test_alloc_fail_at(n);
        if (bed_try_dial(&b) == 0) {
            bed_run(&b, 1000);
            bed_try_exchange(&b);
            bed_run(&b, 1000);
        }
        bed_deinit(&b);
    }
}

void bed_body_over_time(enum fl_http_version version) {
    struct bed b;
    bed_init(&b, &bed_plain);
    bed_version(&b, version);
    struct heard *h = asked(&b), *r = bed_request(&b, 0);
    bed_respond(r, 200, false);
    for (int i = 0; i < 20; i++) {
        bed_write(r, FL_STR("event;"), false);
        bed_run(&b, 60000);
        assert_int_equal(h->body.len, 6 * (i + 1));
    }
    bed_write(r, FL_STR_NONE, true);
    bed_run(&b, 100);
    assert_complete(h, 200);
    bed_deinit(&b);
}

void bed_trailers_both_ways(enum fl_http_version version) {
    struct bed b;
    bed_init(&b, &bed_plain);
    bed_version(&b, version);
    bed_connect(&b);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    bed_write(h, FL_STR("q"), false);
    bed_trailer(h, "x-sum", "1");
    bed_run(&b, 100);
    struct heard *r = bed_request(&b, 0);
    assert_int_equal(r->ends, 1);
    assert_string_equal(r->text, "x-ask=a b;te=trailers;x-sum=1;");
    bed_respond(r, 200, false);
    bed_write(r, FL_STR("a"), false);
    bed_trailer(r, "grpc-status", "0");
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_int_equal(h->trailers, 1);
    assert_body(h, "a");
    assert_string_equal(h->text, "x-answer=42;grpc-status=0;");
    assert_closed(r, FL_OK);
    bed_deinit(&b);
}
