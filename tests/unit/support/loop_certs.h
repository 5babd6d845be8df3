/* loop_certs.h - certificates for the tests of TLS, made when they are needed. */
#ifndef FL_TEST_LOOP_CERTS_H
#define FL_TEST_LOOP_CERTS_H

#include <openssl/x509.h>

#include "base/str.h"

struct fl_test_cert {
    X509 *x509;
    EVP_PKEY *key;
    char *cert_pem, *key_pem;
};

struct fl_test_cert_options {
    const struct fl_test_cert *issuer; /* NULL: signs itself, and may sign others */
    const char *names;                 /* "DNS:echo.test, IP:127.0.0.1"; NULL: none */
    long from_s, until_s;              /* from now; 0, 0: an hour around it */
};

void fl_test_cert_init(struct fl_test_cert *cert, const char *common_name,
                       const struct fl_test_cert_options *options);
void fl_test_cert_deinit(struct fl_test_cert *cert);

#endif
