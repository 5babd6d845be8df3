/* transport.h - one HTTP connection of a subchannel and the attempts on it. It outlives its place
 * in the subchannel when it drains. One loop's thread. */
#ifndef FL_CHANNEL_TRANSPORT_H
#define FL_CHANNEL_TRANSPORT_H

#include "channel/subchannel.h"

struct fl_transport {
    struct fl_list link;       /* the connector's */
    struct fl_list sub_link;   /* the subchannel's */
    struct fl_subchannel *sub; /* counted */
    struct fl_handle *handle;  /* that it counts in; NULL: none */
    struct fl_http_conn *conn;
    struct fl_list attempts; /* struct fl_attempt.link: those with an open stream here */
    struct fl_timer drain;   /* see drain.h */
    const char *end;         /* why it ends, for the metric; NULL: see on_close */
    bool ready;
    bool multiplexes; /* HTTP/2; once ready */
    bool draining;    /* counted as such */
    bool goaway;      /* the peer said so, with goaway_code */
    uint32_t goaway_code;
    bool leaving; /* takes no more calls: GOAWAY, no answer, endpoint gone, closed */
    struct fl_keepalive_times keepalive;
    struct fl_timer answer; /* asked: by when it must have answered */
    uint64_t asked_ms;
};

/* Starts to connect. `idle_ms`: closes when it had no call for so long; 0: never. Errors as
 * fl_http_conn_dial. */
FL_MUST int fl_transport_new(struct fl_subchannel *sub, uint32_t idle_ms, struct fl_transport **out,
                             struct fl_error *err);
/* Has no byte come for so long that it must be asked before a call may use it? */
bool fl_transport_quiet(const struct fl_transport *transport, uint64_t now_ms);
/* Asks it (C11), or replaces it if it cannot be asked. on_room follows with the answer; without one
 * in time the subchannel gives it up, and calls on it are left to their own ends. */
void fl_transport_ask(struct fl_transport *transport);
/* Ends it at once with all its calls. */
void fl_transport_close(struct fl_transport *transport);

#endif
