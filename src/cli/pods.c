/* pods.c - what the demo knows about each endpoint it has seen. On the client's loop. */
#include "cli/pods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/render.h"

static struct fl_pod *find(const struct fl_pods *pods, const char *peer) {
    for (size_t i = 0; i < pods->count; i++)
        if (strcmp(pods->list[i].peer, peer) == 0) return (struct fl_pod *)&pods->list[i];
    return NULL;
}

static struct fl_pod *find_or_add(struct fl_pods *pods, const struct fl_endpoint *e) {
    char peer[sizeof pods->list[0].peer];
    bool v6 = strchr(e->address, ':') != NULL;
    snprintf(peer, sizeof peer, "%s%s%s:%u", v6 ? "[" : "", e->address, v6 ? "]" : "",
             (unsigned)e->port);
    struct fl_pod *pod = find(pods, peer);
    if (pod || pods->count == FL_PODS_MAX) return pod;
    pod = &pods->list[pods->count++];
    memcpy(pod->peer, peer, sizeof peer);
    return pod;
}

struct application {
    struct fl_pods *pods;
    struct fl_set *set;
    uint64_t now_us;
    void (*on_change)(void *arg, const struct fl_change *change);
    void *arg;
};

static void apply_change(void *arg, const struct fl_change *change) {
    struct application *a = arg;
    struct fl_pod *pod = find_or_add(a->pods, &change->endpoint);
    if (pod) {
        bool gone = change->kind == FL_CHANGE_REMOVED;
        snprintf(pod->name, sizeof pod->name, "%s", change->endpoint.pod);
        pod->condition = gone ? "gone" : fl_render_condition(&change->endpoint);
        pod->left_version = gone ? fl_set_version(a->set) : 0;
        if (change->endpoint.ready && !gone && pod->event_us == 0) pod->event_us = a->now_us;
    }
    if (a->on_change) a->on_change(a->arg, change);
}

void fl_pods_apply(struct fl_pods *pods, struct fl_set *set, struct fl_set *previous,
                   uint64_t now_us, void (*on_change)(void *arg, const struct fl_change *change),
                   void *arg) {
    struct application a = {pods, set, now_us, on_change, arg};
    if (fl_set_diff(previous, set, apply_change, &a)) return; /* no memory: the next one tells */
}

void fl_pods_picked(struct fl_pods *pods, const char *peer, uint64_t set_version) {
    const struct fl_pod *pod = find(pods, peer);
    if (pod && pod->left_version && set_version >= pod->left_version) pods->late_calls++;
}

void fl_pods_answered(struct fl_pods *pods, const char *peer, uint64_t now_us) {
    struct fl_pod *pod = find(pods, peer);
    if (!pod) return;
    pod->calls++;
    pod->calls_window++;
    if (pod->event_us && !pod->first_answer_us) pod->first_answer_us = now_us;
}

bool fl_pods_is_gone(const struct fl_pods *pods, const char *peer) {
    const struct fl_pod *pod = find(pods, peer);
    return pod && pod->left_version;
}

void fl_pods_resume(struct fl_pods *pods, uint64_t now_us) {
    for (size_t i = 0; i < pods->count; i++) {
        struct fl_pod *pod = &pods->list[i];
        if (pod->event_us && !pod->first_answer_us) pod->event_us = now_us;
    }
}

void fl_pods_window(struct fl_pods *pods, uint64_t window_ms) {
    for (size_t i = 0; i < pods->count; i++) {
        struct fl_pod *pod = &pods->list[i];
        pod->rate = window_ms ? pod->calls_window * 1000 / window_ms : 0;
        pod->calls_window = 0;
    }
}

static int compare_times(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

bool fl_pods_moved(const struct fl_pods *pods, uint64_t since_us, uint64_t *median_us,
                   uint64_t *worst_us, size_t *count) {
    uint64_t times[FL_PODS_MAX];
    *count = 0;
    for (size_t i = 0; i < pods->count; i++) {
        const struct fl_pod *pod = &pods->list[i];
        if (pod->event_us > since_us && pod->first_answer_us)
            times[(*count)++] = pod->first_answer_us - pod->event_us;
    }
    if (*count == 0) return false;
    qsort(times, *count, sizeof times[0], compare_times);
    *median_us = times[*count / 2];
    *worst_us = times[*count - 1];
    return true;
}
