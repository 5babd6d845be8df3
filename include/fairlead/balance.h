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
    /* The same endpoint for equal values of a header, by a ring of hashes (gRFC A42). When an
     * endpoint comes or leaves, little more than its share moves. */
    FL_BALANCE_RING_HASH,
    /* The same, by the highest score: nothing moves but its share, and shares are more even than a
     * ring's; a change costs more (0.15 ms) and 128 KiB are held. */
    FL_BALANCE_RENDEZVOUS,
};

struct fl_endpoint;

/* Outlier detection (gRFC A50, with its defaults in brackets): every interval, endpoints whose
 * attempts failed much more often than those of the others are ejected: they get no calls for
 * base_ejection_ms, the next time for twice as long, and so on. Percentages: UINT32_MAX is 0. */
struct fl_outlier_options {
    uint32_t interval_ms;          /* [10000] */
    uint32_t base_ejection_ms;     /* [30000] */
    uint32_t max_ejection_ms;      /* [300000, at least base_ejection_ms] */
    uint32_t max_ejection_percent; /* [10] of the endpoints; one may always be ejected */
    struct fl_outlier_success_rate {
        bool on;
        uint32_t stdev_factor;    /* [1900] below the mean by 1.9 standard deviations */
        uint32_t enforce_percent; /* [100] of those found; the others are only counted */
        uint32_t hosts_min;    /* [5] with enough attempts in the interval, else nobody is judged */
        uint32_t requests_min; /* [100] attempts in the interval are enough */
    } success_rate;
    struct fl_outlier_failure_percentage {
        bool on;
        uint32_t threshold;       /* [85] more than so many percent of the attempts failed */
        uint32_t enforce_percent; /* [100] */
        uint32_t hosts_min;       /* [5] endpoints, else nobody is judged */
        uint32_t requests_min;    /* [50] attempts in the interval, else it is not judged */
    } failure_percentage;
};

/* Zero-initialised: the defaults in brackets. */
struct fl_balance_options {
    enum fl_balance_policy policy; /* [FL_BALANCE_ROUND_ROBIN] */
    /* pick_first: another order for each channel, so that many clients do not meet at one endpoint
     * (gRFC A62, shuffleAddressList). */
    bool shuffle;
    uint32_t choices; /* [2] least_request: drawn, with repetition; 2 to 10 (gRFC A48) */
    /* ring_hash, rendezvous: the metadata whose value is hashed, in lower case and not "-bin".
     * NULL, or a call without it: a hash is drawn for each call. */
    const char *hash_header;
    /* [1024, 4096] ring_hash: places on the ring; at most 4096 (gRFC A42) */
    uint32_t ring_min, ring_max;
    /* How much an endpoint takes, in percent of what is usual: 1 to 10000, 0 is taken as 100. NULL:
     * all take 100. round_robin gives turns, ring_hash and rendezvous shares of the hashes by it;
     * with least_request an endpoint of 200 may be twice as busy as one of 100. Called on the
     * channel's loop, when the endpoint is new and whenever it changed. Not for pick_first. */
    uint32_t (*weight)(void *arg, const struct fl_endpoint *endpoint);
    void *weight_arg;
    /* [0: off] An endpoint that is new, or could not be reached, takes a tenth of its share once it
     * is connected, and all of it after so long. round_robin and least_request. */
    uint32_t slow_start_ms;
    /* Near endpoints take the calls: those that Kubernetes' hints name for this client's node or
     * zone, else those in its zone. When less than half of those that may be expected can be used,
     * calls spill over to the others in proportion. Far endpoints are connected only then. Not for
     * pick_first. Without a zone and a node it has no effect. */
    bool zone_preference;
    const char *zone; /* [FL_ZONE of the environment] this client's */
    const char *node; /* [FL_NODE of the environment] this client's, as Kubernetes names it */
    /* [0: all] At most so many endpoints are connected, others for each channel (gRFC A68); more
     * only while some of them cannot be reached. Not for pick_first. */
    uint32_t subset;
    /* [off: neither rule is on] Where less than half of the connected endpoints would be left, all
     * are called: panic, told by a warning and the gauge fairlead_channel_panic. An attempt failed
     * if it ended with another status than OK (plain HTTP: without a response, or with 500 and
     * above); not counted are those that the caller cancelled and those that no server processed.
     */
    struct fl_outlier_options outlier;
};

FL_C_END

#endif
