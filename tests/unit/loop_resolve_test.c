/* loop_resolve_test.c - dialling by name. There may be no name server at all where this runs. */
#include "support/alloc.h"
#include "support/loop_peer.h"

/* RFC 6761, section 6.4: never exists. */
#define NOWHERE "no-such-host.invalid"
/* Asked for as any other name; the loopback where a hosts file or a name server says so. */
#define LOOPBACK_NAME "peer.localhost"

static void dial_localhost(const char *name) {
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_server server;
    struct fl_test_peer client;
    struct fl_error err;
    fl_test_peer_init(&client, runtime);
    fl_test_server_init(&server, runtime, "127.0.0.1", NULL);
    server.peer.echo = true;
    assert_int_equal(fl_test_peer_dial(&client, name, server.port, NULL, &err), 0);
    fl_test_loop_until_true(runtime, &client.open);
    fl_test_peer_write(&client, "by name");
    fl_test_peer_expect(runtime, &client, "by name");
    fl_test_loop_end(runtime, &client, &server);
}

static void test_localhost(void **state) {
    (void)state;
    dial_localhost("localhost");
    dial_localhost("LocalHost.");
}

static void test_every_address_refuses(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_server server;
    struct fl_test_peer client;
    struct fl_error err;
    fl_test_peer_init(&client, runtime);
    fl_test_server_init(&server, runtime, "127.0.0.1", NULL);
    fl_listener_close(runtime->io, server.listener);
    server.listener = NULL;
    assert_int_equal(fl_test_peer_dial(&client, "localhost", server.port, NULL, &err), 0);
    fl_test_loop_until_true(runtime, &client.closed);
    assert_int_equal(client.why.code, FL_EREFUSED);
    assert_non_null(strstr(client.why.detail, "connection refused"));
    fl_test_loop_end(runtime, &client, &server);
}

static void dial_nowhere(struct fl_runtime *runtime, struct fl_test_peer *client, uint64_t in_ms) {
    struct fl_error err;
    struct fl_dial dial = {.host = FL_STR(NOWHERE), .port = 80};
    dial.deadline_ms = fl_io_now_ms(runtime->io) + in_ms;
    fl_test_peer_init(client, runtime);
    assert_int_equal(
        fl_io_dial(runtime->io, &dial, &fl_test_peer_events, client, &client->sock, &err), 0);
}

static void test_name_that_does_not_exist(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_peer client;
    dial_nowhere(runtime, &client, 300);
    assert_false(client.closed);
    fl_test_loop_until_true(runtime, &client.closed);
    assert_true(client.why.code == FL_ERESOLVE || client.why.code == FL_ETIMEOUT);
    assert_memory_equal(client.why.detail, NOWHERE ": ", sizeof(NOWHERE ": ") - 1);
    fl_test_loop_end(runtime, &client, NULL);
}

static void test_cancel(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_peer clients[3];
    for (int i = 0; i < 3; i++) dial_nowhere(runtime, &clients[i], 60000);
    fl_sock_abort(runtime->io, clients[0].sock);
    fl_sock_close(runtime->io, clients[1].sock);
    fl_test_loop_until_true(runtime, &clients[0].closed);
    fl_test_loop_until_true(runtime, &clients[1].closed);
    assert_int_equal(clients[0].why.code, FL_OK);
    assert_int_equal(clients[1].why.code, FL_OK);
    if (clients[2].sock) fl_sock_abort(runtime->io, clients[2].sock);
    fl_test_loop_until_true(runtime, &clients[2].closed);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(clients[i].closes, 1);
        fl_test_peer_deinit(&clients[i]);
    }
    fl_runtime_free(runtime); /* with what c-ares had under way */
}

static void test_lookup_survives_every_failed_allocation(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_server server;
    fl_test_server_init(&server, runtime, "127.0.0.1", NULL);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_test_peer client;
        struct fl_error err;
        fl_test_peer_init(&client, runtime);
        int rc = fl_test_peer_dial(&client, LOOPBACK_NAME, server.port, NULL, &err);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) {
            fl_test_loop_settle(runtime);
            if (client.sock) fl_sock_abort(runtime->io, client.sock);
            fl_test_loop_until_true(runtime, &client.closed);
        }
        fl_test_loop_settle(runtime);
        assert_int_equal(client.closes, rc == 0);
        fl_test_peer_deinit(&client);
    }
    fl_test_loop_end(runtime, NULL, &server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_localhost),
        cmocka_unit_test(test_every_address_refuses),
        cmocka_unit_test(test_name_that_does_not_exist),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_lookup_survives_every_failed_allocation),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
