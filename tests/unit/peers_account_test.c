/* What the real components' load counts as a call to an address that it should not have gone to. */
#include "support/alloc.h"

#include <string.h>

#include "peers/driver/load_account.h"
#include "support/sets.h"

static struct load_account account;

static void set_is(const char *endpoints) {
    struct fl_set *set = fl_test_set("", fl_test_block("grpc:50051", endpoints), NULL);
    load_account_set(&account, set);
    fl_set_unref(set);
}

static void call_ends(uint64_t number, const char *peer, enum fl_status status) {
    static const struct fl_error why;
    load_account_end(&account, number,
                     &(struct fl_call_result){.status = status, .why = &why, .peer = peer}, 0);
}

static void start(void) {
    account = (struct load_account){.started = 0};
    set_is("10.0.0.1 rs, 10.0.0.2 rs");
}

static void test_a_call_after_the_removal_is_counted(void **state) {
    FL_UNUSED(state);
    start();
    account.started = 10; /* calls 0 to 9 */
    set_is("10.0.0.1 rs");
    call_ends(9, "10.0.0.2:50051", FL_STATUS_OK); /* was on its way */
    call_ends(10, "10.0.0.1:50051", FL_STATUS_OK);
    assert_int_equal(account.to_removed, 0);
    call_ends(10, "10.0.0.2:50051", FL_STATUS_OK);
    call_ends(11, "10.0.0.2:50051", FL_STATUS_UNAVAILABLE);
    assert_int_equal(account.to_removed, 2);
    set_is("10.0.0.1 rs, 10.0.0.2 rs"); /* the address is somebody's again */
    call_ends(12, "10.0.0.2:50051", FL_STATUS_OK);
    assert_int_equal(account.to_removed, 2);
}

static void test_a_call_to_one_that_ends_is_counted(void **state) {
    FL_UNUSED(state);
    start();
    account.started = 10;
    set_is("10.0.0.1 rs, 10.0.0.2 st");
    call_ends(9, "10.0.0.2:50051", FL_STATUS_OK);
    assert_int_equal(account.to_ending, 0);
    call_ends(10, "10.0.0.2:50051", FL_STATUS_OK);
    assert_int_equal(account.to_ending, 1);
    set_is("10.0.0.1 st, 10.0.0.2 st"); /* there is no other */
    call_ends(11, "10.0.0.2:50051", FL_STATUS_OK);
    assert_int_equal(account.to_ending, 1);
    assert_int_equal(account.to_removed, 0);
}

static void test_failures_are_told_apart(void **state) {
    FL_UNUSED(state);
    start();
    call_ends(0, "10.0.0.1:50051", FL_STATUS_UNAVAILABLE);
    call_ends(1, "10.0.0.1:50051", FL_STATUS_UNAVAILABLE);
    call_ends(2, "", FL_STATUS_CANCELLED);
    assert_int_equal(account.outcome_count, 2);
    assert_string_equal(account.outcomes[0].text, "UNAVAILABLE");
    assert_int_equal(account.outcomes[0].calls, 2);
    assert_int_equal(account.ended, 3);
    assert_int_equal(account.ok, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call_after_the_removal_is_counted),
        cmocka_unit_test(test_a_call_to_one_that_ends_is_counted),
        cmocka_unit_test(test_failures_are_told_apart),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
