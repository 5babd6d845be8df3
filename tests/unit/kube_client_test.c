/* kube_client_test.c - credentials and requests of kube/client.h, against a small HTTP server in a
 * simulated world. */
#include "support/alloc.h"

#include <fairlead/log.h>
#include <fairlead/version.h>
#include <stdio.h>
#include <zlib.h>

#include "base/log.h"
#include "http/conn.h"
#include "kube/client.h"
#include "kube/kubeconfig.h"
#include "sim/world.h"

#define TOKEN_FILE "/run/token"
#define PLUGIN     "/bin/get-token"

struct fixture {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_listener *listener;
    struct fl_kube_client *client;
    struct fl_kube_config config;
    bool client_closed;
    /* The server: answers 401 but to this Authorization, nothing at all when silent. */
    char wanted[128];
    bool silent;
    struct fl_http_stream *unanswered;
    unsigned requests;
    char path[256], authority[128], authorization[128], user_agent[64], accept[64];
    char as[64], group[64], accept_encoding[64];
    bool http2;
    /* What it answers besides. */
    struct fl_http_headers extra;
    struct fl_str body; /* empty: "granted" */
    /* The real operations beneath the test's own. */
    struct fl_io_ops ops;
    const struct fl_io_ops *real_ops;
};

struct answer {
    struct fl_kube_request *request;
    unsigned heads, closes;
    int status, code;
    char body[64], detail[FL_ERROR_DETAIL_MAX], retry_after[32];
    size_t bytes;
};

/* --- the server --- */

static void on_stream_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                            uint32_t h2_code) {
    struct fixture *f = arg;
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
    struct fixture *f = arg;
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
    struct fixture *f = arg;
    struct fl_http_conn *conn;
    const struct fl_http_options options = {0};
    assert_int_equal(
        fl_http_conn_take_accepted(f->io, sock, &options, &server_events, f, &conn, NULL), FL_OK);
}

/* --- the caller --- */

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

static void start(struct fixture *f, struct answer *a) {
    *a = (struct answer){0};
    assert_int_equal(fl_kube_client_get(f->client, FL_STR("/api/v1/services?limit=500"),
                                        FL_STR("application/json"), &events, a, &a->request, NULL),
                     FL_OK);
    assert_int_equal(a->heads + a->closes, 0);
}

static struct answer get(struct fixture *f) {
    struct answer a;
    start(f, &a);
    fl_world_run_ms(f->world, 100);
    assert_int_equal(a.closes, 1);
    return a;
}

/* --- the fixture --- */

static void token_file(struct fixture *f, const char *text) {
    assert_int_equal(fl_world_file(f->world, TOKEN_FILE, fl_str_of(text)), FL_OK);
}

static void setup(struct fixture *f) {
    const struct fl_world_options world = {.seed = 5, .chop = true};
    char url[64];
    *f = (struct fixture){0};
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

static int open_client(struct fixture *f, bool http2, struct fl_error *err) {
    const struct fl_kube_client_options options = {.http2_cleartext = http2};
    return fl_kube_client_new(f->io, &f->config, &options, &f->client, err);
}

static void on_client_closed(void *arg) { ((struct fixture *)arg)->client_closed = true; }

static void close_client(struct fixture *f) {
    fl_kube_client_close(f->client, on_client_closed, f);
    assert_false(f->client_closed);
    fl_world_run_ms(f->world, 2000);
    assert_true(f->client_closed);
    f->client = NULL;
}

static void teardown(struct fixture *f) {
    const struct fl_error why = {.code = FL_ECANCELLED};
    if (f->client) close_client(f);
    if (f->unanswered) fl_http_stream_reset(f->unanswered, 8, &why);
    fl_listener_close(f->io, f->listener);
    fl_world_run_ms(f->world, 20000);
    f->io->ops = f->real_ops;
    fl_kube_config_deinit(&f->config);
    fl_world_free(f->world);
}

/* With the token file holding "first", which the server wants. */
static void setup_token_file(struct fixture *f) {
    setup(f);
    f->config.token_file = fl_strdup(TOKEN_FILE);
    token_file(f, "first\n");
    snprintf(f->wanted, sizeof(f->wanted), "Bearer first");
    assert_int_equal(open_client(f, false, NULL), FL_OK);
}

/* --- tests --- */

static void test_what_a_request_carries(void **state) {
    struct fixture f;
    char authority[32];
    FL_UNUSED(state);
    for (int http2 = 0; http2 < 2; http2++) {
        setup(&f);
        assert_int_equal(open_client(&f, http2, NULL), FL_OK);
        struct answer a = get(&f);
        snprintf(authority, sizeof(authority), "[::1]:%u", f.config.port);
        assert_int_equal(a.code, FL_OK);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, "granted");
        assert_string_equal(f.path, "/prefix/api/v1/services?limit=500");
        assert_string_equal(f.authority, authority);
        assert_string_equal(f.authorization, "");
        assert_string_equal(f.user_agent, "fairlead/" FL_VERSION);
        assert_string_equal(f.accept, "application/json");
        assert_int_equal(f.http2, http2);
        teardown(&f);
    }
}

static void test_the_configurations_token_is_sent(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    f.config.token = fl_strdup("t0ken");
    snprintf(f.wanted, sizeof(f.wanted), "Bearer t0ken");
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    teardown(&f);
}

static void test_W15_a_rotated_token_is_retried_unseen(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_token_file(&f);
    assert_int_equal(get(&f).status, 200);
    token_file(&f, "second");
    snprintf(f.wanted, sizeof(f.wanted), "Bearer second");
    struct answer a = get(&f);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.heads, 1);
    assert_int_equal(a.code, FL_OK);
    assert_string_equal(a.body, "granted");
    assert_int_equal(f.requests, 3);
    teardown(&f);
}

/* Both were sent with the old token; the second finds that the first has read the new one. */
static void test_W15_two_requests_at_once(void **state) {
    struct fixture f;
    struct answer a, b;
    FL_UNUSED(state);
    setup_token_file(&f);
    token_file(&f, "second");
    snprintf(f.wanted, sizeof(f.wanted), "Bearer second");
    start(&f, &a);
    start(&f, &b);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(a.status, 200);
    assert_int_equal(b.status, 200);
    assert_int_equal(f.requests, 4);
    teardown(&f);
}

static void test_a_401_with_the_same_token_is_told(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_token_file(&f);
    snprintf(f.wanted, sizeof(f.wanted), "Bearer other");
    struct answer a = get(&f);
    assert_int_equal(a.status, 401);
    assert_int_equal(a.code, FL_OK);
    assert_int_equal(f.requests, 1);
    teardown(&f);
}

static void test_a_second_401_is_told(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_token_file(&f);
    token_file(&f, "second");
    snprintf(f.wanted, sizeof(f.wanted), "Bearer third");
    struct answer a = get(&f);
    assert_int_equal(a.status, 401);
    assert_int_equal(a.heads, 1);
    assert_int_equal(f.requests, 2);
    teardown(&f);
}

static void test_the_token_file_is_read_again_each_minute(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_token_file(&f);
    token_file(&f, "second");
    fl_world_run_ms(f.world, 59000);
    assert_int_equal(get(&f).status, 200);
    assert_string_equal(f.authorization, "Bearer first");
    fl_world_run_ms(f.world, 1000);
    f.wanted[0] = '\0';
    (void)get(&f);
    assert_string_equal(f.authorization, "Bearer second");
    teardown(&f);
}

static void test_a_bad_token_file_leaves_the_last_token(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_token_file(&f);
    token_file(&f, "two words");
    fl_world_run_ms(f.world, 61000);
    assert_int_equal(get(&f).status, 200);
    token_file(&f, "");
    fl_world_run_ms(f.world, 61000);
    assert_int_equal(get(&f).status, 200);
    teardown(&f);
}

static void expect_config_error(struct fixture *f, const char *what) {
    struct fl_error err;
    assert_int_equal(open_client(f, false, &err), FL_ECONFIG);
    assert_null(f->client);
    if (!strstr(err.detail, what)) fail_msg("%s", err.detail);
    assert_null(strstr(err.detail, "s3cret"));
}

static void test_bad_credentials_are_refused(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    f.config.token = fl_strdup("s3cret\r\nx: y");
    expect_config_error(&f,
                        "test: the token is over 64 KiB, or holds blanks or control characters");
    fl_free(f.config.token);
    f.config.token = NULL;
    f.config.token_file = fl_strdup(TOKEN_FILE);
    expect_config_error(&f, TOKEN_FILE);
    token_file(&f, " \n");
    expect_config_error(&f, "holds no token");
    teardown(&f);
}

static void test_a_cancelled_request_says_no_more(void **state) {
    struct fixture f;
    struct answer a;
    FL_UNUSED(state);
    setup_token_file(&f);
    start(&f, &a);
    fl_kube_request_cancel(a.request);
    fl_kube_request_cancel(a.request);
    assert_int_equal(a.closes, 0);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(a.closes, 1);
    assert_int_equal(a.heads, 0);
    assert_int_equal(a.code, FL_ECANCELLED);
    teardown(&f);
}

/* At every moment of a request that is retried. */
static void test_a_cancel_at_any_moment(void **state) {
    FL_UNUSED(state);
    for (unsigned steps = 0; steps < 60; steps++) {
        struct fixture f;
        struct answer a;
        setup_token_file(&f);
        token_file(&f, "second");
        snprintf(f.wanted, sizeof(f.wanted), "Bearer second");
        start(&f, &a);
        for (unsigned i = 0; i < steps && !a.closes; i++) fl_world_step(f.world);
        if (!a.closes) fl_kube_request_cancel(a.request);
        fl_world_run_ms(f.world, 100);
        assert_int_equal(a.closes, 1);
        assert_true(a.code == FL_ECANCELLED || (a.code == FL_OK && a.status == 200));
        teardown(&f);
    }
}

static void test_closing_ends_requests(void **state) {
    struct fixture f;
    struct answer a;
    FL_UNUSED(state);
    setup(&f);
    f.silent = true;
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    start(&f, &a);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(a.closes, 0);
    close_client(&f);
    assert_int_equal(a.closes, 1);
    assert_int_equal(a.code, FL_ESHUTDOWN);
    teardown(&f);
}

static void test_a_server_that_refuses_connections(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    fl_world_fault(f.world, FL_STR("::1"), FL_WORLD_REFUSE);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).code, FL_EREFUSED);
    teardown(&f);
}

/* --- who we are, in other ways --- */

static void test_a_password_is_sent(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    f.config.user = fl_strdup("Aladdin");
    f.config.password = fl_strdup("open sesame");
    snprintf(f.wanted, sizeof(f.wanted), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    teardown(&f);
}

static void test_whom_we_act_as_is_sent(void **state) {
    static const char *const headers[] = {"impersonate-user", "jane", "impersonate-group", "ops"};
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    for (size_t i = 0; i < FL_COUNT(headers); i++)
        assert_int_equal(fl_texts_add(&f.config.impersonate, fl_str_of(headers[i]), FL_STR_NONE),
                         FL_OK);
    assert_int_equal(open_client(&f, true, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    assert_string_equal(f.as, "jane");
    assert_string_equal(f.group, "ops");
    teardown(&f);
}

#define KUBECONFIG_FMT                                                                             \
    "current-context: m\ncontexts: [{name: m, context: {cluster: c, user: u}}]\n"                  \
    "clusters: [{name: c, cluster: {server: 'http://[::1]:%u/prefix/'}}]\n"                        \
    "users: [{name: u, user: {token: %s}}]\n"

static void kubeconfig(struct fixture *f, unsigned port, const char *token) {
    char text[512];
    snprintf(text, sizeof(text), KUBECONFIG_FMT, port, token);
    assert_int_equal(fl_world_file(f->world, "/k/config", fl_str_of(text)), FL_OK);
}

static void setup_kubeconfig(struct fixture *f) {
    const struct fl_kube_config_options options = {.kubeconfig = "/k/config"};
    setup(f);
    fl_kube_config_deinit(&f->config);
    kubeconfig(f, fl_listener_port(f->io, f->listener), "first");
    snprintf(f->wanted, sizeof(f->wanted), "Bearer first");
    assert_int_equal(fl_kube_config_load(f->io, &options, &f->config, NULL), FL_OK);
    assert_int_equal(open_client(f, false, NULL), FL_OK);
}

/* A login wrote another token into the kubeconfig. */
static void test_W15_a_token_in_the_kubeconfig_is_read_again(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_kubeconfig(&f);
    assert_int_equal(get(&f).status, 200);
    kubeconfig(&f, f.config.port, "second");
    snprintf(f.wanted, sizeof(f.wanted), "Bearer second");
    assert_int_equal(get(&f).status, 200);
    assert_int_equal(f.requests, 3);
    teardown(&f);
}

static void test_a_kubeconfig_for_another_server_is_not_followed(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_kubeconfig(&f);
    kubeconfig(&f, 1, "second");
    snprintf(f.wanted, sizeof(f.wanted), "Bearer second");
    assert_int_equal(get(&f).status, 401);
    assert_int_equal(fl_world_file(f.world, "/k/config", FL_STR("a: [")), FL_OK);
    assert_int_equal(get(&f).status, 401);
    assert_int_equal(f.requests, 2);
    teardown(&f);
}

/* --- exec plugins --- */

static void program(struct fixture *f, const char *out, uint32_t delay_ms) {
    const struct fl_world_program does = {.out = fl_str_of(out), .delay_ms = delay_ms};
    assert_int_equal(fl_world_program(f->world, PLUGIN, &does), FL_OK);
}

/* An answer with that token which expires in so many milliseconds, 0: it does not say. */
static void plugin_gives(struct fixture *f, const char *token, int64_t ms) {
    char expires[FL_TIME_TEXT_MAX], answer[512];
    fl_time_format(fl_io_wall_ms(f->io) + ms, expires);
    snprintf(answer, sizeof(answer),
             "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
             "\"status\":{\"token\":\"%s\",\"expirationTimestamp\":%s%s%s}}",
             token, ms ? "\"" : "nul", ms ? expires : "l", ms ? "\"" : "");
    program(f, answer, 20);
}

static size_t plugin_runs(const struct fixture *f) {
    return fl_world_peek_run(f->world, PLUGIN).times;
}

static void setup_plugin(struct fixture *f) {
    setup(f);
    assert_int_equal(fl_texts_add(&f->config.exec.argv, FL_STR(PLUGIN), FL_STR_NONE), FL_OK);
    f->config.exec.api_version = fl_strdup("client.authentication.k8s.io/v1");
    plugin_gives(f, "first", 0);
    snprintf(f->wanted, sizeof(f->wanted), "Bearer first");
}

static void test_requests_wait_for_the_plugin(void **state) {
    struct fixture f;
    struct answer a, b;
    FL_UNUSED(state);
    setup_plugin(&f);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    start(&f, &a);
    start(&f, &b);
    fl_world_run_ms(f.world, 10);
    assert_int_equal(f.requests, 0);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(a.status, 200);
    assert_int_equal(b.status, 200);
    assert_int_equal(plugin_runs(&f), 1);
    assert_int_equal(get(&f).status, 200);
    assert_int_equal(plugin_runs(&f), 1);
    teardown(&f);
}

static void test_what_a_plugin_is_told(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_plugin(&f);
    assert_int_equal(fl_texts_add(&f.config.exec.argv, FL_STR("--now"), FL_STR_NONE), FL_OK);
    assert_int_equal(fl_texts_add(&f.config.exec.env, FL_STR("A=b"), FL_STR_NONE), FL_OK);
    f.config.exec.wants_cluster = true;
    f.config.exec.cluster_config = fl_strdup("{\"audience\":7}");
    f.config.server_name = fl_strdup("kube");
    f.config.proxy_url = fl_strdup("http://p");
    assert_int_equal(fl_buf_append(&f.config.ca_pem, FL_STR("CA")), FL_OK);
    fl_free(f.config.server);
    f.config.server = fl_strdup("https://api:6443");
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    struct fl_world_run run = fl_world_peek_run(f.world, PLUGIN);
    assert_string_equal(run.argv[1], "--now");
    assert_null(run.argv[2]);
    assert_string_equal(run.env[0], "A=b");
    assert_string_equal(run.env[1],
                        "KUBERNETES_EXEC_INFO={\"kind\":\"ExecCredential\","
                        "\"apiVersion\":\"client.authentication.k8s.io/v1\",\"spec\":{\"cluster\":{"
                        "\"server\":\"https://api:6443\",\"tls-server-name\":\"kube\","
                        "\"certificate-authority-data\":\"Q0E=\",\"proxy-url\":\"http://p\","
                        "\"config\":{\"audience\":7}},\"interactive\":false}}");
    assert_null(run.env[2]);
    teardown(&f);
}

static void test_a_plugin_is_told_no_more_than_it_asks_for(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_plugin(&f);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    assert_string_equal(fl_world_peek_run(f.world, PLUGIN).env[0],
                        "KUBERNETES_EXEC_INFO={\"kind\":\"ExecCredential\","
                        "\"apiVersion\":\"client.authentication.k8s.io/v1\","
                        "\"spec\":{\"interactive\":false}}");
    teardown(&f);
}

static void test_a_plugin_runs_again_when_its_token_expires(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_plugin(&f);
    plugin_gives(&f, "first", 60000);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    plugin_gives(&f, "second", 600000);
    fl_world_run_ms(f.world, 49000);
    assert_int_equal(get(&f).status, 200);
    assert_int_equal(plugin_runs(&f), 1);
    fl_world_run_ms(f.world, 1000); /* ten seconds before it does */
    snprintf(f.wanted, sizeof(f.wanted), "Bearer second");
    assert_int_equal(get(&f).status, 200);
    assert_int_equal(plugin_runs(&f), 2);
    assert_int_equal(f.requests, 3);
    teardown(&f);
}

/* A clock that is wrong must not make the plugin run in a circle. */
static void test_a_token_that_has_expired_already_is_used(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_plugin(&f);
    plugin_gives(&f, "first", -3600000);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    assert_int_equal(plugin_runs(&f), 1);
    fl_world_run_ms(f.world, 1000);
    assert_int_equal(get(&f).status, 200);
    assert_int_equal(plugin_runs(&f), 2);
    teardown(&f);
}

static void test_W15_a_plugin_runs_again_on_401(void **state) {
    struct fixture f;
    struct answer a, b;
    FL_UNUSED(state);
    setup_plugin(&f);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    plugin_gives(&f, "second", 0);
    snprintf(f.wanted, sizeof(f.wanted), "Bearer second");
    start(&f, &a);
    start(&f, &b);
    fl_world_run_ms(f.world, 200);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.heads, 1);
    assert_string_equal(a.body, "granted");
    assert_int_equal(b.status, 200);
    assert_int_equal(plugin_runs(&f), 2);
    assert_int_equal(f.requests, 5);
    teardown(&f);
}

static void test_a_plugin_runs_once_for_each_refusal(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_plugin(&f);
    snprintf(f.wanted, sizeof(f.wanted), "Bearer other");
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    struct answer a = get(&f);
    assert_int_equal(a.status, 401);
    assert_int_equal(a.heads, 1);
    assert_int_equal(a.code, FL_OK);
    assert_int_equal(plugin_runs(&f), 2);
    assert_int_equal(f.requests, 2);
    teardown(&f);
}

/* A server that takes nothing: however much it is asked, the plugin is not run all the time. */
static void test_W15_a_plugin_outlives_a_storm_of_refusals(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_plugin(&f);
    snprintf(f.wanted, sizeof(f.wanted), "Bearer other");
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    for (int i = 0; i < 6000; i++) assert_int_equal(get(&f).status, 401); /* ten minutes */
    assert_in_range(plugin_runs(&f), 10, 30);
    plugin_gives(&f, "other", 0);
    fl_world_run_ms(f.world, 60000);
    assert_int_equal(get(&f).status, 200);
    teardown(&f);
}

static void test_what_is_configured_goes_before_the_plugin(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_plugin(&f);
    f.config.token = fl_strdup("first");
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    assert_int_equal(plugin_runs(&f), 0);
    teardown(&f);
}

static void test_a_failing_plugin_says_why(void **state) {
    static const struct {
        struct fl_world_program does;
        int code;
        const char *detail;
    } rows[] = {
        {{.exit_code = 3, .err = FL_STR("usage\n\033[31mnot logged in\n"), .out = FL_STR("s3cret")},
         FL_ECONFIG,
         "exec plugin " PLUGIN " ended with 3: \\x1b[31mnot logged in"},
        {{.exit_code = -1, .out = FL_STR("s3cret")},
         FL_ECONFIG,
         "exec plugin " PLUGIN " was ended by a signal"},
        {{.out = FL_STR("s3cret")}, FL_ECONFIG, "what it printed is not JSON"},
        {{.out = FL_STR("{\"token\":\"s3cret\"}")}, FL_ECONFIG, "printed no ExecCredential"},
        {{.hangs = true}, FL_ETIMEOUT, "exec plugin " PLUGIN " did not end within 60 s"},
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fixture f;
        struct answer a;
        setup_plugin(&f);
        assert_int_equal(fl_world_program(f.world, PLUGIN, &rows[i].does), FL_OK);
        assert_int_equal(open_client(&f, false, NULL), FL_OK);
        start(&f, &a);
        fl_world_run_ms(f.world, 61000);
        assert_int_equal(a.closes, 1);
        assert_int_equal(a.heads, 0);
        assert_int_equal(a.code, rows[i].code);
        if (!strstr(a.detail, rows[i].detail)) fail_msg("%s", a.detail);
        assert_null(strstr(a.detail, "s3cret"));
        assert_int_equal(f.requests, 0);
        teardown(&f);
    }
}

static void test_a_missing_plugin_comes_with_its_hint(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_plugin(&f);
    fl_texts_deinit(&f.config.exec.argv);
    assert_int_equal(fl_texts_add(&f.config.exec.argv, FL_STR("nowhere"), FL_STR_NONE), FL_OK);
    f.config.exec.install_hint = fl_strdup("apt install it\nnow");
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    struct answer a = get(&f);
    assert_int_equal(a.code, FL_ECONFIG);
    assert_string_equal(a.detail, "exec plugin cannot be run: nowhere: no such file or directory: "
                                  "apt install it\\nnow");
    teardown(&f);
}

/* Whoever asks: one run, then a pause, then the next. */
static void test_a_failing_plugin_is_run_after_a_backoff(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_plugin(&f);
    program(&f, "", 0);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    for (int i = 0; i < 5; i++) assert_int_equal(get(&f).code, FL_ECONFIG);
    assert_int_equal(plugin_runs(&f), 1);
    plugin_gives(&f, "first", 0);
    fl_world_run_ms(f.world, 1600);
    assert_int_equal(get(&f).status, 200);
    assert_int_equal(plugin_runs(&f), 2);
    teardown(&f);
}

/* Late is better than never: the old token serves until it has expired. */
static void test_a_plugin_that_fails_early(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_plugin(&f);
    plugin_gives(&f, "first", 60000);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    program(&f, "", 0);
    fl_world_run_ms(f.world, 55000);
    assert_int_equal(get(&f).status, 200);
    fl_world_run_ms(f.world, 5000);
    assert_int_equal(get(&f).code, FL_ECONFIG);
    teardown(&f);
}

static void test_a_waiting_request_is_cancelled(void **state) {
    struct fixture f;
    struct answer a;
    FL_UNUSED(state);
    setup_plugin(&f);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    start(&f, &a);
    fl_world_run_ms(f.world, 5);
    fl_kube_request_cancel(a.request);
    assert_int_equal(a.closes, 0);
    fl_world_run_ms(f.world, 1);
    assert_int_equal(a.closes, 1);
    assert_int_equal(a.code, FL_ECANCELLED);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(f.requests, 0);
    teardown(&f);
}

static void test_closing_while_a_plugin_runs(void **state) {
    const struct fl_world_program hangs = {.hangs = true};
    struct fixture f;
    struct answer a;
    FL_UNUSED(state);
    setup_plugin(&f);
    assert_int_equal(fl_world_program(f.world, PLUGIN, &hangs), FL_OK);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    start(&f, &a);
    fl_world_run_ms(f.world, 5);
    close_client(&f);
    assert_int_equal(a.closes, 1);
    assert_int_equal(a.code, FL_ESHUTDOWN);
    teardown(&f);
}

static void test_too_many_waiting_requests_are_refused(void **state) {
    const struct fl_world_program hangs = {.hangs = true};
    static struct answer answers[1001];
    struct fixture f;
    int rc = FL_OK;
    size_t taken = 0;
    FL_UNUSED(state);
    setup_plugin(&f);
    memset(answers, 0, sizeof(answers));
    assert_int_equal(fl_world_program(f.world, PLUGIN, &hangs), FL_OK);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    for (; rc == FL_OK && taken < FL_COUNT(answers); taken += rc == FL_OK)
        rc = fl_kube_client_get(f.client, FL_STR("/x"), FL_STR("a/b"), &events, &answers[taken],
                                &answers[taken].request, NULL);
    assert_int_equal(rc, FL_EFULL);
    assert_int_equal(taken, 1000);
    assert_int_equal(fl_metric_value(fl_metrics_get(f.io->metrics, FL_METRIC_COUNTER,
                                                    "fairlead_kube_client_limited_total", "", "")),
                     1);
    teardown(&f);
    for (size_t i = 0; i < taken; i++) assert_int_equal(answers[i].closes, 1);
}

/* --- certificates: a world has no TLS, so what would be made and dialled is written down --- */

struct fl_tls {
    char cert[64], ca[64];
    bool dropped;
};

static struct {
    struct fl_tls made[16];
    size_t count;
    const struct fl_tls *dialled[16];
    size_t dials;
    struct fl_proxy proxy;
    char proxy_host[64], proxy_password[64];
    const char *refused_ca; /* a dial that trusts this one fails in the handshake */
    struct fl_task refusal;
    const struct fl_sock_events *refusal_events;
    void *refusal_arg;
} tls;

static int tls_new(struct fl_io *io, const struct fl_tls_config *config, struct fl_tls **out,
                   struct fl_error *err) {
    FL_UNUSED(io);
    if (fl_str_eq(config->cert_pem, FL_STR("BAD")))
        return fl_fail(err, FL_ECONFIG, "the key does not fit the certificate");
    assert_true(tls.count < FL_COUNT(tls.made));
    *out = &tls.made[tls.count++];
    **out = (struct fl_tls){.dropped = false};
    fl_str_copy((*out)->cert, sizeof((*out)->cert), config->cert_pem);
    fl_str_copy((*out)->ca, sizeof((*out)->ca), config->ca_pem);
    return FL_OK;
}

static void tls_unref(struct fl_tls *one) { one->dropped = true; }

static void refuse(struct fl_task *task) {
    struct fl_error why;
    FL_UNUSED(task);
    fl_fail(&why, FL_ECERT, "unknown authority");
    tls.refusal_events->on_close(tls.refusal_arg, &why);
}

static int dial(struct fl_io *io, const struct fl_dial *how, const struct fl_sock_events *events_,
                void *arg, struct fl_sock **out, struct fl_error *err) {
    struct fl_dial plain = *how;
    assert_true(tls.dials < FL_COUNT(tls.dialled));
    tls.dialled[tls.dials++] = how->tls;
    if (how->tls) assert_false(how->tls->dropped);
    if (how->proxy) {
        tls.proxy = *how->proxy;
        fl_str_copy(tls.proxy_host, sizeof(tls.proxy_host), how->proxy->host);
        fl_str_copy(tls.proxy_password, sizeof(tls.proxy_password), how->proxy->password);
    }
    if (how->tls && tls.refused_ca && strcmp(how->tls->ca, tls.refused_ca) == 0) {
        tls.refusal_events = events_;
        tls.refusal_arg = arg;
        fl_task_init(&tls.refusal, refuse);
        fl_io_defer(io, &tls.refusal);
        *out = (struct fl_sock *)&tls;
        return FL_OK;
    }
    plain.tls = NULL;
    plain.proxy = NULL;
    return FL_CONTAINER(io->ops, struct fixture, ops)
        ->real_ops->dial(io, &plain, events_, arg, out, err);
}

static void pem_file(struct fixture *f, const char *path, const char *text) {
    assert_int_equal(fl_world_file(f->world, path, fl_str_of(text)), FL_OK);
}

/* https with certificate, key and authority in files. */
static void setup_tls(struct fixture *f) {
    setup(f);
    memset(&tls, 0, sizeof(tls));
    f->ops = *f->real_ops;
    f->ops.tls_new = tls_new;
    f->ops.tls_unref = tls_unref;
    f->ops.dial = dial;
    f->io->ops = &f->ops;
    f->config.tls = true;
    f->config.ca_file = fl_strdup("/pki/ca");
    f->config.cert_file = fl_strdup("/pki/cert");
    f->config.key_file = fl_strdup("/pki/key");
    pem_file(f, "/pki/ca", "CA1");
    pem_file(f, "/pki/cert", "CERT1");
    pem_file(f, "/pki/key", "KEY1");
    assert_int_equal(fl_kube_config_read_pem(f->io, &f->config, NULL), FL_OK);
}

static const struct fl_tls *last_dialled(void) { return tls.dialled[tls.dials - 1]; }

static void assert_all_dropped(void) {
    for (size_t i = 0; i < tls.count; i++) assert_true(tls.made[i].dropped);
}

static void test_certificates_are_reloaded_when_changed(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_tls(&f);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    assert_string_equal(last_dialled()->cert, "CERT1");
    pem_file(&f, "/pki/cert", "CERT2");
    pem_file(&f, "/pki/key", "KEY2");
    assert_int_equal(get(&f).status, 200);
    assert_int_equal(tls.dials, 1); /* kept alive */
    fl_world_run_ms(f.world, 60000);
    assert_int_equal(get(&f).status,
                     200); /* not on the connection that was made with the old one */
    assert_int_equal(tls.dials, 2);
    assert_string_equal(last_dialled()->cert, "CERT2");
    fl_world_run_ms(f.world, 120000);
    assert_int_equal(tls.count, 2); /* nothing has changed since */
    teardown(&f);
    assert_all_dropped();
}

static void test_an_authority_is_reloaded_when_changed(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_tls(&f);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    pem_file(&f, "/pki/ca", "CA2");
    fl_world_run_ms(f.world, 61000);
    assert_int_equal(get(&f).status, 200); /* the old connection is as good as it was */
    assert_int_equal(tls.dials, 1);
    fl_world_cut(f.world, FL_STR("::1"));
    fl_world_run_ms(f.world, 100);
    assert_int_equal(get(&f).status, 200);
    assert_string_equal(last_dialled()->ca, "CA2");
    teardown(&f);
    assert_all_dropped();
}

/* Serving certificate and authority were replaced together: the handshake that fails looks. */
static void test_a_failed_handshake_looks_at_the_authority(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_tls(&f);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    tls.refused_ca = "CA1";
    struct answer a = get(&f);
    assert_int_equal(a.code, FL_ECERT);
    assert_int_equal(tls.dials, 1);
    pem_file(&f, "/pki/ca", "CA2");
    a = get(&f);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.closes, 1);
    assert_int_equal(tls.dials, 3);
    teardown(&f);
    assert_all_dropped();
}

static void test_W15_a_certificate_is_read_again_on_401(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_tls(&f);
    f.config.token_file = fl_strdup(TOKEN_FILE);
    token_file(&f, "first");
    snprintf(f.wanted, sizeof(f.wanted), "Bearer second");
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    token_file(&f, "second");
    pem_file(&f, "/pki/cert", "CERT2");
    struct answer a = get(&f);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.heads, 1);
    assert_string_equal(last_dialled()->cert, "CERT2");
    teardown(&f);
    assert_all_dropped();
}

/* The certificate was replaced before its key, or there is none for a moment. */
static void test_bad_certificates_leave_the_last_ones(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_tls(&f);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    pem_file(&f, "/pki/cert", "BAD");
    fl_world_run_ms(f.world, 61000);
    assert_int_equal(get(&f).status, 200);
    assert_string_equal(last_dialled()->cert, "CERT1");
    pem_file(&f, "/pki/cert", "");
    fl_world_run_ms(f.world, 61000);
    assert_int_equal(get(&f).status, 200);
    assert_int_equal(tls.count, 1);
    pem_file(&f, "/pki/cert", "CERT3");
    fl_world_run_ms(f.world, 61000);
    assert_int_equal(get(&f).status, 200);
    assert_string_equal(last_dialled()->cert, "CERT3");
    teardown(&f);
    assert_all_dropped();
}

static void plugin_gives_cert(struct fixture *f, const char *cert, uint32_t delay_ms) {
    static const char answer[] =
        "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
        "\"status\":{\"clientCertificateData\":\"%s\",\"clientKeyData\":\"KEY\"}}";
    char text[256];
    snprintf(text, sizeof(text), answer, cert);
    program(f, text, delay_ms);
}

static void setup_plugin_tls(struct fixture *f) {
    setup_tls(f);
    fl_free(f->config.cert_file);
    fl_free(f->config.key_file);
    f->config.cert_file = f->config.key_file = NULL;
    fl_buf_deinit(&f->config.cert_pem);
    fl_buf_deinit(&f->config.key_pem);
    assert_int_equal(fl_texts_add(&f->config.exec.argv, FL_STR(PLUGIN), FL_STR_NONE), FL_OK);
    f->config.exec.api_version = fl_strdup("client.authentication.k8s.io/v1");
    plugin_gives_cert(f, "GIVEN1", 0);
    assert_int_equal(open_client(f, false, NULL), FL_OK);
}

static void test_a_plugin_gives_a_certificate(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_plugin_tls(&f);
    assert_int_equal(get(&f).status, 200);
    assert_string_equal(last_dialled()->cert, "GIVEN1");
    assert_string_equal(last_dialled()->ca, "CA1");
    assert_int_equal(tls.dials, 1);
    plugin_gives_cert(&f, "GIVEN2", 0);
    snprintf(f.wanted, sizeof(f.wanted), "Bearer x"); /* refused: the plugin runs again */
    assert_int_equal(get(&f).status, 401);
    assert_string_equal(last_dialled()->cert, "GIVEN2");
    assert_int_equal(tls.dials, 2);
    teardown(&f);
    assert_all_dropped();
}

static struct fl_sock *held[8];
static size_t held_count;

static void hold_close(struct fl_sock *sock) { held[held_count++] = sock; }

/* Its connections take their time to close. */
static void test_a_plugin_gives_a_certificate_while_closing(void **state) {
    struct fixture f;
    struct answer a, b;
    FL_UNUSED(state);
    setup_plugin_tls(&f);
    start(&f, &b); /* on a connection of its own, which is kept */
    assert_int_equal(get(&f).status, 200);
    plugin_gives_cert(&f, "GIVEN2", 20);
    snprintf(f.wanted, sizeof(f.wanted), "Bearer x");
    start(&f, &a);
    while (plugin_runs(&f) < 2) assert_true(fl_world_step(f.world));
    f.ops.sock_close = hold_close;
    fl_kube_client_close(f.client, on_client_closed, &f);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(a.closes, 1);
    assert_false(f.client_closed);
    f.ops.sock_close = f.real_ops->sock_close;
    while (held_count) f.ops.sock_close(held[--held_count]);
    fl_world_run_ms(f.world, 100);
    assert_true(f.client_closed);
    f.client = NULL;
    teardown(&f);
    assert_all_dropped();
}

static void test_a_proxy_is_dialled(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_tls(&f);
    f.config.proxy = (struct fl_kube_proxy){.host = fl_strdup("proxy"),
                                            .port = 3128,
                                            .kind = FL_PROXY_HTTP,
                                            .tls = true,
                                            .user = fl_strdup("jane"),
                                            .password = fl_strdup("s3cret")};
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    assert_string_equal(tls.proxy_host, "proxy");
    assert_string_equal(tls.proxy_password, "s3cret");
    assert_int_equal(tls.proxy.port, 3128);
    assert_string_equal(tls.proxy.tls->ca, "CA1"); /* as Go does */
    assert_string_equal(tls.proxy.tls->cert, "");
    teardown(&f);
    assert_all_dropped();
}

static char logged[8192];

static void keep_log(void *arg, const char *line, size_t len) {
    size_t used = strlen(logged);
    FL_UNUSED(arg);
    fl_str_copy(logged + used, sizeof(logged) - used, fl_str_n(line, len));
}

static void test_credentials_in_the_clear_are_warned_of(void **state) {
    static const struct {
        const char *url, *token;
        bool warned;
    } rows[] = {{"http://10.0.0.1", "s3cret", true},
                {"http://h", "s3cret", true},
                {"http://h", NULL, false},
                {"http://localhost", "s3cret", false},
                {"http://127.1.2.3", "s3cret", false},
                {"http://[::1]:8", "s3cret", false}};
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fixture f;
        setup(&f);
        logged[0] = '\0';
        fl_log_configure(&(struct fl_log_options){.level = FL_LOG_DEBUG, .write = keep_log});
        assert_int_equal(fl_server_url_parse(fl_str_of(rows[i].url), &f.config, NULL), FL_OK);
        f.config.token = rows[i].token ? fl_strdup(rows[i].token) : NULL;
        assert_int_equal(open_client(&f, false, NULL), FL_OK);
        assert_int_equal(strstr(logged, "anybody on the way") != NULL, rows[i].warned);
        teardown(&f);
        assert_null(strstr(logged, "s3cret"));
        fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    }
}

/* And nothing secret is ever logged. */
static void test_what_is_logged(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_tls(&f);
    logged[0] = '\0';
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_DEBUG, .write = keep_log});
    f.config.insecure_skip_verify = true;
    f.config.token = fl_strdup("s3cret");
    f.config.proxy = (struct fl_kube_proxy){
        .host = fl_strdup("proxy"), .user = fl_strdup("jane"), .password = fl_strdup("s3cret")};
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_non_null(strstr(logged, "insecure-skip-tls-verify: anybody on the way"));
    snprintf(f.wanted, sizeof(f.wanted), "Bearer other");
    assert_int_equal(get(&f).status, 401);
    pem_file(&f, "/pki/key", "s3cret");
    fl_world_run_ms(f.world, 61000);
    assert_non_null(strstr(logged, "certificates have changed"));
    pem_file(&f, "/pki/cert", "BAD");
    fl_world_run_ms(f.world, 61000);
    assert_non_null(strstr(logged, "certificates cannot be used"));
    teardown(&f);
    assert_null(strstr(logged, "s3cret"));
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
}

/* --- bodies and heads --- */

static size_t gzip(const char *text, size_t n, char *out, size_t size) {
    z_stream z = {.zalloc = NULL};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)text;
    z.avail_in = (uInt)n;
    z.next_out = (unsigned char *)out;
    z.avail_out = (uInt)size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t used = z.total_out;
    deflateEnd(&z);
    return used;
}

static const struct fl_http_header packed_header = {FL_STR("content-encoding"), FL_STR("gzip")};

static void test_a_packed_list_is_unpacked(void **state) {
    static char large[300000], packed[2000];
    struct fixture f;
    FL_UNUSED(state);
    for (int http2 = 0; http2 < 2; http2++) {
        setup(&f);
        memset(large, 'x', sizeof(large));
        f.body = fl_str_n(packed, gzip(large, sizeof(large), packed, sizeof(packed)));
        f.extra = (struct fl_http_headers){&packed_header, 1};
        f.config.compression = FL_KUBE_COMPRESSION_ON;
        assert_int_equal(open_client(&f, http2, NULL), FL_OK);
        struct answer a = get(&f);
        assert_int_equal(a.code, FL_OK);
        assert_int_equal(a.bytes, sizeof(large));
        assert_string_equal(f.accept_encoding, "gzip");
        f.body.n--; /* the end is missing */
        assert_int_equal(get(&f).code, FL_EPROTO);
        f.body = FL_STR("not packed at all");
        a = get(&f);
        assert_int_equal(a.code, FL_EPROTO);
        assert_int_equal(a.closes, 1);
        teardown(&f);
    }
}

static void test_nothing_is_packed_unless_asked_for(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(get(&f).status, 200);
    assert_string_equal(f.accept_encoding, "");
    f.extra = (struct fl_http_headers){&packed_header, 1};
    struct answer a = get(&f);
    assert_int_equal(a.code, FL_EPROTO);
    assert_int_equal(a.heads, 0);
    teardown(&f);
}

static void test_watches_are_not_packed(void **state) {
    struct fixture f;
    struct answer a = {0};
    FL_UNUSED(state);
    setup(&f);
    f.config.compression = FL_KUBE_COMPRESSION_ON;
    assert_int_equal(open_client(&f, false, NULL), FL_OK);
    assert_int_equal(fl_kube_client_get(f.client, FL_STR("/x?watch=1"), FL_STR("a/b"), &events, &a,
                                        &a.request, NULL),
                     FL_OK);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(a.status, 200);
    assert_string_equal(f.accept_encoding, "");
    teardown(&f);
}

static void test_retry_after_comes_in_seconds(void **state) {
    static const struct {
        const char *retry_after, *date, *expected;
    } rows[] = {
        {"7", "", "7"},
        {"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:07 GMT", "30"},
        {"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:37 GMT", "0"},
        {"Sun, 06 Nov 1994 08:49:37 GMT", "", "0"},
        {"soon", "", "soon"},
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        const struct fl_http_header headers[] = {
            {FL_STR("retry-after"), fl_str_of(rows[i].retry_after)},
            {FL_STR("date"), fl_str_of(rows[i].date)},
        };
        struct fixture f;
        setup(&f);
        f.extra = (struct fl_http_headers){headers, FL_COUNT(headers)};
        assert_int_equal(open_client(&f, false, NULL), FL_OK);
        struct answer a = get(&f);
        assert_string_equal(a.retry_after, rows[i].expected);
        teardown(&f);
    }
}

static void test_each_failed_allocation_with_a_plugin(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_plugin(&f);
    fl_world_fault(f.world, FL_STR("::1"), FL_WORLD_REFUSE); /* the server is not what is tested */
    FL_TEST_EACH_FAILURE(n) {
        struct answer a = {0};
        int rc = open_client(&f, false, NULL);
        if (rc == FL_OK) {
            rc = fl_kube_client_get(f.client, FL_STR("/x"), FL_STR("a/b"), &events, &a, &a.request,
                                    NULL);
            fl_world_run_ms(f.world, 100);
            f.client_closed = false;
            close_client(&f);
            assert_int_equal(a.closes, rc == FL_OK);
        }
        assert_true(rc == FL_OK || rc == FL_ENOMEM);
    }
    teardown(&f);
}

static void test_each_failed_allocation(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    f.config.token_file = fl_strdup(TOKEN_FILE);
    token_file(&f, "first");
    FL_TEST_EACH_FAILURE(n) {
        struct answer a = {0};
        int rc = open_client(&f, false, NULL);
        if (rc == FL_OK) {
            rc = fl_kube_client_get(f.client, FL_STR("/x"), FL_STR("a/b"), &events, &a, &a.request,
                                    NULL);
            f.client_closed = false;
            close_client(&f);
            assert_int_equal(a.closes, rc == FL_OK);
        }
        assert_true(rc == FL_OK || rc == FL_ENOMEM);
    }
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_request_carries),
        cmocka_unit_test(test_the_configurations_token_is_sent),
        cmocka_unit_test(test_W15_a_rotated_token_is_retried_unseen),
        cmocka_unit_test(test_W15_two_requests_at_once),
        cmocka_unit_test(test_a_401_with_the_same_token_is_told),
        cmocka_unit_test(test_a_second_401_is_told),
        cmocka_unit_test(test_the_token_file_is_read_again_each_minute),
        cmocka_unit_test(test_a_bad_token_file_leaves_the_last_token),
        cmocka_unit_test(test_bad_credentials_are_refused),
        cmocka_unit_test(test_a_cancelled_request_says_no_more),
        cmocka_unit_test(test_a_cancel_at_any_moment),
        cmocka_unit_test(test_closing_ends_requests),
        cmocka_unit_test(test_a_server_that_refuses_connections),
        cmocka_unit_test(test_a_password_is_sent),
        cmocka_unit_test(test_whom_we_act_as_is_sent),
        cmocka_unit_test(test_W15_a_token_in_the_kubeconfig_is_read_again),
        cmocka_unit_test(test_a_kubeconfig_for_another_server_is_not_followed),
        cmocka_unit_test(test_requests_wait_for_the_plugin),
        cmocka_unit_test(test_what_a_plugin_is_told),
        cmocka_unit_test(test_a_plugin_is_told_no_more_than_it_asks_for),
        cmocka_unit_test(test_a_plugin_runs_again_when_its_token_expires),
        cmocka_unit_test(test_a_token_that_has_expired_already_is_used),
        cmocka_unit_test(test_W15_a_plugin_runs_again_on_401),
        cmocka_unit_test(test_a_plugin_runs_once_for_each_refusal),
        cmocka_unit_test(test_W15_a_plugin_outlives_a_storm_of_refusals),
        cmocka_unit_test(test_what_is_configured_goes_before_the_plugin),
        cmocka_unit_test(test_a_failing_plugin_says_why),
        cmocka_unit_test(test_a_missing_plugin_comes_with_its_hint),
        cmocka_unit_test(test_a_failing_plugin_is_run_after_a_backoff),
        cmocka_unit_test(test_a_plugin_that_fails_early),
        cmocka_unit_test(test_a_waiting_request_is_cancelled),
        cmocka_unit_test(test_closing_while_a_plugin_runs),
        cmocka_unit_test(test_too_many_waiting_requests_are_refused),
        cmocka_unit_test(test_certificates_are_reloaded_when_changed),
        cmocka_unit_test(test_an_authority_is_reloaded_when_changed),
        cmocka_unit_test(test_a_failed_handshake_looks_at_the_authority),
        cmocka_unit_test(test_W15_a_certificate_is_read_again_on_401),
        cmocka_unit_test(test_bad_certificates_leave_the_last_ones),
        cmocka_unit_test(test_a_plugin_gives_a_certificate),
        cmocka_unit_test(test_a_plugin_gives_a_certificate_while_closing),
        cmocka_unit_test(test_a_proxy_is_dialled),
        cmocka_unit_test(test_credentials_in_the_clear_are_warned_of),
        cmocka_unit_test(test_what_is_logged),
        cmocka_unit_test(test_a_packed_list_is_unpacked),
        cmocka_unit_test(test_nothing_is_packed_unless_asked_for),
        cmocka_unit_test(test_watches_are_not_packed),
        cmocka_unit_test(test_retry_after_comes_in_seconds),
        cmocka_unit_test(test_each_failed_allocation_with_a_plugin),
        cmocka_unit_test(test_each_failed_allocation),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
