/* answer.c - everything that a result points to, measured and then copied into one allocation:
 * entries of metadata first, for their alignment, then texts and bytes, each terminated. */
#include "channel/answer.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

static size_t text_bytes(const struct fl_metadata_list *metadata) {
    size_t n = 0;
    for (size_t i = 0; i < metadata->count; i++)
        n += strlen(metadata->list[i].name) + 1 + metadata->list[i].len + 1;
    return n;
}

static const void *copy(char **at, const void *bytes, size_t n) {
    char *to = *at;
    if (n > 0) memcpy(to, bytes, n);
    to[n] = '\0';
    *at += n + 1;
    return to;
}

static void copy_metadata(struct fl_metadata_list *to, struct fl_metadata *list, char **at) {
    for (size_t i = 0; i < to->count; i++) {
        const struct fl_metadata *from = &to->list[i];
        list[i].name = copy(at, from->name, strlen(from->name));
        list[i].value = copy(at, from->value, from->len);
        list[i].len = from->len;
    }
    to->list = list;
}

int fl_answer_keep(struct fl_answer *out, const struct fl_call_result *result) {
    size_t entries = result->headers.count + result->trailers.count;
    size_t message_len = strlen(result->message), peer_len = strlen(result->peer);
    struct fl_metadata *list =
        fl_alloc(entries * sizeof(*list) + text_bytes(&result->headers) +
                 text_bytes(&result->trailers) + message_len + peer_len + result->response_len + 3);
    *out = (struct fl_answer){.memory = list};
    if (!list) {
        out->result.status = FL_STATUS_RESOURCE_EXHAUSTED;
        out->result.message = fl_error_text(FL_ENOMEM);
        out->result.why = &out->why;
        out->result.peer = "";
        return fl_fail_nomem(&out->why);
    }
    char *at = (char *)(list + entries);
    out->result = *result;
    out->why = *result->why;
    out->result.why = &out->why;
    copy_metadata(&out->result.headers, list, &at);
    copy_metadata(&out->result.trailers, list + result->headers.count, &at);
    out->result.message = copy(&at, result->message, message_len);
    out->result.peer = copy(&at, result->peer, peer_len);
    if (result->response) out->result.response = copy(&at, result->response, result->response_len);
    return 0;
}

void fl_answer_deinit(struct fl_answer *answer) {
    fl_free(answer->memory);
    *answer = (struct fl_answer){.memory = NULL};
}
