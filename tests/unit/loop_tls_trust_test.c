/* loop_tls_trust_test.c - TLS on loopback sockets, with certificates made here: who is believed,
 * who is refused and in which words. */
#include "support/tls_bed.h"

#include <openssl/pem.h>
#include <stdlib.h>
#include <unistd.h>

/* A client that trusts the authority, a server that it signed. */
static void link_good(struct link *l) {
    struct fl_tls_config client = client_config(), server = server_config(&good);
    link_init(l, &client, &server);
}

static void test_good(void **state) {
    (void)state;
    struct link l;
    link_good(&l);
    link_dial(&l, "echo.test");
    assert_true(l.client.open);
    assert_string_equal(l.client.alpn, "");
    fl_test_peer_write(&l.client, "secret");
    fl_test_peer_expect(l.runtime, &l.client, "secret");
    fl_sock_close(l.io, l.client.sock);
    fl_test_loop_until_true(l.runtime, &l.server.peer.closed);
    fl_test_loop_until_true(l.runtime, &l.client.closed);
    assert_int_equal(l.server.peer.eofs, 1); /* a clean end: close_notify */
    assert_int_equal(l.server.peer.why.code, FL_OK);
    assert_int_equal(l.client.why.code, FL_OK);
    link_end(&l);
}

static void test_address_in_the_certificate(void **state) {
    (void)state;
    struct link l;
    link_good(&l);
    link_dial(&l, NULL); /* 127.0.0.1, which was dialled */
    assert_true(l.client.open);
    link_end(&l);
}

static void test_alpn(void **state) {
    (void)state;
    static const char *const ours[] = {"h2", "http/1.1", NULL};
    static const char *const theirs[] = {"http/1.1", "h2", NULL};
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    client.alpn = ours;
    server.alpn = theirs;
    link_init(&l, &client, &server);
    link_dial(&l, "echo.test");
    assert_string_equal(l.client.alpn, "http/1.1"); /* the server's wish decides */
    link_end(&l);
}

static void test_alpn_without_a_common_protocol(void **state) {
    (void)state;
    static const char *const ours[] = {"h2", NULL};
    static const char *const theirs[] = {"http/1.1", NULL};
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    client.alpn = ours;
    server.alpn = theirs;
    link_init(&l, &client, &server);
    link_dial(&l, "echo.test");
    assert_failed(&l, FL_ETLS, "no application protocol");
    link_end(&l);
}

static void refuse(const struct fl_test_cert *cert, const char *name, const char *words) {
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(cert);
    link_init(&l, &client, &server);
    link_dial(&l, name);
    assert_failed(&l, FL_ECERT, words);
    link_end(&l);
}

static void test_wrong_authority(void **state) {
    (void)state;
    struct fl_test_cert other;
    struct fl_test_cert_options options = {.issuer = &stranger, .names = NAMES};
    fl_test_cert_init(&other, "echo", &options);
    refuse(&other, "echo.test", "give the authority that signed it");
    fl_test_cert_deinit(&other);
}

static void test_self_signed(void **state) {
    (void)state;
    struct fl_test_cert self;
    struct fl_test_cert_options options = {.names = NAMES};
    fl_test_cert_init(&self, "echo", &options);
    refuse(&self, "echo.test", "give this certificate as a trusted one");
    fl_test_cert_deinit(&self);
}

static void test_wrong_name(void **state) {
    (void)state;
    refuse(&elsewhere, "echo.test",
           "certificate is not for \"echo.test\" but for elsewhere.test, 127.0.0.9, ::1");
}

static void test_wrong_address(void **state) {
    (void)state;
    refuse(&elsewhere, NULL, "certificate is not for \"127.0.0.1\" but for elsewhere.test");
}

static void test_address_is_no_name(void **state) { /* a DNS name that looks like the address */
    (void)state;
    struct fl_test_cert odd;
    struct fl_test_cert_options options = {.issuer = &authority, .names = "DNS:127.0.0.1"};
    fl_test_cert_init(&odd, "127.0.0.1", &options);
    refuse(&odd, NULL, "certificate is not for \"127.0.0.1\"");
    fl_test_cert_deinit(&odd);
}

static void test_subject_is_no_name(void **state) { /* as it was before there were others */
    (void)state;
    struct fl_test_cert odd;
    struct fl_test_cert_options options = {.issuer = &authority};
    fl_test_cert_init(&odd, "echo.test", &options);
    refuse(&odd, "echo.test", "certificate is not for \"echo.test\" but for no name");
    fl_test_cert_deinit(&odd);
}

static void test_part_of_a_label_is_no_wildcard(void **state) {
    (void)state;
    struct fl_test_cert wild;
    struct fl_test_cert_options options = {.issuer = &authority, .names = "DNS:e*.example.test"};
    fl_test_cert_init(&wild, "wild", &options);
    refuse(&wild, "echo.example.test", "certificate is not for \"echo.example.test\"");
    fl_test_cert_deinit(&wild);
}

static void test_expired(void **state) {
    (void)state;
    refuse(&expired, "echo.test", "certificate has expired; renew it");
}

static void test_not_yet_valid(void **state) {
    (void)state;
    struct fl_test_cert early;
    struct fl_test_cert_options options = {
        .issuer = &authority, .names = NAMES, .from_s = 3600, .until_s = 7200};
    fl_test_cert_init(&early, "echo", &options);
    refuse(&early, "echo.test", "not yet valid");
    fl_test_cert_deinit(&early);
}

static void test_system_authorities_do_not_know_ours(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = {0}, server = server_config(&good);
    link_init(&l, &client, &server);
    link_dial(&l, "echo.test");
    assert_failed(&l, FL_ECERT, "certificate not trusted");
    link_end(&l);
}

/* The system's authorities are the stranger for a while. */
static void with_system_authorities(const struct fl_tls_config *client, bool good_peer) {
    struct fl_test_cert theirs;
    struct fl_test_cert_options options = {.issuer = &stranger, .names = NAMES};
    char path[] = "/tmp/loop_tls_test.XXXXXX";
    int fd = mkstemp(path);
    size_t n = strlen(stranger.cert_pem);
    assert_int_equal(write(fd, stranger.cert_pem, n), n);
    close(fd);
    fl_test_cert_init(&theirs, "echo", &options);
    setenv("SSL_CERT_FILE", path, 1);
    struct link l;
    struct fl_tls_config server = server_config(&theirs);
    link_init(&l, client, &server);
    unsetenv("SSL_CERT_FILE");
    unlink(path);
    link_dial(&l, "echo.test");
    if (good_peer) {
        assert_true(l.client.open);
    } else {
        assert_failed(&l, FL_ECERT, "certificate not trusted");
    }
    link_end(&l);
    fl_test_cert_deinit(&theirs);
}

static void test_system_authorities_only_without_others(void **state) {
    (void)state;
    struct fl_tls_config none = {0}, ours = client_config();
    with_system_authorities(&none, true);
    with_system_authorities(&ours, false);
}

static void test_verification_switched_off(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = {.insecure_skip_verify = true}, server = server_config(&expired);
    link_init(&l, &client, &server);
    link_dial(&l, "another.test");
    assert_true(l.client.open);
    link_end(&l);
}

static void test_client_certificate(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    server.ca_pem = fl_str_of(authority.cert_pem);
    client.cert_pem = fl_str_of(user.cert_pem);
    client.key_pem = fl_str_of(user.key_pem);
    link_init(&l, &client, &server);
    link_dial(&l, "echo.test");
    fl_test_peer_write(&l.client, "it is me");
    fl_test_peer_expect(l.runtime, &l.client, "it is me");
    link_end(&l);
}

/* In TLS 1.3 the client hears of it after its own handshake is done. */
static void test_no_client_certificate(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    server.ca_pem = fl_str_of(authority.cert_pem);
    link_init(&l, &client, &server);
    dial_as(&l, l.server.port, "echo.test", 30000);
    fl_test_loop_until_true(l.runtime, &l.client.closed);
    assert_int_equal(l.client.why.code, FL_ETLS);
    assert_non_null(strstr(l.client.why.detail, "did not accept this side's certificate"));
    assert_int_equal(l.server.accepted, 0);
    struct fl_metric *dropped =
        fl_metrics_get(l.io->metrics, FL_METRIC_COUNTER, "fairlead_accepts_dropped_total", "", "");
    assert_int_equal(fl_metric_value(dropped), 1);
    link_end(&l);
}

static void assert_config_error(const struct fl_tls_config *config, const char *words) {
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_tls *tls;
    struct fl_error err;
    assert_int_equal(fl_io_tls_new(runtime->io, config, &tls, &err), FL_ECONFIG);
    if (!strstr(err.detail, words)) fail_msg("detail: %s", err.detail);
    fl_runtime_free(runtime);
}

static void test_wrong_configurations(void **state) {
    (void)state;
    struct fl_tls_config config = {.ca_pem = FL_STR("not a certificate")};
    assert_config_error(&config, "TLS authorities: no certificate in PEM form");
    config.ca_pem = FL_STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_config_error(&config, "TLS authorities: ");
    config = (struct fl_tls_config){.server = true};
    assert_config_error(&config, "a server needs a certificate");
    config = (struct fl_tls_config){.cert_pem = fl_str_of(user.cert_pem)};
    assert_config_error(&config, "certificate without its private key");
    config = (struct fl_tls_config){.key_pem = fl_str_of(user.key_pem)};
    assert_config_error(&config, "private key without its certificate");
    config.cert_pem = fl_str_of(good.cert_pem);
    assert_config_error(&config, "private key");
    config.cert_pem = fl_str_of(user.cert_pem);
    config.key_pem = FL_STR("garbage");
    assert_config_error(&config, "private key");
    static const char *const alpn[] = {"", NULL};
    config = (struct fl_tls_config){.alpn = alpn};
    assert_config_error(&config, "ALPN");
}

/* Nobody is asked for a password on the terminal. */
static void test_encrypted_key_is_an_error(void **state) {
    (void)state;
    BIO *clear = BIO_new_mem_buf(user.key_pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(clear, NULL, NULL, NULL);
    BIO_free(clear);
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem;
    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
    EVP_PKEY_free(key);
    long n = BIO_get_mem_data(bio, &pem);
    struct fl_tls_config config = {.cert_pem = fl_str_of(user.cert_pem),
                                   .key_pem = fl_str_n(pem, (size_t)n)};
    assert_config_error(&config, "private key");
    BIO_free(bio);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_address_in_the_certificate),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_alpn_without_a_common_protocol),
        cmocka_unit_test(test_wrong_authority),
        cmocka_unit_test(test_self_signed),
        cmocka_unit_test(test_wrong_name),
        cmocka_unit_test(test_wrong_address),
        cmocka_unit_test(test_address_is_no_name),
        cmocka_unit_test(test_subject_is_no_name),
        cmocka_unit_test(test_part_of_a_label_is_no_wildcard),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_not_yet_valid),
        cmocka_unit_test(test_system_authorities_do_not_know_ours),
        cmocka_unit_test(test_system_authorities_only_without_others),
        cmocka_unit_test(test_verification_switched_off),
        cmocka_unit_test(test_client_certificate),
        cmocka_unit_test(test_no_client_certificate),
        cmocka_unit_test(test_wrong_configurations),
        cmocka_unit_test(test_encrypted_key_is_an_error),
    };
    make_certificates();
    int rc = fl_test_run(tests, FL_COUNT(tests));
    free_certificates();
    return rc;
}
