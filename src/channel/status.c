/* status.c - the names of gRPC's status codes, and which one stands for a cause of ours. */
#include "channel/reply.h"

const char *fl_status_name(enum fl_status status) {
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };
    return (unsigned)status < FL_COUNT(names) ? names[status] : "?";
}

enum fl_status fl_status_of_error(int code) {
    switch (code) {
    case FL_OK:
        return FL_STATUS_OK;
    case FL_ECANCELLED:
        return FL_STATUS_CANCELLED;
    case FL_EDEADLINE:
        return FL_STATUS_DEADLINE_EXCEEDED;
    case FL_ETOO_LARGE:
    case FL_EFULL:
    case FL_ENOMEM:
        return FL_STATUS_RESOURCE_EXHAUSTED;
    case FL_EPROTO:
        return FL_STATUS_INTERNAL;
    default:
        return FL_STATUS_UNAVAILABLE;
    }
}
