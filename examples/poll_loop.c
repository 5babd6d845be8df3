/* poll_loop.c - Fairlead inside a program that has a poll(2) loop of its own: one descriptor and a
 * deadline are all that the loop needs. Prints where a service lives, now and at each change.
 *
 *     poll_loop kubernetes:///default/echo:grpc [SETS] */
#include <fairlead/fairlead.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

struct printer {
    long left; /* sets to print */
    bool subscription_closed, discovery_closed;
};

static void print_endpoint(void *arg, const struct fl_endpoint *endpoint) {
    (void)arg;
    printf("  %s port %u%s\n", endpoint->address, endpoint->port,
           endpoint->ready ? "" : ", not ready");
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct printer *printer = arg;
    (void)previous;
    if (trouble) printf("trouble: %s\n", trouble->detail);
    printf("%s: %s\n", fl_set_service(set), fl_set_state_name(fl_set_state(set)));
    fl_set_each(set, print_endpoint, NULL);
    if (fl_set_state(set) != FL_SET_UNKNOWN) printer->left--;
}

static void set_true(void *arg) { *(bool *)arg = true; }

/* One round of the program's own loop; other descriptors would stand beside this one. */
static void turn(struct fl_runtime *runtime) {
    struct pollfd fd = {.fd = fl_runtime_fd(runtime), .events = POLLIN};
    poll(&fd, 1, fl_runtime_deadline_ms(runtime));
    fl_runtime_turn(runtime);
}

int main(int argc, char **argv) {
    const struct fl_runtime_options options = {.mode = FL_RUNTIME_POLL};
    struct printer printer = {.left = argc > 2 ? atol(argv[2]) : 1};
    struct fl_runtime *runtime = NULL;
    struct fl_discovery *discovery = NULL;
    struct fl_subscription *subscription = NULL;
    struct fl_error err;
    if (argc < 2) {
        fprintf(stderr, "usage: %s TARGET [SETS]\n", argv[0]);
        return 2;
    }
    if (fl_runtime_new(&options, &runtime, &err) != 0 ||
        fl_discovery_new(runtime, NULL, &discovery, &err) != 0 ||
        fl_discovery_subscribe(discovery, runtime, argv[1], on_set, &printer, &subscription,
                               &err) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], err.detail);
        return 1;
    }
    while (printer.left > 0) turn(runtime);

    fl_subscription_close(subscription, set_true, &printer.subscription_closed);
    while (!printer.subscription_closed) turn(runtime);
    fl_discovery_close(discovery, set_true, &printer.discovery_closed);
    while (!printer.discovery_closed) turn(runtime);
    fl_runtime_free(runtime);
    return 0;
}
