/* sim_world_test.c - the contract of io.h on virtual time: connections. */
#include "support/pair.h"

/* Another dial once the first has ended. */
static void redial(struct pair *p, const char *host, uint16_t port) {
    assert_int_equal(p->client.closes, 1);
    p->server.closes = 0;
    fl_buf_deinit(&p->client.got);
    end_init(&p->client, p->io);
    dial(p, host, port, fl_io_now_ms(p->io) + DEADLINE);
}

static void assert_got(const struct end *e, struct fl_str text) {
    assert_true(fl_str_eq(fl_buf_str(&e->got), text));
}

/* --- connections --- */

static void test_both_ways(void **state) {
    struct pair p;
    char peer[64];
    FL_UNUSED(state);
    pair_connect(&p, &pair_plain);
    end_write(&p.client, FL_STR("hel"));
    end_write(&p.client, FL_STR("lo"));
    end_write(&p.server, FL_STR("world"));
    assert_int_equal(fl_sock_queued(p.io, p.client.sock), 5);
    fl_world_run_ms(p.world, 10);
    assert_int_equal(fl_sock_queued(p.io, p.client.sock), 0);
    assert_got(&p.server, FL_STR("hello"));
    assert_got(&p.client, FL_STR("world"));
    assert_int_equal(p.server.datas, 1); /* what one turn queued goes out in one write */
    fl_sock_peer(p.io, p.client.sock, peer, sizeof peer);
    assert_string_equal(peer, "127.0.0.1:7000");
    fl_sock_peer(p.io, p.server.sock, peer, sizeof peer);
    assert_memory_equal(peer, "127.0.0.1:", 10);
    pair_free(&p);
}

static void test_close_flushes(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_connect(&p, &pair_rough);
    end_write(&p.client, FL_STR("last words"));
    p.client.in_call = true;
    fl_sock_close(p.io, p.client.sock);
    fl_sock_close(p.io, p.client.sock);
    p.client.in_call = false;
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.client.closes, 1);
    assert_int_equal(p.client.code, FL_OK);
    assert_got(&p.server, FL_STR("last words"));
    assert_int_equal(p.server.eofs, 1);
    assert_int_equal(p.server.closes, 0);
    /* The peer has gone for good: who writes to it is reset. */
    end_write(&p.server, FL_STR("anybody?"));
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.server.closes, 1);
    assert_int_equal(p.server.code, FL_ERESET);
    assert_int_equal(p.client.datas, 0);
    pair_free(&p);
}

static void test_close_gives_up_after_a_second(void **state) {
    static char big[200 * 1024];
    struct pair p;
    FL_UNUSED(state);
    pair_connect(&p, &pair_plain);
    fl_sock_pause(p.io, p.server.sock, true);
    end_write(&p.client, fl_str_n(big, sizeof big));
    fl_sock_close(p.io, p.client.sock);
    fl_world_run_ms(p.world, 900);
    assert_int_equal(p.client.closes, 0);
    fl_world_run_ms(p.world, 200);
    assert_int_equal(p.client.closes, 1);
    assert_int_equal(p.client.code, FL_OK);
    assert_int_equal(p.server.code, FL_ERESET);
    pair_free(&p);
}

static void test_abort_resets(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_connect(&p, &pair_plain);
    end_write(&p.client, FL_STR("never sent"));
    fl_sock_abort(p.io, p.client.sock);
    assert_int_equal(fl_sock_write(p.io, p.client.sock, FL_STR("x")), FL_ESHUTDOWN);
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.client.code, FL_OK);
    assert_int_equal(p.client.closes, 1);
    assert_int_equal(p.server.code, FL_ERESET);
    assert_int_equal(p.server.datas, 0);
    assert_int_equal(p.server.closes, 1);
    pair_free(&p);
}

static void test_abort_inside_on_data(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_connect(&p, &pair_plain);
    p.server.abort_on_data = true;
    end_write(&p.client, FL_STR("poke"));
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.server.closes, 1);
    assert_int_equal(p.client.code, FL_ERESET);
    pair_free(&p);
}

static void test_abort_in_accept(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_open(&p, &pair_plain);
    p.refuse = true;
    dial(&p, "127.0.0.1", PORT, DEADLINE);
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.accepts, 1);
    assert_int_equal(p.client.code, FL_ERESET);
    assert_int_equal(p.server.closes, 0);
    pair_free(&p);
}

/* --- dials --- */

static void test_nobody_listens(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_open(&p, &pair_plain);
    dial(&p, "127.0.0.1", PORT + 1, DEADLINE);
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.client.closes, 1);
    assert_int_equal(p.client.code, FL_EREFUSED);
    assert_int_equal(p.client.opens, 0);
    pair_free(&p);
}

static void test_unknown_name(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_open(&p, &pair_plain);
    dial(&p, "no.such.host", PORT, DEADLINE);
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.client.code, FL_ERESOLVE);
    redial(&p, "localhost", PORT);
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.client.opens, 1);
    pair_free(&p);
}

static void test_dial_deadline(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_open(&p, &pair_plain);
    fl_world_fault(p.world, FL_STR("127.0.0.1"), FL_WORLD_BLACKHOLE);
    dial(&p, "127.0.0.1", PORT, DEADLINE);
    assert_int_equal(fl_sock_write(p.io, p.client.sock, FL_STR("x")), FL_ESHUTDOWN);
    fl_world_run_ms(p.world, DEADLINE - 1001);
    assert_int_equal(p.client.closes, 0);
    fl_world_run_ms(p.world, 2);
    assert_int_equal(p.client.closes, 1);
    assert_int_equal(p.client.code, FL_ETIMEOUT);
    fl_world_fault(p.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    fl_world_run_ms(p.world, 5000);
    assert_int_equal(p.accepts, 0); /* nobody repeats the SYN of a dial that ended */
    pair_free(&p);
}

static void test_dial_is_called_off(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_open(&p, &pair_plain);
    dial(&p, "127.0.0.1", PORT, DEADLINE);
    fl_sock_close(p.io, p.client.sock);
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.client.closes, 1);
    assert_int_equal(p.client.code, FL_OK);
    assert_int_equal(p.client.opens, 0);
    pair_free(&p);
}

static void test_wrong_use(void **state) {
    struct pair p;
    struct fl_listener *l;
    struct fl_sock *sock;
    struct fl_tls *tls;
    struct fl_error err;
    struct fl_tls_config config = {0};
    struct fl_dial no_deadline = {.host = FL_STR("127.0.0.1"), .port = PORT};
    FL_UNUSED(state);
    pair_open(&p, &pair_plain);
    assert_int_equal(fl_io_dial(p.io, &no_deadline, &events, &p, &sock, &err), FL_EUSAGE);
    struct fl_proxy proxy = {.host = FL_STR("127.0.0.1"), .port = PORT};
    struct fl_dial proxied = no_deadline;
    proxied.deadline_ms = DEADLINE;
    proxied.proxy = &proxy;
    assert_int_equal(fl_io_dial(p.io, &proxied, &events, &p, &sock, &err), FL_EUSAGE);
    assert_non_null(strstr(err.detail, "no proxies in a simulated world"));
    assert_int_equal(fl_io_listen(p.io, FL_STR("somewhere"), 1, NULL, on_accept, &p, &l, &err),
                     FL_EUSAGE);
    assert_int_equal(fl_io_listen(p.io, FL_STR("127.0.0.1"), PORT, NULL, on_accept, &p, &l, &err),
                     FL_ESYS);
    assert_non_null(strstr(err.detail, "127.0.0.1"));
    assert_int_equal(fl_io_tls_new(p.io, &config, &tls, &err), FL_EUSAGE);
    pair_free(&p);
}

static void test_any_address_and_any_port(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_open(&p, &pair_plain);
    fl_listener_close(p.io, p.listener);
    assert_int_equal(
        fl_io_listen(p.io, FL_STR("0.0.0.0"), 0, NULL, on_accept, &p, &p.listener, NULL), 0);
    assert_true(fl_listener_port(p.io, p.listener) > 0);
    dial(&p, "127.9.9.9", fl_listener_port(p.io, p.listener), DEADLINE);
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.client.opens, 1);
    pair_free(&p);
}

static bool is_open(void *arg) { return ((struct pair *)arg)->client.opens == 1; }

/* A listener that closes with a connection in its backlog: the client was connected already. */
static void test_backlog_is_reset(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct fl_world_options options = {.seed = seed, .reorder = true};
        struct pair p;
        pair_open(&p, &options);
        dial(&p, "127.0.0.1", PORT, DEADLINE);
        assert_true(fl_world_run_until(p.world, is_open, &p, 100));
        if (!p.accepts) {
            fl_listener_close(p.io, p.listener);
            p.listener = NULL;
            fl_world_run_ms(p.world, 10);
            assert_int_equal(p.accepts, 0);
            assert_int_equal(p.client.code, FL_ERESET);
        }
        pair_free(&p);
    }
}

/* --- back-pressure --- */

static void test_paused_reader_stops_the_writer(void **state) {
    static char big[600 * 1024];
    struct pair p;
    FL_UNUSED(state);
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * 7);
    pair_connect(&p, &pair_rough);
    fl_sock_pause(p.io, p.server.sock, true);
    end_write(&p.client, fl_str_n(big, sizeof big));
    fl_world_run_ms(p.world, 1000);
    assert_int_equal(p.server.datas, 0);
    assert_int_equal(fl_sock_queued(p.io, p.client.sock), sizeof big - 64 * 1024);
    p.server.in_call = true;
    fl_sock_pause(p.io, p.server.sock, false);
    p.server.in_call = false;
    fl_world_run_ms(p.world, 1000);
    assert_int_equal(p.client.writables, 1);
    assert_got(&p.server, fl_str_n(big, sizeof big));
    pair_free(&p);
}

static void test_eof_waits_behind_paused_data(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_connect(&p, &pair_plain);
    fl_sock_pause(p.io, p.server.sock, true);
    end_write(&p.client, FL_STR("bye"));
    fl_sock_close(p.io, p.client.sock);
    fl_world_run_ms(p.world, 100);
    assert_int_equal(p.server.datas + p.server.eofs, 0);
    fl_sock_pause(p.io, p.server.sock, false);
    fl_world_run_ms(p.world, 100);
    assert_got(&p.server, FL_STR("bye"));
    assert_int_equal(p.server.eofs, 1);
    pair_free(&p);
}

static void test_queue_is_bounded(void **state) {
    static char big[1024 * 1024];
    struct pair p;
    int rc = 0;
    FL_UNUSED(state);
    pair_connect(&p, &pair_plain);
    for (int i = 0; i < 5 && !rc; i++)
        rc = fl_sock_write(p.io, p.client.sock, fl_str_n(big, sizeof big));
    assert_int_equal(rc, FL_EFULL);
    assert_int_equal(p.client.closes, 0);
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.client.closes, 1);
    assert_int_equal(p.client.code, FL_EFULL);
    pair_free(&p);
}

/* --- faults --- */

static void test_refuse(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_connect(&p, &pair_plain);
    fl_world_fault(p.world, FL_STR("127.0.0.1:7000"), FL_WORLD_REFUSE);
    end_write(&p.client, FL_STR("still here"));
    fl_world_run_ms(p.world, 10);
    assert_got(&p.server, FL_STR("still here"));
    fl_sock_abort(p.io, p.client.sock);
    fl_world_run_ms(p.world, 10);
    redial(&p, "127.0.0.1", PORT);
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.client.code, FL_EREFUSED);
    fl_world_fault(p.world, FL_STR("127.0.0.1:7000"), FL_WORLD_OK);
    redial(&p, "127.0.0.1", PORT);
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.client.opens, 1);
    pair_free(&p);
}

static void test_black_hole_holds_bytes(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_connect(&p, &pair_rough);
    fl_world_fault(p.world, FL_STR("127.0.0.1"), FL_WORLD_BLACKHOLE);
    end_write(&p.client, FL_STR("are you "));
    end_write(&p.server, FL_STR("me too"));
    fl_world_run_ms(p.world, 60000);
    assert_int_equal(p.client.datas + p.server.datas, 0);
    end_write(&p.client, FL_STR("there?"));
    fl_world_fault(p.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    fl_world_run_ms(p.world, 1000);
    assert_got(&p.server, FL_STR("are you there?"));
    assert_got(&p.client, FL_STR("me too"));
    pair_free(&p);
}

/* Nobody repeats a reset: the other side finds out when it writes. */
static void test_black_hole_swallows_resets(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_connect(&p, &pair_plain);
    fl_world_fault(p.world, FL_STR("127.0.0.1"), FL_WORLD_BLACKHOLE);
    fl_sock_abort(p.io, p.client.sock);
    fl_world_run_ms(p.world, 100);
    fl_world_fault(p.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    fl_world_run_ms(p.world, 1000);
    assert_int_equal(p.client.closes, 1);
    assert_int_equal(p.server.closes, 0);
    end_write(&p.server, FL_STR("hello?"));
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.server.code, FL_ERESET);
    pair_free(&p);
}

/* A cut is no message: no black hole holds it. */
static void test_cut_in_a_black_hole(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_connect(&p, &pair_plain);
    fl_world_fault(p.world, FL_STR("127.0.0.1"), FL_WORLD_BLACKHOLE);
    end_write(&p.client, FL_STR("lost"));
    fl_world_run_ms(p.world, 10);
    fl_world_cut(p.world, FL_STR("127.0.0.1"));
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.client.code, FL_ERESET);
    assert_int_equal(p.server.code, FL_ERESET);
    fl_world_fault(p.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    fl_world_run_ms(p.world, 1000);
    assert_int_equal(p.client.closes + p.server.closes, 2);
    pair_free(&p);
}

static void test_cut(void **state) {
    struct pair p;
    FL_UNUSED(state);
    pair_connect(&p, &pair_plain);
    end_write(&p.client, FL_STR("lost"));
    fl_world_cut(p.world, FL_STR("127.0.0.1:7001"));
    fl_world_step(p.world);
    fl_world_cut(p.world, FL_STR("127.0.0.1:7000"));
    fl_world_run_ms(p.world, 10);
    assert_int_equal(p.client.code, FL_ERESET);
    assert_int_equal(p.server.code, FL_ERESET);
    assert_int_equal(p.client.closes + p.server.closes, 2);
    pair_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_close_flushes),
        cmocka_unit_test(test_close_gives_up_after_a_second),
        cmocka_unit_test(test_abort_resets),
        cmocka_unit_test(test_abort_inside_on_data),
        cmocka_unit_test(test_abort_in_accept),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_unknown_name),
        cmocka_unit_test(test_dial_deadline),
        cmocka_unit_test(test_dial_is_called_off),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_any_address_and_any_port),
        cmocka_unit_test(test_backlog_is_reset),
        cmocka_unit_test(test_paused_reader_stops_the_writer),
        cmocka_unit_test(test_eof_waits_behind_paused_data),
        cmocka_unit_test(test_queue_is_bounded),
        cmocka_unit_test(test_refuse),
        cmocka_unit_test(test_black_hole_holds_bytes),
        cmocka_unit_test(test_black_hole_swallows_resets),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_cut_in_a_black_hole),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
