/* loop_area_test.c - the heap of socks and of TLS is counted, and comes to nothing. */
#include "base/area.h"
#include "loop/loop.h"
#include "support/alloc.h"
#include "support/loop_certs.h"
#include "support/loop_peer.h"

/* What a sock queues is counted while it waits, whoever holds the memory. */
static void test_socks(void **state) {
    (void)state;
    static char big[1 << 20];
    size_t before = fl_area_bytes(FL_AREA_SOCKS);
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_server server;
    struct fl_test_peer client;
    struct fl_error err;
    size_t idle = fl_area_bytes(FL_AREA_SOCKS);
    assert_true(idle > before);
    fl_test_peer_init(&client, runtime);
    fl_test_server_init(&server, runtime, "127.0.0.1", NULL);
    assert_int_equal(fl_test_peer_dial(&client, "127.0.0.1", server.port, NULL, &err), 0);
    assert_true(fl_area_bytes(FL_AREA_SOCKS) > idle);
    fl_test_loop_until_true(runtime, &client.open);
    fl_test_loop_until_true(runtime, &server.peer.open);
    fl_sock_pause(runtime->io, server.peer.sock, true);
    size_t connected = fl_area_bytes(FL_AREA_SOCKS);
    assert_int_equal(fl_sock_write(runtime->io, client.sock, fl_str_n(big, sizeof(big))), 0);
    assert_true(fl_area_bytes(FL_AREA_SOCKS) >= connected + sizeof(big));
    fl_sock_pause(runtime->io, server.peer.sock, false);
    while (server.peer.in.len < sizeof(big)) fl_runtime_turn(runtime);
    fl_test_peer_write(&client, "small");
    while (server.peer.in.len < sizeof(big) + 5) fl_runtime_turn(runtime);
    assert_in_range(fl_area_bytes(FL_AREA_SOCKS), connected, connected + 16384); /* a spare */
    fl_test_loop_end(runtime, &client, &server);
    assert_int_equal(fl_area_bytes(FL_AREA_SOCKS), before);
}

static void test_tls(void **state) {
    (void)state;
    struct fl_test_cert cert;
    fl_test_cert_init(&cert, "echo", &(struct fl_test_cert_options){.names = "IP:127.0.0.1"});
    struct fl_tls_config config = {.ca_pem = fl_str_of(cert.cert_pem)};
    for (int i = 0; i < 2; i++) { /* the second time OpenSSL has all that it keeps */
        struct fl_tls *tls;
        struct fl_runtime *runtime = fl_test_loop_new();
        size_t before = fl_area_bytes(FL_AREA_TLS);
        assert_int_equal(fl_io_tls_new(runtime->io, &config, &tls, NULL), 0);
        assert_true(fl_area_bytes(FL_AREA_TLS) > before + 1000);
        fl_tls_unref(runtime->io, tls);
        if (i == 1) assert_int_equal(fl_area_bytes(FL_AREA_TLS), before);
        fl_runtime_free(runtime);
    }
    fl_test_cert_deinit(&cert);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socks),
        cmocka_unit_test(test_tls),
    };
    if (!fl_loop_count_tls_memory()) return 1;
    return fl_test_run(tests, FL_COUNT(tests));
}
