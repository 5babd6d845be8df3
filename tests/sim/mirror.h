/* mirror.h - one collection as a listwatch tells it, judged key by key.
 *
 * Stands beside the discovery of a world: a listwatch of its own whose tap is written down here.
 * Each change must begin with what was told last, go on in the cluster's history, and what vanished
 * must be told as deleted, once (W1). One world; its thread. */
#ifndef FL_TEST_MIRROR_H
#define FL_TEST_MIRROR_H

#include "kube/listwatch.h"
#include "story.h"
#include "truth.h"
#include "verdict.h"

struct mirror_key {
    size_t truth;                      /* number of the key in truth */
    size_t at;                         /* place in its history */
    const struct fl_kube_entry *entry; /* told last; NULL: not there */
    uint64_t version;
};

struct mirror {
    struct fl_listwatch *listwatch; /* NULL: closed */
    struct truth *truth;
    struct verdict *verdict;
    struct story *story;
    enum fl_k8s_kind kind;
    struct mirror_key *keys;
    size_t key_count, key_cap;
    uint64_t changes;
    bool deaf_to_deletes; /* planted: the third delete is not heard */
    unsigned deletes;
};

void mirror_init(struct mirror *mirror, enum fl_k8s_kind kind, struct truth *truth,
                 struct verdict *verdict, struct story *story);
FL_MUST int mirror_open(struct mirror *mirror, struct fl_io *io, struct fl_kube_client *client);
void mirror_deinit(struct mirror *mirror); /* its listwatch is closed */
/* NONE: it is what the cluster is now; DELETE: it has what is no more; WAIT: it differs. `why` of
 * VERDICT_TEXT_MAX. */
enum breach mirror_say_ill(const struct mirror *mirror, char *why);

#endif
