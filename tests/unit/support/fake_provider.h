/* fake_provider.h - a source of endpoints that a test publishes by hand: targets fake:///NAME[:port].
 *
 * It knows one service, whatever its name. Allocation failures are the test's failures. */
#ifndef FL_TEST_FAKE_PROVIDER_H
#define FL_TEST_FAKE_PROVIDER_H

#include "discovery/provider.h"

struct fl_fake;

struct fl_fake_endpoint {
    const char *address;
    uint16_t port;
    unsigned flags;        /* FL_ENDPOINT_*; 0: ready and serving */
    uint8_t uid;           /* identity */
    const char *port_name; /* NULL: "grpc" */
};

struct fl_fake *fl_fake_new(void);
/* To be given to fl_discovery_take_provider, which frees it. */
struct fl_provider *fl_fake_provider(struct fl_fake *fake);
/* What is known from now on; said as soon as somebody watches. */
void fl_fake_publish(struct fl_fake *fake, enum fl_set_state state,
                     const struct fl_fake_endpoint *endpoints, size_t count);
void fl_fake_external(struct fl_fake *fake, const char *name);
void fl_fake_trouble(struct fl_fake *fake, int code, const char *detail);

#endif
