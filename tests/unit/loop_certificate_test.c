/* loop_certificate_test.c - certificates to throw away, as OpenSSL's own verifier sees them. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "loop/certificate.h"
#include "support/alloc.h"

static X509 *parse(const struct fl_certificate *certificate) {
    BIO *bio = BIO_new_mem_buf(certificate->cert_pem, -1);
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(x509);
    return x509;
}

static struct fl_certificate make(const struct fl_certificate_options *options) {
    struct fl_certificate certificate;
    assert_int_equal(fl_certificate_init(&certificate, options, NULL), 0);
    return certificate;
}

/* X509_V_OK or why not, as strictly as OpenSSL can. */
static int verify(const struct fl_certificate *leaf, const struct fl_certificate *authority,
                  int purpose) {
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509 *x509 = parse(leaf), *trusted = parse(authority);
    X509_STORE_add_cert(store, trusted);
    X509_STORE_CTX_init(context, store, x509, NULL);
    X509_STORE_CTX_set_flags(context, X509_V_FLAG_X509_STRICT);
    X509_STORE_CTX_set_purpose(context, purpose);
    X509_verify_cert(context);
    int result = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(x509);
    X509_free(trusted);
    return result;
}

static void test_names_and_purpose(void **state) {
    (void)state;
    struct fl_certificate authority =
        make(&(struct fl_certificate_options){.name = "some authority"});
    struct fl_certificate server = make(&(struct fl_certificate_options){
        .issuer = &authority, .name = "api", .alt_names = "DNS:api.test, IP:10.0.0.1, IP:::1"});
    struct fl_certificate client = make(
        &(struct fl_certificate_options){.issuer = &authority, .name = "user", .client = true});
    assert_int_equal(verify(&server, &authority, X509_PURPOSE_SSL_SERVER), X509_V_OK);
    assert_int_equal(verify(&client, &authority, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
    assert_int_not_equal(verify(&client, &authority, X509_PURPOSE_SSL_SERVER), X509_V_OK);
    X509 *x509 = parse(&server);
    assert_int_equal(X509_check_host(x509, "api.test", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(x509, "10.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x509, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x509, "10.0.0.2", 0), 0);
    X509_free(x509);
    fl_certificate_deinit(&client);
    fl_certificate_deinit(&server);
    fl_certificate_deinit(&authority);
}

static void test_authorities_of_one_name(void **state) {
    (void)state;
    struct fl_certificate_options same = {.name = "authority"};
    struct fl_certificate one = make(&same), two = make(&same);
    struct fl_certificate server =
        make(&(struct fl_certificate_options){.issuer = &one, .name = "s"});
    assert_int_equal(verify(&server, &one, X509_PURPOSE_SSL_SERVER), X509_V_OK);
    assert_int_not_equal(verify(&server, &two, X509_PURPOSE_SSL_SERVER), X509_V_OK);
    fl_certificate_deinit(&server);
    fl_certificate_deinit(&one);
    fl_certificate_deinit(&two);
}

static void test_times(void **state) {
    (void)state;
    struct fl_certificate authority = make(&(struct fl_certificate_options){.name = "a"});
    struct fl_certificate old = make(&(struct fl_certificate_options){
        .issuer = &authority, .name = "s", .from_s = -7200, .until_s = -3600});
    assert_int_equal(verify(&old, &authority, X509_PURPOSE_SSL_SERVER),
                     X509_V_ERR_CERT_HAS_EXPIRED);
    fl_certificate_deinit(&old);
    fl_certificate_deinit(&authority);
}

static void test_wrong_use(void **state) {
    (void)state;
    struct fl_certificate out, garbage = {(char *)"no certificate", (char *)"no key"};
    struct fl_error err;
    struct fl_certificate_options wrong[] = {{.name = "a", .alt_names = "no such: thing"},
                                             {.name = "a", .alt_names = "IP:nowhere"},
                                             {.name = "a", .issuer = &garbage}};
    for (size_t i = 0; i < FL_COUNT(wrong); i++) {
        assert_int_equal(fl_certificate_init(&out, &wrong[i], &err), FL_EUSAGE);
        assert_memory_equal(err.detail, "certificate: ", 13);
        assert_null(out.cert_pem);
    }
}

static void test_every_failed_allocation(void **state) {
    (void)state;
    FL_TEST_EACH_FAILURE(n) {
        struct fl_certificate out;
        int rc = fl_certificate_init(&out, &(struct fl_certificate_options){.name = "a"}, NULL);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_certificate_deinit(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_purpose),
        cmocka_unit_test(test_authorities_of_one_name),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_every_failed_allocation),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
