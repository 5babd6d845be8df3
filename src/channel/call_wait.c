/* call_wait.c - a unary call that its thread waits for. */
#include "base/lock.h"
#include "channel/answer.h"
#include "channel/state.h"

struct waiting {
    struct fl_gate gate;
    struct fl_answer *answer;
    int rc;
};

static void on_end(void *arg, const struct fl_call_result *result) {
    struct waiting *waiting = arg;
    waiting->rc = fl_answer_keep(waiting->answer, result);
    fl_gate_open(&waiting->gate);
}

int fl_call_wait(struct fl_channel *channel, const char *method, const void *request, size_t len,
                 const struct fl_call_options *options, struct fl_answer *out,
                 struct fl_error *err) {
    *out = (struct fl_answer){.memory = NULL};
    if (fl_io_on_thread(channel->io))
        return fl_fail(err, FL_EUSAGE, "the channel's loop cannot wait for itself");
    struct waiting waiting = {.answer = out};
    fl_gate_init(&waiting.gate);
    int rc = fl_call_unary(channel, method, request, len, options, on_end, &waiting, NULL, err);
    if (rc == 0) fl_gate_wait(&waiting.gate);
    fl_gate_deinit(&waiting.gate);
    if (rc != 0) return rc;
    return waiting.rc == 0 ? 0 : fl_fail_nomem(err);
}
