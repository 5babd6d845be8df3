/* load_streams.h - long streams: each sends a numbered message, waits for its echo, and so on.
 *
 * When a stream ends, another goes on with the message that was not echoed. An echo that is not of
 * the message sent last is a message lost or doubled. One thread. */
#ifndef FL_TEST_LOAD_STREAMS_H
#define FL_TEST_LOAD_STREAMS_H

#include <fairlead/fairlead.h>
#include <stdio.h>

#define LOAD_STREAMS_MAX 64

struct load_stream {
    struct load_streams *all;
    struct fl_call *call; /* NULL: none runs */
    uint64_t number;      /* of the message on its way */
    bool wants_message;   /* the last one was echoed, or the stream is new */
};

struct load_streams {
    struct fl_channel *channel;
    struct load_stream list[LOAD_STREAMS_MAX];
    size_t count;
    uint64_t echoes, wrong, opened;
    uint64_t ends[17]; /* by status */
};

/* Opens those that do not run and sends what is due; called now and then. */
void load_streams_step(struct load_streams *all);
/* Cancels all; true when none runs. */
FL_MUST bool load_streams_stop(struct load_streams *all);
void load_streams_print(const struct load_streams *all, FILE *out);

#endif
