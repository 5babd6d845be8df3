/* watch_service.c - prints where a service lives, and every change, until Ctrl-C or for some
 * seconds.
 *
 *     watch_service kubernetes:///default/echo:grpc
 *     watch_service 127.0.0.1:50051 10 */
#include <fairlead/fairlead.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void print_change(void *arg, const struct fl_change *change) {
    static const char signs[] = {
        [FL_CHANGE_ADDED] = '+', [FL_CHANGE_REMOVED] = '-', [FL_CHANGE_CHANGED] = '~'};
    const struct fl_endpoint *e = &change->endpoint;
    (void)arg;
    printf("%c %s port %u%s%s %s%s\n", signs[change->kind], e->address, (unsigned)e->port,
           *e->pod ? " of " : "", e->pod, e->ready ? "ready" : "not ready",
           e->terminating ? ", terminating" : "");
}

/* On the runtime's thread, with the newest set; those that came in between are not missed by anyone
 * who looks at differences. */
static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    (void)arg;
    if (trouble) fprintf(stderr, "%s: %s\n", fl_error_name(trouble->code), trouble->detail);
    if (set == previous) return; /* only the trouble is new */
    if (!previous || fl_set_state(set) != fl_set_state(previous))
        printf("%s is %s\n", fl_set_service(set), fl_set_state_name(fl_set_state(set)));
    if (fl_set_diff(previous, set, print_change, NULL) != 0) fprintf(stderr, "out of memory\n");
    fflush(stdout);
}

static void on_closed(void *closed) { sem_post(closed); }

static void wait_for_signal(const sigset_t *signals, int seconds) {
    const struct timespec limit = {.tv_sec = seconds};
    if (seconds > 0)
        sigtimedwait(signals, NULL, &limit);
    else
        sigwaitinfo(signals, NULL);
}

int main(int argc, char **argv) {
    struct fl_runtime *runtime = NULL;
    struct fl_discovery *discovery = NULL;
    struct fl_subscription *subscription = NULL;
    struct fl_error err;
    sigset_t signals;
    sem_t closed;
    if (argc < 2) {
        fprintf(stderr, "usage: %s TARGET [SECONDS]\n", argv[0]);
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* before there are threads, which inherit it */
    sem_init(&closed, 0, 0);

    if (fl_runtime_new(NULL, &runtime, &err) != 0 ||
        fl_discovery_new(runtime, NULL, &discovery, &err) != 0 ||
        fl_discovery_subscribe(discovery, runtime, argv[1], on_set, NULL, &subscription, &err) !=
            0) {
        fprintf(stderr, "%s: %s\n", fl_error_name(err.code), err.detail);
        return 1;
    }
    wait_for_signal(&signals, argc > 2 ? atoi(argv[2]) : 0);

    fl_subscription_close(subscription, on_closed, &closed);
    sem_wait(&closed);
    fl_discovery_close(discovery, on_closed, &closed);
    sem_wait(&closed);
    fl_runtime_free(runtime);
    return 0;
}
