/* methods.c - the gRPC methods whose messages can be read and written as JSON. */
#include "cli/methods.h"

#include "cli/echo_message.h"
#include "wire/pb.h"

/* {"member": "text"} and nothing else; absent is "". */
static int one_text(const json_t *request, const char *member, struct fl_str *out,
                    struct fl_error *err) {
    const char *key;
    json_t *value;
    *out = FL_STR("");
    json_object_foreach ((json_t *)request, key, value) {
        if (strcmp(key, member) != 0 || !json_is_string(value))
            return fl_fail(err, FL_EUSAGE, "-d: \"%s\" does not fit; want {\"%s\": \"text\"}", key,
                           member);
        *out = fl_str_n(json_string_value(value), json_string_length(value));
    }
    return FL_OK;
}

static int echo_encode(const json_t *request, struct fl_buf *out, struct fl_error *err) {
    struct fl_str message;
    int rc = one_text(request, "message", &message, err);
    return rc ? rc : fl_echo_message_encode(out, message);
}

static int echo_decode(struct fl_str response, json_t **out, struct fl_error *err) {
    struct fl_str message;
    int rc = fl_echo_message_decode(response, &message, err);
    if (rc) return rc;
    *out = json_pack("{s:s%}", "message", message.p, message.n);
    return *out ? FL_OK : fl_fail(err, FL_EPROTO, "the response's message is not UTF-8");
}

/* grpc.health.v1: HealthCheckRequest {string service = 1}, HealthCheckResponse {enum status = 1}.
 */
static int health_encode(const json_t *request, struct fl_buf *out, struct fl_error *err) {
    struct fl_str service;
    int rc = one_text(request, "service", &service, err);
    if (rc) return rc;
    struct fl_pb_writer w = fl_pb_writer_of(out);
    fl_pb_put_text(&w, 1, service);
    return fl_pb_finish(&w);
}

static int health_decode(struct fl_str response, json_t **out, struct fl_error *err) {
    static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    struct fl_parse r = fl_parse_of(response);
    struct fl_pb_field field = {0};
    uint64_t status = 0;
    while (fl_pb_next(&r, &field))
        if (field.tag == FL_PB_VARINT(1)) status = field.value;
    if (r.bad || status >= FL_COUNT(names))
        return fl_fail(err, FL_EPROTO, "the response is no HealthCheckResponse");
    *out = json_pack("{s:s}", "status", names[status]);
    return *out ? FL_OK : fl_fail_nomem(err);
}

static const struct fl_method methods[] = {
    {FL_ECHO_METHOD, echo_encode, echo_decode},
    {"/grpc.health.v1.Health/Check", health_encode, health_decode},
};

const struct fl_method *fl_method_find(const char *name, struct fl_error *err) {
    if (*name == '/') name++;
    for (size_t i = 0; i < FL_COUNT(methods); i++)
        if (strcmp(methods[i].path + 1, name) == 0) return &methods[i];
    fl_fail(err, FL_EUSAGE, "unknown method \"%s\"; known: %s, %s", name, methods[0].path + 1,
            methods[1].path + 1);
    return NULL;
}
