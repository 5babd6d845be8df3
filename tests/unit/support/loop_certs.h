/* loop_certs.h - certificates for the tests of TLS, made when they are needed. Not by the memory of
 * the test that runs: they may be made before the first and live until after the last. */
#ifndef FL_TEST_LOOP_CERTS_H
#define FL_TEST_LOOP_CERTS_H

#include "loop/certificate.h"

struct fl_test_cert {
    char *cert_pem, *key_pem;
};

struct fl_test_cert_options {
    const struct fl_test_cert *issuer; /* NULL: signs itself, and may sign others */
    const char *names;                 /* "DNS:echo.test, IP:127.0.0.1"; NULL: none */
    bool client;
    long from_s, until_s; /* from now; 0, 0: valid */
};

void fl_test_cert_init(struct fl_test_cert *cert, const char *common_name,
                       const struct fl_test_cert_options *options);
void fl_test_cert_deinit(struct fl_test_cert *cert);

#endif
