/* api_trickle.h - the fault "slow-bytes": what is written arrives a few bytes at a time. One
 * thread. */
#ifndef FL_SIM_API_TRICKLE_H
#define FL_SIM_API_TRICKLE_H

#include "http/conn.h"

struct fl_api_trickle {
    struct fl_io *io;
    struct fl_http_stream *stream;
    struct fl_buf waiting;
    bool end; /* of the body, after what waits */
    struct fl_timer timer;
};

FL_MUST int fl_api_trickle_init(struct fl_api_trickle *t, struct fl_io *io,
                                struct fl_http_stream *stream); /* FL_ENOMEM */
void fl_api_trickle_deinit(struct fl_api_trickle *t);
/* As fl_http_stream_write. */
FL_MUST int fl_api_trickle_write(struct fl_api_trickle *t, struct fl_str bytes, bool end);

#endif
