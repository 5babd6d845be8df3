/* block_suffix.h - ends of pods' names as Kubernetes makes them up; only for the files block*.c.
 *
 * What a ReplicaSet, a DaemonSet or a Job adds to its pods' names are up to five letters of an
 * alphabet of 27 (k8s.io/apimachinery, util/rand). Three to five of them fit as a number of base 27
 * in half as many bytes and one. */
#ifndef FL_BASE_BLOCK_SUFFIX_H
#define FL_BASE_BLOCK_SUFFIX_H

#include "base/block.h"

#define BLOCK_SUFFIX_MIN ((size_t)3) /* shorter ones gain nothing */

static inline size_t block_suffix_bytes(size_t len) { return len / 2 + 1; }
/* The number that such a suffix is; false if it is none. */
bool fl_block_suffix_number(struct fl_str suffix, uint32_t *number);
void fl_block_suffix_read(const uint8_t *at, size_t len, char out[FL_BLOCK_SUFFIX_MAX]);

#endif
