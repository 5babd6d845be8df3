/* certificate.h - certificates to throw away: an authority, and what it signs, for simulations and
 * tests. P-256 keys, SHA-256, PEM. Any thread. */
#ifndef FL_LOOP_CERTIFICATE_H
#define FL_LOOP_CERTIFICATE_H

#include "base/error.h"

struct fl_certificate {
    char *cert_pem, *key_pem;
};

struct fl_certificate_options {
    const struct fl_certificate *issuer; /* NULL: an authority, which signs itself, and may serve */
    const char *name;                    /* its common name */
    const char *alt_names;               /* "DNS:api.test, IP:10.0.0.1, IP:::1"; NULL: none */
    bool client;                         /* issued for clients; else for servers */
    long from_s, until_s;                /* valid, from now; 0, 0: an hour ago to a year ahead */
};

/* Makes one with a new key. FL_EUSAGE (detail: what OpenSSL says of names or issuer), FL_ENOMEM. */
FL_MUST int fl_certificate_init(struct fl_certificate *out,
                                const struct fl_certificate_options *options, struct fl_error *err);
void fl_certificate_deinit(struct fl_certificate *certificate); /* wipes the key */

#endif
