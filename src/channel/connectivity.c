/* connectivity.c - the state of the whole channel, and why calls cannot be sent when they cannot.
 *
 * gRPC's aggregation over the endpoints that may take calls: READY if one is; else CONNECTING while
 * one that has not failed since its last READY is on its way; else TRANSIENT_FAILURE, which a
 * further attempt does not hide (gRFC A62). What discovery says comes first, its four answers kept
 * apart: unknown waits until the source reports trouble and fails fast from then on, as in gRPC
 * when a name was never resolved; absent and empty fail fast; a set that is known stays in use
 * whatever trouble its source has. */
#include "base/log.h"
#include "channel/state.h"
#include "discovery/set.h"

#define PORTS_TEXT_MAX 160

static enum fl_channel_state not_known(const struct fl_channel *channel, struct fl_error *cause) {
    const struct fl_error *trouble = fl_kept_error_peek(&channel->loop_data.trouble);
    if (trouble->code == FL_OK) {
        fl_fail(cause, FL_EUNKNOWN, "the endpoints of %s are not known yet", channel->target);
        return FL_CHANNEL_CONNECTING;
    }
    fl_fail(cause, trouble->code, "the endpoints of %s are not known: %s", channel->target,
            trouble->detail);
    return FL_CHANNEL_TRANSIENT_FAILURE;
}

static void several_ports(const struct fl_channel *channel, struct fl_error *cause) {
    struct fl_buf names;
    fl_buf_init(&names, PORTS_TEXT_MAX);
    fl_set_ports(channel->loop_data.newest, &names);
    struct fl_str text = fl_buf_str(&names);
    fl_fail(cause, FL_EPORT, "%s has several ports, name one of them: %.*s", channel->target,
            FL_STR_ARG(text));
    fl_buf_deinit(&names);
}

static void external_name(const struct fl_set *set, struct fl_error *cause) {
    fl_fail(cause, FL_EUSAGE, "%s is only another name for %s, which is to be called as host:port",
            fl_set_service(set), fl_set_external_name(set));
}

/* What a socket says of its failure begins with its peer already. */
static void none_answers(const struct fl_channel *channel, const struct fl_subchannel *failed,
                         struct fl_error *cause) {
    const struct fl_error *why = fl_kept_error_peek(&failed->why);
    bool named = fl_str_starts(fl_str_of(why->detail), fl_str_of(failed->peer));
    fl_fail(cause, why->code, "no endpoint of %s %s; %s%s%s", channel->target,
            why->code == FL_EUNHEALTHY ? "is healthy" : "can be reached", named ? "" : failed->peer,
            named ? "" : ": ", why->detail);
}

static enum fl_channel_state of_endpoints(const struct fl_channel *channel,
                                          struct fl_error *cause) {
    const struct fl_subchannel *failed = NULL;
    bool hopeful = false;
    FL_LIST_EACH (&channel->loop_data.sub_list, item, next) {
        const struct fl_subchannel *sub = FL_CONTAINER(item, struct fl_subchannel, link);
        if (!sub->wanted) continue;
        if (sub->state == FL_CHANNEL_READY) {
            fl_fail(cause, FL_EFULL, "every connection is at the peer's stream limit");
            return FL_CHANNEL_READY;
        }
        if (sub->failed)
            failed = sub;
        else
            hopeful = true;
    }
    if (hopeful) {
        fl_fail(cause, FL_EUNREACHABLE, "no endpoint of %s is connected yet", channel->target);
        return FL_CHANNEL_CONNECTING;
    }
    if (failed)
        none_answers(channel, failed, cause);
    else
        fl_fail(cause, FL_EEMPTY, "service %s has no endpoint that may take calls",
                fl_set_service(channel->loop_data.newest));
    return FL_CHANNEL_TRANSIENT_FAILURE;
}

static enum fl_channel_state find_out(const struct fl_channel *channel, struct fl_error *cause) {
    const struct fl_set *set = channel->loop_data.newest;
    const struct fl_error *trouble = fl_kept_error_peek(&channel->loop_data.trouble);
    if (channel->loop_data.closing) {
        fl_fail(cause, FL_ESHUTDOWN, "the channel was closed");
        return FL_CHANNEL_SHUTDOWN;
    }
    if (channel->loop_data.idle.on) {
        *cause = (struct fl_error){FL_OK, ""};
        return FL_CHANNEL_IDLE;
    }
    if (!set || fl_set_state(set) == FL_SET_UNKNOWN) return not_known(channel, cause);
    if (channel->loop_data.port_error.code != FL_OK) {
        *cause = *fl_kept_error_peek(&channel->loop_data.port_error);
        return FL_CHANNEL_TRANSIENT_FAILURE;
    }
    if (trouble->code == FL_EPORT) {
        *cause = *trouble;
        return FL_CHANNEL_TRANSIENT_FAILURE;
    }
    if (fl_set_state(set) == FL_SET_ABSENT) {
        fl_fail(cause, FL_EABSENT, "service %s does not exist", fl_set_service(set));
        return FL_CHANNEL_TRANSIENT_FAILURE;
    }
    if (channel->loop_data.several_ports) {
        several_ports(channel, cause);
        return FL_CHANNEL_TRANSIENT_FAILURE;
    }
    if (fl_set_external_name(set)) {
        external_name(set, cause);
        return FL_CHANNEL_TRANSIENT_FAILURE;
    }
    return of_endpoints(channel, cause);
}

void fl_channel_refresh(struct fl_channel *channel) {
    if (!channel->loop_data.changed) return;
    fl_channel_want_if_due(channel);
    channel->loop_data.changed = false;
    enum fl_channel_state before = channel->loop_data.state;
    struct fl_error cause;
    enum fl_channel_state state = find_out(channel, &cause);
    fl_kept_error_set(&channel->loop_data.cause, &cause);
    if (state == before) return;
    channel->loop_data.state = state;
    atomic_store(&channel->shared_data.state, (int)state);
    fl_state_watches_tell(channel);
    if (state == FL_CHANNEL_TRANSIENT_FAILURE)
        FL_LOG(channel->io, FL_LOG_WARN, "channel cannot serve calls",
               FL_LOG_TEXT_OF("service", channel->target), FL_LOG_ERROR_OF(&cause));
    else
        FL_LOG(channel->io, before == FL_CHANNEL_TRANSIENT_FAILURE ? FL_LOG_INFO : FL_LOG_DEBUG,
               "channel changed its state", FL_LOG_TEXT_OF("service", channel->target),
               FL_LOG_TEXT_OF("state", fl_channel_state_name(state)));
}
