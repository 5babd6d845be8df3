/* echo_client.c - calls an echo service again and again, whichever pod answers.
 *
 *     echo_client kubernetes:///default/echo:grpc 10
 *     echo_client 127.0.0.1:50051 10 */
#include <fairlead/fairlead.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct client {
    struct fl_channel *channel;
    int left, failed;
    sem_t done; /* the loop's thread says: finished, closed */
};

/* EchoRequest and EchoResponse are both message { string message = 1; }: tag 10, length, text. */
static size_t encode_text(const char *text, unsigned char out[128]) {
    size_t n = strlen(text);
    out[0] = 10;
    out[1] = (unsigned char)n; /* below 128: one byte */
    memcpy(out + 2, text, n);
    return n + 2;
}

static void print_reply(const struct fl_call_result *result) {
    const unsigned char *bytes = result->response;
    if (result->response_len >= 2 && bytes[0] == 10 && bytes[1] == result->response_len - 2)
        printf("%s said \"%.*s\"\n", result->peer, bytes[1], (const char *)bytes + 2);
    else
        printf("%s said something else\n", result->peer);
}

static void call(struct client *client);

static void on_reply(void *arg, const struct fl_call_result *result) {
    struct client *client = arg;
    if (result->status == FL_STATUS_OK) {
        print_reply(result);
    } else {
        client->failed++;
        printf("%s: %s\n", fl_status_name(result->status), result->message);
    }
    if (--client->left > 0)
        call(client);
    else
        sem_post(&client->done);
}

static void call(struct client *client) {
    const struct fl_call_options options = {.timeout_ms = 5000, .wait_for_ready = FL_WAIT_YES};
    unsigned char request[128];
    size_t len = encode_text("hello", request);
    struct fl_error err;
    if (fl_call_unary(client->channel, "/grpc.examples.echo.Echo/UnaryEcho", request, len, &options,
                      on_reply, client, NULL, &err) == 0)
        return;
    printf("%s\n", err.detail);
    client->failed++;
    sem_post(&client->done);
}

static void on_closed(void *arg) { sem_post(&((struct client *)arg)->done); }

int main(int argc, char **argv) {
    struct client client = {.left = argc > 2 ? atoi(argv[2]) : 1};
    struct fl_runtime *runtime = NULL;
    struct fl_discovery *discovery = NULL;
    struct fl_error err;
    if (argc < 2 || client.left < 1) {
        fprintf(stderr, "usage: %s TARGET [CALLS]\n", argv[0]);
        return 2;
    }
    sem_init(&client.done, 0, 0);
    if (fl_runtime_new(NULL, &runtime, &err) != 0 ||
        fl_discovery_new(runtime, NULL, &discovery, &err) != 0 ||
        fl_channel_new(runtime, discovery, argv[1], NULL, &client.channel, &err) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], err.detail);
        return 1;
    }
    call(&client);
    sem_wait(&client.done);

    fl_channel_close(client.channel, on_closed, &client);
    sem_wait(&client.done);
    fl_discovery_close(discovery, on_closed, &client);
    sem_wait(&client.done);
    fl_runtime_free(runtime);
    return client.failed == 0 ? 0 : 1;
}
