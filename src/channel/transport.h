/* transport.h - one HTTP/2 connection of a subchannel and the attempts on it. It outlives its place
 * in the subchannel when it drains. One loop's thread. */
#ifndef FL_CHANNEL_TRANSPORT_H
#define FL_CHANNEL_TRANSPORT_H

#include "channel/subchannel.h"

struct fl_transport {
    struct fl_list link;       /* the connector's */
    struct fl_list sub_link;   /* the subchannel's */
    struct fl_subchannel *sub; /* counted */
    struct fl_http_conn *conn;
    struct fl_list attempts; /* struct fl_attempt.link: those with an open stream here */
    struct fl_timer drain;   /* see drain.h */
    const char *end;         /* why it ends, for the metric; NULL: see on_close */
    bool ready;
};

/* Starts to connect. Errors as fl_http_conn_dial. */
FL_MUST int fl_transport_new(struct fl_subchannel *sub, struct fl_transport **out,
                             struct fl_error *err);
/* Ends it at once with all its calls. */
void fl_transport_close(struct fl_transport *transport);

#endif
