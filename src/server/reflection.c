/* reflection.c - server reflection: the requests and their answers.
 *
 * The messages of v1 and v1alpha are the same but for their package, so one method serves both. A
 * stream has no state: each request is answered from the registered files, which are few. A client
 * that asks and does not read is cut off when its answers have filled the stream's queue. */
#include "server/reflection.h"

#include "base/alloc.h"
#include "http/conn.h"
#include "server/descriptor.h"
#include "wire/pb.h"

#define FILES_MAX 32 /* as many as `sent` has bits */

struct fl_reflection {
    struct fl_descriptor_file files[FILES_MAX];
    size_t file_count;
};

/* ServerReflectionRequest */
enum { HOST = 1, FILE_BY_NAME = 3, FILE_OF_SYMBOL, FILE_OF_EXTENSION, EXTENSIONS_OF_TYPE, LIST };

struct request {
    struct fl_str bytes, host, what;
    unsigned kind; /* field number of what is asked; 0: nothing */
};

static bool read_request(struct fl_str bytes, struct request *out) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field field;
    *out = (struct request){.bytes = bytes};
    while (fl_pb_next(&r, &field)) {
        if (field.tag == FL_PB_LEN(HOST)) {
            out->host = field.bytes;
        } else if (field.tag >= FL_PB_LEN(FILE_BY_NAME) && field.tag <= FL_PB_LEN(LIST) &&
                   (field.tag & 7) == FL_PB_WIRE_LEN) {
            out->kind = field.tag >> 3; /* of a oneof the last counts */
            out->what = field.bytes;
        }
    }
    return !r.bad;
}

/* --- files --- */

static const struct fl_descriptor_file *file_by_name(const struct fl_reflection *reflection,
                                                     struct fl_str name) {
    for (size_t i = 0; i < reflection->file_count; i++)
        if (fl_str_eq(reflection->files[i].name, name)) return &reflection->files[i];
    return NULL;
}

static const struct fl_descriptor_file *file_of_symbol(const struct fl_reflection *reflection,
                                                       struct fl_str symbol) {
    for (size_t i = 0; i < reflection->file_count; i++)
        if (fl_descriptor_declares(&reflection->files[i], symbol)) return &reflection->files[i];
    return NULL;
}

/* The file behind what it imports, each once. */
static void put_file(struct fl_pb_writer *w, const struct fl_reflection *reflection,
                     const struct fl_descriptor_file *file, uint32_t *sent) {
    uint32_t bit = UINT32_C(1) << (file - reflection->files);
    struct fl_str imported;
    if (*sent & bit) return;
    *sent |= bit;
    struct fl_parse r = fl_parse_of(file->bytes);
    while (fl_descriptor_next_import(&r, &imported)) {
        const struct fl_descriptor_file *other = file_by_name(reflection, imported);
        if (other) put_file(w, reflection, other, sent);
    }
    fl_pb_put_bytes(w, 1, file->bytes);
}

/* --- answers: the fields of ServerReflectionResponse --- */

enum { VALID_HOST = 1, ORIGINAL_REQUEST, FILES = 4, EXTENSION_NUMBERS, SERVICES, ERROR };

static void put_not_found(struct fl_pb_writer *w, const char *message) {
    size_t error = fl_pb_open(w, ERROR);
    fl_pb_put_varint(w, 1, FL_STATUS_NOT_FOUND);
    fl_pb_put_text(w, 2, fl_str_of(message));
    fl_pb_close(w, error);
}

static void put_files(struct fl_pb_writer *w, const struct fl_reflection *reflection,
                      const struct fl_descriptor_file *file, const char *missing) {
    uint32_t sent = 0;
    if (!file) {
        put_not_found(w, missing);
        return;
    }
    size_t files = fl_pb_open(w, FILES);
    put_file(w, reflection, file, &sent);
    fl_pb_close(w, files);
}

static void put_services(struct fl_pb_writer *w, const struct fl_grpc_call *call) {
    const char *name;
    size_t services = fl_pb_open(w, SERVICES);
    for (size_t i = 0; (name = fl_grpc_call_service(call, i)); i++) {
        size_t service = fl_pb_open(w, 1);
        fl_pb_put_text(w, 1, fl_str_of(name));
        fl_pb_close(w, service);
    }
    fl_pb_close(w, services);
}

/* The files are proto3, which has no extensions. */
static void put_no_extensions(struct fl_pb_writer *w, const struct fl_reflection *reflection,
                              struct fl_str type) {
    if (!file_of_symbol(reflection, type)) {
        put_not_found(w, "no such type");
        return;
    }
    size_t numbers = fl_pb_open(w, EXTENSION_NUMBERS);
    fl_pb_put_text(w, 1, type);
    fl_pb_close(w, numbers);
}

static void put_answer(struct fl_pb_writer *w, const struct fl_reflection *reflection,
                       const struct fl_grpc_call *call, const struct request *request) {
    fl_pb_put_text(w, VALID_HOST, request->host);
    fl_pb_put_bytes(w, ORIGINAL_REQUEST, request->bytes);
    switch (request->kind) {
    case FILE_BY_NAME:
        put_files(w, reflection, file_by_name(reflection, request->what), "no such file");
        break;
    case FILE_OF_SYMBOL:
        put_files(w, reflection, file_of_symbol(reflection, request->what), "no such symbol");
        break;
    case FILE_OF_EXTENSION:
        put_not_found(w, "no such extension");
        break;
    case EXTENSIONS_OF_TYPE:
        put_no_extensions(w, reflection, request->what);
        break;
    default:
        put_services(w, call);
    }
}

/* --- the method --- */

static void finish(struct fl_grpc_call *call, enum fl_status status, const char *message) {
    fl_grpc_call_finish(call, status, fl_str_of(message), FL_HTTP_HEADERS_NONE);
}

static void on_message(void *arg, struct fl_grpc_call *call, struct fl_str message) {
    struct request request;
    if (!read_request(message, &request) || request.kind == 0) {
        finish(call, FL_STATUS_INVALID_ARGUMENT, "the request asks for nothing");
        return;
    }
    struct fl_buf answer;
    fl_buf_init(&answer, FL_HTTP_QUEUE_MAX);
    struct fl_pb_writer w = fl_pb_writer_of(&answer);
    put_answer(&w, arg, call, &request);
    int rc = fl_pb_finish(&w);
    if (rc == 0) rc = fl_grpc_call_send(call, fl_buf_str(&answer));
    if (rc != 0) finish(call, FL_STATUS_RESOURCE_EXHAUSTED, fl_error_text(rc));
    fl_buf_deinit(&answer);
}

static void on_end(void *arg, struct fl_grpc_call *call) {
    FL_UNUSED(arg);
    finish(call, FL_STATUS_OK, "");
}

void fl_reflection_services(struct fl_reflection *reflection,
                            struct fl_grpc_service out[FL_REFLECTION_SERVICES]) {
    static const struct fl_grpc_call_events events = {.on_message = on_message, .on_end = on_end};
    static const struct fl_grpc_method method = {
        .name = "ServerReflectionInfo", .events = &events, .client_streams = true};
    out[0] =
        (struct fl_grpc_service){"grpc.reflection.v1.ServerReflection", &method, 1, reflection};
    out[1] = (struct fl_grpc_service){"grpc.reflection.v1alpha.ServerReflection", &method, 1,
                                      reflection};
}

/* --- registering --- */

struct fl_reflection *fl_reflection_new(void) {
    return FL_NEW(struct fl_reflection);
}

void fl_reflection_free(struct fl_reflection *reflection) { fl_free(reflection); }

/* FileDescriptorSet {repeated FileDescriptorProto file = 1} */
int fl_reflection_add(struct fl_reflection *reflection, struct fl_str set) {
    struct fl_parse r = fl_parse_of(set);
    struct fl_pb_field field;
    while (fl_pb_next(&r, &field)) {
        if (field.tag != FL_PB_LEN(1)) continue;
        if (reflection->file_count == FILES_MAX) return FL_EFULL;
        if (!fl_descriptor_file_of(field.bytes, &reflection->files[reflection->file_count]))
            return FL_EPROTO;
        reflection->file_count++;
    }
    return r.bad ? FL_EPROTO : 0;
}
