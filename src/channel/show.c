/* show.c - a channel as one JSON object. */
#include "channel/show.h"

#include "channel/state.h"
#include "channel/transport.h"
#include "discovery/set.h"
#include "wire/json_write.h"

static void put_text(struct fl_json_writer *w, const char *key, const char *value) {
    fl_json_put_key(w, fl_str_of(key));
    fl_json_put_string(w, fl_str_of(value));
}

static void put_int(struct fl_json_writer *w, const char *key, uint64_t value) {
    fl_json_put_key(w, fl_str_of(key));
    fl_json_put_int(w, (int64_t)value);
}

static void put_bool(struct fl_json_writer *w, const char *key, bool value) {
    fl_json_put_key(w, fl_str_of(key));
    fl_json_put_bool(w, value);
}

static void put_cause(struct fl_json_writer *w, const struct fl_error *why) {
    if (why->code == FL_OK) return;
    put_text(w, "cause", fl_error_name(why->code));
    put_text(w, "detail", why->detail);
}

static const char *connection_state(const struct fl_transport *transport) {
    if (transport->leaving) return "DRAINING";
    return fl_channel_state_name(transport->ready ? FL_CHANNEL_READY : FL_CHANNEL_CONNECTING);
}

static void put_load(struct fl_json_writer *w, const struct fl_transport *transport) {
    uint64_t now_ms = fl_io_now_ms(transport->sub->connector->io);
    uint64_t read_ms = fl_http_conn_last_read_ms(transport->conn);
    put_int(w, "calls", fl_http_conn_streams(transport->conn));
    put_int(w, "quiet_ms", read_ms && now_ms > read_ms ? now_ms - read_ms : 0);
    if (transport->end) put_text(w, "leaving", transport->end);
}

static void put_connections(struct fl_json_writer *w, const struct fl_subchannel *sub) {
    fl_json_put_key(w, FL_STR("connections"));
    fl_json_put_begin(w, '[');
    FL_LIST_EACH (&sub->transports, item, next) {
        const struct fl_transport *transport = FL_CONTAINER(item, struct fl_transport, sub_link);
        fl_json_put_begin(w, '{');
        put_text(w, "state", connection_state(transport));
        put_load(w, transport);
        fl_json_put_end(w, '}');
    }
    fl_json_put_end(w, ']');
}

static void put_subchannel(struct fl_json_writer *w, const struct fl_subchannel *sub) {
    uint64_t now_ms = fl_io_now_ms(sub->connector->io);
    fl_json_put_begin(w, '{');
    put_text(w, "peer", sub->peer);
    if (sub->handle && *sub->handle->pod) put_text(w, "pod", sub->handle->pod);
    put_text(w, "state", fl_channel_state_name((enum fl_channel_state)sub->state));
    if (sub->failed) put_cause(w, fl_kept_error_peek(&sub->why));
    if (fl_timer_is_set(&sub->timer))
        put_int(w, "retry_ms", sub->timer.at_ms > now_ms ? sub->timer.at_ms - now_ms : 0);
    put_bool(w, "ready", sub->ready);
    put_bool(w, "serving", sub->serving);
    put_bool(w, "terminating", sub->terminating);
    put_bool(w, "wanted", sub->wanted);
    put_bool(w, "ejected", sub->outlier.ejected);
    put_connections(w, sub);
    fl_json_put_end(w, '}');
}

static void put_subchannels(struct fl_json_writer *w, const struct fl_list *subs) {
    fl_json_put_key(w, FL_STR("subchannels"));
    fl_json_put_begin(w, '[');
    FL_LIST_EACH (subs, item, next) {
        put_subchannel(w, FL_CONTAINER(item, struct fl_subchannel, link));
    }
    fl_json_put_end(w, ']');
}

static void put_leaving(struct fl_json_writer *w, const struct fl_list *transports) {
    fl_json_put_key(w, FL_STR("leaving"));
    fl_json_put_begin(w, '[');
    FL_LIST_EACH (transports, item, next) {
        const struct fl_transport *transport = FL_CONTAINER(item, struct fl_transport, link);
        if (transport->sub->state != FL_CHANNEL_SHUTDOWN) continue;
        fl_json_put_begin(w, '{');
        put_text(w, "peer", transport->sub->peer);
        put_load(w, transport);
        fl_json_put_end(w, '}');
    }
    fl_json_put_end(w, ']');
}

static void put_set(struct fl_json_writer *w, const struct fl_channel *channel) {
    const struct fl_set *set = channel->loop_data.newest;
    fl_json_put_key(w, FL_STR("set"));
    fl_json_put_begin(w, '{');
    if (set) put_text(w, "service", fl_set_service(set));
    put_text(w, "state", fl_set_state_name(set ? fl_set_state(set) : FL_SET_UNKNOWN));
    if (set) put_int(w, "version", fl_set_version(set));
    if (set) put_int(w, "stale_ms", fl_set_stale_ms(set));
    if (channel->options.excluded_port) put_int(w, "excluded_port", channel->options.excluded_port);
    put_cause(w, fl_kept_error_peek(&channel->loop_data.trouble));
    fl_json_put_end(w, '}');
}

static size_t count_calls(const struct fl_list *calls) {
    size_t count = 0;
    FL_LIST_EACH (calls, item, next) {
        count++;
    }
    return count;
}

int fl_channel_show(struct fl_shown *shown, struct fl_buf *out) {
    struct fl_channel *channel = FL_CONTAINER(shown, struct fl_channel, loop_data.shown);
    struct fl_json_writer writer = fl_json_writer_of(out), *w = &writer;
    enum fl_channel_state state = channel->loop_data.state;
    fl_json_put_begin(w, '{');
    put_text(w, "target", channel->target);
    put_text(w, "authority", channel->authority);
    put_text(w, "state", fl_channel_state_name(state));
    if (state == FL_CHANNEL_TRANSIENT_FAILURE || state == FL_CHANNEL_CONNECTING)
        put_cause(w, fl_kept_error_peek(&channel->loop_data.cause));
    put_set(w, channel);
    put_int(w, "calls", count_calls(&channel->loop_data.calls));
    put_int(w, "waiting", channel->loop_data.waiting_count);
    put_subchannels(w, &channel->loop_data.sub_list);
    put_leaving(w, &channel->loop_data.connector.transports);
    fl_json_put_end(w, '}');
    return fl_json_finish(w);
}
