/* listwatch_metrics.h - what a listwatch shows of itself. Private to kube/; one loop's thread.
 *
 * By resource, with client-go's names and its label `name`:
 *   reflector_lists_total              lists begun
 *   reflector_list_duration_seconds    of lists that were read whole and believed
 *   reflector_items_per_list           likewise
 *   reflector_watches_total            watches begun, streams included
 *   reflector_short_watches_total      that ended within a second without an event
 *   reflector_watch_duration_seconds   of watches that are over
 *   reflector_items_per_watch          likewise
 * By resource, namespace and selector, since several collections of one resource may be read:
 *   reflector_last_resource_version    of the collection; 0 if it is opaque
 *   fairlead_reflector_stale_ms        without proof beyond the 45 s that a server may be quiet
 * By resource:
 *   fairlead_reflector_relists_total   by `cause`: lists because of what was found or answered
 *   fairlead_reflector_notes_total     by `what`: the other decisions
 *   fairlead_kube_events_total         objects and events read
 *   fairlead_kube_read_bytes           of lists, watches and audits
 *   fairlead_kube_full_total           answers given up at a bound of this side
 *   fairlead_audits_total              by `outcome`
 *   fairlead_audit_repairs_total       by `kind`: objects that differed */
#ifndef FL_KUBE_LISTWATCH_METRICS_H
#define FL_KUBE_LISTWATCH_METRICS_H

#include "base/metrics.h"
#include "kube/audit.h"
#include "kube/resource.h"

struct fl_listwatch_metrics {
    struct fl_metric *lists, *list_seconds, *list_items;
    struct fl_metric *watches, *short_watches, *watch_seconds, *watch_items;
    struct fl_metric *version, *stale_ms;
    struct fl_metric *notes[FL_REFLECTOR_NOTES];
    struct fl_metric *events, *bytes, *full;
    struct fl_metric *audits[FL_AUDIT_OUTCOMES], *repairs[FL_KUBE_DIFFERENCES];
};

void fl_listwatch_metrics_init(struct fl_listwatch_metrics *m, struct fl_metrics *metrics,
                               const struct fl_resource_scope *scope);
void fl_listwatch_metrics_request(struct fl_listwatch_metrics *m,
                                  const struct fl_reflector_request *request);
void fl_listwatch_metrics_round(struct fl_listwatch_metrics *m,
                                const struct fl_reflector_round *round);
void fl_listwatch_metrics_audit(struct fl_listwatch_metrics *m,
                                const struct fl_audit_result *result);

#endif
