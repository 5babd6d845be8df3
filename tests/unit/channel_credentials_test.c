/* A channel's TLS files: read when it is made, looked at again later, kept when they are no good.
 */
#include "support/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "channel/credentials.h"
#include "support/loop_certs.h"
#include "support/loop_peer.h"

#define LATER_US 11000000u

static struct fl_test_cert one, two;
static char folder[] = "/tmp/fl-credentials-XXXXXX";
static char ca[64], cert[64], key[64], missing[64];

/* The loop's files and TLS, and a clock that the test turns. */
struct bench {
    struct fl_runtime *runtime;
    struct fl_io io;
    struct fl_io_ops ops;
};

static uint64_t now_us;
static uint64_t test_now_us(struct fl_io *io) {
    FL_UNUSED(io);
    return now_us;
}

static void start(struct bench *b) {
    b->runtime = fl_test_loop_new();
    b->io = *b->runtime->io;
    b->ops = *b->io.ops;
    b->ops.now_us = test_now_us;
    b->io.ops = &b->ops;
    now_us = 1000000;
}

static void stop(struct bench *b) { fl_runtime_free(b->runtime); }

static void put(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void put_all(const struct fl_test_cert *of) {
    put(ca, of->cert_pem);
    put(cert, of->cert_pem);
    put(key, of->key_pem);
}

static const struct fl_channel_tls all = {.ca_file = ca, .cert_file = cert, .key_file = key};

static struct fl_channel_credentials *make(struct bench *b, const struct fl_channel_tls *options,
                                           const char *authority) {
    struct fl_channel_credentials *c;
    assert_int_equal(fl_channel_credentials_new(&b->io, options, authority, false, &c, NULL), 0);
    return c;
}

static void test_changed_files_are_read_again(void **state) {
    FL_UNUSED(state);
    struct bench b;
    start(&b);
    put_all(&one);
    struct fl_channel_credentials *c = make(&b, &all, "echo");
    struct fl_tls *first = fl_channel_credentials_peek_tls(c);
    now_us += LATER_US;
    assert_ptr_equal(fl_channel_credentials_peek_tls(c), first);
    put_all(&two);
    assert_ptr_equal(fl_channel_credentials_peek_tls(c), first); /* looked at just now */
    now_us += LATER_US;
    assert_ptr_not_equal(fl_channel_credentials_peek_tls(c), first);
    fl_channel_credentials_free(c);
    stop(&b);
}

/* A certificate without its key yet, a file that is gone, one that is empty. */
static void test_what_cannot_be_used_is_left(void **state) {
    FL_UNUSED(state);
    struct bench b;
    start(&b);
    put_all(&one);
    struct fl_channel_credentials *c = make(&b, &all, "echo");
    struct fl_tls *first = fl_channel_credentials_peek_tls(c);
    put(cert, two.cert_pem);
    now_us += LATER_US;
    assert_ptr_equal(fl_channel_credentials_peek_tls(c), first);
    unlink(ca);
    now_us += LATER_US;
    assert_ptr_equal(fl_channel_credentials_peek_tls(c), first);
    put(ca, "");
    now_us += LATER_US;
    assert_ptr_equal(fl_channel_credentials_peek_tls(c), first);
    put_all(&two);
    now_us += LATER_US;
    assert_ptr_not_equal(fl_channel_credentials_peek_tls(c), first);
    fl_channel_credentials_free(c);
    stop(&b);
}

static void expect_refused(struct bench *b, const struct fl_channel_tls *options,
                           const char *part) {
    struct fl_channel_credentials *c;
    struct fl_error err;
    assert_int_equal(fl_channel_credentials_new(&b->io, options, "echo", false, &c, &err),
                     FL_ECONFIG);
    assert_int_equal(err.code, FL_ECONFIG);
    assert_non_null(strstr(err.detail, part));
}

static void test_what_is_wrong_is_named(void **state) {
    FL_UNUSED(state);
    struct bench b;
    start(&b);
    put_all(&one);
    expect_refused(&b, &(struct fl_channel_tls){.ca_file = missing}, "ca_file");
    expect_refused(&b, &(struct fl_channel_tls){.cert_file = cert}, "without its private key");
    expect_refused(&b, &(struct fl_channel_tls){.cert_file = cert, .key_file = missing},
                   "key_file");
    put(key, two.key_pem);
    expect_refused(&b, &all, "private key");
    put(ca, "no PEM");
    expect_refused(&b, &(struct fl_channel_tls){.ca_file = ca}, "authorities");
    expect_refused(&b, &(struct fl_channel_tls){.ca_file = ca}, ca);
    stop(&b);
}

static void expect_name(struct bench *b, const char *given, const char *authority,
                        const char *name) {
    struct fl_channel_credentials *c =
        make(b, &(struct fl_channel_tls){.server_name = given}, authority);
    struct fl_str is = fl_channel_credentials_server_name(c);
    assert_true(fl_str_eq(is, fl_str_of(name)));
    fl_channel_credentials_free(c);
}

static void test_the_name_is_the_authoritys_host(void **state) {
    FL_UNUSED(state);
    struct bench b;
    start(&b);
    expect_name(&b, NULL, "echo", "echo");
    expect_name(&b, NULL, "echo.test:50051", "echo.test");
    expect_name(&b, NULL, "10.0.0.1:1", "10.0.0.1");
    expect_name(&b, NULL, "[::1]:50051", "::1");
    expect_name(&b, NULL, "::1", "::1");
    expect_name(&b, "other", "echo:1", "other");
    stop(&b);
}

static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    struct bench b;
    start(&b);
    put_all(&one);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_channel_credentials *c = NULL;
        struct fl_error err;
        int rc = fl_channel_credentials_new(&b.io, &all, "echo", false, &c, &err);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) fl_channel_credentials_free(c);
    }
    stop(&b);
}

static void paths(void) {
    assert_non_null(mkdtemp(folder));
    snprintf(ca, sizeof(ca), "%s/ca", folder);
    snprintf(cert, sizeof(cert), "%s/cert", folder);
    snprintf(key, sizeof(key), "%s/key", folder);
    snprintf(missing, sizeof(missing), "%s/missing", folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changed_files_are_read_again),
        cmocka_unit_test(test_what_cannot_be_used_is_left),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_the_name_is_the_authoritys_host),
        cmocka_unit_test(test_each_allocation_failing),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    paths();
    fl_test_cert_init(&one, "one", &(struct fl_test_cert_options){.names = "DNS:one.test"});
    fl_test_cert_init(&two, "two", &(struct fl_test_cert_options){.names = "DNS:two.test"});
    int rc = fl_test_run(tests, FL_COUNT(tests));
    fl_test_cert_deinit(&one);
    fl_test_cert_deinit(&two);
    unlink(ca), unlink(cert), unlink(key), rmdir(folder);
    return rc;
}
