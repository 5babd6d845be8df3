/* head.c - see head.h. */
#include "channel/head.h"

#include "base/alloc.h"
#include "channel/call.h"
#include "channel/state.h"

#define OWN_MAX (FL_CHANNEL_HEADERS + 1) /* of gRPC */

static void put(struct fl_head *head, struct fl_str name, struct fl_str value) {
    head->list[head->request.headers.count++] = (struct fl_http_header){name, value};
}

static void put_timeout(struct fl_head *head, const struct fl_call *call) {
    if (call->deadline_ms == 0) return;
    uint64_t now = fl_io_now_ms(call->channel->io);
    uint64_t left = call->deadline_ms > now ? call->deadline_ms - now : 1;
    fl_grpc_timeout_format(left, head->timeout);
    put(head, FL_STR("grpc-timeout"), fl_str_of(head->timeout));
}

int fl_head_init(struct fl_head *head, const struct fl_call *call, struct fl_error *err) {
    const struct fl_channel *channel = call->channel;
    size_t count_max = OWN_MAX + call->metadata_count;
    head->list = head->few;
    if (count_max > FL_HEAD_FEW) head->list = fl_calloc(count_max, sizeof(*head->list));
    if (!head->list) return fl_fail_nomem(err);
    head->request = (struct fl_http_request){
        .method = FL_STR("POST"),
        .scheme = channel->credentials ? FL_STR("https") : FL_STR("http"),
        .authority = fl_str_of(channel->authority),
        .path = call->path,
        .headers = {head->list, FL_CHANNEL_HEADERS},
    };
    memcpy(head->list, channel->headers, sizeof(channel->headers));
    put_timeout(head, call);
    for (size_t i = 0; i < call->metadata_count; i++)
        put(head, call->metadata[i].name, call->metadata[i].value);
    return 0;
}

void fl_head_deinit(struct fl_head *head) {
    if (head->list != head->few) fl_free(head->list);
}
