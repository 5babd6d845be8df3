/* kube_config_test.c - what a kubeconfig says, and what of it is refused. */
#include "support/config_bed.h"

static void test_the_current_context_is_read(void **state) {
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/k/config", KUBECONFIG(CLUSTER, USER));
    assert_int_equal(load(&f, "/k/config", NULL), FL_OK);
    assert_string_equal(f.config.host, "10.0.0.1");
    assert_int_equal(f.config.port, 6443);
    assert_true(f.config.tls);
    assert_string_equal(f.config.path, "");
    assert_string_equal(f.config.ns, "shop");
    assert_string_equal(f.config.token, "s3cret");
    assert_null(f.config.server_name);
    assert_false(f.config.insecure_skip_verify);
    assert_string_equal(f.config.source, "/k/config (context main)");
    teardown(&f);
}

static void test_a_context_without_user_and_namespace(void **state) {
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/k/config", KUBECONFIG(CLUSTER, USER));
    assert_int_equal(load(&f, "/k/config", "other"), FL_OK);
    assert_string_equal(f.config.ns, "default");
    assert_null(f.config.token);
    teardown(&f);
}

static void test_files_are_relative_to_the_kubeconfig(void **state) {
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/k/config",
         KUBECONFIG(CLUSTER "    certificate-authority: pki/ca.pem\n    tls-server-name: kube\n",
                    "    client-certificate: /abs/cert.pem\n    client-key: key.pem\n"
                    "    tokenFile: ../token\n"));
    file(&f, "/k/pki/ca.pem", "CA");
    file(&f, "/abs/cert.pem", "CERT");
    file(&f, "/k/key.pem", "KEY");
    assert_int_equal(load(&f, "/k/config", NULL), FL_OK);
    assert_true(fl_str_eq(fl_buf_str(&f.config.ca_pem), FL_STR("CA")));
    assert_true(fl_str_eq(fl_buf_str(&f.config.cert_pem), FL_STR("CERT")));
    assert_true(fl_str_eq(fl_buf_str(&f.config.key_pem), FL_STR("KEY")));
    assert_string_equal(f.config.token_file, "/k/../token");
    assert_string_equal(f.config.server_name, "kube");
    teardown(&f);
}

static void test_inline_data_wins_over_files(void **state) {
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/k/config",
         KUBECONFIG(CLUSTER "    certificate-authority: no/such/file\n"
                            "    certificate-authority-data: Q0E=\n",
                    "    client-certificate-data: Q0VS\n    client-key-data: S0VZIQ==\n"));
    assert_int_equal(load(&f, "/k/config", NULL), FL_OK);
    assert_true(fl_str_eq(fl_buf_str(&f.config.ca_pem), FL_STR("CA")));
    assert_true(fl_str_eq(fl_buf_str(&f.config.cert_pem), FL_STR("CER")));
    assert_true(fl_str_eq(fl_buf_str(&f.config.key_pem), FL_STR("KEY!")));
    teardown(&f);
}

static void test_bad_files_are_named(void **state) {
    FL_UNUSED(state);
    expect_refused("a: [", NULL, "/k/config: ");
    expect_refused("", NULL, "no kubeconfig");
    expect_refused("just text", NULL, "no kubeconfig");
    expect_refused("kind: Config\n", NULL, "no current-context");
    expect_refused(KUBECONFIG(CLUSTER, USER), "mian", "\"mian\" (there are: main, other)");
    expect_refused(KUBECONFIG("    server: ''\n", USER), NULL, "cluster \"c\" has no server");
    expect_refused(KUBECONFIG("    server: 10.0.0.1\n", USER), NULL, "https://");
    expect_refused(KUBECONFIG("    server: https://u:s3cret@h\n", USER), NULL, "user information");
    expect_refused(KUBECONFIG(CLUSTER "    certificate-authority-data: '*'\n", USER), NULL,
                   "certificate-authority-data that is not base64");
    expect_refused(KUBECONFIG(CLUSTER "    insecure-skip-tls-verify: maybe\n", USER), NULL,
                   "not true or false");
    expect_refused(KUBECONFIG(CLUSTER "    insecure-skip-tls-verify: true\n"
                                      "    certificate-authority-data: Q0E=\n",
                              USER),
                   NULL, "remove one");
    expect_refused(KUBECONFIG(CLUSTER "    proxy-url: ftp://u:s3cret@p\n", USER), NULL,
                   "cluster \"c\" has a proxy-url that has the scheme \"ftp\"");
    expect_refused(KUBECONFIG(CLUSTER "    disable-compression: 1\n", USER), NULL,
                   "disable-compression that is not true or false");
    expect_refused(KUBECONFIG(CLUSTER "- name: c\n", USER), NULL,
                   "cluster \"c\" stands there twice");
    expect_refused("kind: Pod\n", NULL, "must be of kind Config");
    expect_refused("apiVersion: v2\n", NULL, "apiVersion v1");
    expect_refused(KUBECONFIG(CLUSTER, "    client-certificate-data: Q0E=\n"), NULL,
                   "user \"u\" has a client-certificate and no client-key");
    expect_refused(KUBECONFIG(CLUSTER, "    client-key-data: Q0E=\n"), NULL,
                   "no client-certificate");
    expect_refused(KUBECONFIG(CLUSTER, "    token: [s3cret]\n"), NULL, "token that is not text");
}

#define EXEC(lines) "    exec:\n      command: get-token\n" lines
#define EXEC_V1     "      apiVersion: client.authentication.k8s.io/v1\n"

static void test_what_cannot_be_done_is_refused_by_name(void **state) {
    FL_UNUSED(state);
    expect_refused(KUBECONFIG(CLUSTER, "    auth-provider:\n      name: gcp\n"), NULL,
                   "user \"u\" uses an auth-provider, which Kubernetes 1.26 removed: use");
    expect_refused(KUBECONFIG(CLUSTER, USER "    username: x\n"), NULL,
                   "user \"u\" has both a token and a username");
    expect_refused(KUBECONFIG(CLUSTER, "    password: s3cret\n"), NULL, "no username");
    expect_refused(KUBECONFIG(CLUSTER, "    username: 'a:b'\n"), NULL, "':' in it");
    expect_refused(KUBECONFIG(CLUSTER, USER "    as-uid: x\n"), NULL, "without as");
    expect_refused(KUBECONFIG(CLUSTER, USER "    as: \"x\\r\\ny: s3cret\"\n"), NULL,
                   "control characters");
    expect_refused(KUBECONFIG(CLUSTER, USER "    as: x\n    as-groups: x\n"), NULL,
                   "as-groups that are no list");
    expect_refused(KUBECONFIG(CLUSTER, USER "    as: x\n    as-groups: [1]\n"), NULL,
                   "item in as-groups that is not text");
    expect_refused(KUBECONFIG(CLUSTER, USER "    as: x\n    as-user-extra: x\n"), NULL,
                   "no mapping");
    expect_refused(KUBECONFIG(CLUSTER, EXEC("")), NULL,
                   "exec plugin with the apiVersion \"\": must be client.authentication.k8s.io/v1");
    expect_refused(KUBECONFIG(CLUSTER, EXEC(EXEC_V1)), NULL, "without an interactiveMode");
    expect_refused(KUBECONFIG(CLUSTER, EXEC(EXEC_V1 "      interactiveMode: Always\n")), NULL,
                   "interactiveMode Always, and there is no terminal");
    expect_refused(KUBECONFIG(CLUSTER, EXEC(EXEC_V1 "      interactiveMode: Perhaps\n")), NULL,
                   "\"Perhaps\"");
    expect_refused(KUBECONFIG(CLUSTER, EXEC(EXEC_V1 "      interactiveMode: Never\n"
                                                    "      env: [{name: 'A=B', value: s3cret}]\n")),
                   NULL, "no proper name");
    expect_refused(KUBECONFIG(CLUSTER, "    exec: get-s3cret\n"), NULL, "no mapping");
    expect_refused(KUBECONFIG(CLUSTER, "    exec:\n" EXEC_V1 "      interactiveMode: Never\n"),
                   NULL, "without a command");
}

static void test_an_exec_plugin(void **state) {
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/k/config",
         KUBECONFIG(CLUSTER "    extensions:\n    - name: client.authentication.k8s.io/exec\n"
                            "      extension: {audience: shop, n: [1]}\n",
                    "    exec:\n      command: ./bin/get-token\n"
                    "      apiVersion: client.authentication.k8s.io/v1beta1\n"
                    "      args: [--region, eu]\n"
                    "      env: [{name: A, value: 'b=c'}, {name: EMPTY, value: ''}]\n"
                    "      provideClusterInfo: true\n      installHint: get it there\n"));
    assert_int_equal(load(&f, "/k/config", NULL), FL_OK);
    const struct fl_kube_exec *exec = &f.config.exec;
    assert_int_equal(exec->argv.count, 3);
    assert_string_equal(exec->argv.list[0], "/k/./bin/get-token");
    assert_string_equal(exec->argv.list[1], "--region");
    assert_string_equal(exec->argv.list[2], "eu");
    assert_null(exec->argv.list[3]);
    assert_int_equal(exec->env.count, 2);
    assert_string_equal(exec->env.list[0], "A=b=c");
    assert_string_equal(exec->env.list[1], "EMPTY=");
    assert_string_equal(exec->install_hint, "get it there");
    assert_true(exec->wants_cluster);
    assert_string_equal(exec->cluster_config, "{\"audience\":\"shop\",\"n\":[1]}");
    fl_kube_config_deinit(&f.config);
    file(&f, "/k/config",
         KUBECONFIG(CLUSTER, EXEC(EXEC_V1 "      interactiveMode: IfAvailable\n")));
    assert_int_equal(load(&f, "/k/config", NULL), FL_OK);
    assert_string_equal(f.config.exec.argv.list[0], "get-token");
    teardown(&f);
}

static void test_whom_to_act_as(void **state) {
    static const char *const headers[] = {
        "impersonate-user",
        "jane",
        "impersonate-uid",
        "7",
        "impersonate-group",
        "a",
        "impersonate-group",
        "b",
        "impersonate-extra-scopes",
        "x",
        "impersonate-extra-example.com%2Frole",
        "y",
    };
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/k/config",
         KUBECONFIG(CLUSTER, USER "    as: jane\n    as-uid: '7'\n    as-groups: [a, b]\n"
                                  "    as-user-extra: {Scopes: [x], example.com/role: [y]}\n"));
    assert_int_equal(load(&f, "/k/config", NULL), FL_OK);
    assert_int_equal(f.config.impersonate.count, FL_COUNT(headers));
    for (size_t i = 0; i < FL_COUNT(headers); i++)
        assert_string_equal(f.config.impersonate.list[i], headers[i]);
    teardown(&f);
}

static void test_a_password(void **state) {
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/k/config", KUBECONFIG(CLUSTER, "    username: jane\n    password: s3cret\n"));
    assert_int_equal(load(&f, "/k/config", NULL), FL_OK);
    assert_string_equal(f.config.user, "jane");
    assert_string_equal(f.config.password, "s3cret");
    teardown(&f);
}

static void test_compression_is_asked_for_in_so_many_words(void **state) {
    static const struct {
        const char *cluster;
        enum fl_kube_compression expected;
    } rows[] = {
        {KUBECONFIG(CLUSTER, USER), FL_KUBE_COMPRESSION_UNSET},
        {KUBECONFIG(CLUSTER "    disable-compression: false\n", USER), FL_KUBE_COMPRESSION_ON},
        {KUBECONFIG(CLUSTER "    disable-compression: true\n", USER), FL_KUBE_COMPRESSION_OFF}};
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct config_bed f;
        setup(&f);
        file(&f, "/k/config", rows[i].cluster);
        assert_int_equal(load(&f, "/k/config", NULL), FL_OK);
        assert_int_equal(f.config.compression, rows[i].expected);
        teardown(&f);
    }
}

static void test_server_urls(void **state) {
    static const struct {
        const char *url, *host, *path;
        uint16_t port;
        bool tls;
    } good[] = {
        {"https://h", "h", "", 443, true},
        {"http://h", "h", "", 80, false},
        {"HTTPS://h/", "h", "", 443, true},
        {"https://h:1/a/b/", "h", "/a/b", 1, true},
        {"https://[fd00::1]:65535/x", "fd00::1", "/x", 65535, true},
        {"https://[::1]", "::1", "", 443, true},
        {"http://127.0.0.1:8080", "127.0.0.1", "", 8080, false},
    };
    static const char *const bad[] = {
        "",
        "h",
        "ftp://h",
        "https://",
        "https://:80",
        "https://h:",
        "https://h:0",
        "https://h:99999",
        "https://h:x",
        "https://[::1",
        "https://[::1]x",
        "https://::1",
        "https://[h]",
        "https://h/?a",
        "https://h/#a",
        "https://h/a b",
        "https://a@h",
        "https://h h",
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(good); i++) {
        struct fl_kube_config config;
        fl_kube_config_init(&config);
        assert_int_equal(fl_server_url_parse(fl_str_of(good[i].url), &config, NULL), FL_OK);
        assert_string_equal(config.host, good[i].host);
        assert_string_equal(config.path, good[i].path);
        assert_int_equal(config.port, good[i].port);
        assert_int_equal(config.tls, good[i].tls);
        fl_kube_config_deinit(&config);
    }
    for (size_t i = 0; i < FL_COUNT(bad); i++) {
        struct fl_kube_config config;
        struct fl_error err;
        fl_kube_config_init(&config);
        if (fl_server_url_parse(fl_str_of(bad[i]), &config, &err) != FL_ECONFIG)
            fail_msg("accepted: %s", bad[i]);
        fl_kube_config_deinit(&config);
    }
}

static void test_each_failed_allocation_is_reported(void **state) {
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/k/config",
         KUBECONFIG(CLUSTER "    certificate-authority: ca.pem\n",
                    "    tokenFile: token\n    client-certificate-data: Q0E=\n"
                    "    client-key-data: Q0E=\n    as: x\n    as-groups: [y]\n"
                    "    as-user-extra: {z: [z]}\n"
                    "    exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./x,\n"
                    "      args: [a], env: [{name: A, value: b}]}\n"));
    file(&f, "/k/ca.pem", "CA");
    env(&f, "https_proxy", "socks5h://u:p@proxy");
    FL_TEST_EACH_FAILURE(n) {
        int rc = load(&f, "/k/config", NULL);
        if (rc != FL_OK && rc != FL_ENOMEM) fail_msg("%s", f.err.detail);
        fl_kube_config_deinit(&f.config);
    }
    f.config = (struct fl_kube_config){0};
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_current_context_is_read),
        cmocka_unit_test(test_a_context_without_user_and_namespace),
        cmocka_unit_test(test_files_are_relative_to_the_kubeconfig),
        cmocka_unit_test(test_inline_data_wins_over_files),
        cmocka_unit_test(test_bad_files_are_named),
        cmocka_unit_test(test_what_cannot_be_done_is_refused_by_name),
        cmocka_unit_test(test_an_exec_plugin),
        cmocka_unit_test(test_whom_to_act_as),
        cmocka_unit_test(test_a_password),
        cmocka_unit_test(test_compression_is_asked_for_in_so_many_words),
        cmocka_unit_test(test_server_urls),
        cmocka_unit_test(test_each_failed_allocation_is_reported),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
