/* version.c - which Fairlead this is. */
#include <fairlead/version.h>

#include "base/def.h"

const char *fl_version(void) { return FL_VERSION; }
