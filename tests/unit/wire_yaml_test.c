/* wire_yaml_test.c - YAML documents as jansson trees. */
#include <stdio.h>
#include <string.h>

#include "support/alloc.h"
#include "wire/yaml.h"

static int parse(const char *text, json_t **out, struct fl_error *err) {
    return fl_yaml_parse(fl_str_of(text), out, err);
}

/* As compact JSON with sorted keys. */
static void expect(const char *yaml, const char *json) {
    json_t *root;
    struct fl_error err = {0};
    if (parse(yaml, &root, &err)) print_error("%s: %s\n", yaml, err.detail);
    assert_non_null(root);
    char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    assert_string_equal(text, json);
    fl_free(text);
    json_decref(root);
}

static void expect_bad(const char *yaml, const char *detail) {
    json_t *root;
    struct fl_error err = {0};
    assert_int_equal(parse(yaml, &root, &err), FL_EPROTO);
    assert_null(root);
    if (!strstr(err.detail, detail)) print_error("%s\n", err.detail);
    assert_non_null(strstr(err.detail, detail));
}

static void test_kubeconfig(void **state) {
    FL_UNUSED(state);
    expect("apiVersion: v1\n"
           "kind: Config\n"
           "clusters:\n"
           "- name: c # a comment\n"
           "  cluster: {server: \"https://10.0.0.1:6443\", insecure-skip-tls-verify: true}\n"
           "users:\n"
           "- name: u\n"
           "  user:\n"
           "    token: >-\n"
           "      abc\n"
           "      def\n",
           "{\"apiVersion\":\"v1\",\"clusters\":[{\"cluster\":{\"insecure-skip-tls-verify\":true,"
           "\"server\":\"https://10.0.0.1:6443\"},\"name\":\"c\"}],\"kind\":\"Config\","
           "\"users\":[{\"name\":\"u\",\"user\":{\"token\":\"abc def\"}}]}");
}

static void test_json_is_yaml(void **state) {
    FL_UNUSED(state);
    expect("{\"a\":[1,-2.5,true,null,\"x\\u00e9\\n\"],\"b\":{}}",
           "{\"a\":[1,-2.5,true,null,\"x\xc3\xa9\\n\"],\"b\":{}}");
}

static void test_plain_scalars_by_the_core_schema(void **state) {
    FL_UNUSED(state);
    expect("[~, null, Null, NULL, ]", "[null,null,null,null]");
    expect("[true, True, TRUE, false, False, FALSE]", "[true,true,true,false,false,false]");
    expect("[0, -7, +7, 0o17, 0x1F, 007, 9223372036854775807]",
           "[0,-7,7,15,31,7,9223372036854775807]");
    expect("[1.5, 1e3, 9223372036854775808]", "[1.5,1000.0,\"9223372036854775808\"]");
    expect("[yes, no, on, nul, tRUE, 1.2.3, 0x, 0o8, 1_000, .5, .inf, -, 12:30]",
           "[\"yes\",\"no\",\"on\",\"nul\",\"tRUE\",\"1.2.3\",\"0x\",\"0o8\",\"1_000\",\".5\","
           "\".inf\",\"-\",\"12:30\"]");
    expect("['true', \"1\", \"\", !!str 5, ! 6, !!int 7]", "[\"true\",\"1\",\"\",\"5\",\"6\",7]");
    expect("a:\nb: ''\n", "{\"a\":null,\"b\":\"\"}");
    expect("1: a\ntrue: b\n", "{\"1\":\"a\",\"true\":\"b\"}");
    expect("", "null");
    expect("# nothing\n", "null");
    expect("just text", "\"just text\"");
    expect("a: &x 1\n", "{\"a\":1}");
}

static void test_what_is_refused(void **state) {
    FL_UNUSED(state);
    expect_bad("a: 1\nb: 2\na: 3\n", "line 3, column 1: key a stands twice");
    expect_bad("a: &x [1]\nb: *x\n", "line 2, column 4: aliases");
    expect_bad("a: 1\n---\nb: 2\n", "a second document");
    expect_bad("? [a]\n: b\n", "key that is no text");
    expect_bad("a: !!binary aGk=\n", "unknown tag");
    expect_bad("a: !!set {b}\n", "unknown tag");
    expect_bad("a: [1, 2\n", "line ");
    expect_bad("a: \"\\x\"\n", "line ");
    expect_bad("a: b: c\n", "line ");
    expect_bad("\ta: b\n", "line ");
    expect_bad("\"a\\0b\": 1\n", "NUL");
    expect_bad("a: \xff\n", "line ");
}

static void test_bounds(void **state) {
    FL_UNUSED(state);
    char deep[2 * FL_YAML_DEPTH_MAX + 3];
    json_t *root;
    struct fl_error err;
    memset(deep, '[', FL_YAML_DEPTH_MAX);
    memset(deep + FL_YAML_DEPTH_MAX, ']', FL_YAML_DEPTH_MAX);
    deep[2 * FL_YAML_DEPTH_MAX] = '\0';
    assert_int_equal(parse(deep, &root, &err), 0);
    json_decref(root);
    memset(deep, '[', FL_YAML_DEPTH_MAX + 1);
    memset(deep + FL_YAML_DEPTH_MAX + 1, ']', FL_YAML_DEPTH_MAX + 1);
    deep[2 * FL_YAML_DEPTH_MAX + 2] = '\0';
    expect_bad(deep, "nested too deeply");
    char *large = fl_alloc(FL_YAML_TEXT_MAX + 1);
    assert_non_null(large);
    memset(large, ' ', FL_YAML_TEXT_MAX + 1);
    assert_int_equal(fl_yaml_parse(fl_str_n(large, FL_YAML_TEXT_MAX), &root, &err), 0);
    json_decref(root);
    assert_int_equal(fl_yaml_parse(fl_str_n(large, FL_YAML_TEXT_MAX + 1), &root, &err),
                     FL_ETOO_LARGE);
    fl_free(large);
}

static void test_every_allocation_failing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        json_t *root;
        struct fl_error err = {0};
        int rc = parse("a: [1, 2.5, text, {b: c, d: null}]\ne: {f: g}\n", &root, &err);
        if (fl_test_alloc_did_fail())
            assert_true(rc == FL_ENOMEM || rc == 0);
        else
            assert_int_equal(rc, 0);
        json_decref(root);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kubeconfig),
        cmocka_unit_test(test_json_is_yaml),
        cmocka_unit_test(test_plain_scalars_by_the_core_schema),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_every_allocation_failing),
    };
    fl_yaml_use_alloc();
    return fl_test_run(tests, FL_COUNT(tests));
}
