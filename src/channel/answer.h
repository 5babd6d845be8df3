/* answer.h - a call's result, kept. Any thread. */
#ifndef FL_CHANNEL_ANSWER_H
#define FL_CHANNEL_ANSWER_H

#include <fairlead/blocking.h>

/* FL_ENOMEM, and *out says so: RESOURCE_EXHAUSTED. */
FL_MUST int fl_answer_keep(struct fl_answer *out, const struct fl_call_result *result);

#endif
