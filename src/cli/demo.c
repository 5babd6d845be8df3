/* demo.c - fairlead demo: a service whose pods come and go, under live traffic, in half a minute.
 *
 * The simulated cluster runs on a thread of its own; this thread has the clients, all under the
 * same load: Fairlead's channel; one that resolves the service once, at its start; one that dials a
 * virtual address. The play is a table of steps, each begun when the one before is over. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channel/channel.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/demo_client.h"
#include "cli/demo_result.h"
#include "cli/demo_sim.h"
#include "cli/demo_view.h"
#include "cli/echo_message.h"
#include "cli/kubeconfig_file.h"
#include "cli/terminal.h"
#include "cli/virtual_address.h"
#include "discovery/set.h"

#define SERVICE    "echo"
#define PODS       3
#define IDLE_MS    1000 /* after which a channel without calls closes its connections */
#define DRAW_MS    250
#define PLAIN_MS   1000
#define LOOK_MS    20 /* is the step over? */
#define TARGET_MAX 1024

enum { FAIRLEAD, RESOLVED, VIRTUAL, CLIENTS };

struct step;

struct demo {
    struct fl_client client;
    struct fl_client_options client_options;
    struct fl_demo_sim *sim;
    struct fl_subscription *subscription;
    struct fl_virtual_address *address;
    struct fl_demo_client clients[CLIENTS];
    struct fl_buf request_bytes;
    struct fl_str request;
    struct fl_timer step_look, draw;
    struct fl_demo_view view;
    struct fl_pods pods;
    enum fl_demo_moment moment;
    char kubeconfig[64];
    const struct step *step;
    uint64_t step_ms, drawn_calls, drawn_us, steady_us;
    unsigned ready;
    bool rolled;
    bool ending;             /* the callers are being stopped for good */
    struct fl_error failure; /* why the demo itself could not go on */
};

static struct fl_io *io_of(const struct demo *demo) { return demo->client.runtime->io; }
static uint64_t now_us(const struct demo *demo) { return fl_io_now_us(io_of(demo)); }
static uint64_t now_ms(const struct demo *demo) { return fl_io_now_ms(io_of(demo)); }

/* ---- the end: the callers, then the channels and what they stand on, then the cluster ---- */

static void close_next(void *arg);

static void on_channel_closed(void *arg) {
    ((struct fl_demo_client *)arg)->channel = NULL;
    close_next(((struct fl_demo_client *)arg)->arg);
}

static void on_address_closed(void *arg) {
    ((struct demo *)arg)->address = NULL;
    close_next(arg);
}

static void on_subscription_closed(void *arg) {
    ((struct demo *)arg)->subscription = NULL;
    close_next(arg);
}

static void close_next(void *arg) {
    struct demo *demo = arg;
    for (size_t i = 0; i < CLIENTS; i++) {
        struct fl_demo_client *client = &demo->clients[i];
        if (!client->channel) continue;
        fl_channel_close(client->channel, on_channel_closed, client);
        return;
    }
    if (demo->address)
        fl_virtual_address_close(demo->address, on_address_closed, demo);
    else if (demo->subscription)
        fl_subscription_close(demo->subscription, on_subscription_closed, demo);
    else if (demo->sim)
        fl_demo_sim_close(demo->sim);
    else
        fl_client_stop(&demo->client);
}

static bool anybody_calls(const struct demo *demo) {
    for (size_t i = 0; i < CLIENTS; i++)
        if (fl_demo_client_runs(&demo->clients[i])) return true;
    return false;
}

static void stop_callers(struct demo *demo) {
    for (size_t i = 0; i < CLIENTS; i++) fl_demo_client_stop(&demo->clients[i]);
}

static void end(struct demo *demo, const struct fl_error *why) {
    if (why && demo->failure.code == FL_OK) demo->failure = *why;
    if (demo->ending) return;
    demo->ending = true;
    fl_io_timer_clear(io_of(demo), &demo->step_look);
    if (anybody_calls(demo))
        stop_callers(demo);
    else
        close_next(demo);
}

static void on_callers_idle(void *arg) {
    struct demo *demo = arg;
    if (demo->ending && !anybody_calls(demo)) close_next(demo);
}

/* ---- the play ---- */

struct step {
    const char *text;
    void (*begin)(struct demo *demo);
    bool (*is_over)(const struct demo *demo); /* NULL: when it has lasted */
    uint32_t least_ms, most_ms;
};

static void start_callers(struct demo *demo) {
    struct fl_error err = {0};
    for (size_t i = 0; i < CLIENTS && !err.code; i++)
        if (fl_demo_client_start(&demo->clients[i], &err)) end(demo, &err);
    if (!demo->steady_us) demo->steady_us = now_us(demo);
}

/* The addresses of now, for ever. */
static void add_address(void *arg, const struct fl_endpoint *endpoint) {
    struct fl_buf *target = arg;
    char text[FL_ADDRESS_TEXT_MAX + 8];
    snprintf(text, sizeof(text), "%s%s:%u", target->len > sizeof("static:") - 1 ? "," : "",
             endpoint->address, (unsigned)endpoint->port);
    if (fl_buf_append(target, fl_str_of(text)) != 0) fl_buf_truncate(target, 0);
}

static int open_client(struct demo *demo, int which, const char *target, struct fl_error *err) {
    return fl_demo_client_open(&demo->clients[which], demo->client.runtime, demo->client.discovery,
                               target, IDLE_MS, err);
}

static int open_resolved(struct demo *demo, const struct fl_set *set, struct fl_error *err) {
    struct fl_buf target;
    fl_buf_init(&target, TARGET_MAX);
    int rc = fl_buf_append(&target, FL_STR("static:"));
    if (!rc) fl_set_each(set, add_address, &target);
    if (!rc) rc = fl_buf_byte(&target, '\0');
    rc = rc ? fl_fail_nomem(err) : open_client(demo, RESOLVED, fl_buf_str(&target).p, err);
    fl_buf_deinit(&target);
    return rc;
}

static int open_virtual(struct demo *demo, struct fl_error *err) {
    char target[64];
    snprintf(target, sizeof(target), "static:127.0.0.1:%u",
             (unsigned)fl_virtual_address_port(demo->address));
    return open_client(demo, VIRTUAL, target, err);
}

static void roll(struct demo *demo) {
    demo->rolled = false;
    fl_demo_sim_roll(demo->sim);
}

static void change_moment(struct demo *demo, enum fl_demo_moment moment) {
    for (size_t i = 0; i < CLIENTS; i++) fl_demo_client_moment_over(&demo->clients[i]);
    demo->moment = moment;
}

static void kill_one(struct demo *demo) {
    change_moment(demo, FL_DEMO_KILL);
    fl_demo_sim_kill(demo->sim);
}

static void calm(struct demo *demo) { change_moment(demo, FL_DEMO_USUAL); }

static void scale_down(struct demo *demo) { fl_demo_sim_scale(demo->sim, 0); }
static void scale_up(struct demo *demo) { fl_demo_sim_scale(demo->sim, PODS); }

static bool has_clients(const struct demo *demo) { return demo->clients[FAIRLEAD].channel; }
static bool has_rolled(const struct demo *demo) { return demo->rolled; }
static bool is_ready(const struct demo *demo) { return demo->ready == PODS; }
static bool is_empty(const struct demo *demo) { return demo->ready == 0; }
static bool is_idle(const struct demo *demo) {
    return !anybody_calls(demo) &&
           fl_channel_state(demo->clients[FAIRLEAD].channel) == FL_CHANNEL_IDLE;
}

static const struct step play[] = {
    {"starting three pods", NULL, has_clients, 0, 20000},
    {"steady traffic", start_callers, NULL, 1500, 2000},
    {"a rolling update", roll, has_rolled, 0, 25000},
    {"all pods are new", NULL, NULL, 1000, 2000},
    {"one pod is killed without warning", kill_one, is_ready, 2500, 25000},
    {"it has been replaced", calm, NULL, 1000, 2000},
    {"scaled to 0", scale_down, is_empty, 1000, 25000},
    {"nobody is there", NULL, NULL, 1500, 2000},
    {"scaled to 3", scale_up, is_ready, 2000, 25000},
    {"no calls: connections close, eyes stay open", stop_callers, is_idle, 0, 10000},
    {"every pod changes its address meanwhile", roll, has_rolled, 0, 25000},
    {"calls again", start_callers, NULL, 1500, 2000},
};

static void go_to(struct demo *demo, const struct step *step) {
    demo->step = step;
    demo->step_ms = now_ms(demo);
    fl_demo_view_say(&demo->view, now_us(demo), step->text);
    if (step->begin) step->begin(demo);
}

static void on_step_look(struct fl_timer *timer) {
    struct demo *demo = FL_CONTAINER(timer, struct demo, step_look);
    const struct step *step = demo->step;
    uint64_t lasted = now_ms(demo) - demo->step_ms;
    if (lasted >= step->least_ms && (!step->is_over || step->is_over(demo))) {
        if (step + 1 == play + FL_COUNT(play)) {
            end(demo, NULL);
            return;
        }
        go_to(demo, step + 1);
    } else if (lasted >= step->most_ms) {
        struct fl_error late;
        end(demo, (fl_fail(&late, FL_ETIMEOUT, "gave up waiting: %s", step->text), &late));
    }
    if (!demo->ending) fl_io_timer_set(io_of(demo), timer, now_ms(demo) + LOOK_MS);
}

/* ---- what is discovered ---- */

static void on_change(void *arg, const struct fl_change *change) {
    struct demo *demo = arg;
    fl_demo_view_change(&demo->view, now_us(demo), change);
}

struct count {
    const struct fl_set *set;
    unsigned ready, usable;
};

static void count_endpoint(void *arg, const struct fl_endpoint *endpoint) {
    struct count *count = arg;
    count->ready += endpoint->ready;
    count->usable += fl_set_usable(count->set, endpoint);
}

static void open_others(struct demo *demo, struct fl_set *set) {
    struct fl_error err;
    if (open_resolved(demo, set, &err) || open_virtual(demo, &err) ||
        open_client(demo, FAIRLEAD, "kubernetes:///default/" SERVICE, &err))
        end(demo, &err);
}

static void on_pick(void *arg, uint64_t set_version, const char *peer) {
    struct demo *demo = arg;
    fl_pods_picked(&demo->pods, peer, set_version);
}

static void watch_picks(struct demo *demo) {
    const struct fl_channel_watcher watcher = {.on_pick = on_pick, .arg = demo};
    if (has_clients(demo)) fl_channel_watch(demo->clients[FAIRLEAD].channel, &watcher);
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct demo *demo = arg;
    struct count count = {set, 0, 0};
    if (trouble && fl_error_reaction(trouble->code) == FL_REACT_FIX) {
        end(demo, trouble);
        return;
    }
    fl_pods_apply(&demo->pods, set, previous, now_us(demo), on_change, demo);
    fl_set_each(set, count_endpoint, &count);
    demo->ready = count.ready;
    fl_virtual_address_use(demo->address, set);
    if (!has_clients(demo) && count.ready == PODS && !demo->ending) {
        open_others(demo, set);
        watch_picks(demo);
    }
    if (!has_clients(demo)) return;
    if (count.usable == 0 && demo->moment != FL_DEMO_EMPTY) change_moment(demo, FL_DEMO_EMPTY);
    if (count.usable != 0 && demo->moment == FL_DEMO_EMPTY) change_moment(demo, FL_DEMO_USUAL);
}

/* ---- the cluster ---- */

static int connect_client(struct demo *demo, uint16_t port, struct fl_error *err) {
    const struct fl_kubeconfig_spec spec = {.host = FL_STR("127.0.0.1"), .port = port};
    int rc = fl_kubeconfig_file_write(demo->kubeconfig, &spec, err);
    if (!rc) rc = fl_virtual_address_new(io_of(demo), &demo->address, err);
    if (rc) return rc;
    return fl_discovery_subscribe(demo->client.discovery, demo->client.runtime,
                                  "kubernetes:///default/" SERVICE, on_set, demo,
                                  &demo->subscription, err);
}

static void on_up(void *arg, uint16_t port) {
    struct demo *demo = arg;
    struct fl_error err = {0};
    if (connect_client(demo, port, &err)) end(demo, &err);
}

static void on_sim_failed(void *arg, const struct fl_error *err) { end(arg, err); }
static void on_rolled(void *arg) { ((struct demo *)arg)->rolled = true; }

static void on_sim_closed(void *arg) {
    struct demo *demo = arg;
    fl_demo_sim_free(demo->sim);
    demo->sim = NULL;
    fl_client_stop(&demo->client);
}

/* ---- what is shown ---- */

static void on_draw(struct fl_timer *timer) {
    struct demo *demo = FL_CONTAINER(timer, struct demo, draw);
    const struct fl_demo_client *fairlead = &demo->clients[FAIRLEAD];
    uint64_t now = now_us(demo), window_ms = (now - demo->drawn_us) / 1000;
    const struct fl_demo_numbers numbers = {
        demo->step->text, fairlead->calls, fairlead->failed,
        window_ms ? (fairlead->calls - demo->drawn_calls) * 1000 / window_ms : 0};
    fl_pods_window(&demo->pods, window_ms);
    demo->drawn_us = now;
    demo->drawn_calls = fairlead->calls;
    if (anybody_calls(demo)) fl_demo_view_draw(&demo->view, now, &numbers, &demo->pods);
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

static void init_clients(struct demo *demo) {
    static const char *const names[] = {
        [FAIRLEAD] = "FAIRLEAD", [RESOLVED] = "RESOLVED ONCE", [VIRTUAL] = "VIRTUAL ADDRESS"};
    for (size_t i = 0; i < CLIENTS; i++)
        demo->clients[i] = (struct fl_demo_client){.name = names[i],
                                                   .io = io_of(demo),
                                                   .request = &demo->request,
                                                   .pods = &demo->pods,
                                                   .moment = &demo->moment,
                                                   .keeps_score = i == FAIRLEAD,
                                                   .on_idle = on_callers_idle,
                                                   .arg = demo};
}

static int open_demo(struct demo *demo, struct fl_error *err) {
    static const struct fl_demo_sim_events events = {on_up, on_sim_failed, on_rolled,
                                                     on_sim_closed};
    fl_buf_init(&demo->request_bytes, 1024);
    if (!make_kubeconfig(demo, err)) return err->code;
    demo->client_options.kubeconfig = demo->kubeconfig;
    int rc = fl_echo_message_encode(&demo->request_bytes, FL_STR("ahoy"));
    if (rc) return fl_fail_nomem(err);
    demo->request = fl_buf_str(&demo->request_bytes);
    rc = fl_client_open(&demo->client, &demo->client_options, err);
    if (rc) return rc;
    struct fl_io *io = io_of(demo);
    if (fl_io_timer_init(io, &demo->step_look, on_step_look) ||
        fl_io_timer_init(io, &demo->draw, on_draw))
        return fl_fail_nomem(err);
    init_clients(demo);
    fl_demo_view_init(&demo->view, now_us(demo));
    demo->drawn_us = now_us(demo);
    go_to(demo, play);
    fl_io_timer_set(io, &demo->step_look, now_ms(demo) + LOOK_MS);
    fl_io_timer_set(io, &demo->draw, now_ms(demo) + PLAIN_MS);
    return fl_demo_sim_new(io, SERVICE, PODS, &events, demo, &demo->sim, err);
}

static void close_demo(struct demo *demo) {
    if (demo->client.runtime) {
        fl_io_timer_deinit(io_of(demo), &demo->step_look);
        fl_io_timer_deinit(io_of(demo), &demo->draw);
        fl_client_close(&demo->client);
    }
    if (demo->kubeconfig[0]) unlink(demo->kubeconfig);
    fl_buf_deinit(&demo->request_bytes);
}

/* Until the cluster is gone; a signal ends the demo early and in order. */
static void run_to_the_end(struct demo *demo) {
    struct fl_error interrupted = {0};
    fl_fail(&interrupted, FL_ECANCELLED, "interrupted");
    while (demo->sim) {
        fl_client_run(&demo->client);
        if (demo->sim) end(demo, &interrupted);
    }
}

static int run(const struct fl_command *self, int argc, char **argv) {
    struct fl_args args = {0};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    struct demo demo = {.moment = FL_DEMO_USUAL};
    int rc = open_demo(&demo, &err);
    if (rc) {
        exit_code = fl_command_fail(&err);
    } else {
        run_to_the_end(&demo);
        if (demo.steady_us) fl_demo_result_print(demo.clients, CLIENTS, &demo.pods, demo.steady_us);
        if (demo.failure.code != FL_OK)
            exit_code = fl_command_fail(&demo.failure);
        else
            exit_code = fl_demo_result_is_good(&demo.clients[FAIRLEAD], &demo.pods)
                            ? FL_EXIT_OK
                            : FL_EXIT_FAILED;
    }
    close_demo(&demo);
    return exit_code;
}

const struct fl_command fl_command_demo = {
    "demo", "", "Pods come and go under live traffic, in half a minute",
    "Starts a simulated API server and a service \"echo\" of three pods, each a real gRPC\n"
    "server on a loopback address of its own, and calls it all the while: through a channel,\n"
    "through a client that resolves it once, and through one that dials a virtual address.\n"
    "The pods are replaced, one is killed, the service is scaled to 0 and back, and all move\n"
    "while nobody calls. Exit code 0 if no call of the channel failed that could have been\n"
    "made.",
    run};
