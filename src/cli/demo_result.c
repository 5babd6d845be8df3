/* demo_result.c - what the demo has shown, as a table. */
#include "cli/demo_result.h"

#include <stdio.h>

#include "cli/table.h"

struct result {
    struct fl_table table;
    const struct fl_demo_client *clients;
    size_t count;
    int rc;
};

static void cell(struct result *result, const char *text) {
    if (!result->rc) result->rc = fl_table_cell(&result->table, text);
}

static void row(struct result *result, const char *name,
                uint64_t (*number)(const struct fl_demo_client *client), const char *unit) {
    cell(result, name);
    for (size_t i = 0; i < result->count; i++) {
        char text[48];
        snprintf(text, sizeof(text), "%llu%s", (unsigned long long)number(&result->clients[i]),
                 unit);
        cell(result, text);
    }
}

static uint64_t calls_of(const struct fl_demo_client *client) { return client->calls; }
static uint64_t failed_of(const struct fl_demo_client *client) { return client->failed; }
static uint64_t killed_of(const struct fl_demo_client *client) { return client->killed; }
static uint64_t told_of(const struct fl_demo_client *client) { return client->told_empty; }
static uint64_t gap_of(const struct fl_demo_client *client) { return client->gap_us / 1000; }
static uint64_t dead_of(const struct fl_demo_client *client) {
    return client->dead + (client->keeps_score ? client->pods->late_calls : 0);
}

static void row_moved(struct result *result, const struct fl_pods *pods, uint64_t since_us) {
    uint64_t median, worst;
    size_t count;
    char text[48] = "none was seen";
    if (fl_pods_moved(pods, since_us, &median, &worst, &count))
        snprintf(text, sizeof(text), "%.1f, worst %.1f ms", (double)median / 1e3,
                 (double)worst / 1e3);
    cell(result, "event to first moved call");
    for (size_t i = 0; i < result->count; i++)
        cell(result, result->clients[i].keeps_score ? text : "-");
}

void fl_demo_result_print(const struct fl_demo_client *clients, size_t count,
                          const struct fl_pods *pods, uint64_t since_us) {
    struct result result = {.clients = clients, .count = count};
    fl_table_init(&result.table, count + 1);
    cell(&result, "");
    for (size_t i = 0; i < count; i++) cell(&result, clients[i].name);
    row(&result, "calls", calls_of, "");
    row(&result, "failed", failed_of, "");
    row(&result, "lost with the killed pod", killed_of, "");
    row(&result, "told that no pod is there", told_of, "");
    row(&result, "to dead addresses", dead_of, "");
    row(&result, "longest silence", gap_of, " ms");
    row_moved(&result, pods, since_us);
    putchar('\n');
    if (!result.rc) fl_table_print(&result.table, stdout);
    fl_table_deinit(&result.table);
    for (size_t i = 0; i < count; i++)
        if (clients[i].failed)
            printf("%s's first failure: %s\n", clients[i].name, clients[i].failure.detail);
}

bool fl_demo_result_is_good(const struct fl_demo_client *client, const struct fl_pods *pods) {
    return client->failed == 0 && pods->late_calls == 0;
}
