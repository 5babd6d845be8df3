/* api_outlet.h - where a watch writes its events, and where what goes wrong with the writing does:
 * stalls, half frames, slow bytes, duplicates and frames of more than 16 MiB. One thread. */
#ifndef FL_SIM_API_OUTLET_H
#define FL_SIM_API_OUTLET_H

#include "sim/api_faults.h"
#include "sim/api_trickle.h"

struct fl_api_outlet {
    struct fl_io *io;
    struct fl_http_stream *stream;
    struct fl_api_faults *faults;
    enum fl_k8s_format format;
    bool slow;
    bool stuck;       /* nothing is written any more, not even the end */
    size_t huge_left; /* of the filling of a huge frame */
    struct fl_api_trickle trickle;
    struct fl_timer reset; /* after half a frame */
};

FL_MUST int fl_api_outlet_init(struct fl_api_outlet *outlet, struct fl_io *io,
                               struct fl_http_stream *stream, struct fl_api_faults *faults,
                               enum fl_k8s_format format, bool slow); /* FL_ENOMEM */
void fl_api_outlet_deinit(struct fl_api_outlet *outlet);
/* Frames and writes one event. FL_EFULL: not now; fl_api_outlet_more and again when the stream has
 * room. Other codes: the watch cannot go on. */
FL_MUST int fl_api_outlet_event(struct fl_api_outlet *outlet, enum fl_k8s_event event,
                                enum fl_k8s_kind kind, struct fl_str bare);
/* The stream has room: goes on with what a fault left to write. */
void fl_api_outlet_more(struct fl_api_outlet *outlet);
/* The clean end. */
void fl_api_outlet_end(struct fl_api_outlet *outlet);

#endif
