/* greeter.c - helloworld.Greeter. HelloRequest {string name = 1}, HelloReply {string message = 1}.
 */
#include "server/greeter.h"

#include "wire/pb.h"

#define REPLY_MAX ((size_t)8 * 1024)

static int write_reply(struct fl_buf *out, struct fl_str name) {
    struct fl_buf text;
    fl_buf_init(&text, REPLY_MAX);
    int rc = fl_buf_append(&text, FL_STR("Hello "));
    if (!rc) rc = fl_buf_append(&text, name);
    struct fl_pb_writer w = fl_pb_writer_of(out);
    if (!rc) fl_pb_put_bytes(&w, 1, fl_buf_str(&text));
    if (!rc) rc = fl_pb_finish(&w);
    fl_buf_deinit(&text);
    return rc;
}

static void say_hello(void *arg, struct fl_grpc_call *call, struct fl_str request) {
    FL_UNUSED(arg);
    struct fl_str name;
    struct fl_buf reply;
    if (!fl_pb_find_bytes(request, 1, &name)) {
        fl_grpc_call_reply(call, FL_STATUS_INTERNAL, FL_STR("not a HelloRequest"), FL_STR_NONE);
        return;
    }
    fl_buf_init(&reply, REPLY_MAX);
    if (write_reply(&reply, name) == 0)
        fl_grpc_call_reply(call, FL_STATUS_OK, FL_STR_NONE, fl_buf_str(&reply));
    else
        fl_grpc_call_reply(call, FL_STATUS_RESOURCE_EXHAUSTED, FL_STR("the name is too long"),
                           FL_STR_NONE);
    fl_buf_deinit(&reply);
}

static const struct fl_grpc_method methods[] = {{.name = "SayHello", .unary = say_hello}};

const struct fl_grpc_service fl_greeter_service = {"helloworld.Greeter", methods, FL_COUNT(methods),
                                                   NULL};
