/* reflect.c - one stream, one question at a time.
 *
 *     file_containing_symbol ──files──> an import is missing? ──no──> done
 *              │                          │ yes      ^
 *              │ error                    v          │ files
 *              v                        file_by_filename
 *        list_services ──names──> "there is no such service; there are: …"
 *
 * v1 and v1alpha differ in nothing but the name. */
#include "cli/reflect.h"

#include "base/alloc.h"
#include "wire/pb.h"

/* ServerReflectionRequest, ServerReflectionResponse and what is in it. */
#define ASK_FILE         3
#define ASK_SYMBOL       4
#define ASK_SERVICES     7
#define TOLD_FILES       4
#define TOLD_SERVICES    6
#define TOLD_ERROR       7
#define FILES_FILE       1
#define SERVICES_SERVICE 1
#define SERVICE_NAME     1
#define ERROR_MESSAGE    2

#define QUESTION_MAX 4096
#define NAMES_MAX    1024

static const char *const methods[] = {
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
};

struct fl_reflect {
    struct fl_reflect_options options;
    size_t version; /* of methods */
    struct fl_call *call;
    struct fl_buf asked; /* the name of the file that was asked for; empty: the symbol was */
    bool complete;
    bool listing;        /* there is no such service; which ones are there was asked */
    struct fl_error why; /* the first thing that was wrong */
};

static int ask(struct fl_reflect *reflect, unsigned question, struct fl_str text,
               struct fl_error *err) {
    struct fl_buf message;
    fl_buf_init(&message, QUESTION_MAX);
    struct fl_pb_writer w = fl_pb_writer_of(&message);
    fl_pb_put_text(&w, question, text);
    int rc = fl_pb_finish(&w);
    if (!rc) rc = fl_call_write(reflect->call, fl_buf_str(&message).p, message.len);
    fl_buf_deinit(&message);
    return rc ? fl_fail(err, rc, "reflection of %.*s", FL_STR_ARG(text)) : FL_OK;
}

/* ---- answers ---- */

static int add_files(struct fl_reflect *reflect, struct fl_str files, struct fl_error *err) {
    struct fl_parse r = fl_parse_of(files);
    struct fl_pb_field field = {0};
    while (fl_pb_next(&r, &field)) {
        if (field.tag != FL_PB_LEN(FILES_FILE)) continue;
        int rc = fl_schema_add_file(reflect->options.schema, field.bytes, err);
        if (rc) return rc;
    }
    return r.bad ? fl_fail(err, FL_EPROTO, "a malformed list of files") : FL_OK;
}

static int on_files(struct fl_reflect *reflect, struct fl_str files, struct fl_error *err) {
    struct fl_buf missing;
    int rc = add_files(reflect, files, err);
    if (rc) return rc;
    fl_buf_init(&missing, QUESTION_MAX);
    bool more = fl_schema_missing_import(reflect->options.schema, &missing);
    struct fl_str name = fl_buf_str(&missing);
    if (more && fl_str_eq(name, fl_buf_str(&reflect->asked)))
        rc = fl_fail(err, FL_EPROTO, "the server was asked for %.*s and gave something else",
                     FL_STR_ARG(name));
    else if (more)
        rc = ask(reflect, ASK_FILE, name, err);
    reflect->complete = !more;
    fl_buf_deinit(&reflect->asked);
    reflect->asked = missing;
    return rc;
}

static int on_names(struct fl_reflect *reflect, struct fl_str services, struct fl_error *err) {
    struct fl_parse r = fl_parse_of(services);
    struct fl_pb_field service = {0}, field = {0};
    struct fl_buf names;
    fl_buf_init(&names, NAMES_MAX);
    while (fl_pb_next(&r, &service)) {
        if (service.tag != FL_PB_LEN(SERVICES_SERVICE)) continue;
        struct fl_parse inner = fl_parse_of(service.bytes);
        while (fl_pb_next(&inner, &field))
            if (field.tag == FL_PB_LEN(SERVICE_NAME) &&
                fl_buf_printf(&names, "%s%.*s", names.len ? ", " : "", FL_STR_ARG(field.bytes)))
                break; /* enough for a line */
    }
    int rc = fl_fail(err, FL_EUSAGE, "the server has no service \"%s\"; it has: %.*s",
                     reflect->options.service, FL_STR_ARG(fl_buf_str(&names)));
    fl_buf_deinit(&names);
    return rc;
}

static int on_error(struct fl_reflect *reflect, struct fl_str error, struct fl_error *err) {
    struct fl_parse r = fl_parse_of(error);
    struct fl_pb_field field = {0};
    struct fl_str text = FL_STR("");
    if (reflect->asked.len == 0 && !reflect->listing) {
        reflect->listing = true;
        return ask(reflect, ASK_SERVICES, FL_STR("*"), err);
    }
    while (fl_pb_next(&r, &field))
        if (field.tag == FL_PB_LEN(ERROR_MESSAGE)) text = field.bytes;
    if (reflect->listing)
        return fl_fail(err, FL_EUSAGE,
                       "the server has no service \"%s\", and does not list those it has: %.*s",
                       reflect->options.service, FL_STR_ARG(text));
    return fl_fail(err, FL_EPROTO, "the server does not give %.*s: %.*s",
                   FL_STR_ARG(fl_buf_str(&reflect->asked)), FL_STR_ARG(text));
}

static int on_answer(struct fl_reflect *reflect, struct fl_str answer, struct fl_error *err) {
    struct fl_parse r = fl_parse_of(answer);
    struct fl_pb_field field = {0};
    while (fl_pb_next(&r, &field)) {
        switch (field.tag) {
        case FL_PB_LEN(TOLD_FILES):
            return on_files(reflect, field.bytes, err);
        case FL_PB_LEN(TOLD_SERVICES):
            return on_names(reflect, field.bytes, err);
        case FL_PB_LEN(TOLD_ERROR):
            return on_error(reflect, field.bytes, err);
        default:
            break;
        }
    }
    return fl_fail(err, FL_EPROTO, "an answer of reflection that is none");
}

static void on_message(void *arg, struct fl_call *call, const void *bytes, size_t len) {
    struct fl_reflect *reflect = arg;
    if (reflect->complete || reflect->why.code) return;
    if (on_answer(reflect, fl_str_n(bytes, len), &reflect->why))
        fl_call_cancel(call);
    else if (reflect->complete)
        fl_call_write_end(call);
}

/* ---- the call ---- */

static int start_call(struct fl_reflect *reflect, struct fl_error *err);

static void explain_end(const struct fl_call_result *result, struct fl_error *why) {
    if (result->status == FL_STATUS_UNIMPLEMENTED)
        fl_fail(why, FL_EUSAGE, "the server has no reflection; --proto-set FILE tells the methods");
    else if (result->status == FL_STATUS_OK)
        fl_fail(why, FL_EPROTO, "the server ended reflection before it had told all");
    else
        fl_fail(why, result->why->code ? result->why->code : FL_ECLOSED, "reflection: %s: %s",
                fl_status_name(result->status), result->message);
}

static void on_end(void *arg, const struct fl_call_result *result) {
    struct fl_reflect *reflect = arg;
    bool unknown = result->status == FL_STATUS_UNIMPLEMENTED && !reflect->why.code;
    reflect->call = NULL;
    if (unknown && ++reflect->version < FL_COUNT(methods) &&
        start_call(reflect, &reflect->why) == FL_OK)
        return;
    if (!reflect->complete && !reflect->why.code) explain_end(result, &reflect->why);
    reflect->options.on_done(reflect->options.arg, &reflect->why);
}

static int start_call(struct fl_reflect *reflect, struct fl_error *err) {
    static const struct fl_call_events events = {.on_message = on_message, .on_end = on_end};
    const struct fl_reflect_options *o = &reflect->options;
    const struct fl_call_options options = {.timeout_ms = o->timeout_ms, .metadata = o->metadata};
    int rc = fl_call_start(o->channel, methods[reflect->version], &options, &events, reflect,
                           &reflect->call, err);
    if (!rc && ask(reflect, ASK_SYMBOL, fl_str_of(o->service), &reflect->why))
        fl_call_cancel(reflect->call); /* on_end tells */
    return rc;
}

int fl_reflect_start(const struct fl_reflect_options *options, struct fl_reflect **out,
                     struct fl_error *err) {
    struct fl_reflect *reflect = FL_NEW(struct fl_reflect);
    if (!reflect) return fl_fail_nomem(err);
    reflect->options = *options;
    fl_buf_init(&reflect->asked, QUESTION_MAX);
    int rc = start_call(reflect, err);
    if (rc)
        fl_reflect_free(reflect);
    else
        *out = reflect;
    return rc;
}

void fl_reflect_free(struct fl_reflect *reflect) {
    if (!reflect) return;
    fl_buf_deinit(&reflect->asked);
    fl_free(reflect);
}
