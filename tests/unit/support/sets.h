/* sets.h - blocks and sets written as text, and sets read as text, for tests of discovery. */
#ifndef FL_TEST_SETS_H
#define FL_TEST_SETS_H

#include "discovery/set.h"

/* A block with the ports "http:8080 dns:53/UDP+app :80" and the endpoints
 * "10.0.0.1 rs uid=7 pod=a node=n zone=z for-zone=z for-node=n, ::1 st"; flags are letters of
 * ready, serving and terminating, or "-". */
struct fl_block *fl_test_block(const char *ports, const char *endpoints);

/* A set of service "ns/echo" that takes over the references of its blocks (NULL ends them). Ports
 * of the service are written as those of a block. */
struct fl_set *fl_test_set(const char *service_ports, ...);
struct fl_set *fl_test_set_of(const char *service_ports, struct fl_block *const *blocks,
                              size_t count, uint64_t version);

#define FL_TEST_TEXT_MAX ((size_t)64 * 1024)
/* "10.0.0.1:8080 http rs uid=7 pod=a node=n zone=z; …" as fl_set_each gives it: what is empty is
 * left out, as is the name of an unnamed port. The text is static, one for each of the two. */
const char *fl_test_text(const struct fl_set *set);
/* "+10.0.0.1:8080 http …; ~10.0.0.1:8080 … {ready,place}; -…" */
const char *fl_test_diff(const struct fl_set *previous, const struct fl_set *set);

#endif
