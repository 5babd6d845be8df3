/* poll.c - a descriptor whose readiness the loop watches: uv_poll, counted by the loop.
 *
 * On an error condition libuv stops the handle and reports UV_EBADF; the cause is not lost, the
 * next call on the descriptor returns it. So that is told as readiness for everything, and what is
 * wanted starts from nothing. */
#include "loop/poll.h"

#include "loop/inside.h"
#include "loop/socket.h"

int fl_poll_init(struct fl_poll *poll, struct fl_loop *loop, int fd,
                 void (*ready)(struct fl_poll *poll, int events)) {
    int rc = uv_poll_init(loop->uv, &poll->handle, fd);
    if (rc < 0) return rc; /* on Unix libuv's codes are negated errno values */
    poll->loop = loop;
    poll->fd = fd;
    poll->wanted = 0;
    poll->ready = ready;
    loop->handles++;
    return 0;
}

static void on_ready(uv_poll_t *handle, int status, int events) {
    struct fl_poll *poll = FL_CONTAINER(handle, struct fl_poll, handle);
    if (status < 0) {
        poll->wanted = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    poll->ready(poll, events);
}

void fl_poll_want(struct fl_poll *poll, int events) {
    if (events == poll->wanted) return;
    poll->wanted = events;
    int rc = events ? uv_poll_start(&poll->handle, events, on_ready) : uv_poll_stop(&poll->handle);
    FL_ASSERT(rc == 0);
}

static void on_closed(uv_handle_t *handle) {
    struct fl_poll *poll = FL_CONTAINER((uv_poll_t *)handle, struct fl_poll, handle);
    struct fl_loop *loop = poll->loop;
    poll->loop = NULL;
    loop->handles--;
    poll->closed(poll);
}

void fl_poll_close(struct fl_poll *poll, void (*closed)(struct fl_poll *poll)) {
    fl_socket_close(fl_poll_steal_fd(poll, closed));
}

int fl_poll_steal_fd(struct fl_poll *poll, void (*closed)(struct fl_poll *poll)) {
    poll->closed = closed;
    uv_close((uv_handle_t *)&poll->handle, on_closed);
    return poll->fd;
}
