/* greeter_client.c - greets a service, with protobuf-c's messages and from a thread that waits.
 *
 *     greeter_client kubernetes:///default/echo:grpc Ahab
 *     greeter_client 127.0.0.1:50051 Ahab
 *
 * helloworld.pb-c.h is what protoc-c makes of helloworld.proto. */
#include <fairlead/fairlead.h>
#include <fairlead/protobuf_c.h>
#include <semaphore.h>
#include <stdio.h>

#include "helloworld/helloworld.pb-c.h"

static int print_reply(const struct fl_answer *answer) {
    ProtobufCMessage *message =
        fl_protobuf_c_response(&helloworld__hello_reply__descriptor, &answer->result);
    if (!message) {
        printf("%s: %s\n", fl_status_name(answer->result.status), answer->result.message);
        return 1;
    }
    const Helloworld__HelloReply *reply = (const Helloworld__HelloReply *)message;
    printf("%s said \"%s\"\n", answer->result.peer, reply->message);
    protobuf_c_message_free_unpacked(message, NULL);
    return 0;
}

static int greet(struct fl_channel *channel, char *name) {
    const struct fl_call_options options = {.timeout_ms = 5000, .wait_for_ready = FL_WAIT_YES};
    Helloworld__HelloRequest request = HELLOWORLD__HELLO_REQUEST__INIT;
    struct fl_answer answer;
    struct fl_error err;
    request.name = name;
    if (fl_protobuf_c_wait(channel, "/helloworld.Greeter/SayHello", &request.base, &options,
                           &answer, &err) != 0) {
        fprintf(stderr, "%s\n", err.detail);
        return 1;
    }
    int failed = print_reply(&answer);
    fl_answer_deinit(&answer);
    return failed;
}

static void on_closed(void *arg) { sem_post(arg); }

/* In this order, each when the one before is gone. */
static void close_all(struct fl_runtime *runtime, struct fl_discovery *discovery,
                      struct fl_channel *channel) {
    sem_t closed;
    sem_init(&closed, 0, 0);
    fl_channel_close(channel, on_closed, &closed);
    sem_wait(&closed);
    fl_discovery_close(discovery, on_closed, &closed);
    sem_wait(&closed);
    fl_runtime_free(runtime);
}

int main(int argc, char **argv) {
    char everybody[] = "everybody";
    struct fl_runtime *runtime = NULL;
    struct fl_discovery *discovery = NULL;
    struct fl_channel *channel = NULL;
    struct fl_error err;
    if (argc < 2) {
        fprintf(stderr, "usage: %s TARGET [NAME]\n", argv[0]);
        return 2;
    }
    if (fl_runtime_new(NULL, &runtime, &err) != 0 ||
        fl_discovery_new(runtime, NULL, &discovery, &err) != 0 ||
        fl_channel_new(runtime, discovery, argv[1], NULL, &channel, &err) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], err.detail);
        return 1;
    }
    int failed = greet(channel, argc > 2 ? argv[2] : everybody);
    close_all(runtime, discovery, channel);
    return failed;
}
