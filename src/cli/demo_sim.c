/* demo_sim.c - the demo's cluster on a thread of its own.
 *
 * Orders go to the simulator's loop and events come back by one posted task each, so every field
 * has one thread at a time: `order` tasks touch simulator fields, `event` tasks call the client. */
#include "cli/demo_sim.h"

#include <fairlead/runtime.h>

#include "base/alloc.h"
#include "sim/sim.h"

#define ROLL_LOOK_MS 20

struct fl_demo_sim {
    /* the client's */
    struct fl_io *client;
    const struct fl_demo_sim_events *events;
    void *arg;
    struct fl_runtime *runtime;
    struct fl_task up, failed, rolled, closed; /* run on the client's loop */
    /* the simulator's */
    const char *service;
    struct fl_sim *sim;
    struct fl_timer look; /* is the roll over? */
    struct fl_task order_start, order_roll, order_kill, order_scale, order_close;
    /* written before the post that tells of it */
    struct fl_error error;
    unsigned pods;
    uint16_t port;
};

static void look(struct fl_timer *timer);

static struct fl_io *sim_io(struct fl_demo_sim *demo) { return demo->runtime->io; }

/* ---- on the simulator's thread ---- */

static void start(struct fl_task *task) {
    struct fl_demo_sim *demo = FL_CONTAINER(task, struct fl_demo_sim, order_start);
    const struct fl_sim_service service = {.name = demo->service, .pods = demo->pods};
    const struct fl_sim_options options = {
        .apiserver = {.host = FL_STR("127.0.0.1")},
        .services = &service,
        .service_count = 1,
        .seed = fl_io_now_us(sim_io(demo)),
        .start_ms = 400,
        .echo_delay_ms = 1,
    };
    int rc = fl_io_timer_init(sim_io(demo), &demo->look, look);
    rc = rc ? fl_fail_nomem(&demo->error)
            : fl_sim_new(sim_io(demo), &options, &demo->sim, &demo->error);
    if (rc) {
        fl_io_post(demo->client, &demo->failed);
        return;
    }
    demo->port = fl_apiserver_port(fl_sim_apiserver(demo->sim));
    fl_io_post(demo->client, &demo->up);
}

static void look(struct fl_timer *timer) {
    struct fl_demo_sim *demo = FL_CONTAINER(timer, struct fl_demo_sim, look);
    if (fl_sim_rolling(demo->sim, demo->service))
        fl_io_timer_set(sim_io(demo), timer, fl_io_now_ms(sim_io(demo)) + ROLL_LOOK_MS);
    else
        fl_io_post(demo->client, &demo->rolled);
}

static bool obeyed(struct fl_demo_sim *demo, int rc) {
    if (rc) fl_io_post(demo->client, &demo->failed);
    return rc == FL_OK;
}

static void roll(struct fl_task *task) {
    struct fl_demo_sim *demo = FL_CONTAINER(task, struct fl_demo_sim, order_roll);
    if (obeyed(demo, fl_sim_roll(demo->sim, demo->service, &demo->error))) look(&demo->look);
}

static void kill_one(struct fl_task *task) {
    struct fl_demo_sim *demo = FL_CONTAINER(task, struct fl_demo_sim, order_kill);
    obeyed(demo, fl_sim_kill(demo->sim, demo->service, &demo->error));
}

static void scale(struct fl_task *task) {
    struct fl_demo_sim *demo = FL_CONTAINER(task, struct fl_demo_sim, order_scale);
    obeyed(demo, fl_sim_scale(demo->sim, demo->service, demo->pods, &demo->error));
}

static void on_sim_closed(void *arg) {
    struct fl_demo_sim *demo = arg;
    fl_io_timer_deinit(sim_io(demo), &demo->look);
    fl_io_post(demo->client, &demo->closed);
}

static void close_sim(struct fl_task *task) {
    struct fl_demo_sim *demo = FL_CONTAINER(task, struct fl_demo_sim, order_close);
    fl_io_timer_clear(sim_io(demo), &demo->look);
    if (demo->sim)
        fl_sim_close(demo->sim, on_sim_closed, demo);
    else
        on_sim_closed(demo);
}

/* ---- on the client's thread ---- */

static void tell_up(struct fl_task *task) {
    struct fl_demo_sim *demo = FL_CONTAINER(task, struct fl_demo_sim, up);
    demo->events->on_up(demo->arg, demo->port);
}

static void tell_failed(struct fl_task *task) {
    struct fl_demo_sim *demo = FL_CONTAINER(task, struct fl_demo_sim, failed);
    demo->events->on_failed(demo->arg, &demo->error);
}

static void tell_rolled(struct fl_task *task) {
    struct fl_demo_sim *demo = FL_CONTAINER(task, struct fl_demo_sim, rolled);
    demo->events->on_rolled(demo->arg);
}

static void tell_closed(struct fl_task *task) {
    struct fl_demo_sim *demo = FL_CONTAINER(task, struct fl_demo_sim, closed);
    demo->events->on_closed(demo->arg);
}

int fl_demo_sim_new(struct fl_io *io, const char *service, unsigned pods,
                    const struct fl_demo_sim_events *events, void *arg, struct fl_demo_sim **out,
                    struct fl_error *err) {
    struct fl_demo_sim *demo = FL_NEW(struct fl_demo_sim);
    if (!demo) return fl_fail_nomem(err);
    *demo = (struct fl_demo_sim){
        .client = io, .events = events, .arg = arg, .service = service, .pods = pods};
    fl_task_init(&demo->up, tell_up);
    fl_task_init(&demo->failed, tell_failed);
    fl_task_init(&demo->rolled, tell_rolled);
    fl_task_init(&demo->closed, tell_closed);
    fl_task_init(&demo->order_start, start);
    fl_task_init(&demo->order_roll, roll);
    fl_task_init(&demo->order_kill, kill_one);
    fl_task_init(&demo->order_scale, scale);
    fl_task_init(&demo->order_close, close_sim);
    int rc = fl_runtime_new(NULL, &demo->runtime, err);
    if (!rc) {
        *out = demo;
        fl_io_post(sim_io(demo), &demo->order_start);
        return FL_OK;
    }
    fl_free(demo);
    return rc;
}

void fl_demo_sim_roll(struct fl_demo_sim *demo) { fl_io_post(sim_io(demo), &demo->order_roll); }

void fl_demo_sim_kill(struct fl_demo_sim *demo) { fl_io_post(sim_io(demo), &demo->order_kill); }

void fl_demo_sim_scale(struct fl_demo_sim *demo, unsigned pods) {
    demo->pods = pods;
    fl_io_post(sim_io(demo), &demo->order_scale);
}

void fl_demo_sim_close(struct fl_demo_sim *demo) { fl_io_post(sim_io(demo), &demo->order_close); }

void fl_demo_sim_free(struct fl_demo_sim *demo) {
    if (!demo) return;
    fl_runtime_free(demo->runtime);
    fl_free(demo);
}
