/* kube_cleartext_test.c - kube/client.h where anybody on the way could read what is sent. */
#include "support/client_bed.h"

#include "kube/kubeconfig.h"

/* As setup, but in a network where others may listen. */
static void setup_heard(struct client_bed *f) {
    setup(f);
    f->io->in_memory = false;
    log_keep();
}

static void expect_nothing_told(struct client_bed *f) {
    open_client(f, false);
    want(f, "");
    expect_granted(f);
    assert_string_equal(f->authorization, "");
    assert_int_equal(plugin_runs(f), 0);
    assert_non_null(strstr(logged, "no credentials are sent"));
    log_drop();
    teardown(f);
}

static void test_no_token_is_sent_in_the_clear(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_heard(&f);
    f.config.token = fl_strdup("t0ken");
    expect_nothing_told(&f);
}

static void test_no_token_file_is_sent_in_the_clear(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_heard(&f);
    f.config.token_file = fl_strdup(TOKEN_FILE);
    token_file(&f, "t0ken");
    expect_nothing_told(&f);
}

static void test_no_password_is_sent_in_the_clear(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_heard(&f);
    f.config.user = fl_strdup("me");
    f.config.password = fl_strdup("s3cret");
    expect_nothing_told(&f);
}

static void test_no_plugin_is_run_for_nothing(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_heard(&f);
    assert_int_equal(fl_texts_add(&f.config.exec.argv, FL_STR(PLUGIN), FL_STR_NONE), FL_OK);
    f.config.exec.api_version = fl_strdup("client.authentication.k8s.io/v1");
    plugin_prints(&f, "{}", 20);
    expect_nothing_told(&f);
}

/* Nor after a 401, which makes us read the kubeconfig again. */
static void test_a_401_in_the_clear_tells_nothing(void **state) {
    char text[512];
    struct client_bed f;
    FL_UNUSED(state);
    setup_heard(&f);
    snprintf(text, sizeof(text),
             "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n"
             "clusters: [{name: c, cluster: {server: 'http://[::1]:%u'}}]\n"
             "users: [{name: u, user: {token: t0ken}}]\n",
             fl_listener_port(f.io, f.listener));
    assert_int_equal(fl_world_file(f.world, "/k", fl_str_of(text)), FL_OK);
    fl_kube_config_deinit(&f.config);
    const struct fl_kube_config_options options = {.kubeconfig = "/k"};
    assert_int_equal(fl_kube_config_load(f.io, &options, &f.config, NULL), FL_OK);
    want(&f, "Bearer t0ken");
    open_client(&f, false);
    struct answer a = get(&f);
    assert_int_equal(a.status, 401);
    assert_int_equal(get(&f).status, 401);
    assert_string_equal(f.authorization, "");
    assert_non_null(strstr(logged, "no credentials are sent"));
    log_drop();
    teardown(&f);
}

/* Who has none has nothing to be warned of. */
static void test_nothing_is_said_where_there_is_nothing_to_tell(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_heard(&f);
    open_client(&f, false);
    expect_granted(&f);
    assert_null(strstr(logged, "credentials"));
    log_drop();
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_token_is_sent_in_the_clear),
        cmocka_unit_test(test_no_token_file_is_sent_in_the_clear),
        cmocka_unit_test(test_no_password_is_sent_in_the_clear),
        cmocka_unit_test(test_no_plugin_is_run_for_nothing),
        cmocka_unit_test(test_a_401_in_the_clear_tells_nothing),
        cmocka_unit_test(test_nothing_is_said_where_there_is_nothing_to_tell),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
