/* hand_provider.h - a source of endpoints that a test publishes by hand: targets
 * hand:///NAME[:port].
 *
 * It knows one service, whatever its name. Allocation failures are the test's failures. */
#ifndef FL_TEST_HAND_PROVIDER_H
#define FL_TEST_HAND_PROVIDER_H

#include "discovery/provider.h"

struct fl_hand;

struct fl_hand_endpoint {
    const char *address;
    uint16_t port;
    unsigned flags; /* FL_ENDPOINT_*; 0: ready and serving */
    uint8_t uid;    /* identity */
    /* NULL: "grpc"; "dns/UDP": of another protocol than TCP; "web/TCP/http": with appProtocol */
    const char *port_name;
};

struct fl_hand *fl_hand_new(void);
/* To be given to fl_discovery_take_provider, which frees it. */
struct fl_provider *fl_hand_provider(struct fl_hand *hand);
/* The zone of each address published from now on; static. */
void fl_hand_zones(struct fl_hand *hand, const char *(*zone_of)(const char *address));
/* What is known from now on; said as soon as somebody watches. */
void fl_hand_publish(struct fl_hand *hand, enum fl_set_state state,
                     const struct fl_hand_endpoint *endpoints, size_t count);
void fl_hand_external(struct fl_hand *hand, const char *name);
void fl_hand_trouble(struct fl_hand *hand, int code, const char *detail);

#endif
