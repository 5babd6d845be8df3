/* keepalive.h - how often connections are asked whether they live (gRFC A8). One loop's thread. */
#ifndef FL_CHANNEL_KEEPALIVE_H
#define FL_CHANNEL_KEEPALIVE_H

#include <fairlead/channel.h>

struct fl_transport;

struct fl_keepalive_times {
    uint32_t after_ms; /* without a byte; 0: never */
    uint32_t timeout_ms;
    bool without_calls;
    uint32_t before_use_ms; /* quiet for longer: asked before a call; UINT32_MAX: never */
};

/* What the options mean. */
void fl_keepalive_of(const struct fl_channel_options *options, struct fl_keepalive_times *out);
/* The server of this connection found its PINGs too many: later ones get half as many. */
void fl_keepalive_calm(struct fl_keepalive_times *times, const struct fl_keepalive_times *used);

#endif
