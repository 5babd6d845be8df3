/* kube_config_files_test.c - where a configuration comes from: several kubeconfigs, the home
 * folder, the service account in a cluster. */
#include "support/config_bed.h"

#define FILE_A                                                                                     \
    "kind: Config\ncontexts:\n- name: main\n  context: {cluster: c, user: u}\n"                    \
    "clusters:\n- name: c\n  cluster: {server: 'https://first:1', certificate-authority: "         \
    "ca.pem}\n"                                                                                    \
    "users:\n- name: u\n  user: {token: first}\n"
#define FILE_B                                                                                     \
    "current-context: main\ncontexts:\n"                                                           \
    "- name: main\n  context: {cluster: d, user: v, namespace: second}\n"                          \
    "- name: two\n  context: {cluster: d, user: v, namespace: second}\n"                           \
    "clusters:\n- name: c\n  cluster: {server: 'https://second:2', tls-server-name: second}\n"     \
    "- name: d\n  cluster: {server: 'https://second:2', certificate-authority: ../b.pem}\n"        \
    "users:\n- name: u\n  user: {username: second}\n"                                              \
    "- name: v\n  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: ./bin/x,\n"  \
    "    interactiveMode: Never}}\n"

/* Each row was compared with `kubectl config view --raw --merge` (1.36) on the same files: the
 * first file that names a context, cluster or user gives all of it. */
static void test_several_files_are_merged_as_kubectl_does(void **state) {
    static const struct {
        const char *list, *context; /* NULL: current */
        const char *host, *ns, *ca_file, *token, *command, *source, *server_name;
    } rows[] = {
        {"/a/config:/b/config", NULL, "first", "default", "/a/ca.pem", "first", NULL,
         "/a/config (context main)", NULL},
        {"/b/config:/a/config", NULL, "second", "second", "/b/../b.pem", NULL, "/b/./bin/x",
         "/b/config (context main)", NULL},
        {"/gone:/a/config::/empty:/third:/b/config", NULL, "second", "second", "/b/../b.pem", NULL,
         "/b/./bin/x", "/b/config (context two)", NULL},
        {"/third:/a/config:/b/config", "main", "first", "default", "/a/ca.pem", "first", NULL,
         "/a/config (context main)", NULL},
        {"/fourth:/b/config:/a/config", NULL, "second", "default", NULL, NULL, NULL,
         "/fourth (context mine)", "second"},
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct config_bed f;
        setup(&f);
        file(&f, "/a/config", FILE_A);
        file(&f, "/b/config", FILE_B);
        file(&f, "/empty", "# nothing\n");
        file(&f, "/third", "current-context: two\n");
        file(&f, "/fourth",
             "current-context: mine\n"
             "contexts: [{name: mine, context: {cluster: c, user: u}}]\n");
        file(&f, "/a/ca.pem", "CA");
        file(&f, "/b/../b.pem", "CB");
        env(&f, "KUBECONFIG", rows[i].list);
        if (load(&f, NULL, rows[i].context) != FL_OK) fail_msg("%zu: %s", i, f.err.detail);
        const struct fl_kube_exec *exec = &f.config.exec;
        assert_string_equal(f.config.host, rows[i].host);
        assert_string_equal(f.config.ns, rows[i].ns);
        assert_string_equal(f.config.ca_file ? f.config.ca_file : "",
                            rows[i].ca_file ? rows[i].ca_file : "");
        assert_string_equal(f.config.token ? f.config.token : "",
                            rows[i].token ? rows[i].token : "");
        assert_string_equal(exec->argv.count ? exec->argv.list[0] : "",
                            rows[i].command ? rows[i].command : "");
        assert_string_equal(f.config.server_name ? f.config.server_name : "",
                            rows[i].server_name ? rows[i].server_name : "");
        assert_string_equal(f.config.source, rows[i].source);
        teardown(&f);
    }
}

static void test_a_bad_file_among_several_is_named(void **state) {
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/a/config", FILE_A);
    file(&f, "/bad", "a: [");
    env(&f, "KUBECONFIG", "/a/config:/bad");
    assert_int_equal(load(&f, NULL, "main"), FL_ECONFIG);
    assert_non_null(strstr(f.err.detail, "/bad: line"));
    fl_kube_config_deinit(&f.config);
    file(&f, "/bad", "kind: Pod\n");
    assert_int_equal(load(&f, NULL, "main"), FL_ECONFIG);
    assert_non_null(strstr(f.err.detail, "/bad: this is no kubeconfig"));
    teardown(&f);
}

static void test_one_file_is_one_whatever_its_name(void **state) {
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/k/a:b", KUBECONFIG(CLUSTER, USER));
    assert_int_equal(load(&f, "/k/a:b", NULL), FL_OK);
    teardown(&f);
}

/* Another context was made the current one, and the token was renewed: the context stays. */
static void test_reading_again_keeps_the_context(void **state) {
    struct config_bed f;
    struct fl_kube_config again;
    FL_UNUSED(state);
    setup(&f);
    file(&f, "/k/config", KUBECONFIG(CLUSTER, USER));
    assert_int_equal(load(&f, "/k/config", NULL), FL_OK);
    file(&f, "/k/config", "current-context: other\n" FILE_A);
    assert_int_equal(fl_kube_config_reload(fl_world_io(f.world), &f.config, &again, &f.err),
                     FL_ECONFIG);
    fl_kube_config_deinit(&again);
    file(&f, "/k/ca.pem", "CA");
    assert_int_equal(fl_kube_config_reload(fl_world_io(f.world), &f.config, &again, &f.err), FL_OK);
    assert_string_equal(again.context, "main");
    assert_string_equal(again.token, "first");
    fl_kube_config_deinit(&again);
    teardown(&f);
}

static void test_a_copy_is_whole(void **state) {
    struct config_bed f;
    struct fl_kube_config copy;
    FL_UNUSED(state);
    setup(&f);
    env(&f, "https_proxy", "http://u:s3cret@proxy:1");
    file(&f, "/k/config",
         KUBECONFIG(CLUSTER "    certificate-authority-data: Q0E=\n", USER "    as: jane\n"));
    assert_int_equal(load(&f, "/k/config", NULL), FL_OK);
    FL_TEST_EACH_FAILURE(n) {
        int rc = fl_kube_config_copy(&f.config, &copy);
        assert_true(rc == FL_OK || rc == FL_ENOMEM);
        if (rc < 0) continue;
        assert_string_equal(copy.token, "s3cret");
        assert_string_equal(copy.proxy.password, "s3cret");
        assert_string_equal(copy.impersonate.list[1], "jane");
        assert_true(fl_str_eq(fl_buf_str(&copy.ca_pem), FL_STR("CA")));
        fl_kube_config_deinit(&copy);
    }
    teardown(&f);
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
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    assert_int_equal(load(&f, "/no/such", NULL), FL_ESYS);
    assert_non_null(strstr(f.err.detail, "/no/such"));
    fl_kube_config_deinit(&f.config);
    file(&f, "/k/config", KUBECONFIG(CLUSTER "    certificate-authority: gone.pem\n", USER));
    assert_int_equal(load(&f, "/k/config", NULL), FL_ECONFIG);
    assert_non_null(strstr(f.err.detail, "certificate-authority"));
    assert_non_null(strstr(f.err.detail, "/k/gone.pem"));
    assert_non_null(strstr(f.err.detail, "/k/config (context main): "));
    teardown(&f);
}

static void test_the_first_file_of_KUBECONFIG_that_is_there(void **state) {
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    env(&f, "KUBECONFIG", ":/gone:/k/config:/other");
    file(&f, "/k/config", KUBECONFIG(CLUSTER, USER));
    assert_int_equal(load(&f, NULL, NULL), FL_OK);
    assert_string_equal(f.config.ns, "shop");
    fl_kube_config_deinit(&f.config);
    env(&f, "KUBECONFIG", "/gone:/gone-too");
    assert_int_equal(load(&f, NULL, NULL), FL_ESYS);
    assert_non_null(strstr(f.err.detail, "KUBECONFIG: /gone:/gone-too: no such file"));
    fl_kube_config_deinit(&f.config);
    env(&f, "KUBERNETES_SERVICE_HOST", "10.0.0.1"); /* as kubectl: a pod's own account then */
    assert_int_equal(load(&f, NULL, NULL), FL_ECONFIG);
    assert_non_null(strstr(f.err.detail, "the pod's namespace"));
    teardown(&f);
}

static void test_the_home_folder_comes_last(void **state) {
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    assert_int_equal(load(&f, NULL, NULL), FL_ECONFIG);
    assert_non_null(strstr(f.err.detail, "HOME is not set"));
    fl_kube_config_deinit(&f.config);
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
    struct config_bed f;
    FL_UNUSED(state);
    setup(&f);
    env(&f, "KUBERNETES_SERVICE_HOST", "fd00::1");
    env(&f, "KUBERNETES_SERVICE_PORT", "6443");
    file(&f, ACCOUNT "namespace", "pods-own\n");
    assert_int_equal(load(&f, NULL, NULL), FL_ECONFIG);
    assert_non_null(strstr(f.err.detail, ACCOUNT "ca.crt"));
    fl_kube_config_deinit(&f.config);
    file(&f, ACCOUNT "ca.crt", "CA");
    assert_int_equal(load(&f, NULL, NULL), FL_OK);
    assert_string_equal(f.config.host, "fd00::1");
    assert_int_equal(f.config.port, 6443);
    assert_true(f.config.tls);
    assert_string_equal(f.config.ns, "pods-own");
    assert_string_equal(f.config.token_file, ACCOUNT "token");
    assert_string_equal(f.config.source, "in-cluster");
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_files_are_merged_as_kubectl_does),
        cmocka_unit_test(test_a_bad_file_among_several_is_named),
        cmocka_unit_test(test_one_file_is_one_whatever_its_name),
        cmocka_unit_test(test_reading_again_keeps_the_context),
        cmocka_unit_test(test_a_copy_is_whole),
        cmocka_unit_test(test_missing_entries_are_named),
        cmocka_unit_test(test_a_missing_file_is_named),
        cmocka_unit_test(test_the_first_file_of_KUBECONFIG_that_is_there),
        cmocka_unit_test(test_the_home_folder_comes_last),
        cmocka_unit_test(test_in_cluster),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
