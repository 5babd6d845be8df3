/* head.c - see head.h. */
#include "channel/head.h"

#include <stdio.h>

#include "base/alloc.h"
#include "channel/call.h"
#include "channel/call_credentials.h"
#include "channel/protocol.h"
#include "channel/state.h"
#include "wire/grpc_compression.h"

#define OWN_MAX (FL_CHANNEL_HEADERS + 5) /* of gRPC and of the trace */

void fl_head_put(struct fl_head *head, struct fl_str name, struct fl_str value) {
    head->list[head->request.headers.count++] = (struct fl_http_header){name, value};
}

static void put_timeout(struct fl_head *head, const struct fl_call *call, uint64_t now_ms) {
    if (call->deadline_ms == 0) return;
    uint64_t left = call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 1;
    fl_grpc_timeout_format(left, head->timeout);
    fl_head_put(head, FL_STR("grpc-timeout"), fl_str_of(head->timeout));
}

static void put_previous(struct fl_head *head, const struct fl_call *call) {
    if (call->tries < 2) return;
    snprintf(head->previous, sizeof(head->previous), "%u", call->tries - 1);
    fl_head_put(head, FL_STR("grpc-previous-rpc-attempts"), fl_str_of(head->previous));
}

static void put_trace(struct fl_head *head, const struct fl_call *call) {
    if (!call->traceparent.p) return;
    uint8_t id[FL_TRACE_PARENT_ID];
    fl_io_random(call->channel->io, id, sizeof(id));
    fl_trace_child(call->traceparent, id, head->traceparent);
    fl_head_put(head, FL_STR("traceparent"), fl_str_n(head->traceparent, FL_TRACE_PARENT_LEN));
    if (call->tracestate.p) fl_head_put(head, FL_STR("tracestate"), call->tracestate);
}

void fl_head_put_metadata(struct fl_head *head, const struct fl_call *call) {
    for (size_t i = 0; i < call->metadata_count; i++)
        fl_head_put(head, call->metadata[i].name, call->metadata[i].value);
}

void fl_head_fill_grpc(struct fl_head *head, const struct fl_call *call, uint64_t now_ms) {
    head->request.method = FL_STR("POST");
    memcpy(head->list, call->channel->headers, sizeof(call->channel->headers));
    head->request.headers.count = head->request.literals = FL_CHANNEL_HEADERS;
    if (call->compression != FL_COMPRESSION_IDENTITY)
        fl_head_put(head, FL_STR("grpc-encoding"), fl_compression_name(call->compression));
    put_timeout(head, call, now_ms);
    put_previous(head, call);
    put_trace(head, call);
    fl_head_put_metadata(head, call);
    for (const struct fl_given *given = head->given; given; given = given->next) {
        fl_head_put(head, given->header.name, given->header.value);
        head->request.secrets++;
    }
}

int fl_head_init(struct fl_head *head, const struct fl_call *call, uint64_t now_ms,
                 struct fl_error *err) {
    size_t given = 0;
    head->given = NULL;
    if (call->credentials) {
        int rc = fl_call_credentials_ask(call, &head->given, &given, err);
        if (rc != 0) return rc;
    }
    size_t count_max = OWN_MAX + call->metadata_count + given;
    head->list = head->few;
    if (count_max > FL_HEAD_FEW) head->list = fl_calloc(count_max, sizeof(*head->list));
    if (!head->list) {
        fl_call_credentials_forget(head->given);
        return fl_fail_nomem(err);
    }
    head->alone = false;
    head->request = (struct fl_http_request){
        .scheme = call->channel->credentials ? FL_STR("https") : FL_STR("http"),
        .authority = fl_str_of(call->channel->authority),
        .path = call->path,
        .headers = {head->list, 0},
    };
    call->protocol->fill_head(head, call, now_ms);
    return 0;
}

void fl_head_deinit(struct fl_head *head) {
    if (head->list != head->few) fl_free(head->list);
    fl_call_credentials_forget(head->given);
}
