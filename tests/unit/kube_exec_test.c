/* kube_exec_test.c - what exec credential plugins answer, and the small formats around it: points
 * in time, base64, gzip. */
#include "support/alloc.h"

#include <zlib.h>

#include "kube/base64.h"
#include "kube/exec_credential.h"
#include "kube/timestamp.h"
#include "wire/gunzip.h"

#define V1     "client.authentication.k8s.io/v1"
#define ANSWER "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":"

static void test_answers_that_are_taken(void **state) {
    struct fl_exec_credential c;
    FL_UNUSED(state);
    assert_int_equal(fl_exec_credential_parse(FL_STR(ANSWER "{\"token\":\"t\"}}"), V1, &c, NULL),
                     FL_OK);
    assert_string_equal(c.token, "t");
    assert_true(c.expires_ms == INT64_MAX);
    assert_int_equal(c.cert_pem.len, 0);
    fl_exec_credential_deinit(&c);
    assert_int_equal(
        fl_exec_credential_parse(
            FL_STR(ANSWER "{\"clientCertificateData\":\"CERT\",\"clientKeyData\":\"KEY\","
                          "\"expirationTimestamp\":\"1970-01-01T00:00:01Z\",\"token\":null}}"),
            V1, &c, NULL),
        FL_OK);
    assert_null(c.token);
    assert_true(fl_str_eq(fl_buf_str(&c.cert_pem), FL_STR("CERT")));
    assert_true(fl_str_eq(fl_buf_str(&c.key_pem), FL_STR("KEY")));
    assert_int_equal(c.expires_ms, 1000);
    fl_exec_credential_deinit(&c);
}

static void test_answers_that_are_refused(void **state) {
    static const struct {
        struct fl_str text;
        const char *why;
    } rows[] = {
        {FL_STR(""), "not JSON"},
        {FL_STR("s3cret"), "not JSON, at line 1"},
        {FL_STR("[\"s3cret\"]"), "no ExecCredential"},
        {FL_STR("{\"kind\":\"Status\"}"), "no ExecCredential"},
        {FL_STR("{\"kind\":7}"), "its kind is not text"},
        {FL_STR("{\"kind\":\"ExecCredential\",\"apiVersion\":\"v9\"}"), "apiVersion \"v9\", not"},
        {FL_STR("{\"kind\":\"ExecCredential\"}"), "apiVersion \"\", not"},
        {FL_STR("{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\"}"), "no status"},
        {FL_STR(ANSWER "\"s3cret\"}"), "no status"},
        {FL_STR(ANSWER "{}}"), "neither a token nor a certificate"},
        {FL_STR(ANSWER "{\"token\":\"\"}}"), "neither"},
        {FL_STR(ANSWER "{\"token\":[\"s3cret\"]}}"), "its token is not text"},
        {FL_STR(ANSWER "{\"token\":\"s3cret\\r\\nx: y\"}}"), "control characters"},
        {FL_STR(ANSWER "{\"token\":\"s3cret two\"}}"), "blanks"},
        {FL_STR(ANSWER "{\"clientKeyData\":\"s3cret\"}}"), "only one of"},
        {FL_STR(ANSWER "{\"token\":\"s3cret\",\"clientCertificateData\":\"C\"}}"), "only one of"},
        {FL_STR(ANSWER "{\"token\":\"s3cret\",\"expirationTimestamp\":\"soon\"}}"), "RFC 3339"},
        {FL_STR(ANSWER "{\"token\":\"s3cret\",\"expirationTimestamp\":7}}"), "not text"},
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_exec_credential c;
        struct fl_error err;
        assert_int_equal(fl_exec_credential_parse(rows[i].text, V1, &c, &err), FL_ECONFIG);
        if (!strstr(err.detail, rows[i].why)) fail_msg("%zu: %s", i, err.detail);
        assert_null(strstr(err.detail, "s3cret"));
        fl_exec_credential_deinit(&c);
    }
}

static void test_points_in_time(void **state) {
    static const struct {
        const char *text;
        int64_t ms;
    } rfc3339[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59.5Z", -500},
        {"2000-02-29T12:00:00Z", INT64_C(951825600000)},
        {"2026-11-21T02:54:00.123Z", INT64_C(1795229640123)},
        {"2026-11-21T03:54:00.1239999+01:00", INT64_C(1795229640123)},
        {"2026-11-20t21:24:00.123-05:30", INT64_C(1795229640123)},
        {"0000-03-01T00:00:00z", INT64_C(-62162035200000)},
    };
    static const char *const bad[] = {
        "",
        "now",
        "2026-11-21",
        "2026-11-21T02:54:00",
        "2026-11-21T02:54Z",
        "2026-13-21T02:54:00Z",
        "2026-02-29T02:54:00Z",
        "2100-02-29T02:54:00Z",
        "2026-11-00T02:54:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T02:60:00Z",
        "2026-11-21T02:54:61Z",
        "2026-11-21T02:54:00.Z",
        "2026-11-21T02:54:00ZZ",
        "2026-11-21T02:54:00+1:00",
        "2026-11-21T02:54:00+24:00",
        "-026-11-21T02:54:00Z",
    };
    int64_t ms;
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(rfc3339); i++) {
        assert_true(fl_rfc3339_parse(fl_str_of(rfc3339[i].text), &ms));
        if (ms != rfc3339[i].ms) fail_msg("%s: %lld", rfc3339[i].text, (long long)ms);
    }
    for (size_t i = 0; i < FL_COUNT(bad); i++)
        if (fl_rfc3339_parse(fl_str_of(bad[i]), &ms)) fail_msg("accepted: %s", bad[i]);
    assert_true(fl_http_date_parse(FL_STR("Sun, 06 Nov 1994 08:49:37 GMT"), &ms));
    assert_true(ms == INT64_C(784111777000));
    assert_false(fl_http_date_parse(FL_STR("Sun, 06 Nov 1994 08:49:37 CET"), &ms));
    assert_false(fl_http_date_parse(FL_STR("Sun, 06 Non 1994 08:49:37 GMT"), &ms));
    assert_false(fl_http_date_parse(FL_STR("Su"), &ms));
    assert_false(fl_http_date_parse(FL_STR_NONE, &ms));
}

static void test_base64_there_and_back(void **state) {
    char bytes[70];
    FL_UNUSED(state);
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (char)(i * 37);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        struct fl_buf text, back;
        fl_buf_init(&text, 1000);
        fl_buf_init(&back, 1000);
        assert_int_equal(fl_base64_encode(&text, fl_str_n(bytes, n)), FL_OK);
        assert_int_equal(text.len, (n + 2) / 3 * 4);
        assert_int_equal(fl_base64_decode(&back, fl_buf_str(&text)), FL_OK);
        assert_true(fl_str_eq(fl_buf_str(&back), fl_str_n(bytes, n)));
        fl_buf_deinit(&text);
        fl_buf_deinit(&back);
    }
}

static void test_base64_keeps_to_its_bound(void **state) {
    struct fl_buf text;
    FL_UNUSED(state);
    fl_buf_init(&text, 7);
    assert_int_equal(fl_base64_encode(&text, FL_STR("abcd")), FL_EFULL);
    assert_int_equal(text.len, 0);
    assert_int_equal(fl_base64_encode(&text, FL_STR("abc")), FL_OK);
    fl_buf_deinit(&text);
}

/* --- gzip --- */

static size_t gzip(struct fl_str text, char *out, size_t size) {
    z_stream z = {.zalloc = NULL};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)text.p;
    z.avail_in = (uInt)text.n;
    z.next_out = (unsigned char *)out;
    z.avail_out = (uInt)size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t used = z.total_out;
    deflateEnd(&z);
    return used;
}

/* All that comes out of one feed; its bytes count as `*total`. */
static int drain(struct fl_gunzip *g, struct fl_str bytes, uint64_t *total) {
    struct fl_str piece;
    int rc;
    fl_gunzip_feed(g, bytes);
    while ((rc = fl_gunzip_next(g, &piece, NULL)) > 0) *total += piece.n;
    return rc;
}

static void test_two_members_byte_by_byte(void **state) {
    char packed[200];
    struct fl_gunzip *g;
    uint64_t total = 0;
    FL_UNUSED(state);
    size_t n = gzip(FL_STR("hello, "), packed, sizeof(packed));
    n += gzip(FL_STR("world"), packed + n, sizeof(packed) - n);
    assert_int_equal(fl_gunzip_new(&g), FL_OK);
    assert_true(fl_gunzip_complete(g));
    for (size_t i = 0; i < n; i++) assert_int_equal(drain(g, fl_str_n(packed + i, 1), &total), 0);
    assert_int_equal(total, 12);
    assert_true(fl_gunzip_complete(g));
    assert_int_equal(drain(g, FL_STR("garbage"), &total), FL_EPROTO);
    assert_int_equal(drain(g, FL_STR_NONE, &total), FL_EPROTO);
    fl_gunzip_free(g);
}

static void test_a_bomb_goes_off_in_a_box(void **state) {
    static char zeros[32 * 1024 * 1024], packed[64 * 1024];
    struct fl_gunzip *g;
    uint64_t total = 0;
    int rc = 0;
    FL_UNUSED(state);
    size_t n = gzip(fl_str_n(zeros, sizeof(zeros)), packed, sizeof(packed));
    assert_int_equal(fl_gunzip_new(&g), FL_OK);
    size_t before = fl_test_alloc_outstanding();
    for (int i = 0; rc == 0 && i < 64; i++) rc = drain(g, fl_str_n(packed, n), &total);
    assert_int_equal(rc, FL_ETOO_LARGE);
    assert_true(total <= FL_GUNZIP_MAX);
    assert_true(fl_test_alloc_outstanding() - before < 64 * 1024); /* zlib's window */
    fl_gunzip_free(g);
}

static void test_each_failed_allocation(void **state) {
    char packed[200];
    size_t n = gzip(FL_STR("hello"), packed, sizeof(packed));
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(i) {
        struct fl_gunzip *g;
        uint64_t total = 0;
        int rc = fl_gunzip_new(&g);
        if (rc == FL_OK) rc = drain(g, fl_str_n(packed, n), &total);
        assert_true(rc == FL_OK || rc == FL_ENOMEM);
        fl_gunzip_free(g);
    }
    FL_TEST_EACH_FAILURE(i) {
        struct fl_exec_credential c;
        int rc = fl_exec_credential_parse(FL_STR(ANSWER
                                                 "{\"token\":\"t\",\"clientCertificateData\":\"C\","
                                                 "\"clientKeyData\":\"K\"}}"),
                                          V1, &c, NULL);
        assert_true(rc == FL_OK || rc == FL_ENOMEM);
        fl_exec_credential_deinit(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_that_are_taken),
        cmocka_unit_test(test_answers_that_are_refused),
        cmocka_unit_test(test_points_in_time),
        cmocka_unit_test(test_base64_there_and_back),
        cmocka_unit_test(test_base64_keeps_to_its_bound),
        cmocka_unit_test(test_two_members_byte_by_byte),
        cmocka_unit_test(test_a_bomb_goes_off_in_a_box),
        cmocka_unit_test(test_each_failed_allocation),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
