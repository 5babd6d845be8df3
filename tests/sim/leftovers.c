/* leftovers.c - see leftovers.h. */
#include "leftovers.h"

#define DIAL_MS 1000

/* Planted, for a moment. */
struct litter {
    struct fl_sock *sock;
    struct fl_timer timer;
};

static void on_close(void *arg, const struct fl_error *why) {
    FL_UNUSED(why);
    ((struct litter *)arg)->sock = NULL;
}

static void run(struct fl_timer *timer) { FL_UNUSED(timer); }

static void drop(struct litter *litter, struct fl_io *io, enum plant plant) {
    static const struct fl_sock_events events = {.on_close = on_close};
    const struct fl_dial dial = {
        .host = FL_STR("127.0.0.1"), .port = 1, .deadline_ms = fl_io_now_ms(io) + DIAL_MS};
    int rc = 0;
    if (plant == PLANT_LEAVE_SOCK) rc = fl_io_dial(io, &dial, &events, litter, &litter->sock, NULL);
    if (plant == PLANT_LEAVE_TIMER) rc = fl_io_timer_init(io, &litter->timer, run);
    FL_ASSERT(rc == 0);
}

void leftovers_judge(struct fl_world *world, size_t timers, enum plant plant,
                     struct verdict *verdict) {
    struct fl_io *io = fl_world_io(world);
    struct litter litter = {.sock = NULL};
    drop(&litter, io, plant);
    if (fl_world_open_socks(world)) verdict_broken(verdict, BREACH_LIFE, "sockets were left open");
    if (io->timers.reserved > timers)
        verdict_broken(verdict, BREACH_LIFE, "%zu timers were left behind",
                       io->timers.reserved - timers);
    if (io->channels) verdict_broken(verdict, BREACH_LIFE, "a channel was left open");
    fl_io_timer_deinit(io, &litter.timer);
    if (litter.sock) fl_world_run_ms(world, 2 * DIAL_MS); /* nobody listens there */
}
