/* certificate.c - see certificate.h.
 *
 * What strict verifiers ask for is there: key identifiers, key usage, names of the peer in the
 * subjectAltName. Two authorities of one name have different key identifiers, so that a verifier
 * does not take one for the other. */
#include "loop/certificate.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "base/secret.h"
#include "base/str.h"
#include "loop/tls_text.h"

#define HOUR_S (60L * 60)
#define YEAR_S (365 * 24 * HOUR_S)

/* Who signs: the issuer's, or its own. */
struct signer {
    X509 *x509;
    EVP_PKEY *key;
};

static bool read_issuer(const struct fl_certificate *issuer, struct signer *out) {
    BIO *cert = BIO_new_mem_buf(issuer->cert_pem, -1);
    BIO *key = BIO_new_mem_buf(issuer->key_pem, -1);
    out->x509 = cert ? PEM_read_bio_X509(cert, NULL, NULL, NULL) : NULL;
    out->key = key ? PEM_read_bio_PrivateKey(key, NULL, NULL, NULL) : NULL;
    BIO_free(cert);
    BIO_free(key);
    return out->x509 && out->key;
}

static bool add_extension(X509 *x509, const X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, (X509 *)issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool good = extension && X509_add_ext(x509, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static bool add_extensions(X509 *x509, const X509 *issuer,
                           const struct fl_certificate_options *options) {
    bool good = add_extension(x509, issuer, NID_subject_key_identifier, "hash") &&
                add_extension(x509, issuer, NID_authority_key_identifier, "keyid:always");
    if (good && !options->issuer) {
        good = add_extension(x509, issuer, NID_basic_constraints, "critical,CA:TRUE") &&
               add_extension(x509, issuer, NID_key_usage,
                             "critical,digitalSignature,keyCertSign,cRLSign");
    } else if (good) {
        good = add_extension(x509, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
               add_extension(x509, issuer, NID_key_usage, "critical,digitalSignature") &&
               add_extension(x509, issuer, NID_ext_key_usage,
                             options->client ? "clientAuth" : "serverAuth");
    }
    if (good && options->alt_names) {
        good = add_extension(x509, issuer, NID_subject_alt_name, options->alt_names);
    }
    return good;
}

static bool set_subject(X509 *x509, const char *name) {
    return X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                                      (const unsigned char *)name, -1, -1, 0) == 1;
}

static bool set_serial(X509 *x509) {
    uint64_t serial;
    return RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), (serial >> 1) | 1) == 1;
}

static bool set_times(X509 *x509, const struct fl_certificate_options *options) {
    bool given = options->from_s || options->until_s;
    return X509_gmtime_adj(X509_getm_notBefore(x509), given ? options->from_s : -HOUR_S) &&
           X509_gmtime_adj(X509_getm_notAfter(x509), given ? options->until_s : YEAR_S);
}

static bool fill(X509 *x509, EVP_PKEY *key, const struct signer *issuer,
                 const struct fl_certificate_options *options) {
    const struct signer self = {x509, key};
    const struct signer *by = options->issuer ? issuer : &self;
    return X509_set_version(x509, X509_VERSION_3) == 1 && X509_set_pubkey(x509, key) == 1 &&
           set_serial(x509) && set_times(x509, options) && set_subject(x509, options->name) &&
           X509_set_issuer_name(x509, X509_get_subject_name(by->x509)) == 1 &&
           add_extensions(x509, by->x509, options) && X509_sign(x509, by->key, EVP_sha256()) > 0;
}

/* What a memory BIO holds; it wipes its own copy when it is freed. */
static char *text_of(BIO *bio) {
    char *data = NULL;
    long n = BIO_get_mem_data(bio, &data);
    return n > 0 ? fl_str_dup(fl_str_n(data, (size_t)n)) : NULL;
}

static int print(X509 *x509, EVP_PKEY *key, struct fl_certificate *out, struct fl_error *err) {
    BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
    if (cert_bio && key_bio && PEM_write_bio_X509(cert_bio, x509) == 1 &&
        PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
        out->cert_pem = text_of(cert_bio);
        out->key_pem = text_of(key_bio);
    }
    BIO_free(cert_bio);
    BIO_free(key_bio);
    return out->cert_pem && out->key_pem ? 0 : fl_fail_nomem(err);
}

static int make(X509 *x509, EVP_PKEY *key, const struct fl_certificate_options *options,
                struct fl_certificate *out, struct fl_error *err) {
    struct signer issuer = {0};
    int rc;
    if ((options->issuer && !read_issuer(options->issuer, &issuer)) ||
        !fill(x509, key, &issuer, options)) {
        rc = fl_fail(err, FL_EUSAGE, "certificate: %s", fl_tls_text_of_reason());
    } else {
        rc = print(x509, key, out, err);
    }
    EVP_PKEY_free(issuer.key);
    X509_free(issuer.x509);
    return rc;
}

int fl_certificate_init(struct fl_certificate *out, const struct fl_certificate_options *options,
                        struct fl_error *err) {
    *out = (struct fl_certificate){0};
    ERR_clear_error();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    int rc = key && x509 ? make(x509, key, options, out, err) : fl_fail_nomem(err);
    if (rc < 0) fl_certificate_deinit(out);
    ERR_clear_error();
    EVP_PKEY_free(key);
    X509_free(x509);
    return rc;
}

void fl_certificate_deinit(struct fl_certificate *certificate) {
    fl_free(certificate->cert_pem);
    fl_secret_free(certificate->key_pem);
    *certificate = (struct fl_certificate){0};
}
