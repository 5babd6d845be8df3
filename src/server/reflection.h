/* reflection.h - server reflection as a service, grpc.reflection.v1 and v1alpha
 * (grpc/doc/server-reflection.md).
 *
 * Lists the services of the server that has it, and gives the descriptors that were registered: of
 * a file by its name, or of the file that declares a symbol, each with all that it needs. One
 * loop's thread. */
#ifndef FL_SERVER_REFLECTION_H
#define FL_SERVER_REFLECTION_H

#include "server/server.h"

#define FL_REFLECTION_SERVICES 2

/* What cmake/descriptors.cmake makes of .proto files: an encoded google.protobuf.FileDescriptorSet.
 */
#define FL_DESCRIPTORS(name)                                                                       \
    extern const unsigned char fl_descriptors_##name[];                                            \
    extern const size_t fl_descriptors_##name##_len;
FL_DESCRIPTORS(server) /* src/server/proto: echo, health and reflection itself */

struct fl_reflection;

/* NULL: no memory. */
FL_MUST struct fl_reflection *fl_reflection_new(void);
/* Behind the server that has it. NULL is allowed. */
void fl_reflection_free(struct fl_reflection *reflection);
/* Registers an encoded FileDescriptorSet, which is borrowed for as long as *reflection. FL_EPROTO:
 * it is none; FL_EFULL: too many files. */
FL_MUST int fl_reflection_add(struct fl_reflection *reflection, struct fl_str set);
/* For fl_grpc_server_options; hold as long as *reflection. */
void fl_reflection_services(struct fl_reflection *reflection,
                            struct fl_grpc_service out[FL_REFLECTION_SERVICES]);

#endif
