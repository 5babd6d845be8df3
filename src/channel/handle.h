/* handle.h - the inside of a handle, and the list of them that a channel shows to all threads.
 *
 * A subchannel has one handle for as long as the same pod has its address. The loop writes state
 * and usability, anybody reads them. What `loop_data` holds is for the channel's loop only, and so
 * is everything below that does not say otherwise. */
#ifndef FL_CHANNEL_HANDLE_H
#define FL_CHANNEL_HANDLE_H

#include <fairlead/handle.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/lock.h"

struct fl_subchannel;
struct fl_handle_view;

struct fl_handle {
    atomic_uint refs;
    atomic_int state;                 /* enum fl_channel_state */
    atomic_bool usable;               /* it may take calls, by what discovery says */
    bool marked;                      /* the loop's: of who compares lists; false in between */
    atomic_uint connections;          /* made for it and not closed yet, draining ones too */
    const struct fl_channel *channel; /* only to be compared */
    struct {
        struct fl_subchannel *sub; /* NULL: it is over */
        struct fl_list waiting;    /* attempts for this endpoint alone, oldest first */
        struct fl_list line;       /* in the channel's, while some wait */
    } loop_data;
    uint8_t uid[16];
    const char *peer, *pod, *node; /* in text */
    char text[];
};

/* Of an endpoint of `channel`; NULL: no memory. */
struct fl_handle *fl_handle_new(const struct fl_channel *channel, struct fl_subchannel *sub,
                                const struct fl_endpoint *endpoint);
/* The subchannel's reference ends: nothing can be reached by it any more. NULL is allowed. */
void fl_handle_end(struct fl_handle *handle);

/* The newest view, in one slot. */
struct fl_handle_slot {
    struct fl_lock lock; /* of the pointer */
    struct fl_handle_view *view;
};

void fl_handle_slot_init(struct fl_handle_slot *slot);
void fl_handle_slot_deinit(struct fl_handle_slot *slot);
/* Shows the handles of these subchannels (struct fl_subchannel.link), as they will be when what is
 * pending of them is made. FL_ENOMEM: as it was. */
FL_MUST int fl_handle_slot_publish(struct fl_handle_slot *slot, const struct fl_list *subs);

#endif
