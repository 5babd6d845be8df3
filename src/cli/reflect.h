/* reflect.h - fills a schema with what a server tells of itself (grpc/doc/server-reflection.md). */
#ifndef FL_CLI_REFLECT_H
#define FL_CLI_REFLECT_H

#include <fairlead/call.h>

#include "cli/proto_schema.h"

struct fl_reflect;

struct fl_reflect_options {
    struct fl_channel *channel;
    struct fl_schema *schema; /* both outlive the question */
    const char *service;      /* "package.Service": this one and all that it needs */
    struct fl_metadata_list metadata;
    uint32_t timeout_ms;
    /* Once, on the channel's loop: code FL_OK, or why the schema is not complete: FL_EUSAGE (the
     * server has no such service, and which it has), FL_EPROTO, or what ended the call. */
    void (*on_done)(void *arg, const struct fl_error *why);
    void *arg;
};

/* Asks grpc.reflection.v1, and v1alpha if the server does not know that. Strings and metadata are
 * borrowed until on_done. FL_ENOMEM, or what fl_call_start said. */
FL_MUST int fl_reflect_start(const struct fl_reflect_options *options, struct fl_reflect **out,
                             struct fl_error *err);
/* After on_done, or when the channel has been closed; NULL is allowed. */
void fl_reflect_free(struct fl_reflect *reflect);

#endif
