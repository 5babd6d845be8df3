/* load.h - callers that call a method all the while: `concurrency` of them, each with its next call
 * after a pause. On the channel's loop. */
#ifndef FL_CLI_LOAD_H
#define FL_CLI_LOAD_H

#include <fairlead/call.h>

#include "base/buf.h"
#include "base/io.h"

struct fl_load;

struct fl_load_options {
    const char *method; /* "/package.Service/Method" */
    /* What each call sends, encoded; borrowed until the load is freed, as the metadata is. */
    struct fl_str request; /* of a unary method */
    bool streaming;        /* in either direction: these in its place */
    const struct fl_str *messages;
    size_t message_count;
    struct fl_metadata_list metadata;
    uint64_t repeat; /* calls in all; 0: until fl_load_stop */
    unsigned concurrency;
    uint32_t pause_ms;   /* of each caller between calls */
    uint32_t timeout_ms; /* of each call; 0: none */
    bool wait_for_ready;
    /* Each message that comes back, borrowed. NULL: not wanted. */
    void (*on_message)(void *arg, struct fl_str message);
    /* Each call's end; latency of it. */
    void (*on_result)(void *arg, const struct fl_call_result *result, uint64_t latency_us);
    void (*on_done)(void *arg); /* all calls ended, after `repeat` or a stop */
    void *arg;
};

/* FL_ENOMEM, or what fl_call_unary said. */
FL_MUST int fl_load_start(struct fl_io *io, struct fl_channel *channel,
                          const struct fl_load_options *options, struct fl_load **out,
                          struct fl_error *err);
/* No new calls; on_done follows when the running ones have ended. */
void fl_load_stop(struct fl_load *load);
/* After on_done; NULL is allowed. */
void fl_load_free(struct fl_load *load);

#endif
