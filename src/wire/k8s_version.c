/* k8s_version.c - the order of resource versions. Pure; any thread.
 *
 * As apimachinery's CompareResourceVersion: decimal numbers of any length without leading zeros,
 * so a longer one is greater and equal lengths compare as text. "0" is no version of an object but
 * a word in requests, and so is opaque. */
#include "wire/k8s.h"

static bool is_canonical(struct fl_str v) {
    if (v.n == 0 || v.p[0] == '0') return false;
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < '0' || v.p[i] > '9') return false;
    return true;
}

int fl_k8s_version_cmp(struct fl_str a, struct fl_str b) {
    if (!is_canonical(a) || !is_canonical(b)) return FL_K8S_VERSION_OPAQUE;
    if (a.n != b.n) return a.n < b.n ? -1 : 1;
    int order = memcmp(a.p, b.p, a.n);
    return (order > 0) - (order < 0);
}
