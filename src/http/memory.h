/* memory.h - memory of connections, streams and nghttp2, counted under FL_AREA_HTTP. Any thread.
 * Private to http/. Every result may be NULL. */
#ifndef FL_HTTP_MEMORY_H
#define FL_HTTP_MEMORY_H

#include "base/alloc.h"

FL_MUST void *fl_http_calloc(size_t count, size_t size); /* zeroed */
FL_MUST void *fl_http_realloc(void *old, size_t size);   /* old NULL: new, not zeroed */
void fl_http_free(void *memory);                         /* of these two only */

#define FL_HTTP_NEW(type) ((type *)fl_http_calloc(1, sizeof(type)))

#endif
