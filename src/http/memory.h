/* memory.h - memory of connections, streams and nghttp2. Private to http/. Every result may be
 * NULL.
 *
 * A connection has pages of its own, which the system has back as soon as it is closed. In the
 * common heap its blocks would lie between those that stay, a channel's for instance, and a
 * thousand channels that close their connections to be idle would give nothing back. What finds no
 * place in the pages comes from the common heap: they are a bound of what a connection can keep
 * for itself, not of what it can have. */
#ifndef FL_HTTP_MEMORY_H
#define FL_HTTP_MEMORY_H

#include "base/alloc.h"

struct fl_http_memory; /* NULL, wherever it is taken: the common heap. One thread */

#define FL_HTTP_MEMORY_BYTES ((size_t)48 * 1024) /* touched as far as they are used */

struct fl_http_memory *fl_http_memory_new(void); /* NULL: there are no pages to be had */
/* With all that is in it. */
void fl_http_memory_free(struct fl_http_memory *memory);

/* A block is given back to where it was taken from. */
FL_MUST void *fl_http_calloc(struct fl_http_memory *memory, size_t count, size_t size); /* zeroed */
/* old NULL: new, not zeroed */
FL_MUST void *fl_http_realloc(struct fl_http_memory *memory, void *old, size_t size);
void fl_http_free(struct fl_http_memory *memory, void *block);

#define FL_HTTP_NEW(memory, type) ((type *)fl_http_calloc(memory, 1, sizeof(type)))

#endif
