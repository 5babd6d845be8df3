/* call_wait_stream.c - a streaming call that threads wait for.
 *
 *     send ──> out ──(posted work)──> fl_call_write        the loop's thread
 *     receive <── in <──────────────── on_message
 *
 * Threads and the loop meet inside the monitor. Both queues are bounded: a sender waits, and the
 * call is paused while much is not received. The work is posted at most once at a time; the stream
 * goes only when the call has ended and no work is on its way. */
#include "base/alloc.h"
#include "base/lock.h"
#include "channel/answer.h"
#include "channel/call.h"
#include "channel/state.h"

#define QUEUE_HIGH ((size_t)1024 * 1024)
#define QUEUE_LOW  (QUEUE_HIGH / 2)

struct message {
    struct fl_list link;
    size_t len;
    char bytes[];
};

struct queue {
    struct fl_list messages;
    size_t bytes;
};

struct fl_stream {
    struct fl_monitor monitor;
    struct fl_io *io;
    struct fl_task work;
    /* Inside the monitor. */
    struct fl_call *call; /* the loop's; NULL: ended */
    struct queue in, out;
    struct message *lent; /* by the last receive */
    bool posted, ended, heard_end;
    bool send_end, cancel; /* asked for */
    bool full, paused;     /* of the call */
    struct fl_answer answer;
};

/* --- queues --- */

static struct message *message_new(const void *bytes, size_t len) {
    struct message *message = fl_alloc(sizeof(*message) + len);
    if (!message) return NULL;
    fl_list_init(&message->link);
    message->len = len;
    if (len > 0) memcpy(message->bytes, bytes, len);
    return message;
}

static void push(struct queue *queue, struct message *message) {
    fl_list_push(&queue->messages, &message->link);
    queue->bytes += sizeof(*message) + message->len;
}

static struct message *first(const struct queue *queue) {
    if (fl_list_empty(&queue->messages)) return NULL;
    return FL_CONTAINER(queue->messages.next, struct message, link);
}

static struct message *pop(struct queue *queue) {
    struct message *message = first(queue);
    fl_list_remove(&message->link);
    queue->bytes -= sizeof(*message) + message->len;
    return message;
}

static void drop_all(struct queue *queue) {
    while (first(queue)) fl_free(pop(queue));
}

/* --- the loop's side --- */

static void post(struct fl_stream *stream) {
    if (stream->posted || stream->ended) return;
    stream->posted = true;
    fl_io_post(stream->io, &stream->work);
}

static void give_up(struct fl_stream *stream, int rc) {
    struct fl_error why;
    fl_fail(&why, rc, "a message could not be sent or kept");
    fl_call_give_up(stream->call, fl_status_of_error(rc), &why);
}

static void write_out(struct fl_stream *stream) {
    for (struct message *message; !stream->full && (message = first(&stream->out));) {
        int rc = fl_call_write(stream->call, message->bytes, message->len);
        stream->full = rc == FL_EFULL;
        if (stream->full) return;
        fl_free(pop(&stream->out));
        if (rc == FL_ENOMEM || rc == FL_ETOO_LARGE) give_up(stream, rc);
    }
    if (stream->send_end && !first(&stream->out)) fl_call_write_end(stream->call);
}

/* Nothing of the call calls back from within these functions, so it may stay inside. */
static void run_work(struct fl_task *task) {
    struct fl_stream *stream = FL_CONTAINER(task, struct fl_stream, work);
    fl_monitor_enter(&stream->monitor);
    if (stream->call && stream->cancel) fl_call_cancel(stream->call);
    if (stream->call) write_out(stream);
    if (stream->call && stream->paused && stream->in.bytes < QUEUE_LOW) {
        stream->paused = false;
        fl_call_pause(stream->call, false);
    }
    stream->posted = false;
    fl_monitor_changed(&stream->monitor);
    fl_monitor_leave(&stream->monitor);
}

static void on_message(void *arg, struct fl_call *call, const void *bytes, size_t len) {
    struct fl_stream *stream = arg;
    struct message *message = message_new(bytes, len);
    fl_monitor_enter(&stream->monitor);
    if (message)
        push(&stream->in, message);
    else
        give_up(stream, FL_ENOMEM);
    stream->paused = stream->in.bytes >= QUEUE_HIGH;
    if (stream->paused) fl_call_pause(call, true);
    fl_monitor_changed(&stream->monitor);
    fl_monitor_leave(&stream->monitor);
}

static void on_writable(void *arg, struct fl_call *call) {
    FL_UNUSED(call);
    struct fl_stream *stream = arg;
    fl_monitor_enter(&stream->monitor);
    stream->full = false;
    post(stream);
    fl_monitor_leave(&stream->monitor);
}

static void on_end(void *arg, const struct fl_call_result *result) {
    struct fl_stream *stream = arg;
    fl_monitor_enter(&stream->monitor);
    int rc = fl_answer_keep(&stream->answer, result);
    FL_UNUSED(rc); /* the answer says it */
    stream->call = NULL;
    stream->ended = true;
    fl_monitor_changed(&stream->monitor);
    fl_monitor_leave(&stream->monitor);
}

static const struct fl_call_events events = {
    .on_message = on_message, .on_writable = on_writable, .on_end = on_end};

/* --- the threads' side --- */

static void stream_free(struct fl_stream *stream) {
    drop_all(&stream->in);
    drop_all(&stream->out);
    fl_free(stream->lent);
    fl_answer_deinit(&stream->answer);
    fl_monitor_deinit(&stream->monitor);
    fl_free(stream);
}

int fl_stream_open(struct fl_channel *channel, const char *method,
                   const struct fl_call_options *options, struct fl_stream **out,
                   struct fl_error *err) {
    *out = NULL;
    if (fl_io_on_thread(channel->io))
        return fl_fail(err, FL_EUSAGE, "the channel's loop cannot wait for itself");
    struct fl_stream *stream = FL_NEW(struct fl_stream);
    if (!stream) return fl_fail_nomem(err);
    fl_monitor_init(&stream->monitor);
    fl_list_init(&stream->in.messages);
    fl_list_init(&stream->out.messages);
    fl_task_init(&stream->work, run_work);
    stream->io = channel->io;
    int rc = fl_call_start(channel, method, options, &events, stream, &stream->call, err);
    if (rc != 0)
        stream_free(stream);
    else
        *out = stream;
    return rc;
}

int fl_stream_send(struct fl_stream *stream, const void *bytes, size_t len) {
    if (fl_io_on_thread(stream->io) || len > UINT32_MAX) return FL_EUSAGE;
    struct message *message = message_new(bytes, len);
    if (!message) return FL_ENOMEM;
    fl_monitor_enter(&stream->monitor);
    while (stream->out.bytes >= QUEUE_HIGH && !stream->ended) fl_monitor_wait(&stream->monitor);
    bool over = stream->ended || stream->send_end;
    if (over)
        fl_free(message);
    else
        push(&stream->out, message);
    post(stream);
    fl_monitor_leave(&stream->monitor);
    return over ? FL_ESHUTDOWN : 0;
}

void fl_stream_send_end(struct fl_stream *stream) {
    fl_monitor_enter(&stream->monitor);
    stream->send_end = true;
    post(stream);
    fl_monitor_leave(&stream->monitor);
}

int fl_stream_receive(struct fl_stream *stream, const void **bytes, size_t *len) {
    if (fl_io_on_thread(stream->io)) return FL_EUSAGE;
    fl_monitor_enter(&stream->monitor);
    fl_free(stream->lent);
    stream->lent = NULL;
    while (!first(&stream->in) && !stream->ended) fl_monitor_wait(&stream->monitor);
    if (first(&stream->in)) {
        stream->lent = pop(&stream->in);
        *bytes = stream->lent->bytes;
        *len = stream->lent->len;
    }
    stream->heard_end = !stream->lent;
    if (stream->paused && stream->in.bytes < QUEUE_LOW) post(stream);
    int rc = stream->lent ? 1 : 0;
    fl_monitor_leave(&stream->monitor);
    return rc;
}

const struct fl_answer *fl_stream_answer(const struct fl_stream *stream) {
    return stream->heard_end ? &stream->answer : NULL;
}

void fl_stream_free(struct fl_stream *stream) {
    if (!stream) return;
    fl_monitor_enter(&stream->monitor);
    stream->cancel = true;
    post(stream);
    while (stream->posted || !stream->ended) fl_monitor_wait(&stream->monitor);
    fl_monitor_leave(&stream->monitor);
    stream_free(stream);
}
