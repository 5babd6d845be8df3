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
/* Whether such a suffix may be written as a number. */
bool fl_block_suffix_is_random(struct fl_str suffix);
void fl_block_suffix_write(struct fl_str suffix, uint8_t *out);
void fl_block_suffix_read(const uint8_t *at, size_t len, char out[FL_BLOCK_SUFFIX_MAX]);

#endif
