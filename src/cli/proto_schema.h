/* proto_schema.h - the messages and methods that descriptors tell of, and their JSON form.
 *
 * A schema is filled with descriptors, from the command itself, a file or a server's reflection;
 * then it gives methods, whose requests are made from JSON and whose responses are shown as JSON
 * (the protobuf JSON mapping: protobuf.dev/programming-guides/json). google/protobuf/… is known
 * without being added. One thread. */
#ifndef FL_CLI_PROTO_SCHEMA_H
#define FL_CLI_PROTO_SCHEMA_H

#include "base/buf.h"

struct fl_schema;

/* A method of a service. */
struct fl_rpc {
    const char *path; /* "/package.Service/Method" */
    bool client_streams, server_streams;
    const char *request, *response; /* full names of its messages */
    struct fl_schema *schema;
};

FL_MUST int fl_schema_new(struct fl_schema **out); /* FL_ENOMEM */
void fl_schema_free(struct fl_schema *schema);     /* NULL is allowed; its methods go with it */

/* Adds an encoded google.protobuf.FileDescriptorSet; a file that is there already stays as it is.
 * FL_EPROTO: it is none. */
FL_MUST int fl_schema_add_set(struct fl_schema *schema, struct fl_str set, struct fl_error *err);
/* The same with one google.protobuf.FileDescriptorProto. */
FL_MUST int fl_schema_add_file(struct fl_schema *schema, struct fl_str file, struct fl_error *err);
/* Appends the name of a file that an added one imports and that is not there; false: none is
 * missing. */
FL_MUST bool fl_schema_missing_import(struct fl_schema *schema, struct fl_buf *name);
FL_MUST bool fl_schema_has_service(struct fl_schema *schema, const char *name);

/* The method "package.Service/Method", with or without a leading slash; *out lives as long as the
 * schema. FL_EUSAGE: there is none, and which there are; FL_EPROTO: the descriptors do not fit
 * together. */
FL_MUST int fl_schema_rpc(struct fl_schema *schema, const char *name, const struct fl_rpc **out,
                          struct fl_error *err);

/* Appends the encoded request that one JSON value says. FL_EUSAGE: which part of it does not fit;
 * FL_EFULL, FL_ENOMEM. */
FL_MUST int fl_rpc_encode(const struct fl_rpc *rpc, struct fl_str json, struct fl_buf *out,
                          struct fl_error *err);
/* Appends the response as JSON, on one line or `indented`. FL_EPROTO, FL_EFULL, FL_ENOMEM. */
FL_MUST int fl_rpc_decode(const struct fl_rpc *rpc, struct fl_str bytes, bool indented,
                          struct fl_buf *out, struct fl_error *err);

#endif
