/* mirror.c - see mirror.h. */
#include "mirror.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"

#define DEAF_AT 3

static struct mirror_key *key_of(struct mirror *m, struct fl_str key) {
    size_t truth = (size_t)(truth_key(m->truth, m->kind, key) - m->truth->keys);
    for (size_t i = 0; i < m->key_count; i++)
        if (m->keys[i].truth == truth) return &m->keys[i];
    if (m->key_count == m->key_cap) {
        m->key_cap = m->key_cap ? m->key_cap * 2 : 16;
        m->keys = fl_realloc(m->keys, m->key_cap * sizeof *m->keys);
        FL_ASSERT(m->keys);
    }
    m->keys[m->key_count] = (struct mirror_key){.truth = truth};
    return &m->keys[m->key_count++];
}

static void judge_old(struct mirror *m, const struct mirror_key *key,
                      const struct fl_kube_entry *old) {
    const char *name = m->truth->keys[key->truth].name;
    if (!old && key->entry)
        verdict_broken(m->verdict, BREACH_DELETE, "%s is told as added a second time", name);
    else if (old && !key->entry)
        verdict_broken(m->verdict, BREACH_DELETE, "%s changes or goes, and was not there", name);
    else if (old && (old != key->entry || old->version != key->version))
        verdict_broken(m->verdict, BREACH_DELETE,
                       "%s: its last known state is said to be %" PRIu64 " and was %" PRIu64, name,
                       old->version, key->version);
}

static void judge_now(struct mirror *m, struct mirror_key *key, const struct fl_kube_entry *now) {
    const struct truth_key *truth = &m->truth->keys[key->truth];
    uint64_t version = now ? now->version : 0;
    size_t at = truth_find(&truth->steps, key->at, version);
    if (at != TRUTH_NOWHERE)
        key->at = at;
    else if (now)
        verdict_broken(m->verdict, BREACH_OLDER, "%s: version %" PRIu64 " comes after %" PRIu64,
                       truth->name, version, key->version);
    else
        verdict_broken(m->verdict, BREACH_DELETE,
                       "%s is deleted, and never was in the cluster since", truth->name);
}

static int on_change(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct mirror *m = arg;
    struct mirror_key *key = key_of(m, fl_kube_entry_key(now ? now : old));
    m->changes++;
    if (story_is_heard(m->story))
        story_tell(m->story, "mirror", "%s %s %" PRIu64, m->truth->keys[key->truth].name,
                   !old   ? "added at"
                   : !now ? "deleted, last seen at"
                          : "changed to",
                   now ? now->version : old->version);
    if (!now && m->deaf_to_deletes && ++m->deletes == DEAF_AT) return 0;
    judge_old(m, key, old);
    judge_now(m, key, now);
    key->entry = now;
    key->version = now ? now->version : 0;
    return 0;
}

static void on_synced(void *arg) {
    struct mirror *m = arg;
    story_tell(m->story, "mirror", "its list is complete");
}

static void on_trouble(void *arg, const struct fl_error *why) {
    struct mirror *m = arg;
    if (why->code)
        story_tell(m->story, "mirror", "trouble: %s", why->detail);
    else
        story_tell(m->story, "mirror", "no more trouble");
}

static void on_note(void *arg, enum fl_reflector_note note) {
    struct mirror *m = arg;
    story_tell(m->story, "mirror", "decides: %s", fl_reflector_note_name(note));
}

static const struct fl_listwatch_events events = {
    .on_change = on_change, .on_synced = on_synced, .on_trouble = on_trouble, .on_note = on_note};

enum breach mirror_say_ill(const struct mirror *m, char *why) {
    for (size_t i = 0; i < m->truth->key_count; i++) {
        const struct truth_key *truth = &m->truth->keys[i];
        uint64_t seen = 0, now = truth_now(&truth->steps);
        if (truth->kind != m->kind) continue;
        for (size_t j = 0; j < m->key_count; j++)
            if (m->keys[j].truth == i) seen = m->keys[j].version;
        if (seen == now) continue;
        snprintf(why, VERDICT_TEXT_MAX,
                 "%s is at %" PRIu64 " in the mirror and at %" PRIu64
                 " in the cluster (0: not there)",
                 truth->name, seen, now);
        return now ? BREACH_WAIT : BREACH_DELETE;
    }
    return BREACH_NONE;
}

void mirror_init(struct mirror *m, enum fl_k8s_kind kind, struct truth *truth,
                 struct verdict *verdict, struct story *story) {
    *m = (struct mirror){.kind = kind, .truth = truth, .verdict = verdict, .story = story};
}

int mirror_open(struct mirror *m, struct fl_io *io, struct fl_kube_client *client) {
    const struct fl_listwatch_options options = {
        .client = client, .kind = m->kind, .ns = FL_STR("default")};
    return fl_listwatch_new(io, &options, &events, m, &m->listwatch, NULL);
}

void mirror_deinit(struct mirror *m) { fl_free(m->keys); }
