/* api_faults.c - see api_faults.h. */
#include "sim/api_faults.h"

#include "base/log.h"

bool fl_api_faults_take(struct fl_api_faults *faults, enum fl_fault_kind kind) {
    if (!faults->left[kind]) return false;
    faults->left[kind]--;
    faults->shown[kind]++;
    FL_LOG(faults->io, FL_LOG_INFO, "fault", FL_LOG_TEXT_OF("kind", fl_fault_name(kind)),
           FL_LOG_TEXT_OF("what", fl_fault_text(kind)), FL_LOG_INT("left", faults->left[kind]));
    return true;
}

static bool is_cached_list(const struct fl_api_request *r) {
    return r->target == FL_API_LIST && r->has_version && !r->version && !r->goes_on;
}

/* Which requests a kind of fault concerns; what concerns connections, events and bookmarks is asked
 * for where those are. */
static bool concerns(enum fl_fault_kind kind, const struct fl_api_request *r) {
    bool watch = r->target == FL_API_WATCH;
    switch (kind) {
    case FL_FAULT_STALL:
    case FL_FAULT_SLOW:
    case FL_FAULT_UNAUTHORIZED:
    case FL_FAULT_FORBIDDEN:
    case FL_FAULT_THROTTLED:
    case FL_FAULT_INTERNAL:
    case FL_FAULT_UNAVAILABLE:
    case FL_FAULT_GARBAGE:
        return r->target != FL_API_DOCUMENT;
    case FL_FAULT_AHEAD:
        return r->target != FL_API_DOCUMENT && r->version > 0;
    case FL_FAULT_GONE_STATUS:
    case FL_FAULT_GONE_EVENT:
    case FL_FAULT_SHORT:
        return watch;
    case FL_FAULT_GONE_PAGE:
        return r->target == FL_API_LIST && r->goes_on;
    case FL_FAULT_OLDER:
        return is_cached_list(r);
    case FL_FAULT_NO_BOOKMARK:
        return watch && r->bookmarks;
    case FL_FAULT_NO_END:
        return watch && r->initial_events;
    default:
        return false;
    }
}

enum fl_fault_kind fl_api_faults_take_for(struct fl_api_faults *faults,
                                          const struct fl_api_request *request) {
    for (int i = 0; i < FL_FAULT_KINDS; i++) {
        enum fl_fault_kind kind = (enum fl_fault_kind)i;
        if (faults->left[kind] && concerns(kind, request) && fl_api_faults_take(faults, kind))
            return kind;
    }
    return FL_FAULT_KINDS;
}
