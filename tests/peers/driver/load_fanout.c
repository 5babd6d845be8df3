/* load_fanout.c - see load_fanout.h. */
#include "peers/driver/load_fanout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/def.h"
#include "peers/driver/load_loop.h"

#define ROUND_MS   50
#define TIMEOUT_MS 5000

static void on_told(void *arg, const struct fl_call_result *result) {
    struct load_fanout *fanout = arg;
    fanout->pending--;
    if (result->status == FL_STATUS_OK)
        fanout->told++;
    else if (result->why->code == FL_ELEFT)
        fanout->left++;
    else
        fanout->failed++;
}

static void tell(struct load_fanout *fanout, struct fl_handle *handle) {
    static const char news[] = {10, 4, 'n', 'e', 'w', 's'}; /* EchoRequest */
    const struct fl_call_options options = {.timeout_ms = TIMEOUT_MS, .endpoint = handle};
    struct fl_error err;
    if (fl_call_unary(fl_conn_channel(fanout->conns.conn), "/grpc.examples.echo.Echo/UnaryEcho",
                      news, sizeof(news), &options, on_told, fanout, NULL, &err) != 0)
        abort();
    fanout->pending++;
}

/* The handles of the last round are still held, so none of them can be at another's place. */
static void compare(struct load_fanout *fanout, const struct fl_handles *fresh) {
    const struct fl_handles *old = &fanout->conns.handles;
    for (size_t i = 0; i < fresh->count; i++)
        for (size_t j = 0; j < old->count; j++)
            if (strcmp(fl_handle_peer(fresh->list[i]), fl_handle_peer(old->list[j])) == 0)
                fanout->replaced += fresh->list[i] != old->list[j];
}

static void on_conns(void *arg, const struct fl_error *why, struct fl_conns *conns) {
    struct load_fanout *fanout = arg;
    fanout->asking = false;
    if (why) {
        fanout->errors++;
        return;
    }
    fanout->rounds++;
    compare(fanout, &conns->handles);
    fl_conns_deinit(&fanout->conns);
    fanout->conns = *conns;
    for (size_t i = 0; i < conns->handles.count; i++) tell(fanout, fanout->conns.handles.list[i]);
}

void load_fanout_step(struct load_fanout *fanout) {
    struct fl_error err;
    if (fanout->asking || load_now_ms() < fanout->next_ms) return;
    fanout->next_ms = load_now_ms() + ROUND_MS;
    if (fl_connmgr_get_conns_async(fanout->mgr, fanout->service, 0, on_conns, fanout, &err) != 0)
        abort();
    fanout->asking = true;
}

bool load_fanout_ended(const struct load_fanout *fanout) {
    return !fanout->asking && fanout->pending == 0;
}

void load_fanout_deinit(struct load_fanout *fanout) { fl_conns_deinit(&fanout->conns); }

void load_fanout_print(const struct load_fanout *fanout, FILE *out) {
    const struct fl_handles *handles = &fanout->conns.handles;
    fprintf(out,
            "\"fanout\":{\"rounds\":%" PRIu64 ",\"told\":%" PRIu64 ",\"left\":%" PRIu64
            ",\"failed\":%" PRIu64 ",\"replaced\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"handles\":[",
            fanout->rounds, fanout->told, fanout->left, fanout->failed, fanout->replaced,
            fanout->errors);
    for (size_t i = 0; i < handles->count; i++)
        fprintf(out, "%s\"%s\"", i ? "," : "", fl_handle_peer(handles->list[i]));
    fprintf(out, "]}");
}
