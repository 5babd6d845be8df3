/* load_account.h - what became of the calls of a load, and which addresses they should not go to.
 *
 * A subscription to the same target says when an endpoint began to end and when it was removed; a
 * call that was started after that and went there all the same is counted. Calls are numbered in
 * the order in which they are started. One thread. */
#ifndef FL_TEST_LOAD_ACCOUNT_H
#define FL_TEST_LOAD_ACCOUNT_H

#include <fairlead/fairlead.h>
#include <stdio.h>

#define LOAD_PEERS_MAX    4096
#define LOAD_OUTCOMES_MAX 64
#define LOAD_NEVER        UINT64_MAX
#define LOAD_PAUSE_MS     500

struct load_peer {
    char address[300]; /* address:port */
    uint64_t calls, failures;
    bool present;
    uint64_t ending_at, gone_at; /* the first call that should not go there; LOAD_NEVER */
};

/* A way in which calls failed: the status, and our cause if this side decided. */
struct load_outcome {
    char text[64];
    uint64_t calls;
};

struct load_account {
    uint64_t started, ended, ok, to_removed, to_ending, retries, sets, usable;
    int64_t last_ok_ms, longest_gap_ms; /* between two calls that went well */
    int64_t resumed_ms; /* when calls last went well again after LOAD_PAUSE_MS without */
    struct load_peer peers[LOAD_PEERS_MAX];
    size_t peer_count;
    struct load_outcome outcomes[LOAD_OUTCOMES_MAX];
    size_t outcome_count;
};

/* The newest set. */
void load_account_set(struct load_account *account, const struct fl_set *set);
/* Call number `number` has ended. */
void load_account_end(struct load_account *account, uint64_t number,
                      const struct fl_call_result *result, int64_t now_ms);
/* Members of a JSON object, without its braces. */
void load_account_print(const struct load_account *account, FILE *out);

#endif
