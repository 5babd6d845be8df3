/* demo.c - fairlead demo: a rolling update under load, in ten seconds.
 *
 * The simulated cluster runs on a thread of its own; this thread is the client: discovery, a
 * channel, callers that never pause for the update. Phases follow one another as a table of moves
 * says. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/sm.h"
#include "channel/channel.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/demo_sim.h"
#include "cli/demo_view.h"
#include "cli/echo_message.h"
#include "cli/kubeconfig_file.h"
#include "cli/load.h"
#include "cli/table.h"
#include "cli/terminal.h"

#define SERVICE      "echo"
#define PODS         3
#define CALLERS      20
#define PAUSE_MS     5
#define CALL_MS      5000 /* deadline of each call */
#define DRAW_MS      250
#define PLAIN_MS     1000
#define STEADY_MS    2000 /* of traffic before the update, and after it */
#define START_MAX_MS 20000
#define ROLL_MAX_MS  25000

enum phase { STARTING, STEADY, ROLLING, SETTLING, STOPPING, CLOSING };

static const uint32_t moves[] = {
    [STARTING] = FL_TO(STEADY) | FL_TO(CLOSING),
    [STEADY] = FL_TO(ROLLING) | FL_TO(STOPPING),
    [ROLLING] = FL_TO(SETTLING) | FL_TO(STOPPING),
    [SETTLING] = FL_TO(STOPPING),
    [STOPPING] = FL_TO(CLOSING),
    [CLOSING] = 0,
};

static const char *const phase_names[] = {
    [STARTING] = "starting three pods",         [STEADY] = "steady traffic",
    [ROLLING] = "rolling update under traffic", [SETTLING] = "all pods are new",
    [STOPPING] = "finishing the last calls",    [CLOSING] = "closing",
};

struct demo {
    struct fl_client client;
    struct fl_client_options client_options;
    struct fl_demo_sim *sim;
    struct fl_subscription *subscription;
    struct fl_channel *channel;
    struct fl_load *load;
    struct fl_buf request;
    struct fl_timer phase_end, draw;
    struct fl_demo_view view;
    struct fl_pods pods;
    char kubeconfig[64];
    int phase;
    uint64_t calls, failures, drawn_calls, drawn_us, steady_us;
    struct fl_error failure; /* why the demo itself could not go on */
    struct fl_error call_failure;
};

static struct fl_io *io_of(const struct demo *demo) { return demo->client.runtime->io; }
static uint64_t now_us(const struct demo *demo) { return fl_io_now_us(io_of(demo)); }

static void enter(struct demo *demo, enum phase phase, uint64_t limit_ms) {
    fl_sm_move(&demo->phase, moves, (int)phase);
    fl_demo_view_say(&demo->view, now_us(demo), phase_names[phase]);
    fl_io_timer_set(io_of(demo), &demo->phase_end, fl_io_now_ms(io_of(demo)) + limit_ms);
}

/* ---- closing: the load, then the channel and the subscription, then the cluster ---- */

static void close_sim(struct demo *demo) {
    if (demo->sim)
        fl_demo_sim_close(demo->sim);
    else
        fl_client_stop(&demo->client);
}

static void on_subscription_closed(void *arg) {
    struct demo *demo = arg;
    demo->subscription = NULL;
    close_sim(demo);
}

static void on_channel_closed(void *arg) {
    struct demo *demo = arg;
    demo->channel = NULL;
    fl_subscription_close(demo->subscription, on_subscription_closed, demo);
}

static void begin_close(struct demo *demo) {
    if (demo->phase == CLOSING) return;
    enter(demo, CLOSING, START_MAX_MS);
    if (demo->channel)
        fl_channel_close(demo->channel, on_channel_closed, demo);
    else if (demo->subscription)
        fl_subscription_close(demo->subscription, on_subscription_closed, demo);
    else
        close_sim(demo);
}

static void stop(struct demo *demo, const struct fl_error *err) {
    if (demo->failure.code == FL_OK) demo->failure = *err;
    if (demo->load && demo->phase < STOPPING) {
        enter(demo, STOPPING, CALL_MS);
        fl_load_stop(demo->load);
    } else if (!demo->load) {
        begin_close(demo);
    }
}

/* ---- the load ---- */

static void on_result(void *arg, const struct fl_call_result *result, uint64_t latency_us) {
    struct demo *demo = arg;
    FL_UNUSED(latency_us);
    demo->calls++;
    if (result->status == FL_STATUS_OK) {
        fl_pods_answered(&demo->pods, result->peer, now_us(demo));
        return;
    }
    if (demo->failures++ == 0)
        fl_fail(&demo->call_failure, FL_ECLOSED, "%s: %s (%s)", fl_status_name(result->status),
                result->message, result->peer);
}

static void on_load_done(void *arg) {
    struct demo *demo = arg;
    fl_load_free(demo->load);
    demo->load = NULL;
    begin_close(demo);
}

static void start_load(struct demo *demo) {
    const struct fl_load_options options = {
        .method = FL_ECHO_METHOD,
        .request = fl_buf_str(&demo->request),
        .concurrency = CALLERS,
        .pause_ms = PAUSE_MS,
        .timeout_ms = CALL_MS,
        .on_result = on_result,
        .on_done = on_load_done,
        .arg = demo,
    };
    struct fl_error err = {0};
    if (fl_load_start(io_of(demo), demo->channel, &options, &demo->load, &err)) {
        stop(demo, &err);
        return;
    }
    demo->steady_us = now_us(demo);
    enter(demo, STEADY, STEADY_MS);
}

/* ---- what is discovered ---- */

static void on_change(void *arg, const struct fl_change *change) {
    struct demo *demo = arg;
    fl_demo_view_change(&demo->view, now_us(demo), change);
}

static void count_ready(void *arg, const struct fl_endpoint *endpoint) {
    *(unsigned *)arg += endpoint->ready;
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct demo *demo = arg;
    unsigned ready = 0;
    if (trouble && fl_error_reaction(trouble->code) == FL_REACT_FIX) {
        stop(demo, trouble);
        return;
    }
    fl_pods_apply(&demo->pods, set, previous, now_us(demo), on_change, demo);
    fl_set_each(set, count_ready, &ready);
    if (demo->phase == STARTING && ready == PODS) start_load(demo);
}

static void on_pick(void *arg, uint64_t set_version, const char *peer) {
    struct demo *demo = arg;
    fl_pods_picked(&demo->pods, peer, set_version);
}

/* ---- the cluster ---- */

static int connect_client(struct demo *demo, uint16_t port, struct fl_error *err) {
    const char *target = "kubernetes:///default/" SERVICE;
    const struct fl_kubeconfig_spec spec = {.host = FL_STR("127.0.0.1"), .port = port};
    int rc = fl_kubeconfig_file_write(demo->kubeconfig, &spec, err);
    if (!rc)
        rc = fl_discovery_subscribe(demo->client.discovery, demo->client.runtime, target, on_set,
                                    demo, &demo->subscription, err);
    if (!rc)
        rc = fl_channel_new(demo->client.runtime, demo->client.discovery, target, NULL,
                            &demo->channel, err);
    if (rc) return rc;
    const struct fl_channel_watcher watcher = {.on_pick = on_pick, .arg = demo};
    fl_channel_watch(demo->channel, &watcher);
    return FL_OK;
}

static void on_up(void *arg, uint16_t port) {
    struct demo *demo = arg;
    struct fl_error err = {0};
    if (connect_client(demo, port, &err)) stop(demo, &err);
}

static void on_sim_failed(void *arg, const struct fl_error *err) { stop(arg, err); }

static void on_rolled(void *arg) {
    struct demo *demo = arg;
    if (demo->phase == ROLLING) enter(demo, SETTLING, STEADY_MS);
}

static void on_sim_closed(void *arg) {
    struct demo *demo = arg;
    fl_demo_sim_free(demo->sim);
    demo->sim = NULL;
    fl_client_stop(&demo->client);
}

/* ---- time ---- */

static void on_phase_end(struct fl_timer *timer) {
    struct demo *demo = FL_CONTAINER(timer, struct demo, phase_end);
    struct fl_error late = {0};
    switch ((enum phase)demo->phase) {
    case STEADY:
        enter(demo, ROLLING, ROLL_MAX_MS);
        fl_demo_sim_roll(demo->sim);
        break;
    case SETTLING:
        enter(demo, STOPPING, CALL_MS);
        fl_load_stop(demo->load);
        break;
    default:
        fl_fail(&late, FL_ETIMEOUT, "gave up waiting: %s", phase_names[demo->phase]);
        stop(demo, &late);
    }
}

static void on_draw(struct fl_timer *timer) {
    struct demo *demo = FL_CONTAINER(timer, struct demo, draw);
    uint64_t now = now_us(demo), window_ms = (now - demo->drawn_us) / 1000;
    const struct fl_demo_numbers numbers = {
        phase_names[demo->phase], demo->calls, demo->failures,
        window_ms ? (demo->calls - demo->drawn_calls) * 1000 / window_ms : 0};
    fl_pods_window(&demo->pods, window_ms);
    demo->drawn_us = now;
    demo->drawn_calls = demo->calls;
    if (demo->load) fl_demo_view_draw(&demo->view, now, &numbers, &demo->pods);
    uint32_t pause = demo->view.live ? DRAW_MS : PLAIN_MS;
    fl_io_timer_set(io_of(demo), timer, now / 1000 + pause);
}

/* ---- the whole ---- */

static bool make_kubeconfig(struct demo *demo, struct fl_error *err) {
    const char *folder = getenv("TMPDIR");
    int length = snprintf(demo->kubeconfig, sizeof demo->kubeconfig, "%s/fairlead-demo-XXXXXX",
                          folder && *folder ? folder : "/tmp");
    int file = length < (int)sizeof demo->kubeconfig ? mkstemp(demo->kubeconfig) : -1;
    if (file < 0) {
        fl_fail(err, FL_ESYS, "no temporary file: %s", demo->kubeconfig);
        demo->kubeconfig[0] = '\0';
        return false;
    }
    close(file);
    return true;
}

static int open_demo(struct demo *demo, struct fl_error *err) {
    static const struct fl_demo_sim_events events = {on_up, on_sim_failed, on_rolled,
                                                     on_sim_closed};
    fl_buf_init(&demo->request, 1024);
    if (!make_kubeconfig(demo, err)) return err->code;
    demo->client_options.kubeconfig = demo->kubeconfig;
    int rc = fl_echo_message_encode(&demo->request, FL_STR("ahoy"));
    if (rc) return fl_fail_nomem(err);
    rc = fl_client_open(&demo->client, &demo->client_options, err);
    if (rc) return rc;
    struct fl_io *io = io_of(demo);
    if (fl_io_timer_init(io, &demo->phase_end, on_phase_end) ||
        fl_io_timer_init(io, &demo->draw, on_draw))
        return fl_fail_nomem(err);
    fl_demo_view_init(&demo->view, now_us(demo));
    fl_demo_view_say(&demo->view, now_us(demo), phase_names[STARTING]);
    demo->drawn_us = now_us(demo);
    fl_io_timer_set(io, &demo->phase_end, fl_io_now_ms(io) + START_MAX_MS);
    fl_io_timer_set(io, &demo->draw, fl_io_now_ms(io) + PLAIN_MS);
    return fl_demo_sim_new(io, SERVICE, PODS, &events, demo, &demo->sim, err);
}

static void close_demo(struct demo *demo) {
    if (demo->client.runtime) {
        fl_io_timer_deinit(io_of(demo), &demo->phase_end);
        fl_io_timer_deinit(io_of(demo), &demo->draw);
        fl_client_close(&demo->client);
    }
    if (demo->kubeconfig[0]) unlink(demo->kubeconfig);
    fl_buf_deinit(&demo->request);
}

static void row(struct fl_table *table, int *rc, const char *name, const char *value) {
    const char *cells[] = {name, value};
    if (!*rc) *rc = fl_table_row(table, cells);
}

static void print_times(const struct demo *demo, struct fl_table *table, int *rc) {
    uint64_t median, worst;
    size_t count;
    char text[96] = "no new pod was seen";
    if (fl_pods_moved(&demo->pods, demo->steady_us, &median, &worst, &count))
        snprintf(text, sizeof text, "median %.1f ms, worst %.1f ms, %zu new pods",
                 (double)median / 1e3, (double)worst / 1e3, count);
    row(table, rc, "endpoint event to first moved call", text);
}

static void print_result(const struct demo *demo) {
    struct fl_table table;
    char number[32];
    int rc = FL_OK;
    fl_table_init(&table, 2);
    row(&table, &rc, "FAIRLEAD", "ROLLING UPDATE OF " SERVICE);
    snprintf(number, sizeof number, "%llu", (unsigned long long)demo->calls);
    row(&table, &rc, "calls", number);
    snprintf(number, sizeof number, "%llu", (unsigned long long)demo->failures);
    row(&table, &rc, "failures", number);
    snprintf(number, sizeof number, "%llu", (unsigned long long)demo->pods.late_calls);
    row(&table, &rc, "calls to a pod that had left", number);
    snprintf(number, sizeof number, "%zu", demo->pods.count);
    row(&table, &rc, "pods seen", number);
    print_times(demo, &table, &rc);
    putchar('\n');
    if (!rc) fl_table_print(&table, stdout);
    if (demo->failures) printf("first failure: %s\n", demo->call_failure.detail);
    fl_table_deinit(&table);
}

/* Until the cluster is gone; a signal ends the demo early and in order. */
static void run_to_the_end(struct demo *demo) {
    struct fl_error interrupted = {0};
    fl_fail(&interrupted, FL_ECANCELLED, "interrupted");
    while (demo->sim) {
        fl_client_run(&demo->client);
        if (demo->sim) stop(demo, &interrupted);
    }
}

static int run(const struct fl_command *self, int argc, char **argv) {
    struct fl_args args = {0};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    struct demo demo = {.phase = STARTING};
    int rc = open_demo(&demo, &err);
    if (rc) {
        exit_code = fl_command_fail(&err);
    } else {
        run_to_the_end(&demo);
        if (demo.steady_us) print_result(&demo);
        if (demo.failure.code != FL_OK)
            exit_code = fl_command_fail(&demo.failure);
        else
            exit_code = demo.failures || demo.pods.late_calls ? FL_EXIT_FAILED : FL_EXIT_OK;
    }
    close_demo(&demo);
    return exit_code;
}

const struct fl_command fl_command_demo = {
    "demo", "", "A rolling update under load, in ten seconds",
    "Starts a simulated API server and a service \"echo\" of three pods, each a real gRPC\n"
    "server on a loopback address of its own; calls it all the while through a channel;\n"
    "replaces every pod. Exit code 0 if no call failed.",
    run};
