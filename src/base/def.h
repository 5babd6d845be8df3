/* def.h - marks and small helpers that every file may use. */
#ifndef FL_BASE_DEF_H
#define FL_BASE_DEF_H

#include <fairlead/def.h>

#include <stddef.h>
#include <stdint.h>

#define FL_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FL_CONTAINER(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
#define FL_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define FL_UNUSED(x)           ((void)(x))
#define FL_MIN(a, b)           ((a) < (b) ? (a) : (b))
#define FL_MAX(a, b)           ((a) > (b) ? (a) : (b))

/* What must hold between our own functions; stays on in release. Never on a peer's bytes. */
#define FL_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : fl_assert_failed(#condition, __FILE__, __LINE__))
__attribute__((noreturn)) void fl_assert_failed(const char *condition, const char *file, int line);

#endif
