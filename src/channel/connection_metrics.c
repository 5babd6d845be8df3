/* connection_metrics.c - see connection_metrics.h.
 *
 * Connections that end are counted twice: by this library's causes, which say why, and by gRPC's
 * grpc.disconnect_error, which others' dashboards know. */
#include "channel/connection_metrics.h"

#include <stdio.h>

#include "channel/transport.h"

#define LABELS_MAX 384

/* `level`: grpc_security_level; NULL: without. */
static struct fl_metric *get(const struct fl_connection_metrics *m, enum fl_metric_kind kind,
                             const char *name, const char *help, const char *level) {
    char labels[LABELS_MAX];
    snprintf(labels, sizeof(labels), "grpc_target=%s%s%s", m->target,
             level ? ",grpc_security_level=" : "", level ? level : "");
    return fl_metrics_get(m->metrics, kind, name, help, labels);
}

static void init_states(struct fl_connection_metrics *m) {
    for (int state = 0; state < FL_CHANNEL_SHUTDOWN; state++) {
        char labels[48];
        snprintf(labels, sizeof(labels), "state=%s",
                 fl_channel_state_name((enum fl_channel_state)state));
        m->states[state] =
            fl_metrics_get(m->metrics, FL_METRIC_GAUGE, "fairlead_channel_subchannels",
                           "Endpoints of channels, by connectivity state.", labels);
    }
}

void fl_connection_metrics_init(struct fl_connection_metrics *m, struct fl_metrics *metrics,
                                const char *target, bool secure) {
    const char *level = secure ? "privacy_and_integrity" : "none";
    m->metrics = metrics;
    m->target = target;
    init_states(m);
    m->open = fl_metrics_get(metrics, FL_METRIC_GAUGE, "fairlead_channel_connections",
                             "Connections of channels that are ready.", "");
    m->draining = fl_metrics_get(metrics, FL_METRIC_GAUGE, "fairlead_channel_draining",
                                 "Of them, those that take no more calls.", "");
    m->applied_us =
        fl_metrics_get(metrics, FL_METRIC_HISTOGRAM, "fairlead_channel_event_to_applied_us",
                       "Time from a change of endpoints, as discovery published it, "
                       "until picks follow it.",
                       "");
    m->first_call_us =
        fl_metrics_get(metrics, FL_METRIC_HISTOGRAM, "fairlead_channel_event_to_first_call_us",
                       "Time from a new endpoint's event until it has answered a "
                       "call; with few calls mostly the wait for one.",
                       "");
    m->open_of_target = get(m, FL_METRIC_GAUGE, "grpc_subchannel_open_connections",
                            "Connections that are ready.", level);
    m->succeeded = get(m, FL_METRIC_COUNTER, "grpc_subchannel_connection_attempts_succeeded_total",
                       "Connections that became ready.", level);
    m->failed = get(m, FL_METRIC_COUNTER, "grpc_subchannel_connection_attempts_failed_total",
                    "Connections that did not.", NULL);
}

void fl_connection_metrics_state(const struct fl_connection_metrics *m, int from, int to) {
    if (from != FL_CHANNEL_SHUTDOWN) fl_metric_add(m->states[from], -1);
    if (to != FL_CHANNEL_SHUTDOWN) fl_metric_add(m->states[to], 1);
}

/* --- connections --- */

static const struct fl_connection_metrics *metrics_of(const struct fl_transport *transport) {
    return &transport->sub->connector->metrics;
}

static void count_by(const struct fl_connection_metrics *m, const char *name, const char *help,
                     const char *cause) {
    char labels[64];
    snprintf(labels, sizeof(labels), "cause=%s", cause);
    fl_metric_add(fl_metrics_get(m->metrics, FL_METRIC_COUNTER, name, help, labels), 1);
}

static void count_connect(const struct fl_connection_metrics *m, const char *cause) {
    count_by(m, "fairlead_channel_connects_total", "Attempts to connect, by result.", cause);
}

void fl_connection_metrics_ready(const struct fl_transport *transport) {
    const struct fl_connection_metrics *m = metrics_of(transport);
    fl_metric_add(m->open, 1);
    fl_metric_add(m->open_of_target, 1);
    fl_metric_add(m->succeeded, 1);
    count_connect(m, "OK");
}

void fl_connection_metrics_draining(struct fl_transport *transport) {
    if (transport->draining || !transport->ready) return;
    transport->draining = true;
    fl_metric_add(metrics_of(transport)->draining, 1);
}

/* RFC 9113 section 7. */
static const char *h2_name(uint32_t code) {
    static const char *const names[] = {"NO_ERROR",
                                        "PROTOCOL_ERROR",
                                        "INTERNAL_ERROR",
                                        "FLOW_CONTROL_ERROR",
                                        "SETTINGS_TIMEOUT",
                                        "STREAM_CLOSED",
                                        "FRAME_SIZE_ERROR",
                                        "REFUSED_STREAM",
                                        "CANCEL",
                                        "COMPRESSION_ERROR",
                                        "CONNECT_ERROR",
                                        "ENHANCE_YOUR_CALM",
                                        "INADEQUATE_SECURITY",
                                        "HTTP_1_1_REQUIRED"};
    return code < FL_COUNT(names) ? names[code] : "UNKNOWN";
}

/* As gRFC A94 names them. What this side ended has a cause that is no error's name. */
static void name_error(const struct fl_transport *transport, int code, char *out, size_t size) {
    if (transport->goaway)
        snprintf(out, size, "GOAWAY %s", h2_name(transport->goaway_code));
    else if (code == FL_OK || code == FL_ESHUTDOWN)
        snprintf(out, size, "%s", transport->end ? "subchannel shutdown" : "unknown");
    else if (code == FL_ERESET)
        snprintf(out, size, "connection reset");
    else if (code == FL_ETIMEOUT)
        snprintf(out, size, "connection timed out");
    else
        snprintf(out, size, "%s", code == FL_ECLOSED ? "unknown" : "socket error");
}

static void count_disconnect(const struct fl_transport *transport, int code) {
    const struct fl_connection_metrics *m = metrics_of(transport);
    char error[48], labels[LABELS_MAX];
    name_error(transport, code, error, sizeof(error));
    snprintf(labels, sizeof(labels), "grpc_target=%s,grpc_disconnect_error=%s", m->target, error);
    fl_metric_add(fl_metrics_get(m->metrics, FL_METRIC_COUNTER,
                                 "grpc_subchannel_disconnections_total",
                                 "Ready connections that ended, by gRPC's names.", labels),
                  1);
}

void fl_connection_metrics_gone(const struct fl_transport *transport, const char *cause, int code) {
    const struct fl_connection_metrics *m = metrics_of(transport);
    if (transport->draining) fl_metric_add(m->draining, -1);
    if (!transport->ready) {
        fl_metric_add(m->failed, 1);
        count_connect(m, cause);
        return;
    }
    fl_metric_add(m->open, -1);
    fl_metric_add(m->open_of_target, -1);
    count_by(m, "fairlead_channel_disconnects_total", "Connections that ended, by cause.", cause);
    count_disconnect(transport, code);
}
