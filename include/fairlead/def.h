/* def.h - what every installed header needs: export and warning marks.
 *
 * Part of libfairlead's installed interface. Include <fairlead/fairlead.h>. */
#ifndef FAIRLEAD_DEF_H
#define FAIRLEAD_DEF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define FL_C_BEGIN extern "C" {
#define FL_C_END   }
#else
#define FL_C_BEGIN
#define FL_C_END
#endif

#if defined(__GNUC__) || defined(__clang__)
#define FL_API  __attribute__((visibility("default")))
#define FL_MUST __attribute__((warn_unused_result))
#else
#define FL_API
#define FL_MUST
#endif

#endif
