/* pair.c - see pair.h. */
#include "support/pair.h"

static void on_open(void *arg, struct fl_str alpn) {
    struct end *e = arg;
    assert_false(e->in_call);
    assert_int_equal(alpn.n, 0);
    assert_int_equal(e->closes, 0);
    e->opens++;
}

static void on_data(void *arg, struct fl_str bytes) {
    struct end *e = arg;
    assert_false(e->in_call);
    assert_true(bytes.n > 0);
    assert_int_equal(e->eofs + e->closes, 0);
    e->datas++;
    assert_int_equal(fl_buf_append(&e->got, bytes), 0);
    if (e->abort_on_data) fl_sock_abort(e->io, e->sock);
}

static void on_writable(void *arg) { ((struct end *)arg)->writables++; }

static void on_eof(void *arg) { ((struct end *)arg)->eofs++; }

static void on_close(void *arg, const struct fl_error *why) {
    struct end *e = arg;
    assert_false(e->in_call);
    e->closes++;
    e->code = why->code;
    e->sock = NULL;
}

const struct fl_sock_events events = {on_open, on_data, on_writable, on_eof, on_close};

void on_accept(void *arg, struct fl_sock *sock) {
    struct pair *p = arg;
    p->accepts++;
    if (p->refuse) {
        fl_sock_abort(p->io, sock);
        return;
    }
    p->server.sock = sock;
    fl_sock_attach(p->io, sock, &events, &p->server);
}

void end_init(struct end *e, struct fl_io *io) {
    *e = (struct end){.io = io};
    fl_buf_init(&e->got, (size_t)16 << 20);
}

void pair_open(struct pair *p, const struct fl_world_options *options) {
    memset(p, 0, sizeof *p);
    assert_int_equal(fl_world_new(options, &p->world), 0);
    p->io = fl_world_io(p->world);
    end_init(&p->client, p->io);
    end_init(&p->server, p->io);
    assert_int_equal(
        fl_io_listen(p->io, FL_STR("127.0.0.1"), PORT, NULL, on_accept, p, &p->listener, NULL), 0);
}

void dial(struct pair *p, const char *host, uint16_t port, uint64_t deadline_ms) {
    struct fl_dial d = {.host = fl_str_of(host), .port = port, .deadline_ms = deadline_ms};
    p->client.in_call = true;
    assert_int_equal(fl_io_dial(p->io, &d, &events, &p->client, &p->client.sock, NULL), 0);
    p->client.in_call = false;
}

void pair_connect(struct pair *p, const struct fl_world_options *options) {
    pair_open(p, options);
    dial(p, "127.0.0.1", PORT, DEADLINE);
    fl_world_run_ms(p->world, 100);
    assert_int_equal(p->client.opens, 1);
    assert_int_equal(p->accepts, 1);
}

void pair_free(struct pair *p) {
    if (p->client.sock) fl_sock_abort(p->io, p->client.sock);
    if (p->server.sock) fl_sock_abort(p->io, p->server.sock);
    if (p->listener) fl_listener_close(p->io, p->listener);
    fl_world_run_ms(p->world, 5000);
    assert_int_equal(fl_world_open_socks(p->world), 0);
    assert_true(p->client.closes <= 1 && p->server.closes <= 1);
    fl_buf_deinit(&p->client.got);
    fl_buf_deinit(&p->server.got);
    fl_world_free(p->world);
}

void end_write(struct end *e, struct fl_str bytes) {
    assert_int_equal(fl_sock_write(e->io, e->sock, bytes), 0);
}

const struct fl_world_options pair_plain = {.seed = 1};
const struct fl_world_options pair_rough = {.seed = 7, .chop = true, .reorder = true};
