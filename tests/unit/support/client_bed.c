/* client_bed.c - see client_bed.h. */
#include "support/client_bed.h"

#include "http/conn.h"
#include "kube/kubeconfig.h"

static void on_stream_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                            uint32_t h2_code) {
    struct client_bed *f = arg;
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
    if (f->unanswered == stream) f->unanswered = NULL;
}

static const struct fl_http_stream_events server_stream_events = {.on_close = on_stream_close};

static void keep(const struct fl_http_request *head, const char *name, char *out, size_t size) {
    fl_str_copy(out, size, fl_http_header_get(head->headers, fl_str_of(name)));
}

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    struct client_bed *f = arg;
    f->requests++;
    f->http2 = fl_http_conn_is_h2(conn);
    fl_str_copy(f->path, sizeof(f->path), head->path);
    fl_str_copy(f->authority, sizeof(f->authority), head->authority);
    keep(head, "authorization", f->authorization, sizeof(f->authorization));
    keep(head, "user-agent", f->user_agent, sizeof(f->user_agent));
    keep(head, "accept", f->accept, sizeof(f->accept));
    keep(head, "impersonate-user", f->as, sizeof(f->as));
    keep(head, "impersonate-group", f->group, sizeof(f->group));
    keep(head, "accept-encoding", f->accept_encoding, sizeof(f->accept_encoding));
    fl_http_stream_attach(stream, &server_stream_events, f);
    if (f->silent) {
        f->unanswered = stream;
        return;
    }
    bool granted = strcmp(f->authorization, f->wanted) == 0;
    const struct fl_http_response response = {.status = granted ? 200 : 401, .headers = f->extra};
    struct fl_str body = f->body.n ? f->body : FL_STR("granted");
    assert_int_equal(fl_http_stream_respond(stream, &response, false), FL_OK);
    assert_int_equal(fl_http_stream_write(stream, granted ? body : FL_STR("refused"), true), FL_OK);
}

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(arg);
    FL_UNUSED(conn);
    FL_UNUSED(why);
}

static const struct fl_http_conn_events server_events = {.on_request = on_request,
                                                         .on_close = on_conn_close};

static void on_accept(void *arg, struct fl_sock *sock) {
    struct client_bed *f = arg;
    struct fl_http_conn *conn;
    const struct fl_http_options options = {0};
    assert_int_equal(
        fl_http_conn_take_accepted(f->io, sock, &options, &server_events, f, &conn, NULL), FL_OK);
}

static void on_response(void *arg, const struct fl_http_response *head) {
    struct answer *a = arg;
    a->heads++;
    a->status = head->status;
    fl_str_copy(a->retry_after, sizeof(a->retry_after),
                fl_http_header_get(head->headers, FL_STR("retry-after")));
}

static void on_data(void *arg, struct fl_str bytes) {
    struct answer *a = arg;
    size_t used = strlen(a->body);
    a->bytes += bytes.n;
    fl_str_copy(a->body + used, sizeof(a->body) - used, bytes);
}

static void on_close(void *arg, const struct fl_error *why) {
    struct answer *a = arg;
    a->closes++;
    a->code = why->code;
    snprintf(a->detail, sizeof(a->detail), "%s", why->detail);
}

static const struct fl_kube_request_events events = {
    .on_response = on_response, .on_data = on_data, .on_close = on_close};

int try_get(struct client_bed *f, const char *path, struct answer *a) {
    return fl_kube_client_get(f->client, fl_str_of(path), FL_STR("application/json"), &events, a,
                              &a->request, NULL);
}

void start(struct client_bed *f, struct answer *a) {
    *a = (struct answer){0};
    assert_int_equal(try_get(f, "/api/v1/services?limit=500", a), FL_OK);
    assert_int_equal(a->heads + a->closes, 0);
}

struct answer get(struct client_bed *f) {
    struct answer a;
    start(f, &a);
    fl_world_run_ms(f->world, 100);
    assert_int_equal(a.closes, 1);
    return a;
}

void expect_granted(struct client_bed *f) { assert_int_equal(get(f).status, 200); }

void want(struct client_bed *f, const char *authorization) {
    snprintf(f->wanted, sizeof(f->wanted), "%s", authorization);
}

void token_file(struct client_bed *f, const char *text) {
    assert_int_equal(fl_world_file(f->world, TOKEN_FILE, fl_str_of(text)), FL_OK);
}

void setup(struct client_bed *f) {
    const struct fl_world_options world = {.seed = 5, .chop = true};
    char url[64];
    *f = (struct client_bed){0};
    assert_int_equal(fl_world_new(&world, &f->world), FL_OK);
    f->io = fl_world_io(f->world);
    f->real_ops = f->io->ops;
    assert_int_equal(fl_io_listen(f->io, FL_STR("::1"), 0, NULL, on_accept, f, &f->listener, NULL),
                     FL_OK);
    fl_kube_config_init(&f->config);
    snprintf(url, sizeof(url), "http://[::1]:%u/prefix/", fl_listener_port(f->io, f->listener));
    assert_int_equal(fl_server_url_parse(fl_str_of(url), &f->config, NULL), FL_OK);
    f->config.source = fl_strdup("test");
}

int try_open(struct client_bed *f, bool http2, struct fl_error *err) {
    const struct fl_kube_client_options options = {.http2_cleartext = http2};
    return fl_kube_client_new(f->io, &f->config, &options, &f->client, err);
}

void open_client(struct client_bed *f, bool http2) {
    assert_int_equal(try_open(f, http2, NULL), FL_OK);
}

void on_client_closed(void *arg) { ((struct client_bed *)arg)->client_closed = true; }

void close_client(struct client_bed *f) {
    fl_kube_client_close(f->client, on_client_closed, f);
    assert_false(f->client_closed);
    fl_world_run_ms(f->world, 2000);
    assert_true(f->client_closed);
    f->client = NULL;
}

void teardown(struct client_bed *f) {
    const struct fl_error why = {.code = FL_ECANCELLED};
    if (f->client) close_client(f);
    if (f->unanswered) fl_http_stream_reset(f->unanswered, 8, &why);
    fl_listener_close(f->io, f->listener);
    fl_world_run_ms(f->world, 20000);
    f->io->ops = f->real_ops;
    fl_kube_config_deinit(&f->config);
    fl_world_free(f->world);
}

void setup_token_file(struct client_bed *f) {
    setup(f);
    f->config.token_file = fl_strdup(TOKEN_FILE);
    token_file(f, "first\n");
    want(f, "Bearer first");
    open_client(f, false);
}

void plugin_prints(struct client_bed *f, const char *out, uint32_t delay_ms) {
    const struct fl_world_program does = {.out = fl_str_of(out), .delay_ms = delay_ms};
    assert_int_equal(fl_world_program(f->world, PLUGIN, &does), FL_OK);
}

size_t plugin_runs(const struct client_bed *f) { return fl_world_peek_run(f->world, PLUGIN).times; }

char logged[8192];

static void on_log(void *arg, const char *line, size_t len) {
    size_t used = strlen(logged);
    FL_UNUSED(arg);
    fl_str_copy(logged + used, sizeof(logged) - used, fl_str_n(line, len));
}

void log_keep(void) {
    logged[0] = '\0';
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_DEBUG, .write = on_log});
}

void log_drop(void) {
    assert_null(strstr(logged, "s3cret"));
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
}
