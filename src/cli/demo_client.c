/* demo_client.c - one way to reach the service, under load. */
#include "cli/demo_client.h"

#include "cli/echo_message.h"

#define PAUSE_MS 5
#define CALL_MS  3000 /* deadline of each call */

/* Only the echo may be tried again; the health check stands for methods that may not. */
#define SINGLE_METHOD "/grpc.health.v1.Health/Check"
static const char service_config[] =
    "{\"methodConfig\": [{\"name\": [{\"service\": \"grpc.examples.echo.Echo\"}], \"retryPolicy\": "
    "{\"maxAttempts\": 5, \"initialBackoff\": \"0.01s\", \"maxBackoff\": \"0.1s\", "
    "\"backoffMultiplier\": 2, \"retryableStatusCodes\": [\"UNAVAILABLE\"]}}]}";

static const unsigned concurrency[] = {
    [FL_DEMO_PATIENT] = 12, [FL_DEMO_SINGLE] = 4, [FL_DEMO_HASTY] = 4};

/* The silence until now is over, or counts no longer. */
static uint64_t end_gap(struct fl_demo_client *client) {
    uint64_t now_us = fl_io_now_us(client->io);
    if (*client->moment != FL_DEMO_EMPTY)
        client->gap_us = FL_MAX(client->gap_us, now_us - client->answered_us);
    client->answered_us = now_us;
    return now_us;
}

static void note_answer(struct fl_demo_client *client, const char *peer) {
    uint64_t now_us = end_gap(client);
    if (client->keeps_score) fl_pods_answered(client->pods, peer, now_us);
}

/* Its way led to where nobody is any more. */
static bool is_dead_end(const struct fl_demo_client *client, const struct fl_call_result *result) {
    if (*result->peer && fl_pods_is_gone(client->pods, result->peer)) return true;
    return result->why->code == FL_EREFUSED || result->why->code == FL_EUNREACHABLE ||
           (result->why->code == FL_EDEADLINE && !*result->peer);
}

static void note_failure(struct fl_demo_client *client, enum fl_demo_sort sort,
                         const struct fl_call_result *result) {
    enum fl_demo_moment moment = *client->moment;
    bool unavailable = result->status == FL_STATUS_UNAVAILABLE;
    bool empty = moment == FL_DEMO_EMPTY || result->why->code == FL_EEMPTY;
    if (unavailable && empty && sort == FL_DEMO_HASTY) {
        client->told_empty++;
        return;
    }
    if (is_dead_end(client, result)) client->dead++;
    if (unavailable && moment == FL_DEMO_KILL && sort == FL_DEMO_SINGLE && *result->peer) {
        client->killed++;
        return;
    }
    if (client->failed++ == 0)
        fl_fail(&client->failure, FL_ECLOSED, "%s: %s%s%s", fl_status_name(result->status),
                result->message, *result->peer ? " at " : "", result->peer);
}

static void on_result(void *arg, const struct fl_call_result *result, uint64_t latency_us) {
    const struct callers *callers = arg;
    struct fl_demo_client *client = callers->client;
    FL_UNUSED(latency_us);
    client->calls++;
    if (result->status == FL_STATUS_OK)
        note_answer(client, result->peer);
    else
        note_failure(client, callers->sort, result);
}

static void on_stopped(void *arg) {
    struct callers *callers = arg;
    struct fl_demo_client *client = callers->client;
    fl_load_free(callers->load);
    callers->load = NULL;
    if (!fl_demo_client_runs(client)) client->on_idle(client->arg);
}

static int start_callers(struct fl_demo_client *client, enum fl_demo_sort sort,
                         struct fl_error *err) {
    struct callers *callers = &client->callers[sort];
    const struct fl_load_options options = {
        .method = sort == FL_DEMO_SINGLE ? SINGLE_METHOD : FL_ECHO_METHOD,
        .request = sort == FL_DEMO_SINGLE ? FL_STR_NONE : *client->request,
        .concurrency = concurrency[sort],
        .pause_ms = PAUSE_MS,
        .timeout_ms = CALL_MS,
        .wait_for_ready = sort != FL_DEMO_HASTY,
        .on_result = on_result,
        .on_done = on_stopped,
        .arg = callers,
    };
    callers->client = client;
    callers->sort = sort;
    return fl_load_start(client->io, client->channel, &options, &callers->load, err);
}

int fl_demo_client_open(struct fl_demo_client *client, struct fl_runtime *runtime,
                        struct fl_discovery *discovery, const char *target, uint32_t idle_ms,
                        struct fl_error *err) {
    const struct fl_channel_options options = {.service_config = service_config,
                                               .idle_timeout_ms = idle_ms};
    return fl_channel_new(runtime, discovery, target, &options, &client->channel, err);
}

int fl_demo_client_start(struct fl_demo_client *client, struct fl_error *err) {
    client->answered_us = fl_io_now_us(client->io);
    if (client->keeps_score) fl_pods_resume(client->pods, client->answered_us);
    for (int sort = 0; sort < FL_DEMO_SORTS; sort++) {
        int rc = start_callers(client, (enum fl_demo_sort)sort, err);
        if (rc) return rc;
    }
    return FL_OK;
}

void fl_demo_client_stop(struct fl_demo_client *client) {
    if (fl_demo_client_runs(client)) end_gap(client);
    for (int sort = 0; sort < FL_DEMO_SORTS; sort++)
        if (client->callers[sort].load) fl_load_stop(client->callers[sort].load);
}

bool fl_demo_client_runs(const struct fl_demo_client *client) {
    for (int sort = 0; sort < FL_DEMO_SORTS; sort++)
        if (client->callers[sort].load) return true;
    return false;
}

void fl_demo_client_moment_over(struct fl_demo_client *client) {
    if (fl_demo_client_runs(client)) end_gap(client);
}
