/* interop_cases.h - the cases of grpc/doc/interop-test-descriptions.md by name. */
#ifndef FL_TEST_INTEROP_CASES_H
#define FL_TEST_INTEROP_CASES_H

#include "interop/interop_exchange.h"

/* True: it went as it should; else peer->why. */
typedef bool interop_case(struct interop_peer *peer);

struct interop_named_case {
    const char *name;
    interop_case *run;
};

struct interop_cases {
    const struct interop_named_case *list;
    size_t count;
};

extern const struct interop_cases interop_plain_cases;
extern const struct interop_cases interop_compressed_cases; /* few servers have what they want */

/* The four sizes of the streaming cases. */
#define INTEROP_SIZES 4
extern const int32_t interop_request_sizes[INTEROP_SIZES];
extern const int32_t interop_response_sizes[INTEROP_SIZES];
#define INTEROP_LARGE_REQUEST  271828
#define INTEROP_LARGE_RESPONSE 314159

#endif
