/* balance.h - which of a channel's endpoints takes a call. Options only. */
#ifndef FAIRLEAD_BALANCE_H
#define FAIRLEAD_BALANCE_H

#include <fairlead/def.h>

FL_C_BEGIN

enum fl_balance_policy {
    /* Each in its turn: whoever comes is reached within one round, whoever stays keeps its place.
     * Kubernetes' endpoints are all alike, so this is the default; gRPC's own is pick_first. */
    FL_BALANCE_ROUND_ROBIN,
    /* All calls to one endpoint until it is lost. Endpoints are tried one after the other, those
     * that were known first coming first (gRFC A62). */
    FL_BALANCE_PICK_FIRST,
    /* The least busy of a few that are drawn at random (gRFC A48). */
    FL_BALANCE_LEAST_REQUEST,
};

/* Zero-initialised: the defaults in brackets. */
struct fl_balance_options {
    enum fl_balance_policy policy; /* [FL_BALANCE_ROUND_ROBIN] */
    /* pick_first: another order for each channel, so that many clients do not meet at one endpoint
     * (gRFC A62, shuffleAddressList). */
    bool shuffle;
    uint32_t choices; /* [2] least_request: drawn, with repetition; 2 to 10 (gRFC A48) */
};

FL_C_END

#endif
