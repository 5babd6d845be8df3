/* loop_tls_session_test.c - the TLS machine without sockets: bytes carried by hand, in any pieces.
 */
#include "loop/tls.h"
#include "support/alloc.h"
#include "support/loop_certs.h"

struct ends {
    struct fl_test_cert cert;
    struct fl_tls *client_tls, *server_tls;
    struct fl_tls_session *client, *server;
    struct fl_error err;
};

static void start(struct ends *e) {
    struct fl_test_cert_options options = {.names = "DNS:echo.test"};
    fl_test_cert_init(&e->cert, "echo", &options);
    struct fl_tls_config client = {.ca_pem = fl_str_of(e->cert.cert_pem)};
    struct fl_tls_config server = {.server = true,
                                   .cert_pem = fl_str_of(e->cert.cert_pem),
                                   .key_pem = fl_str_of(e->cert.key_pem)};
    assert_int_equal(fl_tls_context_new(NULL, &client, &e->client_tls, &e->err), 0);
    assert_int_equal(fl_tls_context_new(NULL, &server, &e->server_tls, &e->err), 0);
    assert_int_equal(fl_tls_session_new(e->client_tls, FL_STR("echo.test."), &e->client), 0);
    assert_int_equal(fl_tls_session_new(e->server_tls, FL_STR_NONE, &e->server), 0);
}

static void end(struct ends *e) {
    fl_tls_context_unref(e->client_tls); /* sessions keep theirs */
    fl_tls_context_unref(e->server_tls);
    fl_tls_session_free(e->client);
    fl_tls_session_free(e->server);
    fl_test_cert_deinit(&e->cert);
}

/* Moves up to `n` bytes from one end's wire into the other; false: there were none. */
static bool carry(struct fl_tls_session *from, struct fl_tls_session *to, size_t n) {
    struct fl_str wire = fl_buf_str(&from->wire);
    wire.n = FL_MIN(wire.n, n);
    if (wire.n == 0) return false;
    assert_int_equal(fl_tls_session_feed(to, wire), 0);
    assert_int_equal(fl_tls_session_keep(to), 0);
    fl_buf_consume(&from->wire, wire.n);
    return true;
}

static void shake_hands(struct ends *e, size_t piece) {
    int client = 0, server = 0;
    while (client == 0 || server == 0) {
        if (client == 0) client = fl_tls_session_handshake(e->client, &e->err);
        if (server == 0) server = fl_tls_session_handshake(e->server, &e->err);
        assert_true(client >= 0 && server >= 0);
        bool moved = carry(e->client, e->server, piece);
        moved = carry(e->server, e->client, piece) || moved;
        assert_true(moved || (client == 1 && server == 1));
    }
}

static void test_bytes_come_one_by_one(void **state) {
    (void)state;
    struct ends e;
    char got[16];
    size_t n = 0;
    start(&e);
    shake_hands(&e, 1);
    assert_int_equal(fl_tls_session_write(e.client, FL_STR("piecemeal"), &e.err), 0);
    while (carry(e.client, e.server, 1)) {
        ssize_t rc = fl_tls_session_read(e.server, got + n, sizeof(got) - n, &e.err);
        assert_true(rc >= 0);
        n += (size_t)rc;
    }
    assert_int_equal(n, 9);
    assert_memory_equal(got, "piecemeal", 9);
    end(&e);
}

static void test_kept_bytes_are_read_in_order(void **state) {
    (void)state;
    struct ends e;
    char got[64];
    size_t n = 0;
    start(&e);
    shake_hands(&e, SIZE_MAX);
    for (int i = 0; i < 5; i++) {
        char text[2] = {(char)('0' + i), '\0'};
        assert_int_equal(fl_tls_session_write(e.client, fl_str_of(text), &e.err), 0);
        carry(e.client, e.server, SIZE_MAX); /* fed and kept, not read */
    }
    ssize_t rc;
    while ((rc = fl_tls_session_read(e.server, got + n, sizeof(got) - n, &e.err)) > 0) {
        n += (size_t)rc;
    }
    assert_int_equal(rc, 0);
    assert_true(e.server->drained);
    assert_int_equal(n, 5);
    assert_memory_equal(got, "01234", 5);
    assert_null(e.server->kept.data); /* given back */
    end(&e);
}

static void test_end_is_told(void **state) {
    (void)state;
    struct ends e;
    char got[16];
    start(&e);
    shake_hands(&e, SIZE_MAX);
    fl_tls_session_end(e.server);
    carry(e.server, e.client, SIZE_MAX);
    assert_int_equal(fl_tls_session_read(e.client, got, sizeof(got), &e.err), FL_ECLOSED);
    assert_int_equal(fl_tls_session_write(e.client, FL_STR("still"), &e.err), 0);
    carry(e.client, e.server, SIZE_MAX);
    assert_int_equal(fl_tls_session_read(e.server, got, sizeof(got), &e.err), 5);
    end(&e);
}

static void test_changed_byte_is_noticed(void **state) {
    (void)state;
    struct ends e;
    char got[16];
    start(&e);
    shake_hands(&e, SIZE_MAX);
    assert_int_equal(fl_tls_session_write(e.client, FL_STR("true"), &e.err), 0);
    e.client->wire.data[e.client->wire.start + e.client->wire.len - 1] ^= 1;
    carry(e.client, e.server, SIZE_MAX);
    assert_int_equal(fl_tls_session_read(e.server, got, sizeof(got), &e.err), FL_ETLS);
    assert_non_null(strstr(e.err.detail, "TLS failed"));
    end(&e);
}

static void test_old_versions_are_refused(void **state) {
    (void)state;
    struct ends e;
    start(&e);
    SSL_set_min_proto_version(e.client->ssl, TLS1_VERSION);
    SSL_set_max_proto_version(e.client->ssl, TLS1_1_VERSION);
    SSL_set_security_level(e.client->ssl, 0);
    assert_int_equal(fl_tls_session_handshake(e.client, &e.err), 0);
    carry(e.client, e.server, SIZE_MAX);
    assert_int_equal(fl_tls_session_handshake(e.server, &e.err), FL_ETLS);
    end(&e);
}

static void test_every_failed_allocation(void **state) {
    (void)state;
    struct ends e;
    start(&e);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_tls_session *s;
        int rc = fl_tls_session_new(e.client_tls, FL_STR("10.0.0.1"), &s);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc < 0) continue;
        rc = fl_tls_session_handshake(s, &e.err);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_tls_session_free(s);
    }
    end(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_one_by_one),
        cmocka_unit_test(test_kept_bytes_are_read_in_order),
        cmocka_unit_test(test_end_is_told),
        cmocka_unit_test(test_changed_byte_is_noticed),
        cmocka_unit_test(test_old_versions_are_refused),
        cmocka_unit_test(test_every_failed_allocation),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
