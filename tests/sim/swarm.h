/* swarm.h - many clients lose their API server at once: what does it cost the server?
 *
 * Every client is a whole one (client, connection, listwatch with its reflector and store) on the
 * simulated network, with one collection. Beside it the same is computed for client-go's reflector,
 * by its constants and rules. */
#ifndef FL_TEST_SWARM_H
#define FL_TEST_SWARM_H

#include <stdint.h>

/* Prints what it cost; 0: as much as the target allows, 1: more. */
int swarm_run(uint64_t clients, uint64_t seed);

#endif
