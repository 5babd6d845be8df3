/* def.c - what happens when an invariant of ours does not hold. */
#include "base/def.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void fl_assert_failed(const char *condition, const char *file, int line) {
    fprintf(stderr, "fairlead: %s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}
