/* virtual_address.c - see virtual_address.h.
 *
 * A relay is a pair of ends, the client's and the pod's. What one end reads the other writes; an
 * end whose write queue is high holds the other one back. Whichever ends first ends both. */
#include "cli/virtual_address.h"

#include "base/alloc.h"
#include "base/list.h"
#include "discovery/set.h"

#define DIAL_MS 5000

struct relay;

struct end {
    struct relay *relay;
    struct end *other;
    struct fl_sock *sock; /* NULL: gone, or not dialled yet */
};

struct relay {
    struct fl_list link;
    struct fl_virtual_address *address;
    struct end client, pod;
};

struct fl_virtual_address {
    struct fl_io *io;
    struct fl_listener *listener;
    uint16_t port;
    struct fl_set *set; /* NULL: none yet */
    struct fl_list relays;
    struct fl_task last; /* tells `done` */
    void (*done)(void *arg);
    void *arg;
    bool closing;
};

static void finish_if_empty(struct fl_virtual_address *address) {
    if (address->closing && fl_list_empty(&address->relays))
        fl_io_defer(address->io, &address->last);
}

static void cut(struct end *end) {
    if (end->sock) fl_sock_abort(end->relay->address->io, end->sock);
}

static void on_close(void *arg, const struct fl_error *why) {
    struct end *end = arg;
    struct relay *relay = end->relay;
    struct fl_virtual_address *address = relay->address;
    FL_UNUSED(why);
    end->sock = NULL;
    if (end->other->sock) {
        cut(end->other);
        return;
    }
    fl_list_remove(&relay->link);
    fl_free(relay);
    finish_if_empty(address);
}

static void on_data(void *arg, struct fl_str bytes) {
    struct end *end = arg;
    struct fl_io *io = end->relay->address->io;
    struct fl_sock *to = end->other->sock;
    if (!to) return;
    if (fl_sock_write(io, to, bytes) != 0)
        cut(end->other);
    else if (fl_sock_queued(io, to) >= FL_SOCK_QUEUE_HIGH)
        fl_sock_pause(io, end->sock, true);
}

static void on_writable(void *arg) {
    struct end *end = arg;
    if (end->other->sock) fl_sock_pause(end->relay->address->io, end->other->sock, false);
}

static void on_eof(void *arg) { cut(arg); }

static void on_open(void *arg, struct fl_str alpn) {
    struct end *pod = arg;
    FL_UNUSED(alpn);
    if (pod->other->sock) fl_sock_pause(pod->relay->address->io, pod->other->sock, false);
}

static const struct fl_sock_events sock_events = {
    .on_open = on_open,
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_close = on_close,
};

/* One of those that may take calls, each with the same chance. */
struct choice {
    struct fl_virtual_address *address;
    size_t seen;
    char host[FL_ADDRESS_TEXT_MAX];
    uint16_t port;
};

static void choose(void *arg, const struct fl_endpoint *endpoint) {
    struct choice *choice = arg;
    struct fl_virtual_address *address = choice->address;
    if (!fl_set_usable(address->set, endpoint)) return;
    if (fl_random_below(&address->io->jitter, ++choice->seen) != 0) return;
    if (!fl_str_copy(choice->host, sizeof(choice->host), fl_str_of(endpoint->address))) return;
    choice->port = endpoint->port;
}

static int dial_pod(struct relay *relay) {
    struct fl_virtual_address *address = relay->address;
    struct choice choice = {.address = address};
    if (address->set) fl_set_each(address->set, choose, &choice);
    if (choice.seen == 0) return FL_EEMPTY;
    const struct fl_dial dial = {.host = fl_str_of(choice.host),
                                 .port = choice.port,
                                 .deadline_ms = fl_io_now_ms(address->io) + DIAL_MS};
    return fl_io_dial(address->io, &dial, &sock_events, &relay->pod, &relay->pod.sock, NULL);
}

static void on_accept(void *arg, struct fl_sock *sock) {
    static const struct fl_sock_events turned_away = {.on_close = on_close};
    struct fl_virtual_address *address = arg;
    struct relay *relay = FL_NEW(struct relay);
    if (!relay) {
        fl_sock_abort(address->io, sock);
        return;
    }
    relay->address = address;
    relay->client = (struct end){relay, &relay->pod, sock};
    relay->pod = (struct end){relay, &relay->client, NULL};
    fl_list_push(&address->relays, &relay->link);
    int rc = dial_pod(relay);
    fl_sock_attach(address->io, sock, rc ? &turned_away : &sock_events, &relay->client);
    if (rc)
        cut(&relay->client);
    else
        fl_sock_pause(address->io, sock, true); /* until the pod's end is open */
}

static void tell_closed(struct fl_task *task) {
    struct fl_virtual_address *address = FL_CONTAINER(task, struct fl_virtual_address, last);
    void (*done)(void *arg) = address->done;
    void *arg = address->arg;
    fl_set_unref(address->set);
    fl_free(address);
    done(arg);
}

int fl_virtual_address_new(struct fl_io *io, struct fl_virtual_address **out,
                           struct fl_error *err) {
    struct fl_virtual_address *address = FL_NEW(struct fl_virtual_address);
    if (!address) return fl_fail_nomem(err);
    address->io = io;
    fl_list_init(&address->relays);
    fl_task_init(&address->last, tell_closed);
    int rc =
        fl_io_listen(io, FL_STR("127.0.0.1"), 0, NULL, on_accept, address, &address->listener, err);
    if (rc != 0) {
        fl_free(address);
        return rc;
    }
    address->port = fl_listener_port(io, address->listener);
    *out = address;
    return FL_OK;
}

uint16_t fl_virtual_address_port(const struct fl_virtual_address *address) { return address->port; }

void fl_virtual_address_use(struct fl_virtual_address *address, struct fl_set *set) {
    fl_set_unref(address->set);
    address->set = fl_set_ref(set);
}

void fl_virtual_address_close(struct fl_virtual_address *address, void (*done)(void *arg),
                              void *arg) {
    address->done = done;
    address->arg = arg;
    address->closing = true;
    fl_listener_close(address->io, address->listener);
    FL_LIST_EACH (&address->relays, item, next) {
        struct relay *relay = FL_CONTAINER(item, struct relay, link);
        cut(relay->client.sock ? &relay->client : &relay->pod);
    }
    finish_if_empty(address);
}
