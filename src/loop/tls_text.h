/* tls_text.h - what to tell people about a failed handshake. */
#ifndef FL_LOOP_TLS_TEXT_H
#define FL_LOOP_TLS_TEXT_H

#include "base/error.h"

struct fl_tls_session;

/* Reads OpenSSL's error queue and the result of the verification: FL_ECERT, FL_ETLS, FL_ENOMEM. */
int fl_tls_text_of_failure(const struct fl_tls_session *s, struct fl_error *err);
/* OpenSSL's reason for the last failure, for configuration errors; static storage. */
const char *fl_tls_text_of_reason(void);

#endif
