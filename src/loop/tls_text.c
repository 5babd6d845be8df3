/* tls_text.c - what to tell people about a failed handshake: one line, the fault and what to do. */
#include "loop/tls_text.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "loop/tls.h"

#define NAMES_MAX 4 /* of a certificate, in an error's line */

/* What to do about a verification error; the others speak for themselves. */
static const struct {
    long error;
    const char *advice;
} advices[] = {
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "give the authority that signed it"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "give the authority that signed it"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "give this authority as a trusted one"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "give this certificate as a trusted one"},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "have the peer send its whole chain"},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, "another authority of the same name is trusted"},
    {X509_V_ERR_CERT_HAS_EXPIRED, "renew it, or set this machine's clock"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "set this machine's clock, or wait"},
    {X509_V_ERR_INVALID_PURPOSE, "it was not issued for this use"},
};

/* The names the certificate is for, as "a, b, c". */
static void add_name(struct fl_buf *out, const GENERAL_NAME *name) {
    struct fl_address address = {.kind = FL_ADDRESS_NAME};
    char text[FL_ADDRESS_TEXT_MAX] = "";
    if (name->type == GEN_DNS) {
        address.name = fl_str_n(ASN1_STRING_get0_data(name->d.dNSName),
                                (size_t)ASN1_STRING_length(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
        int n = ASN1_STRING_length(name->d.iPAddress);
        if (n != 4 && n != 16) return;
        address.kind = n == 4 ? FL_ADDRESS_V4 : FL_ADDRESS_V6;
        memcpy(address.ip, ASN1_STRING_get0_data(name->d.iPAddress), (size_t)n);
    } else {
        return;
    }
    fl_address_format(&address, text);
    if (fl_buf_printf(out, "%s%s", out->len ? ", " : "", text) < 0) return; /* enough is said */
}

static void list_names(const struct fl_tls_session *s, struct fl_buf *out) {
    if (!s->refused) return;
    GENERAL_NAMES *names = X509_get_ext_d2i(s->refused, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < NAMES_MAX; i++) {
        add_name(out, sk_GENERAL_NAME_value(names, i));
    }
    GENERAL_NAMES_free(names);
}

static int fail_name(const struct fl_tls_session *s, struct fl_error *err) {
    struct fl_buf names;
    fl_buf_init(&names, FL_ERROR_DETAIL_MAX / 2);
    list_names(s, &names);
    struct fl_str text = names.len ? fl_buf_str(&names) : FL_STR("no name");
    int rc = fl_fail(err, FL_ECERT, "certificate is not for \"%s\" but for %.*s", s->name,
                     FL_STR_ARG(text));
    fl_buf_deinit(&names);
    return rc;
}

static int fail_certificate(const struct fl_tls_session *s, long error, struct fl_error *err) {
    const char *text = X509_verify_cert_error_string(error);
    if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        return fail_name(s, err);
    }
    if (error == X509_V_ERR_OUT_OF_MEM) return fl_fail_nomem(err);
    for (size_t i = 0; i < FL_COUNT(advices); i++) {
        if (advices[i].error == error) {
            return fl_fail(err, FL_ECERT, "certificate not trusted: %s; %s", text,
                           advices[i].advice);
        }
    }
    return fl_fail(err, FL_ECERT, "certificate not trusted: %s", text);
}

/* RFC 8446, section 6.2: these alerts speak of our certificate. */
static bool is_about_our_certificate(int alert) {
    return (alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_CERTIFICATE_UNKNOWN) ||
           alert == SSL_AD_UNKNOWN_CA || alert == SSL_AD_CERTIFICATE_REQUIRED;
}

static int fail_alert(int alert, struct fl_error *err) {
    const char *text = SSL_alert_desc_string_long(alert);
    if (is_about_our_certificate(alert)) {
        return fl_fail(err, FL_ETLS, "peer did not accept this side's certificate: %s", text);
    }
    return fl_fail(err, FL_ETLS, "peer refused TLS: %s", text);
}

int fl_tls_text_of_failure(const struct fl_tls_session *s, struct fl_error *err) {
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_REASON(error);
    long verified = SSL_get_verify_result(s->ssl);
    if (reason == ERR_R_MALLOC_FAILURE) return fl_fail_nomem(err);
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) {
        const char *text = ERR_reason_error_string(error);
        return fl_fail(err, FL_ETLS, "TLS failed: %s", text ? text : "connection broken");
    }
    switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return fail_certificate(s, verified, err);
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_RECORD_LENGTH_MISMATCH:
        return fl_fail(err, FL_ETLS, "peer does not speak TLS here (%s)",
                       ERR_reason_error_string(error));
    default:
        break;
    }
    if (reason >= SSL_AD_REASON_OFFSET) return fail_alert(reason - SSL_AD_REASON_OFFSET, err);
    return fl_fail(err, FL_ETLS, "TLS failed: %s", fl_tls_text_of_reason());
}

const char *fl_tls_text_of_reason(void) {
    const char *text = ERR_reason_error_string(ERR_peek_error());
    return text ? text : "unknown reason";
}
