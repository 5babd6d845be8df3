/* interop_service.h - grpc.testing.TestService of gRPC's interoperability tests
 * (grpc/doc/interop-test-descriptions.md), for our own client and for other implementations'. */
#ifndef FL_TEST_INTEROP_SERVICE_H
#define FL_TEST_INTEROP_SERVICE_H

#include "server/reflection.h"

FL_DESCRIPTORS(interop) /* tests/interop/proto */

/* Without state of its own; holds as long as *io. */
struct fl_grpc_service interop_service(struct fl_io *io);

#endif
