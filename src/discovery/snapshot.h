/* snapshot.h - the newest sets in a file, to start from when the source does not answer. The hub's
 * loop only. See snapshot.c. */
#ifndef FL_DISCOVERY_SNAPSHOT_H
#define FL_DISCOVERY_SNAPSHOT_H

#include "discovery/hub.h"
#include "discovery/snapshot_format.h"

struct fl_watch;

#define FL_SNAPSHOT_EVERY_MS ((uint64_t)5000)           /* at most one write in */
#define FL_SNAPSHOT_PROOF_MS ((uint64_t)10 * 60 * 1000) /* written anew though nothing changed */
#define FL_SNAPSHOT_AGE_MS   ((int64_t)24 * 60 * 60 * 1000) /* what is older is not used */
#define FL_SNAPSHOT_CLAIM_MS ((uint64_t)60 * 1000)          /* see snapshot.c */

/* Any thread; reads nothing yet. FL_ENOMEM. */
FL_MUST int fl_snapshot_new(struct fl_discovery *hub, const char *path, struct fl_snapshot **out);
/* What the file knows of the service that `provider` calls `service`; true: *out is to be ended
 * with fl_snapshot_set_deinit. */
bool fl_snapshot_find(struct fl_snapshot *snapshot, struct fl_provider *provider,
                      struct fl_str service, struct fl_snapshot_set *out);
/* A set came from a source. */
void fl_snapshot_changed(struct fl_snapshot *snapshot);
/* Once a second: begins a write that is due, moves on the age of what is shown. */
void fl_snapshot_tick(struct fl_snapshot *snapshot);
/* Before the watches and the providers end: writes what was not written yet. `done` once, later;
 * the snapshot is gone then. */
void fl_snapshot_close(struct fl_snapshot *snapshot, void (*done)(void *arg), void *arg);

#endif
