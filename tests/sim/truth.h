/* truth.h - what a cluster was at each step of its life, as far as a client may have seen it.
 *
 * Three kinds of things have a history: objects by key (which versions they had), services (does
 * one exist, as what) and pods in slices (with which flags). A history is in the order of what
 * happened, not of versions: a restored etcd is one more step. Whoever looks keeps a place in each
 * history and only ever moves it on; what it sees must be found there or later. One thread. */
#ifndef FL_TEST_TRUTH_H
#define FL_TEST_TRUTH_H

#include "sim/store.h"

#define TRUTH_GONE     0xffu /* a pod's flags when no slice has it */
#define TRUTH_NOWHERE  SIZE_MAX
#define TRUTH_NAME_MAX 64
#define TRUTH_PODS_MAX 1024 /* of one service, in all its life */

struct truth_steps {
    uint64_t *items;
    size_t count, cap;
};
/* The first step at `from` or later that is `value`; TRUTH_NOWHERE: there is none. */
size_t truth_find(const struct truth_steps *steps, size_t from, uint64_t value);

struct truth_key { /* steps: versions, 0 for deleted */
    enum fl_k8s_kind kind;
    uint64_t hash; /* of "ns/name" */
    char name[TRUTH_NAME_MAX];
    struct truth_steps steps;
};

struct truth_pod { /* steps: flags, or TRUTH_GONE */
    uint8_t uid[16];
    char address[48];
    struct truth_steps steps;
};

/* Bits of a service's steps. */
enum { TRUTH_RECORD = 1, TRUTH_EXTERNAL = 2, TRUTH_SLICES = 4 };

struct truth_service { /* of namespace default */
    char name[TRUTH_NAME_MAX];
    struct truth_steps steps;
    struct truth_pod *pods;
    size_t pod_count, pod_cap;
};

struct truth {
    const struct fl_store *store;
    struct fl_store_observer observer;
    struct truth_service *services;
    size_t service_count;
    struct truth_key *keys;
    size_t key_count, key_cap;
    /* A restored etcd gave an object a version that it had before: who has the old one and compares
     * versions, as everybody does, cannot tell. */
    bool ambiguous;
};

/* Services are named NAMES[0] … and need not exist yet. */
void truth_init(struct truth *truth, struct fl_store *store, const char *const *names,
                size_t count);
void truth_deinit(struct truth *truth);

struct truth_key *truth_key(struct truth *truth, enum fl_k8s_kind kind, struct fl_str key);
struct truth_pod *truth_pod(struct truth_service *service, const uint8_t uid[16]); /* NULL: none */
/* As it is now. */
uint64_t truth_now(const struct truth_steps *steps);

#endif
