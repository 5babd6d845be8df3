/* alloc.h - the test allocator: counts, fails the n-th allocation, finds leaks.
 *
 *     int main(void) { return fl_test_run(tests, FL_COUNT(tests)); }
 *
 * fl_test_run installs it, runs the cmocka tests, and fails each test that leaves memory behind.
 * To fail every allocation of a constructor in turn:
 *
 *     FL_TEST_EACH_FAILURE(n) {
 *         int rc = fl_x_new(&x);
 *         ... rc is FL_ENOMEM or 0; free what was made
 *     }
 */
#ifndef FL_TEST_ALLOC_H
#define FL_TEST_ALLOC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"

int fl_test_run_named(const char *name, const struct CMUnitTest *tests, size_t count);
#define fl_test_run(tests, count) fl_test_run_named(__FILE__, (tests), (count))

/* The n-th allocation from now fails (1: the next one), and only that one; 0: none. */
void fl_test_alloc_fail_at(size_t n);
bool fl_test_alloc_did_fail(void);      /* the failure asked for has happened */
size_t fl_test_alloc_outstanding(void); /* bytes not given back */
size_t fl_test_alloc_count(void);       /* allocations so far */
size_t fl_test_alloc_peak(void);        /* the most bytes since the last call */

/* Runs the body with the 1st, 2nd, … allocation failing, until it runs through without reaching
 * one. */
bool fl_test_alloc_next_failure(size_t *n);
#define FL_TEST_EACH_FAILURE(n) for (size_t n = 0; fl_test_alloc_next_failure(&n);)

#endif
