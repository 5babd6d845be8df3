/* http_client.c - plain HTTP to a service: a request at a time, from a thread that waits.
 *
 *     http_client kubernetes:///default/shop:http /carts/7
 *     http_client 127.0.0.1:8080 /carts POST '{"items":[1,2]}'
 *
 * In a cluster the port's appProtocol says which HTTP its pods speak ("http", "kubernetes.io/h2c").
 * For addresses there is nobody to say it; here they speak HTTP/1.1. */
#include <fairlead/fairlead.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

static int print(const struct fl_response *response) {
    if (response->status == 0) {
        printf("no response: %s (%s)\n", response->why->detail, fl_error_name(response->why->code));
        return 1;
    }
    printf("%s answered %d\n%.*s\n", response->peer, response->status, (int)response->body_len,
           (const char *)response->body);
    return 0;
}

static int ask(struct fl_channel *channel, const struct fl_request *request) {
    const struct fl_request_options options = {.timeout_ms = 5000, .wait_for_ready = true};
    struct fl_request_answer answer;
    struct fl_error err;
    if (fl_request_wait(channel, request, &options, &answer, &err) != 0) {
        fprintf(stderr, "%s\n", err.detail);
        return 1;
    }
    int failed = print(&answer.response);
    fl_request_answer_deinit(&answer);
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
    static const struct fl_metadata json = {"content-type", "application/json", 16};
    struct fl_runtime *runtime = NULL;
    struct fl_discovery *discovery = NULL;
    struct fl_channel *channel = NULL;
    struct fl_error err;
    if (argc < 3) {
        fprintf(stderr, "usage: %s TARGET PATH [METHOD [BODY]]\n", argv[0]);
        return 2;
    }
    const char *body = argc > 4 ? argv[4] : NULL;
    const struct fl_request request = {
        .method = argc > 3 ? argv[3] : "GET",
        .path = argv[2],
        .headers = {&json, body ? 1 : 0},
        .body = body,
        .body_len = body ? strlen(body) : 0,
    };
    bool cluster = strncmp(argv[1], "kubernetes:", strlen("kubernetes:")) == 0;
    const struct fl_channel_options options = {.protocol = cluster ? FL_PROTOCOL_BY_PORT
                                                                   : FL_PROTOCOL_HTTP};
    if (fl_runtime_new(NULL, &runtime, &err) != 0 ||
        fl_discovery_new(runtime, NULL, &discovery, &err) != 0 ||
        fl_channel_new(runtime, discovery, argv[1], &options, &channel, &err) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], err.detail);
        return 1;
    }
    int failed = ask(channel, &request);
    close_all(runtime, discovery, channel);
    return failed;
}
