/* swarm.c - see swarm.h.
 *
 * The story, for both: everybody starts within a minute; when the watches no longer begin together
 * a steady hour is measured; then every connection is reset and dials are refused for OUTAGE_S;
 * what is counted after that is the recovery, until everybody watches again and for RECOVERY_S at
 * least. */
#include "swarm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/backoff.h"
#include "kube/listwatch.h"
#include "load.h"
#include "sim/apiserver.h"
#include "sim/world.h"

#define START_S    60
#define STEADY_S   1800 /* after which watches begin at all times */
#define OUTAGE_AT  5400
#define OUTAGE_S   60
#define RECOVERY_S 300
#define END_S      7200
#define TARGET     1.5
#define API        "127.0.0.1"
#define API_PORT   6443
#define CLOSE_MS   60000

/* --- Fairlead: the real code on the simulated network --- */

struct swarm_client {
    struct swarm *swarm;
    struct fl_kube_client *client;
    struct fl_listwatch *listwatch;
    struct fl_timer timer; /* when it starts */
    bool synced;
};

struct swarm {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_io_ops ops; /* the world's, with ours that count */
    const struct fl_io_ops *world_ops;
    struct fl_cluster *cluster;
    struct fl_apiserver *server;
    struct swarm_client *clients;
    uint64_t count, closes, changes;
    uint64_t start_ms;
    struct load *load;
};

static struct swarm *current; /* a write knows its sock alone */

static uint64_t second_of(const struct swarm *swarm) {
    return (fl_io_now_ms(swarm->io) - swarm->start_ms) / 1000;
}

static bool contains(struct fl_str text, struct fl_str word) {
    return text.n && memmem(text.p, text.n, word.p, word.n) != NULL;
}

static enum load_kind kind_of(struct fl_str head) {
    if (contains(head, FL_STR("PartialObjectMetadata"))) return LOAD_AUDIT;
    if (contains(head, FL_STR("sendInitialEvents"))) return LOAD_STREAM;
    return contains(head, FL_STR("watch=1")) || contains(head, FL_STR("watch=true")) ? LOAD_WATCH
                                                                                     : LOAD_LIST;
}

static int counting_write(struct fl_sock *sock, struct fl_str bytes) {
    if (fl_str_starts(bytes, FL_STR("GET /")))
        load_add(current->load, kind_of(bytes), second_of(current));
    return current->world_ops->sock_write(sock, bytes);
}

static int counting_dial(struct fl_io *io, const struct fl_dial *dial,
                         const struct fl_sock_events *events, void *arg, struct fl_sock **out,
                         struct fl_error *err) {
    load_add(current->load, LOAD_DIAL, second_of(current));
    return current->world_ops->dial(io, dial, events, arg, out, err);
}

static int on_change(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct swarm_client *client = arg;
    FL_UNUSED(old);
    FL_UNUSED(now);
    client->swarm->changes++;
    return 0;
}

static void on_synced(void *arg) { ((struct swarm_client *)arg)->synced = true; }

static void on_trouble(void *arg, const struct fl_error *why) {
    FL_UNUSED(arg);
    FL_UNUSED(why);
}

static const struct fl_listwatch_events swarm_events = {
    .on_change = on_change, .on_synced = on_synced, .on_trouble = on_trouble};

static void start_client(struct fl_timer *timer) {
    struct swarm_client *client = FL_CONTAINER(timer, struct swarm_client, timer);
    char host[] = API, path[] = "", ns[] = "default", source[] = "swarm";
    const struct fl_kube_config config = {
        .host = host, .port = API_PORT, .path = path, .ns = ns, .source = source};
    const struct fl_kube_client_options options = {0};
    int rc = fl_kube_client_new(client->swarm->io, &config, &options, &client->client, NULL);
    FL_ASSERT(rc == 0);
    const struct fl_listwatch_options what = {
        .client = client->client, .kind = FL_K8S_ENDPOINTSLICE, .ns = FL_STR("default")};
    rc =
        fl_listwatch_new(client->swarm->io, &what, &swarm_events, client, &client->listwatch, NULL);
    FL_ASSERT(rc == 0);
}

static void on_closed(void *arg) { ((struct swarm *)arg)->closes--; }

static bool all_closed(void *arg) { return ((struct swarm *)arg)->closes == 0; }

static void wait_closed(struct swarm *swarm) {
    bool closed = fl_world_run_until(swarm->world, all_closed, swarm, CLOSE_MS);
    FL_ASSERT(closed);
}

static void swarm_start(struct swarm *swarm, uint64_t seed) {
    const struct fl_world_options options = {.seed = seed, .reorder = true};
    const struct fl_apiserver_options server = {.host = FL_STR(API), .port = API_PORT};
    const struct fl_k8s_service_port port = {
        .name = FL_STR("grpc"), .protocol = FL_STR("TCP"), .port = 80, .target_port = 50051};
    int rc = fl_world_new(&options, &swarm->world);
    FL_ASSERT(rc == 0);
    swarm->io = fl_world_io(swarm->world);
    rc = fl_cluster_new(seed, 64, &swarm->cluster);
    if (!rc) rc = fl_cluster_service(swarm->cluster, FL_STR("default"), FL_STR("echo"), &port, 1);
    if (!rc) rc = fl_apiserver_new(swarm->io, swarm->cluster, &server, &swarm->server, NULL);
    FL_ASSERT(rc == 0);
    swarm->start_ms = fl_io_now_ms(swarm->io);
    swarm->world_ops = swarm->io->ops;
    swarm->ops = *swarm->world_ops;
    swarm->ops.dial = counting_dial;
    swarm->ops.sock_write = counting_write;
    swarm->io->ops = &swarm->ops;
    current = swarm;
    for (uint64_t i = 0; i < swarm->count; i++) {
        struct swarm_client *client = &swarm->clients[i];
        client->swarm = swarm;
        rc = fl_io_timer_init(swarm->io, &client->timer, start_client);
        FL_ASSERT(rc == 0);
        fl_io_timer_set(swarm->io, &client->timer,
                        swarm->start_ms + i * START_S * 1000 / swarm->count);
    }
}

static void swarm_end(struct swarm *swarm) {
    swarm->closes = swarm->count;
    for (uint64_t i = 0; i < swarm->count; i++)
        fl_listwatch_close(swarm->clients[i].listwatch, on_closed, swarm);
    wait_closed(swarm);
    swarm->closes = swarm->count;
    for (uint64_t i = 0; i < swarm->count; i++)
        fl_kube_client_close(swarm->clients[i].client, on_closed, swarm);
    wait_closed(swarm);
    swarm->closes = 1;
    fl_apiserver_close(swarm->server, on_closed, swarm);
    wait_closed(swarm);
    for (uint64_t i = 0; i < swarm->count; i++)
        fl_io_timer_deinit(swarm->io, &swarm->clients[i].timer);
    fl_world_run_ms(swarm->world, 2000);
    swarm->io->ops = swarm->world_ops;
    fl_cluster_free(swarm->cluster);
    fl_world_free(swarm->world);
}

static void tell_progress(uint64_t second) {
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%" PRIu64 " of %d virtual seconds ", second, END_S);
}

static void run_until(struct swarm *swarm, uint64_t until_s) {
    for (uint64_t s = second_of(swarm); s < until_s; s += 60) {
        fl_world_run_ms(swarm->world, FL_MIN(until_s - s, UINT64_C(60)) * 1000);
        tell_progress(s);
    }
}

static void swarm_live(struct swarm *swarm, uint64_t seed) {
    swarm_start(swarm, seed);
    run_until(swarm, OUTAGE_AT);
    fl_world_cut(swarm->world, FL_STR(API));
    fl_world_fault(swarm->world, FL_STR(API), FL_WORLD_REFUSE);
    run_until(swarm, OUTAGE_AT + OUTAGE_S);
    fl_world_fault(swarm->world, FL_STR(API), FL_WORLD_OK);
    run_until(swarm, END_S);
    for (uint64_t i = 0; i < swarm->count; i++)
        if (!swarm->clients[i].synced) printf("client %" PRIu64 " never read its list\n", i);
    swarm_end(swarm);
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

/* --- client-go, by its constants and rules --- */

/* k8s.io/client-go/tools/cache/reflector.go: a watch lasts 5 to 10 min (minWatchTimeout); one that
 * ends is begun anew at once; where it is refused (IsConnectionRefused) it is tried again after the
 * backoff manager's delay: 800 ms doubled to 30 s, jitter 1.0, anew after two minutes without a
 * call.
 */
struct peer {
    uint64_t next_ms;  /* its next request */
    uint64_t delay_ms; /* of its backoff, before jitter */
    uint64_t failed_ms;
    bool watching;
};

static void peer_act(struct peer *peer, uint64_t now_ms, bool refused, struct fl_random *random,
                     struct load *load) {
    load_add(load, LOAD_DIAL, now_ms / 1000);
    if (refused) {
        bool anew = !peer->delay_ms || now_ms - peer->failed_ms > 120000;
        peer->delay_ms = anew ? 800 : FL_MIN(peer->delay_ms * 2, UINT64_C(30000));
        peer->failed_ms = now_ms;
        peer->watching = false;
        peer->next_ms = now_ms + peer->delay_ms + fl_random_below(random, peer->delay_ms);
        return;
    }
    load_add(load, LOAD_WATCH, now_ms / 1000);
    peer->watching = true;
    peer->next_ms = now_ms + 300000 + fl_random_below(random, 300000);
}

static void peers_live(uint64_t count, uint64_t seed, struct load *load) {
    struct fl_random random = {seed};
    struct peer *peers = fl_calloc(count, sizeof *peers);
    const uint64_t from = UINT64_C(1000) * OUTAGE_AT, to = from + UINT64_C(1000) * OUTAGE_S;
    FL_ASSERT(peers);
    for (uint64_t i = 0; i < count; i++) {
        struct peer *peer = &peers[i];
        peer->next_ms = i * START_S * 1000 / count;
        load_add(load, LOAD_LIST, peer->next_ms / 1000);
        while (peer->next_ms < UINT64_C(1000) * END_S) {
            if (peer->watching && peer->next_ms > from && peer->failed_ms < from)
                peer->next_ms = from; /* its connection is reset */
            bool refused = peer->next_ms >= from && peer->next_ms < to;
            peer_act(peer, peer->next_ms, refused, &random, load);
            if (!refused && peer->next_ms > from && !peer->failed_ms) peer->failed_ms = 1;
        }
    }
    fl_free(peers);
}

/* --- the report --- */

static uint64_t recovered_at(const struct load *load, uint64_t clients) {
    uint64_t watches = 0, s = OUTAGE_AT + OUTAGE_S;
    for (; s < END_S && watches < clients; s++)
        watches += load->counts[LOAD_WATCH][s] + load->counts[LOAD_STREAM][s];
    return s;
}

static void print_kinds(const struct load_figures *f, double seconds) {
    for (int kind = 0; kind < LOAD_KINDS; kind++)
        if (f->kinds[kind])
            printf("  %s %.1f/s", load_kind_name((enum load_kind)kind),
                   (double)f->kinds[kind] / seconds);
    printf("\n");
}

/* Prints what it was, and returns the peak in multiples of the steady load. */
static double report(const char *who, const struct load *load, uint64_t clients) {
    const uint64_t end = OUTAGE_AT + OUTAGE_S;
    struct load_figures steady = load_between(load, STEADY_S, OUTAGE_AT);
    struct load_figures outage = load_between(load, OUTAGE_AT, end);
    struct load_figures recovery = load_between(load, end, end + RECOVERY_S);
    printf("%s\n  steady      %7.1f requests/s, peak %.1f;", who, steady.mean, steady.peak);
    print_kinds(&steady, OUTAGE_AT - STEADY_S);
    printf("  outage      %7.1f dials a client;",
           (double)outage.kinds[LOAD_DIAL] / (double)clients);
    print_kinds(&outage, OUTAGE_S);
    printf("  recovery    %7.1f requests/s, peak %.1f;", recovery.mean, recovery.peak);
    print_kinds(&recovery, RECOVERY_S);
    printf("  everybody has asked again %" PRIu64 " s after the outage\n",
           recovered_at(load, clients) - end);
    printf("  LOAD        peak %.1f times the steady one, mean %.1f times; for a peak of %.1f "
           "everybody\n              would have to come back over %.0f s, blind until then\n",
           recovery.peak / steady.mean, recovery.mean / steady.mean, TARGET,
           (double)clients / (TARGET * steady.mean));
    return recovery.peak / steady.mean;
}

int swarm_run(uint64_t clients, uint64_t seed) {
    struct swarm swarm = {.count = clients};
    struct load *ours = fl_calloc(1, sizeof *ours), *theirs = fl_calloc(1, sizeof *theirs);
    swarm.clients = fl_calloc(clients, sizeof *swarm.clients);
    FL_ASSERT(ours && theirs && swarm.clients);
    swarm.load = ours;
    printf("%" PRIu64
           " clients, one collection each: whole Fairlead clients over HTTP/1.1 on a simulated "
           "network.\nLoad: requests a second at the API server. Steady: the mean of %d minutes in "
           "which "
           "nothing\ngoes wrong, that is watches that end after 5 to 10 minutes and begin anew, "
           "and audits. "
           "Then all\nconnections are reset and refused for %d s. Peaks are means of %d s; "
           "recovery is the "
           "%d s after it.\n\n",
           clients, (OUTAGE_AT - STEADY_S) / 60, OUTAGE_S, LOAD_WINDOW_S, RECOVERY_S);
    swarm_live(&swarm, seed);
    double times = report("Fairlead", ours, clients);
    peers_live(clients, seed, theirs);
    report("client-go's constants (a model of its reflector, without audits)", theirs, clients);
    printf("target: peak at most %.1f times: %s\n", TARGET, times <= TARGET ? "met" : "not met");
    fl_free(ours);
    fl_free(theirs);
    fl_free(swarm.clients);
    return times <= TARGET ? 0 : 1;
}
