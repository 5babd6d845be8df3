/* handle.c - handles, and the view of them that any thread may read.
 *
 * A view is an immutable, counted array of handles, replaced whenever a set is applied that brings
 * or takes one. Who reads takes a reference to it under the slot's lock, which is held for that
 * alone, and looks at the handles' atomic states outside. */
#include "channel/handle.h"

#include "base/alloc.h"
#include "channel/state.h"

struct fl_handle_view {
    atomic_uint refs;
    size_t count;
    struct fl_handle *list[];
};

/* --- one handle --- */

static const char *keep(char **at, const char *text) {
    char *copy = *at;
    size_t n = strlen(text) + 1;
    memcpy(copy, text, n);
    *at += n;
    return copy;
}

struct fl_handle *fl_handle_new(const struct fl_channel *channel, struct fl_subchannel *sub,
                                const struct fl_endpoint *endpoint) {
    size_t bytes = strlen(sub->peer) + strlen(endpoint->pod) + strlen(endpoint->node) + 3;
    struct fl_handle *handle = fl_alloc(sizeof(*handle) + bytes);
    if (!handle) return NULL;
    char *at = handle->text;
    atomic_init(&handle->refs, 1);
    atomic_init(&handle->state, sub->state);
    atomic_init(&handle->usable, false);
    atomic_init(&handle->connections, 0);
    handle->channel = channel;
    handle->loop_data.sub = sub;
    fl_list_init(&handle->loop_data.waiting);
    fl_list_init(&handle->loop_data.line);
    memcpy(handle->uid, endpoint->uid, sizeof(handle->uid));
    handle->peer = keep(&at, sub->peer);
    handle->pod = keep(&at, endpoint->pod);
    handle->node = keep(&at, endpoint->node);
    return handle;
}

void fl_handle_end(struct fl_handle *handle) {
    if (!handle) return;
    atomic_store(&handle->state, (int)FL_CHANNEL_SHUTDOWN);
    atomic_store(&handle->usable, false);
    handle->loop_data.sub = NULL;
    fl_handle_unref(handle);
}

struct fl_handle *fl_handle_ref(struct fl_handle *handle) {
    atomic_fetch_add(&handle->refs, 1);
    return handle;
}

struct fl_handle *fl_handle_unref(struct fl_handle *handle) {
    if (handle && atomic_fetch_sub(&handle->refs, 1) == 1) fl_free(handle);
    return NULL;
}

const char *fl_handle_peer(const struct fl_handle *handle) { return handle->peer; }
const char *fl_handle_pod(const struct fl_handle *handle) { return handle->pod; }
const char *fl_handle_node(const struct fl_handle *handle) { return handle->node; }
const uint8_t *fl_handle_uid(const struct fl_handle *handle) { return handle->uid; }

enum fl_channel_state fl_handle_state(const struct fl_handle *handle) {
    return (enum fl_channel_state)atomic_load(&handle->state);
}

/* --- views --- */

static void view_unref(struct fl_handle_view *view) {
    if (!view || atomic_fetch_sub(&view->refs, 1) != 1) return;
    for (size_t i = 0; i < view->count; i++) fl_handle_unref(view->list[i]);
    fl_free(view);
}

static struct fl_handle_view *exchange(struct fl_handle_slot *slot, struct fl_handle_view *view) {
    fl_lock_enter(&slot->lock);
    struct fl_handle_view *old = slot->view;
    slot->view = view;
    fl_lock_leave(&slot->lock);
    return old;
}

static struct fl_handle_view *steal_view(struct fl_handle_slot *slot) {
    fl_lock_enter(&slot->lock);
    struct fl_handle_view *view = slot->view;
    if (view) atomic_fetch_add(&view->refs, 1);
    fl_lock_leave(&slot->lock);
    return view;
}

void fl_handle_slot_init(struct fl_handle_slot *slot) {
    fl_lock_init(&slot->lock);
    slot->view = NULL;
}

void fl_handle_slot_deinit(struct fl_handle_slot *slot) {
    view_unref(slot->view);
    fl_lock_deinit(&slot->lock);
}

/* What will stand for it when the set that is being applied is; NULL: nothing. */
static struct fl_handle *coming(const struct fl_subchannel *sub) {
    const struct fl_pending *pending = sub->pending;
    if (pending && pending->goes) return NULL;
    return pending && pending->handle ? pending->handle : sub->handle;
}

int fl_handle_slot_publish(struct fl_handle_slot *slot, const struct fl_list *subs) {
    size_t count = 0;
    FL_LIST_EACH (subs, item, next)
        count += coming(FL_CONTAINER(item, struct fl_subchannel, link)) != NULL;
    struct fl_handle_view *view = NULL; /* of nothing */
    if (count > 0) {
        view = fl_alloc(sizeof(*view) + count * sizeof(view->list[0]));
        if (!view) return FL_ENOMEM;
        atomic_init(&view->refs, 1);
        view->count = 0;
        FL_LIST_EACH (subs, item, next) {
            struct fl_handle *handle = coming(FL_CONTAINER(item, struct fl_subchannel, link));
            if (handle) view->list[view->count++] = fl_handle_ref(handle);
        }
    }
    view_unref(exchange(slot, view));
    return 0;
}

/* --- what holders see --- */

static bool is_live(const struct fl_handle *handle) {
    enum fl_channel_state state = fl_handle_state(handle);
    return atomic_load(&handle->usable) && state != FL_CHANNEL_TRANSIENT_FAILURE &&
           state != FL_CHANNEL_SHUTDOWN;
}

int fl_channel_handles(struct fl_channel *channel, struct fl_handles *out, struct fl_error *err) {
    struct fl_handle_view *view = steal_view(&channel->shared_data.handles);
    *out = (struct fl_handles){NULL, 0};
    if (!view) return 0;
    out->list = fl_alloc(view->count * sizeof(struct fl_handle *));
    if (!out->list) {
        view_unref(view);
        return fl_fail_nomem(err);
    }
    for (size_t i = 0; i < view->count; i++) {
        if (is_live(view->list[i])) out->list[out->count++] = fl_handle_ref(view->list[i]);
    }
    view_unref(view);
    return 0;
}

void fl_handles_deinit(struct fl_handles *handles) {
    for (size_t i = 0; i < handles->count; i++) fl_handle_unref(handles->list[i]);
    fl_free(handles->list);
    *handles = (struct fl_handles){NULL, 0};
}

void fl_channel_each_handle(const struct fl_channel *channel,
                            void (*each)(void *arg, struct fl_handle *handle,
                                         const struct fl_error *why),
                            void *arg) {
    FL_LIST_EACH (&channel->loop_data.sub_list, item, next) {
        struct fl_subchannel *sub = FL_CONTAINER(item, struct fl_subchannel, link);
        each(arg, sub->handle, sub->failed ? fl_kept_error_peek(&sub->why) : NULL);
    }
}
