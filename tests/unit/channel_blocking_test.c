/* The blocking interface, from several threads over real sockets. To be run under TSan too. */
#include "support/alloc.h"

#include <fairlead/fairlead.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "server/echo.h"

#define ECHO    "/grpc.examples.echo.Echo/"
#define THREADS 8
#define CALLS   200

struct bed {
    struct fl_runtime *server_runtime, *runtime;
    struct fl_echo *echo;
    struct fl_discovery *discovery;
    struct fl_channel *channel;
    struct fl_task task;
    sem_t done;
    int rc[3];
};

static struct bed bed;

static void post(void *arg) {
    FL_UNUSED(arg);
    sem_post(&bed.done);
}

static void start_echo(struct fl_task *task) {
    FL_UNUSED(task);
    struct fl_echo_options options = {.host = FL_STR("127.0.0.1")};
    if (fl_echo_new(bed.server_runtime->io, &options, &bed.echo, NULL) != 0) bed.echo = NULL;
    post(NULL);
}

static void kill_echo(struct fl_task *task) {
    FL_UNUSED(task);
    fl_echo_kill(bed.echo, post, NULL);
}

static void run_on(struct fl_runtime *runtime, void (*run)(struct fl_task *task)) {
    fl_task_init(&bed.task, run);
    fl_io_post(runtime->io, &bed.task);
    sem_wait(&bed.done);
}

static void start(void) {
    char target[64];
    memset(&bed, 0, sizeof(bed));
    sem_init(&bed.done, 0, 0);
    assert_int_equal(fl_runtime_new(NULL, &bed.server_runtime, NULL), 0);
    assert_int_equal(fl_runtime_new(NULL, &bed.runtime, NULL), 0);
    run_on(bed.server_runtime, start_echo);
    assert_non_null(bed.echo);
    assert_int_equal(fl_discovery_new(bed.runtime, NULL, &bed.discovery, NULL), 0);
    snprintf(target, sizeof(target), "127.0.0.1:%u", fl_echo_port(bed.echo));
    assert_int_equal(fl_channel_new(bed.runtime, bed.discovery, target, NULL, &bed.channel, NULL),
                     0);
}

static void close_channel(void) {
    if (bed.channel) {
        fl_channel_close(bed.channel, post, NULL);
        sem_wait(&bed.done);
    }
    bed.channel = NULL;
}

static void stop(void) {
    close_channel();
    fl_discovery_close(bed.discovery, post, NULL);
    sem_wait(&bed.done);
    run_on(bed.server_runtime, kill_echo);
    fl_runtime_free(bed.runtime);
    fl_runtime_free(bed.server_runtime);
    sem_destroy(&bed.done);
}

static void in_threads(void *(*run)(void *arg)) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

#define CHECK(condition)                                                                           \
    if (!(condition)) return (char *)(uintptr_t) #condition

static void *call_often(void *arg) {
    FL_UNUSED(arg);
    for (int i = 0; i < CALLS; i++) {
        struct fl_answer answer;
        CHECK(fl_call_wait(bed.channel, ECHO "UnaryEcho", "\12\2hi", 4, NULL, &answer, NULL) == 0);
        CHECK(answer.result.status == FL_STATUS_OK);
        CHECK(answer.result.response_len == 4);
        CHECK(memcmp(answer.result.response, "\12\2hi", 4) == 0);
        CHECK(answer.result.why->code == FL_OK);
        CHECK(strncmp(answer.result.peer, "127.0.0.1:", 10) == 0);
        fl_answer_deinit(&answer);
    }
    return NULL;
}

static void test_unary_calls_from_many_threads(void **state) {
    FL_UNUSED(state);
    start();
    in_threads(call_often);
    struct fl_answer answer;
    assert_int_equal(fl_call_wait(bed.channel, ECHO "Nothing", "", 0, NULL, &answer, NULL), 0);
    assert_int_equal(answer.result.status, FL_STATUS_UNIMPLEMENTED);
    fl_answer_deinit(&answer);
    assert_int_equal(fl_call_wait(bed.channel, "wrong", "", 0, NULL, &answer, NULL), FL_EUSAGE);
    fl_answer_deinit(&answer);
    stop();
}

static void *stream_often(void *arg) {
    static char bytes[10000];
    FL_UNUSED(arg);
    for (int i = 0; i < 10; i++) {
        struct fl_stream *stream;
        const void *got;
        size_t len;
        CHECK(fl_stream_open(bed.channel, ECHO "BidirectionalStreamingEcho", NULL, &stream, NULL) ==
              0);
        CHECK(!fl_stream_answer(stream));
        for (int k = 0; k < 20; k++) {
            CHECK(fl_stream_send(stream, bytes, (size_t)k * 500) == 0);
            CHECK(fl_stream_receive(stream, &got, &len) == 1);
            CHECK(len == (size_t)k * 500);
        }
        fl_stream_send_end(stream);
        CHECK(fl_stream_send(stream, "", 0) == FL_ESHUTDOWN);
        CHECK(fl_stream_receive(stream, &got, &len) == 0);
        CHECK(fl_stream_receive(stream, &got, &len) == 0);
        CHECK(fl_stream_answer(stream)->result.status == FL_STATUS_OK);
        fl_stream_free(stream);
    }
    return NULL;
}

static void test_streams_from_many_threads(void **state) {
    FL_UNUSED(state);
    start();
    in_threads(stream_often);
    stop();
}

static void *send_much(void *arg) {
    static char bytes[100000];
    for (int i = 0; i < 200; i++)
        if (fl_stream_send(arg, bytes, sizeof(bytes)) != 0) return (char *)(uintptr_t) "send";
    fl_stream_send_end(arg);
    return NULL;
}

/* One thread sends 20 MB before anybody receives: it waits, and memory stays bounded. */
static void test_both_ends_are_held_back(void **state) {
    FL_UNUSED(state);
    struct fl_stream *stream;
    pthread_t sender;
    void *failed;
    const void *bytes;
    size_t len, total = 0;
    start();
    assert_int_equal(
        fl_stream_open(bed.channel, ECHO "BidirectionalStreamingEcho", NULL, &stream, NULL), 0);
    assert_int_equal(pthread_create(&sender, NULL, send_much, stream), 0);
    while (fl_stream_receive(stream, &bytes, &len) == 1) total += len;
    pthread_join(sender, &failed);
    assert_null(failed);
    assert_int_equal(total, 20000000);
    assert_int_equal(fl_stream_answer(stream)->result.status, FL_STATUS_OK);
    fl_stream_free(stream);
    stop();
}

static void test_stream_is_freed_in_mid_flight(void **state) {
    FL_UNUSED(state);
    struct fl_stream *streams[20];
    start();
    for (size_t i = 0; i < FL_COUNT(streams); i++) {
        int rc =
            fl_stream_open(bed.channel, ECHO "BidirectionalStreamingEcho", NULL, &streams[i], NULL);
        assert_int_equal(rc, 0);
        for (size_t k = 0; k < i; k++) assert_int_equal(fl_stream_send(streams[i], "hello", 5), 0);
    }
    for (size_t i = 0; i < FL_COUNT(streams) / 2; i++) fl_stream_free(streams[i]);
    close_channel();
    for (size_t i = FL_COUNT(streams) / 2; i < FL_COUNT(streams); i++) {
        const void *bytes;
        size_t len;
        while (fl_stream_receive(streams[i], &bytes, &len) == 1) {
        }
        assert_int_equal(fl_stream_answer(streams[i])->result.status, FL_STATUS_CANCELLED);
        assert_int_equal(fl_stream_send(streams[i], "", 0), FL_ESHUTDOWN);
        fl_stream_free(streams[i]);
    }
    fl_stream_free(NULL);
    stop();
}

static void test_deadline_of_a_stream(void **state) {
    FL_UNUSED(state);
    struct fl_stream *stream;
    const void *bytes;
    size_t len;
    struct fl_call_options options = {.timeout_ms = 50, .send_bytes_max = 10};
    start();
    assert_int_equal(
        fl_stream_open(bed.channel, ECHO "BidirectionalStreamingEcho", &options, &stream, NULL), 0);
    assert_int_equal(fl_stream_receive(stream, &bytes, &len), 0);
    assert_int_equal(fl_stream_answer(stream)->result.status, FL_STATUS_DEADLINE_EXCEEDED);
    fl_stream_free(stream);
    options.timeout_ms = 0;
    assert_int_equal(
        fl_stream_open(bed.channel, ECHO "BidirectionalStreamingEcho", &options, &stream, NULL), 0);
    assert_int_equal(fl_stream_send(stream, "more than ten", 13), 0);
    assert_int_equal(fl_stream_receive(stream, &bytes, &len), 0);
    assert_int_equal(fl_stream_answer(stream)->result.status, FL_STATUS_RESOURCE_EXHAUSTED);
    fl_stream_free(stream);
    stop();
}

static void wait_on_the_loop(struct fl_task *task) {
    FL_UNUSED(task);
    struct fl_answer answer;
    struct fl_stream *stream;
    bed.rc[0] = fl_call_wait(bed.channel, ECHO "UnaryEcho", "", 0, NULL, &answer, NULL);
    bed.rc[1] = fl_stream_open(bed.channel, ECHO "UnaryEcho", NULL, &stream, NULL);
    post(NULL);
}

static void test_loop_cannot_wait_for_itself(void **state) {
    FL_UNUSED(state);
    start();
    run_on(bed.runtime, wait_on_the_loop);
    assert_int_equal(bed.rc[0], FL_EUSAGE);
    assert_int_equal(bed.rc[1], FL_EUSAGE);
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary_calls_from_many_threads),
        cmocka_unit_test(test_streams_from_many_threads),
        cmocka_unit_test(test_both_ends_are_held_back),
        cmocka_unit_test(test_stream_is_freed_in_mid_flight),
        cmocka_unit_test(test_deadline_of_a_stream),
        cmocka_unit_test(test_loop_cannot_wait_for_itself),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
