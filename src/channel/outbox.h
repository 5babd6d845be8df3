/* outbox.h - what a call has to send, framed, kept so that a further attempt can send it again.
 *
 * Places in it count from the call's first byte. A unary call's request lies in the call's own
 * memory and stays; what a stream writes is kept up to FL_OUTBOX_REPLAY_MAX while the call is not
 * committed, and from then on only until it is sent. Pure; one thread. */
#ifndef FL_CHANNEL_OUTBOX_H
#define FL_CHANNEL_OUTBOX_H

#include "base/buf.h"

#define FL_OUTBOX_REPLAY_MAX ((size_t)256 * 1024) /* gRFC A6 */

struct fl_outbox {
    struct fl_str fixed; /* the whole of a unary call; else empty */
    struct fl_buf bytes;
    uint64_t start; /* so much was dropped */
    bool ended;     /* nothing will be added */
};

void fl_outbox_init(struct fl_outbox *outbox);
void fl_outbox_init_fixed(struct fl_outbox *outbox, struct fl_str request); /* borrowed; ended */
void fl_outbox_deinit(struct fl_outbox *outbox);

/* Appends a frame: prefix and message. FL_ENOMEM: nothing. */
FL_MUST int fl_outbox_add(struct fl_outbox *outbox, struct fl_str prefix, struct fl_str message);
/* Everything from place `at` on; `at` is not before what was dropped. Borrowed until it changes. */
struct fl_str fl_outbox_from(const struct fl_outbox *outbox, uint64_t at);
void fl_outbox_drop(struct fl_outbox *outbox, uint64_t until);
/* More is kept than an uncommitted call may. */
static inline bool fl_outbox_overfull(const struct fl_outbox *outbox) {
    return outbox->bytes.len > FL_OUTBOX_REPLAY_MAX;
}

#endif
