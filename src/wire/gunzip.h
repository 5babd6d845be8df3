/* gunzip.h - a gzip body as it comes, in pieces. Bounded: memory by zlib's window, all that comes
 * out of one body by FL_GUNZIP_MAX. One thread. */
#ifndef FL_WIRE_GUNZIP_H
#define FL_WIRE_GUNZIP_H

#include "base/error.h"
#include "base/str.h"

/* A cluster of a million endpoints lists in a third of it. */
#define FL_GUNZIP_MAX ((uint64_t)1024 * 1024 * 1024)

struct fl_gunzip;

FL_MUST int fl_gunzip_new(struct fl_gunzip **out); /* FL_ENOMEM */
void fl_gunzip_free(struct fl_gunzip *gunzip);
/* Gives the bytes of a body's next part; they must stay in place until fl_gunzip_next gave none. */
void fl_gunzip_feed(struct fl_gunzip *gunzip, struct fl_str bytes);
/* 1: *out is the next piece, borrowed until the next call; 0: feed more. FL_EPROTO (not gzip),
 * FL_ETOO_LARGE, FL_ENOMEM; these stay. */
FL_MUST int fl_gunzip_next(struct fl_gunzip *gunzip, struct fl_str *out, struct fl_error *err);
bool fl_gunzip_complete(const struct fl_gunzip *gunzip); /* the body may end here */

#endif
