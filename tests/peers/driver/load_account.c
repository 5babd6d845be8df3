/* load_account.c - see load_account.h. */
#include "peers/driver/load_account.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/def.h"

/* The row of an address, made if there is none. */
static struct load_peer *peer_of(struct load_account *account, const char *address) {
    for (size_t i = 0; i < account->peer_count; i++)
        if (strcmp(account->peers[i].address, address) == 0) return &account->peers[i];
    if (account->peer_count == LOAD_PEERS_MAX) abort();
    struct load_peer *peer = &account->peers[account->peer_count++];
    *peer = (struct load_peer){.ending_at = LOAD_NEVER, .gone_at = LOAD_NEVER};
    snprintf(peer->address, sizeof(peer->address), "%s", address);
    return peer;
}

/* --- what is there --- */

static void keep(void *arg, const struct fl_endpoint *endpoint) {
    struct load_account *account = arg;
    char address[300];
    snprintf(address, sizeof(address), "%s:%u", endpoint->address, endpoint->port);
    struct load_peer *peer = peer_of(account, address);
    peer->present = true;
    peer->gone_at = LOAD_NEVER;
    if (!endpoint->terminating)
        peer->ending_at = LOAD_NEVER;
    else if (peer->ending_at == LOAD_NEVER)
        peer->ending_at = account->started;
    account->usable += endpoint->ready;
}

void load_account_set(struct load_account *account, const struct fl_set *set) {
    account->sets++;
    account->usable = 0;
    for (size_t i = 0; i < account->peer_count; i++) account->peers[i].present = false;
    fl_set_each(set, keep, account);
    for (size_t i = 0; i < account->peer_count; i++) {
        struct load_peer *peer = &account->peers[i];
        if (!peer->present && peer->gone_at == LOAD_NEVER) peer->gone_at = account->started;
        /* Those that end may be called as long as there is no other. */
        if (account->usable == 0) peer->ending_at = LOAD_NEVER;
    }
}

/* --- what became of the calls --- */

static void count_outcome(struct load_account *account, const struct fl_call_result *result) {
    char text[64];
    bool ours = result->why->code != FL_OK;
    snprintf(text, sizeof(text), "%s%s%s", fl_status_name(result->status), ours ? " " : "",
             ours ? fl_error_name(result->why->code) : "");
    size_t i = 0;
    while (i < account->outcome_count && strcmp(account->outcomes[i].text, text) != 0) i++;
    if (i == LOAD_OUTCOMES_MAX) abort();
    if (i == account->outcome_count) {
        account->outcome_count++;
        snprintf(account->outcomes[i].text, sizeof(account->outcomes[i].text), "%s", text);
    }
    account->outcomes[i].calls++;
}

static void count_peer(struct load_account *account, uint64_t number,
                       const struct fl_call_result *result) {
    if (!result->peer[0]) return;
    struct load_peer *peer = peer_of(account, result->peer);
    peer->calls++;
    peer->failures += result->status != FL_STATUS_OK;
    account->to_removed += number >= peer->gone_at;
    account->to_ending += number >= peer->ending_at && number < peer->gone_at;
}

void load_account_end(struct load_account *account, uint64_t number,
                      const struct fl_call_result *result, int64_t now_ms) {
    account->ended++;
    account->retries += result->transparent_retries;
    count_peer(account, number, result);
    if (result->status != FL_STATUS_OK) {
        count_outcome(account, result);
        return;
    }
    if (account->ok++ > 0) {
        int64_t gap_ms = now_ms - account->last_ok_ms;
        account->longest_gap_ms = FL_MAX(account->longest_gap_ms, gap_ms);
        if (gap_ms > LOAD_PAUSE_MS) account->resumed_ms = now_ms;
    }
    account->last_ok_ms = now_ms;
}

void load_account_print(const struct load_account *account, FILE *out) {
    fprintf(out,
            "\"started\":%" PRIu64 ",\"ended\":%" PRIu64 ",\"ok\":%" PRIu64
            ",\"toRemoved\":%" PRIu64 ",\"toEnding\":%" PRIu64 ",\"retries\":%" PRIu64
            ",\"sets\":%" PRIu64 ",\"longestGapMs\":%" PRId64 ",\"resumedMs\":%" PRId64
            ",\"failures\":{",
            account->started, account->ended, account->ok, account->to_removed, account->to_ending,
            account->retries, account->sets, account->longest_gap_ms, account->resumed_ms);
    for (size_t i = 0; i < account->outcome_count; i++)
        fprintf(out, "%s\"%s\":%" PRIu64, i ? "," : "", account->outcomes[i].text,
                account->outcomes[i].calls);
    fprintf(out, "},\"peers\":{");
    for (size_t i = 0; i < account->peer_count; i++)
        fprintf(out, "%s\"%s\":[%" PRIu64 ",%" PRIu64 "]", i ? "," : "", account->peers[i].address,
                account->peers[i].calls, account->peers[i].failures);
    fprintf(out, "}");
}
