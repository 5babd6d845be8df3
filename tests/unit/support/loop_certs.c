/* loop_certs.c - certificates for the tests of TLS: P-256 keys, an authority that signs itself. */
#include "support/loop_certs.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "support/alloc.h"

static char *text_of(BIO *bio) {
    char *data;
    long n = BIO_get_mem_data(bio, &data);
    char *text = malloc((size_t)n + 1);
    assert_non_null(text);
    memcpy(text, data, (size_t)n);
    text[n] = '\0';
    BIO_free(bio);
    return text;
}

static void add_extension(X509 *x509, const X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, (X509 *)issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(x509, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void set_times(X509 *x509, const struct fl_test_cert_options *options) {
    bool given = options->from_s || options->until_s;
    X509_gmtime_adj(X509_getm_notBefore(x509), given ? options->from_s : -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), given ? options->until_s : 3600);
}

void fl_test_cert_init(struct fl_test_cert *cert, const char *common_name,
                       const struct fl_test_cert_options *options) {
    static long serial = 1;
    cert->key = EVP_EC_gen("P-256");
    cert->x509 = X509_new();
    assert_non_null(cert->key);
    assert_non_null(cert->x509);
    X509_set_version(cert->x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert->x509), serial++);
    X509_set_pubkey(cert->x509, cert->key);
    set_times(cert->x509, options);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert->x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)common_name, -1, -1, 0);
    const X509 *issuer = options->issuer ? options->issuer->x509 : cert->x509;
    X509_set_issuer_name(cert->x509, X509_get_subject_name(issuer));
    add_extension(cert->x509, issuer, NID_basic_constraints,
                  options->issuer ? "CA:FALSE" : "critical,CA:TRUE");
    if (options->names) add_extension(cert->x509, issuer, NID_subject_alt_name, options->names);
    EVP_PKEY *signer = options->issuer ? options->issuer->key : cert->key;
    assert_true(X509_sign(cert->x509, signer, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, cert->x509);
    cert->cert_pem = text_of(bio);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, cert->key, NULL, NULL, 0, NULL, NULL);
    cert->key_pem = text_of(bio);
}

void fl_test_cert_deinit(struct fl_test_cert *cert) {
    X509_free(cert->x509);
    EVP_PKEY_free(cert->key);
    free(cert->cert_pem);
    free(cert->key_pem);
}
