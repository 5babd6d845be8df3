/* kube_credentials_test.c - credentials of kube/client.h: tokens, passwords, and where they are
 * read from. */
#include "support/client_bed.h"

#include "kube/kubeconfig.h"

/* --- tests --- */

static void test_the_configurations_token_is_sent(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup(&f);
    f.config.token = fl_strdup("t0ken");
    want(&f, "Bearer t0ken");
    open_client(&f, false);
    expect_granted(&f);
    teardown(&f);
}

static void test_W15_a_rotated_token_is_retried_unseen(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_token_file(&f);
    expect_granted(&f);
    token_file(&f, "second");
    want(&f, "Bearer second");
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
    struct client_bed f;
    struct answer a, b;
    FL_UNUSED(state);
    setup_token_file(&f);
    token_file(&f, "second");
    want(&f, "Bearer second");
    start(&f, &a);
    start(&f, &b);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(a.status, 200);
    assert_int_equal(b.status, 200);
    assert_int_equal(f.requests, 4);
    teardown(&f);
}

static void test_a_401_with_the_same_token_is_told(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_token_file(&f);
    want(&f, "Bearer other");
    struct answer a = get(&f);
    assert_int_equal(a.status, 401);
    assert_int_equal(a.code, FL_OK);
    assert_int_equal(f.requests, 1);
    teardown(&f);
}

static void test_a_second_401_is_told(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_token_file(&f);
    token_file(&f, "second");
    want(&f, "Bearer third");
    struct answer a = get(&f);
    assert_int_equal(a.status, 401);
    assert_int_equal(a.heads, 1);
    assert_int_equal(f.requests, 2);
    teardown(&f);
}

static void test_the_token_file_is_read_again_each_minute(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_token_file(&f);
    token_file(&f, "second");
    fl_world_run_ms(f.world, 59000);
    expect_granted(&f);
    assert_string_equal(f.authorization, "Bearer first");
    fl_world_run_ms(f.world, 1000);
    f.wanted[0] = '\0';
    (void)get(&f);
    assert_string_equal(f.authorization, "Bearer second");
    teardown(&f);
}

static void test_a_bad_token_file_leaves_the_last_token(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_token_file(&f);
    token_file(&f, "two words");
    fl_world_run_ms(f.world, 61000);
    expect_granted(&f);
    token_file(&f, "");
    fl_world_run_ms(f.world, 61000);
    expect_granted(&f);
    teardown(&f);
}

static void expect_config_error(struct client_bed *f, const char *what) {
    struct fl_error err;
    assert_int_equal(try_open(f, false, &err), FL_ECONFIG);
    assert_null(f->client);
    if (!strstr(err.detail, what)) fail_msg("%s", err.detail);
    assert_null(strstr(err.detail, "s3cret"));
}

static void test_bad_credentials_are_refused(void **state) {
    struct client_bed f;
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

/* --- who we are, in other ways --- */

static void test_a_password_is_sent(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup(&f);
    f.config.user = fl_strdup("Aladdin");
    f.config.password = fl_strdup("open sesame");
    want(&f, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    open_client(&f, false);
    expect_granted(&f);
    teardown(&f);
}

static void test_whom_we_act_as_is_sent(void **state) {
    static const char *const headers[] = {"impersonate-user", "jane", "impersonate-group", "ops"};
    struct client_bed f;
    FL_UNUSED(state);
    setup(&f);
    for (size_t i = 0; i < FL_COUNT(headers); i++)
        assert_int_equal(fl_texts_add(&f.config.impersonate, fl_str_of(headers[i]), FL_STR_NONE),
                         FL_OK);
    open_client(&f, true);
    expect_granted(&f);
    assert_string_equal(f.as, "jane");
    assert_string_equal(f.group, "ops");
    teardown(&f);
}

#define KUBECONFIG_FMT                                                                             \
    "current-context: m\ncontexts: [{name: m, context: {cluster: c, user: u}}]\n"                  \
    "clusters: [{name: c, cluster: {server: 'http://[::1]:%u/prefix/'}}]\n"                        \
    "users: [{name: u, user: {token: %s}}]\n"

static void kubeconfig(struct client_bed *f, unsigned port, const char *token) {
    char text[512];
    snprintf(text, sizeof(text), KUBECONFIG_FMT, port, token);
    assert_int_equal(fl_world_file(f->world, "/k/config", fl_str_of(text)), FL_OK);
}

static void setup_kubeconfig(struct client_bed *f) {
    const struct fl_kube_config_options options = {.kubeconfig = "/k/config"};
    setup(f);
    fl_kube_config_deinit(&f->config);
    kubeconfig(f, fl_listener_port(f->io, f->listener), "first");
    want(f, "Bearer first");
    assert_int_equal(fl_kube_config_load(f->io, &options, &f->config, NULL), FL_OK);
    open_client(f, false);
}

/* A login wrote another token into the kubeconfig. */
static void test_W15_a_token_in_the_kubeconfig_is_read_again(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_kubeconfig(&f);
    expect_granted(&f);
    kubeconfig(&f, f.config.port, "second");
    want(&f, "Bearer second");
    expect_granted(&f);
    assert_int_equal(f.requests, 3);
    teardown(&f);
}

static void test_a_kubeconfig_for_another_server_is_not_followed(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_kubeconfig(&f);
    kubeconfig(&f, 1, "second");
    want(&f, "Bearer second");
    assert_int_equal(get(&f).status, 401);
    assert_int_equal(fl_world_file(f.world, "/k/config", FL_STR("a: [")), FL_OK);
    assert_int_equal(get(&f).status, 401);
    assert_int_equal(f.requests, 2);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_configurations_token_is_sent),
        cmocka_unit_test(test_W15_a_rotated_token_is_retried_unseen),
        cmocka_unit_test(test_W15_two_requests_at_once),
        cmocka_unit_test(test_a_401_with_the_same_token_is_told),
        cmocka_unit_test(test_a_second_401_is_told),
        cmocka_unit_test(test_the_token_file_is_read_again_each_minute),
        cmocka_unit_test(test_a_bad_token_file_leaves_the_last_token),
        cmocka_unit_test(test_bad_credentials_are_refused),
        cmocka_unit_test(test_a_password_is_sent),
        cmocka_unit_test(test_whom_we_act_as_is_sent),
        cmocka_unit_test(test_W15_a_token_in_the_kubeconfig_is_read_again),
        cmocka_unit_test(test_a_kubeconfig_for_another_server_is_not_followed),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
