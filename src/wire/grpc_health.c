/* grpc_health.c - see grpc_health.h. */
#include "wire/grpc_health.h"

#include "wire/pb.h"

const char *fl_health_status_name(uint64_t status) {
    static const char *const names[] = {
        [FL_HEALTH_UNKNOWN] = "UNKNOWN",
        [FL_HEALTH_SERVING] = "SERVING",
        [FL_HEALTH_NOT_SERVING] = "NOT_SERVING",
        [FL_HEALTH_SERVICE_UNKNOWN] = "SERVICE_UNKNOWN",
    };
    return status < FL_COUNT(names) ? names[status] : "of an unknown kind";
}

bool fl_health_read_request(struct fl_str bytes, struct fl_str *service) {
    return fl_pb_find_bytes(bytes, 1, service);
}

bool fl_health_read_response(struct fl_str bytes, uint64_t *status) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field field;
    *status = FL_HEALTH_UNKNOWN;
    while (fl_pb_next(&r, &field))
        if (field.tag == FL_PB_VARINT(1)) *status = field.value;
    return !r.bad;
}

struct fl_str fl_health_write_response(enum fl_health_status status, char *out) {
    out[0] = FL_PB_VARINT(1);
    out[1] = (char)status;
    return fl_str_n(out, FL_HEALTH_RESPONSE_MAX);
}
