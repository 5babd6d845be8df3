/* loop_certs.c - certificates for the tests of TLS. */
#include "support/loop_certs.h"

#include <stdlib.h>
#include <string.h>

#include "support/alloc.h"

void fl_test_cert_init(struct fl_test_cert *cert, const char *common_name,
                       const struct fl_test_cert_options *options) {
    struct fl_certificate made, issuer = {0};
    struct fl_certificate_options o = {.name = common_name,
                                       .alt_names = options->names,
                                       .client = options->client,
                                       .from_s = options->from_s,
                                       .until_s = options->until_s};
    if (options->issuer) {
        issuer = (struct fl_certificate){options->issuer->cert_pem, options->issuer->key_pem};
        o.issuer = &issuer;
    }
    assert_int_equal(fl_certificate_init(&made, &o, NULL), 0);
    cert->cert_pem = strdup(made.cert_pem);
    cert->key_pem = strdup(made.key_pem);
    fl_certificate_deinit(&made);
}

void fl_test_cert_deinit(struct fl_test_cert *cert) {
    free(cert->cert_pem);
    free(cert->key_pem);
}
