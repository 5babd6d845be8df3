/* kube_plugin_test.c - exec plugins of kube/client.h: when they run, and who waits for them. */
#include "support/client_bed.h"

/* --- exec plugins --- */

/* An answer with that token which expires in so many milliseconds, 0: it does not say. */
static void plugin_gives(struct client_bed *f, const char *token, int64_t ms) {
    char expires[FL_TIME_TEXT_MAX], answer[512];
    fl_time_format(fl_io_wall_ms(f->io) + ms, expires);
    snprintf(answer, sizeof(answer),
             "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
             "\"status\":{\"token\":\"%s\",\"expirationTimestamp\":%s%s%s}}",
             token, ms ? "\"" : "nul", ms ? expires : "l", ms ? "\"" : "");
    plugin_prints(f, answer, 20);
}

static void setup_plugin(struct client_bed *f) {
    setup(f);
    assert_int_equal(fl_texts_add(&f->config.exec.argv, FL_STR(PLUGIN), FL_STR_NONE), FL_OK);
    f->config.exec.api_version = fl_strdup("client.authentication.k8s.io/v1");
    plugin_gives(f, "first", 0);
    want(f, "Bearer first");
}

static void test_requests_wait_for_the_plugin(void **state) {
    struct client_bed f;
    struct answer a, b;
    FL_UNUSED(state);
    setup_plugin(&f);
    open_client(&f, false);
    start(&f, &a);
    start(&f, &b);
    fl_world_run_ms(f.world, 10);
    assert_int_equal(f.requests, 0);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(a.status, 200);
    assert_int_equal(b.status, 200);
    assert_int_equal(plugin_runs(&f), 1);
    expect_granted(&f);
    assert_int_equal(plugin_runs(&f), 1);
    teardown(&f);
}

static void test_what_a_plugin_is_told(void **state) {
    struct client_bed f;
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
    open_client(&f, false);
    expect_granted(&f);
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
    struct client_bed f;
    FL_UNUSED(state);
    setup_plugin(&f);
    open_client(&f, false);
    expect_granted(&f);
    assert_string_equal(fl_world_peek_run(f.world, PLUGIN).env[0],
                        "KUBERNETES_EXEC_INFO={\"kind\":\"ExecCredential\","
                        "\"apiVersion\":\"client.authentication.k8s.io/v1\","
                        "\"spec\":{\"interactive\":false}}");
    teardown(&f);
}

static void test_a_plugin_runs_again_when_its_token_expires(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_plugin(&f);
    plugin_gives(&f, "first", 60000);
    open_client(&f, false);
    expect_granted(&f);
    plugin_gives(&f, "second", 600000);
    fl_world_run_ms(f.world, 49000);
    expect_granted(&f);
    assert_int_equal(plugin_runs(&f), 1);
    fl_world_run_ms(f.world, 1000); /* ten seconds before it does */
    want(&f, "Bearer second");
    expect_granted(&f);
    assert_int_equal(plugin_runs(&f), 2);
    assert_int_equal(f.requests, 3);
    teardown(&f);
}

/* A clock that is wrong must not make the plugin run in a circle. */
static void test_a_token_that_has_expired_already_is_used(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_plugin(&f);
    plugin_gives(&f, "first", -3600000);
    open_client(&f, false);
    expect_granted(&f);
    assert_int_equal(plugin_runs(&f), 1);
    fl_world_run_ms(f.world, 1000);
    expect_granted(&f);
    assert_int_equal(plugin_runs(&f), 2);
    teardown(&f);
}

static void test_W15_a_plugin_runs_again_on_401(void **state) {
    struct client_bed f;
    struct answer a, b;
    FL_UNUSED(state);
    setup_plugin(&f);
    open_client(&f, false);
    expect_granted(&f);
    plugin_gives(&f, "second", 0);
    want(&f, "Bearer second");
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
    struct client_bed f;
    FL_UNUSED(state);
    setup_plugin(&f);
    want(&f, "Bearer other");
    open_client(&f, false);
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
    struct client_bed f;
    FL_UNUSED(state);
    setup_plugin(&f);
    want(&f, "Bearer other");
    open_client(&f, false);
    for (int i = 0; i < 6000; i++) assert_int_equal(get(&f).status, 401); /* ten minutes */
    assert_in_range(plugin_runs(&f), 10, 30);
    plugin_gives(&f, "other", 0);
    fl_world_run_ms(f.world, 60000);
    expect_granted(&f);
    teardown(&f);
}

static void test_what_is_configured_goes_before_the_plugin(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_plugin(&f);
    f.config.token = fl_strdup("first");
    open_client(&f, false);
    expect_granted(&f);
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
        struct client_bed f;
        struct answer a;
        setup_plugin(&f);
        assert_int_equal(fl_world_program(f.world, PLUGIN, &rows[i].does), FL_OK);
        open_client(&f, false);
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
    struct client_bed f;
    FL_UNUSED(state);
    setup_plugin(&f);
    fl_texts_deinit(&f.config.exec.argv);
    assert_int_equal(fl_texts_add(&f.config.exec.argv, FL_STR("nowhere"), FL_STR_NONE), FL_OK);
    f.config.exec.install_hint = fl_strdup("apt install it\nnow");
    open_client(&f, false);
    struct answer a = get(&f);
    assert_int_equal(a.code, FL_ECONFIG);
    assert_string_equal(a.detail, "exec plugin cannot be run: nowhere: no such file or directory: "
                                  "apt install it\\nnow");
    teardown(&f);
}

/* Whoever asks: one run, then a pause, then the next. */
static void test_a_failing_plugin_is_run_after_a_backoff(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_plugin(&f);
    plugin_prints(&f, "", 0);
    open_client(&f, false);
    for (int i = 0; i < 5; i++) assert_int_equal(get(&f).code, FL_ECONFIG);
    assert_int_equal(plugin_runs(&f), 1);
    plugin_gives(&f, "first", 0);
    fl_world_run_ms(f.world, 1600);
    expect_granted(&f);
    assert_int_equal(plugin_runs(&f), 2);
    teardown(&f);
}

/* Late is better than never: the old token serves until it has expired. */
static void test_a_plugin_that_fails_early(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_plugin(&f);
    plugin_gives(&f, "first", 60000);
    open_client(&f, false);
    expect_granted(&f);
    plugin_prints(&f, "", 0);
    fl_world_run_ms(f.world, 55000);
    expect_granted(&f);
    fl_world_run_ms(f.world, 5000);
    assert_int_equal(get(&f).code, FL_ECONFIG);
    teardown(&f);
}

static void test_a_waiting_request_is_cancelled(void **state) {
    struct client_bed f;
    struct answer a;
    FL_UNUSED(state);
    setup_plugin(&f);
    open_client(&f, false);
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
    struct client_bed f;
    struct answer a;
    FL_UNUSED(state);
    setup_plugin(&f);
    assert_int_equal(fl_world_program(f.world, PLUGIN, &hangs), FL_OK);
    open_client(&f, false);
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
    struct client_bed f;
    int rc = FL_OK;
    size_t taken = 0;
    FL_UNUSED(state);
    setup_plugin(&f);
    memset(answers, 0, sizeof(answers));
    assert_int_equal(fl_world_program(f.world, PLUGIN, &hangs), FL_OK);
    open_client(&f, false);
    for (; rc == FL_OK && taken < FL_COUNT(answers); taken += rc == FL_OK)
        rc = try_get(&f, "/x", &answers[taken]);
    assert_int_equal(rc, FL_EFULL);
    assert_int_equal(taken, 1000);
    assert_int_equal(fl_metric_value(fl_metrics_get(f.io->metrics, FL_METRIC_COUNTER,
                                                    "fairlead_kube_client_limited_total", "", "")),
                     1);
    teardown(&f);
    for (size_t i = 0; i < taken; i++) assert_int_equal(answers[i].closes, 1);
}

/* --- bodies and heads --- */

static void test_each_failed_allocation_with_a_plugin(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_plugin(&f);
    fl_world_fault(f.world, FL_STR("::1"), FL_WORLD_REFUSE); /* the server is not what is tested */
    FL_TEST_EACH_FAILURE(n) {
        struct answer a = {0};
        int rc = try_open(&f, false, NULL);
        if (rc == FL_OK) {
            rc = try_get(&f, "/x", &a);
            fl_world_run_ms(f.world, 100);
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
        cmocka_unit_test(test_each_failed_allocation_with_a_plugin),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
