/* view.h - what one client has seen of one service, judged against the cluster's history.
 *
 * Every set that a subscriber gets must be explained by places in the histories of truth.h that are
 * not before those of the set before: the service's record, its slices, and each pod's flags. That
 * is "nothing older after newer" for what a subscriber can see; a pod that flickers, an answer that
 * the cluster never gave, and half a list taken for the whole are found by the same rule. */
#ifndef FL_TEST_VIEW_H
#define FL_TEST_VIEW_H

#include "discovery/set.h"
#include "truth.h"
#include "verdict.h"

struct view {
    struct truth_service *service;
    size_t record_at, slices_at; /* places in the service's history */
    size_t *pods_at;             /* places in the pods' */
    size_t pods_cap;
    bool ready_only; /* the server has Endpoints only, which know ready and not ready */
    bool lenient;    /* what a client missed, it may show in any order until the audit */
    bool confused;   /* planted: empty is taken for absent */
};

void view_init(struct view *view, struct truth_service *service, bool ready_only);
void view_deinit(struct view *view);
/* What is seen from now on cannot be older than what the cluster is now. */
void view_begin_now(struct view *view);
/* What is seen from now on may be as old as it likes. */
void view_forget(struct view *view);

/* A live set. */
void view_judge(struct view *view, const struct fl_set *set, struct verdict *verdict);
/* One from the snapshot file: as old as it likes, but no invention. */
void view_judge_snapshot(const struct view *view, const struct fl_set *set,
                         struct verdict *verdict);
/* Is the set what the cluster is now? `why` of VERDICT_TEXT_MAX: what differs. */
bool view_is_true(const struct view *view, const struct fl_set *set, char *why);

#endif
