/* bed.h - a channel on the virtual world with endpoints that a test publishes by hand. */
#ifndef FL_TEST_BED_H
#define FL_TEST_BED_H

#include "channel/channel.h"
#include "server/echo.h"
#include "sim/world.h"
#include "support/hand_provider.h"
#include "support/peer.h"

#define FL_BED_METHOD "/grpc.examples.echo.Echo/UnaryEcho"
#define FL_BED_PORT   50051

#define FL_BED_READY       (FL_ENDPOINT_READY | FL_ENDPOINT_SERVING)
#define FL_BED_TERMINATING (FL_ENDPOINT_SERVING | FL_ENDPOINT_TERMINATING)

struct fl_bed_call {
    struct fl_bed *bed;
    struct fl_call *call;
    unsigned ended;
    enum fl_status status;
    int why;
    unsigned retries;
    uint64_t started_ms, ended_ms;
    char message[256], peer[64], response[64];
    size_t response_len;
};

struct fl_bed {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_discovery *discovery;
    struct fl_hand *hand;
    struct fl_channel *channel;
    unsigned channel_closed, discovery_closed;
    uint64_t applied;
};

/* A world, a discovery with the hand provider, and nothing published. NULL: plain and seed 1. */
void fl_bed_start(struct fl_bed *bed, const struct fl_world_options *options);
/* options NULL: defaults; the target is hand:///echo. */
void fl_bed_open(struct fl_bed *bed, const struct fl_channel_options *options);
void fl_bed_close(struct fl_bed *bed); /* the channel, if it is open; waits for it */
void fl_bed_stop(struct fl_bed *bed);  /* everything; nothing may be left open */

/* The same with a peer at 10.0.0.1:50051, which nobody knows of yet. */
void fl_bed_start_peer(struct fl_bed *bed, struct fl_peer *peer,
                       const struct fl_world_options *options);
void fl_bed_stop_peer(struct fl_bed *bed, struct fl_peer *peer);

/* 10.0.0.1:50051, 10.0.0.2:50051 … all ready. */
void fl_bed_publish(struct fl_bed *bed, unsigned count);
struct fl_echo *fl_bed_echo(struct fl_bed *bed, unsigned number, uint32_t delay_ms);
const char *fl_bed_host(unsigned number); /* "10.0.0.1" … */
void fl_bed_kill(struct fl_bed *bed, struct fl_echo *echo);

void fl_bed_call(struct fl_bed *bed, struct fl_bed_call *call,
                 const struct fl_call_options *options);
/* Starts it and runs the world until it has ended, at most limit_ms. */
void fl_bed_call_now(struct fl_bed *bed, struct fl_bed_call *call, uint64_t limit_ms);
/* A callback for a call whose end does not matter. */
void fl_bed_ignore(void *arg, const struct fl_call_result *result);
/* It has ended well, answered by an echo server. */
void fl_bed_expect_ok(const struct fl_bed_call *call);

#endif
