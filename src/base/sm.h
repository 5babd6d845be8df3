/* sm.h - state machines as tables of permitted moves.
 *
 *     static const uint32_t moves[] = {[A] = FL_TO(B) | FL_TO(C), [B] = FL_TO(A), [C] = 0};
 *     fl_sm_move(&x->state, moves, B);
 *
 * A move that the table does not permit is a bug of ours and stops the program. */
#ifndef FL_BASE_SM_H
#define FL_BASE_SM_H

#include "base/def.h"

#define FL_TO(state) (UINT32_C(1) << (state))

static inline bool fl_sm_may(int from, const uint32_t *moves, int to) {
    return (moves[from] & FL_TO(to)) != 0;
}
static inline void fl_sm_move(int *state, const uint32_t *moves, int to) {
    FL_ASSERT(fl_sm_may(*state, moves, to));
    *state = to;
}

#endif
