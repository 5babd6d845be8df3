/* demo_result.h - what the demo has shown, as a table. */
#ifndef FL_CLI_DEMO_RESULT_H
#define FL_CLI_DEMO_RESULT_H

#include "cli/demo_client.h"

/* One column a client; `since_us`: when their traffic began. */
void fl_demo_result_print(const struct fl_demo_client *clients, size_t count,
                          const struct fl_pods *pods, uint64_t since_us);
/* Nothing failed that should not have, and no call was given to a pod that had left. */
bool fl_demo_result_is_good(const struct fl_demo_client *client, const struct fl_pods *pods);

#endif
