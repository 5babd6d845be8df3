/* balance.h - who takes the next call. Pure; one thread.
 *
 * Who may take calls is told by _add and _remove as it changes, so a pick always sees the newest
 * state and never half of a change. */
#ifndef FL_BALANCE_BALANCE_H
#define FL_BALANCE_BALANCE_H

#include "balance/candidate.h"
#include "balance/round.h"
#include "base/error.h"

/* An own, complete copy of the caller's options (NULL: the defaults). FL_EUSAGE: the detail names
 * what is wrong; FL_ENOMEM. To be ended by _deinit, after a failure too. */
FL_MUST int fl_balance_options_copy(struct fl_balance_options *out,
                                    const struct fl_balance_options *given, struct fl_error *err);

void fl_balance_options_deinit(struct fl_balance_options *options);

struct fl_balancer {
    struct fl_round near, far; /* far: only with zone preference */
    uint32_t near_share;       /* of the calls, of FL_SHARE_ALL */
};

/* `options`, complete, and `random` are borrowed. */
void fl_balancer_init(struct fl_balancer *balancer, const struct fl_balance_options *options,
                      struct fl_random *random);
void fl_balancer_deinit(struct fl_balancer *balancer);
/* Makes room for `count` picks in all, so that adding cannot fail. FL_ENOMEM. */
FL_MUST int fl_balancer_reserve(struct fl_balancer *balancer, size_t count);
/* Twice is allowed, for both. */
void fl_balancer_add(struct fl_balancer *balancer, struct fl_pick *pick);
void fl_balancer_remove(struct fl_balancer *balancer, struct fl_pick *pick);
/* Whether it is in or not; 1 to FL_WEIGHT_MAX. */
void fl_balancer_weigh(struct fl_balancer *balancer, struct fl_pick *pick, uint32_t weight);
/* Which of the two rounds it belongs to, whether it is in or not. */
void fl_balancer_move(struct fl_balancer *balancer, struct fl_pick *pick, bool far);
/* The part of the calls for the near ones; each round takes what the other has no room for. */
void fl_balancer_share(struct fl_balancer *balancer, uint32_t near_share);
/* Who takes a call now; NULL: none of them `may`. */
struct fl_pick *fl_balancer_next(struct fl_balancer *balancer,
                                 const struct fl_pick_context *context, fl_pick_may *may);

#endif
