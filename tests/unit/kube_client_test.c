/* kube_client_test.c - credentials and requests of kube/client.h, against a small HTTP server in a
 * simulated world. */
#include "support/alloc.h"

#include <fairlead/log.h>
#include <fairlead/version.h>
#include <stdio.h>

#include "http/conn.h"
#include "kube/client.h"
#include "kube/kubeconfig.h"
#include "sim/world.h"

#define TOKEN_FILE "/run/token"

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
    bool http2;
};

struct answer {
    struct fl_kube_request *request;
    unsigned heads, closes;
    int status, code;
    char body[64];
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
    fl_http_stream_attach(stream, &server_stream_events, f);
    if (f->silent) {
        f->unanswered = stream;
        return;
    }
    bool granted = strcmp(f->authorization, f->wanted) == 0;
    const struct fl_http_response response = {.status = granted ? 200 : 401};
    assert_int_equal(fl_http_stream_respond(stream, &response, false), FL_OK);
    assert_int_equal(
        fl_http_stream_write(stream, granted ? FL_STR("granted") : FL_STR("refused"), true), FL_OK);
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
}

static void on_data(void *arg, struct fl_str bytes) {
    struct answer *a = arg;
    size_t used = strlen(a->body);
    fl_str_copy(a->body + used, sizeof(a->body) - used, bytes);
}

static void on_close(void *arg, const struct fl_error *why) {
    struct answer *a = arg;
    a->closes++;
    a->code = why->code;
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
    expect_config_error(&f, "test: the token holds blanks or control characters");
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
        cmocka_unit_test(test_each_failed_allocation),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
