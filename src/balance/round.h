/* round.h - those that may take calls now, and the policy that chooses one of them. Pure; one
 * thread.
 *
 * A round is an array ordered by age, so that who stays keeps its place however others come and go.
 * A policy is a table of operations on it, in a file of its own, with what it has to remember in
 * `as`. Joining and leaving cost a binary search and a move of pointers; what picking costs, each
 * policy says. */
#ifndef FL_BALANCE_ROUND_H
#define FL_BALANCE_ROUND_H

#include <fairlead/balance.h>

#include "base/def.h"
#include "base/random.h"

#define FL_WEIGHT_USUAL 100 /* percent */
#define FL_WEIGHT_MAX   10000

/* Embedded in what is picked. */
struct fl_pick {
    uint64_t order;  /* its age: unique, set once, older is smaller */
    uint64_t key;    /* hash of its address and port, set once */
    uint64_t due;    /* weighted_round_robin.c: when it is its turn */
    uint32_t place;  /* weighted_round_robin.c: in the heap */
    uint32_t weight; /* percent of what is usual, never 0; change it by fl_round_weigh */
    uint32_t active; /* attempts that it has to answer now */
    bool in;         /* it is in a round */
    bool far;        /* balance.h: of the two rounds, the other one */
};

/* What a policy may know of the call. */
struct fl_pick_context {
    bool hashed; /* `hash` is of something in the call; else there is nothing to hash */
    uint64_t hash;
};

/* Can it take one more call at this moment? */
typedef bool fl_pick_may(const struct fl_pick *pick);

struct fl_round;

/* Beside `next` each may be NULL: no matter. */
struct fl_policy {
    /* Makes room for `cap` picks beside the array. FL_ENOMEM. */
    int (*reserve)(struct fl_round *round, size_t cap);
    void (*deinit)(struct fl_round *round);
    /* The pick was put at, or taken from, place `at` of the array. */
    void (*added)(struct fl_round *round, struct fl_pick *pick, size_t at);
    void (*removed)(struct fl_round *round, struct fl_pick *pick, size_t at);
    void (*weighed)(struct fl_round *round, struct fl_pick *pick, uint32_t before);
    /* One that `may` take a call now; NULL: none of them. */
    struct fl_pick *(*next)(struct fl_round *round, const struct fl_pick_context *context,
                            fl_pick_may *may);
};

struct fl_round {
    const struct fl_policy *policy;
    const struct fl_balance_options *options; /* complete */
    struct fl_random *random;
    struct fl_pick **picks;
    size_t count, cap;
    union {
        struct {
            size_t next; /* whose turn it is */
            bool started;
        } turn; /* round_robin.c */
        struct {
            struct fl_pick **heap; /* whose turn comes first is first */
            uint64_t now;
        } wait; /* weighted_round_robin.c */
        struct {
            struct fl_ring_entry *entries; /* by hash */
            size_t count;
            bool stale; /* to be made anew at the next pick */
        } ring;         /* ring_hash.c */
        struct {
            struct fl_pick **owners; /* NULL: nobody has joined yet */
        } slots;                     /* rendezvous.c */
    } as;
};

/* The policies, one a file. */
extern const struct fl_policy fl_policy_least_request, fl_policy_pick_first, fl_policy_rendezvous,
    fl_policy_ring_hash, fl_policy_round_robin, fl_policy_weighted_round_robin;

/* All but the array's memory is borrowed. */
void fl_round_init(struct fl_round *round, const struct fl_policy *policy,
                   const struct fl_balance_options *options, struct fl_random *random);
void fl_round_deinit(struct fl_round *round);
/* Makes room for `count` picks in all, so that adding cannot fail. FL_ENOMEM. */
FL_MUST int fl_round_reserve(struct fl_round *round, size_t count);
/* Twice is allowed, for both. */
void fl_round_add(struct fl_round *round, struct fl_pick *pick);
void fl_round_remove(struct fl_round *round, struct fl_pick *pick);
/* Whether it is in or not. `weight` is 1 to FL_WEIGHT_MAX. */
void fl_round_weigh(struct fl_round *round, struct fl_pick *pick, uint32_t weight);

#endif
