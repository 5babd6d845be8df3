/* kube_certificates_test.c - certificates and proxies of kube/client.h: a world has no TLS, so what
 * would be made and dialled is written down. */
#include "support/client_bed.h"

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
    return FL_CONTAINER(io->ops, struct client_bed, ops)
        ->real_ops->dial(io, &plain, events_, arg, out, err);
}

static void pem_file(struct client_bed *f, const char *path, const char *text) {
    assert_int_equal(fl_world_file(f->world, path, fl_str_of(text)), FL_OK);
}

/* https with certificate, key and authority in files. */
static void setup_tls(struct client_bed *f) {
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
    struct client_bed f;
    FL_UNUSED(state);
    setup_tls(&f);
    open_client(&f, false);
    expect_granted(&f);
    assert_string_equal(last_dialled()->cert, "CERT1");
    pem_file(&f, "/pki/cert", "CERT2");
    pem_file(&f, "/pki/key", "KEY2");
    expect_granted(&f);
    assert_int_equal(tls.dials, 1); /* kept alive */
    fl_world_run_ms(f.world, 60000);
    expect_granted(&f); /* not on the connection that was made with the old one */
    assert_int_equal(tls.dials, 2);
    assert_string_equal(last_dialled()->cert, "CERT2");
    fl_world_run_ms(f.world, 120000);
    assert_int_equal(tls.count, 2); /* nothing has changed since */
    teardown(&f);
    assert_all_dropped();
}

static void test_an_authority_is_reloaded_when_changed(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_tls(&f);
    open_client(&f, false);
    expect_granted(&f);
    pem_file(&f, "/pki/ca", "CA2");
    fl_world_run_ms(f.world, 61000);
    expect_granted(&f); /* the old connection is as good as it was */
    assert_int_equal(tls.dials, 1);
    fl_world_cut(f.world, FL_STR("::1"));
    fl_world_run_ms(f.world, 100);
    expect_granted(&f);
    assert_string_equal(last_dialled()->ca, "CA2");
    teardown(&f);
    assert_all_dropped();
}

/* Serving certificate and authority were replaced together: the handshake that fails looks. */
static void test_a_failed_handshake_looks_at_the_authority(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_tls(&f);
    open_client(&f, false);
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
    struct client_bed f;
    FL_UNUSED(state);
    setup_tls(&f);
    f.config.token_file = fl_strdup(TOKEN_FILE);
    token_file(&f, "first");
    want(&f, "Bearer second");
    open_client(&f, false);
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
    struct client_bed f;
    FL_UNUSED(state);
    setup_tls(&f);
    open_client(&f, false);
    pem_file(&f, "/pki/cert", "BAD");
    fl_world_run_ms(f.world, 61000);
    expect_granted(&f);
    assert_string_equal(last_dialled()->cert, "CERT1");
    pem_file(&f, "/pki/cert", "");
    fl_world_run_ms(f.world, 61000);
    expect_granted(&f);
    assert_int_equal(tls.count, 1);
    pem_file(&f, "/pki/cert", "CERT3");
    fl_world_run_ms(f.world, 61000);
    expect_granted(&f);
    assert_string_equal(last_dialled()->cert, "CERT3");
    teardown(&f);
    assert_all_dropped();
}

static void plugin_gives_cert(struct client_bed *f, const char *cert, uint32_t delay_ms) {
    static const char answer[] =
        "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
        "\"status\":{\"clientCertificateData\":\"%s\",\"clientKeyData\":\"KEY\"}}";
    char text[256];
    snprintf(text, sizeof(text), answer, cert);
    plugin_prints(f, text, delay_ms);
}

static void setup_plugin_tls(struct client_bed *f) {
    setup_tls(f);
    fl_free(f->config.cert_file);
    fl_free(f->config.key_file);
    f->config.cert_file = f->config.key_file = NULL;
    fl_buf_deinit(&f->config.cert_pem);
    fl_buf_deinit(&f->config.key_pem);
    assert_int_equal(fl_texts_add(&f->config.exec.argv, FL_STR(PLUGIN), FL_STR_NONE), FL_OK);
    f->config.exec.api_version = fl_strdup("client.authentication.k8s.io/v1");
    plugin_gives_cert(f, "GIVEN1", 0);
    open_client(f, false);
}

static void test_a_plugin_gives_a_certificate(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_plugin_tls(&f);
    expect_granted(&f);
    assert_string_equal(last_dialled()->cert, "GIVEN1");
    assert_string_equal(last_dialled()->ca, "CA1");
    assert_int_equal(tls.dials, 1);
    plugin_gives_cert(&f, "GIVEN2", 0);
    want(&f, "Bearer x"); /* refused: the plugin runs again */
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
    struct client_bed f;
    struct answer a, b;
    FL_UNUSED(state);
    setup_plugin_tls(&f);
    start(&f, &b); /* on a connection of its own, which is kept */
    expect_granted(&f);
    plugin_gives_cert(&f, "GIVEN2", 20);
    want(&f, "Bearer x");
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
    struct client_bed f;
    FL_UNUSED(state);
    setup_tls(&f);
    f.config.proxy = (struct fl_kube_proxy){.host = fl_strdup("proxy"),
                                            .port = 3128,
                                            .kind = FL_PROXY_HTTP,
                                            .tls = true,
                                            .user = fl_strdup("jane"),
                                            .password = fl_strdup("s3cret")};
    open_client(&f, false);
    expect_granted(&f);
    assert_string_equal(tls.proxy_host, "proxy");
    assert_string_equal(tls.proxy_password, "s3cret");
    assert_int_equal(tls.proxy.port, 3128);
    assert_string_equal(tls.proxy.tls->ca, "CA1"); /* as Go does */
    assert_string_equal(tls.proxy.tls->cert, "");
    teardown(&f);
    assert_all_dropped();
}

static void test_what_is_logged(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup_tls(&f);
    log_keep();
    f.config.insecure_skip_verify = true;
    f.config.token = fl_strdup("s3cret");
    f.config.proxy = (struct fl_kube_proxy){
        .host = fl_strdup("proxy"), .user = fl_strdup("jane"), .password = fl_strdup("s3cret")};
    open_client(&f, false);
    assert_non_null(strstr(logged, "insecure-skip-tls-verify: anybody on the way"));
    want(&f, "Bearer other");
    assert_int_equal(get(&f).status, 401);
    pem_file(&f, "/pki/key", "s3cret");
    fl_world_run_ms(f.world, 61000);
    assert_non_null(strstr(logged, "certificates have changed"));
    pem_file(&f, "/pki/cert", "BAD");
    fl_world_run_ms(f.world, 61000);
    assert_non_null(strstr(logged, "certificates cannot be used"));
    teardown(&f);
    log_drop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificates_are_reloaded_when_changed),
        cmocka_unit_test(test_an_authority_is_reloaded_when_changed),
        cmocka_unit_test(test_a_failed_handshake_looks_at_the_authority),
        cmocka_unit_test(test_W15_a_certificate_is_read_again_on_401),
        cmocka_unit_test(test_bad_certificates_leave_the_last_ones),
        cmocka_unit_test(test_a_plugin_gives_a_certificate),
        cmocka_unit_test(test_a_plugin_gives_a_certificate_while_closing),
        cmocka_unit_test(test_a_proxy_is_dialled),
        cmocka_unit_test(test_what_is_logged),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
