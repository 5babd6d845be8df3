/* base_address_test.c - addresses, host names, host:port. The system's inet_pton and inet_ntop are
 * the oracle for random addresses. */
#include "support/alloc.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/address.h"
#include "base/error.h"
#include "base/random.h"

static void assert_parses(const char *text, enum fl_address_kind kind, const char *canonical) {
    struct fl_address a;
    char out[FL_ADDRESS_TEXT_MAX];
    assert_true(fl_address_parse(fl_str_of(text), &a));
    assert_int_equal(a.kind, kind);
    fl_address_format(&a, out);
    assert_string_equal(out, canonical);
}

static void test_v4(void **state) {
    FL_UNUSED(state);
    assert_parses("0.0.0.0", FL_ADDRESS_V4, "0.0.0.0");
    assert_parses("10.244.13.217", FL_ADDRESS_V4, "10.244.13.217");
    assert_parses("255.255.255.255", FL_ADDRESS_V4, "255.255.255.255");
}

static void test_v6_in_the_text_of_rfc_5952(void **state) {
    FL_UNUSED(state);
    assert_parses("::", FL_ADDRESS_V6, "::");
    assert_parses("::1", FL_ADDRESS_V6, "::1");
    assert_parses("1::", FL_ADDRESS_V6, "1::");
    assert_parses("2001:DB8::0001", FL_ADDRESS_V6, "2001:db8::1");
    assert_parses("2001:db8:0:0:1:0:0:1", FL_ADDRESS_V6, "2001:db8::1:0:0:1"); /* the first run */
    assert_parses("2001:0:0:1:0:0:0:1", FL_ADDRESS_V6, "2001:0:0:1::1");       /* the longest */
    assert_parses("2001:db8:0:1:1:1:1:1", FL_ADDRESS_V6, "2001:db8:0:1:1:1:1:1"); /* not for one */
    assert_parses("1:2:3:4:5:6:7:8", FL_ADDRESS_V6, "1:2:3:4:5:6:7:8");
    assert_parses("1:2:3:4:5:6:7::", FL_ADDRESS_V6, "1:2:3:4:5:6:7:0");
    assert_parses("::ffff:10.0.0.1", FL_ADDRESS_V6, "::ffff:10.0.0.1");
    assert_parses("::ffff:a00:1", FL_ADDRESS_V6, "::ffff:10.0.0.1");
    assert_parses("64:ff9b::1.2.3.4", FL_ADDRESS_V6, "64:ff9b::102:304");
    assert_parses("1:2:3:4:5:6:1.2.3.4", FL_ADDRESS_V6, "1:2:3:4:5:6:102:304");
}

static void test_names(void **state) {
    FL_UNUSED(state);
    assert_parses("localhost", FL_ADDRESS_NAME, "localhost");
    assert_parses("a-b_c.Example.com", FL_ADDRESS_NAME, "a-b_c.Example.com");
    assert_parses("example.com.", FL_ADDRESS_NAME, "example.com.");
    assert_parses("3com", FL_ADDRESS_NAME, "3com");
    assert_parses("1.2.3.4.nip.io", FL_ADDRESS_NAME, "1.2.3.4.nip.io");
}

static void test_what_is_no_address(void **state) {
    FL_UNUSED(state);
    static const char *const wrong[] = {
        "",
        ".",
        "a..b",
        ".a",
        "a b",
        "a/b",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.1000",
        "1.2.3.",
        "1.2.3.4 ",
        "a.99",
        ":",
        ":::",
        "1:::2",
        "::1::",
        "1:2",
        "12345::",
        "1:2:3:4:5:6:7:8:9",
        "::g",
        "1:2:3:4:5:6:7:8::",
        "fe80::1%eth0",
        "::1.2.3",
        "::1.2.3.4:1",
        "1:2:3:4:5:6:7:1.2.3.4",
        "[::1]",
        "1:",
        ":1",
        "\xc3\xa9.com",
    };
    struct fl_address a;
    for (size_t i = 0; i < FL_COUNT(wrong); i++) {
        if (fl_address_parse(fl_str_of(wrong[i]), &a)) fail_msg("took \"%s\"", wrong[i]);
    }
    assert_false(fl_address_parse(FL_STR_NONE, &a));
    assert_false(fl_address_parse(fl_str_n("a\0b", 3), &a));
}

static void test_names_are_bounded(void **state) {
    FL_UNUSED(state);
    char name[300];
    struct fl_address a;
    memset(name, 'a', sizeof(name));
    assert_true(fl_address_parse(fl_str_n(name, 63), &a));
    assert_false(fl_address_parse(fl_str_n(name, 64), &a));
    for (size_t i = 50; i < sizeof(name); i += 50) name[i] = '.';
    assert_true(fl_address_parse(fl_str_n(name, 253), &a));
    assert_false(fl_address_parse(fl_str_n(name, 254), &a));
    name[253] = '.';
    assert_true(fl_address_parse(fl_str_n(name, 254), &a)); /* and the root's dot */
    char out[FL_ADDRESS_TEXT_MAX];
    fl_address_format(&a, out);
    assert_int_equal(strlen(out), 254);
}

static void test_random_v4_agrees_with_the_system(void **state) {
    FL_UNUSED(state);
    static const char bytes[] = "0123456789..";
    struct fl_random random = {4};
    for (int step = 0; step < 200000; step++) {
        char text[17];
        size_t n = fl_random_below(&random, sizeof(text));
        for (size_t i = 0; i < n; i++) text[i] = bytes[fl_random_below(&random, 12)];
        text[n] = '\0';
        struct fl_address a;
        uint8_t expected[4];
        bool good = inet_pton(AF_INET, text, expected) == 1;
        assert_int_equal(fl_address_parse(fl_str_n(text, n), &a) && a.kind == FL_ADDRESS_V4, good);
        if (good) assert_memory_equal(a.ip, expected, 4);
    }
}

/* Addresses with many zero groups, in the system's text and ours. */
static void test_random_v6_agrees_with_the_system(void **state) {
    FL_UNUSED(state);
    struct fl_random random = {5};
    for (int step = 0; step < 50000; step++) {
        struct fl_address a = {.kind = FL_ADDRESS_V6}, b;
        char ours[FL_ADDRESS_TEXT_MAX], theirs[INET6_ADDRSTRLEN];
        for (int i = 0; i < 8; i++) {
            uint64_t group = fl_random_below(&random, 3) ? 0 : fl_random_u64(&random) >> 48;
            a.ip[2 * i] = (uint8_t)(group >> 8);
            a.ip[2 * i + 1] = (uint8_t)group;
        }
        a.ip[0] |= 1; /* not one of those that the system writes with dots */
        fl_address_format(&a, ours);
        assert_non_null(inet_ntop(AF_INET6, a.ip, theirs, sizeof(theirs)));
        assert_string_equal(ours, theirs);
        assert_true(fl_address_parse(fl_str_of(ours), &b));
        assert_int_equal(fl_address_cmp(&a, &b), 0);
    }
}

static void test_random_v6_text_agrees_with_the_system(void **state) {
    FL_UNUSED(state);
    static const char bytes[] = "01af:::.";
    struct fl_random random = {6};
    for (int step = 0; step < 300000; step++) {
        char text[24];
        size_t n = 1 + fl_random_below(&random, sizeof(text) - 1);
        for (size_t i = 0; i < n; i++) text[i] = bytes[fl_random_below(&random, 8)];
        text[fl_random_below(&random, n)] = ':';
        struct fl_address a;
        uint8_t expected[16];
        text[n] = '\0';
        bool good = inet_pton(AF_INET6, text, expected) == 1;
        if (fl_address_parse(fl_str_n(text, n), &a) != good) fail_msg("disagree on \"%s\"", text);
        if (good) assert_memory_equal(a.ip, expected, 16);
    }
}

static void test_order_is_names_v4_v6(void **state) {
    FL_UNUSED(state);
    static const char *const ascending[] = {"a.com", "b.com", "9.0.0.0", "10.0.0.0", "::1", "1::"};
    struct fl_address a, b;
    for (size_t i = 0; i < FL_COUNT(ascending); i++) {
        for (size_t j = 0; j < FL_COUNT(ascending); j++) {
            assert_true(fl_address_parse(fl_str_of(ascending[i]), &a));
            assert_true(fl_address_parse(fl_str_of(ascending[j]), &b));
            int order = fl_address_cmp(&a, &b);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

static void test_host_port(void **state) {
    FL_UNUSED(state);
    static const struct {
        const char *text, *host;
        uint16_t port;
    } good[] = {{"localhost:80", "localhost", 80},
                {"1.2.3.4:65535", "1.2.3.4", 65535},
                {"[::1]:8080", "::1", 8080},
                {"0.0.0.0:0", "0.0.0.0", 0}};
    struct fl_error err;
    struct fl_str host;
    uint16_t port;
    for (size_t i = 0; i < FL_COUNT(good); i++) {
        assert_int_equal(fl_host_port_parse(fl_str_of(good[i].text), &host, &port, &err), 0);
        assert_true(fl_str_eq(host, fl_str_of(good[i].host)));
        assert_int_equal(port, good[i].port);
    }
}

static void test_host_port_says_what_is_wrong(void **state) {
    FL_UNUSED(state);
    static const struct {
        const char *text, *says;
    } wrong[] = {{"", "no port"},
                 {"localhost", "no port"},
                 {"localhost:", "not a port"},
                 {"localhost:http", "not a port"},
                 {"localhost:65536", "not a port"},
                 {":80", "not a host name"},
                 {"a b:80", "not a host name"},
                 {"::1:80", "brackets"},
                 {"[::1]", "no port after"},
                 {"[::1", "no ']'"},
                 {"[::1]80", "no port after"},
                 {"[1.2.3.4]:80", "not an IPv6 address"}};
    struct fl_error err;
    struct fl_str host;
    uint16_t port;
    for (size_t i = 0; i < FL_COUNT(wrong); i++) {
        struct fl_str text = fl_str_of(wrong[i].text);
        assert_int_equal(fl_host_port_parse(text, &host, &port, &err), FL_EUSAGE);
        if (!strstr(err.detail, wrong[i].says)) fail_msg("\"%s\": %s", wrong[i].text, err.detail);
    }
    assert_int_equal(fl_host_port_parse(FL_STR("x"), &host, &port, NULL), FL_EUSAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v4),
        cmocka_unit_test(test_v6_in_the_text_of_rfc_5952),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_is_no_address),
        cmocka_unit_test(test_names_are_bounded),
        cmocka_unit_test(test_random_v4_agrees_with_the_system),
        cmocka_unit_test(test_random_v6_agrees_with_the_system),
        cmocka_unit_test(test_random_v6_text_agrees_with_the_system),
        cmocka_unit_test(test_order_is_names_v4_v6),
        cmocka_unit_test(test_host_port),
        cmocka_unit_test(test_host_port_says_what_is_wrong),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
