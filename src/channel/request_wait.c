/* request_wait.c - a request that its thread waits for. */
#include "base/alloc.h"
#include "base/lock.h"
#include "channel/answer.h"
#include "channel/state.h"

struct waiting {
    struct fl_gate gate;
    struct fl_answer answer;
    struct fl_request_answer *out;
    int rc;
};

/* The copy is a call's answer, which holds all that a response does but its status. */
static void on_end(void *arg, const struct fl_response *response) {
    struct waiting *waiting = arg;
    const struct fl_call_result result = {
        .message = "",
        .why = response->why,
        .response = response->body,
        .response_len = response->body_len,
        .headers = response->headers,
        .trailers = response->trailers,
        .peer = response->peer,
    };
    waiting->out->response = *response;
    waiting->rc = fl_answer_keep(&waiting->answer, &result);
    fl_gate_open(&waiting->gate);
}

static void give(struct fl_request_answer *out, const struct fl_answer *answer) {
    struct fl_response *response = &out->response;
    out->memory = answer->memory;
    out->why = answer->why;
    response->why = &out->why;
    response->headers = answer->result.headers;
    response->trailers = answer->result.trailers;
    response->body = answer->result.response;
    response->peer = answer->result.peer;
}

int fl_request_wait(struct fl_channel *channel, const struct fl_request *request,
                    const struct fl_request_options *options, struct fl_request_answer *out,
                    struct fl_error *err) {
    *out = (struct fl_request_answer){.memory = NULL};
    if (fl_io_on_thread(channel->io))
        return fl_fail(err, FL_EUSAGE, "the channel's loop cannot wait for itself");
    struct waiting waiting = {.out = out};
    fl_gate_init(&waiting.gate);
    int rc = fl_request_start(channel, request, options, on_end, &waiting, NULL, err);
    if (rc == 0) fl_gate_wait(&waiting.gate);
    fl_gate_deinit(&waiting.gate);
    if (rc == 0 && waiting.rc != 0) rc = fl_fail_nomem(err);
    if (rc == 0)
        give(out, &waiting.answer);
    else
        *out = (struct fl_request_answer){.memory = NULL};
    return rc;
}

void fl_request_answer_deinit(struct fl_request_answer *answer) {
    fl_free(answer->memory);
    *answer = (struct fl_request_answer){.memory = NULL};
}
