/* kube_proxy_test.c - which proxy, if any, stands between us and a server. */
#include "support/alloc.h"

#include "kube/kubeconfig.h"
#include "kube/no_proxy.h"
#include "kube/proxy.h"
#include "sim/world.h"

/* Expectations are golang.org/x/net/http/httpproxy's. */
static void test_NO_PROXY(void **state) {
    static const struct {
        const char *list, *host;
        bool named;
        uint16_t port; /* 0: 443 */
    } rows[] = {
        {"", "localhost", true, 0},
        {"", "127.0.0.1", true, 0},
        {"", "127.9.8.7", true, 0},
        {"", "::1", true, 0},
        {"", "::ffff:127.0.0.1", true, 0},
        {"", "10.0.0.1", false, 0},
        {"", "example.com", false, 0},
        {"*", "example.com", true, 0},
        {"a, *", "10.0.0.1", true, 0},
        {"example.com", "example.com", true, 0},
        {"example.com", "EXAMPLE.com", true, 0},
        {"EXAMPLE.COM", "api.example.com", true, 0},
        {"example.com", "notexample.com", false, 0},
        {"example.com", "example.org", false, 0},
        {".example.com", "example.com", false, 0},
        {".example.com", "api.example.com", true, 0},
        {"*.example.com", "api.example.com", true, 0},
        {"*.example.com", "example.com", false, 0},
        {"*", "", true, 0},
        {"example.com:443", "example.com", true, 0},
        {"example.com:6443", "example.com", false, 0},
        {".example.com:6443", "api.example.com", true, 6443},
        {"example.com:", "example.com", true, 0},
        {":443", "example.com", false, 0},
        {" , ,", "example.com", false, 0},
        {"10.0.0.1", "10.0.0.1", true, 0},
        {"10.0.0.1:443", "10.0.0.1", true, 0},
        {"10.0.0.1:80", "10.0.0.1", false, 0},
        {"10.0.0.1", "10.0.0.10", false, 0},
        {"10.0.0.0/8", "10.1.2.3", true, 0},
        {"10.0.0.0/8", "11.1.2.3", false, 0},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true, 0},
        {"::ffff:10.0.0.0/104", "10.1.2.3", true, 0},
        {"10.0.0.0/9", "10.128.0.1", false, 0},
        {"0.0.0.0/0", "10.128.0.1", true, 0},
        {"0.0.0.0/0", "fd00::1", false, 0},
        {"10.0.0.0/33", "10.0.0.0", false, 0},
        {"10.0.0.0/", "10.0.0.0", false, 0},
        {"example.com/8", "example.com", false, 0},
        {"fd00::/8", "fd12::1", true, 0},
        {"fd00::/8", "fe00::1", false, 0},
        {"fd00::1", "fd00::1", true, 0},
        {"fd00::1", "fd00:0::1", true, 0},
        {"[fd00::1]:443", "fd00::1", true, 0},
        {"[fd00::1]:80", "fd00::1", false, 0},
        {"[fd00::1]", "fd00::1", false, 0},
        {"0.1", "10.0.0.1", false, 0},
        {".", "example.com", false, 0},
        {"*.", "example.com", false, 0},
        {"a:b:c", "a", false, 0},
        {"[", "a", false, 0},
        {"[]:443", "a", false, 0},
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        uint16_t port = rows[i].port ? rows[i].port : 443;
        if (fl_no_proxy(fl_str_of(rows[i].list), fl_str_of(rows[i].host), port) != rows[i].named)
            fail_msg("\"%s\" and %s", rows[i].list, rows[i].host);
    }
}

static void test_proxy_urls(void **state) {
    static const struct {
        const char *url, *host, *user, *password;
        uint16_t port;
        enum fl_proxy_kind kind;
        bool tls;
    } good[] = {
        {"http://proxy", "proxy", NULL, NULL, 80, FL_PROXY_HTTP, false},
        {"HTTP://proxy:3128/", "proxy", NULL, NULL, 3128, FL_PROXY_HTTP, false},
        {"https://proxy", "proxy", NULL, NULL, 443, FL_PROXY_HTTP, true},
        {"socks5://[fd00::1]", "fd00::1", NULL, NULL, 1080, FL_PROXY_SOCKS5, false},
        {"http://jane@proxy", "proxy", "jane", "", 80, FL_PROXY_HTTP, false},
        {"http://jane:p%40ss%2fw@proxy:1", "proxy", "jane", "p@ss/w", 1, FL_PROXY_HTTP, false},
        {"http://jane:a@b:c@proxy", "proxy", "jane", "a@b:c", 80, FL_PROXY_HTTP, false},
    };
    static const char *const bad[] = {
        "",           "proxy",           "proxy:80",          "ftp://proxy",
        "http://",    "socks4://p",      "socks5h://p",       "http://u:s3cret@",
        "http://p:0", "http://u:%zz@p",  "http://u:s3%00t@p", "http://u:s3cret/@p",
        "://p",       "http://u:s3%2@p",
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(good); i++) {
        struct fl_kube_proxy p = {.port = 0};
        assert_int_equal(fl_kube_proxy_parse(fl_str_of(good[i].url), &p, NULL), FL_OK);
        assert_string_equal(p.host, good[i].host);
        assert_int_equal(p.port, good[i].port);
        assert_int_equal(p.kind, good[i].kind);
        assert_int_equal(p.tls, good[i].tls);
        assert_int_equal(p.user != NULL, good[i].user != NULL);
        if (p.user) assert_string_equal(p.user, good[i].user);
        if (p.user) assert_string_equal(p.password, good[i].password);
        fl_kube_proxy_deinit(&p);
    }
    for (size_t i = 0; i < FL_COUNT(bad); i++) {
        struct fl_kube_proxy p = {.port = 0};
        struct fl_error err;
        if (fl_kube_proxy_parse(fl_str_of(bad[i]), &p, &err) != FL_ECONFIG)
            fail_msg("accepted: %s", bad[i]);
        assert_null(strstr(err.detail, "s3"));
        fl_kube_proxy_deinit(&p);
    }
}

struct env {
    const char *name, *value;
};

static void test_the_environments_proxy(void **state) {
    static const struct {
        const char *server;
        struct env env[3];
        const char *host; /* NULL: none */
        uint16_t port;
        const char *error;
    } rows[] = {
        {"https://api", {{"HTTPS_PROXY", "http://proxy:1"}}, "proxy", 1, NULL},
        {"https://api", {{"HTTP_PROXY", "http://proxy:1"}}, NULL, 0, NULL},
        {"http://api", {{"HTTP_PROXY", "http://proxy:1"}}, "proxy", 1, NULL},
        {"https://api", {{"HTTPS_PROXY", "proxy:3128"}}, "proxy", 3128, NULL},
        {"https://api", {{"HTTPS_PROXY", "proxy"}}, "proxy", 80, NULL},
        {"https://api", {{"HTTPS_PROXY", "socks5h://proxy"}}, "proxy", 1080, NULL},
        {"https://api", {{"HTTPS_PROXY", "a:1"}, {"https_proxy", "b:1"}}, "b", 1, NULL},
        {"https://api", {{"HTTPS_PROXY", "a:1"}, {"https_proxy", ""}}, "a", 1, NULL},
        {"https://api", {{"HTTPS_PROXY", "a:1"}, {"NO_PROXY", "api"}}, NULL, 0, NULL},
        {"https://api",
         {{"HTTPS_PROXY", "a:1"}, {"no_proxy", "b"}, {"NO_PROXY", "api"}},
         "a",
         1,
         NULL},
        {"https://127.0.0.1", {{"HTTPS_PROXY", "a:1"}}, NULL, 0, NULL},
        {"https://localhost", {{"HTTPS_PROXY", "a:1"}}, NULL, 0, NULL},
        {"https://api",
         {{"HTTPS_PROXY", "ftp://u:s3cret@a"}},
         NULL,
         0,
         "the environment's HTTPS_PROXY: has the scheme \"ftp\""},
        {"https://api",
         {{"https_proxy", "u:s3cret@:"}},
         NULL,
         0,
         "the environment's https_proxy: \"...\""},
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        const struct fl_world_options options = {.seed = 1};
        struct fl_world *world;
        struct fl_kube_config config;
        struct fl_error err = {.detail = ""};
        assert_int_equal(fl_world_new(&options, &world), FL_OK);
        for (size_t e = 0; e < FL_COUNT(rows[i].env) && rows[i].env[e].name; e++)
            assert_int_equal(fl_world_env(world, rows[i].env[e].name, rows[i].env[e].value), FL_OK);
        fl_kube_config_init(&config);
        assert_int_equal(fl_server_url_parse(fl_str_of(rows[i].server), &config, NULL), FL_OK);
        int rc = fl_kube_proxy_from_env(fl_world_io(world), &config, &err);
        assert_int_equal(rc, rows[i].error ? FL_ECONFIG : FL_OK);
        if (rows[i].error && !strstr(err.detail, rows[i].error)) fail_msg("%s", err.detail);
        assert_null(strstr(err.detail, "s3cret"));
        if (!rows[i].error) {
            assert_string_equal(config.proxy.host ? config.proxy.host : "",
                                rows[i].host ? rows[i].host : "");
            assert_int_equal(config.proxy.port, rows[i].port);
        }
        fl_kube_config_deinit(&config);
        fl_world_free(world);
    }
}

static void test_the_kubeconfigs_proxy_wins(void **state) {
    const struct fl_world_options options = {.seed = 1};
    struct fl_world *world;
    struct fl_kube_config config;
    FL_UNUSED(state);
    assert_int_equal(fl_world_new(&options, &world), FL_OK);
    assert_int_equal(fl_world_env(world, "HTTPS_PROXY", "env:1"), FL_OK);
    assert_int_equal(fl_world_env(world, "NO_PROXY", "*"), FL_OK);
    fl_kube_config_init(&config);
    assert_int_equal(fl_server_url_parse(FL_STR("https://127.0.0.1"), &config, NULL), FL_OK);
    assert_int_equal(fl_kube_proxy_parse(FL_STR("http://own:2"), &config.proxy, NULL), FL_OK);
    assert_int_equal(fl_kube_proxy_from_env(fl_world_io(world), &config, NULL), FL_OK);
    assert_string_equal(config.proxy.host, "own");
    fl_kube_config_deinit(&config);
    fl_world_free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_NO_PROXY),
        cmocka_unit_test(test_proxy_urls),
        cmocka_unit_test(test_the_environments_proxy),
        cmocka_unit_test(test_the_kubeconfigs_proxy_wins),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
