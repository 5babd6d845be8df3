/* departure.c - endpoints that left a service, until their connections are closed.
 *
 * The channel drains them (drain.c of its room); this only tells when their time is over, and how
 * many of them have closed by then and a second later: calls with a deadline keep their time. */
#include "base/alloc.h"
#include "channel/handle.h"
#include "manager/conn.h"

#define SETTLE_MS 1000

struct departure {
    struct fl_list link;
    struct fl_conn *conn;
    struct fl_handles handles;
    struct fl_timer timer;
    bool over; /* the drain's time is */
};

static void departure_free(struct departure *departure) {
    fl_list_remove(&departure->link);
    fl_io_timer_deinit(departure->conn->mgr->io, &departure->timer);
    fl_handles_deinit(&departure->handles);
    fl_free(departure);
}

static size_t closed(const struct fl_handles *handles) {
    size_t count = 0;
    for (size_t i = 0; i < handles->count; i++)
        count += atomic_load(&handles->list[i]->connections) == 0;
    return count;
}

static void due(struct fl_timer *timer) {
    struct departure *departure = FL_CONTAINER(timer, struct departure, timer);
    const struct fl_conn *conn = departure->conn;
    size_t count = departure->handles.count;
    if (!departure->over) {
        departure->over = true;
        FL_JOURNAL(&conn->mgr->journal, CLOSING_OLD, conn->name, FL_LOG_INT("count", count));
        fl_io_timer_set(conn->mgr->io, timer, fl_io_now_ms(conn->mgr->io) + SETTLE_MS);
        return;
    }
    FL_JOURNAL(&conn->mgr->journal, CLOSED_OLD, conn->name,
               FL_LOG_INT("closed", closed(&departure->handles)), FL_LOG_INT("count", count));
    departure_free(departure);
}

void fl_departure_start(struct fl_conn *conn, struct fl_handles *left) {
    struct fl_connmgr *mgr = conn->mgr;
    const uint32_t drain_ms = fl_channel_drain_ms(conn->channel);
    FL_JOURNAL(&mgr->journal, OLD, conn->name, FL_LOG_INT("count", left->count));
    FL_JOURNAL(&mgr->journal, DELAYED, conn->name, FL_LOG_INT("count", left->count),
               FL_LOG_INT("seconds", drain_ms / 1000));
    struct departure *departure = FL_NEW(struct departure);
    if (!departure || fl_io_timer_init(mgr->io, &departure->timer, due) != 0) {
        fl_free(departure); /* only the end will not be told */
        fl_handles_deinit(left);
        return;
    }
    departure->conn = conn;
    departure->handles = *left;
    fl_list_push(&conn->loop_data.departures, &departure->link);
    fl_io_timer_set(mgr->io, &departure->timer, fl_io_now_ms(mgr->io) + drain_ms);
}

void fl_departure_forget_all(struct fl_conn *conn) {
    while (!fl_list_empty(&conn->loop_data.departures))
        departure_free(FL_CONTAINER(conn->loop_data.departures.next, struct departure, link));
}
