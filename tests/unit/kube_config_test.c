/* kube_config_test.c - kubeconfigs, in-cluster configuration, server URLs. */
#include "support/alloc.h"

#include <stdio.h>

#include "kube/config.h"
#include "kube/kubeconfig.h"
#include "sim/world.h"

/* A configuration with the given cluster and user lines, each indented by four blanks. */
#define KUBECONFIG(cluster, user)                                                                  \
    "apiVersion: v1\nkind: Config\ncurrent-context: main\n"                                        \
    "contexts:\n- name: main\n  context:\n    cluster: c\n    user: u\n    namespace: shop\n"      \
    "- name: other\n  context:\n    cluster: c\n"                                                  \
    "clusters:\n- name: c\n  cluster:\n" cluster "users:\n- name: u\n  user:\n" user

#define CLUSTER "    server: https://10.0.0.1:6443\n"
#define USER    "    token: s3cret\n"

struct fixture {
    struct fl_world *world;
    struct fl_kube_config config;
    struct fl_error err;
};

static void setup(struct fixture *f) {
    const struct fl_world_options options = {.seed = 1};
    assert_int_equal(fl_world_new(&options, &f->world), FL_OK);
}

static void teardown(struct fixture *f) {
    fl_kube_config_deinit(&f->config);
    fl_world_free(f->world);
}

static void file(struct fixture *f, const char *path, const char *text) {
    assert_int_equal(fl_world_file(f->world, path, fl_str_of(text)), FL_OK);
}

static void env(struct fixture *f, const char *name, const char *value) {
    assert_int_equal(fl_world_env(f->world, name, value), FL_OK);
}

static int load(struct fixture *f, const char *path, const char *context) {
    const struct fl_kube_config_options options = {.kubeconfig = path, .context = context};
    f->err = (struct fl_error){.code = FL_OK};
    int rc = fl_kube_config_load(fl_world_io(f->world), &options, &f->config, &f->err);
    assert_int_equal(rc, f->err.code);
    return rc;
}

/* The text as /k/config fails with FL_ECONFIG, names the file and says `what`, and no secret. */
static void expect_refused(const char *text, const char *context, const char *what) {
    struct fixture f;
    setup(&f);
    file(&f, "/k/config", text);
    assert_int_equal(load(&f, "/k/config", context), FL_ECONFIG);
    if (!strstr(f.err.detail, what)) fail_msg("\"%s\" is not in: %s", what, f.err.detail);
    assert_non_null(strstr(f.err.detail, "/k/config"));
    assert_null(strstr(f.err.detail, "s3cret"));
    teardown(&f);
}

static void test_the_current_context_is_read(void **state) {
    struct fixture f;
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
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/k/config", KUBECONFIG(CLUSTER, USER));
    assert_int_equal(load(&f, "/k/config", "other"), FL_OK);
    assert_string_equal(f.config.ns, "default");
    assert_null(f.config.token);
    teardown(&f);
}

static void test_files_are_relative_to_the_kubeconfig(void **state) {
    struct fixture f;
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
    struct fixture f;
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
    expect_refused(KUBECONFIG(CLUSTER "    proxy-url: http://p\n", USER), NULL, "proxy-url");
    expect_refused(KUBECONFIG(CLUSTER, "    client-certificate-data: Q0E=\n"), NULL,
                   "user \"u\" has a client-certificate and no client-key");
    expect_refused(KUBECONFIG(CLUSTER, "    client-key-data: Q0E=\n"), NULL,
                   "no client-certificate");
    expect_refused(KUBECONFIG(CLUSTER, "    token: [s3cret]\n"), NULL, "token that is not text");
}

static void test_what_is_not_supported_is_refused_by_name(void **state) {
    FL_UNUSED(state);
    expect_refused(KUBECONFIG(CLUSTER, "    exec:\n      command: get-s3cret\n"), NULL,
                   "user \"u\" uses an exec plugin, which is not supported yet");
    expect_refused(KUBECONFIG(CLUSTER, "    auth-provider:\n      name: gcp\n"), NULL,
                   "user \"u\" uses an auth-provider");
    expect_refused(KUBECONFIG(CLUSTER, "    username: x\n    password: s3cret\n"), NULL,
                   "user \"u\" uses a password");
    expect_refused(KUBECONFIG(CLUSTER, "    as: root\n"), NULL, "impersonates");
}

static void test_missing_entries_are_named(void **state) {
    FL_UNUSED(state);
    expect_refused("current-context: a\ncontexts:\n- name: a\n  context: {cluster: gone}\n", NULL,
                   "context \"a\" names cluster \"gone\", which is not there");
    expect_refused("current-context: a\ncontexts:\n- name: a\n  context: {user: u}\n", NULL,
                   "context \"a\" names no cluster");
    expect_refused("current-context: a\ncontexts:\n- name: a\n  context: {cluster: c, user: u}\n"
                   "clusters:\n- name: c\n  cluster: {server: 'http://h'}\n",
                   NULL, "names user \"u\", which is not there");
}

static void test_a_missing_file_is_named(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    assert_int_equal(load(&f, "/no/such", NULL), FL_ESYS);
    assert_non_null(strstr(f.err.detail, "/no/such"));
    fl_kube_config_deinit(&f.config);
    file(&f, "/k/config", KUBECONFIG(CLUSTER "    certificate-authority: gone.pem\n", USER));
    assert_int_equal(load(&f, "/k/config", NULL), FL_ECONFIG);
    assert_non_null(strstr(f.err.detail, "certificate-authority"));
    assert_non_null(strstr(f.err.detail, "/k/gone.pem"));
    teardown(&f);
}

static void test_the_first_file_of_KUBECONFIG_that_is_there(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    env(&f, "KUBECONFIG", ":/gone:/k/config:/other");
    file(&f, "/k/config", KUBECONFIG(CLUSTER, USER));
    assert_int_equal(load(&f, NULL, NULL), FL_OK);
    assert_string_equal(f.config.ns, "shop");
    fl_kube_config_deinit(&f.config);
    env(&f, "KUBECONFIG", "/gone:/gone-too");
    assert_int_equal(load(&f, NULL, NULL), FL_ESYS);
    assert_non_null(strstr(f.err.detail, "/gone"));
    teardown(&f);
}

static void test_the_home_folder_comes_last(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    env(&f, "HOME", "/home/me");
    assert_int_equal(load(&f, NULL, NULL), FL_ECONFIG);
    assert_non_null(strstr(f.err.detail, "/home/me/.kube/config"));
    assert_non_null(strstr(f.err.detail, "--kubeconfig"));
    fl_kube_config_deinit(&f.config);
    file(&f, "/home/me/.kube/config", KUBECONFIG(CLUSTER, USER));
    assert_int_equal(load(&f, NULL, NULL), FL_OK);
    teardown(&f);
}

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

static void test_in_cluster(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    env(&f, "KUBERNETES_SERVICE_HOST", "fd00::1");
    env(&f, "KUBERNETES_SERVICE_PORT", "6443");
    assert_int_equal(load(&f, NULL, NULL), FL_ECONFIG);
    assert_non_null(strstr(f.err.detail, ACCOUNT "ca.crt"));
    fl_kube_config_deinit(&f.config);
    file(&f, ACCOUNT "ca.crt", "CA");
    file(&f, ACCOUNT "namespace", "pods-own\n");
    assert_int_equal(load(&f, NULL, NULL), FL_OK);
    assert_string_equal(f.config.host, "fd00::1");
    assert_int_equal(f.config.port, 6443);
    assert_true(f.config.tls);
    assert_string_equal(f.config.ns, "pods-own");
    assert_string_equal(f.config.token_file, ACCOUNT "token");
    assert_string_equal(f.config.source, "in-cluster");
    teardown(&f);
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
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/k/config",
         KUBECONFIG(CLUSTER "    certificate-authority: ca.pem\n",
                    "    tokenFile: token\n    client-certificate-data: Q0E=\n"
                    "    client-key-data: Q0E=\n"));
    file(&f, "/k/ca.pem", "CA");
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
        cmocka_unit_test(test_what_is_not_supported_is_refused_by_name),
        cmocka_unit_test(test_missing_entries_are_named),
        cmocka_unit_test(test_a_missing_file_is_named),
        cmocka_unit_test(test_the_first_file_of_KUBECONFIG_that_is_there),
        cmocka_unit_test(test_the_home_folder_comes_last),
        cmocka_unit_test(test_in_cluster),
        cmocka_unit_test(test_server_urls),
        cmocka_unit_test(test_each_failed_allocation_is_reported),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
