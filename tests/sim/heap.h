/* heap.h - the blocks of memory that the library holds in this process: what a world left behind is
 * seen in the difference. One thread. */
#ifndef FL_TEST_HEAP_H
#define FL_TEST_HEAP_H

#include <stddef.h>

void heap_watch(void); /* before anything was allocated */
size_t heap_blocks(void);

#endif
