/* lane.c - see lane.h. */
#include "kube/lane.h"

#include "base/alloc.h"

/* One request of the client's; outlives its place in the lane when let go. */
struct fl_lane_request {
    struct fl_lane *lane;
    struct fl_kube_request *kube;
};

static bool is_heard(const struct fl_lane_request *request) {
    return request->lane->request == request && !request->lane->closing;
}

static void on_response(void *arg, const struct fl_http_response *head) {
    struct fl_lane_request *request = arg;
    struct fl_lane *lane = request->lane;
    if (!is_heard(request)) return;
    lane->machine->response(lane->arg, fl_io_now_ms(lane->io), head);
    fl_lane_step(lane);
}

static void on_data(void *arg, struct fl_str bytes) {
    struct fl_lane_request *request = arg;
    struct fl_lane *lane = request->lane;
    if (!is_heard(request)) return;
    lane->machine->data(lane->arg, fl_io_now_ms(lane->io), bytes);
    fl_lane_step(lane);
}

static void on_close(void *arg, const struct fl_error *why) {
    struct fl_lane_request *request = arg;
    struct fl_lane *lane = request->lane;
    bool heard = is_heard(request);
    if (lane->request == request) lane->request = NULL;
    fl_free(request);
    lane->requests_open--;
    if (heard) {
        lane->machine->closed(lane->arg, fl_io_now_ms(lane->io), why);
        fl_lane_step(lane);
    } else if (lane->closing && lane->requests_open == 0) {
        lane->machine->idle(lane->arg);
    }
}

static const struct fl_kube_request_events request_events = {
    .on_response = on_response,
    .on_data = on_data,
    .on_close = on_close,
};

static void let_go(struct fl_lane *lane) {
    if (lane->request) fl_kube_request_cancel(lane->request->kube);
    lane->request = NULL;
}

static int start(struct fl_lane *lane, const struct fl_reflector_request *what,
                 struct fl_error *err) {
    struct fl_lane_request *request = FL_NEW(struct fl_lane_request);
    if (!request) return fl_fail_nomem(err);
    request->lane = lane;
    int rc = fl_kube_client_get(lane->client, what->path, what->accept, &request_events, request,
                                &request->kube, err);
    if (rc < 0) {
        fl_free(request);
        return rc;
    }
    lane->request = request;
    lane->requests_open++;
    return FL_OK;
}

void fl_lane_step(struct fl_lane *lane) {
    struct fl_reflector_request what;
    enum fl_reflector_action action;
    struct fl_error err;
    uint64_t now_ms = fl_io_now_ms(lane->io);
    while (!lane->closing &&
           (action = lane->machine->next(lane->arg, now_ms, &what)) != FL_REFLECTOR_WAIT) {
        if (action == FL_REFLECTOR_CANCEL)
            let_go(lane);
        else if (start(lane, &what, &err) < 0)
            lane->machine->closed(lane->arg, now_ms, &err);
    }
    fl_lane_rearm(lane);
}

void fl_lane_rearm(struct fl_lane *lane) {
    if (!lane->closing)
        fl_io_timer_set(lane->io, &lane->timer, lane->machine->deadline_ms(lane->arg));
}

static void on_timer(struct fl_timer *timer) {
    fl_lane_step(FL_CONTAINER(timer, struct fl_lane, timer));
}

int fl_lane_init(struct fl_lane *lane, struct fl_io *io, struct fl_kube_client *client,
                 const struct fl_lane_machine *machine, void *arg) {
    *lane = (struct fl_lane){.io = io, .client = client, .machine = machine, .arg = arg};
    return fl_io_timer_init(io, &lane->timer, on_timer);
}

void fl_lane_deinit(struct fl_lane *lane) {
    if (lane->io) fl_io_timer_deinit(lane->io, &lane->timer);
}

bool fl_lane_close(struct fl_lane *lane) {
    lane->closing = true;
    fl_io_timer_clear(lane->io, &lane->timer);
    let_go(lane);
    return lane->requests_open == 0;
}

uint64_t fl_lane_last_read_ms(const struct fl_lane *lane) {
    return lane->request ? fl_kube_request_last_read_ms(lane->request->kube) : 0;
}
