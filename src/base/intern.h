/* intern.h - names that many endpoints share (nodes, zones), each kept once.
 *
 * One table for the process behind a short lock. A held id keeps its text in place, so the text of
 * an id one holds may be read without the lock. Names that are unique are never interned. */
#ifndef FL_BASE_INTERN_H
#define FL_BASE_INTERN_H

#include "base/str.h"

/* 0 is the empty string and needs no reference. Any thread. */
FL_MUST int fl_intern_ref(struct fl_str text, uint32_t *id); /* FL_ENOMEM, FL_EFULL */
void fl_intern_unref(uint32_t id);
/* One more, or one less, for each of `count` ids, all under one lock; 0 among them is allowed. */
void fl_intern_ref_ids(const uint32_t *ids, size_t count);
void fl_intern_unref_ids(const uint32_t *ids, size_t count);
/* The zone of a node, both held by who calls: what was said first stays as long as the node is held
 * by anybody, and so does the zone; 0: nobody said. A name that has a zone is none, and the other
 * way round: what would make it both is passed over. Any thread; reading takes no lock. */
void fl_intern_set_zone(uint32_t node, uint32_t zone);
uint32_t fl_intern_zone(uint32_t node);
struct fl_str fl_intern_str(uint32_t id); /* terminated; valid while the id is held */

#endif
