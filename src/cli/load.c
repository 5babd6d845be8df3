/* load.c - callers that call all the while. */
#include "cli/load.h"

#include "base/alloc.h"

struct caller {
    struct fl_load *load;
    struct fl_timer pause;
    uint64_t started_us;
    size_t sent; /* messages of a streaming call */
};

struct fl_load {
    struct fl_io *io;
    struct fl_channel *channel;
    struct fl_load_options options;
    uint64_t started, running;
    bool stopped, told;
    struct fl_task done;
    struct caller callers[];
};

static bool is_finished(const struct fl_load *load) {
    return load->stopped || (load->options.repeat && load->started >= load->options.repeat);
}

static void on_done(struct fl_task *task) {
    struct fl_load *load = FL_CONTAINER(task, struct fl_load, done);
    load->options.on_done(load->options.arg);
}

static void finish_if_idle(struct fl_load *load) {
    if (!is_finished(load) || load->running > 0 || load->told) return;
    load->told = true;
    fl_io_defer(load->io, &load->done);
}

static void on_result(void *arg, const struct fl_call_result *result);

static void on_message(void *arg, struct fl_call *call, const void *bytes, size_t len) {
    const struct fl_load_options *o = &((struct caller *)arg)->load->options;
    FL_UNUSED(call);
    if (o->on_message) o->on_message(o->arg, fl_str_n(bytes, len));
}

/* Sends what the call takes now; on_writable goes on. */
static void send(void *arg, struct fl_call *call) {
    struct caller *caller = arg;
    const struct fl_load_options *o = &caller->load->options;
    for (; caller->sent < o->message_count; caller->sent++) {
        struct fl_str message = o->messages[caller->sent];
        int rc = fl_call_write(call, message.p, message.n);
        if (rc == FL_EFULL || rc == FL_ESHUTDOWN) return; /* later; or its end follows */
        if (rc) {
            fl_call_cancel(call);
            return;
        }
    }
    fl_call_write_end(call);
}

static int start_stream(struct caller *caller, const struct fl_call_options *options,
                        struct fl_error *err) {
    static const struct fl_call_events events = {
        .on_message = on_message, .on_writable = send, .on_end = on_result};
    const struct fl_load *load = caller->load;
    struct fl_call *call;
    caller->sent = 0;
    int rc =
        fl_call_start(load->channel, load->options.method, options, &events, caller, &call, err);
    if (!rc) send(caller, call);
    return rc;
}

static int start_unary(struct caller *caller, const struct fl_call_options *options,
                       struct fl_error *err) {
    const struct fl_load *load = caller->load;
    const struct fl_str request = load->options.request;
    return fl_call_unary(load->channel, load->options.method, request.p, request.n, options,
                         on_result, caller, NULL, err);
}

static void call(struct caller *caller) {
    struct fl_load *load = caller->load;
    const struct fl_load_options *o = &load->options;
    const struct fl_call_options options = {.timeout_ms = o->timeout_ms,
                                            .wait_for_ready =
                                                o->wait_for_ready ? FL_WAIT_YES : FL_WAIT_DEFAULT,
                                            .metadata = o->metadata};
    struct fl_error err = {0};
    caller->started_us = fl_io_now_us(load->io);
    load->started++;
    load->running++;
    if ((o->streaming ? start_stream : start_unary)(caller, &options, &err) == FL_OK) return;
    /* Not started: the same as a call that ended at once, told with its cause. */
    const struct fl_call_result failed = {
        .status = FL_STATUS_RESOURCE_EXHAUSTED, .message = err.detail, .why = &err, .peer = ""};
    load->stopped = true;
    on_result(caller, &failed);
}

static void on_pause_over(struct fl_timer *timer) {
    struct caller *caller = FL_CONTAINER(timer, struct caller, pause);
    if (is_finished(caller->load))
        finish_if_idle(caller->load);
    else
        call(caller);
}

static void on_result(void *arg, const struct fl_call_result *result) {
    struct caller *caller = arg;
    struct fl_load *load = caller->load;
    uint64_t now_us = fl_io_now_us(load->io);
    load->running--;
    if (!load->options.streaming && result->status == FL_STATUS_OK && load->options.on_message)
        load->options.on_message(load->options.arg,
                                 fl_str_n(result->response, result->response_len));
    load->options.on_result(load->options.arg, result, now_us - caller->started_us);
    if (is_finished(load))
        finish_if_idle(load);
    else if (load->options.pause_ms)
        fl_io_timer_set(load->io, &caller->pause, now_us / 1000 + load->options.pause_ms);
    else
        call(caller);
}

int fl_load_start(struct fl_io *io, struct fl_channel *channel,
                  const struct fl_load_options *options, struct fl_load **out,
                  struct fl_error *err) {
    struct fl_load *load =
        fl_calloc(1, sizeof *load + options->concurrency * sizeof(struct caller));
    if (!load) return fl_fail_nomem(err);
    *load = (struct fl_load){.io = io, .channel = channel, .options = *options};
    fl_task_init(&load->done, on_done);
    for (unsigned i = 0; i < options->concurrency; i++) {
        struct caller *caller = &load->callers[i];
        caller->load = load;
        if (fl_io_timer_init(io, &caller->pause, on_pause_over)) {
            fl_load_free(load);
            return fl_fail_nomem(err);
        }
        /* Spread over one pause, so that the callers do not march in step. */
        fl_io_timer_set(io, &caller->pause,
                        fl_io_now_ms(io) + i * options->pause_ms / options->concurrency);
    }
    *out = load;
    return FL_OK;
}

void fl_load_stop(struct fl_load *load) {
    load->stopped = true;
    finish_if_idle(load);
}

void fl_load_free(struct fl_load *load) {
    if (!load) return;
    for (unsigned i = 0; i < load->options.concurrency; i++)
        fl_io_timer_deinit(load->io, &load->callers[i].pause);
    fl_free(load);
}
