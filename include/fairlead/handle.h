/* handle.h - one endpoint of a channel, for who wants to reach each of them.
 *
 * A channel chooses an endpoint for every call; a handle lets the caller choose
 * (fl_call_options.endpoint). It is a counted reference that may be kept: nothing closes it under
 * its holder. When its endpoint has left the service, or another pod has its address, or the
 * channel was closed, its state is SHUTDOWN and calls to it end with the cause FL_ELEFT. */
#ifndef FAIRLEAD_HANDLE_H
#define FAIRLEAD_HANDLE_H

#include <fairlead/channel.h>

FL_C_BEGIN

struct fl_handle;

struct fl_handles {
    struct fl_handle **list;
    size_t count;
};

/* The endpoints that may take calls, in the order in which they came: those that discovery says are
 * usable, but for those that could not be reached and wait for the next attempt. Each is counted
 * for the caller, who ends it all with fl_handles_deinit. An endpoint has the same handle as long
 * as it is in the service. Any thread. Errors, after which there is nothing to end: FL_ENOMEM. */
FL_API FL_MUST int fl_channel_handles(struct fl_channel *channel, struct fl_handles *out,
                                      struct fl_error *err);
FL_API void fl_handles_deinit(struct fl_handles *handles);

/* One more reference; one less (returns NULL; NULL is allowed). Any thread. */
FL_API struct fl_handle *fl_handle_ref(struct fl_handle *handle);
FL_API struct fl_handle *fl_handle_unref(struct fl_handle *handle);

/* "address:port". These live as long as the handle, never change and may be read by any thread. */
FL_API const char *fl_handle_peer(const struct fl_handle *handle);
FL_API const char *fl_handle_pod(const struct fl_handle *handle);    /* "" if there is none */
FL_API const char *fl_handle_node(const struct fl_handle *handle);   /* likewise */
FL_API const uint8_t *fl_handle_uid(const struct fl_handle *handle); /* 16 bytes; zeros if none */

/* A value that may be old at once. Any thread. */
FL_API enum fl_channel_state fl_handle_state(const struct fl_handle *handle);

FL_C_END

#endif
