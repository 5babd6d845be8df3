/* retry.h - when a call that failed is tried again: retry and hedging policies of a service config,
 * and the server's pushback (gRFC A6). Pure; any thread. */
#ifndef FL_CHANNEL_RETRY_H
#define FL_CHANNEL_RETRY_H

#include "base/random.h"
#include "base/str.h"

#define FL_RETRY_ATTEMPTS_MAX 5 /* more in a policy is taken as this */

struct fl_retry_policy {
    unsigned attempts_max; /* with the first; 0: no policy */
    uint32_t backoff_ms_min, backoff_ms_max;
    double multiplier;
    uint32_t codes; /* 1 << status for each that is tried again */
};

struct fl_hedging_policy {
    unsigned attempts_max; /* with the first; 0: no policy */
    uint32_t delay_ms;     /* between attempts; 0: all at once */
    uint32_t codes;        /* 1 << status for each that does not end the call */
};

static inline bool fl_retry_covers(uint32_t codes, int status) { return codes >> status & 1; }

/* What the server said about trying again: "grpc-retry-pushback-ms". */
struct fl_pushback {
    enum { FL_PUSHBACK_NONE, FL_PUSHBACK_WAIT, FL_PUSHBACK_STOP } kind;
    uint32_t ms; /* WAIT */
};

/* p == NULL: the header is not there; what is not a number of milliseconds means STOP. */
struct fl_pushback fl_pushback_parse(struct fl_str value);

/* How long to wait before the n-th retry (from 1) since the start or the last pushback: with a
 * jitter of 20 %. */
uint32_t fl_retry_delay_ms(const struct fl_retry_policy *policy, unsigned n,
                           struct fl_random *random);

#endif
