/* methods.h - the gRPC methods whose messages `fairlead call` can read and write as JSON. */
#ifndef FL_CLI_METHODS_H
#define FL_CLI_METHODS_H

#include <jansson.h>

#include "base/buf.h"

struct fl_method {
    const char *path; /* "/package.Service/Method" */
    /* JSON object -> message appended to `out`. FL_EUSAGE (which member), FL_ENOMEM, FL_EFULL. */
    int (*encode)(const json_t *request, struct fl_buf *out, struct fl_error *err);
    /* Message -> new JSON object. FL_EPROTO, FL_ENOMEM. */
    int (*decode)(struct fl_str response, json_t **out, struct fl_error *err);
};

/* By "SERVICE/METHOD", with or without a leading slash. NULL: not known; the error lists those that
 * are. */
const struct fl_method *fl_method_find(const char *name, struct fl_error *err);

#endif
