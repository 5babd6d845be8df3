/* view.c - see view.h.
 *
 * Of all places that explain what is seen the earliest is taken: if there is any way to explain a
 * row of sets, this one does. */
#include "view.h"

#include <stdio.h>

#include "base/alloc.h"

static size_t pod_number(const struct view *view, const struct truth_pod *pod) {
    return (size_t)(pod - view->service->pods);
}

static void make_room(struct view *view) {
    size_t count = view->service->pod_count;
    if (count <= view->pods_cap) return;
    size_t cap = FL_MAX(count, view->pods_cap * 2);
    view->pods_at = fl_realloc(view->pods_at, cap * sizeof *view->pods_at);
    FL_ASSERT(view->pods_at);
    memset(view->pods_at + view->pods_cap, 0, (cap - view->pods_cap) * sizeof *view->pods_at);
    view->pods_cap = cap;
}

/* --- pods --- */

static unsigned flags_of(const struct fl_endpoint *endpoint) {
    return (endpoint->ready ? FL_ENDPOINT_READY : 0u) |
           (endpoint->serving ? FL_ENDPOINT_SERVING : 0u) |
           (endpoint->terminating ? FL_ENDPOINT_TERMINATING : 0u);
}

/* Does a step look like this through this server? `gone`: it is not in the set. */
static bool looks_like(const struct view *view, uint64_t step, bool gone, unsigned flags) {
    bool ready = step != TRUTH_GONE && (step & FL_ENDPOINT_READY);
    if (view->ready_only) return ready == (!gone && (flags & FL_ENDPOINT_READY));
    return gone ? step == TRUTH_GONE : step == flags;
}

static bool move_on(struct view *view, const struct truth_pod *pod, bool gone, unsigned flags) {
    size_t *at = &view->pods_at[pod_number(view, pod)];
    while (*at < pod->steps.count && !looks_like(view, pod->steps.items[*at], gone, flags)) ++*at;
    return *at < pod->steps.count;
}

struct reading {
    struct view *view;
    const struct fl_set *set;
    struct verdict *verdict;
    bool seen[TRUTH_PODS_MAX];
    size_t endpoints, usable;
};

static void read_endpoint(void *arg, const struct fl_endpoint *endpoint) {
    struct reading *r = arg;
    struct view *view = r->view;
    const struct truth_pod *pod = truth_pod(view->service, endpoint->uid);
    r->endpoints++;
    r->usable += fl_set_usable(r->set, endpoint);
    if (!pod || strcmp(pod->address, endpoint->address) != 0) {
        verdict_broken(r->verdict, BREACH_ANSWER,
                       "%s: endpoint %s (pod %s) never was in the cluster", view->service->name,
                       endpoint->address, endpoint->pod);
        return;
    }
    size_t was = view->pods_at[pod_number(view, pod)];
    r->seen[pod_number(view, pod)] = true;
    if (move_on(view, pod, false, flags_of(endpoint))) return;
    view->pods_at[pod_number(view, pod)] = was;
    verdict_broken(r->verdict, BREACH_OLDER,
                   "%s: %s is seen with flags %u; since step %zu of %zu of its history it had none "
                   "like that",
                   view->service->name, endpoint->address, flags_of(endpoint), was,
                   pod->steps.count);
}

static void read_the_missing(struct reading *r) {
    struct view *view = r->view;
    for (size_t i = 0; i < view->service->pod_count; i++) {
        const struct truth_pod *pod = &view->service->pods[i];
        size_t was = view->pods_at[i];
        if (r->seen[i] || move_on(view, pod, true, 0)) continue;
        view->pods_at[i] = was;
        verdict_broken(r->verdict, BREACH_OLDER,
                       "%s: %s is not in the set; since step %zu of %zu of its history it never "
                       "was out of the slices",
                       view->service->name, pod->address, was, pod->steps.count);
    }
}

/* --- the four answers --- */

static bool move_service(const struct view *view, size_t *at, unsigned bit, bool wanted) {
    const struct truth_steps *steps = &view->service->steps;
    size_t i = *at;
    while (i < steps->count && ((steps->items[i] & bit) != 0) != wanted) i++;
    if (i == steps->count) return false;
    *at = i;
    return true;
}

/* Is there a place from which the service may be said to exist? Which of its two halves said so is
 * not seen, so nothing moves. */
static bool may_exist(const struct view *view) {
    size_t record_at = view->record_at, slices_at = view->slices_at;
    return move_service(view, &record_at, TRUTH_RECORD, true) ||
           move_service(view, &slices_at, TRUTH_SLICES, true);
}

static void judge_state(struct reading *r) {
    struct view *view = r->view;
    enum fl_set_state state = fl_set_state(r->set);
    const char *external = fl_set_external_name(r->set), *name = view->service->name;
    if (view->confused && state == FL_SET_EMPTY) state = FL_SET_ABSENT;
    if ((state == FL_SET_SOME) != (r->usable || external))
        verdict_broken(r->verdict, BREACH_ANSWER,
                       "%s: the set says %s and has %zu usable endpoints", name,
                       fl_set_state_name(state), r->usable);
    if (state == FL_SET_ABSENT && r->endpoints)
        verdict_broken(r->verdict, BREACH_ANSWER, "%s: absent, with %zu endpoints", name,
                       r->endpoints);
    if (external && !move_service(view, &view->record_at, TRUTH_EXTERNAL, true))
        verdict_broken(r->verdict, BREACH_ANSWER, "%s: an external name that it never had since",
                       name);
    if (state == FL_SET_ABSENT && (!move_service(view, &view->record_at, TRUTH_RECORD, false) ||
                                   !move_service(view, &view->slices_at, TRUTH_SLICES, false)))
        verdict_broken(r->verdict, BREACH_ANSWER,
                       "%s: absent, though it was there all the time since", name);
    if (state == FL_SET_EMPTY && !may_exist(view))
        verdict_broken(r->verdict, BREACH_ANSWER, "%s: empty, though it never existed since", name);
}

void view_judge(struct view *view, const struct fl_set *set, struct verdict *verdict) {
    struct reading r = {.view = view, .set = set, .verdict = verdict};
    make_room(view);
    if (view->lenient) view_forget(view);
    fl_set_each(set, read_endpoint, &r);
    judge_state(&r);
    read_the_missing(&r);
}

void view_judge_snapshot(const struct view *view, const struct fl_set *set,
                         struct verdict *verdict) {
    struct view old;
    view_init(&old, view->service, view->ready_only);
    view_judge(&old, set, verdict);
    view_deinit(&old);
}

/* --- the truth now --- */

struct comparison {
    const struct view *view;
    char *why;
    size_t alike;
};

static void compare(void *arg, const struct fl_endpoint *endpoint) {
    struct comparison *c = arg;
    const struct truth_pod *pod = truth_pod(c->view->service, endpoint->uid);
    uint64_t now = pod ? truth_now(&pod->steps) : TRUTH_GONE;
    if (looks_like(c->view, now, false, flags_of(endpoint)) &&
        !(c->view->ready_only && !endpoint->ready))
        c->alike++;
    else if (!c->view->ready_only || endpoint->ready)
        snprintf(c->why, VERDICT_TEXT_MAX, "%s: %s has flags %u in the set and %u in the cluster",
                 c->view->service->name, endpoint->address, flags_of(endpoint), (unsigned)now);
}

static size_t count_true(const struct view *view) {
    size_t n = 0;
    for (size_t i = 0; i < view->service->pod_count; i++) {
        uint64_t now = truth_now(&view->service->pods[i].steps);
        n += now != TRUTH_GONE && (!view->ready_only || (now & FL_ENDPOINT_READY));
    }
    return n;
}

static bool state_is_true(const struct view *view, const struct fl_set *set) {
    unsigned now = (unsigned)truth_now(&view->service->steps);
    enum fl_set_state state = fl_set_state(set);
    bool external = now & TRUTH_EXTERNAL;
    if (external != (fl_set_external_name(set) != NULL)) return false;
    if (external) return state == FL_SET_SOME;
    if (!(now & (TRUTH_RECORD | TRUTH_SLICES))) return state == FL_SET_ABSENT;
    return state == FL_SET_SOME || state == FL_SET_EMPTY; /* which: judged with every set */
}

bool view_is_true(const struct view *view, const struct fl_set *set, char *why) {
    struct comparison c = {view, why, 0};
    why[0] = 0;
    fl_set_each(set, compare, &c);
    size_t in_truth = count_true(view);
    if (!why[0] && c.alike != in_truth)
        snprintf(why, VERDICT_TEXT_MAX, "%s: the set has %zu of the cluster's %zu endpoints",
                 view->service->name, c.alike, in_truth);
    if (!why[0] && !state_is_true(view, set))
        snprintf(why, VERDICT_TEXT_MAX, "%s: the set says %s", view->service->name,
                 fl_set_state_name(fl_set_state(set)));
    return !why[0];
}

/* --- life --- */

void view_init(struct view *view, struct truth_service *service, bool ready_only) {
    *view = (struct view){.service = service, .ready_only = ready_only};
}

void view_deinit(struct view *view) { fl_free(view->pods_at); }

void view_begin_now(struct view *view) {
    make_room(view);
    view->record_at = view->slices_at = view->service->steps.count - 1;
    for (size_t i = 0; i < view->service->pod_count; i++)
        view->pods_at[i] = view->service->pods[i].steps.count - 1;
}

void view_forget(struct view *view) {
    view->record_at = view->slices_at = 0;
    for (size_t i = 0; i < view->pods_cap; i++) view->pods_at[i] = 0;
}
